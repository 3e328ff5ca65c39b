"""The fields that the builder offers: from schemas, from recorded calls, from counters, and those always there."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Final
from uuid import UUID

from audit import calls
from policy import drafts, guards
from policy.builder import Kind
from policy.catalog import known_actions
from policy.models import Calendar, Counter, NamedList
from policy.rowvalues import BadValue, path_of
from tenants.isolation import rows_of

CALLS_READ: Final = 100
MOST_FIELDS: Final = 150
_DEPTH: Final = 3
_SCHEMA_KINDS: Final[Mapping[str | None, Kind]] = {
    "integer": "number",
    "number": "number",
    "string": "text",
    "boolean": "flag",
    "array": "list",
}
_ALWAYS: Final[tuple[tuple[str, str, Kind], ...]] = (
    ("User", "user.user_id", "text"),
    ("Tool", "action_id", "text"),
    ("Tool", "tool.name", "text"),
    ("Tool", "tool.server", "text"),
    ("Tool", "tool.labels", "list"),
    ("Tool", "tool.destructive", "flag"),
    ("Tool", "tool.read_only", "flag"),
    ("Tool", "tool.idempotent", "flag"),
    ("Tool", "tool.open_world", "flag"),
    ("Tool", "tool.drifted", "flag"),
    ("Agent and run", "agent.id", "text"),
    ("Agent and run", "agent.version", "text"),
    ("Agent and run", "agent.tags", "list"),
    ("Agent and run", "run.call_no", "number"),
    ("Agent and run", "run.labels", "list"),
    ("Agent and run", "request.environment", "text"),
    ("Agent and run", "request.batch_size", "number"),
    ("Time", "now", "time"),
)
GROUPS: Final = ("Parameters", "User", "Counters", "Tool", "Agent and run", "Time")
_KIND_WORDS: Final[Mapping[str, str]] = {
    "number": "number",
    "text": "text",
    "flag": "yes or no",
    "list": "several values",
    "time": "time",
}


@dataclass(frozen=True)
class Field:
    """One choice: its group, its path as a rule writes it, and what it holds ("" if not known)."""

    group: str
    path: str
    kind: Kind = ""

    @property
    def label(self) -> str:
        """What the choice says."""
        return f"{self.path} ({_KIND_WORDS[self.kind]})" if self.kind else self.path


@dataclass(frozen=True)
class Offer:
    """Everything a rule's editor offers for its scope."""

    fields: tuple[Field, ...]
    lists: tuple[str, ...]
    calendars: tuple[str, ...]
    actions: tuple[str, ...]

    @property
    def knows_params(self) -> bool:
        """Whether a schema or a call says what the actions take."""
        return any(field.group == "Parameters" for field in self.fields)

    def kind_of(self, field: str) -> Kind:
        """What a field holds, as far as it is known."""
        try:
            path = ".".join(path_of(field))
        except BadValue:
            return ""
        return next((found.kind for found in self.fields if found.path == path), "")

    def choices(self, more: Iterable[str] = ()) -> list[tuple[str, list[tuple[str, str]]]]:
        """The fields by group, those of `more` that are not among them first."""
        known = {field.path for field in self.fields}
        extra = [(path, path) for path in dict.fromkeys(more) if path and path not in known]
        groups = [(name, [(f.path, f.label) for f in self.fields if f.group == name]) for name in GROUPS]
        return [("Written by you", extra)] * bool(extra) + [group for group in groups if group[1]]


def offer(tenant_id: UUID, globs: Sequence[str]) -> Offer:
    """What fits a scope; all that is known while it names no action. Call inside the tenant's transaction."""
    scope = list(globs) or ["*"]
    found: dict[str, Field] = {}
    for schema in drafts.schemas_in_scope(tenant_id, scope):
        _add(found, _of_schema(schema))
    _add(found, _of_calls(calls.recorded_calls(tenant_id, actions=scope, limit=CALLS_READ)))
    _add(found, (Field("Counters", f"stats.{row.slug}", "number") for row in rows_of(Counter, tenant_id)))
    _add(found, (Field(group, path, kind) for group, path, kind in _ALWAYS))
    return Offer(
        fields=tuple(found.values()),
        lists=tuple(rows_of(NamedList, tenant_id).values_list("slug", flat=True)),
        calendars=tuple(rows_of(Calendar, tenant_id).values_list("slug", flat=True)),
        actions=tuple(known_actions(tenant_id)),
    )


def _add(found: dict[str, Field], more: Iterable[Field]) -> None:
    for field in more:
        if len(found) >= MOST_FIELDS:
            return
        known = found.get(field.path)
        if known is None:
            found[field.path] = field
        elif known.kind != field.kind and "" not in (known.kind, field.kind):
            # Seen as one thing and as another: the row must not take it for either.
            found[field.path] = Field(field.group, field.path)


def _of_schema(schema: Mapping[str, object]) -> Iterator[Field]:
    for path in guards.paths_in(schema):
        kind = guards.type_at(schema, path)
        if kind != "object":
            yield Field("Parameters", ".".join(("params", *path)), _SCHEMA_KINDS.get(kind, ""))


def _of_calls(recorded: Iterable[calls.RecordedCall]) -> Iterator[Field]:
    for call in recorded:
        for group, root, values in (("Parameters", "params", call.params), ("User", "user", call.user)):
            for path, value in _leaves((root,), values or {}):
                yield Field(group, ".".join(path), _kind_of(value))


def _leaves(path: tuple[str, ...], values: Mapping[str, Any]) -> Iterator[tuple[tuple[str, ...], Any]]:
    for name, value in values.items():
        if not name or len(name) > 80 or any(char in ".[]'\"`\\" or char.isspace() for char in name):
            continue  # a row could not name it
        if isinstance(value, Mapping):
            if len(path) < _DEPTH:
                yield from _leaves((*path, name), value)
        elif value is not None:
            yield (*path, name), value


def _kind_of(value: object) -> Kind:
    if isinstance(value, bool):
        return "flag"
    if isinstance(value, (int, float)):
        return "number"
    return "text" if isinstance(value, str) else "list"
