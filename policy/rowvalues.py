"""What people type into a row, as pieces of CEL: paths, texts, numbers, money, words. Pure; raises BadValue."""

from __future__ import annotations

import re
from decimal import Decimal
from typing import Final, TypeAlias

from policy.cel import FIXED_FIELDS, ROOTS
from policy.money import EXPONENTS

Path: TypeAlias = tuple[str, ...]

_NAME = re.compile(r"[A-Za-z_][A-Za-z0-9_]*")
_STEP = re.compile(r"[^\s.\[\]'\"`\\]{1,80}")
_NUMBER = re.compile(r"-?(\d+|\d{1,3}(,\d{3})+|\d{1,3}( \d{3})+)(\.\d+)?")
_MONEY = re.compile(r"(?:([A-Za-z]{3})\s*)?(\d{1,3}(?:,\d{3})+(?:\.\d+)?|\d+(?:\.\d+)?)(?:\s*([A-Za-z]{3})\b)?")
# Words that CEL keeps to itself.
_RESERVED: Final = frozenset(
    (
        *("as", "break", "const", "continue", "else", "false", "for", "function", "if", "import", "in", "let", "loop"),
        *("namespace", "null", "package", "return", "true", "var", "void", "while"),
    )
)


class BadValue(ValueError):
    """What was typed cannot be used; `part` is field, operator or value."""

    def __init__(self, part: str, sentence: str) -> None:
        self.part = part
        super().__init__(sentence)


def path_of(field: str) -> Path:
    """The path of a field: `params.amount` and, for short, `amount` are ("params", "amount")."""
    text = field.strip()
    if not text:
        raise BadValue("field", "Choose a field.")
    steps = tuple(text.split("."))
    if steps[0] not in ROOTS:
        steps = ("params", *steps)
    if not all(_STEP.fullmatch(step) for step in steps):
        raise BadValue("field", f"{text} is not the name of a field. Write it like params.amount.")
    root = steps[0]
    if root in ("action_id", "now") and len(steps) == 1:
        return steps
    if len(steps) < 2 or root in ("action_id", "now"):
        raise BadValue("field", f"{text} is not the name of a field. Write it like {root}.name.")
    if root in FIXED_FIELDS and (len(steps) > 2 or steps[1] not in FIXED_FIELDS[root]):
        raise BadValue("field", f"{root} has these fields: {', '.join(FIXED_FIELDS[root])}.")
    return steps


def _is_plain(step: str) -> bool:
    return bool(_NAME.fullmatch(step)) and step not in _RESERVED


def path_text(path: Path) -> str:
    """The path in CEL: `params.amount`, or `params['e-mail']` where the name is no identifier."""
    return path[0] + "".join(f".{step}" if _is_plain(step) else f"[{text_literal(step)}]" for step in path[1:])


def has_text(path: Path) -> str:
    """Whether the last step is there, in CEL; its parents must be."""
    parent = path_text(path[:-1])
    return f"has({parent}.{path[-1]})" if _is_plain(path[-1]) else f"({text_literal(path[-1])} in {parent})"


def text_literal(text: str) -> str:
    """The text as a CEL literal in single quotes."""
    escaped = text.replace("\\", "\\\\").replace("'", "\\'")
    return "'" + "".join(char if char.isprintable() else f"\\U{ord(char):08x}" for char in escaped) + "'"


def pattern_literal(pattern: str) -> str:
    """A regular expression as a raw literal where its quotes allow one."""
    for quote in ("'", '"'):
        if quote not in pattern and pattern.isprintable():
            return f"r{quote}{pattern}{quote}"
    return text_literal(pattern)


def unquoted(text: str) -> str:
    """The text without the quotes that somebody put around it."""
    if len(text) >= 2 and text[0] == text[-1] and text[0] in "'\"":
        return text[1:-1]
    return text


def number(text: str) -> str:
    """A number in CEL; thousands may be separated with commas or spaces."""
    if not _NUMBER.fullmatch(text):
        raise BadValue("value", f"“{text}” is not a number. Write it like 5000 or 12.5.")
    bare = text.replace(",", "").replace(" ", "")
    whole_part, dot, decimals = bare.partition(".")
    sign = "-" if whole_part.startswith("-") else ""
    digits = whole_part.lstrip("-").lstrip("0") or "0"
    if len(digits) > 15 or len(decimals) > 9:
        raise BadValue("value", "This number is too large or has too many decimals.")
    return f"{sign}{digits}{dot}{decimals}"


def whole(text: str) -> str:
    """A count in CEL."""
    found = number(text)
    if "." in found or found.startswith("-"):
        raise BadValue("value", f"“{text}” is not a count. Write a whole number.")
    return found


def money(text: str) -> dict[str, int]:
    """Currency → limit in minor units: "5,000 USD, 4500 EUR" is {"USD": 500000, "EUR": 450000}."""
    found: dict[str, int] = {}
    for match in _MONEY.finditer(text):
        before, amount, after = match.groups()
        code = (before or after or "").upper()
        if bool(before) == bool(after) or code not in EXPONENTS:
            raise BadValue("value", "Write an amount with its currency, such as 5000 USD.")
        if code in found:
            raise BadValue("value", f"{code} has two limits.")
        scaled = Decimal(amount.replace(",", "")).scaleb(EXPONENTS[code])
        if scaled != scaled.to_integral_value() or abs(scaled) > 2**53 - 1:
            raise BadValue("value", f"{code} has {EXPONENTS[code]} decimals at most.")
        found[code] = int(scaled)
    if not found or _MONEY.sub("", text).strip(" ,;"):
        raise BadValue("value", "Write an amount with its currency, such as 5000 USD.")
    return found


def flag(text: str) -> str:
    """true or false in CEL."""
    word = text.strip().lower()
    if word in ("true", "yes"):
        return "true"
    if word in ("false", "no"):
        return "false"
    raise BadValue("value", "Write true or false.")


def items(text: str) -> list[str]:
    """The parts between commas, without quotes."""
    found = [unquoted(part.strip()) for part in text.split(",") if part.strip()]
    if not found:
        raise BadValue("value", "Write what to compare with, separated by commas.")
    return found


def words_pattern(text: str) -> str:
    """A regular expression that finds any of the words, whatever their case."""
    words = [re.sub(r"[^A-Za-z0-9_ ]", lambda match: "\\" + match.group(), item) for item in items(text)]
    return rf"(?i)\b(?:{'|'.join(words)})\b"
