"""Deciding several reviews by one form: a bulk approval of plain, alike tier 1 calls; a bulk denial of anything.

Source: reviewer-experience.md ("Queue mechanics"). Each review keeps its own check of what was seen, its own verdict,
entry and delivery; one that fails is told by itself and takes no other along.
"""

from __future__ import annotations

import hashlib
import json
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any, Final

from audit.errors import DomainError
from audit.ids import parse_wire_id
from audit.scope import as_tenant
from reviews.access import is_own_request
from reviews.asked import asked_call
from reviews.bulk_cards import BulkCard, cards_of
from reviews.choices import Choice
from reviews.copies import waiting_copies
from reviews.errors import InvalidStep
from reviews.ladder import Via
from reviews.models import Review, Verdict
from reviews.routing import Reach, reach_of
from reviews.states import State, VerdictKind
from reviews.undoing import undo
from reviews.verdicts import decide
from tenants.models import Member
from tenants.stepup import Evidence

APPROVE_AT_MOST: Final = 20
DENY_AT_MOST: Final = 200


@dataclass(frozen=True)
class Pick:
    """A review as it stood on the form: what was seen is what is decided."""

    wire_id: str
    version: int
    digest: str
    template: str = ""

    @classmethod
    def of(cls, review: Review, *, template: str = "") -> Pick:
        """The review as it stands now."""
        return cls(review.wire_id, review.version, asked_call(review).digest, template)

    def __str__(self) -> str:
        return f"{self.wire_id}:{self.version}:{self.digest}:{self.template}"


def parse_pick(text: str) -> Pick | None:
    """The pick that a form posts back, or None for anything else."""
    parts = text.split(":")
    if len(parts) != 4 or parse_wire_id("rv", parts[0]) is None or not parts[1].isascii() or not parts[1].isdigit():
        return None
    return Pick(parts[0], int(parts[1]), parts[2], parts[3])


@dataclass(frozen=True)
class Candidate:
    """A selected review on the bulk form: its card, why it is left out (empty if it is not), labels and values."""

    pick: Pick
    review: Review
    card: BulkCard
    left_out: str = ""
    values: tuple[tuple[str, str], ...] = ()


@dataclass(frozen=True)
class Approval:
    """What a bulk approval would decide: alike calls with the columns in which they differ, and what is left out."""

    chosen: tuple[Candidate, ...]
    left_out: tuple[Candidate, ...]
    columns: tuple[str, ...]


@dataclass(frozen=True)
class Outcome:
    """What became of one pick."""

    review: Review
    verdict: Verdict | None = None
    refusal: str = ""


def selected(member: Member, wire_ids: Iterable[str], *, at_most: int) -> list[Review]:
    """The tenant's reviews among these ids, oldest first; what is not there is left out, another tenant's too."""
    ids = {parsed for text in wire_ids if (parsed := parse_wire_id("rv", text)) is not None}
    rows = Review.objects.of_tenant(member.tenant_id).filter(pk__in=ids)
    rows = rows.select_related("agent__owner", "claimed_by__user", "assigned_to__user").prefetch_related("verdicts")
    return list(rows.order_by("id")[:at_most])


def plan_approval(member: Member, reviews: Sequence[Review], *, now: datetime) -> Approval:
    """The bulk form of an approval: the first that fits says which action, rule and card the others must share."""
    reach = reach_of(member)
    fits: list[Candidate] = []
    left_out: list[Candidate] = []
    cards = cards_of([review for review in reviews if review.tier == 1], tenant_id=member.tenant_id, now=now)
    for review in reviews:
        card = cards.get(review.pk) or BulkCard.unread(review)
        reason = (
            _cannot_decide(review, member, reach, now=now)
            or _not_for_bulk(review, now=now)
            or (_not_alike(review, fits[0].review) if fits else "")
            or card.unusual
            or (f"Only {APPROVE_AT_MOST} at once." if len(fits) >= APPROVE_AT_MOST else "")
        )
        pick = Pick.of(review, template=card.template_digest)
        (left_out if reason else fits).append(Candidate(pick, review, card, left_out=reason))
    columns, values = _differing([one.card for one in fits])
    chosen = tuple(Candidate(one.pick, one.review, one.card, values=row) for one, row in zip(fits, values, strict=True))
    return Approval(chosen=chosen, left_out=tuple(left_out), columns=columns)


def plan_denial(member: Member, reviews: Sequence[Review], *, now: datetime) -> list[Candidate]:
    """The bulk form of a denial: any tier, any action; those that the member cannot decide say why."""
    reach = reach_of(member)
    cards = cards_of(reviews, tenant_id=member.tenant_id, now=now, with_history=False)
    return [
        Candidate(
            Pick.of(review, template=cards[review.pk].template_digest),
            review,
            cards[review.pk],
            left_out=_cannot_decide(review, member, reach, now=now),
        )
        for review in reviews
    ]


