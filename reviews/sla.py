"""Clocks of a review: how long until due, how to say it. Pure."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime, timedelta
from enum import StrEnum

DEFAULT_DUE_SECONDS = 15 * 60
DEFAULT_EXPIRES_SECONDS = 2 * 3600
# A review is "due soon" in the last third of its time.
SOON_SHARE = 3


class ClockState(StrEnum):
    """How a review stands against its target, in shape as well as colour."""

    DUE = "due"
    SOON = "soon"
    OVERDUE = "overdue"


@dataclass(frozen=True)
class Clock:
    """A review's SLA clock at one moment; `remaining` is negative when overdue."""

    state: ClockState
    due_at: datetime
    remaining: timedelta


def due_at(received_at: datetime, *, target_seconds: int | None) -> datetime:
    """When the review must be decided; aware UTC."""
    return received_at + timedelta(seconds=target_seconds or DEFAULT_DUE_SECONDS)


def expires_at(received_at: datetime, *, expires_seconds: int | None) -> datetime:
    """When an undecided review denies itself; aware UTC."""
    return received_at + timedelta(seconds=expires_seconds or DEFAULT_EXPIRES_SECONDS)


def clock(*, created_at: datetime, due: datetime, now: datetime) -> Clock:
    """The clock at `now`: due, soon (last third) or overdue."""
    remaining = due - now
    if remaining < timedelta(0):
        state = ClockState.OVERDUE
    elif remaining * SOON_SHARE < due - created_at:
        state = ClockState.SOON
    else:
        state = ClockState.DUE
    return Clock(state=state, due_at=due, remaining=remaining)
