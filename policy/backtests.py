"""Backtests as rows: started by a person, worked off in slices by whoever holds the lease, read on a page.

Up to 2,000 calls are replayed in the request that asks; more is left to a task. A slice ends after 10 s, stores where
it stopped and its tally, and the next one goes on: a worker that dies costs a slice.
"""

from __future__ import annotations

import logging
import time
from datetime import datetime, timedelta
from functools import lru_cache
from typing import Final
from uuid import UUID

from django.db import connection, transaction
from django.db.models import Q

from audit.calls import calls_page, count_calls, what_followed
from audit.record import EntryDraft, record
from audit.scope import as_tenant
from policy import backtest, snapshot
from policy.acting import actor, require
from policy.drafts import CHANGE_RULE
from policy.errors import InvalidBacktest, NoSuchRow
from policy.evaluate import Program
from policy.live import live_policy
from policy.models import Backtest
from policy.reports import agents_of, pair_of
from policy.revisions import draft_snapshot
from tenants.isolation import rows_of
from tenants.models import Member

log = logging.getLogger("guardsite.policy")

IN_REQUEST: Final = 2_000
SLICE_SECONDS: Final = 10.0
LEASE: Final = timedelta(seconds=60)
PAGE: Final = 200
MOST_AT_ONCE: Final = 3
LONGEST: Final = timedelta(days=90)
ACTIVE: Final = (Backtest.State.WAITING, Backtest.State.RUNNING)


def start(tenant_id: UUID, *, acting: Member, since: datetime, now: datetime) -> Backtest:
    """Replay the calls since then on the draft as it is now; a short one is done when this returns.

    Raises PolicyForbidden, InvalidBacktest.
    """
    require(acting, CHANGE_RULE, tenant_id=tenant_id)
    if not now - LONGEST <= since < now:
        raise InvalidBacktest(f"A backtest goes back at most {LONGEST.days} days.")
    content, sha256 = draft_snapshot(tenant_id)
    total = count_calls(tenant_id, since=since, until=now)
    revision = live_policy(tenant_id).program
    with as_tenant(tenant_id):
        if rows_of(Backtest, tenant_id).filter(state__in=ACTIVE).count() >= MOST_AT_ONCE:
            raise InvalidBacktest(f"{MOST_AT_ONCE} backtests are running. Wait for one, or stop one.")
        row = Backtest.objects.create(
            tenant_id=tenant_id,
            draft_snapshot=content,
            draft_sha256=sha256,
            live_number=revision.rules.number if revision else None,
            since=since,
            until=now,
            total=total,
            result=backtest.empty(),
            started_by=acting,
            created_at=now,
        )
        fields: dict[str, object] = {
            "backtest": str(row.pk),
            "draft_sha256": sha256,
            "calls": total,
            "since_us": int(since.timestamp() * 1_000_000),
            "until_us": int(now.timestamp() * 1_000_000),
        }
        record(tenant_id, EntryDraft("backtest.started", fields, actor(acting)))
        if total > IN_REQUEST:
            transaction.on_commit(lambda: _nudge(tenant_id, row.pk), robust=True)
    if total <= IN_REQUEST:
        return work(tenant_id, row.pk, now=now, seconds=None) or row
    return row


def work(
    tenant_id: UUID, backtest_id: UUID, *, now: datetime, seconds: float | None = SLICE_SECONDS
) -> Backtest | None:
    """One slice: the row as it then is, or None when it is done, stopped, or another worker has it.

    With `seconds` None it goes on to the end.
    """
    row = _lease(tenant_id, backtest_id, now=now)
    if row is None:
        return None
    try:
        _replay(row, seconds=seconds)
    except Exception:
        log.exception("a backtest failed", extra={"tenant": str(tenant_id), "backtest": str(backtest_id)})
        row.state, row.error = Backtest.State.FAILED, "It could not be run to its end. Start it again, or tell us."
    return _store(row, now=now)