def approve(
    picks: Sequence[Pick],
    *,
    acting_member: Member,
    count: int | None,
    form_key: str,
    evidence: Evidence | None,
    now: datetime,
) -> list[Outcome]:
    """Approve each pick that is plain and alike; one outcome each. Raises InvalidStep unless `count` is their number.

    What made the form's rows fit is looked at again: nothing posted by hand is approved that the form would leave out.
    """
    if not picks:
        raise InvalidStep(errors={"row": "Select at least one."})
    if count != len(picks):
        raise InvalidStep(errors={"count": f"Type {len(picks)}: so many calls are ticked."})
    with as_tenant(acting_member.tenant_id):
        found = selected(acting_member, [pick.wire_id for pick in picks], at_most=len(picks))
        plan = plan_approval(acting_member, found, now=now)
        refused = {one.review.wire_id: one.left_out for one in plan.left_out}
        choice = Choice(kind=VerdictKind.APPROVE, code=Verdict.Code.LOOKS_RIGHT)
        return _each(
            picks,
            found,
            refused=refused,
            choice=choice,
            acting_member=acting_member,
            form_key=form_key,
            evidence=evidence,
            now=now,
        )


def deny(
    picks: Sequence[Pick],
    *,
    acting_member: Member,
    choice: Choice,
    form_key: str,
    evidence: Evidence | None,
    now: datetime,
) -> list[Outcome]:
    """Deny each pick, whatever its tier; one outcome each. Raises InvalidStep for none, or more than fit."""
    if not picks:
        raise InvalidStep(errors={"row": "Select at least one."})
    if len(picks) > DENY_AT_MOST:
        raise InvalidStep(errors={"row": f"Deny at most {DENY_AT_MOST} at once."})
    with as_tenant(acting_member.tenant_id):
        found = selected(acting_member, [pick.wire_id for pick in picks], at_most=len(picks))
        return _each(
            picks,
            found,
            refused={},
            choice=choice,
            acting_member=acting_member,
            form_key=form_key,
            evidence=evidence,
            now=now,
        )


def undo_all(wire_ids: Iterable[str], *, acting_member: Member, now: datetime) -> list[Outcome]:
    """Take back each verdict that is still on hold; one outcome each."""
    outcomes = []
    with as_tenant(acting_member.tenant_id):
        for review in selected(acting_member, wire_ids, at_most=DENY_AT_MOST):
            try:
                outcomes.append(Outcome(undo(review.wire_id, acting_member=acting_member, now=now)))
            except DomainError as error:
                outcomes.append(Outcome(review, refusal=error.sentence))
    return outcomes


def _each(
    picks: Sequence[Pick],
    found: Sequence[Review],
    *,
    refused: dict[str, str],
    choice: Choice,
    acting_member: Member,
    form_key: str,
    evidence: Evidence | None,
    now: datetime,
) -> list[Outcome]:
    """One verdict per review, by ascending id (the lock order); each in a savepoint of its own."""
    wanted = {pick.wire_id: pick for pick in picks}
    outcomes = []
    for review in found:
        pick = wanted[review.wire_id]
        if reason := refused.get(pick.wire_id):
            outcomes.append(Outcome(review, refusal=reason))
            continue
        try:
            verdict = decide(
                pick.wire_id,
                acting_member=acting_member,
                choice=choice,
                seen_version=pick.version,
                seen_digest=pick.digest,
                seen_template=pick.template,
                now=now,
                evidence=evidence,
                via=Via.BULK,
                idempotency_key=_key(form_key, pick.wire_id),
            )
            outcomes.append(Outcome(review, verdict=verdict))
        except DomainError as error:
            outcomes.append(Outcome(review, refusal=_sentence(error)))
    return outcomes


def _key(form_key: str, wire_id: str) -> str:
    """One form decides a review once, however often it is sent."""
    return hashlib.sha256(f"{form_key}:{wire_id}".encode()).hexdigest() if form_key else ""


def _sentence(error: DomainError) -> str:
    errors: Any = error.details.get("errors")
    return " ".join(errors.values()) if errors else error.sentence


def _cannot_decide(review: Review, member: Member, reach: Reach, *, now: datetime) -> str:
    if review.state_at(now) is not State.OPEN:
        return "It has ended."
    if is_own_request(review, member):
        return "You started it or answer for the agent."
    if not reach.covers(review):
        return "It is for another team or person."
    if review.is_claimed_by_other(member, now=now):
        return f"{review.claimed_by} is reviewing it."
    if any(verdict.member_id == member.pk for verdict in review.standing_verdicts):
        return "You have approved it; someone else decides now."
    return ""


def _not_for_bulk(review: Review, *, now: datetime) -> str:
    if review.tier != 1 or review.approvals_needed > 1:
        return f"Tier {review.tier}: approve it on its card."
    if waiting_copies(review, now=now).exists():
        return "Copies of it wait: choose on its card how many run."
    return ""


def _not_alike(review: Review, first: Review) -> str:
    if review.action_id != first.action_id:
        return "Another action."
    if review.rule_id != first.rule_id:
        return "Held by another rule."
    return ""


def _differing(cards: Sequence[BulkCard]) -> tuple[tuple[str, ...], list[tuple[tuple[str, str], ...]]]:
    """The labels of the values in which the calls differ, and each call's labels and values.

    Compared as sent, shown as on cards.
    """
    keys: dict[str, None] = {}
    for card in cards:
        keys |= dict.fromkeys(card.raw)
    different = [key for key in keys if len({_exact(card, key) for card in cards}) > 1]
    labels = tuple(next(card.labels[key] for card in cards if key in card.labels) for key in different)
    return labels, [
        tuple((label, card.shown.get(key, "-")) for label, key in zip(labels, different, strict=True)) for card in cards
    ]


def _exact(card: BulkCard, key: str) -> str:
    return json.dumps(card.raw[key], sort_keys=True) if key in card.raw else ""
