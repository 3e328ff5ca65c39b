"""Untrusted text with nothing hidden in it. Pure."""

from __future__ import annotations

import json
import unicodedata
from typing import Final

# Of no category that hides, and invisible all the same (reviewer-experience.md, section 3).
_INVISIBLE: Final = frozenset(
    [0x034F, 0x115F, 0x1160, 0x17B4, 0x17B5, 0x2800, 0x3164, 0xFFA0, *range(0xFE00, 0xFE10), *range(0xE0100, 0xE01F0)]
)


def reveal(text: str) -> str:
    """The text with every character that cannot be seen written as a JSON escape, so that nothing hides or reorders."""
    return "".join(char if _is_visible(char) else _escaped(char) for char in text)


def _is_visible(char: str) -> bool:
    if char in " \n\t" or " " < char < "\x7f":
        return True
    category = unicodedata.category(char)
    return category[0] != "C" and category not in {"Zl", "Zp", "Zs"} and ord(char) not in _INVISIBLE


def _escaped(char: str) -> str:
    return json.dumps(char)[1:-1] if char != "\x7f" else "\\u007f"
