"""Agents as the desk sees them: who runs, who floods, who is paused; and the pause itself.

A pause is a freeze of one agent by anybody who decides: a code, no sign-in, no hold. A lead resumes it with a fresh
sign-in. Source: reviewer-experience.md ("Queue mechanics").
"""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime
from typing import Any, Final
from uuid import UUID

from django.db import models
from django.db.models import Count, Max, Q

from audit.calls import last_heard_of
from audit.scope import as_tenant
from policy import freezes
from policy.models import Freeze
from reviews.errors import AgentPausedAlready, InvalidPause, NotFound
from reviews.floods import FloodRow, open_floods
from reviews.models import Review
from reviews.states import State, VerdictKind
from tenants.isolation import rows_of
from tenants.models import Agent, Member

LEAST_NOTE: Final = 10
MOST_NOTE: Final = 200


class PauseCode(models.TextChoices):
    """Why an agent is paused."""

    SUSPICIOUS = "suspicious", "Suspicious calls"
    FLOOD = "flood", "Too many calls"
    WRONG_CALLS = "wrong_calls", "Wrong or broken calls"
    OTHER = "other", "Another reason"


@dataclass(frozen=True)
class AgentRow:
    """An agent with what it does now and did today (UTC); counts are of reviews.

    `last_seen_at` is the latest that its keys, the log and its waiting calls know of; None where they know of nothing.
    """

    agent: Agent
    freeze: Freeze | None
    flood: FloodRow | None
    waiting: int
    opened_today: int
    approved_today: int
    denied_today: int
    last_seen_at: datetime | None


def pause_agent(acting_member: Member, slug: str, *, code: str, note: str, now: datetime) -> Freeze:
    """Deny every call of the agent from now on, within 5 s everywhere. What waits in the queue stays there.

    Raises NotFound, InvalidPause (`errors`: field → sentence), AgentPausedAlready, PolicyForbidden.
    """
    tenant_id = acting_member.tenant_id
    text = note.strip()
    if code not in PauseCode.values:
        raise InvalidPause(errors={"code": "Choose a reason."})
    if len(text) > MOST_NOTE:
        raise InvalidPause(errors={"note": f"Keep the note within {MOST_NOTE} characters."})
    if code == PauseCode.OTHER and len(text) < LEAST_NOTE:
        raise InvalidPause(errors={"note": f"Say in {LEAST_NOTE} characters or more why."})
    with as_tenant(tenant_id):
        if not rows_of(Agent, tenant_id).filter(slug=slug).exists():
            raise NotFound
        if freeze_of(tenant_id, slug) is not None:
            raise AgentPausedAlready
        label = PauseCode(code).label
        reason = f"{label}: {text}" if text else f"Paused: {label[0].lower()}{label[1:]}."
        return freezes.pause(tenant_id, acting=acting_member, agent_id=slug, code=code, reason=reason, now=now)


def freeze_of(tenant_id: UUID, slug: str) -> Freeze | None:
    """The freeze in force on this agent alone, or None. Call inside `as_tenant()`."""
    rows = rows_of(Freeze, tenant_id).filter(scope=Freeze.Scope.AGENT, target=slug, lifted_at=None)
    return rows.select_related("frozen_by__user").first()


def find_agent(tenant_id: UUID, slug: str) -> Agent:
    """The tenant's agent. Raises NotFound, also for another tenant's."""
    agent = rows_of(Agent, tenant_id).select_related("owner__user").filter(slug=slug).first()
    if agent is None:
        raise NotFound
    return agent


def agent_rows(tenant_id: UUID, *, now: datetime) -> list[AgentRow]:
    """Every agent, those that flood or are paused first. Seven queries, however many agents. Inside `as_tenant()`."""
    agents = list(rows_of(Agent, tenant_id).select_related("owner__user").order_by("name", "slug"))
    frozen = {
        row.target: row
        for row in rows_of(Freeze, tenant_id)
        .filter(scope=Freeze.Scope.AGENT, lifted_at=None)
        .select_related("frozen_by__user")
    }
    floods = {row.flood.agent_id: row for row in open_floods(tenant_id, now=now)}
    today = now.replace(hour=0, minute=0, second=0, microsecond=0)
    reviews = Review.objects.of_tenant(tenant_id).order_by()
    waiting = {
        row["agent_id"]: row
        for row in reviews.filter(state=State.OPEN, expires_at__gt=now)
        .values("agent_id")
        .annotate(count=Count("pk", filter=Q(copy_of=None)), seen_at=Max("caller_seen_at"))
    }
    # A first approval of several is in no count: who may give the second reads this page too.
    ended = Q(state__in=(State.ON_HOLD, State.RELEASED))
    denied = Q(verdicts__undone_at=None, verdicts__cleared_at=None, verdicts__kind=VerdictKind.DENY)
    totals = {
        row["agent_id"]: row
        for row in reviews.filter(created_at__gte=today)
        .values("agent_id")
        .annotate(
            opened=Count("pk", distinct=True),
            decided=Count("pk", filter=ended, distinct=True),
            denied=Count("pk", filter=ended & denied, distinct=True),
        )
    }
    heard = last_heard_of(tenant_id, [agent.slug for agent in agents])
    seen = dict(rows_of(Agent, tenant_id).values_list("pk").annotate(at=Max("apikey__last_used_at")))
    none = {"opened": 0, "decided": 0, "denied": 0}
    no_wait: dict[str, Any] = {"count": 0, "seen_at": None}
    rows = [
        AgentRow(
            agent=agent,
            freeze=frozen.get(agent.slug),
            flood=floods.get(agent.pk),
            waiting=waiting.get(agent.pk, no_wait)["count"],
            opened_today=totals.get(agent.pk, none)["opened"],
            approved_today=totals.get(agent.pk, none)["decided"] - totals.get(agent.pk, none)["denied"],
            denied_today=totals.get(agent.pk, none)["denied"],
            # A key notes its use now and then, the log each call, and a call that waits who asks after it.
            last_seen_at=max(
                filter(None, (seen.get(agent.pk), heard.get(agent.slug), waiting.get(agent.pk, no_wait)["seen_at"])),
                default=None,
            ),
        )
        for agent in agents
    ]
    return sorted(rows, key=lambda row: (row.flood is None, row.freeze is None))
