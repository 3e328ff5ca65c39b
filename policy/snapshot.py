"""A rule set as the canonical text that a revision's hash covers, back again, and what changed between two. Pure."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass
from datetime import datetime
from importlib.metadata import version
from typing import Any, Final

import rfc8785

from policy.calendars import Hours
from policy.cel import PROFILE
from policy.evaluate import Rule, RuleSet
from policy.functions import NamedList
from policy.terms import CounterDef

FORMAT: Final = "guardsite-policy/1"
MOST_SHOWN: Final = 20
LIBRARIES: Final = ("cel-expr-python", "google-re2", "idna")

_RULE_FIELDS: Final = (
    *("id", "name", "effect", "on_error", "reason", "note", "tier", "team", "due_in_seconds", "expires_in_seconds"),
    *("hold_seconds", "mode", "rollout", "priority", "when"),
)
# Written where they say something: a rule that uses none of them keeps the hash it had before they were there.
_IMPLIED: Final[Mapping[str, object]] = {
    "quorum": 1,
    "escalate_to": None,
    "calendar": None,
    "out_of_hours": "wait",
    "suggest": {},
}


class BadSnapshot(ValueError):
    """A snapshot that is not ours or not what its hash says: policy must not run on it."""


@dataclass(frozen=True)
class ActionFacts:
    """What a revision says about a mapped action."""

    action_id: str
    title: str
    tier_floor: int
    undo: str
    schema: Mapping[str, object] | None


def write(rules: RuleSet, actions: Iterable[ActionFacts]) -> tuple[str, str]:
    """(snapshot text, SHA-256 in hex): JCS over everything that a decision depends on.

    That is rules, defaults, actions, lists with their values and hash, calendars, counters, profile and library
    versions: a revision needs nothing that is stored elsewhere.
    """
    document = {
        "format": FORMAT,
        "profile": PROFILE,
        "libraries": {name: version(name) for name in LIBRARIES},
        "defaults": {"mapped": rules.mapped, "unmapped": rules.unmapped},
        "actions": [
            {
                "id": action.action_id,
                "title": action.title,
                "tier_floor": action.tier_floor,
                "undo": action.undo,
                "schema_sha256": hashlib.sha256(rfc8785.dumps(_any(action.schema))).hexdigest()
                if action.schema
                else None,
            }
            for action in sorted(actions, key=lambda action: action.action_id)
        ],
        "rules": [_rule_document(rule) for rule in sorted(rules.rules, key=lambda rule: rule.id)],
        "lists": {name: _list_document(found) for name, found in rules.lists.items()},
        "calendars": {name: hours.document() for name, hours in rules.calendars.items()},
        "counters": {counter.name: _counter_document(counter) for counter in rules.counters},
    }
    data = rfc8785.dumps(_any(document))
    return data.decode(), hashlib.sha256(data).hexdigest()


def _any(value: object) -> Any:
    return value  # JSON by construction; rfc8785 types its argument recursively


def _list_document(found: NamedList) -> dict[str, object]:
    content: dict[str, object] = {"kind": found.kind, "entries": sorted(found.entries)}
    if found.expiring:
        content["expiring"] = {value: end.isoformat() for value, end in found.expiring}
    return content | {"sha256": list_sha256(found)}


def list_sha256(found: NamedList) -> str:
    """The content hash of a list: SHA-256 over the JCS of its kind and its values with their ends."""
    ends = {value: end.isoformat() for value, end in found.expiring}
    return hashlib.sha256(rfc8785.dumps([found.kind, _any(sorted(found.entries)), _any(ends)])).hexdigest()


def _read_list(found: Mapping[str, Any]) -> NamedList:
    expiring = {value: datetime.fromisoformat(end) for value, end in found.get("expiring", {}).items()}
    return NamedList.of(found["kind"], found["entries"], expiring)


def _counter_document(counter: CounterDef) -> dict[str, object]:
    return {
        "scope": {"actions": list(counter.actions)},
        "kind": counter.kind,
        "of": counter.of,
        "key": list(counter.key),
        "window_seconds": counter.window_seconds,
    }


def _read_counter(name: str, found: Mapping[str, Any]) -> CounterDef:
    return CounterDef(
        name=name,
        actions=tuple(found["scope"]["actions"]),
        kind=found["kind"],
        of=found["of"],
        key=tuple(found["key"]),
        window_seconds=found["window_seconds"],
    )


def _rule_document(rule: Rule) -> dict[str, object]:
    fields = {name: getattr(rule, name) for name in _RULE_FIELDS}
    fields |= {name: getattr(rule, name) for name, implied in _IMPLIED.items() if getattr(rule, name) != implied}
    return fields | {
        "scope": {"actions": list(rule.actions)},
        "suppresses": list(rule.suppresses),
        "tests": [dict(test) for test in rule.tests],
    }


def read(text: str, *, sha256: str, revision_id: str, number: int) -> RuleSet:
    """The rule set of a stored snapshot. Raises BadSnapshot when hash or form do not fit."""
    if hashlib.sha256(text.encode()).hexdigest() != sha256:
        raise BadSnapshot("the snapshot is not what its hash says")
    try:
        document = json.loads(text)
        if document["format"] != FORMAT or document["profile"] != PROFILE:
            raise BadSnapshot("the snapshot has another format or profile")
        return RuleSet(
            rules=tuple(_read_rule(found) for found in document["rules"]),
            actions={found["id"]: found["tier_floor"] for found in document["actions"]},
            mapped=document["defaults"]["mapped"],
            unmapped=document["defaults"]["unmapped"],
            lists={name: _read_list(found) for name, found in document["lists"].items()},
            # Revisions from before there were calendars and counters have neither.
            calendars={name: Hours.of(**found) for name, found in document.get("calendars", {}).items()},
            counters=tuple(_read_counter(name, found) for name, found in document.get("counters", {}).items()),
            revision_id=revision_id,
            number=number,
            sha256=sha256,
        )
    except (KeyError, TypeError, ValueError) as error:
        raise BadSnapshot(str(error)) from error


def _read_rule(found: Mapping[str, Any]) -> Rule:
    return Rule(
        **{name: found[name] for name in _RULE_FIELDS},
        **{name: found[name] for name in _IMPLIED if name in found},
        actions=tuple(found["scope"]["actions"]),
        suppresses=tuple(found["suppresses"]),
        tests=tuple(found["tests"]),
    )


@dataclass(frozen=True)
class Change:
    """One difference: `what` names the rule, action or default; a field of None is the whole thing."""

    what: str
    field: str | None
    before: str | None
    after: str | None


def diff(before: str | None, after: str) -> list[Change]:
    """What changes from one snapshot to another, rule by rule and field by field; library versions too."""
    old, new = (json.loads(text) if text else {} for text in (before, after))
    changes: list[Change] = []
    for section, word in (("rules", "Rule"), ("actions", "Action")):
        left, right = ({found["id"]: found for found in document.get(section, [])} for document in (old, new))
        for name in sorted({*left, *right}):
            changes.extend(_compare(f"{word} {name}", left.get(name), right.get(name)))
    for section, word in (("lists", "List"), ("calendars", "Calendar"), ("counters", "Counter")):
        left, right = (document.get(section, {}) for document in (old, new))
        for name in sorted({*left, *right}):
            changes.extend(_compare(f"{word} {name}", left.get(name), right.get(name)))
    for section, word in (("defaults", "Defaults"), ("libraries", "Libraries")):
        changes.extend(_compare(word, old.get(section), new.get(section)))
    return changes


def _compare(what: str, left: Mapping[str, Any] | None, right: Mapping[str, Any] | None) -> Iterator[Change]:
    if left is None or right is None:
        if left != right:
            yield Change(what, None, _show(left), _show(right))
        return
    for field in sorted({*left, *right}):
        if field == "entries":
            yield from _compare_entries(what, left.get(field, []), right.get(field, []))
        elif left.get(field) != right.get(field):
            yield Change(what, field, _show(left.get(field)), _show(right.get(field)))


def _compare_entries(what: str, left: list[str], right: list[str]) -> Iterator[Change]:
    """What left a list and what came, the first of each: a list may have 50,000 entries."""
    gone, new = sorted({*left} - {*right}), sorted({*right} - {*left})
    if gone or new:
        yield Change(what, "entries", _first(gone), _first(new))


def _first(values: list[str]) -> str | None:
    more = f" and {len(values) - MOST_SHOWN:,} more" if len(values) > MOST_SHOWN else ""
    return ", ".join(values[:MOST_SHOWN]) + more if values else None


def _show(value: object) -> str | None:
    if value is None or isinstance(value, str):
        return value
    return json.dumps(value, ensure_ascii=False, sort_keys=True)
