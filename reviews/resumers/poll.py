"""Wakes the long polls of every web process: NOTIFY with the review's id."""

from __future__ import annotations

from django.db import Error, connection

from reviews.models import ResumeDelivery
from reviews.resumers.results import Delivered, Retry

CHANNEL = "guardsite_review"


def deliver(delivery: ResumeDelivery) -> Delivered | Retry:
    """Notify; who does not listen now sees the row on the next ask."""
    try:
        with connection.cursor() as cursor:
            cursor.execute("SELECT pg_notify(%s, %s)", [CHANNEL, delivery.review_id.hex])
    except Error:
        return Retry("the database did not take the notice")
    return Delivered()
