"""Ways back to a paused agent. Each is one module with `deliver(delivery) -> Delivered | Retry | Failed`.

A delivery says "look"; the grant keeps it to one run. `rd_…` is each resumer's idempotency key.
"""

from __future__ import annotations

from typing import Protocol

from reviews.models import ResumeDelivery
from reviews.resumers import poll
from reviews.resumers.results import Delivered, Failed, Retry

__all__ = ["Delivered", "Failed", "Resumer", "Retry", "resumer_named"]


class Resumer(Protocol):
    """A module that can tell a caller."""

    def deliver(self, delivery: ResumeDelivery) -> Delivered | Retry | Failed:
        """Tell the caller; runs with no transaction open."""
        ...


_RESUMERS: dict[str, Resumer] = {"poll": poll}


def resumer_named(name: str) -> Resumer:
    """The resumer of a delivery row."""
    return _RESUMERS[name]
