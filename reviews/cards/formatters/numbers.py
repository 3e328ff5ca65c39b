"""Numbers with their unit in words, booleans, declared words, null. Source: reviewer-experience.md section 3."""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import replace
from decimal import Decimal
from typing import Final

from reviews.cards.formatters.base import (
    WrongKindError,
    exact_of,
    grouped,
    number_of,
    number_text,
    one,
    option_decimal,
    option_texts,
    want,
)
from reviews.cards.text import flat, reveal
from reviews.cards.types import Caution, Part, Rendered, Role, Severity, Value

_LIMIT: Final = {"limit": "Warn above this number"}
NUMBER_OPTIONS: Final = {"unit": "The unit in words, printed behind the number", **_LIMIT}
BYTES_OPTIONS: Final = {"unit": "What the number counts: B, kB, MB, GB, KiB, MiB, GiB (default B)", **_LIMIT}
PERCENT_OPTIONS: Final = {"scale": "`fraction` where 1 is all, `percent` where 100 is all", **_LIMIT}
DURATION_OPTIONS: Final = {"unit": "What the number counts: ms, s, min, h, days (default by the key, else s)", **_LIMIT}
BOOLEAN_OPTIONS: Final = {"yes": "The word for true (default yes)", "no": "The word for false (default no)"}
ENUM_OPTIONS: Final = {"values": "The declared values, where no schema names them"}

_BYTES: Final = {
    "b": 1, "kb": 10**3, "mb": 10**6, "gb": 10**9, "tb": 10**12,
    "kib": 2**10, "mib": 2**20, "gib": 2**30, "tib": 2**40,
}  # fmt: skip
_SECONDS: Final = {
    "ms": Decimal("0.001"), "s": Decimal(1), "min": Decimal(60), "h": Decimal(3600), "days": Decimal(86_400),
}  # fmt: skip
_ISO_DURATION: Final = re.compile(r"P(?:(\d+)W)?(?:(\d+)D)?(?:T(?:(\d+)H)?(?:(\d+)M)?(?:(\d+(?:\.\d+)?)S)?)?")


def number(value: Value) -> Rendered:
    """The number with thousands grouped; the raw one beside where they differ. The unit stays in the label."""
    amount = number_of(value.value)
    raw = number_text(amount)
    text = grouped(Decimal(raw)) if abs(amount) < 1e21 else raw
    unit = value.options.get("unit")
    parts = [Part(text, Role.STRONG)]
    if isinstance(unit, str) and unit:
        parts.append(Part(f" {flat(unit)}", Role.QUIET))
    rendered = one(value, *parts, cautions=_over(value, exact_of(amount)), raw=raw if raw != text else "", exact=raw)
    return replace(rendered, unit=unit if isinstance(unit, str) else "")


def _over(value: Value, amount: Decimal) -> tuple[Caution, ...]:
    limit = option_decimal(value.options, "limit")
    if limit is None or amount <= limit:
        return ()
    return (Caution("over_limit", Severity.DANGER, {"limit": grouped(limit)}),)


def size(value: Value) -> Rendered:
    """`4.2 MB`, raw "4200000 bytes"; in tens, as disks and networks are sold."""
    amount = exact_of(number_of(value.value))
    unit = str(value.options.get("unit") or "B")
    total = amount * _BYTES[unit.casefold()]
    raw = f"{number_text(number_of(value.value))} {'bytes' if unit.casefold() == 'b' else unit}"
    cautions = [*_over(value, amount), *([Caution("negative")] if amount < 0 else [])]
    return one(value, Part(size_text(total), Role.STRONG), cautions=cautions, raw=raw, exact=str(amount), unit=unit)


def size_text(total: Decimal | int) -> str:
    """`4.2 MB`."""
    total = Decimal(total)
    for name, factor in (("TB", 10**12), ("GB", 10**9), ("MB", 10**6), ("kB", 10**3)):
        if abs(total) >= factor:
            return f"{total / factor:,.1f} {name}"
    return f"{grouped(total)} {'byte' if total == 1 else 'bytes'}"


def percent(value: Value) -> Rendered:
    """`25 %`. Where nobody declared the scale and the number fits both, both readings are said."""
    amount = exact_of(number_of(value.value))
    scale = value.options.get("scale")
    raw = number_text(number_of(value.value))
    cautions = [*_over(value, amount), *([Caution("negative")] if amount < 0 else [])]
    if scale not in ("fraction", "percent") and 0 < abs(amount) <= 1:
        args = {"fraction": grouped((amount * 100).normalize()), "percent": grouped(amount)}
        cautions.append(Caution("fraction_or_percent", Severity.CAUTION, args))
        return one(value, Part(raw, Role.STRONG), Part(" (scale not declared)", Role.QUIET),
                   cautions=cautions, exact=raw)  # fmt: skip
    shown = amount * 100 if scale == "fraction" else amount
    if shown > 100:
        cautions.append(Caution("over_hundred"))
    text = grouped(Decimal(f"{shown.normalize():f}"))
    return one(value, Part(f"{text} %", Role.STRONG), cautions=cautions, raw=raw, exact=text.replace(",", ""), unit="%")


