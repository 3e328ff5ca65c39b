"""UUIDv7 ids (RFC 9562, section 5.7), and their prefixed form on the wire."""

from __future__ import annotations

import re
import uuid
from typing import Final

import uuid6

_SHORT: Final = re.compile(r"(?:R-)?([0-9A-F]{6})", re.IGNORECASE)


def uuid7() -> uuid.UUID:
    """A new UUIDv7: ordered by creation time, safe to show."""
    return uuid.UUID(bytes=uuid6.uuid7().bytes)


def wire_id(prefix: str, value: uuid.UUID) -> str:
    """`rv_0193…`: the prefix and 32 hex digits."""
    return f"{prefix}_{value.hex}"


def parse_wire_id(prefix: str, text: str) -> uuid.UUID | None:
    """The id behind its wire form, or None when the text is not one of ours."""
    head, _, tail = text.partition("_")
    if head != prefix or len(tail) != 32:
        return None
    try:
        return uuid.UUID(hex=tail)
    except ValueError:
        return None


def short_review_id(wire: str) -> str:
    """`R-4F7A2C` for `rv_…4f7a2c`: a reading aid; the random tail of the id, not a counter that tells how busy others are.

    Text that is no review's id stays as it is.
    """
    found = parse_wire_id("rv", wire)
    return wire if found is None else f"R-{found.hex[-6:].upper()}"


def tail_of_short_review_id(text: str) -> str | None:
    """`4f7a2c`, how the id of each review that is called `R-4F7A2C` or `4F7A2C` ends; None for text that is no short id."""
    found = _SHORT.fullmatch(text)
    return found[1].lower() if found else None
