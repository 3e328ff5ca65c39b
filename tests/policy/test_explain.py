"""Each leaf with its values, as a sentence that a reviewer reads."""

from __future__ import annotations

from typing import Any

import pytest

from policy.explain import label_of, reads_as, show
from policy.rulewords import in_words, rule_sentence
from tests.policy.calls import a_call, a_rule, a_ruling


def sentences(when: str, params: dict[str, Any], **roots: Any) -> list[tuple[str, str]]:
    ruling = a_ruling([a_rule(when)], a_call(params, **roots))
    assert ruling.primary is not None
    return [(leaf.result, leaf.sentence) for leaf in ruling.primary.leaves]


@pytest.mark.parametrize(
    ("when", "params", "sentence"),
    [
        ("params.amount_cents > 500000", {"amount_cents": 600000}, "amount_cents 600000 is above 500000"),
        ("500000 < params.amount_cents", {"amount_cents": 600000}, "amount_cents 600000 is above 500000"),
        ("params.amount_cents >= 5", {"amount_cents": 5}, "amount_cents 5 is at least 5"),
        ("params.a < 5.5", {"a": 2.5}, "a 2.5 is below 5.5"),
        ("params.a <= 5", {"a": -1}, "a -1 is at most 5"),
        ("params.plan == 'free'", {"plan": "free"}, 'plan is "free"'),
        ("params.plan != 'free'", {"plan": "pro"}, 'plan "pro" is not "free"'),
        (
            "minor(params.amount, params.currency) > {'USD': 500000, 'EUR': 450000}[params.currency]",
            {"amount": 6200.5, "currency": "USD"},
            "amount USD 6,200.50 is above USD 5,000.00",
        ),
        (
            "params.amount_cents > {'JPY': 5000}[params.currency]",
            {"amount_cents": 6200, "currency": "JPY"},
            "amount_cents JPY 6,200 is above JPY 5,000",
        ),
        (
            "domain_of(params.to) != 'x.example'",
            {"to": "a@y.example"},
            'the domain of ‘to’ is "y.example", not "x.example"',
        ),
        (
            r"params.sql.regex(r'(?i)\b(?:drop|alter table)\b')",
            {"sql": "DROP x"},
            'sql "DROP x" contains one of the words drop, alter table',
        ),
        ("params.a > params.b", {"a": 3, "b": 2}, "a 3 is above b 2"),
        ("params.a == params.b", {"a": "x", "b": "x"}, 'a is b "x"'),
        ("num(params.dose) > 5", {"dose": "7.5"}, "dose 7.5 is above 5"),
        ("minor(params.amount, 'USD') > 500", {"amount": "12.30"}, "amount USD 12.30 is above USD 5.00"),
        ("size(params.note) < 10", {"note": "abc"}, "the size of note is 3, below 10"),
        ("params.note.contains('ignore')", {"note": "please ignore"}, 'note "please ignore" contains "ignore"'),
        ("params.sql.regex(r'(?i)drop')", {"sql": "DROP x"}, "sql \"DROP x\" matches r'(?i)drop'"),
        ("params.env in ['prod', 'live']", {"env": "prod"}, 'env "prod" is one of ["prod", "live"]'),
        ("has(params.reason)", {"reason": "x"}, "reason is given"),
        ("params.flag", {"flag": True}, "flag is true"),
        (
            "params.to.exists(r, domain_of(r) != 'demo.example')",
            {"to": ["a@demo.example", "b@evil.example"]},
            '1 of 2 in ‘to’ ("b@evil.example"): its domain is not "demo.example"',
        ),
        ("params.to.all(r, r.endsWith('.x'))", {"to": ["a.x"]}, 'none of the 1 in ‘to’ has: it does not end with ".x"'),
    ],
)
def test_a_match_is_told_with_its_values(when: str, params: dict[str, Any], sentence: str) -> None:
    assert sentences(when, params) == [("true", sentence)]


@pytest.mark.parametrize(
    ("when", "params", "sentence"),
    [
        ("params.amount_cents > 5", {}, "amount_cents is missing"),
        ("params.a.b.c > 5", {"a": {}}, "a.b is missing"),
        ("params.amount_cents > 5", {"amount_cents": None}, "amount_cents is null"),
        ("params.a > 5", {"a": "ten"}, 'a "ten": a value has another type than the rule expects'),
        ("domain_of(params.to) == 'x'", {"to": "a, b"}, '‘to’ "a, b": the text is not exactly one e-mail address'),
        ("minor(params.a, 'JPY') > 1", {"a": "1.5"}, 'a "1.5": the amount has more decimals than its currency'),
        ("params.a * params.a * params.a > 1", {"a": 2**52}, "a 4503599627370496: a number is too large"),
        ("params.a / 0 > 1", {"a": 1}, "a 1: a number is divided by zero"),
        ("params.a", {"a": 5}, "params.a is 5, neither true nor false"),
        ("{'USD': 5}[params.currency] > 1", {"currency": "GBP"}, 'currency "GBP": GBP is missing'),
    ],
)
def test_an_error_says_why(when: str, params: dict[str, Any], sentence: str) -> None:
    ruling = a_ruling([a_rule(when)], a_call(params))
    (hit,) = ruling.errors
    assert hit.error == sentence
    assert [leaf.result for leaf in hit.leaves] == ["error"]


