"""Celery tasks: ids in, safe to run twice or at once. Queues and times are given in guardsite/celery.py."""

from __future__ import annotations

from uuid import UUID

from celery import shared_task
from django.utils import timezone

from reviews import escalation, floods, notice_delivery, notices, resumes, warned


@shared_task  # type: ignore[untyped-decorator]  # Celery ships no types
def deliver_resume(tenant_id: str, delivery_id: str) -> None:
    """Tell one caller to look at its review."""
    resumes.deliver(UUID(tenant_id), UUID(delivery_id), now=timezone.now())


@shared_task  # type: ignore[untyped-decorator]  # Celery ships no types
def sweep_deliveries() -> None:
    """Deliver what a lost message dropped."""
    resumes.sweep(now=timezone.now())


@shared_task  # type: ignore[untyped-decorator]  # Celery ships no types
def sweep_expiries() -> None:
    """Deny what nobody decided in time."""
    escalation.expire_due(now=timezone.now())


@shared_task  # type: ignore[untyped-decorator]  # Celery ships no types
def sweep_deadlines() -> None:
    """Hand on what is overdue, and tell of what soon will be."""
    now = timezone.now()
    escalation.escalate_due(now=now)
    notices.announce_due_soon(now=now)


@shared_task  # type: ignore[untyped-decorator]  # Celery ships no types
def sweep_floods() -> None:
    """End the floods that have calmed down."""
    floods.end_calm(now=timezone.now())


@shared_task  # type: ignore[untyped-decorator]  # Celery ships no types
def deliver_notice(tenant_id: str, notice_id: str) -> None:
    """Send one notice, or the digest that it is part of."""
    notice_delivery.deliver(UUID(tenant_id), UUID(notice_id), now=timezone.now())


@shared_task  # type: ignore[untyped-decorator]  # Celery ships no types
def sweep_notices() -> None:
    """Send what a lost message dropped, and the digests of the hour."""
    notice_delivery.sweep(now=timezone.now())


@shared_task  # type: ignore[untyped-decorator]  # Celery ships no types
def sweep_warnings() -> None:
    """Keep how loudly the cards of new calls warn."""
    warned.look_over(now=timezone.now())
