"""Rows of the builder: the same rows give the same CEL, guarded, that compiles and decides as the row says."""

from __future__ import annotations

import itertools
from typing import Any

import pytest

from policy.builder import (
    OPERATORS,
    BadRows,
    Group,
    Kind,
    Row,
    Rows,
    condition_of,
    default_missing,
    from_json,
    to_json,
)
from policy.cel import Engine
from policy.check import check, errors_in
from policy.evaluate import Program, RuleSet, context_of
from policy.examples import examples
from policy.functions import NamedList
from policy.ruletests import run_tests
from policy.testlines import BadLine, to_context, to_lines
from tests.policy.calls import a_call, a_rule

LISTS = {"company": NamedList.of("domain", ["demo.example"]), "blocked": NamedList.of("exact", ["in_9"])}


def rows_of(*rows: Row, **whole: Any) -> Rows:
    combine = whole.pop("combine", "all")
    return Rows((Group(rows, combine=combine),), **whole)


def result(rows: Rows, params: dict[str, Any] | None = None, **roots: Any) -> str:
    """What a rule with these rows gives on a call."""
    rule = a_rule(condition_of(rows))
    program = Program(RuleSet(rules=(rule,), actions={}, lists=LISTS))
    assert not program.broken, program.broken
    hit = program.test(rule, context_of(a_call(params, **roots)))
    return hit.result if hit else "no match"


@pytest.mark.parametrize(
    ("row", "condition"),
    [
        (Row("params.amount", "above", "5,000"), "!has(params.amount) || num(params.amount) > 5000"),
        (Row("amount", "at_most", "12.50", kind="number"), "!has(params.amount) || params.amount <= 12.50"),
        (
            Row("params.amount", "money_above", "5,000 USD, EUR 4500"),
            (
                "!has(params.amount) || !has(params.currency) || "
                "minor(params.amount, params.currency) > {'USD': 500000, 'EUR': 450000}[params.currency]"
            ),
        ),
        (
            Row("params.order.total_cents", "money_above", "5000 JPY"),
            (
                "!has(params.order) || !has(params.order.total_cents) || !has(params.order.currency) || "
                "params.order.total_cents > {'JPY': 5000}[params.order.currency]"
            ),
        ),
        (Row("user.plan", "is", "free"), "!has(user.plan) || user.plan == 'free'"),
        (Row("params.count", "is", "5", kind="number"), "!has(params.count) || params.count == 5"),
        (Row("params.count", "is", "5"), "!has(params.count) || params.count == '5'"),
        (Row("params.note", "is", "it's \\ \n"), r"!has(params.note) || params.note == 'it\'s \\'"),
        (Row("tool.destructive", "true", kind="flag"), "tool.destructive == true"),
        (
            Row("params.sql", "words", "drop, a.b"),
            r"!has(params.sql) || params.sql.regex(r'(?i)\b(?:drop|a\.b)\b')",
        ),
        (
            Row("params.to", "domain_not_in_list", "company", kind="list"),
            "!has(params.to) || params.to.exists(item, !in_list(domain_of(item), 'company'))",
        ),
        (Row("params.e-mail", "ends", ".x"), "!('e-mail' in params) || params['e-mail'].endsWith('.x')"),
        (Row("params.reason", "missing"), "!has(params.reason)"),
        (Row("params.a.b", "given"), "has(params.a) && has(params.a.b)"),
    ],
)
def test_a_row_gives_its_condition(row: Row, condition: str) -> None:
    assert condition_of(rows_of(row)) == condition


@pytest.mark.parametrize(
    ("row", "part", "sentence"),
    [
        (Row("", "is", "x"), "field", "Choose a field."),
        (Row("params.a", "", "x"), "operator", "Choose how to compare it."),
        (Row("params.a", "is", ""), "value", "Write what to compare with, such as free."),
        (Row("params.a", "above", "many"), "value", "is not a number"),
        (Row("params.a", "above", "5,00"), "value", "is not a number"),
        (Row("params.a", "money_above", "5000"), "value", "Write an amount with its currency"),
        (Row("params.a", "money_above", "5000 XXX"), "value", "Write an amount with its currency"),
        (Row("params.a", "money_above", "5000.001 USD"), "value", "USD has 2 decimals at most."),
        (Row("params.a", "money_above", "5 USD, 6 USD"), "value", "USD has two limits."),
        (Row("params.to", "above", "5", kind="list"), "operator", "is not for params.to, which is several values"),
        (Row("tool.colour", "is", "x"), "field", "tool has these fields"),
        (Row("tool.name", "missing", kind="text"), "operator", "is always given"),
        (Row("params.a b", "is", "x"), "field", "is not the name of a field"),
        (Row("params", "is", "x"), "field", "is not the name of a field"),
        (Row("params.a", "shorter", "2.5"), "value", "Write a whole number."),
    ],
)
def test_a_row_that_says_nothing_is_refused_where_it_is_wrong(row: Row, part: str, sentence: str) -> None:
    with pytest.raises(BadRows) as refused:
        condition_of(rows_of(Row("params.ok", "given"), row))
    (mistake,) = refused.value.mistakes
    assert (mistake.group, mistake.row, mistake.part) == (0, 1, part)
    assert sentence in mistake.sentence


def test_no_rows_are_refused() -> None:
    with pytest.raises(BadRows, match="Choose a field"):
        condition_of(rows_of())


