"""The Celery app: which queues there are, where each task goes, what runs on a schedule.

Truth is rows. A task carries ids, may run twice or at once, and a sweep on the schedule finds what a lost message
dropped. Source: operations.md, section 5.
"""

from __future__ import annotations

import os
from enum import StrEnum
from typing import Any

os.environ.setdefault("DJANGO_SETTINGS_MODULE", "guardsite.settings")

from celery import Celery
from celery.signals import setup_logging
from kombu.entity import Exchange
from kombu.entity import Queue as KombuQueue

from guardsite.broker import has_remote_control


class Queue(StrEnum):
    """The three queues; each may have workers of its own."""

    RESUME = "resume"  # an agent waits for it: a verdict's release, an answer to a caller
    SWEEP = "sweep"  # short scans that find what was lost or is due
    JOBS = "jobs"  # slices of long work; never in front of the other two


ROUTES = {
    "reviews.tasks.deliver_resume": {"queue": Queue.RESUME.value},
    # Mail servers and webhooks are slow; no agent waits for them.
    "reviews.tasks.deliver_notice": {"queue": Queue.JOBS.value},
    "reviews.tasks.sweep_*": {"queue": Queue.SWEEP.value},
    "policy.tasks.sweep_*": {"queue": Queue.SWEEP.value},
    "policy.tasks.work_backtest": {"queue": Queue.JOBS.value},
}
# Seconds between two sends. A sweep's message is worthless once the next one is out, so it expires by then.
SWEEPS = {
    "reviews.tasks.sweep_deliveries": 15.0,
    "reviews.tasks.sweep_expiries": 5.0,
    "reviews.tasks.sweep_deadlines": 15.0,
    "reviews.tasks.sweep_floods": 60.0,
    "reviews.tasks.sweep_warnings": 5.0,
    "reviews.tasks.sweep_notices": 30.0,
    "policy.tasks.sweep_backtests": 30.0,
    "policy.tasks.sweep_counters": 3600.0,
}

app = Celery("guardsite")


def _declared(name: str) -> KombuQueue:
    exchange = Exchange(name, type="direct")  # type: ignore[no-untyped-call]  # kombu has no types
    return KombuQueue(name, exchange, routing_key=name)  # type: ignore[no-untyped-call]  # kombu has no types


def task_settings(broker_url: str) -> dict[str, Any]:
    """Celery's settings beside the broker's address; Any, as Celery takes them."""
    return {
        "task_ignore_result": True,
        "result_backend": None,
        "task_store_errors_even_if_ignored": False,
        "task_serializer": "json",
        "accept_content": ["json"],
        "event_serializer": "json",
        "task_acks_late": True,
        "task_reject_on_worker_lost": True,
        "worker_prefetch_multiplier": 1,
        # Under the visibility time-out: no task runs twice because it was slow.
        "task_time_limit": 240,
        "task_soft_time_limit": 200,
        "task_create_missing_queues": False,
        "task_default_queue": Queue.JOBS.value,
        "task_queues": [_declared(queue.value) for queue in Queue],
        "task_routes": ROUTES,
        # A verdict must succeed within 3 s without a broker: one quick try, the sweep does the rest.
        "task_publish_retry": True,
        "task_publish_retry_policy": {"max_retries": 1, "interval_start": 0, "interval_step": 0.1, "interval_max": 0.1},
        "broker_connection_timeout": 2,
        "broker_connection_retry_on_startup": True,
        "broker_connection_max_retries": None,
        "worker_enable_remote_control": has_remote_control(broker_url),
        "worker_send_task_events": False,
        "worker_hijack_root_logger": False,
        "worker_redirect_stdouts": False,
        "worker_cancel_long_running_tasks_on_connection_loss": False,
        "timezone": "UTC",
        "enable_utc": True,
        "beat_schedule": {
            name.rpartition(".")[2]: {"task": name, "schedule": seconds, "options": {"expires": seconds}}
            for name, seconds in SWEEPS.items()
        },
    }


def configure() -> None:
    """Reads Django's settings (namespace CELERY) and adds ours; called when Django is ready."""
    from django.conf import settings

    app.config_from_object("django.conf:settings", namespace="CELERY")
    app.conf.update(task_settings(settings.CELERY_BROKER_URL))
    app.autodiscover_tasks()


@setup_logging.connect  # type: ignore[untyped-decorator]  # Celery has no types
def _keep_our_logging(**_kwargs: object) -> None:
    """Django's LOGGING is set up already; a receiver here stops Celery from replacing it."""


configure()
