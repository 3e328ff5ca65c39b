"""A condition's text cut at its logical operators into leaves, each an exact piece of the source.

CEL binds `? :`, `||`, `&&` and a leading `!` weaker than everything else, so cutting at them, outside brackets and
strings, needs a tokenizer and no parser. The compiler has already accepted the text; the pieces keep its positions.
"""

from __future__ import annotations

import itertools
import re
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Final

_TOKEN = re.compile(
    r"""(?P<space>\s+|//[^\n]*)
    |(?P<string>(?:[rR][bB]?|[bB][rR]?)?(?:\"{3}(?:\\.|[\s\S])*?\"{3}|'{3}(?:\\.|[\s\S])*?'{3}))
    |(?P<raw>(?:[rR][bB]?|[bB][rR])(?:"[^"\n]*"|'[^'\n]*'))
    |(?P<quoted>[bB]?(?:"(?:\\.|[^"\\\n])*"|'(?:\\.|[^'\\\n])*'))
    |(?P<number>0[xX][0-9a-fA-F]+[uU]?|(?:[0-9]+\.[0-9]+|\.[0-9]+|[0-9]+)(?:[eE][+-]?[0-9]+)?[uU]?)
    |(?P<name>[A-Za-z_][A-Za-z0-9_]*)
    |(?P<mark>&&|\|\||<=|>=|==|!=|.)""",
    re.VERBOSE | re.DOTALL,
)
_OPENING: Final = {"(": ")", "[": "]", "{": "}"}
_RELATIONS: Final = frozenset({"==", "!=", "<", "<=", ">", ">=", "in"})
_ARITHMETIC: Final = frozenset({"+", "-", "*", "/", "%"})


@dataclass(frozen=True)
class Token:
    """One token: its kind (name, number, string, mark), its text, and where it starts (code points from 0)."""

    kind: str
    text: str
    start: int

    @property
    def end(self) -> int:
        """The offset after the last character."""
        return self.start + len(self.text)


def tokens_of(text: str) -> list[Token]:
    """The tokens of a condition, without white space and comments."""
    found = []
    for match in _TOKEN.finditer(text):
        kind = match.lastgroup or "mark"
        if kind != "space":
            found.append(Token("string" if kind in ("raw", "quoted") else kind, match.group(), match.start()))
    return found


def line_and_column(text: str, offset: int) -> tuple[int, int]:
    """Line and column, both from 1, of an offset."""
    before = text[:offset]
    return before.count("\n") + 1, offset - (before.rfind("\n") + 1) + 1


def offset_of(text: str, line: int, column: int) -> int:
    """The offset of a line and column, both from 1; clamped to the text."""
    start = 0
    for _ in range(line - 1):
        start = text.find("\n", start) + 1
    return min(max(start + column - 1, 0), len(text))


@dataclass(frozen=True)
class Leaf:
    """A piece without logical operators outside brackets: exact source text and position."""

    text: str
    start: int
    tokens: tuple[Token, ...]


@dataclass(frozen=True)
class Logic:
    """`and`, `or`, `not` (one part) or `choice` (condition, then, else) over parts."""

    operator: str
    parts: tuple[Logic | Leaf, ...]


def cut(text: str) -> Logic | Leaf:
    """The condition as logic over leaves. The text must have compiled."""
    return _cut(text, tokens_of(text))


def leaves_of(node: Logic | Leaf) -> Iterator[Leaf]:
    """All leaves, in the order of the source."""
    if isinstance(node, Leaf):
        yield node
    else:
        for part in node.parts:
            yield from leaves_of(part)


def _cut(text: str, tokens: Sequence[Token]) -> Logic | Leaf:
    while len(tokens) > 2 and tokens[0].text == "(" and _closing(tokens, 0) == len(tokens) - 1:
        tokens = tokens[1:-1]
    top = list(_top_level(tokens))
    question = next((index for index in top if tokens[index].text == "?"), None)
    if question is not None:
        colon = next(index for index in top if index > question and tokens[index].text == ":")
        pieces = (tokens[:question], tokens[question + 1 : colon], tokens[colon + 1 :])
        return Logic("choice", tuple(_cut(text, piece) for piece in pieces))
    for mark, operator in (("||", "or"), ("&&", "and")):
        at = [index for index in top if tokens[index].text == mark]
        if at:
            edges = [-1, *at, len(tokens)]
            spans = [tokens[left + 1 : right] for left, right in itertools.pairwise(edges)]
            return Logic(operator, tuple(_cut(text, span) for span in spans))
    if tokens and tokens[0].text == "!" and not any(_is_operator(tokens[index]) for index in top if index > 0):
        # Thousands of negations are allowed: one or two of them say the same, and each is a level here.
        count = next(index for index, token in enumerate(tokens) if token.text != "!")
        inner = Logic("not", (_cut(text, tokens[count:]),))
        return inner if count % 2 else Logic("not", (inner,))
    return Leaf(text[tokens[0].start : tokens[-1].end], tokens[0].start, tuple(tokens))


def _is_operator(token: Token) -> bool:
    return token.kind != "string" and (token.text in _RELATIONS or token.text in _ARITHMETIC)


