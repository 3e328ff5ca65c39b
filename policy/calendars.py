"""Calendars: the hours in which `within(now, 'office_hours')` is true. The index is pure; rows are saved by `lists`.

Source: the policy design, section 3. The clocks of reviews run in them (`open_on`).
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import UTC, date, datetime, time, timedelta
from functools import cache
from itertools import pairwise
from typing import Final
from zoneinfo import ZoneInfo

DAYS: Final = ("mon", "tue", "wed", "thu", "fri", "sat", "sun")
MAX_SPANS: Final = 12
MAX_HOLIDAYS: Final = 1000

_RESOLUTION: Final = timedelta(seconds=1)
_CLOCK: Final = re.compile(r"([01][0-9]|2[0-3]):([0-5][0-9])|24:00")


class BadCalendar(ValueError):
    """Hours that are not in form; the message is for the author."""


@cache
def _zone(name: str) -> ZoneInfo:
    return ZoneInfo(name)


@dataclass(frozen=True)
class Hours:
    """A calendar, ready to be asked. `spans` are (from, to) in minutes of the day, by weekday; a holiday is closed."""

    time_zone: str
    spans: tuple[tuple[tuple[int, int], ...], ...]
    holidays: frozenset[str] = field(default_factory=frozenset)

    @classmethod
    def of(cls, *, time_zone: object, hours: object, holidays: object = ()) -> Hours:
        """Builds it from `{"mon": [["09:00", "17:00"]]}` and `["2026-12-25"]`. Raises BadCalendar with a sentence.

        Hours are local, the end is not included; 24:00 ends a day. A missing day is closed.
        """
        if not isinstance(time_zone, str) or not time_zone:
            raise BadCalendar("The time zone is a name such as Europe/Paris.")
        try:
            _zone(time_zone)
        except (KeyError, ValueError, OSError):  # unknown, not a name of a zone, a directory
            raise BadCalendar(f"There is no time zone {time_zone!r}; write a name such as Europe/Paris.") from None
        if not isinstance(hours, Mapping):
            raise BadCalendar('The hours are {"mon": [["09:00", "17:00"]], …}.')
        unknown = [str(day) for day in hours if day not in DAYS]
        if unknown:
            raise BadCalendar(f"{unknown[0]} is no day; write {', '.join(DAYS)}.")
        if not any(hours.values()):
            raise BadCalendar("At least one day has hours.")
        return cls(
            time_zone=time_zone,
            spans=tuple(spans_of(day, hours.get(day, [])) for day in DAYS),
            holidays=_holidays_of(holidays),
        )

    def holds(self, moment: datetime) -> bool:
        """Whether the aware moment is inside the hours, in the calendar's own zone."""
        local = moment.astimezone(_zone(self.time_zone))
        if self.holidays and local.date().isoformat() in self.holidays:
            return False
        minute = local.hour * 60 + local.minute
        return any(start <= minute < end for start, end in self.spans[local.weekday()])

    def local_date(self, moment: datetime) -> date:
        """The day of the aware moment in the calendar's own zone."""
        return moment.astimezone(_zone(self.time_zone)).date()

    def open_on(self, day: date) -> list[tuple[datetime, datetime]]:
        """The spans of a local day as aware UTC moments, in order: exactly the moments of which `holds` is true.

        On the day of a clock change an hour is skipped or comes twice, and so do its working minutes.
        """
        spans = self.spans[day.weekday()]
        if not spans or day.isoformat() in self.holidays:
            return []
        zone = _zone(self.time_zone)
        begin, end = (datetime.combine(at, time(), zone).astimezone(UTC) for at in (day, day + timedelta(days=1)))
        before, after = (_offset(at, zone) for at in (begin, end - _RESOLUTION))
        change = end if before == after else _change_between(begin, end, zone)
        midnight = datetime.combine(day, time(), UTC)
        found = []
        for offset, first, last in ((before, begin, change), (after, change, end)):
            for start, stop in spans:
                opens, closes = (midnight + timedelta(minutes=minutes) - offset for minutes in (start, stop))
                if max(opens, first) < min(closes, last):
                    found.append((max(opens, first), min(closes, last)))
        return found

    def document(self) -> dict[str, object]:
        """The calendar as JSON: what `of` takes."""
        return {
            "time_zone": self.time_zone,
            "hours": {
                day: [[_clock(start), _clock(end)] for start, end in spans]
                for day, spans in zip(DAYS, self.spans, strict=True)
                if spans
            },
            "holidays": sorted(self.holidays),
        }


def _offset(moment: datetime, zone: ZoneInfo) -> timedelta:
    return moment.astimezone(zone).utcoffset() or timedelta()


def _change_between(begin: datetime, end: datetime, zone: ZoneInfo) -> datetime:
    """The moment within a day, to the second, from which the zone's offset is another."""
    before = _offset(begin, zone)
    while end - begin > _RESOLUTION:
        middle = begin + timedelta(seconds=int((end - begin).total_seconds()) // 2)
        if _offset(middle, zone) == before:
            begin = middle
        else:
            end = middle
    return end


def _clock(minutes: int) -> str:
    return f"{minutes // 60:02d}:{minutes % 60:02d}"


def spans_of(day: str, spans: object) -> tuple[tuple[int, int], ...]:
    """The hours of one day in minutes, in order. `day` names it in what BadCalendar says."""
    if not isinstance(spans, (list, tuple)) or len(spans) > MAX_SPANS:
        raise BadCalendar(f'{day}: write a list of at most {MAX_SPANS} pairs, such as [["09:00", "17:00"]].')
    found = []
    for span in spans:
        if not isinstance(span, (list, tuple)) or len(span) != 2:
            raise BadCalendar(f'{day}: each pair is a start and an end, such as ["09:00", "17:00"].')
        start, end = (_minutes(day, text) for text in span)
        if start >= end:
            raise BadCalendar(f"{day}: {span[0]} is not before {span[1]}; hours past midnight are two days' hours.")
        found.append((start, end))
    found.sort()
    if any(before[1] > after[0] for before, after in pairwise(found)):
        raise BadCalendar(f"{day}: two pairs overlap.")
    return tuple(found)


def _minutes(day: str, text: object) -> int:
    if not isinstance(text, str) or not _CLOCK.fullmatch(text):
        raise BadCalendar(f"{day}: {text!r} is no time of day; write 09:00.")
    return int(text[:2]) * 60 + int(text[3:])


def _holidays_of(holidays: object) -> frozenset[str]:
    if not isinstance(holidays, (list, tuple)) or len(holidays) > MAX_HOLIDAYS:
        raise BadCalendar(f"The holidays are a list of at most {MAX_HOLIDAYS} dates.")
    return frozenset(map(holiday_of, holidays))


def holiday_of(text: object) -> str:
    """The date as it is kept. Raises BadCalendar."""
    try:
        if isinstance(text, str) and date.fromisoformat(text).isoformat() == text:
            return text
    except ValueError:
        pass
    raise BadCalendar(f"{text!r} is no date; write 2026-12-25.")
