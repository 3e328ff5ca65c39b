"""Agents as they speak to the gate: who they are in an entry, whether they still wait, what they gave up."""

from __future__ import annotations

import json
from collections.abc import Sequence
from datetime import datetime, timedelta
from enum import StrEnum
from uuid import UUID

from django.db.models import Q

from audit.ids import parse_wire_id
from audit.record import Actor, Disclosure, EntryDraft, record
from audit.scope import as_tenant
from policy import counters
from reviews.copies import promote
from reviews.errors import NotFound, ReviewClosed
from reviews.models import Review
from reviews.resumes import enqueue
from reviews.states import Event, State, next_state
from tenants.keys import Caller
from tenants.models import Agent

SEEN_RESOLUTION = timedelta(seconds=10)
SEEN_MEANS_WAITING = timedelta(seconds=60)


class CallerState(StrEnum):
    """Is anyone still there to run the call."""

    WAITING = "waiting"
    UNKNOWN = "unknown"
    GONE = "gone"


def agent_actor(caller: Caller, agent: Agent) -> Actor:
    """The agent as the actor of an entry; the session is the key it used."""
    return Actor(type="agent", id=agent.slug, session=caller.key_public_id)


def caller_state(review: Review, *, now: datetime) -> CallerState:
    """Whether the caller was seen within a minute, gave up, or nobody knows."""
    if review.caller_gone_at is not None:
        return CallerState.GONE
    allowance = SEEN_MEANS_WAITING + timedelta(seconds=review.caller_next_check_seconds or 0)
    if review.caller_seen_at is not None and now - review.caller_seen_at <= allowance:
        return CallerState.WAITING
    return CallerState.UNKNOWN


def note_seen(tenant_id: UUID, review_ids: Sequence[UUID], *, now: datetime) -> None:
    """Remember that the caller asked; at most one write in 10 s per review."""
    stale = Q(caller_seen_at=None) | Q(caller_seen_at__lt=now - SEEN_RESOLUTION)
    Review.objects.of_tenant(tenant_id).filter(stale, pk__in=review_ids).update(caller_seen_at=now, caller_gone_at=None)


def agents_review(caller: Caller, wire_id: str) -> Review:
    """The caller's own review; a gateway key sees its tenant's. Raises NotFound."""
    review_id = parse_wire_id("rv", wire_id)
    reviews = Review.objects.of_tenant(caller.tenant_id).prefetch_related("verdicts", "grants__execution")
    if caller.agent is not None:
        reviews = reviews.filter(agent=caller.agent)
    review = reviews.filter(pk=review_id).first() if review_id else None
    if review is None:
        raise NotFound
    return review


def cancel(caller: Caller, wire_id: str, *, reason: str, now: datetime) -> Review:
    """The call is no longer wanted. A second cancel changes nothing. Raises NotFound, ReviewClosed after an end."""
    with as_tenant(caller.tenant_id):
        review_id = agents_review(caller, wire_id).pk
        review = Review.objects.select_for_update(no_key=True, of=("self",)).select_related("agent").get(pk=review_id)
        if review.state == State.CANCELLED:
            return review
        state = next_state(review.state_at(now), Event.CANCEL)
        if state is None:
            raise ReviewClosed
        review.state = state
        review.version += 1
        review.ended_at = now
        review.caller_gone_at = now
        review.save(update_fields=["state", "version", "ended_at", "caller_gone_at"])
        record(
            caller.tenant_id,
            EntryDraft(
                kind="review.cancelled",
                fields={"review": {"id": review.wire_id}, "action_id": review.action_id},
                actor=agent_actor(caller, review.agent),
                refs=(review.entry_uid,),
                disclosures=(Disclosure("reason", json.dumps(reason)),) if reason else (),
            ),
        )
        counters.give_back(caller.tenant_id, review.call_id)
        enqueue(review, cause="cancelled", verdict=None, due_at=now)
        promote(review, now=now)
        return review


def heartbeat(
    caller: Caller, *, waiting: Sequence[tuple[str, int | None]], gone: Sequence[str], now: datetime
) -> list[Review]:
    """Note who still waits (with seconds to the next look) and who gave up; the waiting reviews as they are now.

    Ids that are not the caller's are left out: they look like absent ones.
    """
    wanted = {parse_wire_id("rv", wire_id): seconds for wire_id, seconds in waiting}
    wanted.pop(None, None)
    left = [pk for pk in (parse_wire_id("rv", wire_id) for wire_id in gone) if pk is not None]
    with as_tenant(caller.tenant_id):
        own = Review.objects.of_tenant(caller.tenant_id)
        if caller.agent is not None:
            own = own.filter(agent=caller.agent)
        reviews = list(own.filter(pk__in=[pk for pk in wanted if pk]).prefetch_related("verdicts").order_by("pk"))
        for review in reviews:
            own.filter(pk=review.pk).update(
                caller_seen_at=now, caller_gone_at=None, caller_next_check_seconds=wanted[review.pk]
            )
        own.filter(pk__in=left).update(caller_gone_at=now)
    return reviews
