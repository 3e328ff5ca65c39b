"""Where a review stands for one member at one moment: clock, caller, claim, what they may do. Costs no card."""

from __future__ import annotations

import hashlib
from dataclasses import dataclass
from datetime import datetime, timedelta
from functools import cached_property

from django.utils import timezone

from reviews import sla
from reviews.access import is_own_request, is_owner
from reviews.callers import CallerState, caller_state
from reviews.claims import can_take_over, taken_from
from reviews.models import Execution, ResumeDelivery, Review, TakeOver, Verdict
from reviews.routing import may_decide, routed_to
from reviews.states import State, VerdictKind
from reviews.undoing import can_undo
from tenants.models import Member
from tenants.roles import permissions_of

# reviewer-experience.md section 2.
TIER_WORDS = {
    1: "internal, reversible",
    2: "leaves the company or costs money",
    3: "large or hard to undo",
    4: "two people",
}


@dataclass(frozen=True, kw_only=True)
class Standing:
    """A review as this member sees it at `now`, without its content: what a live part of a page needs.

    Times are shown in `zone`, the reader's (IANA).
    """

    review: Review
    member: Member
    now: datetime
    zone: str = "UTC"

    @classmethod
    def at_present(cls, review: Review, member: Member, *, zone: str = "UTC") -> Standing:
        """Where it stands now."""
        return Standing(review=review, member=member, now=timezone.now(), zone=zone)

    @cached_property
    def state(self) -> State:
        """The state that counts now."""
        return self.review.state_at(self.now)

    @property
    def is_open(self) -> bool:
        """Whether it waits for a verdict."""
        return self.state is State.OPEN

    @property
    def is_on_hold(self) -> bool:
        """Whether its verdict can still be taken back by someone."""
        return self.state is State.ON_HOLD

    @cached_property
    def clock(self) -> sla.Clock:
        """How near the deadline is."""
        return sla.clock(created_at=self.review.created_at, due=self.review.due_at, now=self.now)

    @cached_property
    def caller(self) -> CallerState:
        """Whether anyone is still there to run the call."""
        return caller_state(self.review, now=self.now)

    @property
    def asked(self) -> str:
        """Whether the agent was asked: "open" while it owes an answer, "answered", or empty where nobody asked."""
        steps = self.review.question_steps
        return "" if not steps else "open" if steps % 2 else "answered"

    @property
    def seen_ago(self) -> timedelta | None:
        """How long ago the caller was last seen."""
        seen = self.review.caller_seen_at
        return self.now - seen if seen else None

    @property
    def gone_ago(self) -> timedelta | None:
        """How long ago the caller gave up."""
        gone = self.review.caller_gone_at
        return self.now - gone if gone else None

    @property
    def claim_left(self) -> timedelta | None:
        """What is left of the lease."""
        until = self.review.claimed_until
        return until - self.now if until else None

    @property
    def hold_left(self) -> timedelta | None:
        """What is left of the hold."""
        release_at = self.review.release_at
        return release_at - self.now if release_at else None

    @property
    def ended_at(self) -> datetime:
        """When it ended; an expiry that no worker has written down yet ended by the clock."""
        return self.review.ended_at or self.review.expires_at

    @property
    def tier_words(self) -> str:
        """What the tier means."""
        return TIER_WORDS[self.review.tier]

    @property
    def is_own_request(self) -> bool:
        """Whether the member asked for it, and so never decides it."""
        return is_own_request(self.review, self.member)

    @property
    def is_owner(self) -> bool:
        """Whether it is theirs because they answer for the agent."""
        return is_owner(self.review, self.member)

    @property
    def can_decide(self) -> bool:
        """Whether the member may decide it, were it free."""
        return self._is_decider and not self.routed_elsewhere

    @property
    def _is_decider(self) -> bool:
        return self.is_open and "reviews.decide_review" in permissions_of(self.member.roles) and not self.is_own_request

    @cached_property
    def routed_elsewhere(self) -> str:
        """The team or person who decides it instead of the member, in words; empty where the member may."""
        if not self._is_decider or may_decide(self.member, self.review):
            return ""
        return routed_to(self.review)

    @cached_property
    def may_see_first_verdict(self) -> bool:
        """Whether what a first person of several chose may be shown: never to somebody who may still decide.

        Whoever may decide is asked by role and by being neither owner nor requester; to which team a review is routed
        can change while it waits, so that alone opens nothing.
        """
        if not self.is_open or not self._is_decider:
            return True
        return any(verdict.member_id == self.member.pk for verdict in self.review.standing_verdicts)

    @property
    def has_approved(self) -> bool:
        """Whether the member's own approval waits for another person's: there is nothing left for them to claim."""
        return self.is_open and any(verdict.member_id == self.member.pk for verdict in self.review.standing_verdicts)

    @property
    def is_mine(self) -> bool:
        """Whether the member's lease runs."""
        review = self.review
        return (
            review.claimed_by_id == self.member.pk
            and review.claimed_until is not None
            and self.now < review.claimed_until
        )

    @property
    def is_held_by_other(self) -> bool:
        """Whether another's lease runs."""
        return self.review.is_claimed_by_other(self.member, now=self.now)

    @property
    def can_take_over(self) -> bool:
        """Whether the holder is idle, or the member leads."""
        return self.is_held_by_other and can_take_over(self.review, self.member, now=self.now)

    @cached_property
    def lost_to(self) -> TakeOver | None:
        """Who took the member's claim and holds it now, and why."""
        return taken_from(self.review, self.member) if self.is_held_by_other else None

    @property
    def verdict(self) -> Verdict | None:
        """The verdict that decided it; None while it is open, whatever a first person of several chose."""
        return self.review.verdict

    @property
    def can_undo(self) -> bool:
        """Whether the member may take the verdict back."""
        return self.verdict is not None and can_undo(self.review, self.verdict, self.member, now=self.now)

    @property
    def outcome(self) -> str:
        """The stamp: approved, amended, denied, expired, withdrawn, superseded."""
        if self.verdict is None:
            return {State.EXPIRED: "expired", State.CANCELLED: "withdrawn", State.SUPERSEDED: "superseded"}.get(
                self.state, "open"
            )
        return {
            VerdictKind.APPROVE: "approved",
            VerdictKind.APPROVE_WITH_AMENDMENTS: "amended",
            VerdictKind.DENY: "denied",
        }[VerdictKind(self.verdict.kind)]

    @cached_property
    def execution(self) -> Execution | None:
        """What the caller said became of it."""
        grant = next((grant for grant in self.review.grants.all() if grant.voided_at is None), None)
        return getattr(grant, "execution", None) if grant else None

    @cached_property
    def delivery(self) -> ResumeDelivery | None:
        """How far telling the caller got."""
        return max(self.review.deliveries.all(), key=lambda delivery: delivery.created_at, default=None)

    @property
    def is_final(self) -> bool:
        """Whether nothing on the page will change any more."""
        if self.is_open or self.is_on_hold:
            return False
        if self.outcome in ("approved", "amended"):
            return self.execution is not None and self.execution.state != Execution.State.STARTED
        return self.delivery is None or self.delivery.state != ResumeDelivery.State.WAITING

    @property
    def row_stamp(self) -> str:
        """Changes whenever the row in the queue would read differently, the clocks apart. Costs no query."""
        holder = self.review.claimed_by_id if self.is_mine or self.is_held_by_other else None
        return f"{self.review.pk.hex} {self.state} {self.review.version} {holder} {self.caller} {self.clock.state} {self.asked}"

    @property
    def stamp(self) -> str:
        """Changes whenever the page would read differently, the clocks apart.

        Built of what everybody may know: a first verdict of several raises no version and is in no part of it.
        """
        review, delivery, execution = self.review, self.delivery, self.execution
        told = [
            self.state, review.version, review.claimed_by_id if self.is_mine or self.is_held_by_other else None,
            self.caller, self.clock.state, self.review.question_steps, self.can_undo, self.can_take_over,
            delivery.state if delivery else None, execution.state if execution else None,
        ]  # fmt: skip
        return hashlib.sha256(repr(told).encode()).hexdigest()[:12]
