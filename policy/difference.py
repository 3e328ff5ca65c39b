"""What changes between two snapshots, as a person reads it: by rule, list or action, field by field, in words. Pure."""

from __future__ import annotations

import json
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from typing import Any, Final

from policy.snapshot import Change

_NAMES: Final[Mapping[str, str]] = {
    "when": "when",
    "scope": "actions",
    "due_in_seconds": "due in (seconds)",
    "expires_in_seconds": "expires in (seconds)",
    "hold_seconds": "hold (seconds)",
    "quorum": "people who approve",
    "escalate_to": "escalate to",
    "out_of_hours": "out of hours",
    "suggest": "offer instead",
    "on_error": "on error",
    "tier_floor": "least tier",
    "schema_sha256": "schema (hash)",
    "rollout": "rollout (percent)",
}
# What a snapshot leaves out and what it means.
_IMPLIED: Final[Mapping[str, str]] = {"quorum": "1", "out_of_hours": "wait"}
_FIRST: Final = ("name", "title", "scope", "when", "effect", "mode", "tier", "team", "reason", "note", "tests")
# What a new rule has unless somebody said otherwise says nothing.
_DEFAULTS: Final[Mapping[str, object]] = {"rollout": 100, "priority": 100, "on_error": "review", "hold_seconds": 10}


@dataclass(frozen=True)
class Line:
    """One field before and after; empty text where there was or is nothing."""

    field: str
    before: str
    after: str


@dataclass
class Item:
    """One rule, action, list or default: added, removed or changed, with its lines."""

    what: str
    verb: str
    lines: list[Line] = field(default_factory=list)


def difference(changes: Iterable[Change]) -> list[Item]:
    """The changes, each thing once."""
    found: dict[str, Item] = {}
    for change in changes:
        if change.field is None:
            is_added = change.before is None
            item = found.setdefault(change.what, Item(change.what, "added" if is_added else "removed"))
            item.lines += _whole(change.after if is_added else change.before, is_added=is_added)
        else:
            item = found.setdefault(change.what, Item(change.what, "changed"))
            implied = _IMPLIED.get(change.field, "")
            before, after = (_words(change.field, _read(text)) or implied for text in (change.before, change.after))
            item.lines.append(Line(_NAMES.get(change.field, change.field), before, after))
    return list(found.values())


def _whole(text: str | None, *, is_added: bool) -> list[Line]:
    document = _read(text)
    if not isinstance(document, Mapping):
        words = _words("", document)
        return [Line("", "", words) if is_added else Line("", words, "")]
    order = {name: place for place, name in enumerate(_FIRST)}
    lines = []
    for name in sorted(document, key=lambda name: (order.get(name, len(order)), name)):
        words = _words(name, document[name])
        if words and name != "id" and _DEFAULTS.get(name) != document[name]:
            lines.append(Line(_NAMES.get(name, name), *(("", words) if is_added else (words, ""))))
    return lines


def _read(text: str | None) -> Any:
    if text is None:
        return None
    try:
        return json.loads(text)
    except ValueError:
        return text


def _words(name: str, value: Any) -> str:
    if value is None or value == "" or value == []:
        return ""
    if name == "scope" and isinstance(value, Mapping):
        return ", ".join(value.get("actions", ()))
    if name == "suggest" and isinstance(value, Mapping):
        return ", ".join(f"{path} = {json.dumps(item, ensure_ascii=False)}" for path, item in sorted(value.items()))
    if name == "tests" and isinstance(value, list):
        return "; ".join(f"{test.get('name')}: {test.get('expect')}" for test in value)
    if isinstance(value, list) and all(isinstance(item, str) for item in value):
        return ", ".join(value)
    return value if isinstance(value, str) else json.dumps(value, ensure_ascii=False, sort_keys=True)
