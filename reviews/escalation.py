"""What time does to a review: undecided past `expires_at`, it denies. No option approves by time-out."""

from __future__ import annotations

from datetime import datetime
from uuid import UUID

from audit.record import Actor, EntryDraft, record
from audit.scope import as_tenant
from policy import counters
from reviews.executions import mark_unknown
from reviews.models import Review
from reviews.resumes import due_tenants, enqueue
from reviews.states import Event, State, next_state


def expire_due(*, now: datetime, limit: int = 200) -> int:
    """Write down every expiry that the clock has reached, each with its entry; how many.

    Reviews that nobody decided are denied and their callers told; runs whose outcome nobody reported become unknown.
    """
    return sum(
        _expire_tenant(tenant_id, now=now, limit=limit) + mark_unknown(tenant_id, now=now, limit=limit)
        for tenant_id in due_tenants()
    )


def _expire_tenant(tenant_id: UUID, *, now: datetime, limit: int) -> int:
    with as_tenant(tenant_id):
        reviews = list(
            Review.objects.of_tenant(tenant_id)
            .due_to_expire(now)
            .select_for_update(no_key=True, of=("self",), skip_locked=True)[:limit]
        )
        for review in reviews:
            state = next_state(State.OPEN, Event.EXPIRE)
            assert state is not None
            review.state = state
            review.version += 1
            review.ended_at = review.expires_at
            review.breached = True
            review.save(update_fields=["state", "version", "ended_at", "breached"])
            record(
                tenant_id,
                EntryDraft(
                    kind="review.expired",
                    fields={"review": {"id": review.wire_id}, "action_id": review.action_id},
                    actor=Actor(type="system", id="clock"),
                    refs=(review.entry_uid,),
                ),
            )
            counters.give_back(tenant_id, review.call_id)
            enqueue(review, cause="expired", verdict=None, due_at=now)
        return len(reviews)
