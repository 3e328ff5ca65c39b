"""What a second reviewer must not have read: first verdicts of reviews that they may still decide, and their traces."""

from __future__ import annotations

from collections.abc import Callable
from uuid import UUID

from audit import browse
from audit.scope import as_tenant
from reviews.models import Review, Verdict
from reviews.states import State
from reviews.timeline import BLIND_KINDS


def first_verdicts(tenant_id: UUID, has_perm: Callable[[str], bool]) -> list[UUID]:
    """The entries of verdicts on reviews that still wait for another; none for somebody who decides nothing.

    Of a review that several must approve, every entry but the harmless ones of its history: a verdict that was taken
    back, or a claim that ended without a word, would betray it. The reviews' own ids stand among them, so that the answer
    is not empty before a first verdict and full after it. A person's own verdict is left out too: the log shows the same
    to all who may decide. Source: reviewer-experience.md, section 5, "Blind second review".
    """
    if not has_perm("reviews.decide_review"):
        return []
    waiting = Verdict.objects.filter(tenant_id=tenant_id, review__state=State.OPEN)
    found = [UUID(uid) for uid in waiting.values_list("entry_uid", flat=True)]
    several = list(Review.objects.of_tenant(tenant_id).filter(state=State.OPEN, approvals_needed__gt=1).only("pk"))
    if several:
        with as_tenant(tenant_id, using=browse.READER):
            named = browse.entries(tenant_id).filter(review__in=[review.wire_id for review in several])
            found += named.exclude(kind__in=BLIND_KINDS).values_list("uid", flat=True)
    return [*found, *(review.pk for review in several)]
