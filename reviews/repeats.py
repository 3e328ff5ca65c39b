"""A model asks again under a new id: the same call meets its review instead of opening another.

Source: integrations.md section 1.1, "Repeats".
"""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime, timedelta

from django.db.models import Q

from reviews.answers import verdict_message
from reviews.models import Grant, Review, Verdict
from reviews.states import PENDING_STATES, State, VerdictKind
from tenants.models import Agent

DENIAL_STANDS = timedelta(minutes=10)
LOOK_AT = 5


@dataclass(frozen=True)
class Repeat:
    """What an earlier review of the same call answers now."""

    review: Review
    decision: str
    code: str | None
    message: str
    grant: Grant | None = None

    @property
    def digest(self) -> str:
        """The digest of the call that the answer is about: the one that runs, else the one that was asked."""
        return self.grant.call_digest if self.grant else self.review.call_digest


def find(agent: Agent, *, content_key: str, run_id: str | None, environment: str, now: datetime) -> Repeat | None:
    """The answer of the newest review of the same call in the same run (any, if none is named), or None.

    The same call is the one that was asked, or the one that a person made of it: whoever heard of an amendment and asks
    for the amended call meets the approval of it. A review that was opened by a test key answers test keys alone.

    Pending → review; approved with an unused grant → allow; denied in the last 10 minutes → deny.
    """
    amended = Verdict.objects.filter(
        tenant_id=agent.tenant_id, amended_content_key=content_key, undone_at=None, cleared_at=None
    ).exclude(review__state=State.OPEN)
    # An index answers each; an OR of the two tables would read them both.
    same = Q(content_key=content_key) | Q(pk__in=list(amended.values_list("review_id", flat=True)[:LOOK_AT]))
    reviews = Review.objects.of_tenant(agent.tenant_id).filter(same, agent=agent, key_environment=environment)
    if run_id:
        reviews = reviews.filter(run_id=run_id)
    for review in reviews.prefetch_related("verdicts", "grants").order_by("-created_at")[:LOOK_AT]:
        state = review.state_at(now)
        if state in PENDING_STATES:
            return Repeat(review=review, decision="review", code="policy_review_required", message=review.reason)
        verdict = review.verdict
        if state is not State.RELEASED or verdict is None:
            continue
        if verdict.kind == VerdictKind.DENY:
            if now - verdict.release_at <= DENIAL_STANDS:
                return Repeat(review=review, decision="deny", code="policy_denied", message=verdict_message(verdict))
            continue
        grant = next((grant for grant in review.grants.all() if _is_usable(grant, now=now)), None)
        if grant is not None:
            return Repeat(review=review, decision="allow", code=None, message=verdict_message(verdict), grant=grant)
    return None


def _is_usable(grant: Grant, *, now: datetime) -> bool:
    return grant.used_at is None and grant.voided_at is None and grant.usable_at <= now < grant.expires_at
