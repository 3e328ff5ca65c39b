"""Floods: an agent that opens more reviews than an hour holds is slowed down, so that people are not worn out.

Exhausting the reviewers is an attack on them (OWASP, Agentic Threats: T10). Beyond the limit a call is denied with
`review_rate_limited`; a share of the hour is kept for tiers 3 and 4, so that a flood of small calls hides no large one.
Source: reviewer-experience.md ("Queue mechanics"), integrations.md section 1.4.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Final
from uuid import UUID

from django.db import connection
from django.db.models import Count, F, Q

from audit.scope import as_tenant
from reviews import notices
from reviews.models import DeskSettings, Flood, NoticeEvent, Review
from reviews.states import State
from tenants.isolation import rows_of
from tenants.models import Agent

RATE_LIMITED: Final = "review_rate_limited"
WINDOW: Final = timedelta(hours=1)
CALM: Final = timedelta(minutes=10)
KEPT_FROM_TIER: Final = 3

MESSAGE: Final = (
    "Denied: too many of your calls already wait for people, so this one was not shown to anybody. "
    "Slow down and ask again in {minutes} min. A person was told."
)


@dataclass(frozen=True)
class Wanted:
    """A call that would open a review."""

    index: int
    agent_id: UUID
    tier: int


@dataclass(frozen=True)
class FloodRow:
    """A flood that runs, as the queue shows it: reviews opened in the last 10 minutes, how many of them are copies."""

    flood: Flood
    slug: str
    name: str
    opened_count: int
    grouped_count: int
    suppressed_count: int


def suppress(tenant_id: UUID, wanted: Sequence[Wanted], *, now: datetime) -> Mapping[int, str]:
    """Index of each call that is one too many → what its agent is told; the flood is noted, its leads are told once.

    Call in the transaction that would open the reviews. The agents' rows are locked, by ascending id, so that calls of
    one agent that come at once cannot all be the last one.
    """
    agents = {
        agent.pk: agent
        for agent in rows_of(Agent, tenant_id)
        .select_for_update(no_key=True, of=("self",))
        .filter(pk__in={one.agent_id for one in wanted})
        .order_by("pk")
    }
    desk = rows_of(DeskSettings, tenant_id).first() or DeskSettings()
    opened = _opened(tenant_id, agents, now=now)
    beyond: dict[int, str] = {}
    suppressed: dict[UUID, int] = defaultdict(int)
    # In the order of the batch: an early call is not denied for a later one.
    for one in wanted:
        limit = agents[one.agent_id].reviews_per_hour
        limit = desk.reviews_per_hour if limit is None else limit
        counted = opened[one.agent_id]
        if counted.has_room(one.tier, limit=limit, reserved=-(-limit * desk.reserved_percent // 100)):
            counted.add(one.tier)
            continue
        suppressed[one.agent_id] += 1
        beyond[one.index] = MESSAGE.format(minutes=counted.minutes_left(now))
    for agent_id, count in suppressed.items():
        _note(tenant_id, agents[agent_id], count, now=now)
    return beyond


@dataclass
class _Opened:
    """What an agent opened in the window."""

    low: int = 0
    high: int = 0
    oldest: datetime | None = None

    def has_room(self, tier: int, *, limit: int, reserved: int) -> bool:
        if self.low + self.high >= limit:
            return False
        return tier >= KEPT_FROM_TIER or self.low < limit - reserved

    def add(self, tier: int) -> None:
        if tier >= KEPT_FROM_TIER:
            self.high += 1
        else:
            self.low += 1

    def minutes_left(self, now: datetime) -> int:
        """Whole minutes until the oldest leaves the window."""
        ends = (self.oldest or now) + WINDOW
        return max(1, -(-int((ends - now).total_seconds()) // 60))


def _opened(tenant_id: UUID, agents: Mapping[UUID, Agent], *, now: datetime) -> dict[UUID, _Opened]:
    found: dict[UUID, _Opened] = {agent_id: _Opened() for agent_id in agents}
    with connection.cursor() as cursor:
        # One statement, by the index review_flood.
        cursor.execute(
            """
            SELECT agent_id, count(*) FILTER (WHERE tier < %s), count(*) FILTER (WHERE tier >= %s), min(created_at)
              FROM reviews_review
             WHERE tenant_id = %s AND agent_id = ANY(%s) AND created_at > %s
             GROUP BY agent_id
            """,
            [KEPT_FROM_TIER, KEPT_FROM_TIER, tenant_id, list(agents), now - WINDOW],
        )
        for agent_id, low, high, oldest in cursor.fetchall():
            found[agent_id] = _Opened(low, high, oldest)
    return found


def _note(tenant_id: UUID, agent: Agent, count: int, *, now: datetime) -> None:
    """The flood's one row, made or raised; the agent's row is locked, so nobody makes it in between."""
    running = rows_of(Flood, tenant_id).filter(agent=agent, ended_at=None)
    if not running.update(suppressed_count=F("suppressed_count") + count, last_at=now):
        flood = Flood.objects.create(
            tenant_id=tenant_id, agent=agent, started_at=now, last_at=now, suppressed_count=count
        )
        notices.announce(tenant_id, NoticeEvent.FLOOD, agent=agent, subject=str(flood.pk), now=now)


def open_floods(tenant_id: UUID, *, now: datetime) -> list[FloodRow]:
    """The floods that run, the fiercest first. Call inside `as_tenant()`; two queries, one where there is none."""
    floods = list(rows_of(Flood, tenant_id).filter(ended_at=None).select_related("agent"))
    if not floods:
        return []
    recent = (
        Review.objects.of_tenant(tenant_id)
        .filter(agent__in=[flood.agent_id for flood in floods], created_at__gt=now - CALM)
        .values_list("agent_id")
        .annotate(opened=Count("pk"), grouped=Count("pk", filter=Q(copy_of__isnull=False, state=State.OPEN)))
        .order_by()
    )
    counts = {agent_id: (opened, grouped) for agent_id, opened, grouped in recent}
    rows = [
        FloodRow(
            flood=flood,
            slug=flood.agent.slug,
            name=flood.agent.name,
            opened_count=counts.get(flood.agent_id, (0, 0))[0],
            grouped_count=counts.get(flood.agent_id, (0, 0))[1],
            suppressed_count=flood.suppressed_count,
        )
        for flood in floods
    ]
    return sorted(rows, key=lambda row: (-row.suppressed_count, row.slug))


def end_calm(*, now: datetime) -> int:
    """End the floods that suppressed nothing for ten minutes; how many. Safe to run twice."""
    return sum(_end_calm_of(tenant_id, now=now) for tenant_id in _flooded_tenants())


def _end_calm_of(tenant_id: UUID, *, now: datetime) -> int:
    with as_tenant(tenant_id):
        return rows_of(Flood, tenant_id).filter(ended_at=None, last_at__lte=now - CALM).update(ended_at=now)


def _flooded_tenants() -> list[UUID]:
    """Answered by a SECURITY DEFINER function (migration 0007): no tenant is set yet, and only ids come back."""
    with connection.cursor() as cursor:
        cursor.execute("SELECT reviews_flooded_tenants()")
        return [row[0] for row in cursor.fetchall()]
