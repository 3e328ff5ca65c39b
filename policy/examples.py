"""Two example tests for the rows of a rule: a call that matches and one that does not. Pure."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from decimal import Decimal
from typing import Any

from policy import rowvalues
from policy.builder import Group, Row, Rows
from policy.functions import NamedList
from policy.money import EXPONENTS

Context = dict[str, Any]


class _NoExample(Exception):
    """No value is known that makes this row hold, or fail."""


def examples(rows: Rows, *, lists: Mapping[str, NamedList]) -> list[dict[str, object]]:
    """Tests that the rows suggest; only the author knows what should happen, so they are a start. May be fewer."""
    found: list[dict[str, object]] = []
    for name, expect, holds in (("matches", "match", True), ("does not match", "no match", False)):
        context: Context = {}
        try:
            for at, group in enumerate(rows.groups):
                # One failing group is enough to fail "all"; the others hold, so that the test says which one it was.
                wanted = holds or (rows.join == "all" and at > 0)
                _fill_group(context, group, wanted, lists)
        except (_NoExample, rowvalues.BadValue):
            continue
        found.append({"name": name, "context": context, "expect": expect})
    return found


def _fill_group(context: Context, group: Group, wanted: bool, lists: Mapping[str, NamedList]) -> None:
    for index, row in enumerate(group.rows):
        holds = wanted if group.combine != "none" else not wanted
        if not wanted and group.combine == "all":
            holds = index > 0
        _put(context, rowvalues.path_of(row.field), _value(row, holds, lists))
        if row.operator.startswith("money"):
            currency = next(iter(rowvalues.money(row.value)))
            _put(context, (*rowvalues.path_of(row.field)[:-1], "currency"), currency)


_ABSENT = object()


def _put(context: Context, path: Sequence[str], value: object) -> None:
    if len(path) == 1:
        context[path[0]] = value
        return
    at = context
    for step in path[:-1]:
        at = at.setdefault(step, {})
        if not isinstance(at, dict):
            raise _NoExample
    if value is not _ABSENT:
        at.setdefault(path[-1], value)


def _value(row: Row, holds: bool, lists: Mapping[str, NamedList]) -> object:
    key, text = row.operator, row.value.strip()
    if key in ("above", "at_least", "below", "at_most"):
        return _beside(Decimal(rowvalues.number(text)), key, holds)
    if key.startswith("money"):
        code, limit = next(iter(rowvalues.money(text).items()))
        in_minor = row.field.endswith(("_cents", "_minor", "_pence"))
        step = Decimal(1) if in_minor else Decimal(1).scaleb(-EXPONENTS[code])
        amount = Decimal(limit) if in_minor else Decimal(limit).scaleb(-EXPONENTS[code])
        return _plain(amount + (step if key == "money_above" else -step) if holds else amount)
    if key in ("true", "false"):
        return holds == (key == "true")
    if key in ("given", "missing"):
        return "x" if holds == (key == "given") else _ABSENT
    if key in ("shorter", "longer", "more_items"):
        limit = int(rowvalues.whole(text))
        count = (limit - 1 if key == "shorter" else limit + 1) if holds else limit
        if count < 0 or count > 150:
            raise _NoExample
        return ["x"] * count if key == "more_items" else "x" * count
    value = _text(row, key, text, holds, lists)
    return [value] if row.kind == "list" else value


def _text(row: Row, key: str, text: str, holds: bool, lists: Mapping[str, NamedList]) -> object:
    negated = key in ("is_not", "not_one_of", "not_contains", "not_in_list", "domain_not_in_list")
    inside = holds != negated  # whether the value is the one that the row names
    if key in ("is", "is_not", "one_of", "not_one_of"):
        named = rowvalues.items(text)[0] if "one_of" in key else rowvalues.unquoted(text)
        if row.kind == "number":
            number = Decimal(rowvalues.number(named))
            return _plain(number if inside else number + 1)
        if row.kind == "flag":
            return (rowvalues.flag(text) == "true") == inside
        return named if inside else "something else"
    if key in ("contains", "not_contains", "starts", "ends"):
        return text if inside else "something else"
    if key == "words":
        return f"{rowvalues.items(text)[0]} example" if inside else "something else"
    if key.endswith("in_list"):
        found = lists.get(text)
        entry = next(iter(sorted(found.entries)), None) if found and found.kind in ("exact", "domain") else None
        is_mail = key.startswith("domain") or (found.kind if found else "") == "domain"
        if inside and entry is None:
            raise _NoExample
        value = str(entry) if inside else "elsewhere.example"
        return f"somebody@{value}" if key.startswith("domain") else value if inside or is_mail else "not on the list"
    raise _NoExample


def _beside(limit: Decimal, key: str, holds: bool) -> int | float:
    step = {"above": 1, "at_least": 0, "below": -1, "at_most": 0}[key]
    away = {"above": 0, "at_least": -1, "below": 0, "at_most": 1}[key]
    return _plain(limit + (step if holds else away))


def _plain(number: Decimal) -> int | float:
    return int(number) if number == number.to_integral_value() else float(number)
