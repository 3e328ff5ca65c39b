"""Addresses: who is outside, who is new, what is written to look like us; and addresses on the web."""

from __future__ import annotations

from datetime import UTC, datetime
from typing import Any

import pytest

from reviews.cards.registry import fact_for
from reviews.cards.types import Fact, Known, Provenance, Role, Value

NOW = datetime(2026, 11, 21, 12, 0, tzinfo=UTC)
OWN = Known(own_domains=frozenset({"demo.example"}))


def fact(
    value: object, formatter: str, *, key: str = "field", known: Known = OWN, last: object = None, **options: Any
) -> Fact:
    shown = Value(f"/{key}", key, value, {key: value}, NOW, options=options, known=known, last=last)
    return fact_for(shown, provenance=Provenance.AGENT, formatter=formatter)


def codes(shown: Fact) -> list[str]:
    return [caution.code for caution in shown.cautions]


def test_first_time_recipients_are_marked_where_somebody_keeps_them() -> None:
    known = Known(own_domains=OWN.own_domains, known_addresses=frozenset({"bo@demo.example"}))
    shown = fact("Bo@demo.example, eve@evil.example", "email", known=known)
    assert shown.text == "Bo@demo.example Internal\neve@evil.example External First time\n2 addresses"
    assert codes(shown) == ["external", "first_time"]
    assert "first_time" not in codes(fact("eve@evil.example", "email"))


def test_nobody_is_external_where_no_domain_is_declared() -> None:
    shown = fact("eve@evil.example", "email", known=Known())
    assert shown.text == "eve@evil.example"
    assert codes(shown) == []


def test_a_subdomain_is_not_ours_and_our_domain_in_other_letters_is() -> None:
    assert "External" in fact("bo@mail.demo.example", "email").text
    assert "Internal" in fact("bo@DEMO.example", "email").text
    own = Known(own_domains=frozenset({"b\u00fccher.example"}))
    assert "Internal" in fact("bo@xn--bcher-kva.example", "email", known=own).text


def test_recipients_added_since_last_time_are_named() -> None:
    shown = fact(["bo@demo.example", "eve@evil.example"], "email", last=["bo@demo.example"])
    assert "1 more than last time: eve@evil.example" in [caution.sentence for caution in shown.cautions]


@pytest.mark.parametrize("value", [[], [""], "", "  "])
def test_no_address_is_none_or_not_inspected_but_never_blank(value: object) -> None:
    assert fact(value, "email").text


@pytest.mark.parametrize(
    "value",
    [
        "a@b.example " * 600,
        "group: a@b.example;",
        "@b.example",
        "a@b.example (c@d.example)",
        [1],
        ["a@b.example", 2],
    ],
)
def test_what_is_not_plainly_addresses_is_not_inspected(value: object) -> None:
    shown = fact(value, "email")
    assert not shown.inspected
    assert shown.covers


@pytest.mark.parametrize(
    ("written", "strong"),
    [
        ("https://www.shop.example.co.uk/a?b=c#d", "example.co.uk"), ("https://user.github.io/", "user.github.io"),
        ("HTTPS://WWW.Example.COM:8443/", "Example.COM"), ("www.example.com/x", "example.com"), ("https://10.0.0.1/", "10.0.0.1"),
        ("https://[::1]:8443/", "[::1]"), ("https://co.uk/", "co.uk"), ("https://example.com.", "example.com"),
        ("https://a@example.com/", "example.com"), ("wss://live.example.com/", "example.com"),
    ],
)  # fmt: skip
def test_the_registrable_domain_is_strong_and_the_address_whole(written: str, strong: str) -> None:
    shown = fact(written, "url")
    assert [part.text for part in shown.parts if part.role is Role.STRONG] == [strong]
    assert shown.text == written
    assert shown.link is None
    assert shown.can_copy


@pytest.mark.parametrize(
    "written",
    [
        "https:/a.example", "https:\\\\a.example", "https://a.example:99999/", "https://a.example:x/", "https://a@b@c.example/",
        "https://a\u2100b.example/", "https://a.example/ x", "https://a%00.example/", "https://-a\u0301\u0301.example\u00ad/",
        "https://exa mple.com", "https:?x", "https://\u202ea.example/",
    ],
)  # fmt: skip
def test_what_programs_read_differently_is_ambiguous_and_names_no_host(written: str) -> None:
    shown = fact(written, "url")
    assert "ambiguous_address" in codes(shown)
    assert not [part for part in shown.parts if part.role is Role.STRONG]
    assert not shown.can_copy


@pytest.mark.parametrize(
    "host",
    [
        "a..example",
        "[::zz]",
        "1.2.3.4.5.6",
        "256.1.1.1",
        "09.1.1.1",
        "a.example.7",
        "x" * 64 + ".example",
        "a_\u0301.b",
    ],
)
def test_a_host_that_no_resolver_should_see_is_ambiguous(host: str) -> None:
    assert "ambiguous_address" in codes(fact(f"https://{host}/x", "url"))


def test_a_password_in_an_address_is_masked_everywhere() -> None:
    shown = fact("https://bo:hunter2@a.example/x", "url")
    assert "hunter2" not in repr((shown.parts, shown.exact, shown.raw, shown.brief))
    assert shown.hides == {"/field"}
    assert not shown.can_copy


def test_a_domain_shows_both_spellings() -> None:
    shown = fact("b\u00fccher.example", "domain")
    assert shown.text == "b\u00fccher.example (xn--bcher-kva.example)"
    assert fact("xn--bcher-kva.example", "domain").text == "xn--bcher-kva.example (b\u00fccher.example)"
    assert not fact("not a domain", "domain").inspected
    assert codes(fact("demo-login.example", "domain")) == ["look_alike"]


def test_a_file_address_or_other_scheme_is_shown_as_it_is() -> None:
    assert not fact("file:///etc/passwd", "url").inspected
    assert not fact("mailto:a@b.example", "url").inspected
    assert codes(fact("ssh://git.example.com/x", "url")) == ["not_https"]


def test_the_domain_of_an_address_that_is_no_name_is_shown_as_it_is() -> None:
    shown = fact("bo@ex_.-.ample", "email")
    assert "External" in shown.text
    assert "mixed_script" in codes(fact("bo@xn--pypal-4ve.com", "email"))


def test_a_person_by_address_alone_may_be_outside() -> None:
    assert codes(fact("eve@evil.example", "person")) == ["person_external"]
    assert codes(fact("bo@demo.example", "person")) == []
    assert not fact(" ", "person").inspected
    assert codes(fact({"id": 7, "is_external": True}, "person")) == ["person_external"]
