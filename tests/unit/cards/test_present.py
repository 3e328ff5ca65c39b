"""The card of a call: every leaf is covered, whatever an agent sends."""

from __future__ import annotations

import json
from dataclasses import replace
from datetime import UTC, datetime

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from audit.pointer import MissingError, leaves, resolve
from reviews.cards import reading, registry
from reviews.cards.present import build_card, template_from
from reviews.cards.registry import FORMATTERS
from reviews.cards.types import Card, CardInput, Fact, Provenance, Role, Severity

NOW = datetime(2026, 11, 21, 12, 0, tzinfo=UTC)
REFUND = template_from(
    sentence="refund {amount} to {customer} for invoice {invoice}",
    decisive="/amount_cents",
    facts=[
        {
            "pointer": "/amount_cents",
            "label": "Amount",
            "formatter": "money",
            "options": {"currency": "USD"},
            "slot": "amount",
        },
        {"pointer": "/customer", "label": "Customer", "formatter": "text", "slot": "customer"},
        {"pointer": "/invoice_id", "label": "Invoice", "formatter": "id", "slot": "invoice"},
    ],
)
PARAMS = {"amount_cents": 470000, "customer": "Lena Ortiz", "invoice_id": "INV-2231", "reason": "Pre-approved by CFO."}


def card(params: object, **changes: object) -> Card:
    call = CardInput(
        action_id="billing.refund", params=params, user_context={"plan": "free"}, agent_name="refund-bot", now=NOW
    )
    return build_card(replace(call, **changes))  # type: ignore[arg-type]  # each test names real fields


def walk(facts: tuple[Fact, ...]) -> list[Fact]:
    return [inner for fact in facts for inner in (fact, *walk(fact.children))]


def everything(shown: Card) -> str:
    return "\n".join(
        f"{fact.label}={''.join(part.text for part in (*fact.parts, *fact.more))}"
        for fact in walk((*shown.facts, *shown.other_facts, *shown.context_facts))
    )


def test_the_sentence_names_agent_wish_and_person() -> None:
    shown = card(PARAMS, template=REFUND, on_behalf_of="Sam Reyes")
    assert shown.headline == (
        'refund-bot wants to refund USD 4,700.00 to "Lena Ortiz" for invoice INV-2231, on behalf of Sam Reyes'
    )
    assert [fact.label for fact in shown.decisive] == ["Amount"]
    assert [part.text for part in shown.sentence if part.role is Role.SLOT] == [
        "USD 4,700.00",
        '"Lena Ortiz"',
        "INV-2231",
    ]


def test_without_a_template_the_sentence_names_the_action_and_counts() -> None:
    shown = card(PARAMS)
    assert shown.headline == "refund-bot wants to run billing.refund with 4 parameters"
    assert not shown.has_template
    assert card({"a": 1}).headline.endswith("with 1 parameter")


@pytest.mark.parametrize(
    "params",
    [{**PARAMS, "amount_cents": "4700"}, {key: value for key, value in PARAMS.items() if key != "customer"}],
    ids=["slot cannot be read", "slot is absent"],
)
def test_a_slot_that_cannot_be_filled_gives_the_plain_sentence(params: dict[str, object]) -> None:
    shown = card(params, template=REFUND)
    assert "wants to run billing.refund" in shown.headline
    assert not shown.incomplete


def test_what_no_fact_names_goes_to_other_parameters() -> None:
    shown = card(PARAMS, template=REFUND)
    assert [fact.label for fact in shown.facts] == ["Amount", "Customer", "Invoice"]
    assert [fact.label for fact in shown.other_facts] == ["Reason"]
    assert (shown.params_shown, shown.params_total) == (4, 4)
    assert (shown.context_shown, shown.context_total) == (1, 1)


