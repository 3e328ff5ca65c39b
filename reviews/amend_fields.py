"""What of a call may be changed, and how far: inputs from the facts that a card template releases. Pure.

`narrow` lets a number move in its declared direction, a date likewise, and a list lose entries; `free` lets text, a word
of a schema's list, a yes or no and a number be set to anything that schema and policy take. Everything else is locked.
JSON types survive: an integer stays one, `"1"` stays text. Source: reviewer-experience.md section 4.
"""

from __future__ import annotations

import unicodedata
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, date, datetime, time
from decimal import Decimal, InvalidOperation
from enum import StrEnum
from typing import Any, Final

from audit.pointer import MissingError, resolve
from reviews.cards.types import Card, Fact
from reviews.cards.typing import read_number

LARGEST: Final = 2**53 - 1
LONGEST_TEXT: Final = 10_000
_DATES: Final = frozenset({"date_time", "datetime", "date"})


class Kind(StrEnum):
    """How a value is entered."""

    NUMBER = "number"
    DATE = "date"
    LIST = "list"
    TEXT = "text"
    CHOICE = "choice"


@dataclass(frozen=True)
class Chip:
    """A value that one press enters: what stands in the field then, what the chip says, and why."""

    text: str
    label: str
    why: str


@dataclass(frozen=True)
class AmendField:
    """One input. `shown` is its text as asked for; `scale` the decimals between what is typed and what is stored.

    `options` are (value, label): the entries of a list by index, or the words of a choice.
    """

    pointer: str
    label: str
    kind: Kind
    is_free: bool
    direction: str
    value: Any
    shown: str
    unit: str = ""
    scale: int = 0
    options: tuple[tuple[str, str], ...] = ()
    schema: Mapping[str, object] | None = None
    chips: tuple[Chip, ...] = ()

    @property
    def name(self) -> str:
        """The input's name in the form."""
        return f"to:{self.pointer}"


class NotThisError(ValueError):
    """The value may not become this; the text says why, in a sentence."""


def fields_of(card: Card, *, params: object, schema: Mapping[str, object] | None) -> tuple[AmendField, ...]:
    """The inputs of a call, in the order of its card; empty where its template releases none."""
    found = (_field(fact, params=params, schema=_schema_at(schema, fact.pointer)) for fact in card.facts)
    return tuple(field for field in found if field is not None)


def _field(fact: Fact, *, params: object, schema: Mapping[str, object] | None) -> AmendField | None:
    if fact.amend not in ("narrow", "free") or fact.is_hidden or not fact.inspected:
        return None
    try:
        value = resolve(params, fact.pointer)
    except MissingError:
        return None
    is_free = fact.amend == "free"
    base: dict[str, Any] = {
        "pointer": fact.pointer,
        "label": fact.label,
        "is_free": is_free,
        "direction": fact.direction or "down",
        "value": value,
        "schema": schema,
    }
    if isinstance(value, bool):
        return AmendField(**base, kind=Kind.CHOICE, shown=_yes_no(value), options=_YES_NO) if is_free else None
    if isinstance(value, int | float):
        scale = _scale(fact, value)
        return AmendField(**base, kind=Kind.NUMBER, shown=shown_number(value, scale), unit=fact.unit, scale=scale)
    if isinstance(value, list):
        if len(value) < 2:
            return None  # nothing can be taken off and something be left
        labels = [child.short for child in fact.children] or [str(item) for item in value]
        entries = tuple((str(index), label) for index, label in enumerate(labels[: len(value)]))
        return AmendField(**base, kind=Kind.LIST, shown="", options=entries) if len(entries) == len(value) else None
    if not isinstance(value, str):
        return None
    if fact.formatter in _DATES and _moment(value) is not None:
        return AmendField(**base, kind=Kind.DATE, shown=value)
    words = schema.get("enum") if schema else None
    if is_free and isinstance(words, list) and all(isinstance(word, str) for word in words):
        return AmendField(**base, kind=Kind.CHOICE, shown=value, options=tuple((word, word) for word in words))
    return AmendField(**base, kind=Kind.TEXT, shown=value) if is_free else None


def read_posted(
    fields: Iterable[AmendField], posted: Mapping[str, Sequence[str]], *, locale: str = "en"
) -> tuple[dict[str, Any], dict[str, str]]:
    """(pointer to new value, pointer to sentence): what a form says, and what of it cannot be read or is too wide."""
    values: dict[str, Any] = {}
    errors: dict[str, str] = {}
    for field in fields:
        try:
            value = _read(field, posted.get(field.name, ()), locale=locale)
            check_change(field, value)
        except NotThisError as error:
            errors[field.pointer] = str(error)
        else:
            values[field.pointer] = value
    return values, errors


def _read(field: AmendField, texts: Sequence[str], *, locale: str) -> Any:
    if field.kind is Kind.LIST:
        kept = set(texts)
        return [item for index, item in enumerate(field.value) if str(index) in kept]
    if not texts:
        return field.value
    text = texts[-1]
    if field.kind is Kind.NUMBER:
        return _number(field, text, locale=locale)
    if field.kind is Kind.CHOICE:
        if text not in dict(field.options):
            raise NotThisError("Choose one of the words.")
        return text == "yes" if isinstance(field.value, bool) else text
    if field.kind is Kind.DATE:
        return text.strip()
    # Browsers send CR LF for every line break of a text area.
    return text if "\r\n" in field.value else text.replace("\r\n", "\n")


