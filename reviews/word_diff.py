"""What changed between two texts, word by word, with everything hidden revealed. Pure.

The shortest edit script is found greedily (Myers 1986, "An O(ND) Difference Algorithm"), up to a number of edits: a
provider writes these texts, so the time must not depend on how they repeat themselves.
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from itertools import groupby
from typing import Final, Literal

from reviews.cards.text import reveal
from reviews.cards.types import Part

Kind = Literal["same", "removed", "added"]

# Beyond so many edits by word, lines are compared; beyond so many by line, the one text replaces the other.
MOST_EDITS: Final = 300

_WORDS: Final = re.compile(r"\w+\s*|[^\w\s]\s*|\s+")


@dataclass(frozen=True, slots=True)
class Piece:
    """A run of text: in both, only before, or only after. Hidden characters are parts of their own."""

    kind: Kind
    parts: tuple[Part, ...]


def word_diff(before: str, after: str) -> tuple[Piece, ...]:
    """The pieces of both texts in reading order; one piece where they are equal, none where both are empty."""
    return tuple(Piece(kind, reveal(text).parts) for kind, text in _runs(before, after) if text)


def hidden_count(text: str) -> int:
    """How many hidden characters a text holds."""
    return reveal(text).hidden_count


def _runs(before: str, after: str) -> Iterator[tuple[Kind, str]]:
    if before == after:
        yield "same", after
        return
    edits = _edits(_WORDS.findall(before), _WORDS.findall(after))
    if edits is None:
        edits = _edits(before.splitlines(keepends=True), after.splitlines(keepends=True))
    if edits is None:
        edits = [("removed", before), ("added", after)]
    for kind, run in groupby(edits, key=lambda edit: edit[0]):
        yield kind, "".join(token for _, token in run)


def _edits(old: Sequence[str], new: Sequence[str]) -> list[tuple[Kind, str]] | None:
    """Each token with what became of it, in reading order; None beyond MOST_EDITS."""
    head = 0
    while head < min(len(old), len(new)) and old[head] == new[head]:
        head += 1
    tail = 0
    while tail < min(len(old), len(new)) - head and old[-1 - tail] == new[-1 - tail]:
        tail += 1
    middle = _shortest(old[head : len(old) - tail], new[head : len(new) - tail])
    if middle is None:
        return None
    same: list[tuple[Kind, str]] = [("same", token) for token in old[:head]]
    return [*same, *middle, *(("same", token) for token in old[len(old) - tail :])]


def _shortest(old: Sequence[str], new: Sequence[str]) -> list[tuple[Kind, str]] | None:
    """The greedy search: `reach[k]` is the furthest place in `old` on the diagonal `k`, after a number of edits."""
    reach = {1: 0}
    steps: list[dict[int, int]] = []
    for edits in range(min(len(old) + len(new), MOST_EDITS) + 1):
        steps.append(dict(reach))
        for diagonal in range(-edits, edits + 1, 2):
            down = diagonal == -edits or (diagonal != edits and reach[diagonal - 1] < reach[diagonal + 1])
            at = reach[diagonal + 1] if down else reach[diagonal - 1] + 1
            while at < len(old) and at - diagonal < len(new) and old[at] == new[at - diagonal]:
                at += 1
            reach[diagonal] = at
            if at >= len(old) and at - diagonal >= len(new):
                return _walked_back(old, new, steps)
    return None


def _walked_back(old: Sequence[str], new: Sequence[str], steps: Sequence[dict[int, int]]) -> list[tuple[Kind, str]]:
    found: list[tuple[Kind, str]] = []
    x, y = len(old), len(new)
    for edits in range(len(steps) - 1, -1, -1):
        reach, diagonal = steps[edits], x - y
        down = diagonal == -edits or (diagonal != edits and reach[diagonal - 1] < reach[diagonal + 1])
        before = diagonal + 1 if down else diagonal - 1
        from_x = reach[before]
        from_y = from_x - before
        while x > from_x and y > from_y and x > 0 and y > 0:
            x, y = x - 1, y - 1
            found.append(("same", old[x]))
        if edits == 0:
            break
        if down:
            y -= 1
            found.append(("added", new[y]))
        else:
            x -= 1
            found.append(("removed", old[x]))
    return found[::-1]
