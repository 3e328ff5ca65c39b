"""Formatters: what each writes, warns of, and refuses to read."""

from __future__ import annotations

from collections.abc import Mapping
from datetime import UTC, datetime
from typing import Any

import pytest

from reviews.cards import registry
from reviews.cards.registry import chosen_formatter, fact_for, humanised
from reviews.cards.types import Fact, Known, Provenance, Rendered, Value

NOW = datetime(2026, 11, 21, 12, 0, tzinfo=UTC)


def fact(value: object, formatter: str = "", *, key: str = "field", root: object = None, **options: Any) -> Fact:
    document = root if root is not None else {key: value}
    return fact_for(
        Value(f"/{key}", key, value, document, NOW, options=options), provenance=Provenance.AGENT, formatter=formatter
    )


def codes(shown: Fact) -> set[str]:
    return {caution.code for caution in shown.cautions}


@pytest.mark.parametrize(
    ("amount", "options", "text", "raw"),
    [
        (470000, {"currency": "USD"}, "USD 4,700.00", "470000 minor units"),
        (4700, {"currency": "JPY"}, "JPY 4,700", "4700 minor units"),
        (4700, {"currency": "KWD"}, "KWD 4.700", "4700 minor units"),
        (4700, {"currency": "UGX", "exponent": 2}, "UGX 47.00", "4700 minor units"),
        (98.7, {"currency": "EUR", "minor": False}, "EUR 98.70", "98.7 major units"),
        (1200, {"currency": "EUR", "minor": False}, "EUR 1,200.00", "1200 major units"),
        (1, {"currency": "USD"}, "USD 0.01", "1 minor units"),
    ],
)
def test_money_is_written_in_its_currency_with_the_raw_amount(
    amount: float, options: Mapping[str, Any], text: str, raw: str
) -> None:
    shown = fact(amount, "money", **options)
    assert (shown.text, shown.raw) == (text, raw)


def test_money_finds_the_currency_beside_it() -> None:
    shown = fact(500, "money", key="amount", root={"amount": 500, "currency": "eur"})
    assert shown.text == "EUR 5.00"


def test_the_currency_that_the_call_names_wins_over_the_template() -> None:
    shown = fact(500, "money", key="amount", root={"amount": 500, "currency": "JPY"}, currency="USD")
    assert shown.text == "JPY 500"
    assert not fact(500, "money", key="amount", root={"amount": 500, "currency": 7}, currency="USD").inspected


def test_money_warns_of_floats_and_negative_amounts() -> None:
    assert codes(fact(9.5, "money", currency="USD", minor=False)) == {"float_money"}
    assert codes(fact(-5, "money", currency="USD")) == {"negative"}
    assert codes(fact(5, "money", currency="DOGE", exponent=2)) == {"unknown_currency"}


@pytest.mark.parametrize(
    ("value", "formatter", "options"),
    [
        ("4700", "money", {"currency": "USD"}), (True, "money", {"currency": "USD"}), (4700, "money", {}),
        (4700, "money", {"currency": "ZZZ"}), (None, "money", {"currency": "USD"}), (5, "text", {}),
        ("yes", "boolean", {}), ("https://a.example@b.example", "email", {}), ("team: a@b.example;", "email", {}),
        (True, "number", {}), ("tomorrow", "date_time", {}), ("2026-13-40", "date_time", {}), ("not a link", "url", {}),
        ("https://", "url", {}), (["a"], "id", {}), ({"a": 1}, "email", {}), ("no address", "email", {}),
        ("a@b.example\nBcc: x@evil.example", "email", {}), ("a@b.example@c.example", "email", {}), (5, "secret", {}),
        (5, "no such formatter", {}), ("x", "null", {}), (3, "enum", {}),
    ],
)  # fmt: skip
def test_what_a_formatter_cannot_read_is_raw_and_not_inspected(
    value: object, formatter: str, options: Mapping[str, Any]
) -> None:
    shown = fact(value, formatter, **options)
    assert not shown.inspected
    assert "not_inspected" in codes(shown)
    assert shown.text
    assert shown.covers


@pytest.mark.parametrize("name", sorted(registry.FORMATTERS))
def test_a_formatter_that_breaks_still_shows_the_value(name: str, monkeypatch: pytest.MonkeyPatch) -> None:
    def broken(value: Value) -> Rendered:
        raise RuntimeError("a bug")

    monkeypatch.setitem(registry.FORMATTERS, name, broken)
    shown = fact("the value itself", name)
    assert not shown.inspected
    assert ("the value itself" in shown.text) is (name != "secret")


