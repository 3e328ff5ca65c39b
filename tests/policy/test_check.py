"""Mistakes in a condition: each with its line, its column and a plain sentence."""

from __future__ import annotations

from typing import Any

import pytest

from policy.cel import Engine
from policy.check import check, errors_in
from policy.functions import NamedList

ENGINE = Engine({"company_domains": NamedList.of("domain", ["demo.example"])})

EMAIL = {
    "type": "object",
    "required": ["to", "body"],
    "additionalProperties": False,
    "properties": {
        "to": {"type": "array"},
        "note": {"type": "string"},
        "body": {"type": "object", "properties": {"text": {"type": "string"}}},
    },
}


def findings(text: str, **options: Any) -> list[tuple[int, int, str]]:
    return [(found.line, found.column, found.sentence) for found in check(text, engine=ENGINE, **options)]


OPERATORS = "Write `&&` for and, `||` for or, `!` for not."
NOT_AVAILABLE = "`{}` is not available; use `icontains`, `regex`, `exists`."


@pytest.mark.parametrize(
    ("text", "line", "column", "sentence"),
    [
        ("params.a and params.b", 1, 10, OPERATORS),
        ("params.a\n  or params.b", 2, 3, OPERATORS),
        ("not params.a", 1, 1, OPERATORS),
        ("params.a AND params.b", 1, 10, OPERATORS),
        ("params.a & params.b", 1, 10, OPERATORS),
        ("params.a = 5", 1, 10, "Write `==` to compare."),
        ("params.a > 5,000", 1, 12, "Write 5000, without separators."),
        ("params.a > 1,250,000", 1, 12, "Write 1250000, without separators."),
        ("params.a > 5_000", 1, 12, "Write 5000, without separators."),
        ("params.plan == 'free", 1, 16, "Quote not closed."),
        ('params.plan == "free', 1, 16, "Quote not closed."),
        ("params.plan == “free”", 1, 16, "Use straight quotes."),
        ("amount > 5", 1, 1, "Did you mean `params.amount`? Text needs quotes."),
        ("params.plan == free", 1, 16, "Did you mean `params.free`? Text needs quotes."),
        ("prams.amount > 5", 1, 1, "There is no `prams`. Did you mean `params`?"),
        ("params.a > 5 &&\n  usr.plan.name == 'x'", 2, 3, "There is no `usr`. Did you mean `user`?"),
        ("params.s.lower() == 'a'", 1, 10, NOT_AVAILABLE.format("lower")),
        ("params.to.map(x, x) == []", 1, 11, NOT_AVAILABLE.format("map")),
        ("params.s.matches('a')", 1, 10, NOT_AVAILABLE.format("matches")),
        ("params.s.icontain('a')", 1, 10, "There is no `icontain`. Did you mean `icontains`?"),
        (
            "double(params.x) > 5000",
            1,
            18,
            "A number with and one without decimals are not compared: write `5000.0`, or `num(x) > 5000`.",
        ),
        ("params.s > 'a' + 1", 1, 16, "`+` does not take (string, int) here."),
        ("timestamp(params.a) > 5", 1, 21, "`>` does not take (timestamp, int) here."),
        ("params.a >", 1, 11, "The condition ends here, but something is missing."),
        ("params.a > 5 params.b", 1, 14, "`params` is not expected here."),
        ("", 1, 1, "Write a condition; `true` matches every call."),
        ("  \n ", 1, 1, "Write a condition; `true` matches every call."),
        ("1 + 1", 1, 1, "The condition gives int; it must give true or false."),
        ("'text'", 1, 1, "The condition gives string; it must give true or false."),
        ("has(params)", 1, 5, "`has` takes a field, as in `has(params.amount)`."),
        ("99999999999999999999 > 1", 1, 1, "This number is too large or malformed."),
        ("params.a == 'C:\\q'", 1, 13, "Write r'…' for a text with a backslash."),
        ("params.a.regex('\\bdrop')", 1, 10, "`\\b` outside r'…' is a backspace: write the pattern as r'…'."),
        ("params.a == '\\ud800'", 1, 13, "This text has an escape that is not allowed."),
        ("params.a == #5", 1, 13, "This character is not part of the rule language."),
        ("(" * 33 + "true" + ")" * 33, 1, 1, "The condition is nested deeper than 32 levels."),
        ("params" + ".a" * 40 + " == 1", 1, 1, "The condition is nested deeper than 32 levels."),
        ("true" + " " * 4000, 1, 1, "The condition is longer than 4000 characters."),
        ("params.to.all(1, true)", 1, 15, None),
        ("params.to.all(a, params.to.all(b, a == b))", 1, 31, "A loop inside a loop is not allowed."),
        ("params.to.exists(params, true)", 1, 17, "`params` is the name of a root; call the item something else."),
        ("params.to.exists(r, r.regex('a'))", 1, 23, "`regex` is not allowed inside a loop."),
        ("params.a.regex('((a|b){30}){30}')", 1, 10, "Counted repetition in patterns may be 100 in all."),
        ("params.a.regex('(')", 1, 10, "This pattern is not valid: missing ): (."),
        ("params.a.regex(params.b)", 1, 10, "The pattern of `regex` must be written here as text."),
        ("params.a.glob(params.b)", 1, 10, "The pattern of `glob` must be written here as text."),
        (
            " || ".join(["params.a.regex('a')"] * 4),
            1,
            79,
            "A rule may use `regex` 3 times at most.",
        ),
        ("in_list(params.x, 'nope')", 1, 19, "There is no list named `nope`."),
        ("in_list(params.x, params.y)", 1, 1, "`in_list` takes the name of a list, written here as text."),
        ("agent.nam == 'x'", 1, 1, "`agent` has no field `nam`. Did you mean `agent.name`?"),
        ("tool.zzz", 1, 1, "`tool` has no field `zzz`."),
        ("has(run.labls)", 1, 5, "`run` has no field `labls`. Did you mean `run.labels`?"),
        ("request['environmnt'] == 'live'", 1, 1, None),
        ("params[params.b] == 1", 1, 1, "An index into `params` must be written here as text."),
        ("stats.refunds_1h > 3", 1, 1, "There is no counter named `refunds_1h`."),
        ("minor(params.a, 'USX') > 5", 1, 17, "`USX` is not a currency code of ISO 4217."),
    ],
)
def test_each_mistake_has_its_place_and_a_plain_sentence(
    text: str, line: int, column: int, sentence: str | None
) -> None:
    found = findings(text)
    assert [item[:2] for item in found if item[2] == sentence or sentence is None] == [(line, column)], found
    assert errors_in(check(text, engine=ENGINE))


