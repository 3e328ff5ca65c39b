"""Rows of a form as one CEL condition: the same rows always give the same text. Pure.

A rule of the builder is groups of rows: a row is (field, operator, value), a group holds when all, any or none of its
rows do. Reads of `params` and `user` are guarded with `has()` at each level, on the side that the author chose for a
missing field. The text is what counts; nothing leads back from it to rows. Source: the policy design, section 14.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Final, Literal

from policy import rowvalues
from policy.cel import ROOTS
from policy.rowvalues import BadValue, path_text, text_literal

Combine = Literal["all", "any", "none"]
Missing = Literal["match", "no_match", "error"]
Kind = Literal["number", "text", "flag", "list", "time", ""]  # "": not known

MOST_GROUPS: Final = 5
MOST_ROWS: Final = 12
_LONG_LINE: Final = 88
_GUARDED_ROOTS: Final = frozenset({"params", "user"})


@dataclass(frozen=True)
class Operator:
    """One choice of a row: how it reads, what it is for, and what its value is (empty: it takes none)."""

    key: str
    label: str
    group: str
    kinds: frozenset[str]
    hint: str


def _operators() -> dict[str, Operator]:
    number, text = frozenset({"number", "text", ""}), frozenset({"text", "list", ""})
    both, everything = text | {"number"}, frozenset({"number", "text", "flag", "list", "time", ""})
    found = (
        *(
            Operator(key, label, "Number", number, "5000")
            for key, label in (
                ("above", "is above"),
                ("at_least", "is at least"),
                ("below", "is below"),
                ("at_most", "is at most"),
            )
        ),
        Operator("money_above", "is more than, in money", "Number", number, "5000 USD"),
        Operator("money_below", "is less than, in money", "Number", number, "5000 USD, 4500 EUR"),
        Operator("is", "is", "Text", both | {"flag"}, "free"),
        Operator("is_not", "is not", "Text", both | {"flag"}, "free"),
        Operator("one_of", "is one of", "Text", both, "free, trial"),
        Operator("not_one_of", "is not one of", "Text", both, "free, trial"),
        Operator("contains", "contains", "Text", text, "urgent"),
        Operator("not_contains", "does not contain", "Text", text, "urgent"),
        Operator("words", "contains one of the words", "Text", frozenset({"text", ""}), "drop, truncate"),
        Operator("starts", "starts with", "Text", text, "https://"),
        Operator("ends", "ends with", "Text", text, "@partner.example"),
        Operator("glob", "fits the pattern (* and ?)", "Text", text, "inv_*"),
        Operator("regex", "fits the regular expression", "Text", frozenset({"text", ""}), "(?i)drop table"),
        Operator("shorter", "is shorter than, in characters", "Text", frozenset({"text", ""}), "10"),
        Operator("longer", "is longer than, in characters", "Text", frozenset({"text", ""}), "500"),
        Operator("in_list", "is in the list", "Named list", both, "a list's name"),
        Operator("not_in_list", "is not in the list", "Named list", both, "a list's name"),
        Operator("domain_in_list", "has its e-mail domain in the list", "Named list", text, "a list's name"),
        Operator("domain_not_in_list", "has its e-mail domain not in the list", "Named list", text, "a list's name"),
        Operator("more_items", "has more items than", "Several values", frozenset({"list", ""}), "10"),
        Operator("true", "is true", "Yes or no", frozenset({"flag", ""}), ""),
        Operator("false", "is false", "Yes or no", frozenset({"flag", ""}), ""),
        Operator("given", "is given", "Any", everything - {"time"}, ""),
        Operator("missing", "is missing", "Any", everything - {"time"}, ""),
        Operator("inside", "is inside the calendar", "Time", frozenset({"time"}), "a calendar's name"),
        Operator("outside", "is outside the calendar", "Time", frozenset({"time"}), "a calendar's name"),
    )
    return {operator.key: operator for operator in found}


OPERATORS: Final[Mapping[str, Operator]] = _operators()
CALENDAR_OPERATORS: Final = frozenset({"inside", "outside"})
_KIND_WORDS: Final = {
    "number": "a number",
    "text": "text",
    "flag": "true or false",
    "list": "several values",
    "time": "a time",
}


@dataclass(frozen=True)
class Row:
    """One test: a path such as params.amount, an operator's key, the value as typed, and what the field holds."""

    field: str
    operator: str
    value: str = ""
    kind: Kind = ""


