"""What is around a held call: earlier calls like it, the same call before, the turn it belongs to. Reads only.

A handful of indexed queries, each with a limit. What was let through is read from reviews (approved, as it ran) and from
the log (allowed without a person); what was asked, from reviews alone. Sentences are made in `history`.
Source: reviewer-experience.md section 3, "Around the call".
"""

from __future__ import annotations

import json
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any, Final
from zoneinfo import ZoneInfo

from django.db.models import OuterRef, Subquery

from audit.calls import allowed_calls
from reviews import history
from reviews.cards.types import Notice, Severity, Template
from reviews.history import Asked, PastCall, said
from reviews.models import Review, Verdict
from reviews.places import Places
from reviews.states import State, VerdictKind

MOST_REVIEWS: Final = 200
MOST_LOGGED: Final = 100
SAME_CALL_WITHIN: Final = timedelta(days=1)

_APPROVED: Final = (VerdictKind.APPROVE, VerdictKind.APPROVE_WITH_AMENDMENTS)


@dataclass(frozen=True)
class Today:
    """What was asked since midnight of the reader's zone, this call included; `total` is empty where units differ."""

    by_agent: int
    with_target: int
    total: str = ""
    target_label: str = ""


@dataclass(frozen=True)
class Around:
    """Everything the card says of other calls. `nearest` is the one that *Changed since last time* compares with."""

    findings: tuple[Notice, ...]
    known_addresses: frozenset[str] | None
    nearest_at: datetime | None
    nearest_params: object | None
    today: Today


@dataclass(frozen=True)
class _Earlier:
    """An earlier call as it is compared. `allowed` is true for what was let through, as it ran."""

    at: datetime
    is_same_agent: bool
    params: object
    content_key: str = ""
    run_id: str = ""
    is_allowed: bool = False
    is_review: bool = True


def around(review: Review, *, template: Template | None, zone: str, now: datetime) -> Around:
    """What is around the call of a review, asked before it, and decided before it was. Some six queries, whatever the history."""
    params = json.loads(review.params_text)
    places = Places.of(params, template, now=now)
    asked = _asked(places, review.created_at, params)
    # A decided card keeps saying what its reviewer read.
    as_of = review.ended_at or now
    decided = _decided_before(review, as_of=as_of)
    recent = _asked_today(review, zone=zone)
    logged, is_log_whole = _logged_before(review)
    allowed = sorted([*(call for call in decided if call.is_allowed), *logged], key=lambda call: call.at, reverse=True)
    is_whole = is_log_whole and len(decided) < MOST_REVIEWS
    past = [_past(places, call) for call in allowed]
    others = [_past(places, call) for call in recent if not _is_retry(call, review)]
    nearest = _nearest([call for call in allowed if call.is_review], places=places, asked=asked)
    return Around(
        findings=(
            *history.compared(asked, past, [call for call in others if call.at <= asked.at], is_whole=is_whole),
            *_same_call(review, as_of=as_of),
        ),
        known_addresses=places.addresses_in(call.params for call in allowed) if is_whole and allowed else None,
        nearest_at=nearest.at if nearest else None,
        nearest_params=nearest.params if nearest else None,
        today=_today(review, asked, others, recent),
    )


def _asked(places: Places, at: datetime, params: object) -> Asked:
    return Asked(
        at=at,
        targets=places.targets_in(params),
        amounts=places.amounts_in(params),
        labels=places.labels,
        is_declared=places.is_declared,
    )


def _past(places: Places, call: _Earlier) -> PastCall:
    return PastCall(
        at=call.at,
        is_same_agent=call.is_same_agent,
        targets=places.targets_in(call.params),
        amounts=places.amounts_in(call.params),
    )


def _decided_before(review: Review, *, as_of: datetime) -> list[_Earlier]:
    """The newest reviews of the action, asked before this one, decided as of then; of an amended call what ran."""
    standing = Verdict.objects.filter(review=OuterRef("pk"), undone_at=None, cleared_at=None).order_by("-slot")
    rows = (
        _before(review)
        .filter(state__in=(State.ON_HOLD, State.RELEASED), ended_at__lte=as_of)
        .annotate(
            verdict_kind=Subquery(standing.values("kind")[:1]),
            ran_text=Subquery(standing.values("amended_params_text")[:1]),
        )
        .values_list("created_at", "agent_id", "params_text", "content_key", "run_id", "verdict_kind", "ran_text")
    )
    return [
        _Earlier(
            at=at,
            is_same_agent=agent_id == review.agent_id,
            params=json.loads(ran or text),
            content_key=content_key,
            run_id=run_id,
            is_allowed=kind in _APPROVED,
        )
        for at, agent_id, text, content_key, run_id, kind, ran in rows.order_by("-created_at")[:MOST_REVIEWS]
    ]


