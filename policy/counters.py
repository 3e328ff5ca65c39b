"""Counters of the hot path: reserved and read by one statement that commits by itself, released when a call ends badly.

A value is one row of 13 slots: twelfths of the window, the last of them the current one, by the database's clock.
A total may reach a twelfth past the window: too much, never too little. Source: the policy design, section 9.
"""

from __future__ import annotations

import logging
from collections import defaultdict
from collections.abc import Iterable, Mapping, Sequence
from contextlib import nullcontext
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from typing import Final
from uuid import UUID

from django.db import Error, connection, transaction

from audit.scope import as_tenant
from policy.counting import MOST_WINDOW, Part
from policy.functions import MAX_SAFE_INTEGER
from policy.live import live_policy
from policy.models import CounterReservation
from tenants.isolation import rows_of
from tenants.models import Tenant

log = logging.getLogger("guardsite.policy")

LOCK_WAIT: Final = "50ms"
MAX_KEYS: Final = 1_000_000
# How many keys this process may add before it counts them again.
KEYS_BETWEEN_COUNTS: Final = 1_000


@dataclass(frozen=True)
class Held:
    """What a call added to one stored value, in the slot of index `head`."""

    counter: str
    key: str
    head: int
    amount: int


@dataclass(frozen=True)
class Reserved:
    """What one call reads and has added. A counter that could not be read is in neither."""

    stats: Mapping[str, int] = field(default_factory=dict)
    held: tuple[Held, ...] = ()


NOTHING: Final = Reserved()

# The tenant and the lock's time-out are set by the statement itself, so that it needs no transaction around it: row-level
# security looks at each row after `scope` has run. A slot's index is the time in twelfths of the window.
_RESERVE: Final = """
WITH scope AS MATERIALIZED (
    SELECT set_config('guardsite.tenant', %(tenant)s, true), set_config('lock_timeout', %(wait)s, true)
),
wanted AS (
    SELECT w.counter, w.key, w.amount,
           floor(extract(epoch FROM clock_timestamp()) * 12 / w.seconds)::bigint AS head
      FROM scope, unnest(%(counters)s::text[], %(keys)s::text[], %(seconds)s::bigint[], %(amounts)s::bigint[])
           AS w (counter, key, seconds, amount)
)
INSERT INTO policy_countervalue AS v (tenant_id, counter, key, slots, head)
SELECT %(tenant)s::uuid, w.counter, w.key, array_fill(0::bigint, ARRAY[12]) || w.amount, w.head
  FROM wanted w
 WHERE NOT %(full)s OR EXISTS (
           SELECT FROM policy_countervalue k
            WHERE k.tenant_id = %(tenant)s::uuid AND k.counter = w.counter AND k.key = w.key)
 ORDER BY w.counter, w.key
    ON CONFLICT (tenant_id, counter, key) DO UPDATE
   SET slots = (v.slots || array_fill(0::bigint, ARRAY[13]))
                   [1 + least(greatest(excluded.head - v.head, 0), 13)
                    : 12 + least(greatest(excluded.head - v.head, 0), 13)]
               || least((v.slots || array_fill(0::bigint, ARRAY[13]))
                            [13 + least(greatest(excluded.head - v.head, 0), 13)] + excluded.slots[13],
                        9007199254740991),
       head = greatest(v.head, excluded.head)
RETURNING v.counter, v.key, v.head, (SELECT sum(s) FROM unnest(v.slots) s)::numeric, xmax = 0
"""

# Locked in the order in which a reservation locks.
_RELEASE: Final = """
WITH gone AS (
    SELECT g.* FROM unnest(%(counters)s::text[], %(keys)s::text[], %(heads)s::bigint[], %(amounts)s::bigint[])
        AS g (counter, key, head, amount)
),
found AS (
    SELECT v.id, 13 - (v.head - g.head) AS slot, g.amount
      FROM policy_countervalue v JOIN gone g ON v.counter = g.counter AND v.key = g.key
     WHERE v.tenant_id = %(tenant)s::uuid AND v.head - g.head BETWEEN 0 AND 12
     ORDER BY v.counter, v.key
       FOR NO KEY UPDATE OF v
)
UPDATE policy_countervalue v
   SET slots[f.slot] = greatest(v.slots[f.slot] - f.amount, 0)
  FROM found f
 WHERE v.id = f.id
"""

_added: dict[UUID, int] = {}
_full: set[UUID] = set()


def reset() -> None:
    """Forget what this process knows of how many keys there are."""
    _added.clear()
    _full.clear()