def duration(value: Value) -> Rendered:
    """`1 h 30 min`, raw "5400 s". Reads numbers and ISO 8601 durations without months and years."""
    if isinstance(value.value, str):
        found = _ISO_DURATION.fullmatch(value.value)
        if not found or not any(found.groups()):
            raise WrongKindError("duration")
        weeks, days, hours, minutes, seconds = (Decimal(group or 0) for group in found.groups())
        total = ((weeks * 7 + days) * 24 + hours) * 3600 + minutes * 60 + seconds
        return one(value, Part(span_text(total), Role.STRONG), cautions=_over(value, total), raw=value.value,
                   exact=value.value)  # fmt: skip
    amount = exact_of(number_of(value.value))
    unit = value.options.get("unit")
    unit = unit if isinstance(unit, str) and unit else _unit_of(value.key)
    total = amount * _SECONDS[unit]
    cautions = [*_over(value, amount), *([Caution("negative")] if amount < 0 else [])]
    raw = number_text(number_of(value.value))
    return one(value, Part(span_text(total), Role.STRONG), cautions=cautions, raw=f"{raw} {unit}", exact=raw, unit=unit)


def _unit_of(key: str) -> str:
    last = re.split(r"[_\W]", re.sub(r"(?<=[a-z])(?=[A-Z])", "_", key))[-1].casefold()
    for unit, names in (
        ("ms", ("ms", "millis", "milliseconds")),
        ("min", ("min", "mins", "minutes")),
        ("h", ("h", "hours")),
        ("days", ("days", "day")),
    ):
        if last in names:
            return unit
    return "s"


def span_text(total: Decimal) -> str:
    """`1 h 30 min`: seconds in words; every unit that is not zero."""
    sign, rest = ("-" if total < 0 else ""), abs(total)
    words = []
    for name, length in (("days", 86_400), ("h", 3600), ("min", 60)):
        count, rest = divmod(rest, length)
        if count:
            words.append(f"{count:,.0f} {'day' if name == 'days' and count == 1 else name}")
    if rest or not words:
        words.append(f"{rest.normalize():f} s")
    return sign + " ".join(words)


def boolean(value: Value) -> Rendered:
    """`yes` or `no`, or the words that template or schema give."""
    told = want(value.value, bool)
    plain = "yes" if told else "no"
    given = value.options.get(plain)
    word = given if isinstance(given, str) and given else _words(value.schema).get("true" if told else "false", plain)
    rendered = one(value, Part(flat(word), Role.STRONG), raw=plain if word != plain else "", exact=plain)
    return replace(rendered, choices=("yes", "no"))


def null(value: Value) -> Rendered:
    """`none`, for JSON null."""
    if value.value is not None:
        raise WrongKindError("null")
    return one(value, Part("none", Role.QUIET), exact="none")


def enum(value: Value) -> Rendered:
    """One of the declared values, in the schema's words; a caution where it is none of them."""
    item = value.value
    chosen = number_text(item) if isinstance(item, int | float) and not isinstance(item, bool) else want(item, str)
    words = _words(value.schema)
    declared = value.options.get("values")
    allowed = declared if isinstance(declared, list) else _declared(value.schema)
    if isinstance(item, int | float) and not allowed:
        raise WrongKindError("declared value")
    outside = bool(allowed) and item not in allowed
    seen = reveal(words.get(chosen, chosen))
    cautions = [Caution("not_in_enum")] if outside else []
    rendered = one(value, *(seen.parts or (Part("empty text", Role.QUIET),)), cautions=[*cautions, *seen.cautions],
                   raw=flat(chosen) if chosen in words else "", exact=chosen)  # fmt: skip
    return replace(rendered, choices=tuple(str(option) for option in allowed if isinstance(option, str))[:50])


def _declared(schema: Mapping[str, object] | None) -> list[object]:
    """The values a schema allows: `enum`, or the `const` of each alternative."""
    found = (schema or {}).get("enum")
    if isinstance(found, list):
        return found
    return [option["const"] for option in _alternatives(schema) if "const" in option]


def _alternatives(schema: Mapping[str, object] | None) -> list[Mapping[str, object]]:
    found = (schema or {}).get("oneOf") or (schema or {}).get("anyOf")
    return [option for option in found if isinstance(option, dict)] if isinstance(found, list) else []


def _words(schema: Mapping[str, object] | None) -> dict[str, str]:
    """What the schema calls each value: titles of alternatives, or `enumNames` beside `enum` (as MCP writes them)."""
    words: dict[str, str] = {}
    for option in _alternatives(schema):
        if "const" in option and isinstance(option.get("title"), str):
            words[_key(option["const"])] = str(option["title"])
    if schema:
        values, names = schema.get("enum"), option_texts(schema, "enumNames")
        if isinstance(values, list) and len(values) == len(names):
            words |= {_key(item): name for item, name in zip(values, names, strict=True)}
    return words


def _key(item: object) -> str:
    if isinstance(item, bool):
        return "true" if item else "false"
    return number_text(item) if isinstance(item, int | float) else str(item)
