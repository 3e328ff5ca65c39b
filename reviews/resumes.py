"""The outbox: a row beside each end of a review says that its caller must be told; a lease makes one worker tell it.

Lease, call, record: a short transaction takes the lease, the resumer runs with no transaction open, another short
transaction records the attempt if the lease is still ours. Source: integrations.md section 3.1, house-style.md section 5.
"""

from __future__ import annotations

import logging
from datetime import datetime, timedelta
from uuid import UUID

from django.db import connection, transaction
from django.db.models import Q
from django.utils import timezone

from audit.record import Actor, EntryDraft, record
from audit.scope import as_tenant
from policy import counters
from reviews import notices
from reviews.models import Attempt, NoticeEvent, ResumeDelivery, Review, Verdict
from reviews.resumers import Delivered, Failed, Retry, resumer_named
from reviews.retrying import GIVE_UP_AFTER, back_off
from reviews.states import Event, State, VerdictKind, next_state

LEASE = timedelta(seconds=60)
# Celery keeps an early task in a worker's memory: fine for a hold, not for hours (operations.md section 5).
LONGEST_COUNTDOWN_SECONDS = 60

log = logging.getLogger("guardsite.resume")


def enqueue(review: Review, *, cause: str, verdict: Verdict | None, due_at: datetime) -> ResumeDelivery:
    """The delivery row, in the caller's transaction; once committed, a worker is nudged.

    A broker that is down costs time only: the sweep finds the row.
    """
    delivery = ResumeDelivery.objects.create(
        tenant_id=review.tenant_id, review=review, cause=cause, verdict=verdict, due_at=due_at
    )
    transaction.on_commit(lambda: nudge(delivery), robust=True)
    return delivery


def nudge(delivery: ResumeDelivery) -> None:
    """Ask a worker to deliver when it is due; the row counts, not the message."""
    from reviews.tasks import deliver_resume

    countdown = (delivery.due_at - timezone.now()).total_seconds()
    if countdown <= LONGEST_COUNTDOWN_SECONDS:
        deliver_resume.apply_async(
            args=[str(delivery.tenant_id), str(delivery.pk)], countdown=countdown if countdown > 0 else None
        )


def deliver(tenant_id: UUID, delivery_id: UUID, *, now: datetime) -> bool:
    """Tell the caller once. False when there was nothing to do: not due, leased by another, or done."""
    delivery = _lease(tenant_id, delivery_id, now=now)
    if delivery is None:
        return False
    result = resumer_named(delivery.resumer).deliver(delivery)
    _record_attempt(delivery, result, now=timezone.now())
    return True


def _lease(tenant_id: UUID, delivery_id: UUID, *, now: datetime) -> ResumeDelivery | None:
    with as_tenant(tenant_id):
        # Review before ResumeDelivery: the lock order everywhere.
        found = ResumeDelivery.objects.filter(tenant_id=tenant_id, pk=delivery_id).values("review_id").first()
        if found is None:
            return None
        review = Review.objects.select_for_update(no_key=True, of=("self",)).get(pk=found["review_id"])
        delivery = (
            ResumeDelivery.objects.select_for_update(no_key=True, of=("self",), skip_locked=True)
            .filter(Q(leased_until=None) | Q(leased_until__lte=now), pk=delivery_id)
            .filter(state=ResumeDelivery.State.WAITING, due_at__lte=now)
            .first()
        )
        if delivery is None:
            return None
        _write_release(review, now=now)
        delivery.leased_until = now + LEASE
        delivery.attempt_count += 1
        delivery.save(update_fields=["leased_until", "attempt_count"])
        return delivery