def _top_level(tokens: Sequence[Token]) -> Iterator[int]:
    """Indexes of the tokens outside all brackets."""
    depth = 0
    for index, token in enumerate(tokens):
        if token.kind == "mark" and token.text in ")]}":
            depth -= 1
        if depth == 0:
            yield index
        if token.kind == "mark" and token.text in _OPENING:
            depth += 1


def fields_read(text: str, roots: frozenset[str]) -> dict[str, frozenset[str] | None]:
    """For each root that the condition may read, the fields it may read of it; None where that may be all of them.

    Errs towards all: only a plain `root.field` names one.
    """
    tokens = tokens_of(text)
    found: dict[str, frozenset[str] | None] = {}
    for index, token in enumerate(tokens):
        if token.kind != "name" or token.text not in roots:
            continue
        before = tokens[index - 1].text if index else ""
        follows = [item.text for item in tokens[index + 1 : index + 4]] + ["", "", ""]
        is_field = before != "." and follows[0] == "." and follows[2] != "("
        field = tokens[index + 2] if is_field and index + 2 < len(tokens) else None
        known = found.get(token.text, frozenset())
        if field is None or field.kind != "name" or known is None:
            found[token.text] = None
        else:
            found[token.text] = known | {field.text}
    return found


def _closing(tokens: Sequence[Token], opening: int) -> int:
    depth = 0
    for index in range(opening, len(tokens)):
        if tokens[index].kind == "mark":
            depth += (tokens[index].text in _OPENING) - (tokens[index].text in ")]}")
            if depth == 0:
                return index
    return len(tokens)


def _source(text_of: Leaf, tokens: Sequence[Token]) -> str:
    return text_of.text[tokens[0].start - text_of.start : tokens[-1].end - text_of.start]


@dataclass(frozen=True)
class Relation:
    """`left operator right`, as source text."""

    left: str
    operator: str
    right: str


def relation_of(leaf: Leaf) -> Relation | None:
    """The leaf as one comparison or membership, or None when it is something else."""
    at = [
        index
        for index in _top_level(leaf.tokens)
        if leaf.tokens[index].kind in ("mark", "name") and leaf.tokens[index].text in _RELATIONS
    ]
    if len(at) != 1 or not 0 < at[0] < len(leaf.tokens) - 1:
        return None
    left, right = leaf.tokens[: at[0]], leaf.tokens[at[0] + 1 :]
    return Relation(_source(leaf, left), leaf.tokens[at[0]].text, _source(leaf, right))


@dataclass(frozen=True)
class Call:
    """`target.function(arguments)`, as source text; `target` is None for a plain call."""

    target: str | None
    function: str
    arguments: tuple[str, ...]


def call_of(leaf: Leaf) -> Call | None:
    """The leaf as one call, such as `has(params.a)` or `params.to.exists(r, …)`, or None."""
    tokens = leaf.tokens
    if len(tokens) < 3 or tokens[-1].text != ")" or tokens[-1].kind != "mark":
        return None
    opening = next((index for index in range(len(tokens)) if _closing(tokens, index) == len(tokens) - 1), None)
    opens_here = [
        index
        for index in _top_level(tokens)
        if tokens[index].text == "(" and _closing(tokens, index) == len(tokens) - 1
    ]
    if opening is None or not opens_here or opens_here[0] == 0 or tokens[opens_here[0] - 1].kind != "name":
        return None
    start = opens_here[0]
    inner = tokens[start + 1 : -1]
    commas = [index for index in _top_level(inner) if inner[index].text == "," and inner[index].kind == "mark"]
    edges = [-1, *commas, len(inner)]
    spans = [inner[left + 1 : right] for left, right in itertools.pairwise(edges)]
    arguments = tuple(_source(leaf, span) for span in spans if span)
    if start == 1:
        return Call(None, tokens[0].text, arguments)
    if start >= 3 and tokens[start - 2].text == ".":
        # The target is one chain when no operator stands outside its brackets.
        if any(_is_operator(tokens[index]) for index in _top_level(tokens[: start - 2])):
            return None
        return Call(_source(leaf, tokens[: start - 2]), tokens[start - 1].text, arguments)
    return None


def paths_of(tokens: Sequence[Token], roots: frozenset[str]) -> list[tuple[str, ...]]:
    """The paths that the tokens read, each root first: `params.to[0]` is ("params", "to"); no duplicates.

    A member call's name is no part of its path; an index that is no text literal ends it.
    """
    found: list[tuple[str, ...]] = []
    for index, token in enumerate(tokens):
        before = tokens[index - 1].text if index else ""
        after = tokens[index + 1].text if index + 1 < len(tokens) else ""
        if token.kind != "name" or token.text not in roots or before == "." or after == "(":
            continue
        path = [token.text]
        at = index + 1
        while at + 1 < len(tokens):
            if tokens[at].text == "." and tokens[at + 1].kind == "name":
                if at + 2 < len(tokens) and tokens[at + 2].text == "(":
                    break
                path.append(tokens[at + 1].text)
                at += 2
            elif tokens[at].text == "[" and tokens[at + 1].kind == "string" and _closing(tokens, at) == at + 2:
                path.append(tokens[at + 1].text.strip("'\""))
                at += 3
            else:
                break
        if tuple(path) not in found:
            found.append(tuple(path))
    return found
