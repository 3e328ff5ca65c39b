"""Logs with real entries: recorded by the web role, sealed and signed by theirs."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any
from uuid import UUID

import pytest
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey
from django.db import connections

from audit import kinds
from audit.ids import uuid7
from audit.notary import Notary
from audit.note import VerifierKey, public_bytes
from audit.record import Actor, Disclosure, EntryDraft, Recorded, open_log, record_many
from audit.scope import as_tenant
from audit.sealing import seal_pending
from guardsite import testing

KEY = Ed25519PrivateKey.from_private_bytes(bytes(32))
RITA = Actor("member", "019a0b1c-0000-7000-8000-00000000000a")
BOT = Actor("agent", "billing-bot")


def draft(number: int = 0, *, action_id: str = "billing.refund", **fields: object) -> EntryDraft:
    """One evaluated call."""
    return EntryDraft(
        "call.evaluated",
        {
            "action_id": action_id,
            "effect": "review",
            "mode": "enforce",
            "decision": "review",
            "rule": {"id": "refund-over-limit"},
            "call_digest": f"{number:064x}",
            "latency_us": 400 + number,
            **fields,
        },
        BOT,
        corr={"run_id": f"run_{number}", "call_id": None},
        disclosures=(
            Disclosure("params.amount_cents", json.dumps(620_000 + number)),
            Disclosure("reason", json.dumps("Customer asks; caf\u00e9 <b>now</b>")),
        ),
    )


def tenant() -> UUID:
    """A tenant with an open log."""
    tenant_id = uuid7()
    with as_tenant(tenant_id):
        open_log(tenant_id)
    return tenant_id


def add(tenant_id: UUID, count: int, *, start: int = 0) -> list[Recorded]:
    """Records that many calls in one transaction."""
    with as_tenant(tenant_id):
        return record_many(tenant_id, [draft(start + number) for number in range(count)])


def seal_all() -> int:
    """Seals until nothing waits."""
    total = 0
    while sealed := seal_pending():
        total += sealed
    return total


def owner(statement: str, *arguments: object) -> None:
    """What a database administrator could do: triggers off, row-level security passed, one statement, triggers on."""
    with testing.server().session(dbname=str(connections.settings["default"]["NAME"])) as session:
        tables = ("audit_entry", "audit_seal", "audit_checkpoint", "audit_log", "audit_disclosure")
        for table in tables:
            session.execute(f"ALTER TABLE {table} DISABLE TRIGGER USER")
        session.execute(statement, arguments or None)
        for table in tables:
            session.execute(f"ALTER TABLE {table} ENABLE TRIGGER USER")


def rows(statement: str, *arguments: object) -> list[tuple[Any, ...]]:
    """Rows as the superuser sees them."""
    with testing.server().session(dbname=str(connections.settings["default"]["NAME"])) as session:
        return session.execute(statement, arguments or None).fetchall()


def vkey_of(tenant_id: UUID) -> VerifierKey:
    """What an auditor of this tenant pins."""
    (origin,) = rows("SELECT origin FROM audit_log WHERE tenant_id = %s", tenant_id)[0]
    return VerifierKey(str(origin), public_bytes(KEY))


@pytest.fixture
def make_notary(tmp_path: Path) -> Callable[..., Notary]:
    """A notary of the tests' key, whose memory lies in the test's folder."""

    def make(**options: object) -> Notary:
        return Notary(key=KEY, directory=tmp_path / "notary", **options)  # type: ignore[arg-type]

    return make


@pytest.fixture(autouse=True)
def _call_kind() -> None:
    """The kind of our drafts belongs to another app; where that app registers nothing yet, it is ours for the test."""
    try:
        kinds.registered("call.evaluated")
    except kinds.UnknownKind:
        kinds.register("call.evaluated", sentence=lambda entry: f"{entry.actor_name} asked.", label="Call")
