"""Strict JSON in, canonical JSON out: the one text form that a digest may cover (RFC 8259, RFC 8785).

`parse_strict` refuses whatever two parsers could read differently. No JSON library here refuses all of duplicate keys, lossy
numbers, lone surrogates, U+0000 and excess depth, so the grammar is ours; only strings are scanned by the standard library.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from decimal import Decimal
from json import JSONDecodeError
from json.decoder import scanstring as _scanstring  # type: ignore[attr-defined]  # C, not in the stubs
from typing import Any, Final

import rfc8785

from audit.errors import DomainError

MAX_INTEGER: Final = 2**53 - 1
MAX_DEPTH: Final = 32
# JCS (ECMAScript) writes whole doubles below this as plain digits, so they would be read back as integers.
_PLAIN_DIGITS_BELOW: Final = 1e21

scanstring: Callable[[str, int, bool], tuple[str, int]] = _scanstring


class NotCanonical(DomainError):
    """The text has no single canonical reading. `path` is the JSON pointer of the place; no value is repeated."""

    code = "not_canonical"
    status = 422
    default_sentence = "The JSON has no canonical form."

    def __init__(self, path: str = "", sentence: str | None = None) -> None:
        super().__init__(sentence, path=path)
        self.path = path


class MalformedJson(NotCanonical):
    """The text is not JSON at all."""

    code = "malformed_json"
    status = 400
    default_sentence = "The text is not valid JSON."


class NotUtf8(NotCanonical):
    """The bytes are not UTF-8."""

    code = "not_utf8"
    status = 400
    default_sentence = "The text is not valid UTF-8."


class TooLarge(NotCanonical):
    """More bytes than this place takes."""

    code = "too_large"
    status = 413
    default_sentence = "The JSON is larger than allowed."


class TooDeep(NotCanonical):
    """More nested arrays and objects than this place takes."""

    code = "too_deep"
    default_sentence = "The JSON is nested too deeply."


class DuplicateKey(NotCanonical):
    """One object names a key twice."""

    code = "duplicate_key"
    default_sentence = "An object has the same key twice."


class NotANumber(NotCanonical):
    """NaN or Infinity, which JSON does not have, or a number beyond every double."""

    code = "not_a_number"
    default_sentence = "NaN and infinite numbers are not allowed."


class IntegerTooLarge(NotCanonical):
    """A whole number beyond ±(2^53 - 1)."""

    code = "integer_too_large"
    default_sentence = "A whole number is beyond 2^53 - 1; send it as a string."


class NumberInexact(NotCanonical):
    """A number with more digits than a double keeps."""

    code = "number_inexact"
    default_sentence = "A number has more digits than a double keeps; send it as a string."


class LoneSurrogate(NotCanonical):
    """Half of a surrogate pair, which has no UTF-8 form."""

    code = "lone_surrogate"
    default_sentence = "A string holds half of a surrogate pair."


class NulCharacter(NotCanonical):
    """U+0000, which PostgreSQL text cannot hold."""

    code = "nul_character"
    default_sentence = "A string holds the character U+0000."


@dataclass(frozen=True, slots=True)
class Parsed:
    """A strictly parsed text. `raw` maps JSON pointers to the exact text received there, down to the asked depth."""

    value: Any  # JSON: dict, list, str, int, float, bool or None
    raw: Mapping[str, str]


_SPACE = re.compile(r"[ \t\n\r]*")
_NUMBER = re.compile(r"-?(?:0|[1-9][0-9]*)(\.[0-9]+)?([eE][+-]?[0-9]+)?")
_WORD = re.compile(r"-?[A-Za-z]+")
_LITERALS: Final[dict[str, bool | None]] = {"true": True, "false": False, "null": None}
_NOT_NUMBERS: Final = frozenset({"NaN", "Infinity", "-Infinity"})


def parse_strict(data: bytes, *, max_bytes: int, max_depth: int = MAX_DEPTH) -> Any:
    """The value of the JSON in `data`; dict, list, str, int, float, bool or None. Raises NotCanonical."""
    return parse_with_raw(data, max_bytes=max_bytes, max_depth=max_depth).value


def parse_with_raw(data: bytes, *, max_bytes: int, max_depth: int = MAX_DEPTH, raw_depth: int = 0) -> Parsed:
    """`parse_strict`, with the raw text of each value down to `raw_depth` levels below the root.

    With `raw_depth` 2, `raw["/params/amount"]` is `120.50` where the value is 120.5: what a disclosure must hold.
    """
    if len(data) > max_bytes:
        raise TooLarge
    try:
        text = data.decode("utf-8")
    except UnicodeDecodeError:
        raise NotUtf8 from None
    parser = _Parser(text, max_depth=max_depth, raw_depth=raw_depth)
    return Parsed(parser.document(), parser.raw)


def canonical(value: object) -> bytes:
    """RFC 8785 bytes of a JSON value. Raises NotCanonical for what has none."""
    try:
        return rfc8785.dumps(value)  # type: ignore[arg-type]  # refuses what is not JSON itself
    except rfc8785.IntegerDomainError:
        raise IntegerTooLarge from None
    except rfc8785.FloatDomainError:
        raise NotANumber from None
    except RecursionError:
        raise TooDeep from None
    except (rfc8785.CanonicalizationError, UnicodeEncodeError):
        raise NotCanonical from None


class _Parser:
    """One pass over one text."""

    def __init__(self, text: str, *, max_depth: int, raw_depth: int) -> None:
        self.text = text
        self.max_depth = max_depth
        self.raw_depth = raw_depth
        self.raw: dict[str, str] = {}
        self.where: list[str | int] = []

    def document(self) -> Any:
        start = self._space(0)
        value, at = self._value(start, 0)
        if self._space(at) != len(self.text):
            raise MalformedJson
        return value

    def _path(self) -> str:
        return "".join("/" + str(step).replace("~", "~0").replace("/", "~1") for step in self.where)

    def _space(self, at: int) -> int:
        found = _SPACE.match(self.text, at)
        return found.end() if found else at

    def _value(self, at: int, depth: int) -> tuple[Any, int]:
        char = self.text[at : at + 1]
        value: Any
        if char == '"':
            value, end = self._string(at)
        elif char == "{":
            value, end = self._object(at, depth)
        elif char == "[":
            value, end = self._array(at, depth)
        else:
            value, end = self._scalar(at)
        if 0 < len(self.where) <= self.raw_depth:
            self.raw[self._path()] = self.text[at:end]
        return value, end

    def _string(self, at: int) -> tuple[str, int]:
        try:
            value, end = scanstring(self.text, at + 1, True)
        except JSONDecodeError:
            raise MalformedJson(self._path()) from None
        if "\x00" in value:
            raise NulCharacter(self._path())
        if not value.isascii():
            try:
                value.encode("utf-8")
            except UnicodeEncodeError:
                raise LoneSurrogate(self._path()) from None
        return value, end

    def _object(self, at: int, depth: int) -> tuple[dict[str, Any], int]:
        if depth >= self.max_depth:
            raise TooDeep(self._path())
        text = self.text
        found: dict[str, Any] = {}
        at = self._space(at + 1)
        if text[at : at + 1] == "}":
            return found, at + 1
        while True:
            if text[at : at + 1] != '"':
                raise MalformedJson(self._path())
            key, at = self._string(at)
            self.where.append(key)
            if key in found:
                raise DuplicateKey(self._path())
            at = self._space(at)
            if text[at : at + 1] != ":":
                raise MalformedJson(self._path())
            found[key], at = self._value(self._space(at + 1), depth + 1)
            self.where.pop()
            at = self._space(at)
            char = text[at : at + 1]
            if char == "}":
                return found, at + 1
            if char != ",":
                raise MalformedJson(self._path())
            at = self._space(at + 1)

    def _array(self, at: int, depth: int) -> tuple[list[Any], int]:
        if depth >= self.max_depth:
            raise TooDeep(self._path())
        text = self.text
        found: list[Any] = []
        at = self._space(at + 1)
        if text[at : at + 1] == "]":
            return found, at + 1
        while True:
            self.where.append(len(found))
            value, at = self._value(at, depth + 1)
            self.where.pop()
            found.append(value)
            at = self._space(at)
            char = text[at : at + 1]
            if char == "]":
                return found, at + 1
            if char != ",":
                raise MalformedJson(self._path())
            at = self._space(at + 1)

    def _scalar(self, at: int) -> tuple[int | float | bool | None, int]:
        number = _NUMBER.match(self.text, at)
        if number:
            return self._number(number), number.end()
        word = _WORD.match(self.text, at)
        if word and word.group() in _LITERALS:
            return _LITERALS[word.group()], word.end()
        if word and word.group() in _NOT_NUMBERS:
            raise NotANumber(self._path())
        raise MalformedJson(self._path())

    def _number(self, number: re.Match[str]) -> int | float:
        digits = number.group()
        if number.group(1) is None and number.group(2) is None:
            # Sixteen digits and a sign at most; longer ones are refused before int() spends time on them.
            if len(digits) > 17 or abs(whole := int(digits)) > MAX_INTEGER:
                raise IntegerTooLarge(self._path())
            return whole
        value = float(digits)
        if value in (float("inf"), float("-inf")):
            raise NotANumber(self._path())
        if MAX_INTEGER < abs(value) < _PLAIN_DIGITS_BELOW:
            raise IntegerTooLarge(self._path())
        if not _kept(digits, value):
            raise NumberInexact(self._path())
        return value


def _kept(digits: str, value: float) -> bool:
    """True when the shortest text of the double, which JCS writes, is the same number as `digits`."""
    mantissa = digits.lower().partition("e")[0].lstrip("-").replace(".", "").strip("0")
    if len(mantissa) > 17:  # no double has more significant digits; do not let Decimal work on a long one
        return False
    if value == 0.0:
        return mantissa == ""
    return Decimal(digits) == Decimal(repr(value))
