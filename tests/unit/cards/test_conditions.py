"""A rule's condition on the card: the template's label and unit, never a value that nobody sent."""

from __future__ import annotations

from dataclasses import replace
from datetime import UTC, datetime

import pytest

from reviews.cards.present import build_card, template_from
from reviews.cards.types import CardInput, Condition, Hit

REFUND = template_from(
    sentence="refund {amount}",
    facts=[
        {"pointer": "/amount_cents", "label": "Amount", "formatter": "money", "slot": "amount"},
        {"pointer": "/order/items", "label": "Items", "formatter": "number"},
        {"pointer": "/token", "label": "Token", "formatter": "secret"},
        {"pointer": "/memo", "label": "Memo", "formatter": "text"},
    ],
)
PARAMS = {"amount_cents": 470000, "currency": "USD", "order": {"items": 12}, "token": 7, "memo": 5}
# What policy read when the call was asked.
VALUES = {"params.amount_cents": 470000, "params.order.items": 12, "params.token": 7, "params.memo": 5}
CALL = CardInput(
    action_id="billing.refund",
    params=PARAMS,
    user_context={},
    agent_name="refund-bot",
    now=datetime(2026, 11, 21, 12, 0, tzinfo=UTC),
    template=REFUND,
)


def said(source: str, result: str = "true", **changes: object) -> str:
    hit = Hit("r", "Rule", "review", conditions=(Condition(source, result, "POLICY'S OWN", VALUES),))
    call = replace(CALL, hits=(hit,), **changes)  # type: ignore[arg-type]  # each test names real fields
    (shown,) = build_card(call).hits
    (sentence,) = shown.sentences
    return sentence


@pytest.mark.parametrize(
    ("source", "result", "sentence"),
    [
        ("params.amount_cents > 50000", "true", "Amount USD 4,700.00 is above USD 500.00"),
        ("params.amount_cents > 500000", "false", "Amount USD 4,700.00 is not above USD 5,000.00"),
        ("num(params.amount_cents) >= 470000", "false", "POLICY'S OWN"),
        ("params.amount_cents == 470000", "true", "Amount is USD 4,700.00"),
        ("num(params.order.items) <= 20", "true", "Items 12 is at most 20"),
        ("has(params.amount_cents)", "true", "Amount is given"),
    ],
)
def test_a_number_is_told_as_the_template_shows_it(source: str, result: str, sentence: str) -> None:
    assert said(source, result) == sentence


def test_the_currency_is_the_calls_own() -> None:
    yen = {**PARAMS, "currency": "JPY"}
    assert said("params.amount_cents > 50000", params=yen) == "Amount JPY 470,000 is above JPY 50,000"


@pytest.mark.parametrize(
    "source",
    [
        "has(params.other)",
        "has(user.amount_cents)",
        "user.amount_cents > 5",
        "params.other > 5",
        "params.amount_cents + 1 > 5",
        "params.amount_cents > params.order.items",
        "params.amount_cents > 5 || true",
        "params.token > 5",
        "params['amount_cents'] > 5",
        "",
    ],
)
def test_anything_else_keeps_what_policy_said(source: str) -> None:
    assert said(source) == "POLICY'S OWN"


def test_a_failed_condition_keeps_what_policy_said() -> None:
    assert said("params.amount_cents > 50000", "error") == "POLICY'S OWN"


def test_without_a_template_and_without_the_value_policy_speaks() -> None:
    assert said("params.amount_cents > 50000", template=None) == "POLICY'S OWN"
    assert said("params.amount_cents > 50000", params={"currency": "USD"}) == "POLICY'S OWN"


def test_of_an_amended_call_the_rule_tells_what_was_asked() -> None:
    lowered = {**PARAMS, "amount_cents": 12000}
    assert said("params.amount_cents > 50000", params=lowered) == "Amount USD 4,700.00 is above USD 500.00"


def test_a_value_that_cannot_be_read_is_not_given_a_unit() -> None:
    assert said("params.amount_cents > 50000", params={**PARAMS, "currency": 5}) == "POLICY'S OWN"
