"""What time does to a review: overdue, it goes to whom its rule names; past `expires_at`, it denies.

No option approves by time-out. Both sweeps may run twice or at once. Source: product.md R-08, reviewer-experience.md.
"""

from __future__ import annotations

from datetime import datetime
from uuid import UUID

from django.db import connection
from django.db.models import Q

from audit.record import Actor, EntryDraft, record
from audit.scope import as_tenant
from policy import counters
from reviews import notices
from reviews.copies import promote, waiting_copies
from reviews.executions import mark_unknown
from reviews.models import Escalation, NoticeEvent, Review
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


def escalate_due(*, now: datetime, limit: int = 200) -> int:
    """Write down every deadline that has passed, and hand on what its rule says; how many reviews were handed on."""
    return sum(_escalate_tenant(tenant_id, now=now, limit=limit) for tenant_id in _overdue_tenants())


def _escalate_tenant(tenant_id: UUID, *, now: datetime, limit: int) -> int:
    with as_tenant(tenant_id):
        reviews = list(
            Review.objects.of_tenant(tenant_id)
            .filter(state=State.OPEN, due_at__lte=now, expires_at__gt=now)
            .filter(Q(breached=False) | _may_be_handed_on(now))
            .select_for_update(no_key=True, of=("self",), skip_locked=True)
            .order_by("due_at", "id")[:limit]
        )
        handed_on = 0
        for review in reviews:
            if not review.breached:
                review.breached = True
                review.save(update_fields=["breached"])
                if review.copy_of_id is None:
                    notices.announce(tenant_id, NoticeEvent.OVERDUE, review=review, now=now)
            if review.copy_of_id is None and review.escalate_to and review.escalated_at is None:
                handed_on += _hand_on(review, now=now)
        return handed_on


def _may_be_handed_on(now: datetime) -> Q:
    return ~Q(escalate_to="") & Q(escalated_at=None, copy_of=None) & (Q(claimed_until=None) | Q(claimed_until__lte=now))


def _hand_on(review: Review, *, now: datetime) -> bool:
    """Route it to the team that its rule names, once. Work in hand is not taken away: while a claim runs, it stays."""
    if review.claimed_until is not None and now < review.claimed_until:
        return False
    step = Escalation.objects.create(
        tenant_id=review.tenant_id,
        review=review,
        to_team=review.escalate_to,
        from_team=review.team,
        code=Escalation.Code.OVERDUE,
        at=now,
    )
    review.team, review.assigned_to, review.escalated_at = review.escalate_to, None, now
    review.save(update_fields=["team", "assigned_to", "escalated_at"])
    waiting_copies(review, now=now).update(team=review.team, assigned_to=None, escalated_at=now)
    fields: dict[str, object] = {
        "review": {"id": review.wire_id},
        "action_id": review.action_id,
        "code": Escalation.Code.OVERDUE.value,
        "to_team": step.to_team,
    }
    if step.from_team:
        fields["from_team"] = step.from_team
    record(
        review.tenant_id,
        EntryDraft(
            kind="review.escalated",
            fields=fields,
            actor=Actor(type="system", id="clock"),
            refs=(review.entry_uid,),
        ),
    )
    notices.announce(review.tenant_id, NoticeEvent.ESCALATED, review=review, now=now)
    return True


def _overdue_tenants() -> list[UUID]:
    """Answered by a SECURITY DEFINER function (migration 0007): no tenant is set yet, and only ids come back."""
    with connection.cursor() as cursor:
        cursor.execute("SELECT reviews_overdue_tenants()")
        return [row[0] for row in cursor.fetchall()]


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
            notices.announce(tenant_id, NoticeEvent.EXPIRED, review=review, now=now)
            promote(review, now=now)
        return len(reviews)