def test_leaves_have_line_column_text_and_values() -> None:
    when = "params.currency != 'USD' ||\n  (params.amount_cents > 500000 && !has(params.approved))"
    ruling = a_ruling([a_rule(when)], a_call({"currency": "USD", "amount_cents": 600000}))
    assert ruling.primary is not None
    first, second, third = ruling.primary.leaves
    assert (first.line, first.column, first.text) == (1, 1, "params.currency != 'USD'")
    assert (first.result, first.sentence) == ("false", 'currency is "USD"')
    assert (second.line, second.column, second.text) == (2, 4, "params.amount_cents > 500000")
    assert second.values == {"params.amount_cents": 600000}
    assert (third.line, third.column, third.result, third.sentence) == (2, 37, "false", "approved is missing")


def test_a_branch_not_taken_is_left_out() -> None:
    when = "params.kind == 'a' ? params.x > 1 : params.y > 1"
    assert [text for _, text in sentences(when, {"kind": "a", "x": 2})] == ['kind is "a"', "x 2 is above 1"]
    assert [text for _, text in sentences(when, {"kind": "b", "y": 2})] == ['kind "b" is not "a"', "y 2 is above 1"]


def test_operators_inside_strings_and_brackets_do_not_cut() -> None:
    when = "params.a == 'x && y || !z ? \\' :' && params.b[params.b.size() - 1] == \"(\" // && note"
    found = sentences(when, {"a": "x && y || !z ? ' :", "b": ["("]})
    assert [result for result, _ in found] == ["true", "true"]


def test_what_callers_wrote_is_shortened_and_revealed() -> None:
    assert show("a" * 200) == '"' + "a" * 79 + '…"'
    assert show("abc\u202edef\u200b\x00") == '"abc\\u202edef\\u200b\\u0000"'
    assert show([1, 2, 3, 4, 5, 6]) == "[1, 2, 3, 4, 5, …]"
    ruling = a_ruling(
        [a_rule("has(params.a) && params.b.size() > 0 && params.a != ''")], a_call({"a": "x" * 5000, "b": [1] * 150})
    )
    assert ruling.primary is not None
    assert len(str(ruling.primary.leaves[2].values["params.a"])) == 200
    assert len(ruling.primary.leaves[1].values["params.b"]) == 20  # type: ignore[arg-type]  # a list, shown by the line above


@pytest.mark.parametrize(
    ("when", "words"),
    [
        ("params.amount_cents > 50000", "amount_cents is above 50000"),
        ("!has(params.reason) || size(params.reason) < 10", "reason is missing or the size of reason is below 10"),
        ("user.plan == 'free' && tool.drifted", 'user.plan is "free" and tool.drifted is true'),
        ("!(params.a == 1 && params.b > 2)", "a is not 1 or b is not above 2"),
        ("params.a == 1 && (params.b == 2 || params.c == 3)", "a is 1 and (b is 2 or c is 3)"),
        (
            "params.to.exists(r, !in_list(domain_of(r), 'company'))",
            "in ‘to’, at least one: its domain is not in the list company",
        ),
        ("params.a ? params.b : params.c", "if a is true then b is true else c is true"),
        (
            "minor(params.amount, params.currency) > {'USD': 500000, 'EUR': 450000}[params.currency]",
            "amount is above USD 5,000.00 or EUR 4,500.00",
        ),
        ("params.amount_cents > {'USD': 500000}[params.currency]", "amount_cents is above USD 5,000.00"),
        ("minor(params.amount, 'USD') > 500", "amount is above USD 5.00"),
        ("true", "always"),
    ],
)
def test_a_condition_reads_as_words(when: str, words: str) -> None:
    assert reads_as(when) == words


def test_labels_drop_the_root_of_params_only() -> None:
    assert label_of("params.amount") == "amount"
    assert label_of("user.plan") == "user.plan"
    assert label_of("params.to.size()") == "the size of ‘to’"


@pytest.mark.parametrize(
    ("rule", "sentence"),
    [
        (
            {"actions": ["billing.refund"], "effect": "review", "tier": 3, "team": "finance", "due_in_seconds": 900},
            (
                "When amount_cents is above 50000, a call of billing.refund is held for the team finance, tier 3, "
                "to be decided within 15 minutes."
            ),
        ),
        (
            {"actions": ["a", "b"], "effect": "deny", "tier": 2},
            "When amount_cents is above 50000, a call of a or b is denied.",
        ),
        (
            {"actions": ["a", "b", "c", "d", "e"], "effect": "allow"},
            "When amount_cents is above 50000, a call of a or b or c or 2 more is allowed.",
        ),
    ],
)
def test_a_rule_reads_as_one_whole_sentence(rule: dict[str, Any], sentence: str) -> None:
    assert rule_sentence("params.amount_cents > 50000", **rule) == sentence


def test_a_rule_without_a_condition_reads_as_always() -> None:
    assert rule_sentence("true", actions=["*"], effect="deny") == "Always, any call is denied."


@pytest.mark.parametrize(
    ("seconds", "words"), [(1, "1 second"), (900, "15 minutes"), (5_400, "90 minutes"), (7_200, "2 hours")]
)
def test_a_length_of_time_is_said_in_its_largest_whole_unit(seconds: int, words: str) -> None:
    assert in_words(seconds) == words
