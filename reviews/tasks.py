"""Celery tasks: ids in, safe to run twice or at once. Queues and times are given in guardsite/celery.py."""

from __future__ import annotations

from uuid import UUID

from celery import shared_task
from django.utils import timezone

from reviews import escalation, resumes


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
