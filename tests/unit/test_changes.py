"""What differs from an earlier call: equal values are left out, secrets stay masked on both sides."""

from __future__ import annotations

from dataclasses import replace
from datetime import UTC, datetime

from reviews.cards.present import build_card, template_from
from reviews.cards.types import Card, CardInput
from reviews.changes import MOST, Change, changes

NOW = datetime(2026, 11, 21, 12, 0, tzinfo=UTC)
TEMPLATE = template_from(
    sentence="refund {amount}",
    decisive="/amount_cents",
    facts=[
        {
            "pointer": "/amount_cents",
            "label": "Amount",
            "formatter": "money",
            "options": {"currency": "USD"},
            "slot": "amount",
        }
    ],
)


def card(params: object) -> Card:
    call = CardInput(action_id="a.b", params=params, user_context={}, agent_name="bot", now=NOW)
    return build_card(replace(call, template=TEMPLATE))


def between(before: object, now: object) -> tuple[Change, ...]:
    return changes(card(now), params=now, last_params=before, now=NOW, template=TEMPLATE)


def words(found: tuple[Change, ...]) -> list[tuple[str, str | None, str | None]]:
    return [
        (change.label, change.before.text if change.before else None, change.after.text if change.after else None)
        for change in found
    ]


def test_only_what_differs_is_told_by_the_same_formatter() -> None:
    found = between({"amount_cents": 12000, "note": "same"}, {"amount_cents": 470000, "note": "same"})
    assert words(found) == [("Amount", "USD 120.00", "USD 4,700.00")]


def test_what_is_new_and_what_is_gone_are_told() -> None:
    found = between({"amount_cents": 1, "bcc": "x"}, {"amount_cents": 1, "to": "y"})
    assert words(found) == [("To", None, "y"), ("Bcc", "x", None)]


def test_equal_calls_differ_in_nothing() -> None:
    assert between({"a": [1, {"b": None}]}, {"a": [1, {"b": None}]}) == ()


def test_types_count_as_a_difference() -> None:
    assert [change.label for change in between({"flag": 1}, {"flag": True})] == ["Flag"]
    assert [change.label for change in between({"n": "1"}, {"n": 1})] == ["N"]


def test_a_secret_stays_masked_whichever_side_looks_like_one() -> None:
    secret = "sk_live_abcdefghijkl"
    for before, now in (({"value": secret}, {"value": "plain"}), ({"value": "plain"}, {"value": secret})):
        for _, old, new in words(between(before, now)):
            assert secret not in f"{old} {new}"
    assert secret not in str(words(between({"password": secret}, {})))


def test_a_thousand_differences_are_cut() -> None:
    found = between({f"k{n}": n for n in range(100)}, {f"k{n}": n + 1 for n in range(100)})
    assert len(found) == MOST


def test_a_call_whose_params_are_no_object_is_compared_all_the_same() -> None:
    assert between([1], {"a": 1})[0].before is None
