"""A whole policy as one YAML file, and back: rules, defaults, lists, calendars, counters. Pure.

Source: the policy design, section 7. What this version cannot do (scopes other than actions, a quorum of several
teams) is refused by name, never ignored. A file that this module wrote is read and written again byte for byte.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from datetime import datetime
from typing import Any, Final, cast

from policy.calendars import BadCalendar, Hours
from policy.functions import LIST_KINDS
from policy.routing import MOST_APPROVALS, OUT_OF_HOURS, suggest_mistakes
from policy.strict_yaml import BadYaml, Document, Flow, FlowList, Path, dump, load
from policy.terms import CounterDef, ListValue, Rule

FORMAT: Final = "guardsite-policy/1"
EFFECTS: Final = ("allow", "review", "deny")

_SLUG: Final = re.compile(r"[-a-zA-Z0-9_]{1,80}")
_DURATION: Final = re.compile(r"([1-9][0-9]{0,7}|0)(s|m|h|d)")
_UNITS: Final = {"d": 86_400, "h": 3_600, "m": 60, "s": 1}
_FRESH: Final = Rule(id="", name="", actions=(), when="", effect="review", tier=2)
_NOT_YET: Final = frozenset({"servers", "frameworks", "agent_tags"})


@dataclass(frozen=True)
class FileProblem:
    """A mistake in a file and where it stands (from 1)."""

    line: int
    column: int
    sentence: str

    def __str__(self) -> str:
        return f"Line {self.line}, column {self.column}: {self.sentence}"


class BadFile(ValueError):
    """A file that is not in form; every mistake that could be found at once."""

    def __init__(self, problems: Iterable[FileProblem]) -> None:
        self.problems = tuple(problems)
        super().__init__("\n".join(map(str, self.problems)))


@dataclass(frozen=True)
class FileList:
    """A named list of a file."""

    kind: str
    values: tuple[ListValue, ...]
    note: str = ""


@dataclass(frozen=True)
class PolicyFile:
    """A policy as a file holds it. `defaults` has only what the file says."""

    rules: tuple[Rule, ...]
    defaults: Mapping[str, str] = field(default_factory=dict)
    lists: Mapping[str, FileList] = field(default_factory=dict)
    calendars: Mapping[str, Hours] = field(default_factory=dict)
    counters: tuple[CounterDef, ...] = ()
    # Where things stand in the text, for whoever finds more wrong with them.
    document: Document = field(default_factory=lambda: Document(None, {}), compare=False, repr=False)

    def problem(self, path: Path, sentence: str) -> FileProblem:
        """A mistake at a path, such as ("rules", 0, "when")."""
        return FileProblem(*self.document.mark(path), sentence)


# Writing.


def duration(seconds: int) -> str:
    """Seconds as a file says them: 900 is "15m"."""
    unit = next(unit for unit, size in _UNITS.items() if seconds % size == 0 and (seconds or unit == "s"))
    return f"{seconds // _UNITS[unit]}{unit}"


def write(policy: PolicyFile) -> str:
    """The file's text: what is as it is for a new rule is left out."""
    document: dict[str, object] = {"format": FORMAT}
    if policy.defaults:
        document["defaults"] = Flow({key: policy.defaults[key] for key in _DEFAULTS if key in policy.defaults})
    if policy.lists:
        document["lists"] = {name: _list_document(policy.lists[name]) for name in sorted(policy.lists)}
    if policy.calendars:
        document["calendars"] = {name: _calendar_document(policy.calendars[name]) for name in sorted(policy.calendars)}
    if policy.counters:
        document["counters"] = [_counter_document(found) for found in sorted(policy.counters, key=lambda c: c.name)]
    document["rules"] = [_rule_document(rule) for rule in sorted(policy.rules, key=lambda rule: rule.id)]
    return dump(document)


def _list_document(found: FileList) -> dict[str, object]:
    document: dict[str, object] = {"kind": found.kind}
    if found.note:
        document["note"] = found.note
    return document | {"entries": [_value_document(item) for item in sorted(found.values, key=lambda v: v.value)]}


