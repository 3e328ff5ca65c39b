"""Amounts in sentences: minor units back as money, and limits by currency as people say them. Pure."""

from __future__ import annotations

import re
from collections.abc import Mapping
from decimal import Decimal

from policy.money import EXPONENTS
from policy.source import Leaf, Token, call_of, tokens_of

_LIMIT = re.compile(r"\{\s*('[A-Z]{3}'\s*:\s*-?\d+\s*(?:,\s*'[A-Z]{3}'\s*:\s*-?\d+\s*)*)\}\s*\[(.+)\]", re.DOTALL)
_ENTRY = re.compile(r"'([A-Z]{3})'\s*:\s*(-?\d+)")


def money_text(code: str, minor: int) -> str:
    """USD 5,000.00 for ("USD", 500000)."""
    exponent = EXPONENTS.get(code, 0)
    return f"{code} {Decimal(minor).scaleb(-exponent):,.{exponent}f}"


def limits_of(text: str) -> tuple[Mapping[str, int], str] | None:
    """(currency → limit in minor units, the text that picks one) of `{'USD': 500000}[params.currency]`."""
    found = _LIMIT.fullmatch(text.strip())
    if not found:
        return None
    return {code: int(amount) for code, amount in _ENTRY.findall(found[1])}, found[2]


def limits_text(limits: Mapping[str, int]) -> str:
    """The limits in words."""
    return " or ".join(money_text(code, amount) for code, amount in limits.items())


def currency_text(left: str, right: str) -> str | None:
    """The piece of the condition that gives the currency of a comparison of minor units; None where there is none."""
    limits = limits_of(right)
    call = call_of(Leaf(left, 0, tuple(tokens_of(left))))
    if call and call.function == "minor" and call.target is None and len(call.arguments) == 2:
        return call.arguments[1]
    return limits[1] if limits else None


def is_whole(text: str) -> bool:
    """Whether the text is a whole number as a literal."""
    tokens: list[Token] = tokens_of(text)
    return len(tokens) == 1 and tokens[0].kind == "number" and tokens[0].text.isdecimal()
