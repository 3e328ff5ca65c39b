"""Lists, calendars and counters of the draft: saved and deleted with a check and an entry, read as rules see them.

They act once a revision that holds them is published. Source: the policy design, section 9.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterable, Mapping, Sequence
from datetime import datetime
from typing import Final, Literal, cast
from uuid import UUID

from django.utils import timezone

from audit.record import EntryDraft, record
from audit.scope import as_tenant
from policy.acting import actor, require
from policy.calendars import BadCalendar, Hours
from policy.cel import Engine
from policy.counting import counter_mistakes
from policy.errors import InvalidRule
from policy.functions import MAX_GLOBS, canonical_domain, list_key
from policy.functions import NamedList as ListIndex
from policy.models import Calendar, Counter, ListEntry, NamedList, Rule
from policy.references import references
from policy.snapshot import list_sha256
from policy.terms import CounterDef, ListValue
from tenants.isolation import rows_of
from tenants.models import Member

CHANGE_RULE: Final = "policy.change_rule"
MAX_ENTRIES: Final = 50_000
MAX_COUNTERS: Final = 50
MAX_COUNTERS_PER_ACTION: Final = 8


# Reading the draft.


def lists_of(tenant_id: UUID) -> dict[str, ListIndex]:
    """The tenant's lists as rules see them; call inside the tenant's transaction."""
    lasting: dict[UUID, list[str]] = defaultdict(list)
    ending: dict[UUID, dict[str, datetime]] = defaultdict(dict)
    rows = rows_of(ListEntry, tenant_id).values_list("list_id", "value", "expires_at")
    for list_id, value, expires_at in rows.iterator():
        if expires_at is None:
            lasting[list_id].append(value)
        else:
            ending[list_id][value] = expires_at
    return {
        found.slug: ListIndex.of(found.kind, lasting[found.pk], ending[found.pk])
        for found in rows_of(NamedList, tenant_id)
    }


def calendars_of(tenant_id: UUID) -> dict[str, Hours]:
    """The tenant's calendars as rules see them."""
    return {row.slug: hours_of(row) for row in rows_of(Calendar, tenant_id)}


def counters_of(tenant_id: UUID) -> tuple[CounterDef, ...]:
    """The tenant's counters as rules see them, by name."""
    return tuple(counter_of(row) for row in rows_of(Counter, tenant_id).order_by("slug"))


def hours_of(row: Calendar) -> Hours:
    """The row as rules see it. Raises BadCalendar."""
    return Hours.of(time_zone=row.time_zone, hours=row.hours, holidays=row.holidays)


def counter_of(row: Counter) -> CounterDef:
    """The row as rules see it."""
    return CounterDef(
        name=row.slug,
        actions=tuple(row.scope_actions),
        kind=cast(Literal["count", "sum"], row.kind),
        of=row.of,
        key=tuple(row.key),
        window_seconds=row.window_seconds,
    )


def engine_of(tenant_id: UUID) -> Engine:
    """An engine that knows the draft's lists, calendars and counters; call inside the tenant's transaction."""
    names = [counter.name for counter in counters_of(tenant_id)]
    return Engine(lists_of(tenant_id), calendars_of(tenant_id), names)


def values_of(row: NamedList) -> list[ListValue]:
    """The values of a stored list, by value."""
    entries = rows_of(ListEntry, row.tenant_id).filter(list=row).order_by("value")
    return [ListValue(entry.value, entry.note, entry.expires_at) for entry in entries]


# What is wrong, in sentences.


def value_mistakes(kind: str, values: Sequence[ListValue]) -> list[str]:
    """What is wrong with the values of a list; the first twenty."""
    if len(values) > MAX_ENTRIES:
        return [f"A list holds at most {MAX_ENTRIES:,} values; this has {len(values):,}."]
    if kind == "glob" and len(values) > MAX_GLOBS:
        return [f"A list of patterns holds at most {MAX_GLOBS:,}; this has {len(values):,}."]
    found: list[str] = []
    seen: set[object] = set()
    for item in values:
        try:
            key = list_key(kind, item.value)
        except ValueError:
            what = {"domain": "domain such as demo.example", "cidr": "network such as 10.0.0.0/8"}.get(kind, "value")
            found.append(f"{item.value!r} is no {what}.")
            continue
        if not item.value or len(item.value) > 255 or not item.value.isprintable():
            found.append(f"{item.value[:40]!r}: a value has 1 to 255 characters, on one line.")
        elif key in seen:
            found.append(f"{item.value!r} is in the list twice.")
        elif item.expires_at is not None and item.expires_at.tzinfo is None:
            found.append(f"{item.value!r}: the time at which it ends needs a zone.")
        seen.add(key)
        if len(found) == 20:
            break
    return found


# Saving.


def save_list(
    tenant_id: UUID, *, acting: Member, row: NamedList, values: Sequence[ListValue] | None = None
) -> NamedList:
    """Save a list of the draft; with `values`, exactly these are in it. Raises InvalidRule with every mistake.

    Values that stay keep their author and time.
    """
    require(acting, CHANGE_RULE, tenant_id=tenant_id)
    with as_tenant(tenant_id):
        row.tenant_id = tenant_id
        if row.kind not in NamedList.Kind.values:
            raise InvalidRule(f"{row.kind} is no kind of list; write {', '.join(NamedList.Kind.values)}.")
        mistakes = value_mistakes(row.kind, values if values is not None else values_of(row))
        if mistakes:
            raise InvalidRule(" ".join(mistakes))
        change = "saved" if rows_of(NamedList, tenant_id).filter(pk=row.pk).exists() else "created"
        row.save()
        counts = _write_values(row, values, acting) if values is not None else (0, 0)
        index = ListIndex.of(
            row.kind,
            [item.value for item in values_of(row) if item.expires_at is None],
            {item.value: item.expires_at for item in values_of(row) if item.expires_at is not None},
        )
        fields = {"list": row.slug, "sha256": list_sha256(index), "change": change}
        _record(tenant_id, acting, "list.changed", fields | {"added": counts[0], "removed": counts[1]})
    return row