def test_an_address_list_names_each_address_with_its_domain_strong() -> None:
    shown = fact("Bo <bo@demo.example>, eve@evil.example", "email", own_domains=["demo.example"])
    assert shown.text == '"Bo" bo@demo.example Internal\neve@evil.example External\n2 addresses'
    assert shown.short == "2 addresses, 1 outside"
    assert [part.text for part in shown.parts if part.role == "strong"] == ["demo.example", "evil.example"]
    assert codes(shown) == {"external"}


def test_an_address_list_warns_of_what_misleads() -> None:
    assert "address_in_name" in codes(fact('"ceo@demo.example" <eve@evil.example>', "email"))
    assert "mixed_script" in codes(fact("pay@r\u0430ypal.com", "email"))
    assert "free_mail" in codes(fact("someone@gmail.com", "email"))
    assert "bcc" in codes(fact(["a@b.example"], "email", key="bcc"))
    assert "duplicates" in codes(fact(["a@b.example", "A@B.example"], "email"))


@pytest.mark.parametrize(
    ("written", "code"),
    [
        ("http://a.example/x", "not_https"), ("https://10.0.0.1/x", "ip_host"), ("https://[::1]/x", "ip_host"),
        ("https://user:pw@a.example", "userinfo"), ("https://a.example:8443/", "port"),
        ("https://a.example\\@evil.example", "ambiguous_address"), ("https://a.example/\tx", "ambiguous_address"),
        ("https://r\u0430ypal.com/", "mixed_script"),
    ],
)  # fmt: skip
def test_an_address_says_what_is_odd_about_it(written: str, code: str) -> None:
    assert code in codes(fact(written, "url"))


def test_an_address_is_text_with_its_host_strong() -> None:
    shown = fact("https://a.example/path?q=1", "url")
    assert [(part.text, part.role.value) for part in shown.parts] == [
        ("https://", "text"),
        ("a.example", "strong"),
        ("/path?q=1", "text"),
    ]


@pytest.mark.parametrize(
    ("written", "text", "warned"),
    [
        ("2026-11-24T14:00:00Z", "Tue 24 Nov 2026, 14:00 UTC (in 3 days)", set()),
        ("2026-11-24T14:00:00+01:00", "Tue 24 Nov 2026, 13:00 UTC (in 3 days)", set()),
        ("2026-11-24", "Tue 24 Nov 2026 (in 3 days)", set()),
        ("2022-01-01", "Sat 1 Jan 2022 (1,785 days ago)", {"past"}),
        ("2026-11-24T14:00", "Tue 24 Nov 2026, 14:00", {"no_offset"}),
        ("2020-11-24 14:00", "Tue 24 Nov 2020, 14:00", {"no_offset", "past"}),
        ("2026-11-21T11:30:00Z", "Sat 21 Nov 2026, 11:30 UTC (30 min ago)", {"past"}),
    ],
)
def test_dates_are_written_out_with_zone_and_distance(written: str, text: str, warned: set[str]) -> None:
    shown = fact(written, "date_time")
    assert (shown.text, codes(shown)) == (text, warned)


def test_numbers_are_grouped_with_the_raw_one_beside() -> None:
    assert (fact(1234567).text, fact(1234567).raw) == ("1,234,567", "1234567")
    assert (fact(0.25).text, fact(0.25).raw) == ("0.25", "")
    assert (fact(True).text, fact(None).text, fact("").text, fact([]).text) == (
        "yes",
        "none",
        "empty text",
        "empty list",
    )


def test_long_text_is_folded_after_twelve_lines_and_says_how_much() -> None:
    shown = fact("\n".join(f"line {index}" for index in range(100)))
    assert shown.text.count("\n") == 11
    assert shown.more_label == "show 88 more lines (703 characters)"
    assert "".join(part.text for part in (*shown.parts, *shown.more)).replace("\n", "") == "".join(
        f"line {index}" for index in range(100)
    )


def test_a_secret_is_never_in_the_fact() -> None:
    shown = fact("hunter2hunter2hunter2", key="password")
    assert "hunter2hunter2" not in repr(shown)
    assert shown.text.endswith("ter2 (21 characters, hidden)")
    assert "unexpected_secret" in codes(shown)
    assert "short" not in repr(fact("short-pw", key="api_key")).replace("short_", "")