def reserve(tenant_id: UUID, wanted: Sequence[tuple[Part, ...]]) -> list[Reserved]:
    """For each call, the counters with this call included; one statement for all of them, none for none.

    Calls of one batch follow one another: each counts those before it. Call it outside a transaction, so that it commits
    by itself and no lock is held while rules run. Never raises: what could not be had within 50 ms is missing, which is
    an error of every rule that asks for it.
    """
    sums: dict[tuple[str, str], int] = defaultdict(int)
    seconds: dict[tuple[str, str], int] = {}
    for part in (part for parts in wanted for part in parts):
        sums[part.counter, part.key] = min(sums[part.counter, part.key] + part.amount, MAX_SAFE_INTEGER)
        seconds[part.counter, part.key] = part.window_seconds
    if not sums:
        return [NOTHING for _ in wanted]
    try:
        totals = _reserve(tenant_id, sums, seconds)
    except Error:
        log.warning("counters could not be reserved", exc_info=True, extra={"tenant": str(tenant_id)})
        return [NOTHING for _ in wanted]
    found: list[Reserved] = []
    # What later calls of the batch added is not yet there for the earlier ones.
    later: dict[tuple[str, str], int] = defaultdict(int)
    for parts in reversed(wanted):
        stats, held = {}, []
        for part in parts:
            at = (part.counter, part.key)
            if at in totals:
                head, total = totals[at]
                stats[part.counter] = min(total - later[at], MAX_SAFE_INTEGER)
                if part.amount:
                    held.append(Held(part.counter, part.key, head, part.amount))
        for part in parts:
            later[part.counter, part.key] += part.amount
        found.append(Reserved(stats, tuple(held)))
    return found[::-1]


def _reserve(
    tenant_id: UUID, sums: Mapping[tuple[str, str], int], seconds: Mapping[tuple[str, str], int]
) -> dict[tuple[str, str], tuple[int, int]]:
    """(slot's index, total) of each value after the addition."""
    _count_keys(tenant_id)
    # Where there is no room, the statement also reads: row-level security must know the tenant before it starts.
    around = as_tenant(tenant_id) if tenant_id in _full else nullcontext()
    with around, connection.cursor() as cursor:
        cursor.execute(
            _RESERVE,
            {
                "tenant": str(tenant_id),
                "wait": LOCK_WAIT,
                "counters": [counter for counter, _ in sums],
                "keys": [key for _, key in sums],
                "seconds": [seconds[at] for at in sums],
                "amounts": list(sums.values()),
                "full": tenant_id in _full,
            },
        )
        rows = cursor.fetchall()
    _added[tenant_id] = _added.get(tenant_id, 0) + sum(is_new for *_, is_new in rows)
    return {(counter, key): (head, int(total)) for counter, key, head, total, _ in rows}


def _count_keys(tenant_id: UUID) -> None:
    """Look, once in a thousand new keys of this process, whether the tenant has as many as it may."""
    if tenant_id in _added and _added[tenant_id] < KEYS_BETWEEN_COUNTS:
        return
    with as_tenant(tenant_id), connection.cursor() as cursor:
        cursor.execute(
            "SELECT count(*) FROM (SELECT FROM policy_countervalue WHERE tenant_id = %s LIMIT %s) k",
            [tenant_id, MAX_KEYS],
        )
        (count,) = cursor.fetchone()
    (_full.add if count >= MAX_KEYS else _full.discard)(tenant_id)
    _added[tenant_id] = 0


def release(tenant_id: UUID, held: Iterable[Held]) -> None:
    """Give back what calls have added and will not do; call it after the commit that says so. Never raises.

    A crash before it leaves one too many in the counter.
    """
    sums: dict[tuple[str, str, int], int] = defaultdict(int)
    for item in held:
        sums[item.counter, item.key, item.head] += item.amount
    # One row is changed once by a statement: values that were added to in two twelfths need two.
    while sums:
        now: dict[tuple[str, str], tuple[int, int]] = {}
        for counter, key, head in sums:
            now.setdefault((counter, key), (head, sums[counter, key, head]))
        for (counter, key), (head, _) in now.items():
            del sums[counter, key, head]
        try:
            with as_tenant(tenant_id), connection.cursor() as cursor:
                cursor.execute(
                    _RELEASE,
                    {
                        "tenant": str(tenant_id),
                        "counters": [counter for counter, _ in now],
                        "keys": [key for _, key in now],
                        "heads": [head for head, _ in now.values()],
                        "amounts": [amount for _, amount in now.values()],
                    },
                )
        except Error:
            log.warning("counters could not be released", exc_info=True, extra={"tenant": str(tenant_id)})
            return


