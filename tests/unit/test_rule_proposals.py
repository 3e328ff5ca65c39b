"""What a rule made from a decided call begins with."""

from __future__ import annotations

import json
from datetime import UTC, datetime
from urllib.parse import parse_qs

import pytest

from reviews.cards.present import build_card, template_from
from reviews.cards.types import CardInput
from reviews.rule_proposals import rule_query


def proposed(params: dict[str, object], decisive: str) -> dict[str, list[str]]:
    """The query for a call whose template names this decisive value."""
    template = template_from(
        sentence="do it",
        facts=[{"slot": "x", "pointer": decisive, "label": "X", "formatter": "", "emphasis": "key"}]
        if decisive
        else [],
        decisive=decisive,
        version=1,
    )
    card = build_card(
        CardInput(
            action_id="billing.refund",
            params=params,
            user_context={},
            agent_name="bot",
            now=datetime(2026, 11, 21, tzinfo=UTC),
            template=template,
        )
    )
    return parse_qs(rule_query(card, params_text=json.dumps(params)))


def test_a_number_becomes_the_first_condition() -> None:
    assert proposed({"order": {"amount": 470000}}, "/order/amount") == {
        "scope_actions": ["billing.refund"],
        "field": ["params.order.amount"],
        "at_least": ["470000"],
    }
    assert proposed({"rate": 0.5}, "/rate")["at_least"] == ["0.5"]


@pytest.mark.parametrize(
    ("params", "decisive"),
    [
        ({"to": "bo@customer.example"}, "/to"),
        ({"is_final": True}, "/is_final"),
        ({"amount) || true || (1": 5}, "/amount) || true || (1"),
        ({"lines": [5]}, "/lines/0"),
        ({"amount": 5}, ""),
        ({}, "/amount"),
    ],
)
def test_no_text_of_the_call_goes_into_the_address(params: dict[str, object], decisive: str) -> None:
    assert proposed(params, decisive) == {"scope_actions": ["billing.refund"]}
