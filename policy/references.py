"""Which lists, calendars and counters a condition names. Pure."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass, field
from typing import Final

from policy import tree
from policy.cel import CompileError, Engine

# A condition without any of these words names nothing, and its tree need not be read.
_WORDS: Final = ("in_list", "within", "stats")


@dataclass(frozen=True)
class References:
    """The names, by kind."""

    lists: frozenset[str] = field(default_factory=frozenset)
    calendars: frozenset[str] = field(default_factory=frozenset)
    counters: frozenset[str] = field(default_factory=frozenset)


def references(engine: Engine, conditions: Iterable[str]) -> References:
    """What the conditions name; one that does not compile names nothing."""
    lists: set[str] = set()
    calendars: set[str] = set()
    counters: set[str] = set()
    for text in conditions:
        if not any(word in text for word in _WORDS):
            continue
        try:
            root = tree.read_tree(engine.compile(text).expression.serialize()).root
        except (CompileError, tree.UnknownSyntaxError):
            continue
        for node, _ in tree.walk(root):
            if isinstance(node, tree.Invoke) and node.function in ("in_list", "within"):
                name = node.arguments[-1]
                if isinstance(name, tree.Const) and isinstance(name.value, str):
                    (lists if node.function == "in_list" else calendars).add(name.value)
            elif (path := tree.path_of(node)) and len(path) > 1 and path[0] == "stats":
                counters.add(path[1])
    return References(frozenset(lists), frozenset(calendars), frozenset(counters))
