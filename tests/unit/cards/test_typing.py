"""The decisive value: typed as the reader writes it, or picked out of three."""

from __future__ import annotations

from dataclasses import replace
from datetime import UTC, datetime
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from reviews.cards.registry import fact_for
from reviews.cards.types import Fact, Provenance, Value
from reviews.cards.typing import accepts, choices

NOW = datetime(2026, 11, 21, 12, 0, tzinfo=UTC)


def fact(value: object, formatter: str = "", *, key: str = "field", **options: Any) -> Fact:
    shown = Value(f"/{key}", key, value, {key: value}, NOW, options=options)
    return fact_for(shown, provenance=Provenance.AGENT, formatter=formatter)


USD = fact(470_000, "money", currency="USD")


@pytest.mark.parametrize(
    ("typed", "locale", "is_right"),
    [
        ("4700", "en", True), ("4,700.00", "en", True), ("USD 4,700.00", "en", True), ("4700 usd", "en", True),
        ("$4,700", "en", True), (" 4 700 ", "en", False), ("4700.0", "en", True), ("+4700", "en", True),
        ("47.00", "en", False), ("470000", "en", False), ("4,70", "en", False), ("47,00", "en", False),
        ("EUR 4,700.00", "en", False), ("4700.01", "en", False), ("", "en", False), ("   ", "en", False),
        ("-4700", "en", False), ("4e3", "en", False), ("\u0664\u0667\u0660\u0660", "en", False), ("four", "en", False),
        ("4.700,00", "de", True), ("4700,00", "de", True), ("4.700", "de", True), ("4700.00", "de", False),
        ("4.700", "en", False), ("4.700,00", "en", False), ("47,00", "de", False),
        ("4 700,00", "fr", True), ("4\u202f700,00", "fr-FR", True), ("4\u00a0700", "pl", True), ("4.700", "fr", False),
        ("4\u2019700.00", "de-CH", True), ("4'700", "de-CH", True), ("4.700", "de-CH", False),
    ],
)  # fmt: skip
def test_an_amount_is_typed_as_its_reader_writes_numbers(typed: str, locale: str, is_right: bool) -> None:
    assert accepts(USD, typed, locale=locale) is is_right


def test_what_stands_on_the_card_may_be_pasted_in_any_locale() -> None:
    assert accepts(USD, USD.text, locale="de")
    assert accepts(fact("2026-11-24T14:00:00Z", "date_time"), "Tue 24 Nov 2026, 14:00 UTC")


@pytest.mark.parametrize(
    ("value", "formatter", "typed", "is_right"),
    [
        ("Lena Ortiz", "text", "lena  ortiz ", True), ("Lena Ortiz", "text", "Lena Ortis", False),
        ("Lena Ortiz", "text", "Le\u200bna Ortiz", False), ("Le\u200bna Ortiz", "text", "Lena Ortiz", False),
        ("Le\u200bna Ortiz", "text", "Le\u200bna Ortiz", False),
        ("Le\u200bna Ortiz", "text", "Le[U+200B zero width space]na Ortiz", True),
        ("r\u0430ypal", "text", "paypal", False), ("r\u0430ypal", "text", "r\u0430ypal", True),
        ("INV-0007", "id", "inv-0007", True), ("0007", "id", "7", False), ("470", "id", "470.0", False),
        ("DE89370400440532013000", "id", "DE89 3704 0044 0532 0130 00", True),
        ("DE89370400440532013000", "id", "de89370400440532013000", True),
        ("DE89370400440532013000", "id", "DE89 3704 0044 0532 0130 01", False), ("a b", "id", "ab", False),
        ("a@b.example, c@d.example", "email", "c@d.example; a@b.example", True),
        ("a@b.example, c@d.example", "email", "a@b.example", False),
        ("a@b.example, c@d.example", "email", "2 addresses", False),
        ("in", "enum", "IN", True), (True, "boolean", "yes", True), (True, "boolean", "no", False),
        (["a", "b", "c"], "list", "3", True), (["a", "b", "c"], "list", "3 entries", True), (["a"], "list", "2", False),
        ("\n".join("abc"), "text", "a b c", True), ("x\n" * 40 + "end", "text", "x\n" * 12, False),
    ],
)  # fmt: skip
def test_texts_match_without_case_and_spacing_but_never_by_what_is_invisible(
    value: object, formatter: str, typed: str, is_right: bool
) -> None:
    assert accepts(fact(value, formatter), typed) is is_right


@pytest.mark.parametrize(
    "shown",
    [
        USD, fact(5, "money", currency="JPY"), fact(0, "number"), fact(12.5, "percent"), fact("Lena Ortiz"), fact("x"),
        fact("INV-2231", "id"), fact("DE89370400440532013000", "id"), fact("bo@demo.example", "email"),
        fact("a@b.example, c@d.example", "email"),
        fact("2026-11-24T14:00:00Z", "date_time"), fact("2026-11-24", "date_time"), fact(["a", "b"], "list"),
        fact("in", "enum", values=["in", "out", "both"]), fact("Le\u200bna"), fact("https://a.example/x"),
        fact(4_200_000, "bytes"),
    ],
    ids=lambda shown: f"{shown.formatter} {shown.exact}",
)  # fmt: skip
def test_exactly_one_of_three_choices_is_the_value(shown: Fact) -> None:
    offered = choices(shown, digest="9c1f02ab")
    assert len(offered) == len(set(offered)) == 3
    assert [accepts(shown, choice) for choice in offered].count(True) == 1
    assert choices(shown, digest="9c1f02ab") == offered


def test_a_decimal_slip_is_among_the_choices_of_an_amount() -> None:
    assert {"USD 47,000.00", "USD 470.00"} & set(choices(USD))


def test_the_place_of_the_right_choice_hangs_on_the_digest() -> None:
    places = {choices(USD, digest=str(number)).index("USD 4,700.00") for number in range(30)}
    assert places == {0, 1, 2}


def test_a_yes_has_one_alternative_and_a_secret_none() -> None:
    assert sorted(choices(fact(True))) == ["no", "yes"]
    assert choices(fact("hunter2", key="password")) == ()
    assert choices(fact("x" * 500)) == ()
    assert choices(replace(fact("a"), exact="")) == ()


@given(st.text(max_size=80), st.text(max_size=80))
def test_typing_never_breaks_and_takes_no_other_visible_text(value: str, typed: str) -> None:
    shown = fact(value, "text")
    if accepts(shown, typed):
        assert typed.strip()
        assert value


@given(st.integers(-(10**12), 10**12), st.integers(-(10**12), 10**12))
def test_an_amount_takes_its_own_number_only(value: int, typed: int) -> None:
    shown = fact(value, "money", currency="USD")
    assert accepts(shown, f"{typed / 100:.2f}") is (value == typed)


@given(st.text(min_size=1, max_size=60))
def test_choices_of_any_text_hold_the_value_once(value: str) -> None:
    shown = fact(value, "text")
    offered = choices(shown, digest="a")
    assert not offered or [accepts(shown, choice) for choice in offered].count(True) == 1


def test_a_number_that_cannot_be_read_is_never_typed() -> None:
    assert not accepts(replace(USD, exact="no number"), "4700")


def test_the_unit_may_stand_behind_or_as_its_sign() -> None:
    euro = fact(12_50, "money", currency="EUR")
    assert accepts(euro, "12,50 \u20ac", locale="de")
    assert accepts(fact(90, "duration", unit="min"), "90 min")
    assert accepts(fact(5400, "duration"), "1 h 30 min")