def keep(tenant_id: UUID, held: Mapping[UUID, Sequence[Held]], *, now: datetime) -> None:
    """Remember what held calls (by call id) have reserved; in the transaction that opens their reviews."""
    rows = [
        CounterReservation(
            tenant_id=tenant_id,
            call_id=call_id,
            counter=item.counter,
            key=item.key,
            head=item.head,
            amount=item.amount,
            created_at=now,
        )
        for call_id, items in held.items()
        for item in items
    ]
    if rows:
        CounterReservation.objects.bulk_create(rows)


def give_back(tenant_id: UUID, call_id: UUID) -> None:
    """Forget what a held call has reserved, and release it after the commit. Inside the tenant's transaction.

    Of two who ask, one gets it. A call without reservations costs one look.
    """
    with connection.cursor() as cursor:
        cursor.execute(
            "DELETE FROM policy_counterreservation WHERE tenant_id = %s AND call_id = %s"
            " RETURNING counter, key, head, amount",
            [tenant_id, call_id],
        )
        held = [Held(*row) for row in cursor.fetchall()]
    if held:
        transaction.on_commit(lambda: release(tenant_id, held), robust=True)


def sweep(tenant_id: UUID, *, windows: Iterable[tuple[str, int]], now: datetime) -> int:
    """Delete values that no window reaches any more, and reservations older than any window; how many values.

    `windows` are (counter, seconds) of every definition in use: a value of no such counter is idle too.
    """
    known = list(windows)
    with as_tenant(tenant_id), connection.cursor() as cursor:
        oldest = now - timedelta(seconds=MOST_WINDOW * 13 / 12)
        rows_of(CounterReservation, tenant_id).filter(created_at__lt=oldest).delete()
        cursor.execute(
            """
            DELETE FROM policy_countervalue v
             WHERE v.tenant_id = %s AND NOT EXISTS (
                   SELECT FROM unnest(%s::text[], %s::bigint[]) AS w (counter, seconds)
                    WHERE w.counter = v.counter
                      AND v.head BETWEEN floor(%s * 12 / w.seconds) - 13 AND floor(%s * 12 / w.seconds) + 1)
            """,
            [
                tenant_id,
                [name for name, _ in known],
                [seconds for _, seconds in known],
                now.timestamp(),
                now.timestamp(),
            ],
        )
        return int(cursor.rowcount)


def sweep_all(*, now: datetime) -> int:
    """Sweep every tenant whose policy can be read; how many values went."""
    count = 0
    for tenant_id in Tenant.objects.values_list("pk", flat=True):
        program = live_policy(tenant_id).program
        if program is not None:
            windows = [(counter.name, counter.window_seconds) for counter in program.rules.counters]
            count += sweep(tenant_id, windows=windows, now=now)
    return count


_PEEK: Final = """
SELECT v.counter, v.key, v.head, v.slots, floor(extract(epoch FROM clock_timestamp()) * 12 / w.seconds)::bigint
  FROM unnest(%s::text[], %s::text[], %s::bigint[]) AS w (counter, key, seconds)
  JOIN policy_countervalue v ON v.counter = w.counter AND v.key = w.key AND v.tenant_id = %s
"""


def read(tenant_id: UUID, parts: Sequence[Part], *, instead_of: UUID) -> dict[str, int]:
    """The counters as they would stand with a held call changed to add `parts`; reserves nothing.

    What the held call (by its call id) has reserved is taken off first. Call it inside `as_tenant()`.
    """
    if not parts:
        return {}
    reserved = {
        (row.counter, row.key): (row.head, row.amount)
        for row in rows_of(CounterReservation, tenant_id).filter(call_id=instead_of)
    }
    with connection.cursor() as cursor:
        cursor.execute(
            _PEEK,
            [
                [part.counter for part in parts],
                [part.key for part in parts],
                [part.window_seconds for part in parts],
                tenant_id,
            ],
        )
        rows = {(counter, key): (head, slots, head_now) for counter, key, head, slots, head_now in cursor.fetchall()}
    found = {}
    for part in parts:
        head, slots, head_now = rows.get((part.counter, part.key), (0, [], 0))
        total = int(sum(slots[max(0, head_now - head) :]))
        slot, amount = reserved.get((part.counter, part.key), (0, 0))
        if amount and head_now - slot <= len(slots) - 1:
            total = max(0, total - amount)
        found[part.counter] = min(total + part.amount, MAX_SAFE_INTEGER)
    return found
