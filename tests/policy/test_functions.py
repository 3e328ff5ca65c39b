"""Host functions: exact money, strict addresses and URLs, bounded patterns."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from policy import functions as f


@pytest.mark.parametrize(
    ("amount", "currency", "expected"),
    [
        (12, "USD", 1200),
        ("12.30", "USD", 1230),
        (0.29, "USD", 29),
        (1.1, "EUR", 110),
        ("1.234", "KWD", 1234),
        (500, "JPY", 500),
        ("-3.50", "EUR", -350),
        ("1.2345", "CLF", 12345),
        (4503599627370.5, "USD", 450359962737050),
    ],
)
def test_money_becomes_minor_units_exactly(amount: int | float | str, currency: str, expected: int) -> None:
    assert f.minor(amount, currency) == expected


@pytest.mark.parametrize(
    ("amount", "currency"),
    [
        (1, "XXX"),
        (1, "usd"),
        ("1.005", "USD"),
        (0.1, "JPY"),
        ("1e3", "USD"),
        ("1,000", "USD"),
        (" 1", "USD"),
        ("", "USD"),
        (float("inf"), "USD"),
        (float("nan"), "USD"),
        (2**53, "USD"),
        ("1" * 16, "JPY"),
        ("١٢", "USD"),
    ],
)
def test_money_that_is_not_exact_is_an_error(amount: int | float | str, currency: str) -> None:
    with pytest.raises(ValueError, match=r"\w"):
        f.minor(amount, currency)


@given(st.integers(-(10**12), 10**12))
def test_cents_survive_the_way_through_text_and_double(cents: int) -> None:
    text = f"{'-' if cents < 0 else ''}{abs(cents) // 100}.{abs(cents) % 100:02d}"
    assert f.minor(text, "USD") == cents
    assert f.minor(float(text), "USD") == cents


def test_num_reads_plain_decimals_only() -> None:
    assert (f.num(3), f.num(2.5), f.num("-1234.5"), f.num("0")) == (3.0, 2.5, -1234.5, 0.0)
    for text in ("", "1e5", "0x10", "1_000", "+1", "1.", ".5", "NaN", "inf", "1" * 16, "1.0000000001", "٣"):
        with pytest.raises(ValueError, match="decimal"):
            f.num(text)
    for number in (float("inf"), 2**53):
        with pytest.raises(ValueError, match="number"):
            f.num(number)


@pytest.mark.parametrize(
    ("address", "domain"),
    [
        ("bob@Demo.Example", "demo.example"),
        ("Bob Bee <bob@demo.example>", "demo.example"),
        (" bob@demo.example ", "demo.example"),
        ("bob@demo.example.", "demo.example"),
        ("ü@bücher.example", "xn--bcher-kva.example"),
        ("a@xn--bcher-kva.example", "xn--bcher-kva.example"),
        ("a@ＤＥＭＯ.example", "demo.example"),
    ],
)
def test_domain_of_one_address(address: str, domain: str) -> None:
    assert f.domain_of(address) == domain


@pytest.mark.parametrize(
    "address",
    [
        "",
        "bob",
        "@demo.example",
        "bob@",
        "a@demo.example,b@evil.example",
        "a@demo.example;b@evil.example",
        "a@demo.example b@evil.example",
        "a@evil.example@demo.example",
        '"a@demo.example" <b@evil.example>',
        "a@demo.example <b@evil.example>",
        "a@demo.example (b@evil.example)",
        "<a@demo.example><b@evil.example>",
        "a@[127.0.0.1]",
        "a@demo.example\nBcc: b@evil.example",
        "a@demo\u200b.example",
        "a@demo_x.example",
        "a@-demo.example",
        "a@" + "a." * 130 + "example",
    ],
)
def test_what_is_not_exactly_one_address_is_an_error(address: str) -> None:
    with pytest.raises(ValueError, match=r"address|domain"):
        f.domain_of(address)


@pytest.mark.parametrize(
    ("url", "host"),
    [
        ("https://Demo.Example/x?y#z", "demo.example"),
        ("http://demo.example:8080", "demo.example"),
        ("HTTPS://demo.example.", "demo.example"),
        ("http://[::1]:80/", "::1"),
        ("http://127.0.0.1/", "127.0.0.1"),
        ("https://bücher.example", "xn--bcher-kva.example"),
    ],
)
def test_host_of_an_absolute_url(url: str, host: str) -> None:
    assert f.host_of(url) == host


@pytest.mark.parametrize(
    "url",
    [
        "demo.example",
        "//demo.example/",
        "ftp://demo.example/",
        "javascript:alert(1)",
        "https:demo.example",
        "https:///path",
        "https://user@demo.example/",
        "https://demo.example\\@evil.example/",
        "https://demo.example%2eevil.example/",
        "https://2130706433/",
        "https://0x7f.1/",
        "https://127.1/",
        "https://demo.example /",
        "https://demo.example\t/",
        "https://demo\u200b.example/",
        "https://demo.example:99999/",
        "https://[::1",
    ],
)
def test_a_url_that_programs_read_differently_is_an_error(url: str) -> None:
    with pytest.raises(ValueError, match=r"\w"):
        f.host_of(url)


def test_icontains_sees_through_case_width_and_hidden_characters() -> None:
    assert f.icontains("Please SEND the ＰＡＳＳＷＯＲＤ", "password")
    assert f.icontains("pass\u200bword", "PASSWORD")
    assert f.icontains("STRASSE", "straße")
    assert not f.icontains("pass word", "password")


def test_glob_fits_the_whole_text() -> None:
    assert f.glob("billing.refund", "billing.*")
    assert f.glob("billing.refund", "billing.refun?")
    assert f.glob("a\nb", "a*")
    assert not f.glob("billing.refund", "refund")
    assert not f.glob("Billing.refund", "billing.*")
    assert not f.glob("billingXrefund", "billing.refund")
    assert not f.glob("billing.refund\n", "billing.refund")


def test_regex_is_bounded_in_text_and_linear_in_time() -> None:
    assert f.regex("please DROP it", r"(?i)\bdrop\b")
    assert not f.regex("a" * 16_000 + "!", r"(a+)+$")
    with pytest.raises(ValueError, match="16 KiB"):
        f.regex("a" * 16_385, "a")
    with pytest.raises(ValueError, match="16 KiB"):
        f.regex("é" * 8_193, "a")
    for pattern in ("(", "(?<=a)b", r"\1"):
        with pytest.raises(ValueError, match=r"\w"):
            f.regex_pattern(pattern)


@pytest.mark.parametrize(
    ("pattern", "counted"),
    [
        ("abc", 0),
        ("a{3}", 3),
        ("a{2,5}b{4}", 9),
        ("a{7,}", 7),
        ("(a{10}){10}", 100),
        ("((a|b){30}){30}", 900),
        (r"\{3}[{3}]{2}", 2),
        ("(?i:a{4})", 4),
        ("[]{9}]{2}", 2),
        ("a{,3}", 0),
    ],
)
def test_counted_repetition_multiplies_when_nested(pattern: str, counted: int) -> None:
    assert f.counted_repetition(pattern) == counted


def test_named_lists_compare_by_their_kind() -> None:
    exact = f.NamedList.of("exact", ["a", "42"])
    assert exact.holds("a")
    assert exact.holds(42)
    assert not exact.holds("A")
    domains = f.NamedList.of("domain", ["Demo.Example"])
    assert domains.holds("demo.example")
    assert domains.holds("mail.demo.example")
    assert not domains.holds("evil-demo.example")
    assert not domains.holds("example")
    globs = f.NamedList.of("glob", ["prod-*"])
    assert globs.holds("prod-eu")
    assert not globs.holds("xprod-eu")
    networks = f.NamedList.of("cidr", ["10.0.0.0/8", "2001:db8::/32"])
    assert networks.holds("10.9.8.7")
    assert networks.holds("2001:db8::1")
    assert not networks.holds("11.0.0.1")
    with pytest.raises(ValueError, match="kind"):
        f.NamedList.of("other", [])
    with pytest.raises(ValueError, match=r"\w"):
        networks.holds("not an address")
