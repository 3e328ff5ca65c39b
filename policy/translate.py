"""The compiler's message in plain words: each mistake once, with its line and column.

Source: the table of the policy design, section 4, and the messages of cel-cpp's parser and checker.
"""

from __future__ import annotations

import difflib
import re
from collections.abc import Callable, Mapping, Sequence
from typing import Final, TypeAlias

from policy.cel import ROOTS
from policy.findings import (
    BAD_CHARACTER,
    BAD_ESCAPE,
    BAD_TEXT,
    BIG_NUMBER,
    COMPARE,
    DID_YOU_MEAN,
    DID_YOU_MEAN_ROOT,
    ENDS_EARLY,
    HAS_FIELD,
    LOOP_NAME,
    MIXED_NUMBERS,
    NO_OVERLOAD,
    NOT_AVAILABLE,
    NOT_UNDERSTOOD,
    OPERATOR_WORDS,
    QUOTE_OPEN,
    SEPARATORS,
    STRAIGHT_QUOTES,
    TOO_DEEP,
    UNEXPECTED,
    Finding,
)
from policy.source import Token, line_and_column, offset_of, tokens_of

_LIBRARY_FINDING = re.compile(r"ERROR: <input>:(-?\d+):(-?\d+): ([^\n]*)")
_OPERATORS: Final[Mapping[str, str]] = {
    "_>_": ">",
    "_>=_": ">=",
    "_<_": "<",
    "_<=_": "<=",
    "_==_": "==",
    "_!=_": "!=",
    "_&&_": "&&",
    "_||_": "||",
    "!_": "!",
    "_+_": "+",
    "_-_": "-",
    "_*_": "*",
    "_/_": "/",
    "_%_": "%",
    "-_": "-",
    "_[_]": "[ ]",
    "@in": "in",
    "_?_:_": "? :",
}
_Place: TypeAlias = Callable[..., Finding]  # (offset, code, sentence, **values)


def translate(text: str, message: str) -> list[Finding]:
    """The library's compile message as findings; follow-on noise of one mistake is dropped."""
    tokens = tokens_of(text)
    found = _LIBRARY_FINDING.findall(message)
    if not found or any(int(line) < 1 for line, _, _ in found):
        if "recursion" in message or "nest" in message:
            return [Finding(1, 1, "too_deep", TOO_DEEP)]
        return [Finding(1, 1, "not_understood", NOT_UNDERSTOOD.format(detail=message.split("[")[0].strip()))]
    lexer_at = [offset_of(text, int(line), int(column)) for line, column, said in found if "token recognition" in said]
    findings: list[Finding] = []
    for line, column, said in found:
        offset = offset_of(text, int(line), int(column))
        if "Syntax error" in said and "token recognition" not in said and any(at <= offset for at in lexer_at):
            continue  # the parser stumbles on what the tokenizer already reported
        finding = _translate_one(text, tokens, offset, said.removesuffix(" [INVALID_ARGUMENT]"))
        if finding and finding not in findings and not _is_closing_quote(finding, findings):
            findings.append(finding)
    return sorted(findings, key=lambda finding: (finding.line, finding.column))


def _is_closing_quote(finding: Finding, known: Sequence[Finding]) -> bool:
    """Whether the finding is the other end of a text whose beginning was reported on its line."""
    opening = {"straight_quotes": "straight_quotes", "quote_open": "bad_escape"}.get(finding.code)
    return any((other.code, other.line) == (opening, finding.line) for other in known)