@dataclass(frozen=True)
class Group:
    """Rows and how they count together."""

    rows: tuple[Row, ...]
    combine: Combine = "all"


@dataclass(frozen=True)
class Rows:
    """All that the builder knows of a condition. `missing` says what a missing field counts for."""

    groups: tuple[Group, ...]
    join: Literal["all", "any"] = "all"
    missing: Missing = "match"


@dataclass(frozen=True)
class Mistake:
    """What is wrong with one row: places count from 0; `part` is field, operator or value."""

    group: int
    row: int
    part: str
    sentence: str


class BadRows(ValueError):
    """Rows that give no condition; `mistakes` holds every one."""

    def __init__(self, mistakes: Sequence[Mistake]) -> None:
        self.mistakes = tuple(mistakes)
        super().__init__(" ".join(mistake.sentence for mistake in mistakes))


def default_missing(effect: str) -> Missing:
    """What a missing field counts for unless the author says so: towards the stricter side of the effect."""
    return "no_match" if effect == "allow" else "match"


def condition_of(rows: Rows) -> str:
    """The condition in CEL. Raises BadRows with every mistake."""
    mistakes: list[Mistake] = []
    parts: list[_Part] = []
    for at, group in enumerate(rows.groups):
        # In "none of" a row that holds speaks against the match, so a missing field counts the other way round.
        towards = group.combine != "none"
        found = []
        for index, row in enumerate(group.rows):
            try:
                found.append(_row(row, missing=rows.missing, towards=towards))
            except BadValue as error:
                mistakes.append(Mistake(at, index, error.part, str(error)))
        if group.rows and not mistakes:
            parts.append(_group(group.combine, found))
    if mistakes:
        raise BadRows(mistakes)
    if not parts:
        raise BadRows([Mistake(0, 0, "field", "Choose a field, how to compare it, and with what.")])
    return _joined("&&" if rows.join == "all" else "||", parts, is_outermost=True).text


@dataclass(frozen=True)
class _Part:
    """A piece of CEL and its outermost operator: empty where none binds weaker than a relation."""

    text: str
    operator: str = ""


def _joined(operator: str, parts: Sequence[_Part], *, is_outermost: bool = False) -> _Part:
    if len(parts) == 1:
        return parts[0]
    texts = [f"({part.text})" if part.operator not in ("", operator) else part.text for part in parts]
    line = f" {operator} ".join(texts)
    if is_outermost and len(line) > _LONG_LINE:
        line = f" {operator}\n".join(texts)
    return _Part(line, operator)


def _group(combine: Combine, parts: Sequence[_Part]) -> _Part:
    if combine == "none":
        return _Part(f"!({_joined('||', parts).text})")
    return _joined("&&" if combine == "all" else "||", parts)


def _row(row: Row, *, missing: Missing, towards: bool) -> _Part:
    """One row with its guards. Raises BadValue."""
    path = rowvalues.path_of(row.field)
    operator = OPERATORS.get(row.operator)
    if operator is None:
        raise BadValue("operator", "Choose how to compare it.")
    if row.kind not in operator.kinds:
        raise BadValue("operator", f"“{operator.label}” is not for {row.field}, which is {_KIND_WORDS[row.kind]}.")
    if operator.hint and not row.value.strip():
        raise BadValue("value", f"Write what to compare with, such as {operator.hint}.")
    if row.operator in ("given", "missing"):
        if path[0] not in _GUARDED_ROOTS and path[0] != "stats":
            raise BadValue("operator", f"{row.field} is always given.")
        return _presence([path], is_given=row.operator == "given")
    reads = [path]
    if row.operator.startswith("money"):
        reads.append((*path[:-1], "currency"))
    test = _Part(_test(row, path))
    guarded = [read for read in reads if read[0] in _GUARDED_ROOTS]
    if missing == "error" or not guarded:
        return test
    counts = (missing == "match") == towards
    return _joined("||" if counts else "&&", [*_presences(guarded, is_given=not counts), test])


def _presence(paths: Sequence[rowvalues.Path], *, is_given: bool) -> _Part:
    return _joined("&&" if is_given else "||", _presences(paths, is_given=is_given))


