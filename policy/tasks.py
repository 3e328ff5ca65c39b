"""Celery tasks: ids in, safe to run twice or at once. Queues and times are given in guardsite/celery.py."""

from __future__ import annotations

from uuid import UUID

from celery import shared_task
from django.utils import timezone

from policy import backtests, counters
from policy.models import Backtest


@shared_task  # type: ignore[untyped-decorator]  # Celery ships no types
def work_backtest(tenant_id: str, backtest_id: str) -> None:
    """One slice of a backtest; sends itself again while there is more."""
    row = backtests.work(UUID(tenant_id), UUID(backtest_id), now=timezone.now())
    if row is not None and row.state == Backtest.State.WAITING:
        work_backtest.delay(tenant_id, backtest_id)


@shared_task  # type: ignore[untyped-decorator]  # Celery ships no types
def sweep_counters() -> None:
    """Delete the values of counters that no window reaches any more."""
    counters.sweep_all(now=timezone.now())


@shared_task  # type: ignore[untyped-decorator]  # Celery ships no types
def sweep_backtests() -> None:
    """Send what a lost message or a dead worker left."""
    for tenant_id, backtest_id in backtests.waiting():
        work_backtest.delay(str(tenant_id), str(backtest_id))