VALUES = {"Number": "5000", "Named list": "company", "Several values": "3"}


@pytest.mark.parametrize(
    ("key", "kind"),
    # Times need a calendar: those operators stand in the admin's tests.
    [(key, kind) for key, found in OPERATORS.items() for kind in sorted(found.kinds) if kind != "time"],
)
@pytest.mark.parametrize("missing", ["match", "no_match", "error"])
def test_every_operator_compiles_for_every_kind_and_counts_a_missing_field_as_told(
    key: str, kind: Kind, missing: Any
) -> None:
    operator = OPERATORS[key]
    value = VALUES.get(operator.group, "5000" if kind == "number" else "true" if kind == "flag" else "drop")
    value = {"money_above": "5 USD", "money_below": "5 USD", "shorter": "5", "longer": "5"}.get(key, value)
    for combine, join in itertools.product(("all", "any", "none"), ("all", "any")):
        rows = rows_of(Row("params.a.b", key, value, kind=kind), combine=combine, join=join, missing=missing)
        condition = condition_of(rows)
        assert not errors_in(check(condition, engine=Engine(LISTS), probe_cost=False)), condition
        if key not in ("given", "missing"):
            assert result(rows) == {"match": "match", "no_match": "no match", "error": "error"}[missing], condition


def test_groups_count_as_all_any_and_none_of_their_rows() -> None:
    first, second = Row("params.a", "true", kind="flag"), Row("params.b", "true", kind="flag")
    for a, b in itertools.product((True, False), repeat=2):
        params = {"a": a, "b": b}
        assert result(rows_of(first, second), params) == ("match" if a and b else "no match")
        assert result(rows_of(first, second, combine="any"), params) == ("match" if a or b else "no match")
        assert result(rows_of(first, second, combine="none"), params) == ("no match" if a or b else "match")
        one, other = Group((first,)), Group((second,), combine="none")
        assert result(Rows((one, other), join="all"), params) == ("match" if a and not b else "no match")
        assert result(Rows((one, other), join="any"), params) == ("match" if a or not b else "no match")


def test_rows_are_stored_and_come_back() -> None:
    rows = Rows((Group((Row("params.a", "is", "x"),), combine="none"), Group(())), join="any", missing="error")
    assert from_json(to_json(rows)) == rows
    broken: object
    for broken in (None, {}, [], {"version": 2}, {"version": 1}, {"version": 1, "groups": [{"rows": [{}]}]}):
        assert from_json(broken) is None


def test_the_default_for_a_missing_field_is_the_safe_side() -> None:
    assert [default_missing(effect) for effect in ("review", "deny", "allow")] == ["match", "match", "no_match"]


@pytest.mark.parametrize(
    "rows",
    [
        rows_of(Row("params.amount", "money_above", "5000 USD")),
        rows_of(Row("params.amount_cents", "money_below", "50 EUR", kind="number")),
        rows_of(Row("params.a", "above", "5"), Row("user.plan", "is_not", "pro")),
        rows_of(Row("params.a", "at_least", "2.5"), Row("params.b", "true", kind="flag"), combine="any"),
        rows_of(Row("params.sql", "words", "drop, truncate"), combine="none"),
        rows_of(Row("params.to", "domain_not_in_list", "company", kind="list")),
        rows_of(Row("params.invoice", "in_list", "blocked")),
        rows_of(Row("params.reason", "missing")),
        rows_of(Row("stats.calls_1h", "above", "3", kind="number")),
        rows_of(Row("params.to", "more_items", "3", kind="list")),
        Rows((Group((Row("params.a", "is", "x"),)), Group((Row("params.b", "contains", "y"),))), join="any"),
    ],
)
def test_examples_are_two_calls_on_either_side_of_the_rule(rows: Rows) -> None:
    tests = examples(rows, lists=LISTS)
    assert [test["expect"] for test in tests] == ["match", "no match"]
    rule = a_rule(condition_of(rows), tests=tuple(tests))
    results = run_tests(Program(RuleSet(rules=(rule,), actions={}, lists=LISTS)), rule)
    assert [found.actual for found in results] == ["match", "no match"]
    for test in tests:
        assert to_context(to_lines(test["context"])) == test["context"]  # type: ignore[arg-type]  # a dict


CONTEXT: dict[str, Any] = {
    "params": {"amount": 6000, "flag": True, "none": None, "to": ["a@x.example", "b"], "deep": {"er": "text"}},
    "user": {"plan": "free", "id": "5000", "odd": " spaced ", "lines": "a\nb", "quoted": '"x"', "empty": ""},
    "action_id": "billing.refund",
    "request": {},
}


def test_a_call_in_lines_comes_back_as_it_was() -> None:
    lines = to_lines(CONTEXT)
    assert "params.amount = 6000" in lines
    assert "user.plan = free" in lines
    assert 'user.id = "5000"' in lines
    assert to_context(lines) == CONTEXT
    assert to_context("amount = 5") == {"params": {"amount": 5}}
    odd = {"params": {"a.b": 1, "c d": {"e=f": "x"}}}
    assert to_context(to_lines(odd)) == odd


@pytest.mark.parametrize("text", ["amount", "a b = 5", "params = 5", "params.a = 1\nparams.a.b = 2", ".a = 1"])
def test_a_line_that_says_nothing_is_refused(text: str) -> None:
    with pytest.raises(BadLine):
        to_context(text)
