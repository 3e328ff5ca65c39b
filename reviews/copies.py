"""Copies: the same call asked for again in the same run. The oldest waiting one stands for all in the queue.

Source: reviewer-experience.md ("Queue mechanics"). Locks: the leader first, then its copies by ascending id; whoever
adds a copy locks the leader too, so that none joins a leader that is being decided.
"""

from __future__ import annotations

from collections.abc import Sequence
from datetime import datetime
from uuid import UUID

from django.db.models import Q, QuerySet

from reviews.models import Review
from reviews.states import State

_Key = tuple[UUID, str, str, str, int, int, str, str]


def join_copies(tenant_id: UUID, held: Sequence[Review], *, now: datetime) -> None:
    """Set `copy_of` on new, unsaved reviews whose call waits already, or comes before them in `held`.

    Same call, same agent, same run, same kind of key; and the same friction, so that no copy is approved by an easier form than its own.
    A call without a run is nobody's copy. One query, which locks the leaders, where a review has a run.
    """
    named = [review for review in held if review.run_id]
    if not named:
        return
    same = Q()
    for agent_id, content_key, run_id in sorted({(r.agent_id, r.content_key, r.run_id) for r in named}, key=str):
        same |= Q(agent_id=agent_id, content_key=content_key, run_id=run_id)
    standing = (
        Review.objects.of_tenant(tenant_id)
        .filter(same, state=State.OPEN, expires_at__gt=now, copy_of=None)
        .select_for_update(no_key=True, of=("self",))
        .order_by("id")
    )
    leaders: dict[_Key, Review] = {}
    for review in (*standing, *named):
        leader = leaders.setdefault(_key(review), review)
        if leader is not review and review._state.adding:  # noqa: SLF001  # Django documents it
            review.copy_of = leader


def _key(review: Review) -> _Key:
    return (
        review.agent_id,
        review.content_key,
        review.run_id,
        review.key_environment,
        review.tier,
        review.approvals_needed,
        review.rule_id,
        review.team,
    )


def promote(review: Review, *, now: datetime) -> Review | None:
    """The oldest waiting copy of a review that ended without a verdict: it stands for the others now.

    Call in the transaction that ends the review, with the review locked.
    """
    copies = list(lock_copies(waiting_copies(review, now=now)))
    if not copies:
        return None
    leader, *others = copies
    leader.copy_of = None
    leader.save(update_fields=["copy_of"])
    Review.objects.filter(pk__in=[copy.pk for copy in others]).update(copy_of=leader)
    return leader


def waiting_copies(review: Review, *, now: datetime) -> QuerySet[Review]:
    """The copies of a review that still wait."""
    return Review.objects.of_tenant(review.tenant_id).filter(copy_of=review, state=State.OPEN, expires_at__gt=now)


def lock_copies(copies: QuerySet[Review]) -> QuerySet[Review]:
    """The copies, oldest first, locked."""
    return copies.select_for_update(no_key=True, of=("self",)).select_related("agent").order_by("id")
