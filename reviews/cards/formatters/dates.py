"""Points in time, in the reader's zone. Source: reviewer-experience.md section 3, "date-time"."""

from __future__ import annotations

import re
from datetime import UTC, date, datetime, timedelta, timezone
from functools import lru_cache
from typing import Final
from zoneinfo import ZoneInfo

from reviews.cards.formatters.base import WrongKindError, one, want
from reviews.cards.types import Caution, Part, Rendered, Role, Value

DATE_OPTIONS: Final = {"zone": "The zone meant where the call gives no offset (IANA, such as Europe/Berlin)"}

_DATE_ONLY: Final = re.compile(r"\d{4}-\d{2}-\d{2}")
# RFC 3339, with a space for the T as many programs write it; seconds and offset may be left out.
_INSTANT: Final = re.compile(
    r"(\d{4}-\d{2}-\d{2})[Tt ](\d{2}:\d{2}(?::\d{2}(?:[.,]\d{1,9})?)?)\s?([Zz]|[+-]\d{2}:?\d{2})?"
)


def date_time(value: Value) -> Rendered:
    """`Tue 24 Nov 2026, 14:00 CET (in 3 days) 13:00 UTC`; a date alone is no instant and gets no clock.

    Never a day and a month in digits alone: `02/03/26` is two days in two countries, and is not read at all.
    """
    written = want(value.value, str)
    zone = _zone(value.known.zone)
    if _DATE_ONLY.fullmatch(written):
        return _whole_day(value, date.fromisoformat(written), today=value.now.astimezone(zone).date())
    found = _INSTANT.fullmatch(written)
    if not found:
        raise WrongKindError("date-time")
    day, clock, offset = found.groups()
    at = datetime.fromisoformat(f"{day}T{_trimmed(clock)}")
    if offset is None:
        return _without_offset(value, at, zone)
    return _instant(value, at.replace(tzinfo=_fixed(offset)), zone)


def _trimmed(clock: str) -> str:
    """The time of day with at most six decimals, as Python's own reader wants it on every version."""
    head, _, fraction = clock.replace(",", ".").partition(".")
    return f"{head}.{fraction[:6].ljust(6, '0')}" if fraction else head


def _fixed(offset: str) -> timezone:
    if offset in ("Z", "z"):
        return UTC
    hours, minutes = int(offset[1:3]), int(offset[-2:])
    span = timedelta(hours=hours, minutes=minutes)
    return timezone(-span if offset[0] == "-" else span)


@lru_cache(maxsize=64)
def _zone(name: str) -> ZoneInfo:
    try:
        return ZoneInfo(name)
    except (KeyError, ValueError, OSError):
        return ZoneInfo("UTC")


def _whole_day(value: Value, day: date, *, today: date) -> Rendered:
    cautions = (Caution("past"),) if day < today else ()
    distance = Part(f" ({_days((day - today).days)})", Role.QUIET)
    return one(value, Part(f"{day:%a} {day.day} {day:%b %Y}", Role.STRONG), distance,
               cautions=cautions, raw=str(value.value), exact=str(value.value))  # fmt: skip


def _without_offset(value: Value, at: datetime, reader: ZoneInfo) -> Rendered:
    """A time of day without a zone: read in the declared one, else in none, for nobody knows which instant it is."""
    declared = value.options.get("zone")
    zone = _zone(declared) if isinstance(declared, str) and declared else None
    cautions = [*([] if zone else [Caution("no_offset")]), *_around_the_switch(at, zone or reader)]
    if zone and not any(caution.code == "dst_gap" for caution in cautions):
        rendered = _instant(value, at.replace(tzinfo=zone), reader)
        return one(value, *rendered.parts, cautions=[*cautions, *rendered.cautions], raw=rendered.raw,
                   exact=rendered.exact)  # fmt: skip
    # The last place on earth to reach a time of day is 12 hours behind UTC; then it is past everywhere.
    if at < value.now.astimezone(UTC).replace(tzinfo=None) - timedelta(hours=14):
        cautions.append(Caution("past"))
    return one(value, Part(_words(at), Role.STRONG), cautions=cautions, raw=str(value.value), exact=str(value.value))


def _around_the_switch(at: datetime, zone: ZoneInfo) -> list[Caution]:
    """Whether clocks are put forward or back over this time of day: it then exists never, or twice."""
    early, late = at.replace(tzinfo=zone, fold=0), at.replace(tzinfo=zone, fold=1)
    if early.utcoffset() == late.utcoffset():
        return []
    is_there = early.astimezone(UTC).astimezone(zone).replace(tzinfo=None) == at
    return [Caution("dst_overlap" if is_there else "dst_gap", args={"zone": zone.key})]


def _instant(value: Value, at: datetime, zone: ZoneInfo) -> Rendered:
    universal = at.astimezone(UTC)
    local = universal.astimezone(zone)
    name = local.tzname() or ""
    # Some zones have no name but their offset: say whose it is.
    named = name if name.isalpha() else f"{zone.key} (UTC{name})"
    parts = [
        Part(f"{_words(local)} {named}", Role.STRONG),
        Part(f" ({_distance(universal - value.now)})", Role.QUIET),
    ]
    if local.utcoffset():
        other_day = f"{universal.day} {universal:%b}, " if universal.date() != local.date() else ""
        parts.append(Part(f" {other_day}{universal:%H:%M} UTC", Role.QUIET))
    cautions = (Caution("past"),) if universal < value.now else ()
    return one(value, *parts, cautions=cautions, raw=str(value.value), exact=str(value.value))


def _words(at: datetime) -> str:
    return f"{at:%a} {at.day} {at:%b %Y, %H:%M}{f':{at:%S}' if at.second else ''}"


def _days(days: int) -> str:
    if days == 0:
        return "today"
    noun = "day" if abs(days) == 1 else "days"
    return f"in {days:,} {noun}" if days > 0 else f"{-days:,} {noun} ago"


def _distance(span: timedelta) -> str:
    seconds = abs(span.total_seconds())
    for limit, size, noun in ((90, 1, "s"), (5400, 60, "min"), (172_800, 3600, "h")):
        if seconds < limit:
            words = f"{seconds / size:.0f} {noun}"
            break
    else:
        words = f"{seconds / 86_400:,.0f} days"
    return f"in {words}" if span > timedelta(0) else f"{words} ago"
