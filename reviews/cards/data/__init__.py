"""Vendored tables, read once and only when a card needs them. `README.md` beside this names source, version and licence."""

from __future__ import annotations

import functools
from pathlib import Path
from typing import Final

_HERE: Final = Path(__file__).parent


@functools.cache
def public_suffix_rules() -> frozenset[str]:
    """The rules of the Public Suffix List, as A-labels: `com`, `co.uk`, `*.ck`, `!www.ck`."""
    return frozenset(_lines("public_suffix_list.txt"))


@functools.cache
def confusables() -> dict[int, str]:
    """The code point of each confusable character, with the prototype that UTS #39 gives it; ready for `str.translate`."""
    found = {}
    for line in _lines("confusables.txt"):
        code, _, prototype = line.partition(" ")
        found[int(code, 16)] = "".join(chr(int(part, 16)) for part in prototype.split("+"))
    return found


def _lines(name: str) -> list[str]:
    text = (_HERE / name).read_text(encoding="ascii")
    return [line for line in text.splitlines() if line and not line.startswith("#")]