def _value_document(item: ListValue) -> object:
    if not item.note and item.expires_at is None:
        return item.value
    document = Flow(value=item.value)
    if item.expires_at is not None:
        document["expires_at"] = item.expires_at.isoformat()
    if item.note:
        document["note"] = item.note
    return document


def _calendar_document(hours: Hours) -> dict[str, object]:
    document = hours.document()
    days = cast("Mapping[str, object]", document["hours"])
    found: dict[str, object] = {
        "time_zone": document["time_zone"],
        "hours": {day: _flow(spans) for day, spans in days.items()},
    }
    if document["holidays"]:
        found["holidays"] = _flow(document["holidays"])
    return found


def _counter_document(counter: CounterDef) -> dict[str, object]:
    document: dict[str, object] = {
        "name": counter.name,
        "scope": _flow({"actions": list(counter.actions)}),
        "kind": counter.kind,
    }
    if counter.of:
        document["of"] = counter.of
    return document | {"key": _flow(list(counter.key)), "window": duration(counter.window_seconds)}


def _rule_document(rule: Rule) -> dict[str, object]:
    document: dict[str, object] = {
        "id": rule.id,
        "name": rule.name,
        "scope": _flow({"actions": list(rule.actions)}),
        "when": rule.when,
        "effect": rule.effect,
    }
    if rule.suppresses:
        document["suppresses"] = _flow(list(rule.suppresses))
    for name in ("on_error", "reason", "note", "suggest", "tier", "team"):
        if getattr(rule, name) != getattr(_FRESH, name):
            document[name] = _flow(_sorted(getattr(rule, name)))
    if rule.quorum != _FRESH.quorum:
        document["quorum"] = Flow({rule.team: rule.quorum}) if rule.team else rule.quorum
    if sla := _sla_document(rule):
        document["sla"] = Flow(sla)
    if rule.hold_seconds != _FRESH.hold_seconds:
        document["hold"] = duration(rule.hold_seconds)
    for name in ("mode", "rollout", "priority"):
        # Written always: a file says whether its rule acts, whatever a new one would do.
        if name == "mode" or getattr(rule, name) != getattr(_FRESH, name):
            document[name] = getattr(rule, name)
    if rule.tests:
        document["tests"] = [_flow(_in_order(test)) for test in rule.tests]
    return document


def _sla_document(rule: Rule) -> dict[str, object]:
    due, expires = (
        duration(seconds) if seconds is not None else None for seconds in (rule.due_in_seconds, rule.expires_in_seconds)
    )
    given = {
        "due_in": due,
        "escalate_to": rule.escalate_to,
        "expires_in": expires,
        "calendar": rule.calendar,
        "out_of_hours": rule.out_of_hours if rule.out_of_hours != _FRESH.out_of_hours else None,
    }
    return {name: value for name, value in given.items() if value is not None}


def _in_order(test: Mapping[str, object]) -> dict[str, object]:
    """The test with its keys as one reads them, those of the context by name: the database keeps no order."""
    order = [key for key in ("name", "context", "expect") if key in test]
    return {key: _sorted(test[key]) for key in (*order, *sorted(test.keys() - set(order)))}


def _sorted(value: object) -> object:
    if isinstance(value, Mapping):
        return {key: _sorted(value[key]) for key in sorted(value)}
    return [_sorted(item) for item in value] if isinstance(value, (list, tuple)) else value


def _flow(value: object) -> object:
    if isinstance(value, Mapping):
        return Flow({key: _flow(item) for key, item in value.items()})
    if isinstance(value, (list, tuple)):
        return FlowList(_flow(item) for item in value)
    return value


# Reading.


