"""How long a condition takes on the largest calls: run on synthetic contexts before it may be saved."""

from __future__ import annotations

import time
from collections.abc import Callable, Mapping
from datetime import UTC, datetime
from typing import Final

from cel_expr_python import cel

from policy import tree
from policy.cel import FIXED_FIELDS, MAX_CONTEXT_BYTES, MAX_LIST_ITEMS, ROOTS, Compiled, ContextLimitError, Engine
from policy.functions import MAX_REGEX_TEXT_BYTES

MOST_MILLISECONDS: Final = 25.0
_HALF: Final = MAX_CONTEXT_BYTES // 2
_NOW: Final = datetime(2026, 1, 1, tzinfo=UTC)


def worst_milliseconds(engine: Engine, compiled: Compiled, root: tree.Node) -> float:
    """The longest of the probes, in milliseconds; a slow one is repeated and its fastest run counts."""
    paths = {path for node, _ in tree.walk(root) if (path := tree.path_of(node)) and len(path) > 1 and path[0] in ROOTS}
    fields = {
        path[1:]
        for node, loops in tree.walk(root)
        if loops and (path := tree.path_of(node)) and path[0] == loops[-1].variable
    }
    shares = max(1, len(paths))
    # Two bytes a character: text beyond ASCII takes the slower ways through the host functions.
    text = "é" * min(_HALF // shares // 2, 30_000)
    words = "é" * max(1, min(_HALF // shares // MAX_LIST_ITEMS // 2, 500))
    item = _nested({field: words for field in fields if field}) or words
    shapes: list[Callable[[], object]] = [
        lambda: text,
        lambda: text[: MAX_REGEX_TEXT_BYTES // 2],
        lambda: [item] * MAX_LIST_ITEMS,
        lambda: [words] * MAX_LIST_ITEMS,
        lambda: ["a@demo.example"] * MAX_LIST_ITEMS,
        lambda: [{}] * MAX_LIST_ITEMS,
        lambda: 10**15,
    ]
    worst = 0.0
    for shape in shapes:
        try:
            activation = engine.activation(_context({path: shape() for path in paths}))
        except ContextLimitError:
            continue  # such a call is an error before any rule runs
        worst = max(worst, _fastest(engine, compiled, activation))
        if worst > MOST_MILLISECONDS:
            break  # one is enough to refuse
    return worst


def _fastest(engine: Engine, compiled: Compiled, activation: cel.Activation) -> float:
    """The fastest of a few runs: a cold cache is no fault of the condition; far beyond the limit, two tell.

    One never does: a collection of garbage in a large process takes this thread's time too.
    """
    fastest = _once(engine, compiled, activation)
    for _ in range(3):
        if fastest <= MOST_MILLISECONDS:
            break
        fastest = min(fastest, _once(engine, compiled, activation))
        if fastest > 10 * MOST_MILLISECONDS:
            break
    return fastest


def _once(engine: Engine, compiled: Compiled, activation: cel.Activation) -> float:
    # The thread's own time: on a busy machine the clock of the wall would refuse a good rule.
    started = time.thread_time()
    engine.run(compiled, activation)
    return (time.thread_time() - started) * 1000


def _nested(values: Mapping[tuple[str, ...], object]) -> dict[str, object]:
    """The values as nested objects; of two that collide the deeper one stays."""
    built: dict[str, object] = {}
    for path in sorted(values, key=len):
        at = built
        for step in path[:-1]:
            below = at.get(step)
            if not isinstance(below, dict):
                below = {}
                at[step] = below
            at = below
        at[path[-1]] = values[path]
    return built


def _context(values: Mapping[tuple[str, ...], object]) -> dict[str, object]:
    context: dict[str, object] = {name: {} for name in ROOTS}
    context |= {name: dict.fromkeys(fields, "a") for name, fields in FIXED_FIELDS.items()}
    context |= {"action_id": "a" * 200, "now": _NOW}
    for name, value in _nested({path: value for path, value in values.items() if path[0] in ROOTS}).items():
        below = context[name]
        if isinstance(below, dict) and isinstance(value, dict):
            context[name] = {**below, **value}
    return context
