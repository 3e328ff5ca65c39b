"""Options of formatters: written as lines, read into JSON, checked by name and type. Pure."""

from __future__ import annotations

import json
import re
from collections.abc import Callable, Mapping
from typing import Any, Final
from zoneinfo import available_timezones

from reviews.cards.registry import FORMATTER_OPTIONS, FORMATTERS

LONGEST: Final = 200
_DIALECTS: Final = (
    *("bigquery", "clickhouse", "databricks", "duckdb", "hive", "mysql", "oracle", "postgres", "presto", "redshift"),
    *("snowflake", "spark", "sqlite", "trino", "tsql"),
)

Check = Callable[[Any], bool]


def _is_number(value: Any) -> bool:
    return isinstance(value, int | float) and not isinstance(value, bool)


def _is_count(value: Any) -> bool:
    return isinstance(value, int) and not isinstance(value, bool) and value > 0


def _is_texts(value: Any) -> bool:
    return isinstance(value, list) and bool(value) and all(isinstance(item, str) and item for item in value)


def _is_values(value: Any) -> bool:
    return isinstance(value, list) and bool(value) and all(isinstance(item, str | int | float) for item in value)


def _is_pointer(value: Any) -> bool:
    return isinstance(value, str) and re.fullmatch(r"(?:/(?:[^~/]|~[01])*)+", value) is not None


def _one_of(*words: str) -> tuple[Check, str]:
    return lambda value: value in words, f"is one of {', '.join(words)}"


_FLAG: Final[tuple[Check, str]] = (lambda value: isinstance(value, bool), "is true or false")
_NUMBER: Final[tuple[Check, str]] = (_is_number, "is a number, without separators")
_COUNT: Final[tuple[Check, str]] = (_is_count, "is a whole number above 0")
_TEXTS: Final[tuple[Check, str]] = (_is_texts, "is a list of words, separated by commas")
_POINTER: Final[tuple[Check, str]] = (_is_pointer, "is a JSON pointer, such as /currency")
_TEXT: Final[tuple[Check, str]] = (lambda value: isinstance(value, str) and 0 < len(value) <= LONGEST, "is text")

# Option, or formatter and option, → its check, and the words for what it wants; any other is text.
_KINDS: Final[Mapping[str, tuple[Check, str]]] = {
    "minor": _FLAG,
    "exponent": (
        lambda value: isinstance(value, int) and not isinstance(value, bool) and 0 <= value <= 8,
        "is a whole number from 0 to 8",
    ),
    "limit": _NUMBER,
    "limit_minor": _NUMBER,
    "many": _COUNT,
    "long": _COUNT,
    "usual": _TEXTS,
    "prefixes": _TEXTS,
    "known": _TEXTS,
    "functions": _TEXTS,
    "own_domains": _TEXTS,
    "values": (_is_values, "is a list of values, separated by commas"),
    "currency": (
        lambda value: isinstance(value, str) and re.fullmatch("[A-Z]{3}", value) is not None,
        "is the three letters of a currency, such as USD",
    ),
    "zone": (lambda value: value in available_timezones(), "is the name of a time zone, such as Europe/Berlin"),
    "item_formatter": (lambda value: value in FORMATTERS, "is the name of a formatter"),
    "scale": _one_of("fraction", "percent"),
    "as": _one_of("diff", "text"),
    "dialect": _one_of(*_DIALECTS),
    "bytes unit": _one_of("B", "kB", "MB", "GB", "TB", "KiB", "MiB", "GiB", "TiB"),
    "duration unit": _one_of("ms", "s", "min", "h", "days"),
}
_LISTS: Final = ("usual", "prefixes", "known", "functions", "own_domains", "values")
_JSON: Final = ("minor", "exponent", "limit", "limit_minor", "many", "long")


class BadOption(ValueError):
    """A line that is no option; the message is a plain sentence."""


def read_options(text: str) -> dict[str, Any]:
    """Options from lines of `name=value`, or from a JSON object. Raises BadOption."""
    text = text.strip()
    if text.startswith("{"):
        try:
            found = json.loads(text)
        except (ValueError, RecursionError):
            raise BadOption("This is no JSON object. Write one option on each line, such as currency=USD.") from None
        return dict(found)
    options: dict[str, Any] = {}
    for line in filter(None, (line.strip() for line in text.splitlines())):
        name, equals, value = (part.strip() for part in line.partition("="))
        if not equals or not name:
            raise BadOption(f"Write one option on each line, such as currency=USD; this is none: {line[:40]}")
        if name in options:
            raise BadOption(f"{name[:40]} stands there twice.")
        options[name] = _read(name, value)
    return options


def _read(name: str, value: str) -> Any:
    if name in _LISTS and not value.startswith("["):
        return [word for word in (word.strip() for word in value.split(",")) if word]
    if name not in _JSON and name not in _LISTS:
        return value
    try:
        return json.loads(value)
    except (ValueError, RecursionError):
        return value


def write_options(options: Mapping[str, Any]) -> str:
    """The options as text that `read_options` reads back: lines, or JSON where a line could not say it."""
    lines = [f"{name}={_written(name, value)}" for name, value in options.items()]
    try:
        if read_options("\n".join(lines)) == dict(options):
            return "\n".join(lines)
    except BadOption:
        pass
    return json.dumps(options, ensure_ascii=False)


def _written(name: str, value: Any) -> str:
    if name in _LISTS and isinstance(value, list) and all(isinstance(item, str) for item in value):
        return ", ".join(value)
    return value if isinstance(value, str) else json.dumps(value, ensure_ascii=False)


def option_mistake(formatter: str, name: str, value: object) -> str:
    """What is wrong with an option of a formatter, or nothing."""
    if not formatter:
        return "Choose a formatter first: options belong to one."
    known = FORMATTER_OPTIONS.get(formatter, {})
    if name not in known:
        offered = f"It takes {', '.join(sorted(known))}." if known else "It takes none."
        return f"{formatter} has no option {name[:40]}. {offered}"
    is_right, words = _KINDS.get(f"{formatter} {name}") or _KINDS.get(name) or _plain(name)
    return "" if is_right(value) else f"{name} {words}."


def _plain(name: str) -> tuple[Check, str]:
    return _POINTER if name.endswith("_pointer") else _TEXT


def all_options() -> list[tuple[str, list[tuple[str, str]]]]:
    """(formatter, [(option, what it does)]), for the help of the editor; formatters without options are left out."""
    return [
        (name, list(options.items())) for name, options in FORMATTER_OPTIONS.items() if options and name != "datetime"
    ]
