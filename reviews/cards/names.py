"""Domain names as people read them: registrable part, both spellings, and what a name could be mistaken for.

Sources: Public Suffix List (publicsuffix.org, "Algorithm"), UTS #39 sections 4 and 5 (skeletons, mixed scripts), UTS #46.
"""

from __future__ import annotations

import unicodedata
from collections.abc import Iterable
from dataclasses import dataclass
from functools import lru_cache
from typing import Final

import idna

from reviews.cards.data import confusables, public_suffix_rules

# Scripts that are written together in one language; by the first word of a character's Unicode name.
_TOGETHER: Final = (
    frozenset({"CJK", "HIRAGANA", "KATAKANA", "KATAKANA-HIRAGANA", "LATIN"}),
    frozenset({"CJK", "BOPOMOFO", "LATIN"}),
    frozenset({"CJK", "HANGUL", "LATIN"}),
)
_DISTANCE_FROM: Final = 5  # shorter names differ by one letter all the time


class BadNameError(ValueError):
    """The text is no domain name."""


@dataclass(frozen=True, slots=True)
class Name:
    """A domain name: `ascii` as it goes over the wire, `unicode` as people read it, both lower case, no last dot."""

    ascii: str
    unicode: str

    @property
    def is_international(self) -> bool:
        """Whether the two spellings differ."""
        return self.ascii != self.unicode


@lru_cache(maxsize=4096)
def read_name(written: str) -> Name:
    """Both spellings of a domain name. Raises BadNameError for what no resolver should be asked for."""
    name = written.removesuffix(".")
    if not name or len(name) > 253:
        raise BadNameError(written)
    try:
        if name.isascii():
            wire = name.lower()
            if any(not label or len(label) > 63 or not set(label) <= _LETTERS for label in wire.split(".")):
                raise BadNameError(written)
        else:
            wire = idna.encode(name, uts46=True).decode("ascii").lower()
        read = ".".join(idna.decode(label) if label.startswith("xn--") else label for label in wire.split("."))
    except (idna.IDNAError, UnicodeError):
        raise BadNameError(written) from None
    return Name(ascii=wire, unicode=read)


_LETTERS: Final = frozenset("abcdefghijklmnopqrstuvwxyz0123456789-_")


def registrable(wire: str) -> str:
    """The part of an A-label name that somebody registered: one label more than its public suffix. Empty if none is left."""
    labels = wire.split(".")
    rules = public_suffix_rules()
    length = 1  # an unlisted top level counts as a suffix
    for at in range(len(labels)):
        tail = labels[at:]
        if "!" + ".".join(tail) in rules:
            length = len(tail) - 1
            break
        if ".".join(tail) in rules or ".".join(["*", *tail[1:]]) in rules:
            length = len(tail)
            break
    return ".".join(labels[-length - 1 :]) if len(labels) > length else ""


def skeleton(text: str) -> str:
    """What the text looks like: equal for texts that a reader could take for each other (UTS #39, section 4)."""
    plain = unicodedata.normalize("NFD", text.casefold()).translate(confusables())
    return unicodedata.normalize("NFD", plain).casefold()


def mixes_scripts(name: str) -> bool:
    """Whether one label has letters of scripts that no language writes together (UTS #39, section 5)."""
    return any(_mixed(label) for label in name.split("."))


def _mixed(label: str) -> bool:
    if label.isascii():
        return False
    scripts = {unicodedata.name(char, "?").partition(" ")[0] for char in label if char.isalpha()}
    return len(scripts) > 1 and not any(scripts <= together for together in _TOGETHER)


def reads_like(name: str) -> str:
    """The plain-letter name that a reader would see in an international one; empty where it reads as what it is."""
    if name.isascii():
        return ""
    # The prototypes of m and w are two letters; undone for reading only.
    seen = skeleton(name).replace("rn", "m")
    return seen if seen.isascii() else ""


def look_alike(name: Name, own: Iterable[str]) -> str:
    """Which of our own names (A-labels) this one could be taken for; empty for none and for our own."""
    own = frozenset(own)
    if name.ascii in own:
        return ""
    theirs = skeleton(name.unicode)
    base = registrable(name.ascii) or name.ascii
    for mine in sorted(own):
        mine_base = registrable(mine) or mine
        if name.ascii.endswith(f".{mine}"):
            continue  # below ours: not a disguise
        if theirs == skeleton(mine) or f".{mine}." in f".{name.ascii}.":
            return mine
        if base == mine_base:
            continue
        first, mine_first = base.partition(".")[0], mine_base.partition(".")[0]
        if skeleton(first) == skeleton(mine_first):
            return mine
        if len(mine_first) >= 4 and mine_first in first.split("-"):
            return mine
        if min(len(first), len(mine_first)) >= _DISTANCE_FROM and _is_one_slip(first, mine_first):
            return mine
    return ""


def _is_one_slip(one: str, other: str) -> bool:
    """Whether one letter added, dropped, changed or two swapped make one of the other (Damerau-Levenshtein of 1)."""
    if abs(len(one) - len(other)) > 1 or one == other:
        return False
    at = 0
    while at < min(len(one), len(other)) and one[at] == other[at]:
        at += 1
    rest, other_rest = one[at:], other[at:]
    return (
        rest[1:] == other_rest[1:]
        or rest[1:] == other_rest
        or rest == other_rest[1:]
        or (len(rest) > 1 and rest[:2] == other_rest[1::-1] and rest[2:] == other_rest[2:])
    )
