"""Deadlines in working hours: hand-worked cases, clock changes, and a minute-by-minute count beside them."""

from __future__ import annotations

from datetime import UTC, date, datetime, timedelta
from typing import Any
from zoneinfo import ZoneInfo

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from policy.calendars import Hours
from reviews.sla import DEFAULT_DUE_SECONDS, NoWorkingHours, WorkingHours, deadlines, due_at, expires_at

PARIS = ZoneInfo("Europe/Paris")
WEEK = {day: [["09:00", "12:00"], ["13:00", "17:00"]] for day in ("mon", "tue", "wed", "thu", "fri")}
OFFICE = Hours.of(time_zone="Europe/Paris", hours=WEEK, holidays=["2026-12-25"])
HOUR = 3600


def paris(text: str) -> datetime:
    return datetime.fromisoformat(text).replace(tzinfo=PARIS)


@pytest.mark.parametrize(
    ("received", "seconds", "due"),
    [
        ("2026-11-20T10:00", HOUR, "2026-11-20T11:00"),  # a Friday, open
        ("2026-11-20T11:30", HOUR, "2026-11-20T13:30"),  # over lunch
        ("2026-11-20T16:30", HOUR, "2026-11-23T09:30"),  # over the weekend
        ("2026-11-20T20:00", 900, "2026-11-23T09:15"),  # after hours
        ("2026-11-22T03:00", 7 * HOUR, "2026-11-23T17:00"),  # the whole of Monday, to its last second
        ("2026-12-24T16:00", 2 * HOUR, "2026-12-28T10:00"),  # over a holiday and the weekend
    ],
)
def test_the_time_to_decide_runs_in_working_hours_alone(received: str, seconds: int, due: str) -> None:
    assert due_at(paris(received).astimezone(UTC), target_seconds=seconds, hours=OFFICE) == paris(due)


def test_without_a_calendar_the_time_runs_day_and_night() -> None:
    received = paris("2026-11-20T20:00")
    assert due_at(received, target_seconds=900) == received + timedelta(seconds=900)
    assert due_at(received, target_seconds=None) == received + timedelta(seconds=DEFAULT_DUE_SECONDS)


NIGHT = Hours.of(time_zone="Europe/Paris", hours={"sun": [["01:00", "04:00"]], "mon": [["09:00", "10:00"]]})


@pytest.mark.parametrize(
    ("received", "seconds", "due"),
    [
        # 29 March 2026: two o'clock is three; the span has two hours.
        ("2026-03-29T00:00:00+00:00", 2 * HOUR - 1, "2026-03-29T01:59:59+00:00"),
        ("2026-03-28T12:00:00+00:00", 2 * HOUR + 60, "2026-03-30T07:01:00+00:00"),
        # 25 October 2026: three o'clock is two again; the span has four hours.
        ("2026-10-24T12:00:00+00:00", 4 * HOUR, "2026-10-25T03:00:00+00:00"),
        ("2026-10-25T00:30:00+00:00", HOUR, "2026-10-25T01:30:00+00:00"),
    ],
)
def test_a_clock_change_takes_and_gives_its_hour(received: str, seconds: int, due: str) -> None:
    found = due_at(datetime.fromisoformat(received), target_seconds=seconds, hours=NIGHT)
    assert found == datetime.fromisoformat(due)


def test_a_calendar_that_is_closed_for_a_year_is_refused_and_stops_no_clock() -> None:
    christmas = [(date(2026, 1, 5) + timedelta(weeks=week)).isoformat() for week in range(200)]
    never = Hours.of(time_zone="UTC", hours={"mon": [["09:00", "17:00"]]}, holidays=christmas)
    received = datetime(2026, 11, 20, tzinfo=UTC)
    with pytest.raises(NoWorkingHours):
        due_at(received, target_seconds=60, hours=never)
    with pytest.raises(NoWorkingHours):
        expires_at(received, expires_seconds=60, hours=never)
    found = deadlines(received, due_seconds=60, expires_seconds=120, hours=never)
    assert found.due_at == received + timedelta(seconds=60)
    assert found.expires_at == received + timedelta(seconds=120)


def test_a_calendar_too_rarely_open_for_the_time_ends_the_search() -> None:
    rare = Hours.of(time_zone="UTC", hours={"mon": [["09:00", "09:01"]]})
    with pytest.raises(NoWorkingHours):
        due_at(datetime(2026, 11, 20, tzinfo=UTC), target_seconds=2**31 - 1, hours=rare)


ZONES = ("UTC", "Europe/Paris", "America/New_York", "Australia/Lord_Howe", "America/Havana", "Asia/Kathmandu")
_half = st.integers(0, 47)
_span = st.tuples(_half, _half).filter(lambda pair: pair[0] < pair[1])


def clock(half: int) -> str:
    return f"{half // 2:02d}:{half % 2 * 30:02d}"


@st.composite
def calendars(draw: Any) -> Hours:
    """Any week with a span a day."""
    days = draw(st.sets(st.sampled_from(("mon", "tue", "wed", "thu", "fri", "sat", "sun")), min_size=1))
    hours = {day: [[clock(start), clock(end)] for start, end in [draw(_span)]] for day in sorted(days)}
    return Hours.of(time_zone=draw(st.sampled_from(ZONES)), hours=hours)


@given(
    hours=calendars(),
    # Days around the clock changes of 2026 in both hemispheres.
    day=st.sampled_from(["2026-03-07", "2026-03-28", "2026-04-04", "2026-10-03", "2026-10-24", "2026-10-31"]),
    minute=st.integers(0, 3 * 1440),
    minutes=st.integers(1, 600),
)
@settings(max_examples=60, deadline=None)
def test_the_deadline_is_what_counting_the_open_minutes_gives(
    hours: Hours, day: str, minute: int, minutes: int
) -> None:
    received = datetime.fromisoformat(day).replace(tzinfo=UTC) + timedelta(minutes=minute)
    found = due_at(received, target_seconds=60 * minutes, hours=hours)
    counted, moment = 0, received
    while counted < minutes:
        counted += hours.holds(moment)
        moment += timedelta(minutes=1)
    assert found == moment


@given(due=st.none() | st.integers(1, 10**6), expires=st.none() | st.integers(1, 10**6), hours=st.none() | calendars())
@settings(max_examples=60, deadline=None)
def test_a_review_never_expires_before_it_is_due(due: int | None, expires: int | None, hours: WorkingHours) -> None:
    received = datetime(2026, 11, 20, 12, tzinfo=UTC)
    found = deadlines(received, due_seconds=due, expires_seconds=expires, hours=hours)
    assert received < found.due_at <= found.expires_at