def _write_release(review: Review, *, now: datetime) -> None:
    """Write down what the clock has done already."""
    if review.state == State.ON_HOLD and review.state_at(now) is State.RELEASED:
        state = next_state(review.state, Event.RELEASE)
        assert state is not None
        review.state = state
        review.version += 1
        review.save(update_fields=["state", "version"])
        # Told now and not at the verdict: until the hold ends it can be taken back.
        if review.verdict is not None:
            subject = str(review.verdict.pk)
            notices.announce(review.tenant_id, NoticeEvent.DECIDED, review=review, subject=subject, now=now)
        if review.verdict is not None and review.verdict.kind == VerdictKind.DENY:
            # Not before: until the hold ends the denial can be undone, and the call may still run.
            counters.give_back(review.tenant_id, review.call_id)
    elif review.state == State.SUPERSEDED:
        # Its caller is told now: nothing can make it wait again.
        counters.give_back(review.tenant_id, review.call_id)


def _record_attempt(delivery: ResumeDelivery, result: Delivered | Retry | Failed, *, now: datetime) -> None:
    with as_tenant(delivery.tenant_id):
        current = (
            ResumeDelivery.objects.select_for_update(no_key=True, of=("self",))
            .select_related("review")
            .filter(pk=delivery.pk, attempt_count=delivery.attempt_count, state=ResumeDelivery.State.WAITING)
            .first()
        )
        if current is None:  # the lease ran out and somebody else took over
            return
        Attempt.objects.create(
            tenant_id=current.tenant_id,
            delivery=current,
            number=current.attempt_count,
            result=type(result).__name__.lower(),
            detail=getattr(result, "reason", "")[:200],
        )
        current.leased_until = None
        kind = None
        if isinstance(result, Delivered):
            current.state = ResumeDelivery.State.DELIVERED
            current.delivered_at = now
            kind = "resume.delivered"
        elif isinstance(result, Failed) or now - current.created_at > GIVE_UP_AFTER:
            current.state = ResumeDelivery.State.DEAD
            kind = "resume.failed"
            subject = current.wire_id
            notices.announce(current.tenant_id, NoticeEvent.UNTOLD, review=current.review, subject=subject, now=now)
        else:
            current.due_at = now + timedelta(
                seconds=back_off(current.attempt_count, after_seconds=result.after_seconds)
            )
        current.save(update_fields=["leased_until", "state", "delivered_at", "due_at"])
        if kind is not None:
            record(
                current.tenant_id,
                EntryDraft(
                    kind=kind,
                    fields={
                        "review": {"id": current.review.wire_id},
                        "action_id": current.review.action_id,
                        "delivery": current.wire_id,
                        "resumer": current.resumer,
                        "attempt": current.attempt_count,
                    },
                    actor=Actor(type="system", id="worker"),
                    refs=(current.review.entry_uid,),
                ),
            )


def cancel_delivery(verdict: Verdict) -> None:
    """Stop the delivery of a verdict that was taken back, in the caller's transaction."""
    ResumeDelivery.objects.filter(verdict=verdict, state=ResumeDelivery.State.WAITING).update(
        state=ResumeDelivery.State.CANCELLED
    )


def due_tenants() -> list[UUID]:
    """Tenants with a delivery that is due or a review that has run out: where a sweep must look.

    Answered by a SECURITY DEFINER function (migration 0002): no tenant is set yet, and only ids come back.
    """
    with connection.cursor() as cursor:
        cursor.execute("SELECT reviews_due_tenants()")
        return [row[0] for row in cursor.fetchall()]


def sweep(*, now: datetime, limit: int = 200) -> int:
    """Deliver what a lost message dropped; how many were told."""
    told = 0
    for tenant_id in due_tenants():
        with as_tenant(tenant_id):
            due = list(
                ResumeDelivery.objects.filter(tenant_id=tenant_id, state=ResumeDelivery.State.WAITING, due_at__lte=now)
                .filter(Q(leased_until=None) | Q(leased_until__lte=now))
                .order_by("due_at")
                .values_list("pk", flat=True)[:limit]
            )
        for delivery_id in due:
            told += deliver(tenant_id, delivery_id, now=now)
    return told