def cancel(tenant_id: UUID, backtest_id: UUID, *, acting: Member, now: datetime) -> None:
    """Stop a backtest; what is counted stays. Raises PolicyForbidden, NoSuchRow when it is over."""
    require(acting, CHANGE_RULE, tenant_id=tenant_id)
    with as_tenant(tenant_id):
        rows = rows_of(Backtest, tenant_id).filter(pk=backtest_id, state__in=ACTIVE)
        if not rows.update(state=Backtest.State.CANCELLED, ended_at=now, leased_until=None):
            raise NoSuchRow


def waiting() -> list[tuple[UUID, UUID]]:
    """(tenant, backtest) of every backtest that nobody is working on, oldest first in each tenant."""
    with connection.cursor() as cursor:
        cursor.execute("SELECT policy_tenants_with_backtests()")
        tenants = [row[0] for row in cursor.fetchall()]
    found = []
    for tenant_id in tenants:
        with as_tenant(tenant_id):
            rows = rows_of(Backtest, tenant_id).filter(state__in=ACTIVE).order_by("created_at")
            found += [(tenant_id, pk) for pk in rows.values_list("pk", flat=True)]
    return found


def _nudge(tenant_id: UUID, backtest_id: UUID) -> None:
    from policy.tasks import work_backtest  # tasks know this module; the sweep finds what a lost nudge left

    work_backtest.delay(str(tenant_id), str(backtest_id))


def _lease(tenant_id: UUID, backtest_id: UUID, *, now: datetime) -> Backtest | None:
    with as_tenant(tenant_id):
        row = (
            rows_of(Backtest, tenant_id)
            .filter(Q(leased_until=None) | Q(leased_until__lte=now), pk=backtest_id, state__in=ACTIVE)
            .select_for_update(no_key=True, of=("self",), skip_locked=True)
            .first()
        )
        if row is None:
            return None
        row.state, row.leased_until = Backtest.State.RUNNING, now + LEASE
        row.save(update_fields=["state", "leased_until"])
        return row


def _replay(row: Backtest, *, seconds: float | None) -> None:
    """Replay into the row, in memory, until the time is up or there is nothing left."""
    pair = pair_of(row.tenant_id, _compiled(row.draft_snapshot, row.draft_sha256))
    if pair is None:
        row.state, row.error = Backtest.State.FAILED, "The live revision cannot be loaded."
        return
    agents = agents_of(row.tenant_id)
    followed = what_followed(row.tenant_id, since=row.since)
    ends = time.monotonic() + seconds if seconds is not None else None
    while True:
        page = calls_page(row.tenant_id, since=row.since, until=row.until, beyond=row.cursor or None, limit=PAGE)
        for call in page:
            later = followed.get(call.uid, ())
            backtest.add(row.result, pair, call, uid=call.uid, agents=agents, later=later)
            row.cursor, row.done = call.entry_id, row.done + 1
        if len(page) < PAGE:
            row.state = Backtest.State.DONE
            row.result["counters"] = {}
            return
        if ends is not None and time.monotonic() >= ends:
            row.state = Backtest.State.WAITING
            return


@lru_cache(maxsize=8)
def _compiled(content: str, sha256: str) -> Program:
    return Program(snapshot.read(content, sha256=sha256, revision_id="", number=0))


def _store(row: Backtest, *, now: datetime) -> Backtest:
    with as_tenant(row.tenant_id):
        held = rows_of(Backtest, row.tenant_id).select_for_update(no_key=True, of=("self",)).get(pk=row.pk)
        # Stopped meanwhile, or another worker took it over: theirs counts.
        if held.state != Backtest.State.RUNNING or held.leased_until != row.leased_until:
            return held
        row.leased_until = None
        row.ended_at = None if row.state == Backtest.State.WAITING else now
        row.save(update_fields=["state", "error", "result", "cursor", "done", "leased_until", "ended_at"])
        return row
