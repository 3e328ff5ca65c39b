"""Strict JSON: what has two readings is refused, what passes has one canonical form."""

from __future__ import annotations

import json
import math
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from audit import canonical as c
from tests.audit.vectors import shared


def parse(text: str | bytes, **options: Any) -> Any:
    data = text if isinstance(text, bytes) else text.encode()
    return c.parse_strict(data, max_bytes=10_000, **options)


@pytest.mark.parametrize(
    ("text", "code", "path"),
    [
        (b'{"a":"\xff"}', "not_utf8", ""),
        (b'{"a":"\xed\xa0\x80"}', "not_utf8", ""),
        ('{"a":1,"b":{"c":1,"c":2}}', "duplicate_key", "/b/c"),
        (r'{"a":1,"\u0061":2}', "duplicate_key", "/a"),
        ('{"a":[0,NaN]}', "not_a_number", "/a/1"),
        ("[Infinity]", "not_a_number", "/0"),
        ("[-Infinity]", "not_a_number", "/0"),
        ("[1e400]", "not_a_number", "/0"),
        ("[1e400000]", "not_a_number", "/0"),
        (r'{"a":"\ud800"}', "lone_surrogate", "/a"),
        (r'{"a/~":["x\udc00y"]}', "lone_surrogate", "/a~1~0/0"),
        (r'{"\ud800":1}', "lone_surrogate", ""),
        (r'{"a":"\u0000"}', "nul_character", "/a"),
        (r'{"\u0000":1}', "nul_character", ""),
        ("[9007199254740992]", "integer_too_large", "/0"),
        ("[-9007199254740992]", "integer_too_large", "/0"),
        ("[" + "9" * 5000 + "]", "integer_too_large", "/0"),
        ("[9007199254740992.0]", "integer_too_large", "/0"),
        ("[1e20]", "integer_too_large", "/0"),
        ("[0.12345678901234567890]", "number_inexact", "/0"),
        ("[333333333.33333329]", "number_inexact", "/0"),
        ("[1e-400]", "number_inexact", "/0"),
        ("[0." + "1" * 5000 + "]", "number_inexact", "/0"),
        ("[" * 33 + "]" * 33, "too_deep", "/0" * 32),
        ("[" * 9000, "too_deep", "/0" * 32),
        ("", "malformed_json", ""),
        ("{", "malformed_json", ""),
        ('{"a"}', "malformed_json", "/a"),
        ("{a:1}", "malformed_json", ""),
        ("[1,]", "malformed_json", "/1"),
        ('{"a":1,}', "malformed_json", ""),
        ("[01]", "malformed_json", ""),
        ("[1.]", "malformed_json", ""),
        ("[.5]", "malformed_json", "/0"),
        ("[+1]", "malformed_json", "/0"),
        ("[truex]", "malformed_json", "/0"),
        ("[1] 2", "malformed_json", ""),
        ("\ufeff[]", "malformed_json", ""),
        ("[\u00a01]", "malformed_json", "/0"),
        ('["a\nb"]', "malformed_json", "/0"),
        (r'["\x41"]', "malformed_json", "/0"),
        ('["open', "malformed_json", "/0"),
        ("[1 2]", "malformed_json", ""),
        ("['a']", "malformed_json", "/0"),
    ],
)
def test_what_has_two_readings_is_refused_with_code_and_place(text: str | bytes, code: str, path: str) -> None:
    with pytest.raises(c.NotCanonical) as caught:
        parse(text)
    assert (caught.value.code, caught.value.path) == (code, path)
    assert caught.value.status in (400, 413, 422)


def test_a_refusal_never_repeats_a_value() -> None:
    with pytest.raises(c.NotCanonical) as caught:
        parse('{"secret":"hunter2","secret":"hunter3"}')
    assert "hunter" not in str(caught.value) + repr(caught.value.details)


def test_size_is_refused_before_parsing() -> None:
    with pytest.raises(c.TooLarge):
        c.parse_strict(b"[" * 100, max_bytes=99)


def test_depth_limit_counts_arrays_and_objects() -> None:
    assert parse("[" * 32 + "]" * 32)
    with pytest.raises(c.TooDeep):
        parse('{"a":{"b":1}}', max_depth=1)


@pytest.mark.parametrize(
    ("text", "value"),
    [
        ("120.50", 120.5),
        ("-0", 0),
        ("-0.0", -0.0),
        ("1E30", 1e30),
        ("0.0000001", 1e-7),
        ("9007199254740991", 2**53 - 1),
        ("-9007199254740991", -(2**53) + 1),
        ("1.000", 1.0),
        ("0e5", 0.0),
        (r'"\ud83d\ude00"', "\U0001f600"),
        (' { "a" : [ ] , "b" : { } } ', {"a": [], "b": {}}),
        ("null", None),
        ("true", True),
    ],
)
def test_what_a_double_keeps_is_taken(text: str, value: object) -> None:
    assert parse(text) == value
    assert type(parse(text)) is type(value)


def test_raw_text_is_kept_as_received() -> None:
    parsed = c.parse_with_raw(
        b'{"params": {"amount": 120.50, "to": [ 1,2 ]}, "x/y": "\\u0041"}', max_bytes=200, raw_depth=2
    )
    assert parsed.raw == {
        "/params": '{"amount": 120.50, "to": [ 1,2 ]}',
        "/params/amount": "120.50",
        "/params/to": "[ 1,2 ]",
        "/x~1y": '"\\u0041"',
    }


@pytest.mark.parametrize("name", ["arrays", "french", "structures", "unicode", "values", "weird"])
def test_rfc_8785_vectors(name: str) -> None:
    case = shared("rfc8785.json")[name]
    if name == "values":  # one number has more digits than a double: refused as received, canonical as a double
        with pytest.raises(c.NumberInexact):
            parse(case["input"])
        value = json.loads(case["input"])
    else:
        value = parse(case["input"])
    assert c.canonical(value) == case["output"].encode()


@pytest.mark.parametrize(
    ("value", "code"),
    [
        (2**53, "integer_too_large"),
        (math.nan, "not_a_number"),
        (math.inf, "not_a_number"),
        ("\ud800", "not_canonical"),
        (object(), "not_canonical"),
    ],
)
def test_what_is_not_json_has_no_canonical_form(value: object, code: str) -> None:
    with pytest.raises(c.NotCanonical) as caught:
        c.canonical([value])
    assert caught.value.code == code


_TEXT = st.text(st.characters(exclude_categories=["Cs"], exclude_characters="\x00"))
_JSON = st.recursive(
    st.none()
    | st.booleans()
    | st.integers(-(2**53) + 1, 2**53 - 1)
    | st.floats(allow_nan=False, allow_infinity=False)
    | _TEXT,
    lambda inner: st.lists(inner, max_size=4) | st.dictionaries(_TEXT, inner, max_size=4),
    max_leaves=20,
)


@given(_JSON)
def test_canonical_form_reads_back_as_itself(value: Any) -> None:
    try:
        first = c.parse_strict(json.dumps(value).encode(), max_bytes=10**6)
    except c.IntegerTooLarge:
        return  # whole doubles beyond 2^53
    text = c.canonical(first)
    assert c.canonical(c.parse_strict(text, max_bytes=10**6)) == text
    assert first == value


@given(st.text(alphabet='{}[]",:0123456789.eE+-truefalsn \\u\n', max_size=30))
def test_whatever_passes_is_read_alike_by_the_standard_library(text: str) -> None:
    try:
        value = parse(text)
    except c.NotCanonical:
        return
    assert json.loads(text) == value