def _presences(paths: Sequence[rowvalues.Path], *, is_given: bool) -> list[_Part]:
    """One test for each level of each path, each level once."""
    steps = dict.fromkeys(path[:length] for path in paths for length in range(2, len(path) + 1))
    return [_Part(("" if is_given else "!") + rowvalues.has_text(step)) for step in steps]


_NUMBERS: Final = {"above": ">", "at_least": ">=", "below": "<", "at_most": "<="}


def _test(row: Row, path: rowvalues.Path) -> str:
    """The row's own test, without guards."""
    read, value = path_text(path), row.value.strip()
    if row.operator in _NUMBERS:
        left = read if row.kind == "number" else f"num({read})"
        return f"{left} {_NUMBERS[row.operator]} {rowvalues.number(value)}"
    if row.operator in ("money_above", "money_below"):
        return _money(row, path, value)
    if row.operator in ("true", "false"):
        return f"{read} == {row.operator}"
    if row.operator in CALENDAR_OPERATORS:
        return f"{'!' if row.operator == 'outside' else ''}within({read}, {text_literal(value)})"
    if row.operator in ("shorter", "longer"):
        return f"size({read}) {'<' if row.operator == 'shorter' else '>'} {rowvalues.whole(value)}"
    if row.operator == "more_items":
        return f"size({read}) > {rowvalues.whole(value)}"
    if row.kind == "list":
        return f"{read}.exists(item, {_text_test(row, 'item', value)})"
    return _text_test(row, read, value)


def _money(row: Row, path: rowvalues.Path, value: str) -> str:
    """Against a limit for each currency; another currency is an error, which holds the call."""
    limits = rowvalues.money(value)
    currency = path_text((*path[:-1], "currency"))
    table = ", ".join(f"{text_literal(code)}: {amount}" for code, amount in limits.items())
    in_minor = path[-1].endswith(("_cents", "_minor", "_pence"))
    left = path_text(path) if in_minor else f"minor({path_text(path)}, {currency})"
    return f"{left} {'>' if row.operator == 'money_above' else '<'} {{{table}}}[{currency}]"


def _text_test(row: Row, read: str, value: str) -> str:
    """A test of one text (or number, where the field holds numbers)."""
    key = row.operator
    if key in ("is", "is_not"):
        return f"{read} {'==' if key == 'is' else '!='} {_literal(row.kind, value)}"
    if key in ("one_of", "not_one_of"):
        items = ", ".join(_literal(row.kind, item) for item in rowvalues.items(value))
        return f"{read} in [{items}]" if key == "one_of" else f"!({read} in [{items}])"
    if key in ("contains", "not_contains"):
        return f"{'!' if key == 'not_contains' else ''}{read}.icontains({text_literal(value)})"
    if key in ("starts", "ends"):
        return f"{read}.{'startsWith' if key == 'starts' else 'endsWith'}({text_literal(value)})"
    if key == "glob":
        return f"{read}.glob({text_literal(value)})"
    if key == "regex":
        return f"{read}.regex({rowvalues.pattern_literal(value)})"
    if key == "words":
        return f"{read}.regex({rowvalues.pattern_literal(rowvalues.words_pattern(value))})"
    named, text = text_literal(value), f"domain_of({read})" if key.startswith("domain") else read
    return f"{'!' if 'not_in' in key else ''}in_list({text}, {named})"


def _literal(kind: str, value: str) -> str:
    if kind == "number":
        return rowvalues.number(value)
    if kind == "flag":
        return rowvalues.flag(value)
    return text_literal(rowvalues.unquoted(value))


def to_json(rows: Rows) -> dict[str, Any]:
    """What is stored beside the condition."""
    return {
        "version": 1,
        "join": rows.join,
        "missing": rows.missing,
        "groups": [
            {
                "combine": group.combine,
                "rows": [
                    {"field": row.field, "operator": row.operator, "value": row.value, "kind": row.kind}
                    for row in group.rows
                ],
            }
            for group in rows.groups
        ],
    }


def from_json(found: object) -> Rows | None:
    """The stored rows; None where there are none, or none of a form known here."""
    if not isinstance(found, Mapping) or found.get("version") != 1:
        return None
    try:
        return Rows(
            groups=tuple(
                Group(tuple(Row(**row) for row in group["rows"]), combine=group["combine"]) for group in found["groups"]
            ),
            join=found["join"],
            missing=found["missing"],
        )
    except (KeyError, TypeError):
        return None


assert frozenset(ROOTS) >= _GUARDED_ROOTS
