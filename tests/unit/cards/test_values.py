"""Single values: units in words, limits, people, ids, secrets."""

from __future__ import annotations

from datetime import UTC, datetime
from typing import Any

import pytest

from audit.secrets import fingerprint, mask_document, mask_text
from reviews.cards.formatters import FORMATTER_OPTIONS, FORMATTERS
from reviews.cards.registry import fact_for
from reviews.cards.text import csv_cell, is_formula
from reviews.cards.types import Fact, Known, Provenance, Value

NOW = datetime(2026, 11, 21, 12, 0, tzinfo=UTC)


def fact(
    value: object,
    formatter: str = "",
    *,
    key: str = "field",
    root: dict[str, Any] | None = None,
    known: Known | None = None,
    schema: dict[str, Any] | None = None,
    **options: Any,
) -> Fact:
    shown = Value(
        f"/{key}", key, value, root or {key: value}, NOW, options=options, schema=schema, known=known or Known()
    )
    return fact_for(shown, provenance=Provenance.AGENT, formatter=formatter)


def codes(shown: Fact) -> list[str]:
    return [caution.code for caution in shown.cautions]


def test_every_formatter_has_a_line_of_help_for_each_option() -> None:
    assert set(FORMATTER_OPTIONS) == set(FORMATTERS)
    assert all(
        name.islower() and help_text for options in FORMATTER_OPTIONS.values() for name, help_text in options.items()
    )


@pytest.mark.parametrize(
    ("value", "formatter", "options", "text", "raw"),
    [
        (4_200_000, "bytes", {}, "4.2 MB", "4200000 bytes"), (1, "bytes", {}, "1 byte", "1 bytes"),
        (3, "bytes", {"unit": "GiB"}, "3.2 GB", "3 GiB"), (999, "bytes", {}, "999 bytes", "999 bytes"),
        (25, "percent", {}, "25 %", "25"), (0.25, "percent", {"scale": "fraction"}, "25 %", "0.25"),
        (0.5, "percent", {}, "0.5 (scale not declared)", ""), (0.5, "percent", {"scale": "percent"}, "0.5 %", "0.5"),
        (5400, "duration", {}, "1 h 30 min", "5400 s"), (90, "duration", {"unit": "min"}, "1 h 30 min", "90 min"),
        (1500, "duration", {"unit": "ms"}, "1.5 s", "1500 ms"), (0, "duration", {}, "0 s", "0 s"),
        (172_800, "duration", {}, "2 days", "172800 s"), ("PT1H30M", "duration", {}, "1 h 30 min", "PT1H30M"),
        ("P1W", "duration", {}, "7 days", "P1W"), (1234567, "number", {"unit": "rows"}, "1,234,567 rows", "1234567"),
    ],
)  # fmt: skip
def test_numbers_carry_their_unit_in_words(
    value: object, formatter: str, options: dict[str, Any], text: str, raw: str
) -> None:
    shown = fact(value, formatter, **options)
    assert (shown.text, shown.raw) == (text, raw)


@pytest.mark.parametrize("value", ["P1M", "P", "PT", "tomorrow", True, None])
def test_a_duration_without_a_fixed_length_is_not_inspected(value: object) -> None:
    assert not fact(value, "duration").inspected


@pytest.mark.parametrize(
    ("key", "formatter", "text"),
    [
        ("timeout_minutes", "duration", "1 h 30 min"), ("size_bytes", "bytes", "90 bytes"),
        ("discount_percent", "percent", "90 %"), ("count", "number", "90"), ("invoice_id", "id", "90"),
    ],
)  # fmt: skip
def test_a_number_is_read_as_its_key_suggests(key: str, formatter: str, text: str) -> None:
    shown = fact(90, key=key)
    assert (shown.formatter, shown.text) == (formatter, text)


def test_a_percentage_that_fits_both_scales_says_both() -> None:
    assert fact(0.25, "percent").cautions[0].sentence == "Between 0 and 1: 25 % or 0.25 %?"
    assert codes(fact(250, "percent", scale="percent")) == ["over_hundred"]
    assert codes(fact(0, "percent")) == []


def test_limits_are_compared_as_decimals_and_said_first() -> None:
    over = fact(62_000, "money", currency="USD", limit="500")
    assert over.cautions[0].sentence == "Above the limit USD 500.00"
    assert codes(fact(50_000, "money", currency="USD", limit=500)) == []
    assert codes(fact(50_001, "money", currency="USD", limit_minor=50_000)) == ["over_limit"]
    assert codes(fact(5, "money", currency="USD", limit="a lot")) == []
    assert codes(fact(11, "number", limit=10)) == ["over_limit"]


def test_a_currency_other_than_usual_is_said() -> None:
    root = {"field": 5, "currency": "KWD"}
    assert codes(fact(5, "money", root=root, currency="USD")) == ["unusual_currency"]
    assert codes(fact(5, "money", root=root, currency="USD", usual=["USD", "KWD"])) == []