def _number(field: AmendField, text: str, *, locale: str) -> int | float:
    given = read_number(unicodedata.normalize("NFKC", text), unit=field.unit, locale=locale)
    if given is None:
        raise NotThisError("This cannot be read as a number.")
    number = given.scaleb(field.scale)
    if abs(number) > LARGEST:
        raise NotThisError("This number is too large.")
    if isinstance(field.value, int):
        if number != number.to_integral_value():
            raise NotThisError(
                f"This has more than {field.scale} decimals." if field.scale else "This must be a whole number."
            )
        return int(number)
    return float(number)


def check_change(field: AmendField, value: Any) -> None:
    """Raise NotThisError where the value has another JSON type, or goes further than the field may."""
    before = field.value
    if type(value) is not type(before):
        raise NotThisError("This would be another kind of value.")
    if field.kind is Kind.NUMBER:
        if isinstance(value, float) and (value != value or abs(value) > LARGEST):
            raise NotThisError("This number is too large.")
        if not field.is_free:
            _check_narrower(field, before, value)
    elif field.kind is Kind.DATE:
        _check_date(field, value)
    elif field.kind is Kind.LIST:
        rest = iter(before)
        if not all(any(_same(item, one) for one in rest) for item in value):
            raise NotThisError("Entries can be taken off, not added or moved.")
        if not value:
            # An empty list often means "all of them".
            raise NotThisError("Leave at least one entry. To let nothing through, deny the call.")
    elif field.kind is Kind.CHOICE and isinstance(value, str):
        if value not in dict(field.options):
            raise NotThisError("Choose one of the words.")
    elif isinstance(value, str) and (len(value) > LONGEST_TEXT or "\x00" in value):
        raise NotThisError(f"Keep it within {LONGEST_TEXT:,} characters.")


def _check_narrower(field: AmendField, before: int | float, value: int | float) -> None:
    asked = f"{field.unit} {field.shown}".strip()
    if field.direction == "up":
        if value < before:
            raise NotThisError(f"This can only be raised: {asked} or more.")
    elif not (0 <= value <= before or before <= value <= 0):
        # Across zero a refund would become a charge.
        way = "lowered" if before >= 0 else "brought nearer to zero"
        raise NotThisError(f"This can only be {way}: between 0 and {asked}.")


def _check_date(field: AmendField, value: str) -> None:
    before, after = _moment(field.value), _moment(value)
    if before is None or after is None or len(value) > 40 or ("T" in value) != ("T" in field.value):
        raise NotThisError(f"Write it as {field.value}.")
    if (after.tzinfo is None) != (before.tzinfo is None):
        raise NotThisError(f"Write it as {field.value}.")
    if not field.is_free and (after < before if field.direction == "up" else after > before):
        way = "later" if field.direction == "up" else "earlier"
        raise NotThisError(f"This can only move {way} than {field.value}.")


def _moment(text: str) -> datetime | None:
    try:
        return datetime.fromisoformat(text)
    except ValueError:
        pass
    try:
        return datetime.combine(date.fromisoformat(text), time(), UTC)
    except ValueError:
        return None


def _same(one: object, other: object) -> bool:
    """Equal as JSON: in Python 1, 1.0 and True are one."""
    if type(one) is not type(other):
        return False
    if isinstance(one, dict) and isinstance(other, dict):
        return one.keys() == other.keys() and all(_same(value, other[key]) for key, value in one.items())
    if isinstance(one, list) and isinstance(other, list):
        return len(one) == len(other) and all(_same(a, b) for a, b in zip(one, other, strict=True))
    return one == other


def _scale(fact: Fact, value: int | float) -> int:
    """How many decimals lie between the stored number and how the card writes it: 2 for 470000 read as 4700.00."""
    if not isinstance(value, int) or not fact.exact or not value:
        return 0
    try:
        ratio = Decimal(value) / Decimal(fact.exact)
    except (InvalidOperation, ZeroDivisionError):
        return 0
    scale = ratio.adjusted()
    return scale if 0 <= scale <= 6 and ratio == Decimal(1).scaleb(scale) else 0


def shown_number(value: int | float, scale: int) -> str:
    """The number as the card writes it, without its unit."""
    if isinstance(value, int):
        return f"{Decimal(value).scaleb(-scale):.{scale}f}"
    return repr(value)


_YES_NO: Final = (("yes", "Yes"), ("no", "No"))


def _yes_no(value: bool) -> str:
    return "yes" if value else "no"


def _schema_at(schema: Mapping[str, object] | None, pointer: str) -> Mapping[str, object] | None:
    found: object = schema
    for step in pointer.split("/")[1:]:
        if not isinstance(found, dict):
            return None
        properties, items = found.get("properties"), found.get("items")
        key = step.replace("~1", "/").replace("~0", "~")
        found = properties.get(key) if isinstance(properties, dict) and key in properties else items
    return found if isinstance(found, dict) else None
