"""Clocks of a review: until when it must be decided, in working hours where a calendar says so; how near that is. Pure."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import date, datetime, timedelta
from enum import StrEnum
from typing import Protocol

DEFAULT_DUE_SECONDS = 15 * 60
DEFAULT_EXPIRES_SECONDS = 2 * 3600
# A review is "due soon" in the last third of its time.
SOON_SHARE = 3
CLOSED_FOR_GOOD_DAYS = 366
LONGEST_SEARCH_DAYS = 10 * 366


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


class NoWorkingHours(ValueError):
    """A calendar that is closed for a year, or too rarely open for the time that was asked for."""


class WorkingHours(Protocol):
    """Hours in which a clock runs; `policy.calendars.Hours` is one."""

    def local_date(self, moment: datetime) -> date:
        """The day of a moment in the calendar's zone."""

    def open_on(self, day: date) -> list[tuple[datetime, datetime]]:
        """The open spans of a day: aware UTC, in order."""


@dataclass(frozen=True)
class Deadlines:
    """When a review is due and when it denies itself; aware UTC, due never after expiry."""

    due_at: datetime
    expires_at: datetime


def deadlines(
    received_at: datetime, *, due_seconds: int | None, expires_seconds: int | None, hours: WorkingHours | None = None
) -> Deadlines:
    """Both clocks of a review. A calendar that is never open stops no clock: the time runs day and night then."""
    try:
        expires = expires_at(received_at, expires_seconds=expires_seconds, hours=hours)
        due = due_at(received_at, target_seconds=due_seconds, hours=hours)
    except NoWorkingHours:
        return deadlines(received_at, due_seconds=due_seconds, expires_seconds=expires_seconds)
    return Deadlines(due_at=min(due, expires), expires_at=expires)


def due_at(received_at: datetime, *, target_seconds: int | None, hours: WorkingHours | None = None) -> datetime:
    """When the review must be decided; aware UTC. With `hours`, counts working time only.

    Raises NoWorkingHours if `hours` stays closed for a year.
    """
    return _after(received_at, target_seconds or DEFAULT_DUE_SECONDS, hours)


def expires_at(received_at: datetime, *, expires_seconds: int | None, hours: WorkingHours | None = None) -> datetime:
    """When an undecided review denies itself; aware UTC. With `hours`, counts working time only.

    Raises NoWorkingHours if `hours` stays closed for a year.
    """
    return _after(received_at, expires_seconds or DEFAULT_EXPIRES_SECONDS, hours)


def _after(start: datetime, seconds: int, hours: WorkingHours | None) -> datetime:
    left = timedelta(seconds=seconds)
    if hours is None:
        return start + left
    first = hours.local_date(start)
    last_open = first
    for number in range(LONGEST_SEARCH_DAYS):
        day = first + timedelta(days=number)
        if (day - last_open).days > CLOSED_FOR_GOOD_DAYS:
            break
        for opens, closes in hours.open_on(day):
            begins = max(opens, start)
            if begins >= closes:
                continue
            last_open = day
            if begins + left <= closes:
                return (begins + left).astimezone(start.tzinfo)
            left -= closes - begins
    raise NoWorkingHours


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
