"""The builder and the tests of a rule as fields of a page: plain inputs and submit buttons, no script needed."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from itertools import groupby
from typing import Any, Final

from django import forms

from policy import builder, testlines
from policy.builder import OPERATORS, Group, Mistake, Row, Rows
from policy.fields import Offer
from policy.ruletests import EXPECTATIONS, MAX_TESTS

FIRST_ROWS: Final = 2
COMBINES: Final = (("all", "all of"), ("any", "any of"), ("none", "none of"))
JOINS: Final = (("all", "all groups"), ("any", "any group"))
MISSING: Final = (
    ("auto", "The careful answer"),
    ("match", "As a match"),
    ("no_match", "As no match"),
    ("error", "An error"),
)


def _operator_choices() -> list[tuple[str, Any]]:
    groups = groupby(OPERATORS.values(), key=lambda operator: operator.group)
    return [("", "how"), *((name, [(found.key, found.label) for found in members]) for name, members in groups)]


class RowForm(forms.Form):
    """One row; an empty one is left out."""

    field = forms.ChoiceField(required=False)
    operator = forms.ChoiceField(required=False, choices=_operator_choices)
    value = forms.CharField(required=False, max_length=1000)

    def __init__(self, *args: Any, offer: Offer, more: Sequence[str], place: str, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        self.mistakes: list[str] = []
        choices = self.fields["field"]
        assert isinstance(choices, forms.ChoiceField)
        choices.choices = [("", "choose a field"), *offer.choices(more)]
        for name, words in (("field", "Field"), ("operator", "Comparison"), ("value", "Value")):
            self.fields[name].widget.attrs |= {"aria-label": f"{words}, {place}"}
        self.fields["value"].widget.attrs |= {"placeholder": "value", "list": "builder-values", "autocomplete": "off"}

    def text(self, name: str) -> str:
        """What was typed."""
        return str(self[name].value() or "").strip()

    @property
    def is_empty(self) -> bool:
        """Nothing chosen and nothing typed."""
        return not any(self.text(name) for name in ("field", "operator", "value"))


class GroupForm(forms.Form):
    """How the rows of a group count together."""

    combine = forms.ChoiceField(required=False, choices=COMBINES, initial="all")

    def __init__(self, *args: Any, number: int, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        self.number = number
        self.rows: list[RowForm] = []
        self.fields["combine"].widget.attrs["aria-label"] = f"Group {number + 1} holds when"


class WholeForm(forms.Form):
    """What belongs to no single row."""

    join = forms.ChoiceField(required=False, choices=JOINS, initial="all", label="The rule matches when these hold")
    missing = forms.ChoiceField(
        required=False,
        choices=MISSING,
        initial="auto",
        label="A field that a call lacks counts as",
        help_text="The careful answer is a match for review and deny, and no match for allow. After an error a person decides.",
    )
    more_fields = forms.CharField(
        required=False,
        max_length=500,
        label="Fields not offered above",
        help_text="Separated by commas, such as params.amount, user.plan. Then press Check, and choose them.",
    )
    shown = forms.CharField(required=False, widget=forms.HiddenInput)
    by_hand = forms.CharField(required=False, widget=forms.HiddenInput)
    groups = forms.IntegerField(required=False, widget=forms.HiddenInput)


@dataclass
class Builder:
    """The rows on the page: read from what was posted, or from what is stored."""

    whole: WholeForm
    groups: list[GroupForm] = field(default_factory=list)
    is_open: bool = True
    notice: str = ""

    @property
    def rows(self) -> list[tuple[int, int, RowForm]]:
        """(group, row, form) of the rows that say something; places count the rows that do."""
        return [
            (group, index, row)
            for group, form in enumerate(self.groups)
            for index, row in enumerate(row for row in form.rows if not row.is_empty)
        ]

    def show(self, mistakes: Sequence[Mistake]) -> None:
        """Put each mistake at its row."""
        at = {(group, index): row for group, index, row in self.rows}
        for mistake in mistakes:
            row = at.get((mistake.group, mistake.row))
            if row is not None:
                row.mistakes.append(mistake.sentence)
                row.fields[mistake.part].widget.attrs["aria-invalid"] = "true"

    def read(self, offer: Offer, *, effect: str) -> Rows:
        """What the page says, ready to compile."""
        missing = str(self.whole["missing"].value() or "auto")
        groups = []
        for form in self.groups:
            rows = tuple(
                Row(row.text("field"), row.text("operator"), row.text("value"), kind=offer.kind_of(row.text("field")))
                for row in form.rows
                if not row.is_empty
            )
            groups.append(Group(rows, combine=_one_of(form["combine"].value(), COMBINES)))
        return Rows(
            groups=tuple(groups),
            join=_one_of(self.whole["join"].value(), JOINS),
            missing=builder.default_missing(effect) if missing == "auto" else _one_of(missing, MISSING[1:]),
        )


def _one_of(value: object, choices: Sequence[tuple[str, str]]) -> Any:
    """The value where it is one of the choices, else the first: their types are literals."""
    return value if value in dict(choices) else choices[0][0]


def posted(data: Mapping[str, Any], offer: Offer) -> Builder:
    """The builder as it was posted, with the row or group that a button asked for."""
    whole = WholeForm(data, prefix="b")
    more = [name.strip() for name in str(data.get("b-more_fields", "")).split(",")]
    count = min(_count(data.get("b-groups"), 1) + ("_add_group" in data), builder.MOST_GROUPS)
    found = Builder(whole)
    for number in range(count):
        group = GroupForm(data, prefix=f"b{number}", number=number)
        size = FIRST_ROWS
        while size < builder.MOST_ROWS and f"b{number}-{size}-field" in data:
            size += 1
        size = min(size + (str(data.get("_add_row")) == str(number)), builder.MOST_ROWS)
        chosen = [str(data.get(f"b{number}-{row}-field", "")) for row in range(size)]
        group.rows = [_row(data, number, row, offer, [*more, *chosen]) for row in range(size)]
        found.groups.append(group)
    return found


def stored(rows: Rows | None, offer: Offer, *, effect: str, condition: str) -> Builder:
    """The builder as it is stored, with room for more; closed where the condition was written by hand."""
    missing = "auto" if rows is None or rows.missing == builder.default_missing(effect) else rows.missing
    groups = rows.groups if rows else (Group(()),)
    by_hand = "1" if condition and rows is None else ""
    initial = {"join": rows.join if rows else "all", "missing": missing, "shown": condition, "by_hand": by_hand}
    initial["groups"] = str(len(groups))
    found = Builder(WholeForm(initial=initial, prefix="b"), is_open=rows is not None or not condition)
    for number, group in enumerate(groups):
        form = GroupForm(initial={"combine": group.combine}, prefix=f"b{number}", number=number)
        written = [{"field": row.field, "operator": row.operator, "value": row.value} for row in group.rows]
        initials = [*written, *[{}] * max(1, FIRST_ROWS - len(written))]
        chosen = [row.field for row in group.rows]
        form.rows = [_row(None, number, row, offer, chosen, initial) for row, initial in enumerate(initials)]
        found.groups.append(form)
    return found


def _row(
    data: Mapping[str, Any] | None,
    group: int,
    row: int,
    offer: Offer,
    more: Sequence[str],
    initial: Mapping[str, str] | None = None,
) -> RowForm:
    place = f"group {group + 1}, row {row + 1}"
    return RowForm(
        data, prefix=f"b{group}-{row}", offer=offer, more=more, place=place, initial=dict(initial) if initial else None
    )


def _count(value: object, default: int) -> int:
    text = str(value or "")
    return int(text) if text.isdecimal() and 0 < int(text) <= builder.MOST_GROUPS else default


class TestForm(forms.Form):
    """One test: a call in lines, and what the rule should do with it. Without a call there is no test."""

    __test__ = False  # not a test of pytest's

    name = forms.CharField(required=False, max_length=120)
    call = forms.CharField(required=False, max_length=20_000, widget=forms.Textarea(attrs={"rows": 3}))
    expect = forms.ChoiceField(required=False, choices=[(word, word) for word in EXPECTATIONS])

    def __init__(self, *args: Any, number: int, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        for name, words in (("name", "Name"), ("call", "The call"), ("expect", "Expected")):
            self.fields[name].widget.attrs |= {"aria-label": f"{words}, test {number + 1}"}
        self.fields["call"].widget.attrs |= {
            "placeholder": "params.amount = 6000\nuser.plan = free",
            "spellcheck": "false",
        }


def stored_tests(tests: Sequence[Mapping[str, Any]]) -> list[TestForm]:
    """The rule's tests, with room for more."""
    initials = [
        {"name": test["name"], "call": testlines.to_lines(test["context"]), "expect": test["expect"]} for test in tests
    ]
    initials += [{"name": "", "call": "", "expect": word} for word in _next_expectations(initials)]
    return [TestForm(prefix=f"t{number}", number=number, initial=initial) for number, initial in enumerate(initials)]


