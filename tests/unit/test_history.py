"""How a call stands beside earlier ones: only what was allowed is a measure, only our own words get in."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from decimal import Decimal

import pytest

from reviews.cards.types import Severity
from reviews.history import Amount, Asked, PastCall, amount_from, beside, compared, ordinal, total_of

NOON = datetime(2026, 11, 21, 12, 0, tzinfo=UTC)
AMOUNT, CUSTOMER = "/amount_cents", "/customer"


def usd(number: str) -> Amount:
    return Amount(Decimal(number), "USD")


def past(number: str, *, customer: str = '"c_1"', ago: int = 600, same_agent: bool = True) -> PastCall:
    return PastCall(
        at=NOON - timedelta(minutes=ago),
        is_same_agent=same_agent,
        targets={CUSTOMER: customer},
        amounts={AMOUNT: usd(number)},
    )


def asked(number: str = "4700.00", *, customer: str = '"c_1"') -> Asked:
    return Asked(
        at=NOON,
        targets={CUSTOMER: customer},
        amounts={AMOUNT: usd(number)},
        labels={CUSTOMER: "Customer"},
        is_declared=True,
    )


def lines(*args: object, **kwargs: object) -> list[str]:
    return [notice.sentence for notice in compared(*args, **kwargs)]  # type: ignore[arg-type]  # passed on


def test_an_amount_is_told_beside_the_highest_of_the_same_target_with_range_and_n() -> None:
    allowed = [past("45.00"), past("120.00"), past("80.00"), past("9000.00", customer='"c_2"')]
    assert lines(asked(), allowed, [], is_whole=True) == [
        "USD 4,700.00 is 39 times the highest of 3 allowed calls with the same Customer (USD 45.00 to USD 120.00)"
    ]


def test_without_a_history_of_the_target_the_action_speaks() -> None:
    allowed = [past("45.00", customer=f'"c_{n}"') for n in range(2, 6)]
    found = lines(asked("100.00"), allowed, [], is_whole=True)
    assert "First time with this Customer: it is in none of the 4 calls that were allowed" in found
    assert "USD 100.00 is 2.2 times the highest of 4 allowed calls to this action (USD 45.00 to USD 45.00)" in found


def test_two_earlier_amounts_are_no_habit() -> None:
    assert beside(usd("4700"), [usd("1"), usd("2")], which="allowed calls") is None
    assert beside(usd("4700"), [usd("1"), usd("2"), usd("3")], which="allowed calls") is not None


@pytest.mark.parametrize(
    ("number", "says", "severity"),
    [
        ("1200.00", "10 times the highest", Severity.DANGER),
        ("300.00", "2.5 times the highest", Severity.CAUTION),
        ("121.00", "is above the highest", Severity.CAUTION),
        ("120.00", None, None),
        ("50.00", None, None),
    ],
)
def test_how_far_above_decides_how_loud(number: str, says: str | None, severity: Severity | None) -> None:
    notice = beside(usd(number), [usd("100.00"), usd("120.00"), usd("80.00")], which="allowed calls")
    if says is None:
        assert notice is None
    else:
        assert notice is not None
        assert says in notice.sentence
        assert notice.caution.severity is severity


def test_far_above_the_usual_is_told_though_one_was_higher_before() -> None:
    earlier = [usd("10.00")] * 9 + [usd("500.00")]
    notice = beside(usd("45.00"), earlier, which="allowed calls")
    assert notice is not None
    assert "4.5 times the usual of 10 allowed calls (USD 10.00 to USD 500.00)" in notice.sentence


def test_currencies_are_never_compared_with_each_other() -> None:
    yen = [Amount(Decimal(5), "JPY")] * 4
    notice = beside(usd("4700.00"), yen, which="allowed calls")
    assert notice is not None
    assert notice.sentence == "First in USD: the last 4 allowed calls were in JPY"


def test_minor_units_are_said_to_be_minor_units() -> None:
    cents = [Amount(Decimal(n), "USD", is_minor=True) for n in (1900, 2000, 2100)]
    notice = beside(Amount(Decimal(62000), "USD", is_minor=True), cents, which="allowed calls")
    assert notice is not None
    assert "62,000 minor units of USD is 30 times" in notice.sentence


def test_the_third_call_in_an_hour_is_told_with_what_is_asked_in_all() -> None:
    recent = [past("700.00", ago=5), past("1500.00", ago=20), past("80.00", ago=5, customer='"c_2"')]
    found = lines(asked(), [past("5000.00")], recent, is_whole=True)
    assert found == ["Third call with the same Customer in 20 min, USD 6,900.00 in all"]
    assert lines(asked(), [past("5000.00")], [past("1.00", ago=61)], is_whole=True) == []


def test_the_sum_is_left_out_where_one_has_no_amount_or_another_currency() -> None:
    other = PastCall(at=NOON, is_same_agent=True, targets={CUSTOMER: '"c_1"'})
    assert total_of(asked(), [other]) == ""
    euro = PastCall(at=NOON, is_same_agent=True, amounts={AMOUNT: Amount(Decimal(1), "EUR")})
    assert total_of(asked(), [euro]) == ""


def test_the_first_of_an_agent_is_told_and_how_many_were_looked_at() -> None:
    others = [past("45.00", same_agent=False)]
    assert lines(asked(), others, [], is_whole=True) == ["First for this agent: this action was never allowed before"]
    assert "among the last 1" in lines(asked(), others, [], is_whole=False)[0]


@pytest.mark.parametrize(
    ("exact", "unit"),
    [
        ("4700.00", "guardsite checked"),
        ("4700.00", "usd"),
        ("4,700", "USD"),
        ("NaN", "USD"),
        ("Infinity", ""),
        ("1e9", ""),
        ("", "USD"),
        ("9" * 31, ""),
    ],
)
def test_words_of_a_call_never_become_a_unit_or_a_number(exact: str, unit: str) -> None:
    assert amount_from(exact, unit) is None


def test_an_amount_keeps_its_decimals() -> None:
    assert str(amount_from("4700.00", "USD")) == "USD 4,700.00"
    assert str(amount_from("-3", "")) == "-3"


@pytest.mark.parametrize(("count", "word"), [(2, "Second"), (10, "Tenth"), (11, "11th"), (21, "21st"), (112, "112th")])
def test_ordinals(count: int, word: str) -> None:
    assert ordinal(count) == word