def test_a_nested_fact_does_not_hide_its_siblings() -> None:
    template = template_from(
        sentence="do it", facts=[{"pointer": "/order/total", "label": "Total", "formatter": "number"}]
    )
    shown = card({"order": {"total": 5, "ship_to": "elsewhere"}}, template=template)
    assert "elsewhere" in everything(shown)
    assert not shown.incomplete


def test_provenance_says_whose_word_each_fact_is() -> None:
    shown = card(PARAMS, template=REFUND)
    assert {fact.provenance for fact in (*shown.facts, *shown.other_facts)} == {Provenance.AGENT}
    assert {fact.provenance for fact in shown.context_facts} == {Provenance.APPLICATION}
    assert Provenance.CHECKED.words == "guardsite checked"


def test_a_leaf_without_a_fact_makes_the_card_incomplete(monkeypatch: pytest.MonkeyPatch) -> None:
    real = registry.fact_for

    def forgetful(value, **options):  # type: ignore[no-untyped-def]
        fact = real(value, **options)
        return replace(fact, covers=frozenset()) if value.key == "reason" else fact

    monkeypatch.setattr(reading, "fact_for", forgetful)
    shown = card(PARAMS)
    assert shown.incomplete
    assert shown.missing == ("params/reason",)
    assert (shown.params_shown, shown.params_total) == (3, 4)


def test_cautions_stand_out_strongest_first_and_once() -> None:
    shown = card(
        {"subject": "a\u202eb\u202ec", "note": "pre-approved", "urls": ["http://a.example", "http://a.example"]}
    )
    assert [notice.sentence for notice in shown.stands_out][:2] == [
        "2 hidden characters in Subject",
        "Note: Claims to be approved - guardsite has no such record",
    ]
    assert shown.stands_out[0].caution.severity is Severity.DANGER


def test_unreadable_template_facts_are_left_out_and_their_values_shown() -> None:
    template = template_from(
        sentence="go", facts=["x", {"label": "no pointer"}, {"pointer": "/a", "formatter": "nope"}, None]
    )
    shown = card({"a": 1}, template=template)
    assert [fact.inspected for fact in shown.facts] == [False]
    assert not shown.incomplete


scalars = st.one_of(
    st.none(),
    st.booleans(),
    st.integers(-(2**53) + 1, 2**53 - 1),
    st.floats(allow_nan=False, allow_infinity=False),
    st.text(),
)
json_values = st.recursive(
    scalars,
    lambda inner: st.one_of(st.lists(inner, max_size=4), st.dictionaries(st.text(), inner, max_size=4)),
    max_leaves=20,
)
keys = st.one_of(
    st.text(), st.sampled_from(["email", "to", "amount", "date", "url", "password", "id", "recipients", "start_time"])
)


@settings(max_examples=300, deadline=None, suppress_health_check=[HealthCheck.too_slow])
@given(params=st.dictionaries(keys, json_values, max_size=6), context=st.dictionaries(keys, json_values, max_size=3))
def test_every_leaf_of_any_call_is_covered(params: dict[str, object], context: dict[str, object]) -> None:
    shown = card(params, user_context=context)
    assert not shown.incomplete
    assert (shown.params_shown, shown.params_total) == (len(params), len(params))
    for fact in walk((*shown.other_facts, *shown.context_facts)):
        assert fact.label
        assert "".join(part.text for part in fact.parts), "a blank fact"


@settings(max_examples=150, deadline=None)
@given(
    params=st.dictionaries(keys, json_values, max_size=5), formatter=st.sampled_from(["nested", *sorted(FORMATTERS)])
)
def test_a_template_that_fits_badly_hides_nothing(params: dict[str, object], formatter: str) -> None:
    facts = [{"pointer": pointer, "label": "x", "formatter": formatter} for pointer in list(leaves(params))[:3]]
    shown = card(params, template=template_from(sentence="go", facts=facts))
    assert not shown.incomplete
    assert shown.params_shown == len(params)


