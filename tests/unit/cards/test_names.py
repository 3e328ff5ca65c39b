"""Domain names: what was registered, how they read, and what they could be mistaken for."""

from __future__ import annotations

import pytest

from reviews.cards.names import BadNameError, look_alike, mixes_scripts, read_name, reads_like, registrable, skeleton

# From the test vectors of the Public Suffix List (public domain).
VECTORS = [
    ("com", ""), ("example.com", "example.com"), ("www.example.com", "example.com"), ("uk.com", ""),
    ("b.example.uk.com", "example.uk.com"), ("example", ""), ("b.example.example", "example.example"),
    ("a.b.c.mm", "b.c.mm"), ("c.mm", ""), ("test.jp", "test.jp"), ("ac.jp", ""), ("www.test.ac.jp", "test.ac.jp"),
    ("kyoto.jp", ""), ("b.ide.kyoto.jp", "b.ide.kyoto.jp"), ("c.kobe.jp", ""), ("a.b.c.kobe.jp", "b.c.kobe.jp"),
    ("city.kobe.jp", "city.kobe.jp"), ("www.city.kobe.jp", "city.kobe.jp"), ("ck", ""), ("test.ck", ""),
    ("b.test.ck", "b.test.ck"), ("www.ck", "www.ck"), ("www.www.ck", "www.ck"), ("xn--85x722f.com.cn", "xn--85x722f.com.cn"),
    ("shishi.xn--55qx5d.cn", "shishi.xn--55qx5d.cn"), ("user.github.io", "user.github.io"),
]  # fmt: skip


@pytest.mark.parametrize(("name", "base"), VECTORS)
def test_the_registrable_part_follows_the_public_suffix_list(name: str, base: str) -> None:
    assert registrable(name) == base


def test_both_spellings_of_a_name_are_read_from_either() -> None:
    assert read_name("B\u00fccher.Example.").ascii == "xn--bcher-kva.example"
    assert read_name("xn--bcher-kva.example").unicode == "b\u00fccher.example"
    assert not read_name("Example.com").is_international


@pytest.mark.parametrize(
    "name", ["", ".", "a..b", "a b.example", "-\u200b.example", "x" * 64 + ".example", "a." * 200, "\u2028"]
)
def test_what_is_no_name_is_refused(name: str) -> None:
    with pytest.raises(BadNameError):
        read_name(name)


@pytest.mark.parametrize(
    "name",
    ["dem0.example", "derno.example", "demo.exarnple", "demo.example.evil.com", "demo-pay.com", "d\u0435mo.example",
     "paymemts-portal.example", "paymnets-portal.example", "payments-portals.example", "payment-portal.example"],
)  # fmt: skip
def test_a_name_that_could_be_taken_for_ours_is_found(name: str) -> None:
    assert look_alike(read_name(name), {"demo.example", "payments-portal.example"})


@pytest.mark.parametrize("name", ["demo.example", "mail.demo.example", "example.org", "memo.example", "post.example"])
def test_ours_and_names_unlike_ours_are_no_disguise(name: str) -> None:
    assert look_alike(read_name(name), {"demo.example"}) == ""


def test_skeletons_are_equal_for_what_looks_equal() -> None:
    assert skeleton("\u0440\u0430ypal") == skeleton("paypal")
    assert skeleton("rnodern") == skeleton("modern")
    assert skeleton("paypal") != skeleton("payroll")
    assert reads_like("\u0440\u0430ypal.com") == "paypal.com"
    assert reads_like("b\u00fccher.example") == ""
    assert reads_like("paypal.com") == ""


def test_scripts_are_mixed_only_where_no_language_writes_them_together() -> None:
    assert mixes_scripts("r\u0430ypal.com")
    assert not mixes_scripts("\u043f\u043e\u0447\u0442\u0430.com")
    assert not mixes_scripts("\u65e5\u672c\u3067\u3059.example")
    assert not mixes_scripts("xn--bcher-kva.example")