def _next_expectations(tests: Sequence[Mapping[str, Any]]) -> list[str]:
    wanted = [word for word in ("match", "no match") if word not in {test["expect"] for test in tests}]
    return wanted or ["match"]


def posted_tests(data: Mapping[str, Any]) -> str:
    """The tests that were posted, as JSON text. Raises BadLine."""
    tests: list[dict[str, Any]] = []
    number = 0
    while f"t{number}-call" in data and number <= MAX_TESTS:
        call = str(data[f"t{number}-call"]).strip()
        if call:
            expect = str(data.get(f"t{number}-expect", "match"))
            name = str(data.get(f"t{number}-name", "")).strip() or _free_name(expect, tests)
            tests.append({"name": name, "context": testlines.to_context(call), "expect": expect})
        number += 1
    return json.dumps(tests, ensure_ascii=False)


def _free_name(expect: str, tests: Sequence[Mapping[str, Any]]) -> str:
    taken = {test["name"] for test in tests}
    number = 1
    while f"{expect} {number}" in taken:
        number += 1
    return f"{expect} {number}"


def bound_tests(data: Mapping[str, Any]) -> list[TestForm]:
    """The tests as they were typed, mistakes and all."""
    found: list[TestForm] = []
    while f"t{len(found)}-call" in data and len(found) <= MAX_TESTS:
        found.append(TestForm(data, prefix=f"t{len(found)}", number=len(found)))
    return found
