"""A test's call as lines such as `params.amount = 6000`, for people who do not write JSON, and back again. Pure."""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping
from typing import Any, Final

_ROOTS: Final = ("params", "user", "agent", "run", "tool", "stats", "request", "action_id", "now")


class BadLine(ValueError):
    """A line that says nothing about a call; the message is for the author."""


def to_context(text: str) -> dict[str, Any]:
    """The context that the lines describe. Raises BadLine.

    A value is JSON where it is JSON (6000, true, ["a", "b"]), else the text as it stands. A field without a root is
    one of params.
    """
    context: dict[str, Any] = {}
    for line in text.splitlines():
        if not line.strip():
            continue
        name, equals, value = line.partition("=")
        steps = name.strip().split(".")
        if not equals or not all(steps) or any(char.isspace() for char in name.strip()):
            raise BadLine(f"“{line.strip()[:60]}”: write one field on each line, such as params.amount = 6000.")
        if steps[0] not in _ROOTS:
            steps = ["params", *steps]
        if len(steps) == 1 and steps[0] not in ("action_id", "now") and not value.strip().startswith("{"):
            raise BadLine(f"“{line.strip()[:60]}”: name a field of {steps[0]}, such as {steps[0]}.name.")
        _put(context, steps, _value(value.strip()))
    return context


def _value(text: str) -> object:
    try:
        value: object = json.loads(text)
    except ValueError:
        return text
    return value


def _put(context: dict[str, Any], steps: list[str], value: object) -> None:
    at = context
    for step in steps[:-1]:
        below = at.setdefault(step, {})
        if not isinstance(below, dict):
            raise BadLine(f"{step} is given twice, once with a value and once with fields.")
        at = below
    at[steps[-1]] = value


def to_lines(context: Mapping[str, Any]) -> str:
    """The context as lines; `to_context` gives it back."""
    return "\n".join(_lines((), context))


def _lines(path: tuple[str, ...], values: Mapping[str, Any]) -> Iterator[str]:
    for name, value in values.items():
        here = (*path, name)
        if isinstance(value, Mapping) and value and all(_is_plain(key) for key in value):
            yield from _lines(here, value)
        else:
            yield f"{'.'.join(here)} = {_shown(value)}"


def _is_plain(name: str) -> bool:
    return bool(name) and not any(char in ".=" or char.isspace() for char in name)


def _shown(value: object) -> str:
    if isinstance(value, str) and value == value.strip() and "\n" not in value and "\r" not in value:
        try:
            json.loads(value)
        except ValueError:
            return value if value and value.splitlines() == [value] else json.dumps(value, ensure_ascii=False)
    return json.dumps(value, ensure_ascii=False)