def test_words_of_the_schema_stand_for_values_with_the_raw_one_beside() -> None:
    chosen = fact("p", schema={"oneOf": [{"const": "m", "title": "by e-mail"}, {"const": "p", "title": "by post"}]})
    assert (chosen.text, chosen.raw, chosen.choices) == ("by post", "p", ("m", "p"))
    flag = fact(
        True, schema={"oneOf": [{"const": True, "title": "tell them"}, {"const": False, "title": "say nothing"}]}
    )
    assert (flag.text, flag.raw) == ("tell them", "yes")
    assert fact(3, schema={"enum": [1, 2]}).cautions[0].code == "not_in_enum"
    assert fact(False, "boolean", no="never").text == "never"


def test_a_person_is_a_claim_with_what_is_odd_about_them() -> None:
    known = Known(own_domains=frozenset({"demo.example"}), requester=frozenset({"u_7"}))
    someone = {"name": "Bo Ek", "id": "u_7", "role": "DBA", "email": "bo@evil.example", "status": "left", "team": "x"}
    shown = fact(someone, "person", known=known)
    assert shown.text == "Bo Ek, u_7, DBA, bo@evil.example"
    assert set(codes(shown)) == {"is_requester", "person_external", "person_left"}
    assert [child.label for child in shown.children] == ["Status", "Team"]
    assert shown.covers == {f"/field/{key}" for key in someone}
    assert not fact({"team": "x"}, "person").inspected
    assert codes(fact({"name": "Bo", "active": False}, "person")) == ["person_left"]
    assert codes(fact({"name": "Bo", "type_of": "x"}, "person")) == []


def test_an_id_is_measured_by_the_prefixes_and_ids_that_are_known() -> None:
    assert codes(fact("cus_1", "id", prefixes=["cus_", "acct_"])) == []
    options = {"prefixes": ["cus_"], "known": ["cus_1"]}
    unknown = Value("/field", "field", "sub_1", {"field": "sub_1"}, NOW, options=options)
    shown = fact_for(unknown, provenance=Provenance.AGENT, formatter="id")
    assert codes(shown) == ["unknown_prefix", "first_seen"]


def test_equal_secrets_have_equal_fingerprints_that_nobody_can_guess_without_the_key() -> None:
    one = fact("hunter2", "secret", known=Known(fingerprint_key=b"k"))
    assert one.text.endswith(f"fingerprint {fingerprint('hunter2', key=b'k')}")
    assert len(one.exact) == 8
    assert fingerprint("hunter2", key=b"k") != fingerprint("hunter2", key=b"l")
    assert "fingerprint" not in fact("hunter2", "secret").text
    assert "last" not in one.text


@pytest.mark.parametrize(
    "written",
    [
        "sk_" + "live_0123456789abcdef", "ghp_" + "a" * 36, "github_pat_" + "a" * 30, "glpat-" + "a" * 20,
        "AKIA" + "IOSFODNN7EXAMPLE", "xoxb-" + "1234567890-abc", "AIza" + "b" * 35, "GOCSPX-" + "c" * 24,
        "sk-ant-" + "d" * 30, "npm_" + "e" * 36, "SG." + "f" * 20 + "." + "g" * 20, "whsec_" + "h" * 24,
        "aws_secret_access_key = " + "i" * 40, "Bearer " + "abcdefghijklmnopqrstuvwxyz", "Basic " + "dXNlcjpwYXNzd29yZA==",
        "eyJ" + "hbGciOiJIUzI1NiJ9.eyJ" + "zdWIiOiIxMjM0In0.c2ln",
        "-----BEGIN RSA PRIVATE " + "KEY-----\nProc-Type: 4,ENCRYPTED\n\nMIIE\n-----END RSA PRIVATE " + "KEY-----",
    ],
)  # fmt: skip
def test_known_forms_of_secrets_are_masked_within_a_text(written: str) -> None:
    masked = mask_text(f"use {written} now")
    assert written.split()[-1] not in masked.replace("KEY-----", "")
    assert masked.startswith("use ")
    assert masked.endswith(" now")


@pytest.mark.parametrize(
    "written", ["risk-free", "ask_live", "eyJhb", "Bearer of news", "a plain sentence", "AKIA", "sk-short"]
)
def test_ordinary_words_are_not_masked(written: str) -> None:
    assert mask_text(written) == written


def test_a_document_is_masked_by_key_and_by_look_and_says_where() -> None:
    document = {"a": {"api_key": "x1", "n": 5}, "b": ["ok", "ghp_" + "a" * 36], "apiKey": "y2", "token_count": 7}
    masked, hidden = mask_document(document)
    assert hidden == {"/a/api_key", "/b/1", "/apiKey"}
    assert "x1" not in repr(masked)
    assert "ghp_" not in repr(masked)
    assert document["token_count"] == 7


@pytest.mark.parametrize("text", ["=1+1", "+1", "-1", "@x", "\tx", "\rx", "\uff1dSUM(1)"])
def test_a_cell_that_would_begin_a_formula_gets_an_apostrophe(text: str) -> None:
    assert csv_cell(text) == f"'{text}"


def test_other_cells_stay_as_they_are_and_dashes_are_no_formula() -> None:
    assert csv_cell("a=1") == "a=1"
    assert csv_cell("") == ""
    assert [is_formula(text) for text in ("- item", "-5", "+49 30 1234", "@bo hello", "=1+1", "@SUM(1)")] == [
        False, False, False, False, True, True,
    ]  # fmt: skip