def read(text: str) -> PolicyFile:
    """The policy of a file. Raises BadFile with every mistake of form; `problems_in` of `yaml_files` finds the rest."""
    try:
        document = load(text)
    except BadYaml as error:
        raise BadFile([FileProblem(error.line, error.column, error.sentence)]) from None
    reader = _Reader(document)
    policy = reader.policy()
    if reader.problems or policy is None:
        raise BadFile(sorted(reader.problems, key=lambda problem: (problem.line, problem.column)))
    return policy


_DEFAULTS: Final[Mapping[str, tuple[str, ...]]] = {
    "mapped": EFFECTS,
    "unmapped": ("observe", "review", "deny"),
    "on_engine_failure": ("deny", "review"),
}
_RULE_KEYS: Final = (
    *("id", "name", "scope", "when", "effect", "suppresses", "on_error", "reason", "note", "suggest", "tier", "team"),
    *("quorum", "sla", "hold", "mode", "rollout", "priority", "tests"),
)
_SLA_KEYS: Final = ("due_in", "escalate_to", "expires_in", "calendar", "out_of_hours")


class _Reader:
    """Reads one document, noting each mistake and going on."""

    def __init__(self, document: Document) -> None:
        self.document = document
        self.problems: list[FileProblem] = []

    def bad(self, path: Path, sentence: str) -> None:
        self.problems.append(FileProblem(*self.document.mark(path), sentence))

    def policy(self) -> PolicyFile | None:
        top = self.mapping(
            (),
            self.document.value,
            ("format", "defaults", "lists", "calendars", "counters", "rules"),
            ("format", "rules"),
        )
        if top.get("format") != FORMAT:
            self.bad(("format",), f"The format is {FORMAT}.")
            return None
        given = self.mapping(("defaults",), top.get("defaults", {}), tuple(_DEFAULTS))
        defaults = {key: self.choice(("defaults",), given, key, _DEFAULTS[key]) for key in given if key in _DEFAULTS}
        return PolicyFile(
            rules=tuple(self.rule(("rules", index), item) for index, item in self.items((), top, "rules")),
            defaults=defaults,
            lists={name: self.list_(("lists", name), item) for name, item in self.named(top, "lists")},
            calendars=dict(self.calendars(top)),
            counters=tuple(self.counter(("counters", i), item) for i, item in self.items((), top, "counters")),
            document=self.document,
        )

    def rule(self, path: Path, value: object) -> Rule:
        found = self.mapping(path, value, _RULE_KEYS, ("id", "name", "scope", "when", "effect"))
        scope = self.mapping((*path, "scope"), found.get("scope", {}), ("actions",), ("actions",))
        at_sla: Path = (*path, "sla")
        sla = self.mapping(at_sla, found.get("sla", {}), _SLA_KEYS)
        team, quorum = self._team(path, found)
        tests = [item for _, item in self.items(path, found, "tests")]
        return Rule(
            id=self.slug(path, found, "id"),
            name=self.text(path, found, "name", most=120, least=1),
            actions=self.texts((*path, "scope"), scope, "actions"),
            when=self.text(path, found, "when", most=4000, least=1),
            effect=cast(Any, self.choice(path, found, "effect", EFFECTS)),
            suppresses=self.texts(path, found, "suppresses"),
            on_error=cast(Any, self.choice(path, found, "on_error", ("review", "deny"))),
            reason=self.text(path, found, "reason", most=300),
            note=self.text(path, found, "note", most=500),
            tier=self.whole(path, found, "tier", 2, least=1, most=4),
            team=team,
            due_in_seconds=self.seconds(at_sla, sla, "due_in"),
            expires_in_seconds=self.seconds(at_sla, sla, "expires_in"),
            hold_seconds=self._hold(path, found),
            quorum=quorum,
            escalate_to=self.slug(at_sla, sla, "escalate_to") or None if "escalate_to" in sla else None,
            calendar=self.slug(at_sla, sla, "calendar") or None if "calendar" in sla else None,
            out_of_hours=cast(Any, self.choice(at_sla, sla, "out_of_hours", OUT_OF_HOURS)),
            suggest=self._suggest(path, found),
            mode=cast(Any, self.choice(path, found, "mode", ("enforce", "observe", "off"))),
            rollout=self.whole(path, found, "rollout", 100, least=0, most=100),
            priority=self.whole(path, found, "priority", 100, least=-(2**31), most=2**31 - 1),
            tests=tuple(cast("list[Mapping[str, object]]", tests)),
        )

    def _team(self, path: Path, found: Mapping[str, object]) -> tuple[str | None, int]:
        """(team, quorum): `quorum: {finance: 2}` names the team that approves, `quorum: 2` none."""
        team = self.slug(path, found, "team") or None if "team" in found else None
        given = found.get("quorum", 1)
        if not isinstance(given, dict):
            return team, self.whole(path, found, "quorum", 1, least=1, most=MOST_APPROVALS)
        at: Path = (*path, "quorum")
        if len(given) != 1 or not all(isinstance(name, str) and _SLUG.fullmatch(name) for name in given):
            self.bad(at, "A quorum is a number, or one team with its number, such as {finance: 2}.")
            return team, 1
        name = next(iter(given))
        if team is not None and name != team:
            self.bad((*at, name), f"The quorum is of this rule's team, {team}.")
        return name, self.whole(at, given, name, 1, least=1, most=MOST_APPROVALS)

    def _suggest(self, path: Path, found: Mapping[str, object]) -> Mapping[str, object]:
        given = found.get("suggest", {})
        mistakes = suggest_mistakes(given)
        for sentence in mistakes:
            self.bad((*path, "suggest"), sentence)
        return given if isinstance(given, dict) and not mistakes else {}

    def _hold(self, path: Path, found: Mapping[str, object]) -> int:
        seconds = self.seconds(path, found, "hold")
        if seconds is None:
            return _FRESH.hold_seconds
        if seconds > 60:
            self.bad((*path, "hold"), "A hold is 0s to 60s.")
        return seconds

    def list_(self, path: Path, value: object) -> FileList:
        found = self.mapping(path, value, ("kind", "note", "entries"), ("kind", "entries"))
        return FileList(
            kind=self.choice(path, found, "kind", LIST_KINDS),
            note=self.text(path, found, "note", most=200),
            values=tuple(self.value((*path, "entries", i), item) for i, item in self.items(path, found, "entries")),
        )

    def value(self, path: Path, item: object) -> ListValue:
        if isinstance(item, str):
            return ListValue(item)
        if not isinstance(item, dict):
            self.bad(path, "A value is text; put it in quotes.")
            return ListValue("")
        found = self.mapping(path, item, ("value", "expires_at", "note"), ("value",))
        moment = None
        if (text := self.text(path, found, "expires_at", most=40)) != "":
            try:
                moment = datetime.fromisoformat(text)
            except ValueError:
                moment = None
            if moment is None or moment.tzinfo is None:
                self.bad((*path, "expires_at"), "Write a time with its zone, such as 2026-12-31T00:00:00+00:00.")
        return ListValue(
            value=self.text(path, found, "value", most=255, least=1),
            note=self.text(path, found, "note", most=200),
            expires_at=moment,
        )

    def calendars(self, top: Mapping[str, object]) -> Iterable[tuple[str, Hours]]:
        for name, item in self.named(top, "calendars"):
            path: Path = ("calendars", name)
            found = self.mapping(path, item, ("time_zone", "hours", "holidays"), ("time_zone", "hours"))
            try:
                yield (
                    name,
                    Hours.of(
                        time_zone=found.get("time_zone"),
                        hours=found.get("hours"),
                        holidays=found.get("holidays", []),
                    ),
                )
            except BadCalendar as error:
                self.bad(path, str(error))

    def counter(self, path: Path, value: object) -> CounterDef:
        needs = ("name", "scope", "kind", "key", "window")
        found = self.mapping(path, value, ("name", "scope", "kind", "of", "key", "window"), needs)
        scope = self.mapping((*path, "scope"), found.get("scope", {}), ("actions",), ("actions",))
        return CounterDef(
            name=self.text(path, found, "name", most=60, least=1),
            actions=self.texts((*path, "scope"), scope, "actions"),
            kind=cast(Any, self.choice(path, found, "kind", ("count", "sum"))),
            of=self.text(path, found, "of", most=500),
            key=self.texts(path, found, "key"),
            window_seconds=self.seconds(path, found, "window") or 0,
        )

    # Values of one kind.

    def mapping(
        self, path: Path, value: object, keys: tuple[str, ...], needs: tuple[str, ...] = ()
    ) -> Mapping[str, object]:
        if not isinstance(value, dict):
            self.bad(path, f"Write an object with {', '.join(keys)}.")
            return {}
        for key in value:
            if key in _NOT_YET and key not in keys:
                self.bad((*path, key), f"{key} is not supported by this version.")
            elif key not in keys:
                self.bad((*path, key), f"{key} is not known here; there are {', '.join(keys)}.")
        for key in needs:
            if key not in value:
                self.bad(path, f"{key} is missing.")
        return value

    def items(self, path: Path, found: Mapping[str, object], key: str) -> Iterable[tuple[int, object]]:
        value = found.get(key, [])
        if not isinstance(value, list):
            self.bad((*path, key), f"{key} is a list.")
            return []
        return list(enumerate(value))

    def named(self, top: Mapping[str, object], key: str) -> Iterable[tuple[str, object]]:
        value = top.get(key, {})
        if not isinstance(value, dict):
            self.bad((key,), f"{key} is an object: a name for each.")
            return
        for name, item in value.items():
            if not _SLUG.fullmatch(name) or len(name) > 60:
                self.bad((key, name), "A name has 1 to 60 letters, digits, - and _.")
            yield name, item

    def text(self, path: Path, found: Mapping[str, object], key: str, *, most: int, least: int = 0) -> str:
        value = found.get(key, "")
        if not isinstance(value, str):
            self.bad((*path, key), f"{key} is text; put it in quotes.")
            return ""
        if key in found and not least <= len(value) <= most:
            self.bad((*path, key), f"{key} has {least} to {most} characters.")
        if "\x00" in value:
            self.bad((*path, key), f"{key} has a character that cannot be stored.")
        return value

    def slug(self, path: Path, found: Mapping[str, object], key: str) -> str:
        value = self.text(path, found, key, most=80, least=1)
        if key in found and value and not _SLUG.fullmatch(value):
            self.bad((*path, key), f"{key} has letters, digits, - and _.")
        return value

    def choice(self, path: Path, found: Mapping[str, object], key: str, choices: tuple[str, ...]) -> str:
        value = found.get(key, choices[0])
        if value not in choices:
            self.bad((*path, key), f"{key} is {', '.join(choices)}.")
            return choices[0]
        return str(value)

    def whole(self, path: Path, found: Mapping[str, object], key: str, default: int, *, least: int, most: int) -> int:
        value = found.get(key, default)
        if isinstance(value, bool) or not isinstance(value, int) or not least <= value <= most:
            self.bad((*path, key), f"{key} is a whole number from {least} to {most}.")
            return default
        return value

    def texts(self, path: Path, found: Mapping[str, object], key: str) -> tuple[str, ...]:
        value = found.get(key, [])
        if not isinstance(value, list) or not all(isinstance(item, str) and item for item in value):
            self.bad((*path, key), f"{key} is a list of texts.")
            return ()
        return tuple(value)

    def seconds(self, path: Path, found: Mapping[str, object], key: str) -> int | None:
        value = found.get(key)
        if value is None:
            return None
        match = _DURATION.fullmatch(value) if isinstance(value, str) else None
        if match is None or int(match[1]) * _UNITS[match[2]] >= 2**31:
            self.bad((*path, key), f"{key} is a time such as 90s, 15m, 2h or 1d.")
            return None
        return int(match[1]) * _UNITS[match[2]]