def _translate_one(text: str, tokens: Sequence[Token], offset: int, said: str) -> Finding | None:
    def at(place: int, code: str, sentence: str, **values: object) -> Finding:
        return Finding(*line_and_column(text, place), code, sentence.format(**values))

    if "token recognition error at: " in said:
        wrong = said.partition("token recognition error at: ")[2].removeprefix("'")
        if wrong[:1] == "=":
            return at(offset, "compare", COMPARE)
        if wrong[:1] in "“”‘’„«»":
            return at(offset, "straight_quotes", STRAIGHT_QUOTES)
        if wrong[:1] in "'\"" and "\\" in wrong:
            return at(offset, "bad_escape", BAD_ESCAPE)
        if wrong[:1] in "'\"":
            return at(offset, "quote_open", QUOTE_OPEN)
        if wrong[:1] in "&|":
            return at(offset, "operator_words", OPERATOR_WORDS)
        return at(offset, "bad_character", BAD_CHARACTER)
    wrong_input = re.search(
        r"(?:mismatched|extraneous) input '(.*?)' expecting|no viable alternative at input '(.*)'", said
    )
    if wrong_input:
        return _translate_input(text, tokens, offset, at, wrong_input[1] or "")
    undeclared = re.search(r"undeclared reference to '([^']*)'", said)
    if undeclared:
        return _translate_name(tokens, offset, at, undeclared[1])
    overload = re.search(r"found no matching overload for '([^']*)' applied to '([^']*)'", said)
    if overload:
        operator, types = _OPERATORS.get(overload[1], overload[1]), overload[2].replace("google.protobuf.", "").lower()
        if {part for part in re.split(r"[^a-z]+", types) if part} <= {"int", "double", "uint"} and "," in types:
            return at(offset, "mixed_numbers", MIXED_NUMBERS)
        return at(offset, "no_overload", NO_OVERLOAD, operator=operator, types=types)
    for mark, code, sentence in (
        ("has() argument", "has_field", HAS_FIELD),
        ("variable name must be", "loop_name", LOOP_NAME),
        ("literal", "bad_number", BIG_NUMBER),
    ):
        if mark in said:
            if code == "bad_number" and ("string" in said.lower() or "bytes" in said.lower()):
                return at(offset, "bad_text", BAD_TEXT)
            return at(offset, code, sentence)
    return at(offset, "not_understood", NOT_UNDERSTOOD, detail=said.removeprefix("Syntax error: "))


def _translate_input(text: str, tokens: Sequence[Token], offset: int, at: _Place, wrong: str) -> Finding:
    before = next((token for token in reversed(tokens) if token.end <= offset), None)
    here = next((token for token in tokens if token.start == offset), None)
    for token in (here, before):
        if token and token.kind == "name" and token.text.lower() in ("and", "or", "not"):
            return at(token.start, "operator_words", OPERATOR_WORDS)
    number = next(
        (match for match in re.finditer(r"\d[\d,_]*[\d]", text) if match.start() < offset < match.end()),
        None,
    )
    if number and wrong[:1] in (",", "_"):
        plain = re.sub(r"[,_]", "", number.group())
        return at(number.start(), "separators", SEPARATORS, number=plain)
    if wrong == "<EOF>":
        return at(offset, "ends_early", ENDS_EARLY)
    return at(offset, "unexpected", UNEXPECTED, token=wrong)


def _translate_name(tokens: Sequence[Token], offset: int, at: _Place, name: str) -> Finding | None:
    index = next((index for index, token in enumerate(tokens) if token.start >= offset), len(tokens) - 1)
    if tokens[index].text == "(" and tokens[index].start == offset and index > 0:
        start = tokens[index - 1].start
        known = ("num", "minor", "icontains", "glob", "regex", "domain_of", "host_of", "in_list", "contains", "size")
        meant = difflib.get_close_matches(name, (*known, "startsWith", "endsWith", "exists", "all", "filter"), 1, 0.8)
        if meant:
            return at(start, "not_available", DID_YOU_MEAN_ROOT, name=name, meant=meant[0])
        return at(start, "not_available", NOT_AVAILABLE, name=name)
    if _is_variable_of_missing_macro(tokens, index):
        return None
    first = name.split(".")[0]
    # The library points at the last dot of an unknown root's path.
    start = max((token.start for token in tokens if token.text == first and token.start <= offset), default=offset)
    close = difflib.get_close_matches(first, ROOTS, 1, 0.7)
    if close and first not in ROOTS:
        return at(start, "unknown_name", DID_YOU_MEAN_ROOT, name=first, meant=close[0])
    return at(start, "unknown_name", DID_YOU_MEAN, meant=f"params.{name}")


def _is_variable_of_missing_macro(tokens: Sequence[Token], index: int) -> bool:
    """Whether the name is the item of a `map(x, …)` that is reported itself."""
    name = tokens[index].text
    return any(
        first.text == "map" and second.text == "(" and third.text == name and fourth.text == ","
        for first, second, third, fourth in zip(tokens, tokens[1:], tokens[2:], tokens[3:], strict=False)
    )
