"""A calendar as fields: a row for each day of the week, a line for each holiday. They give what is stored.

Times are typed, not picked: a picker of the browser knows no 24:00, at which a day may end.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from itertools import groupby
from typing import Any, Final

from django import forms
from django.core.exceptions import ValidationError
from django.template.loader import render_to_string

from policy.calendars import DAYS, MAX_SPANS, BadCalendar, holiday_of, spans_of

NAMES: Final = dict(
    zip(DAYS, ("Monday", "Tuesday", "Wednesday", "Thursday", "Friday", "Saturday", "Sunday"), strict=True)
)
_SHOWN: Final = 2  # pairs of a day at least: before and after a break
_SHORT_HOUR: Final = re.compile(r"\d:\d\d")

Week = Mapping[str, list[list[str]]]


class HoursWidget(forms.Widget):
    """From and to, for each day, at least twice."""

    use_fieldset = True

    def value_from_datadict(self, data: Mapping[str, Any], files: object, name: str) -> Week:
        """What was typed, by day; pairs that are wholly empty are left out."""
        found: dict[str, list[list[str]]] = {}
        for day in DAYS:
            pairs = [
                [str(data.get(f"{name}-{day}-{number}-{end}", "")).strip() for end in ("from", "to")]
                for number in range(MAX_SPANS)
            ]
            if any(map(any, pairs)):
                found[day] = [pair for pair in pairs if any(pair)]
        return found

    def value_omitted_from_data(self, data: Mapping[str, Any], files: object, name: str) -> bool:
        """Never: an empty week is an answer."""
        return False

    def id_for_label(self, id_: str) -> str:
        """Each field has a name of its own."""
        return ""

    def render(self, name: str, value: Any, attrs: Any = None, renderer: object = None) -> Any:
        """A line for each day."""
        week = value if isinstance(value, Mapping) else {}
        days = []
        for day in DAYS:
            pairs = list(week.get(day) or [])
            pairs += [["", ""]] * (_SHOWN - len(pairs))
            prefix = f"{name}-{day}"
            days.append({"name": NAMES[day], "pairs": [(f"{prefix}-{n}", *pair) for n, pair in enumerate(pairs)]})
        return render_to_string("admin/policy/calendar/hours.html", {"days": days})


class HoursField(forms.Field):
    """The hours of a week: `{"mon": [["09:00", "17:00"]]}`."""

    widget = HoursWidget
    default_error_messages = {"required": "Give at least one day its hours."}  # noqa: RUF012  # Django reads it once

    def to_python(self, value: Any) -> Week:
        """The typed times; 9:00 counts for 09:00. Every mistake of every day is said."""
        week = {
            day: [[f"0{text}" if _SHORT_HOUR.fullmatch(text) else text for text in pair] for pair in pairs]
            for day, pairs in (value or {}).items()
        }
        mistakes = []
        for day, pairs in week.items():
            if not all(map(all, pairs)):
                mistakes.append(f"{NAMES[day]}: give both the start and the end.")
                continue
            try:
                spans_of(NAMES[day], pairs)
            except BadCalendar as error:
                mistakes.append(str(error))
        if mistakes:
            raise ValidationError(mistakes)
        return week


class HolidaysField(forms.CharField):
    """Dates as lines: `["2026-12-25"]`."""

    def prepare_value(self, value: Any) -> Any:
        """One date a line."""
        return "\n".join(map(str, value)) if isinstance(value, list) else value

    def to_python(self, value: Any) -> Any:
        """The dates, each once."""
        found: list[str] = []
        mistakes = []
        for number, line in enumerate(str(value or "").splitlines(), 1):
            text = line.strip()
            try:
                if text and text not in found:
                    found.append(holiday_of(text))
            except BadCalendar as error:
                mistakes.append(f"Line {number}: {error}")
        if mistakes:
            raise ValidationError(mistakes[:20])
        return found


def week_in_words(week: Any) -> str:
    """The hours in a list: "Monday to Friday 09:00-17:00; Saturday 10:00-14:00"."""
    if not isinstance(week, Mapping):
        return ""
    spoken = [(day, ", ".join("-".join(pair) for pair in week.get(day) or [])) for day in DAYS]
    parts = []
    for hours, group in groupby(spoken, key=lambda item: item[1]):
        days = [NAMES[day] for day, _ in group]
        if hours:
            parts.append(f"{days[0] if len(days) == 1 else f'{days[0]} to {days[-1]}'} {hours}")
    return "; ".join(parts)
