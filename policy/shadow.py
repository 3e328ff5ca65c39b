"""Shadow: a draft evaluated beside what is live, for a share of calls; what it would decide otherwise is stored.

The agent's answer never depends on it. Nothing on the hot path waits for another call: differences are inserts, and
the count of compared calls is kept in memory and written every few seconds.
"""

from __future__ import annotations

import logging
import random
import threading
import time
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Final
from uuid import UUID

from django.db import connection, transaction
from django.db.models import Count, F

from audit.record import EntryDraft, record
from audit.scope import as_tenant
from policy import live
from policy.acting import actor, require
from policy.drafts import CHANGE_RULE
from policy.errors import InvalidRule, NoSuchRow
from policy.live import LivePolicy
from policy.models import Shadow, ShadowDifference
from policy.revisions import draft_snapshot
from policy.terms import Call, Ruling
from policy.versions import locked_state, touch
from tenants.isolation import rows_of
from tenants.models import Member

log = logging.getLogger("guardsite.policy")

MOST_STORED: Final = 10_000  # enough to read; a draft that differs on everything must not fill the table
FLUSH_SECONDS: Final = 5.0

_lock = threading.Lock()
_compared: dict[tuple[UUID, str], int] = {}
_flushed_at: dict[UUID, float] = {}


@dataclass(frozen=True, slots=True)
class Difference:
    """What the shadow said of one call, where it was compared; `is_different` when the effects differ."""

    sha256: str
    live_effect: str
    draft_effect: str
    rules: tuple[str, ...]

    @property
    def is_different(self) -> bool:
        """Whether the draft would decide otherwise."""
        return self.live_effect != self.draft_effect


def compare(policy: LivePolicy, call: Call, ruling: Ruling) -> Difference | None:
    """The shadow's word on a call that was just ruled on; None when there is no shadow or the call is not in its share.

    Never raises: the shadow must not cost a call its answer. Call outside any transaction.
    """
    shadow = policy.shadow
    if shadow is None or policy.state is None or ruling.failed or ruling.frozen_by:
        return None
    if shadow.percent < 100 and random.random() * 100 >= shadow.percent:  # noqa: S311  # a sample, not a secret
        return None
    try:
        other = shadow.program.decide(call, policy.state)
    except Exception:
        log.exception("the shadow could not be evaluated", extra={"tenant": str(policy.tenant_id)})
        return None
    named = [hit.rule_id for hit in (*other.matched, *other.errors)] or [
        hit.rule_id for hit in (*ruling.matched, *ruling.errors)
    ]
    return Difference(shadow.sha256, ruling.effect, other.effect, tuple(named[:10]))


def store(tenant_id: UUID, found: Sequence[tuple[str, str, Difference]], *, now: datetime) -> None:
    """Store the differences of (entry uid, action, comparison), and count. Call inside the tenant's transaction."""
    if not found:
        return
    rows = [
        ShadowDifference(
            tenant_id=tenant_id,
            sha256=item.sha256,
            entry_uid=uid,
            action_id=action_id[:200],
            live_effect=item.live_effect,
            draft_effect=item.draft_effect,
            rules=list(item.rules),
            at=now,
        )
        for uid, action_id, item in found
        if item.is_different
    ]
    if rows and rows_of(ShadowDifference, tenant_id).count() < MOST_STORED:
        ShadowDifference.objects.bulk_create(rows)
    counted = [item.sha256 for _, _, item in found]
    transaction.on_commit(lambda: _count(tenant_id, counted), robust=True)


def _count(tenant_id: UUID, hashes: Sequence[str]) -> None:
    with _lock:
        for sha256 in hashes:
            _compared[tenant_id, sha256] = _compared.get((tenant_id, sha256), 0) + 1
        is_due = time.monotonic() - _flushed_at.get(tenant_id, 0.0) >= FLUSH_SECONDS
        if is_due:
            _flushed_at[tenant_id] = time.monotonic()
    if is_due:
        flush(tenant_id)


def flush(tenant_id: UUID) -> None:
    """Write this process's count of compared calls; one update, of its own transaction."""
    with _lock:
        taken = {key: _compared.pop(key) for key in list(_compared) if key[0] == tenant_id}
    if not taken or connection.in_atomic_block:
        with _lock:
            for key, count in taken.items():
                _compared[key] = _compared.get(key, 0) + count
        return
    with as_tenant(tenant_id):
        for (_, sha256), count in taken.items():
            rows_of(Shadow, tenant_id).filter(sha256=sha256).update(compared=F("compared") + count)


def start(tenant_id: UUID, *, acting: Member, percent: int, now: datetime) -> Shadow:
    """Compare the draft as it is now with what is live; an earlier shadow and its differences go.

    Raises PolicyForbidden, InvalidRule.
    """
    require(acting, CHANGE_RULE, tenant_id=tenant_id)
    if not 1 <= percent <= 100:
        raise InvalidRule("Compare 1 to 100 percent of calls.")
    content, sha256 = draft_snapshot(tenant_id)
    with as_tenant(tenant_id):
        locked_state(tenant_id)
        rows_of(ShadowDifference, tenant_id).delete()
        rows_of(Shadow, tenant_id).delete()
        shadow = Shadow.objects.create(
            tenant_id=tenant_id, snapshot=content, sha256=sha256, percent=percent, started_by=acting, started_at=now
        )
        touch(tenant_id)
        fields: dict[str, object] = {"change": "started", "draft_sha256": sha256, "percent": percent}
        record(tenant_id, EntryDraft("shadow.changed", fields, actor(acting)))
    live.forget(tenant_id)
    return shadow


def stop(tenant_id: UUID, *, acting: Member) -> None:
    """Compare no more; the differences stay until the next start. Raises PolicyForbidden, NoSuchRow."""
    require(acting, CHANGE_RULE, tenant_id=tenant_id)
    with as_tenant(tenant_id):
        locked_state(tenant_id)
        row = rows_of(Shadow, tenant_id).exclude(percent=0).first()
        if row is None:
            raise NoSuchRow
        row.percent = 0
        row.save(update_fields=["percent"])
        touch(tenant_id)
        fields: dict[str, object] = {"change": "stopped", "draft_sha256": row.sha256}
        record(tenant_id, EntryDraft("shadow.changed", fields, actor(acting)))
    live.forget(tenant_id)


def summary(tenant_id: UUID, sha256: str) -> list[tuple[str, str, int]]:
    """(live effect, draft effect, how often), most often first. Call inside the tenant's transaction."""
    rows = rows_of(ShadowDifference, tenant_id).filter(sha256=sha256)
    counted = rows.values_list("live_effect", "draft_effect").annotate(count=Count("pk")).order_by("-count")
    return [(before, after, count) for before, after, count in counted]
