"""Django admin for what rules lean on: lists, calendars, counters. Saves through the write functions of `lists`."""

from __future__ import annotations

from datetime import UTC, date, datetime, time, timedelta
from typing import Any
from uuid import UUID

from django import forms
from django.contrib import admin, messages
from django.core.exceptions import ValidationError
from django.db.models import Count, QuerySet
from django.http import HttpRequest
from django.utils.safestring import mark_safe

from policy import lists
from policy.admin import DraftAdmin, member_of, tenant_id_of
from policy.calendar_form import HolidaysField, HoursField, week_in_words
from policy.calendars import BadCalendar, Hours
from policy.counting import LEAST_WINDOW, MOST_WINDOW, counter_mistakes
from policy.drafts import scope_mistakes
from policy.duration_field import DurationField
from policy.models import Calendar, Counter, NamedList
from policy.rulewords import in_words
from policy.terms import ListValue
from tenants.isolation import rows_of
from tenants.models import Member

_MONO = {"spellcheck": "false", "autocapitalize": "off", "class": "vLargeTextField mono"}
DRAFT = "This is the draft. It acts once it is published."


class LeanedOnForm(forms.ModelForm):  # type: ignore[type-arg]  # not generic at run time
    """A part of the draft with a name of its own."""

    tenant_id: UUID
    acting: Member

    def clean_slug(self) -> str:
        """The name, unused in this tenant."""
        slug: str = self.cleaned_data["slug"]
        if rows_of(self._meta.model, self.tenant_id).filter(slug=slug).exclude(pk=self.instance.pk).exists():
            raise ValidationError("Another one has this name.")
        return slug


class LeanedOnAdmin(DraftAdmin):
    """A list, a calendar or a counter: the name is stable, and one in use is not deleted."""

    def get_readonly_fields(self, request: HttpRequest, obj: Any = None) -> tuple[str, ...]:
        """Rules cite the name."""
        return ("slug", "used_by") if obj else ()

    @admin.display(description="Used by")
    def used_by(self, row: Any) -> str:
        """The rules that name it."""
        return ", ".join(lists.users_of(row.tenant_id, row)) or "no rule"

    def has_delete_permission(self, request: HttpRequest, obj: Any = None) -> bool:
        """Whoever may change it, unless a rule names it; one at a time."""
        if not super().has_delete_permission(request, obj):
            return False
        return obj is None or not lists.users_of(obj.tenant_id, obj)

    def get_actions(self, request: HttpRequest) -> dict[str, Any]:
        """No deletion in bulk: it would pass by the check of who uses it."""
        return {name: action for name, action in super().get_actions(request).items() if name != "delete_selected"}

    def delete_consequence(self, obj: Any) -> str:
        """Nothing leans on it, or it could not be deleted."""
        return (
            "No rule of the draft names it. It is removed from the draft with all that it holds. What is live stays "
            "until the next publish."
        )

    def delete_model(self, request: HttpRequest, obj: Any) -> None:
        """Delete it from the draft."""
        lists.delete(tenant_id_of(request), acting=member_of(request), row=obj)


