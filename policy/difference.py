"""What changes between two snapshots, as a person reads it: by rule, list or action, field by field, in words. Pure."""

from __future__ import annotations

import json
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, Final

from policy.rulewords import in_words, rule_sentence
from policy.snapshot import Change

_NAMES: Final[Mapping[str, str]] = {
    "when": "when",
    "scope": "actions",
    "due_in_seconds": "due in",
    "expires_in_seconds": "expires in",
    "hold_seconds": "hold before release",
    "window_seconds": "window",
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


# What a page counts, in its order: the first word of `Item.what`, then one and several of them.
_KINDS: Final[Mapping[str, tuple[str, str]]] = {
    "Rule": ("rule", "rules"),
    "Action": ("action", "actions"),
    "List": ("list", "lists"),
    "Calendar": ("calendar", "calendars"),
    "Counter": ("counter", "counters"),
}
_CODE: Final = frozenset({"when", "scope", "suggest", "suppresses", "of", "key", "schema_sha256", "sha256"})
_VERBS: Final = ("added", "changed", "removed")
# Up to here each change is open to be read; beyond, a page would be nothing but tables.
_MOST_OPEN: Final = 8


@dataclass(frozen=True)
class Line:
    """One field before and after; empty text where there was or is nothing. `key` is its name in the snapshot."""

    field: str
    before: str
    after: str
    key: str = ""

    @property
    def is_code(self) -> bool:
        """Whether a machine reads it; everything else is words."""
        return self.key in _CODE


@dataclass
class Item:
    """One rule, action, list or default: added, removed or changed, with its lines.

    `title`, `effect` and `reads` are of a rule that is wholly there: its name, its effect, and all it says in a sentence.
    """

    what: str
    verb: str
    lines: list[Line] = field(default_factory=list)
    title: str = ""
    effect: str = ""
    reads: str = ""

    @property
    def kind(self) -> str:
        """Rule, Action, List; or what there is but one of, such as Defaults."""
        return self.what.partition(" ")[0]

    @property
    def name(self) -> str:
        """Its id among its kind; empty where there is but one."""
        return self.what.partition(" ")[2]

    @property
    def said(self) -> dict[str, str]:
        """What it says now, else what it said, by the names of the snapshot."""
        return {line.key: line.after or line.before for line in self.lines}

    @property
    def fields(self) -> str:
        """The names of what changed."""
        return ", ".join(line.field for line in self.lines)


@dataclass(frozen=True)
class Overview:
    """A difference for a page: what it amounts to, actions that came or went as rows, everything else to be opened."""

    summary: str
    folds: list[Item]
    actions: list[tuple[str, list[Item]]]  # (verb, items)
    is_short: bool  # few enough folds to stand open


def overview(items: Iterable[Item]) -> Overview:
    """The items by what a reader looks for first."""
    items = list(items)
    others = [item for item in items if item.kind != "Action" or item.verb == "changed"]
    whole = [item for item in items if item.kind == "Action" and item.verb != "changed"]
    by_verb = [(verb, [item for item in whole if item.verb == verb]) for verb in ("added", "removed")]
    return Overview(
        summary=_summary(items),
        folds=others,
        actions=[(verb, found) for verb, found in by_verb if found],
        is_short=len(others) <= _MOST_OPEN,
    )


def _summary(items: Sequence[Item]) -> str:
    """ "14 rules and 66 actions added; 1 rule changed; defaults added." """
    parts = []
    for verb in _VERBS:
        here = [item for item in items if item.verb == verb]
        counts = [(sum(item.kind == kind for item in here), names) for kind, names in _KINDS.items()]
        named = [f"{count} {one if count == 1 else several}" for count, (one, several) in counts if count]
        named += [item.what.lower() for item in here if item.kind not in _KINDS]
        if named:
            listed = named[0] if len(named) == 1 else f"{', '.join(named[:-1])} and {named[-1]}"
            parts.append(f"{listed} {verb}")
    return f"{'; '.join(parts)}." if parts else ""


def difference(changes: Iterable[Change]) -> list[Item]:
    """The changes, each thing once."""
    found: dict[str, Item] = {}
    for change in changes:
        if change.field is None:
            is_added = change.before is None
            item = found.setdefault(change.what, Item(change.what, "added" if is_added else "removed"))
            text = change.after if is_added else change.before
            item.lines += _whole(text, is_added=is_added)
            if item.kind == "Rule":
                _tell_rule(item, _read(text))
        else:
            item = found.setdefault(change.what, Item(change.what, "changed"))
            implied = _IMPLIED.get(change.field, "")
            before, after = (_words(change.field, _read(text)) or implied for text in (change.before, change.after))
            item.lines.append(Line(_NAMES.get(change.field, change.field), before, after, key=change.field))
    return list(found.values())


def _tell_rule(item: Item, rule: Mapping[str, Any]) -> None:
    item.title, item.effect = rule["name"], rule["effect"]
    item.reads = rule_sentence(
        rule["when"],
        actions=rule["scope"]["actions"],
        effect=rule["effect"],
        tier=rule["tier"],
        team=rule["team"] or "",
        due_in_seconds=rule["due_in_seconds"],
    )


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
            before, after = ("", words) if is_added else (words, "")
            lines.append(Line(_NAMES.get(name, name), before, after, key=name))
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
    if name.endswith("_seconds") and isinstance(value, int):
        return in_words(value) if value else "none"
    if name in ("tier", "tier_floor") and value == 0:
        return "none"
    if name == "suggest" and isinstance(value, Mapping):
        return ", ".join(f"{path} = {json.dumps(item, ensure_ascii=False)}" for path, item in sorted(value.items()))
    if name == "tests" and isinstance(value, list):
        return "; ".join(f"{test.get('name')}: {test.get('expect')}" for test in value)
    if isinstance(value, list) and all(isinstance(item, str) for item in value):
        return ", ".join(value)
    return value if isinstance(value, str) else json.dumps(value, ensure_ascii=False, sort_keys=True)