def _write_values(row: NamedList, values: Sequence[ListValue], acting: Member) -> tuple[int, int]:
    """How many values came and went."""
    before = {entry.value: entry for entry in rows_of(ListEntry, row.tenant_id).filter(list=row)}
    after = {_stored(row.kind, item.value): item for item in values}
    gone = [entry.pk for value, entry in before.items() if value not in after]
    for start in range(0, len(gone), 5000):
        rows_of(ListEntry, row.tenant_id).filter(pk__in=gone[start : start + 5000]).delete()
    now = timezone.now()
    new = [
        ListEntry(
            tenant_id=row.tenant_id,
            list=row,
            value=value,
            note=item.note,
            added_by=acting,
            added_at=now,
            expires_at=item.expires_at,
        )
        for value, item in after.items()
        if value not in before
    ]
    ListEntry.objects.bulk_create(new, batch_size=5000)
    changed = []
    for value, entry in before.items():
        item = after.get(value)
        if item is not None and (entry.note, entry.expires_at) != (item.note, item.expires_at):
            entry.note, entry.expires_at = item.note, item.expires_at
            changed.append(entry)
    ListEntry.objects.bulk_update(changed, ["note", "expires_at"], batch_size=1000)
    return len(new), len(gone)


def _stored(kind: str, value: str) -> str:
    return canonical_domain(value) if kind == NamedList.Kind.DOMAIN else value


def save_calendar(tenant_id: UUID, *, acting: Member, row: Calendar) -> Calendar:
    """Save a calendar of the draft. Raises InvalidRule."""
    require(acting, CHANGE_RULE, tenant_id=tenant_id)
    with as_tenant(tenant_id):
        row.tenant_id = tenant_id
        try:
            hours_of(row)
        except BadCalendar as error:
            raise InvalidRule(str(error)) from error
        change = "saved" if rows_of(Calendar, tenant_id).filter(pk=row.pk).exists() else "created"
        row.save()
        _record(tenant_id, acting, "calendar.changed", {"calendar": row.slug, "change": change})
    return row


def save_counter(tenant_id: UUID, *, acting: Member, row: Counter) -> Counter:
    """Save a counter of the draft. Raises InvalidRule with every mistake."""
    require(acting, CHANGE_RULE, tenant_id=tenant_id)
    with as_tenant(tenant_id):
        row.tenant_id = tenant_id
        mistakes = counter_mistakes(counter_of(row), engine=engine_of(tenant_id))
        if not row.scope_actions:
            mistakes.append("Name at least one action, or * for every action.")
        if row.kind not in Counter.Kind.values:
            mistakes.append("A counter counts calls or sums an amount.")
        if mistakes:
            raise InvalidRule(" ".join(mistakes))
        change = "saved" if rows_of(Counter, tenant_id).filter(pk=row.pk).exists() else "created"
        row.save()
        _record(tenant_id, acting, "counter.changed", {"counter": row.slug, "change": change})
    return row


# Deleting: one in use stays.


def users_of(tenant_id: UUID, row: NamedList | Calendar | Counter) -> list[str]:
    """The ids of the draft's rules that name it, and the names of counters whose amount does."""
    engine = engine_of(tenant_id)
    texts = [(rule.slug, rule.condition) for rule in rows_of(Rule, tenant_id).order_by("slug")]
    texts += [(f"counter {counter.name}", counter.of) for counter in counters_of(tenant_id) if counter.of]
    found = []
    for name, text in texts:
        named = references(engine, [text])
        names = {NamedList: named.lists, Calendar: named.calendars, Counter: named.counters}[type(row)]
        if row.slug in names:
            found.append(name)
    if isinstance(row, Calendar):
        clocks = rows_of(Rule, tenant_id).filter(calendar=row.slug).order_by("slug").values_list("slug", flat=True)
        found += [name for name in clocks if name not in found]
    return found


def delete(tenant_id: UUID, *, acting: Member, row: NamedList | Calendar | Counter) -> None:
    """Delete it from the draft. Raises InvalidRule while a rule of the draft names it."""
    require(acting, CHANGE_RULE, tenant_id=tenant_id)
    with as_tenant(tenant_id):
        used_by = users_of(tenant_id, row)
        if used_by:
            raise InvalidRule(f"{row.slug} is used by {', '.join(used_by)}. Change that first.")
        slug, what = row.slug, {NamedList: "list", Calendar: "calendar", Counter: "counter"}[type(row)]
        row.delete()
        _record(tenant_id, acting, f"{what}.changed", {what: slug, "change": "deleted"})


def problems_of(counters: Iterable[CounterDef], *, engine: Engine, per_action: Mapping[str, int]) -> list[str]:
    """What stands against publishing these counters: `per_action` is how many each mapped action touches."""
    found = [f"{counter.name}: {words}" for counter in counters for words in counter_mistakes(counter, engine=engine)]
    if len(list(counters)) > MAX_COUNTERS:
        found.append(f"A revision holds at most {MAX_COUNTERS} counters.")
    for action_id, count in per_action.items():
        if count > MAX_COUNTERS_PER_ACTION:
            found.append(f"{action_id} touches {count} counters; {MAX_COUNTERS_PER_ACTION} is the most.")
    return found


def _record(tenant_id: UUID, acting: Member, kind: str, fields: Mapping[str, object]) -> None:
    record(tenant_id, EntryDraft(kind, fields, actor(acting)))
