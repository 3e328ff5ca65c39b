"""record(): one entry with its disclosures, in the transaction of what it records. Takes no lock.

The position in the chain comes from the sealer, moments later. Call inside `as_tenant()`: if this raises, or the commit
fails, the change itself is undone too.
"""

from __future__ import annotations

import secrets
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any, Final
from uuid import UUID

from django.conf import settings
from django.db import connections
from django.utils import timezone

from audit import disclosures as sd
from audit.envelope import BadBody, body_bytes, body_hash
from audit.ids import uuid7
from audit.kinds import registered

ACTOR_TYPES: Final = frozenset({"agent", "member", "system"})
CORR_KEYS: Final = frozenset({"run_id", "call_id", "trace_id"})
# What every body has; a kind's own fields may not shadow it.
COMMON_FIELDS: Final = frozenset(
    {"v", "kind", "id", "nonce", "decided_at_us", "actor", "refs", "corr", "_sd_alg", "_sd"}
)


@dataclass(frozen=True, slots=True)
class Actor:
    """Who did it: `agent`, `member` or `system`, by id; `session` where one is known. Identifiers, never names."""

    type: str
    id: str
    session: str | None = None


@dataclass(frozen=True, slots=True)
class Disclosure:
    """A value that the caller chose or that identifies a person. `value_json` is spliced in as received."""

    name: str
    value_json: str


@dataclass(frozen=True, slots=True)
class EntryDraft:
    """What to record. `fields` hold identifiers and whole numbers only; everything else is a disclosure."""

    kind: str
    fields: Mapping[str, object]
    actor: Actor
    refs: Sequence[str] = ()
    corr: Mapping[str, str | None] | None = None
    disclosures: Sequence[Disclosure] = ()
    decided_at: datetime | None = None


@dataclass(frozen=True, slots=True)
class Recorded:
    """What was written: public id, row id, body hash (64 hex digits), time of receipt (microseconds since 1970)."""

    uid: str
    entry_id: int
    body_hash: str
    received_us: int
    tenant_id: UUID


@dataclass(frozen=True, slots=True)
class _Prepared:
    uid: str
    body: bytes
    hash: bytes
    values: list[sd.SealedValue]


def record(tenant_id: UUID, draft: EntryDraft, *, using: str = "default") -> Recorded:
    """Records one entry. Raises BadBody, UnknownKind, or a database error; then nothing may be answered."""
    return record_many(tenant_id, [draft], using=using)[0]


def record_many(tenant_id: UUID, drafts: Sequence[EntryDraft], *, using: str = "default") -> list[Recorded]:
    """Records the entries in this order: one INSERT for all of them and one for their disclosures."""
    if not drafts:
        return []
    now = timezone.now()
    prepared = [_prepare(draft, now) for draft in drafts]
    with connections[using].cursor() as cursor:
        cursor.execute(
            "INSERT INTO audit_entry (tenant_id, body)"
            " SELECT %s, t.body FROM unnest(%s::text[]) WITH ORDINALITY AS t (body, n) ORDER BY t.n"
            " RETURNING id, body_hash, received_us",
            [tenant_id, [item.body.decode("ascii") for item in prepared]],
        )
        # Each body holds its own nonce, so its hash finds the row whatever order the database answers in.
        rows = {bytes(row[1]): row for row in cursor.fetchall()}
        recorded = [
            Recorded(item.uid, rows[item.hash][0], item.hash.hex(), rows[item.hash][2], tenant_id) for item in prepared
        ]
        _insert_disclosures(cursor, tenant_id, recorded, prepared)
    return recorded


def open_log(tenant_id: UUID, *, actor: Actor | None = None) -> Recorded:
    """Opens epoch 1 of a new tenant's log; its name is never reused. Call once, inside `as_tenant()`."""
    origin = f"{settings.AUDIT_ORIGIN_HOST.lower()}/t/{secrets.token_hex(8)}/e1"
    item = _prepare(EntryDraft("log.opened", {"origin": origin}, actor or Actor("system", "guardsite")), timezone.now())
    with connections["default"].cursor() as cursor:
        cursor.execute("SELECT audit_open_log(%s, %s, %s)", [tenant_id, origin, item.body.decode("ascii")])
        (entry_id,) = cursor.fetchone()
        cursor.execute("SELECT received_us FROM audit_entry WHERE id = %s", [entry_id])
        (received_us,) = cursor.fetchone()
    return Recorded(item.uid, entry_id, item.hash.hex(), received_us, tenant_id)


def prepare_body(draft: EntryDraft, now: datetime) -> str:
    """The body of a draft without disclosures, for functions of the database that insert it themselves."""
    return _prepare(draft, now).body.decode("ascii")


def _prepare(draft: EntryDraft, now: datetime) -> _Prepared:
    kind = registered(draft.kind)
    if taken := COMMON_FIELDS & draft.fields.keys():
        raise BadBody(f"/{min(taken)}", "a field that every body has")
    if draft.actor.type not in ACTOR_TYPES:
        raise BadBody("/actor/type", "not agent, member or system")
    values = [sd.seal_value(item.name, item.value_json) for item in draft.disclosures]
    uid = str(uuid7())
    actor = {"type": draft.actor.type, "id": draft.actor.id}
    if draft.actor.session is not None:
        actor["session"] = draft.actor.session
    body: dict[str, object] = {
        **draft.fields,
        "v": kind.version,
        "kind": draft.kind,
        "id": uid,
        "nonce": secrets.token_hex(16),
        "decided_at_us": microseconds(draft.decided_at or now),
        "actor": actor,
        "refs": list(draft.refs),
    }
    if corr := {key: value for key, value in (draft.corr or {}).items() if value is not None}:
        if unknown := corr.keys() - CORR_KEYS:
            raise BadBody(f"/corr/{min(unknown)}", "not run_id, call_id or trace_id")
        body["corr"] = corr
    if values:
        body["_sd_alg"] = sd.SD_ALG
        body["_sd"] = sorted(value.digest for value in values)
    data = body_bytes(body)
    return _Prepared(uid, data, body_hash(data), values)


def _insert_disclosures(cursor: Any, tenant_id: UUID, recorded: list[Recorded], prepared: list[_Prepared]) -> None:
    rows = [
        (entry.entry_id, value.digest, value.text.encode())
        for entry, item in zip(recorded, prepared, strict=True)
        for value in item.values
    ]
    if not rows:
        return
    cursor.execute(
        "INSERT INTO audit_disclosure (entry_id, digest, tenant_id, ciphertext)"
        " SELECT t.entry_id, t.digest, %s, t.value FROM unnest(%s::bigint[], %s::text[], %s::bytea[])"
        " AS t (entry_id, digest, value)",
        [tenant_id, [row[0] for row in rows], [row[1] for row in rows], [row[2] for row in rows]],
    )


def microseconds(moment: datetime) -> int:
    """Whole microseconds since 1970 of an aware time; exact, unlike `timestamp()`."""
    delta = moment - _EPOCH
    return (delta.days * 86_400 + delta.seconds) * 1_000_000 + delta.microseconds


_EPOCH: Final = datetime(1970, 1, 1, tzinfo=timezone.get_fixed_timezone(0))
