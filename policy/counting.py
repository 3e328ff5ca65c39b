"""What a call adds to counters: which counters it touches, under which key, by how much. Pure.

Source: the policy design, section 9. The stored values are `counters.py`'s.
"""

from __future__ import annotations

import hashlib
import re
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from typing import Final

import rfc8785

from policy import functions
from policy.cel import FIXED_FIELDS, CompileError, ContextLimitError, Engine
from policy.check import check_amount, errors_in
from policy.references import references
from policy.terms import CounterDef

LEAST_WINDOW: Final = 60
MOST_WINDOW: Final = 31 * 86_400
MAX_KEY_PATHS: Final = 6

_NAME: Final = re.compile(r"[a-z_][a-z0-9_]{0,59}")
_PATH: Final = re.compile(r"(agent|user|run|params)(\.[A-Za-z_][A-Za-z0-9_]*){1,8}|action_id")
# Words that the language keeps for itself: `stats.in` would not compile.
_RESERVED: Final = re.compile(
    "as|break|const|continue|else|false|for|function|if|import|in|let|loop|namespace|null|package|return|true|var|void|while"
)


@dataclass(frozen=True)
class Part:
    """What one call adds to one stored value; an amount of 0 only reads it. `key` is a hash of 64 hex digits."""

    counter: str
    key: str
    window_seconds: int
    amount: int


@dataclass(frozen=True)
class Wanted:
    """A counter that calls of an action touch: they add to it, or their rules only read it."""

    counter: CounterDef
    adds: bool


class Counting:
    """The counters of one rule set, ready to say what a call adds."""

    def __init__(self, engine: Engine, counters: Iterable[CounterDef]) -> None:
        self._engine = engine
        self._counters = tuple(counters)

    def wanted(self, action_id: str, conditions: Iterable[str]) -> tuple[Wanted, ...]:
        """The counters for an action whose rules in scope have these conditions."""
        read = references(self._engine, conditions).counters
        found = []
        for counter in self._counters:
            adds = any(functions.glob(action_id, pattern) for pattern in counter.actions)
            if adds or counter.name in read:
                found.append(Wanted(counter, adds))
        return tuple(found)

    def parts(self, wanted: Iterable[Wanted], context: Mapping[str, object]) -> tuple[Part, ...]:
        """A part for each counter; a failing or negative amount, or an absent key, leaves the counter out."""
        found = []
        for item in wanted:
            key = key_of(item.counter, context)
            amount = self._amount(item.counter, context) if item.adds else 0
            if key is not None and amount is not None:
                found.append(Part(item.counter.name, key, item.counter.window_seconds, amount))
        return tuple(found)

    def _amount(self, counter: CounterDef, context: Mapping[str, object]) -> int | None:
        if counter.kind == "count":
            return 1
        try:
            outcome = self._engine.run(self._engine.compile(counter.of), self._engine.activation(context))
        except (CompileError, ContextLimitError):
            return None
        value = outcome.value
        if isinstance(value, float) and value.is_integer():
            value = int(value)
        if isinstance(value, bool) or not isinstance(value, int):
            return None
        return value if 0 <= value <= functions.MAX_SAFE_INTEGER else None


def key_of(counter: CounterDef, context: Mapping[str, object]) -> str | None:
    """The hash that names the stored value, or None when a part of the key is absent or no plain value.

    It covers what the counter means too: a changed definition starts from nothing.
    """
    values: list[str | int | bool] = []
    for path in counter.key:
        value: object = context
        for step in path.split("."):
            value = value.get(step) if isinstance(value, Mapping) else None
        if isinstance(value, float) and value.is_integer():
            value = int(value)
        if not isinstance(value, (str, int)) or value == "":
            return None
        values.append(value)
    meaning: list[str | int | bool] = [counter.kind, counter.of, counter.window_seconds, *counter.key]
    try:
        return hashlib.sha256(rfc8785.dumps([meaning, values])).hexdigest()
    except (rfc8785.CanonicalizationError, UnicodeEncodeError):  # beyond 2^53, an unpaired surrogate
        return None


def counter_mistakes(counter: CounterDef, *, engine: Engine) -> list[str]:
    """What is wrong with a definition, in sentences; empty when it may be saved."""
    found = []
    if not _NAME.fullmatch(counter.name) or _RESERVED.fullmatch(counter.name):
        found.append("A counter's name has small letters, digits and _, and starts with a letter.")
    if not LEAST_WINDOW <= counter.window_seconds <= MOST_WINDOW:
        found.append("The window is 1 minute to 31 days.")
    if len(counter.key) > MAX_KEY_PATHS or len(set(counter.key)) != len(counter.key):
        found.append(f"A key is at most {MAX_KEY_PATHS} different paths.")
    for path in counter.key:
        root, _, rest = path.partition(".")
        if not _PATH.fullmatch(path):
            found.append(f"{path} is no path for a key; write agent.id, user.user_id, action_id or params.currency.")
        elif root in FIXED_FIELDS and rest not in FIXED_FIELDS[root]:
            found.append(f"{root} has no field {rest}; it has {', '.join(FIXED_FIELDS[root])}.")
    if counter.kind == "count" and counter.of:
        found.append("A counter of calls adds nothing up: leave the amount empty, or make it a sum.")
    if counter.kind == "sum":
        found += [str(finding) for finding in errors_in(check_amount(counter.of, engine=engine))]
    return found