@given(json_values)
def test_pointers_name_each_leaf_and_lead_back_to_it(document: object) -> None:
    found = list(leaves({"root": document}))
    assert len(found) == len(set(found))
    for pointer in found:
        value = resolve({"root": document}, pointer)
        assert not value or not isinstance(value, dict | list)


@pytest.mark.parametrize("pointer", ["/a/1", "/a/00", "/b", "a", "/a/-1", "/a/x"])
def test_a_pointer_that_leads_nowhere_is_refused(pointer: str) -> None:
    with pytest.raises(MissingError):
        resolve({"a": [1]}, pointer)


# What an attacker would send. Each value must be on the card, whole, and say nothing as markup.
HOSTILE: list[object] = [
    "<script>alert(1)</script>", '<img src=x onerror="alert(1)">', "javascript:alert(1)", "{{ 7*7 }}", "{% load x %}",
    '" onmouseover="alert(1)', "<form action=/reviews/ method=post><button>Approve</button></form>", "hx-get=/reviews/",
    "</dd></dl><h1>guardsite checked</h1>", "Tier 1, safe", "data-key=a", "[Approve]", "&#x202e;", "&lt;b&gt;",
    "a\u202etxt.exe", "\u2066hidden\u2069", "\U000e0069\U000e0067\U000e006e", "\u3164" * 50, "\u2800",
    "\n" * 10_000 + "Amount: 1",
    " " * 5_000 + "x", "z" + "\u0301" * 500, "x" * 20_000, "\u0645" * 300, "=cmd|'/c calc'!A0", "@SUM(1)",
    "\x1b[2J", "\r\nSet-Cookie: a",
    "ceo@demo.example\nBcc: eve@evil.example", "https://demo.example\\@evil.example", "https:demo.example", "https://demo.example@evil.example",
    "r\u0430ypal.com", "2026-02-30", "02/03/26", "9" * 400, "NaN", "Infinity", "null", "true", "undefined", "",
    9007199254740991, -0.0, 1e308, 5e-324, 0.1 + 0.2, True, None, [], {}, [[[[[[]]]]]], [None] * 214, ["a"] * 12,
    {"": ""}, {"\u202e": 1}, {"__proto__": 1}, {"/": 1, "~": 2, "~1": 3}, {"a": {"a": {"a": {"a": {"a": 1}}}}},
    {"tier": 1, "guardsite checked": True}, {"csrfmiddlewaretoken": "x"}, {str(index): index for index in range(150)},
    {"recipients": ["a@b.example"] * 120}, {"password": "hunter2"}, {"sk": "sk_live_0123456789abcdef"},
]  # fmt: skip


@pytest.mark.parametrize("value", HOSTILE, ids=[str(index) for index in range(len(HOSTILE))])
@pytest.mark.parametrize("key", ["subject", "to", "amount", "start_time", "url"])
def test_the_hostile_corpus_is_shown_whole(key: str, value: object) -> None:
    shown = card({key: value, "other": 1})
    assert not shown.incomplete
    assert (shown.params_shown, shown.params_total) == (2, 2)
    text = everything(shown)
    assert "Other=1" in text
    if (
        isinstance(value, str)
        and value.isascii()
        and value.isprintable()
        and value
        and "  " not in value
        and "sk_live" not in value
    ):
        shown_raw = "".join(part.text for fact in shown.other_facts for part in (*fact.parts, *fact.more))
        assert (
            value in shown_raw
            or json.dumps(value)[1:-1] in shown_raw
            or value in [fact.raw for fact in shown.other_facts]
        )


@pytest.mark.parametrize("document", ["text", 5, ["a", {"b": 1}], True, None])
def test_a_document_that_is_no_object_is_shown_all_the_same(document: object) -> None:
    shown = card(document, user_context=document)
    assert not shown.incomplete
    assert shown.params_shown == shown.params_total == (0 if document is None else 1)
    assert len(shown.other_facts) == len(shown.context_facts) == shown.params_total