@pytest.mark.parametrize(
    ("key", "value", "name"),
    [
        ("recipients", ["a@b.example"], "email"), ("to", "a@b.example", "email"), ("recipient", "Alice", "text"),
        ("invoice_id", "in_88", "id"), ("id", 7, "id"), ("website", "https://a.example", "url"),
        ("note", "hello", "text"),
        ("start_time", "2026-11-24 14:00", "date_time"), ("amount_cents", 5, "number"), ("notify", True, "boolean"),
        ("body", "sk_live_abcdefghijkl", "secret"), ("filters", {"a": 1}, "nested"), ("ids", ["a"], "nested"),
        ("x", None, "null"),
        ("recipient", "GB29NWBK60161331926819", "id"),
    ],
)  # fmt: skip
def test_a_value_without_template_gets_the_formatter_its_key_and_look_suggest(
    key: str, value: object, name: str
) -> None:
    assert chosen_formatter(Value(f"/{key}", key, value, {key: value}, NOW)) == name


@pytest.mark.parametrize(
    ("written", "text"),
    [
        ("DE89370400440532013000", "DE89 3704 0044 0532 0130 00"),
        ("GB29NWBK60161331926819", "GB29 NWBK 6016 1331 9268 19"),
        # Wrong check digits: an id like any other, in which no space may be seen that is not there.
        ("DE88370400440532013000", "DE88370400440532013000"),
        ("INV-2231", "INV-2231"),
    ],
)
def test_an_account_number_stands_in_groups_of_four_and_is_copied_without(written: str, text: str) -> None:
    shown = fact(written, "id")
    assert (shown.text, shown.exact) == (text, written)


def test_keys_read_as_words_and_keep_their_unit() -> None:
    assert [humanised(key) for key in ("amount_cents", "userId", "HTMLBody", "", "a\u202eb")] == [
        "Amount cents",
        "User ID",
        "HTMLBody",
        "(empty name)",
        "a[U+202E right-to-left override]b",
    ]


@pytest.mark.parametrize(
    ("written", "zone", "options", "text", "warned"),
    [
        ("2026-11-24T14:00:00+01:00", "Europe/Berlin", {}, "Tue 24 Nov 2026, 14:00 CET (in 3 days) 13:00 UTC", set()),
        ("2026-11-24T23:30:00Z", "Europe/Berlin", {}, "Wed 25 Nov 2026, 00:30 CET (in 3 days) 24 Nov, 23:30 UTC", set()),
        ("2026-11-24t14:00:00.5z", "UTC", {}, "Tue 24 Nov 2026, 14:00 UTC (in 3 days)", set()),
        ("2026-11-24 14:00:05 -03:00", "UTC", {}, "Tue 24 Nov 2026, 17:00:05 UTC (in 3 days)", set()),
        ("2026-11-24T14:00Z", "America/Sao_Paulo", {}, "Tue 24 Nov 2026, 11:00 America/Sao_Paulo (UTC-03) (in 3 days) 14:00 UTC",
         set()),
        ("2027-03-28T02:30", "UTC", {"zone": "Europe/Berlin"}, "Sun 28 Mar 2027, 02:30", {"dst_gap"}),
        ("2027-10-31T02:30", "UTC", {"zone": "Europe/Berlin"}, "Sun 31 Oct 2027, 00:30 UTC (in 344 days)", {"dst_overlap"}),
        ("2027-06-01T12:00", "UTC", {"zone": "Europe/Berlin"}, "Tue 1 Jun 2027, 10:00 UTC (in 192 days)", set()),
        ("2027-03-28T02:30", "Europe/Berlin", {}, "Sun 28 Mar 2027, 02:30", {"dst_gap", "no_offset"}),
        ("2026-11-21", "Pacific/Auckland", {}, "Sat 21 Nov 2026 (1 day ago)", {"past"}),
        ("2026-11-21", "Nowhere/At_All", {}, "Sat 21 Nov 2026 (today)", set()),
    ],
)  # fmt: skip
def test_a_time_is_told_in_the_readers_zone_and_named(
    written: str, zone: str, options: dict[str, Any], text: str, warned: set[str]
) -> None:
    value = Value("/at", "at", written, {"at": written}, NOW, options=options, known=Known(zone=zone))
    shown = fact_for(value, provenance=Provenance.AGENT, formatter="date_time")
    assert (shown.text, codes(shown)) == (text, warned)


@pytest.mark.parametrize(
    "written", ["02/03/26", "2026-11-24T25:00Z", "0001-01-01T00:00+14:00", "24.11.2026", "2026-W48", "now"]
)
def test_a_time_that_reads_two_ways_or_none_is_not_inspected(written: str) -> None:
    assert not fact(written, "date_time").inspected


def test_keys_that_are_long_or_empty_of_words_still_name_their_value() -> None:
    assert humanised("_-_") == "_-_"
    assert humanised("a" * 200).startswith("Aaa")
    assert fact([], "nested").text == "empty list"
    assert not fact("x", "list").inspected
    assert not fact(5, "money", currency="USD", exponent=99).inspected
