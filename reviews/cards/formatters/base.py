"""What every formatter leans on: checks of kind, the plain result for one value, cautions once each."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Mapping
from decimal import Decimal, InvalidOperation
from typing import Final, TypeVar

from reviews.cards.text import flat, reveal
from reviews.cards.types import ABSENT, Caution, Part, Rendered, Role, Severity, Value

T = TypeVar("T")

_NAMED: Final = 3  # how many entries a difference names before it counts


class WrongKindError(ValueError):
    """The value is not what the formatter reads."""


def want(value: object, kind: type[T]) -> T:
    """`value`, if it is of the kind; JSON's true is no number. Raises WrongKindError."""
    if not isinstance(value, kind) or (isinstance(value, bool) and kind is not bool):
        raise WrongKindError(kind.__name__)
    return value


def number_of(value: object) -> int | float:
    """`value`, if it is a JSON number. Raises WrongKindError."""
    if isinstance(value, bool) or not isinstance(value, int | float):
        raise WrongKindError("number")
    return value


def exact_of(amount: int | float) -> Decimal:
    """The number as a decimal. repr is the shortest text that reads back as the same double: what was most likely meant."""
    return Decimal(repr(amount))


def number_text(amount: int | float) -> str:
    """A number as JSON would write it."""
    if isinstance(amount, float) and amount.is_integer() and abs(amount) < 2**53:
        return str(int(amount))
    return repr(amount)


def grouped(amount: Decimal, *, places: int | None = None) -> str:
    """`4,700.5`: thousands grouped; as many decimals as there are, at least `places`."""
    if abs(amount) >= Decimal("1e21"):
        return str(amount)
    have = max(0, -int(amount.as_tuple().exponent))
    return f"{amount:,.{max(have, places or 0)}f}"


def option_decimal(options: Mapping[str, object], name: str) -> Decimal | None:
    """A number from the options, however it was written; None where it is absent or unreadable."""
    found = options.get(name)
    if isinstance(found, bool) or not isinstance(found, int | float | str):
        return None
    try:
        read = Decimal(str(found))
    except InvalidOperation:
        return None
    return read if read.is_finite() else None


def option_texts(options: Mapping[str, object], name: str) -> list[str]:
    """A list of texts from the options; a single text counts as one."""
    found = options.get(name)
    if isinstance(found, str):
        return [found]
    return [str(item) for item in found] if isinstance(found, list | tuple) else []


def one(
    value: Value,
    *parts: Part,
    cautions: Iterable[Caution] = (),
    raw: str = "",
    inspected: bool = True,
    exact: str = "",
    unit: str = "",
    can_copy: bool = False,
) -> Rendered:
    """The result for a single leaf."""
    return Rendered(
        parts,
        frozenset([value.pointer]),
        cautions=distinct(cautions),
        raw=raw,
        inspected=inspected,
        exact=exact,
        unit=unit,
        can_copy=can_copy,
    )


def distinct(cautions: Iterable[Caution]) -> tuple[Caution, ...]:
    """Each caution once; the first of equals stands."""
    seen: dict[tuple[str, str], Caution] = {}
    for caution in cautions:
        seen.setdefault((caution.code, caution.sentence), caution)
    return tuple(seen.values())


def in_role(parts: Iterable[Part], role: Role) -> tuple[Part, ...]:
    """The parts with plain text in another role; chips stay chips."""
    return tuple(Part(part.text, role if part.role is Role.TEXT else part.role) for part in parts)


def counted(count: int, noun: str) -> str:
    """`1 link`, `2 links`."""
    return f"{count:,} {noun}{'' if count == 1 else 's'}"


def mono_lines(
    text: str, *, roles: Mapping[int, Role] | None = None, first: int | None = 1
) -> tuple[tuple[Part, ...], tuple[Caution, ...]]:
    """Every line of a source text, numbered from `first` (None: no numbers), nothing folded; and what hides in it.

    `roles` names the lines (from 0) that are more than plain.
    """
    parts: list[Part] = []
    cautions: list[Caution] = []
    hidden = 0
    lines = text.split("\n")
    width = len(str((first or 0) + len(lines) - 1))
    for index, line in enumerate(lines):
        if index:
            parts.append(Part("\n", Role.MONO))
        if first is not None:
            parts.append(Part(f"{first + index:>{width}}  ", Role.LINE))
        seen = reveal(line, fold_blanks=False)
        parts.extend(in_role(seen.parts, (roles or {}).get(index, Role.MONO)))
        hidden += seen.hidden_count
        cautions.extend(caution for caution in seen.cautions if caution.code != "hidden_characters")
    if hidden:
        noun = "character" if hidden == 1 else "characters"
        cautions.append(Caution("hidden_characters", Severity.DANGER, {"count": f"{hidden:,}", "noun": noun}))
    return tuple(parts), distinct(cautions)


def changes_since(value: Value, now_there: Iterable[str]) -> tuple[Caution, ...]:
    """What a list has more or less than the one at its place in the call before; none where there was no list."""
    if value.last is ABSENT or not isinstance(value.last, list | str):
        return ()
    before = Counter(str(item) for item in (value.last if isinstance(value.last, list) else [value.last]))
    after = Counter(now_there)
    found = []
    for code, severity, names in (
        ("list_added", Severity.CAUTION, list((after - before).elements())),
        ("list_removed", Severity.INFO, list((before - after).elements())),
    ):
        if names:
            listed = ", ".join(flat(name)[:60] for name in names[:_NAMED]) + (", \u2026" if len(names) > _NAMED else "")
            found.append(Caution(code, severity, {"count": f"{len(names):,}", "items": listed}))
    return tuple(found)