def _asked_today(review: Review, *, zone: str) -> list[_Earlier]:
    """What was asked of the action since midnight, or in the hour before where that is longer; whatever became of it."""
    midnight = review.created_at.astimezone(ZoneInfo(zone)).replace(hour=0, minute=0, second=0, microsecond=0)
    rows = (
        _before(review)
        .filter(created_at__gte=min(midnight, review.created_at - history.REPEAT_WITHIN))
        .values_list("created_at", "agent_id", "params_text", "content_key", "run_id")
    )
    return [
        _Earlier(
            at=at,
            is_same_agent=agent_id == review.agent_id,
            params=json.loads(text),
            content_key=content_key,
            run_id=run_id,
        )
        for at, agent_id, text, content_key, run_id in rows.order_by("-created_at")[:MOST_REVIEWS]
    ]


def _before(review: Review) -> Any:
    """Earlier reviews of the same action; ids sort by time, so calls of one batch have an order too.

    By the same kind of key alone, or tests would make a live call look usual.
    """
    return Review.objects.of_tenant(review.tenant_id).filter(
        action_id=review.action_id,
        key_environment=review.key_environment,
        created_at__lte=review.created_at,
        pk__lt=review.pk,
    )


def _logged_before(review: Review) -> tuple[list[_Earlier], bool]:
    """The newest calls of the action that policy let through without a person, and whether they are all.

    Values that were erased are left out.
    """
    calls, is_whole = allowed_calls(
        review.tenant_id, action_id=review.action_id, before=review.created_at, limit=MOST_LOGGED
    )
    found = [
        _Earlier(
            at=call.decided_at,
            is_same_agent=call.agent == review.agent.slug,
            params=call.params,
            run_id=call.run_id,
            is_allowed=True,
            is_review=False,
        )
        for call in calls
        if call.params is not None and call.environment == review.key_environment
    ]
    return found, is_whole


def _is_retry(call: _Earlier, review: Review) -> bool:
    """Whether it is this very call, asked before in the same run: one wish, however often it is put."""
    return call.content_key == review.content_key and call.run_id == review.run_id


def _nearest(calls: Sequence[_Earlier], *, places: Places, asked: Asked) -> _Earlier | None:
    """The earlier call that shares most targets, of several the newest; else the newest of the same agent."""
    best: tuple[int, _Earlier] | None = None
    for call in calls:
        targets = places.targets_in(call.params)
        score = 2 * sum(targets.get(pointer) == value for pointer, value in asked.targets.items()) + call.is_same_agent
        if score and (best is None or score > best[0]):
            best = (score, call)
    return best[1] if best else None


def _today(review: Review, asked: Asked, others: Sequence[PastCall], recent: Sequence[_Earlier]) -> Today:
    by_agent = sum(call.is_same_agent for call in recent) + 1
    for pointer, value in asked.targets.items():
        same = [call for call in others if call.targets.get(pointer) == value]
        return Today(
            by_agent=by_agent,
            with_target=len(same) + 1,
            total=history.total_of(asked, same),
            target_label=asked.labels.get(pointer, ""),
        )
    return Today(by_agent=by_agent, with_target=0)


def _same_call(review: Review, *, as_of: datetime) -> Iterator[Notice]:
    """How the very same call ended before, newest first: by whom it was denied, or that it was allowed and ran."""
    reviews = (
        Review.objects.of_tenant(review.tenant_id)
        .filter(
            state__in=(State.ON_HOLD, State.RELEASED),
            ended_at__lte=as_of,
            content_key=review.content_key,
            created_at__gte=review.created_at - SAME_CALL_WITHIN,
            created_at__lte=review.created_at,
            pk__lt=review.pk,
        )
        .prefetch_related("verdicts__member__user", "grants__execution")
        .order_by("-created_at")
    )
    for earlier in reviews[:1]:
        verdict = earlier.verdict
        if verdict is None:
            continue
        ago = history.minutes(as_of - verdict.created_at)
        if verdict.kind == VerdictKind.DENY:
            code = verdict.get_code_display().lower()
            yield said(f"The same call was denied {ago} ago by {verdict.member} ({code})", Severity.DANGER)
            continue
        grant = next((grant for grant in earlier.grants.all() if grant.voided_at is None), None)
        execution = getattr(grant, "execution", None)
        if execution is not None and execution.state == "succeeded":
            yield said(f"The same call was approved {ago} ago, and it ran", Severity.DANGER)
        else:
            yield said(f"The same call was approved {ago} ago")