def test_all_mistakes_are_found_at_once() -> None:
    found = findings("params.a = 5 &&\nparams.b = 6")
    assert [item[:2] for item in found] == [(1, 10), (2, 10)]
    found = findings("prams.a > 1 && usr.b == 2 && agent.id == 'x'")
    assert [item[:2] for item in found] == [(1, 1), (1, 16)]
    found = findings("agent.x == 1 && tool.y == 2\n&& params.a.regex('(')")
    assert [item[:2] for item in found] == [(1, 1), (1, 17), (2, 13)]


@pytest.mark.parametrize(
    "text",
    [
        "true",
        "params.amount_cents > 50000",
        "tool.drifted",
        "params.flag",
        "params['a-b'] == 1",
        "params.items[0].sku == 'x'",
        "params.to.filter(a, a != '').exists(b, b.endsWith('.example'))",
        "{'USD': 500000, 'EUR': 450000}[params.currency] < minor(params.amount, params.currency)",
    ],
)
def test_a_good_condition_has_no_finding(text: str) -> None:
    assert findings(text) == []


def test_a_read_that_the_schema_does_not_promise_is_a_warning_with_both_guards() -> None:
    (found,) = check("params.note == 'x'", engine=ENGINE, effect="review", schemas=[EMAIL])
    assert (found.line, found.column, found.severity) == (1, 7, "warning")
    assert found.sentence == "`params.note` may be missing, and a missing field is an error, which holds the call."
    assert found.suggestions == (
        "!has(params.note) || (params.note == 'x')",
        "has(params.note) && (params.note == 'x')",
    )
    (found,) = check("params.note == 'x'", engine=ENGINE, effect="allow", schemas=[EMAIL])
    assert found.suggestions[0].startswith("has(params.note) &&")
    for suggestion in found.suggestions:
        assert check(suggestion, engine=ENGINE, schemas=[EMAIL]) == []


@pytest.mark.parametrize(
    ("text", "warned"),
    [
        ("size(params.to) > 0", []),
        ("has(params.note) && params.note == 'x'", []),
        ("params.note == 'x' && has(params.note)", []),
        ("!has(params.note) || params.note == 'x'", []),
        ("has(params.note) ? params.note == 'x' : false", []),
        ("!(has(params.note) && params.note == 'x')", []),
        ("has(params.note) || params.note == 'x'", ["params.note"]),
        ("has(params.note) ? false : params.note == 'x'", ["params.note"]),
        ("has(params.note) && true || params.note == 'x'", ["params.note"]),
        ("params.body.text == 'x'", ["params.body.text"]),
        ("has(params.body.text) && params.body.text == 'x'", []),
        ("params.to.exists(r, r == params.note)", ["params.note"]),
    ],
)
def test_a_guard_counts_where_it_decides(text: str, warned: list[str]) -> None:
    found = check(text, engine=ENGINE, schemas=[EMAIL])
    assert [item.sentence.split("`")[1] for item in found if item.code == "unguarded"] == warned


def test_every_level_needs_its_own_guard() -> None:
    schema = {"type": "object", "properties": {"a": {"type": "object", "properties": {"b": {}}}}}
    unguarded = [
        found.sentence for found in check("has(params.a.b) && params.a.b == 1", engine=ENGINE, schemas=[schema])
    ]
    assert [sentence.split("`")[1] for sentence in unguarded] == ["params.a"]
    assert check("has(params.a) && has(params.a.b) && params.a.b == 1", engine=ENGINE, schemas=[schema]) == []


def test_without_a_schema_nothing_is_said_about_missing_fields() -> None:
    assert findings("params.note == 'x'") == []


def test_a_field_that_no_schema_has_is_a_warning() -> None:
    assert findings("params.nte == 'x'", schemas=[EMAIL]) == [
        (1, 7, "No action in scope has `params.nte`. Did you mean `params.note`?")
    ]


def test_habits_are_warned_about() -> None:
    loop = "params.to.all(r, in_list(domain_of(r), 'company_domains'))"
    warning = "`all` is true for an empty list: add `size(params.to) > 0 &&`."
    assert findings(loop, effect="allow") == [(1, 14, warning)]
    assert findings(loop, effect="deny") == []
    assert findings(f"size(params.to) > 0 && {loop}", effect="allow") == []
    assert findings("'x' in params.note") == [(1, 5, "If `params.note` is text, write `params.note.contains('x')`.")]
    assert findings("'x' in params.note", schemas=[EMAIL])[0] == (1, 5, "For text: `params.note.contains('x')`.")
    assert findings("'x' in params.to", schemas=[EMAIL]) == []


def test_a_condition_too_slow_on_the_largest_calls_is_refused() -> None:
    slow = "params.to.exists(r, " + " || ".join(["r.icontains('q')"] * 190) + ")"
    (found,) = check(slow, engine=ENGINE)
    assert found.code == "too_slow"
    assert found.severity == "error"