class NamedListForm(LeanedOnForm):
    """A list, its values as lines."""

    values = forms.CharField(
        required=False,
        strip=False,
        widget=forms.Textarea(attrs={"rows": 14, **_MONO}),
        help_text=mark_safe(  # our own words
            "One a line. Optional, after a bar: the last day it counts (UTC), and a note."
            '<code class="help__example" tabindex="0">partner.example | 2026-12-31 | until the contract ends</code>'
        ),
    )

    class Meta:
        model = NamedList
        fields = ("slug", "kind", "note")

    def __init__(self, *args: Any, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        if not self.instance._state.adding:  # noqa: SLF001  # Django documents it
            self.initial["values"] = "\n".join(map(line_of, lists.values_of(self.instance)))

    def clean(self) -> dict[str, Any]:
        """Each value is one of the list's kind."""
        data = super().clean() or {}
        found, mistakes = values_in(data.get("values", ""))
        if "kind" in data:
            mistakes += lists.value_mistakes(data["kind"], found)
        if mistakes:
            self.add_error("values", mistakes)
        data["found"] = found
        return data


def values_in(text: str) -> tuple[list[ListValue], list[str]]:
    """(the values, what is wrong with lines): `value | last day | note`, the last two as one likes."""
    found: list[ListValue] = []
    mistakes: list[str] = []
    for number, line in enumerate(text.splitlines(), 1):
        if not line.strip():
            continue
        value, day, note = (*(part.strip() for part in line.split("|", 2)), "", "")[:3]
        expires_at = None
        if day:
            try:
                last = date.fromisoformat(day)
                expires_at = datetime.combine(last + timedelta(days=1), time(), UTC)
            except (ValueError, OverflowError):
                mistakes.append(f"Line {number}: {day!r} is no day; write 2026-12-31.")
        if len(note) > 200:
            mistakes.append(f"Line {number}: a note has at most 200 characters.")
        found.append(ListValue(value, note[:200], expires_at))
    return found, mistakes[:20]


def line_of(item: ListValue) -> str:
    """A value as the form shows it."""
    # The last day is the one before the moment at which it no longer counts.
    day = (item.expires_at.astimezone(UTC) - timedelta(microseconds=1)).date().isoformat() if item.expires_at else ""
    parts = [item.value, day, item.note]
    while len(parts) > 1 and not parts[-1]:
        parts.pop()
    return " | ".join(parts).replace(" |  | ", " | | ")


@admin.register(NamedList)
class NamedListAdmin(LeanedOnAdmin):
    """Lists that rules name."""

    form = NamedListForm
    history = ("list.changed", "about", "slug")
    about = "A list holds values that rules compare with, such as the domains of your company, in one place for all of them."
    list_display = ("slug", "kind", "size", "note")
    search_fields = ("slug", "note")
    search_help_text = "Name, or words of the note"

    def get_fields(self, request: HttpRequest, obj: Any = None) -> Any:
        """Who uses it only once it is there."""
        return ["slug", "kind", "note", "values", *(["used_by"] if obj else [])]

    def get_queryset(self, request: HttpRequest) -> QuerySet[Any]:
        """With the number of values."""
        rows: QuerySet[Any] = super().get_queryset(request).annotate(value_count=Count("entries"))
        return rows

    @admin.display(description="Values")
    def size(self, row: Any) -> int:
        """How many values it has."""
        return int(row.value_count)

    def save_model(self, request: HttpRequest, obj: NamedList, form: NamedListForm, change: bool) -> None:
        """Save the list with exactly these values."""
        before = {line_of(item): item for item in lists.values_of(obj)} if change else {}
        # A line that was not touched keeps the very moment at which its value ends.
        values = [before.get(line_of(item), item) for item in form.cleaned_data["found"]]
        lists.save_list(tenant_id_of(request), acting=member_of(request), row=obj, values=values)
        self.message_user(request, DRAFT, messages.INFO)


class CalendarForm(LeanedOnForm):
    """A calendar; refused with a sentence at the field that is not in form."""

    hours = HoursField(
        help_text="Local times, such as 09:00 to 12:30 and 13:30 to 17:00. A day without any is closed; 24:00 ends a day."
    )
    holidays = HolidaysField(
        required=False,
        widget=forms.Textarea(attrs={"rows": 6, "placeholder": "2026-12-25", **_MONO}),
        help_text="Closed all day. One date a line, such as 2026-12-25.",
    )

    class Meta:
        model = Calendar
        fields = ("slug", "time_zone", "hours", "holidays")

    def clean(self) -> dict[str, Any]:
        """Hours that can be asked: what the fields cannot know is whether there is such a zone."""
        data = super().clean() or {}
        if not self.errors:
            try:
                Hours.of(time_zone=data["time_zone"], hours=data["hours"], holidays=data["holidays"])
            except BadCalendar as error:
                self.add_error("time_zone", str(error))
        return data


@admin.register(Calendar)
class CalendarAdmin(LeanedOnAdmin):
    """Hours that rules name."""

    form = CalendarForm
    history = ("calendar.changed", "about", "slug")
    about = "A calendar holds working hours and holidays. Rules ask it for the hour, and times to decide run in it."
    list_display = ("slug", "open_hours", "time_zone", "holiday_count")

    def get_fields(self, request: HttpRequest, obj: Any = None) -> Any:
        """Who uses it only once it is there."""
        return ["slug", "time_zone", "hours", "holidays", *(["used_by"] if obj else [])]

    @admin.display(description="Open")
    def open_hours(self, row: Calendar) -> str:
        """The week in words."""
        return week_in_words(row.hours)

    @admin.display(description="Holidays")
    def holiday_count(self, row: Calendar) -> int:
        """How many are named."""
        return len(row.holidays)

    def save_model(self, request: HttpRequest, obj: Calendar, form: CalendarForm, change: bool) -> None:
        """Save the calendar."""
        lists.save_calendar(tenant_id_of(request), acting=member_of(request), row=obj)
        self.message_user(request, DRAFT, messages.INFO)


class CounterForm(LeanedOnForm):
    """A counter; refused with every mistake."""

    kind = forms.ChoiceField(
        label="What is counted",
        choices=[
            (Counter.Kind.COUNT, "How many calls"),
            (Counter.Kind.SUM, "How much: an amount of each call, added up"),
        ],
    )
    window_seconds = DurationField(
        least=LEAST_WINDOW,
        most=MOST_WINDOW,
        label="Window",
        help_text="What is older no longer counts. With 1 hour, a rule can say: more than three refunds in an hour.",
    )

    class Meta:
        model = Counter
        fields = ("slug", "scope_actions", "kind", "of", "key", "window_seconds")
        widgets = {"of": forms.TextInput(attrs={"size": 70, **_MONO})}  # noqa: RUF012  # Django reads it once
        labels = {"of": "Amount", "key": "Counted per"}  # noqa: RUF012
        help_texts = {  # noqa: RUF012
            "scope_actions": "Whose calls count: ids with * and ?, separated by commas, such as billing.refund*.",
            "of": "What to add up, as an expression (CEL), such as minor(params.amount, params.currency).",
            "key": "Each value has a count of its own: user.user_id counts for each user. Paths, separated by commas, "
            "such as agent.id, user.user_id, action_id, params.currency. Empty: all calls together.",
        }

    def __init__(self, *args: Any, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        self.fields["key"].required = False  # without a key all calls are counted together

    def clean(self) -> dict[str, Any]:
        """A definition that can be counted."""
        data = super().clean() or {}
        if not self.errors:
            counter = lists.counter_of(
                Counter(
                    slug=data.get("slug", self.instance.slug),
                    **{name: data[name] for name in ("scope_actions", "kind", "of", "key", "window_seconds")},
                )
            )
            mistakes = counter_mistakes(counter, engine=lists.engine_of(self.tenant_id))
            for sentence in [*mistakes, *scope_mistakes(counter.actions)]:
                self.add_error(None, sentence)
        return data


@admin.register(Counter)
class CounterAdmin(LeanedOnAdmin):
    """Counters that rules read."""

    form = CounterForm
    history = ("counter.changed", "about", "slug")
    about = "A counter adds up calls over a time, so that a rule can say: more than three refunds in an hour."
    list_display = ("read_as", "counted", "per", "window", "scope")

    def get_fields(self, request: HttpRequest, obj: Any = None) -> Any:
        """Who uses it only once it is there."""
        return ["slug", "scope_actions", "kind", "of", "key", "window_seconds", *(["used_by"] if obj else [])]

    @admin.display(description="Name", ordering="slug")
    def read_as(self, row: Counter) -> str:
        """As a condition reads it."""
        return f"stats.{row.slug}"

    @admin.display(description="What is counted", ordering="kind")
    def counted(self, row: Counter) -> str:
        """Calls, or which amount."""
        return f"the sum of {row.of}" if row.kind == Counter.Kind.SUM else "calls"

    @admin.display(description="Counted per")
    def per(self, row: Counter) -> str:
        """The key."""
        return ", ".join(row.key) or "all calls together"

    @admin.display(description="Window")
    def window(self, row: Counter) -> str:
        """Its length."""
        return in_words(row.window_seconds)

    @admin.display(description="Actions")
    def scope(self, row: Counter) -> str:
        """The globs."""
        return ", ".join(row.scope_actions)

    def save_model(self, request: HttpRequest, obj: Counter, form: CounterForm, change: bool) -> None:
        """Save the counter."""
        lists.save_counter(tenant_id_of(request), acting=member_of(request), row=obj)
        self.message_user(request, DRAFT, messages.INFO)
