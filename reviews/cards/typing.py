"""Whether what a reviewer typed is the decisive value, and the three values to pick from. Pure.

Typing the salient field works even on people who are used to it; picking the right one of three serves those who cannot
type. Source: reviewer-experience.md section 2.
"""

from __future__ import annotations

import hashlib
import re
import unicodedata
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from decimal import Decimal, InvalidOperation
from itertools import islice
from typing import Final

from reviews.cards.formatters.ids import on_paper
from reviews.cards.text import flat, reveal
from reviews.cards.types import Fact, Role

# Formatters whose value is a number, however it is written.
_NUMERIC: Final = frozenset({"money", "number", "bytes", "percent", "duration", "list", "nested"})
# Formatters whose whole value stands on one line, as it may be copied from the card.
_SHORT_FORMS: Final = frozenset(
    {"money", "number", "bytes", "percent", "duration", "date_time", "datetime", "boolean", "enum"}
)
_DATES: Final = frozenset({"date_time", "datetime"})
# How numbers are written (Unicode CLDR): group and decimal mark by language, the few countries that differ from theirs.
# fmt: off
_COMMA: Final = frozenset(["da", "de", "el", "es", "hr", "id", "is", "it", "nl", "pt", "ro", "sl", "sr", "tr", "vi"])
_SPACE: Final = frozenset(
    [
        "bg", "cs", "et", "fi", "fr", "hu", "hy", "ka", "kk", "lt", "lv", "nb", "nn", "no", "pl", "ru", "sk", "sq",
        "sv", "uk",
    ]
)
# fmt: on
_POINT_COUNTRIES: Final = frozenset({"de-ch", "de-li", "it-ch", "es-mx", "es-us", "es-gt", "es-pa", "es-pe", "es-do"})
_SYMBOLS: Final = {"USD": "$", "EUR": "\u20ac", "GBP": "\u00a3", "JPY": "\u00a5", "INR": "\u20b9", "CHF": "fr."}
_SPACES: Final = re.compile(r"[ \u00a0\u2009\u202f]")
# Groups of three, or of two and then three as in India; a group of another size is a slip, not a number.
_PLAIN: Final = re.compile(r"[+-]?(?:\d+|\d{1,3}(?:,\d{3})+|\d{1,2}(?:,\d{2})*,\d{3})(?:\.\d+)?")
_COMMA_CENTS: Final = re.compile(r"^([+-]?\d+),(\d{1,2})$")
_CHOICES: Final = 3
_LONGEST_CHOICE: Final = 200


def accepts(fact: Fact, typed: str, *, locale: str = "en") -> bool:
    """Whether `typed` is the fact's value.

    Numbers are compared as decimals as the reader's `locale` writes them: `4700` and `4,700.00` are USD 4,700.00, `47.00`
    is not; the unit may stand before or after. What stands on the card itself always counts. Other values are compared
    without regard to case and spacing (NFKC); hidden characters never count as typed, nor does a value that has some
    match the same text without them.
    """
    if not typed.strip():
        return False
    if fact.formatter in _SHORT_FORMS and _norm(typed) in (_norm(fact.text), _norm(_shown(fact))):
        return True
    if fact.formatter in _NUMERIC:
        wanted, given = _decimal(fact.exact), read_number(typed, unit=fact.unit, locale=locale)
        return wanted is not None and wanted == given
    if not fact.exact or reveal(typed).hidden_count:
        return False
    if fact.formatter == "email":
        return _addresses(typed) == _addresses(fact.exact)
    if reveal(fact.exact).hidden_count:
        return _norm(typed) == _norm(flat(fact.exact))
    if fact.formatter == "id" and not any(char.isspace() for char in fact.exact):
        return _norm(typed).replace(" ", "") == _norm(fact.exact)  # an account number is typed in groups, or at once
    return _norm(typed) in (_norm(fact.exact), _norm(flat(fact.exact)))


def choices(fact: Fact, *, digest: str = "") -> tuple[str, ...]:
    """The value among two that are not it, in an order that hangs on the `digest` of the call alone.

    Two where only two are possible; none for a value that is hidden or too long to compare. `accepts` takes exactly one.
    """
    right = _shown(fact)
    if fact.is_hidden or not right or len(right) > _LONGEST_CHOICE:
        return ()
    seed = f"{digest}\n{fact.pointer}\n{fact.exact}"
    taken = {_norm(right)}
    wrong: list[str] = []
    for decoy in islice(_decoys(fact, right, seed), 60):
        if len(wrong) < _CHOICES - 1 and _norm(decoy) not in taken and not accepts(fact, decoy):
            taken.add(_norm(decoy))
            wrong.append(decoy)
    if not wrong:
        return ()
    return tuple(sorted((right, *wrong), key=lambda text: _hash(f"{seed}\n{text}")))


def _norm(text: str) -> str:
    return " ".join(unicodedata.normalize("NFKC", text).split()).casefold()


def _addresses(text: str) -> frozenset[str]:
    return frozenset(part.casefold() for part in re.split(r"[\s,;]+", text) if part)


def _decimal(written: str) -> Decimal | None:
    try:
        return Decimal(written)
    except InvalidOperation:
        return None


def read_number(typed: str, *, unit: str = "", locale: str = "en") -> Decimal | None:
    """A number as the locale writes it, the unit before or after it left out; None for anything else.

    Where the decimal mark is a point, a comma alone before one or two last digits is one too: it groups no thousands, and
    a phone of another language may offer no point.
    """
    text = _SPACES.sub(" ", typed).strip().replace("\u2212", "-")
    for name in filter(None, (unit, _SYMBOLS.get(unit, ""))):
        if text.casefold().startswith(name.casefold()):
            text = text[len(name) :].strip()
            break
        if text.casefold().endswith(name.casefold()):
            text = text[: -len(name)].strip()
            break
    group, point = _marks(locale)
    if point == ".":
        text = _COMMA_CENTS.sub(r"\1.\2", text)
    if point == ",":
        text = text.replace(",", "\0").replace(group, ",").replace("\0", ".")
    elif group != ",":
        text = text.replace(group, ",")
    text = text.replace("\u2019", ",").replace("'", ",")
    if not text.isascii() or not _PLAIN.fullmatch(text):
        return None
    return _decimal(text.replace(",", ""))


def _marks(locale: str) -> tuple[str, str]:
    """Group and decimal mark of a locale such as `de` or `de-CH`."""
    name = locale.casefold().replace("_", "-")
    language = name.partition("-")[0]
    if name in _POINT_COUNTRIES:
        return ",", "."
    if language in _COMMA:
        return ".", ","
    return (" ", ",") if language in _SPACE else (",", ".")


def _shown(fact: Fact) -> str:
    """The value as it stands among the choices."""
    if fact.formatter in ("money", "bytes", "percent", "duration", "date_time", "datetime"):
        return "".join(part.text for part in fact.parts if part.role is Role.STRONG) or fact.text
    if fact.formatter == "email":
        return ", ".join(flat(address) for address in fact.exact.split("\n"))
    if fact.formatter in _NUMERIC:
        return fact.exact
    return " ".join(flat(on_paper(fact.exact) if fact.formatter == "id" else fact.exact).split())


def _decoys(fact: Fact, right: str, seed: str) -> Iterator[str]:
    if fact.choices:
        yield from sorted(
            (choice for choice in fact.choices if choice != fact.exact), key=lambda text: _hash(seed + text)
        )
        return
    numbers = [int(_hash(f"{seed}\n{turn}"), 16) for turn in range(40)]
    if fact.formatter in _DATES:
        yield from (_other_day(right, number) for number in numbers)
        return
    if fact.formatter == "money" and (amount := _decimal(fact.exact)):
        yield from _other_sizes(amount, right, numbers[0])
    digits = [at for at, char in enumerate(right) if char.isascii() and char.isdigit()]
    letters = _letters(right)
    by_digit = fact.formatter in (*_NUMERIC, "id") or not letters
    for number in numbers:
        if digits and (by_digit or number % 2):
            yield _other_digits(right, digits, number)
        elif letters:
            yield _other_letter(right, letters[number // 7 % len(letters)], number)


def _other_sizes(amount: Decimal, right: str, number: int) -> Iterator[str]:
    """The amount ten times as large, or a tenth: what a slip of the decimal point would make of it."""
    places = max(0, -int(amount.as_tuple().exponent))
    sizes = (amount * 10, amount / 10)
    for size in sizes if number % 2 else sizes[::-1]:
        text = f"{size:,.{places}f}"
        if Decimal(text.replace(",", "")) == size:
            yield f"{right.rpartition(' ')[0]} {text}".strip()


def _other_day(right: str, number: int) -> str:
    """The same words for a day a few days away; the text itself where it is no such date."""
    found = re.match(r"\w{3} (\d{1,2} \w{3} \d{4})", right)
    if not found:
        return right
    try:
        day = datetime.strptime(found.group(1), "%d %b %Y").replace(tzinfo=UTC) + timedelta(days=number % 19 - 9)
    except (ValueError, OverflowError):
        return right
    return f"{day:%a} {day.day} {day:%b %Y}{right[found.end() :]}"


_SWAPS: Final = ("aeiou", "bdpgkt", "mnrl", "szcfvhjxwqy")


def _letters(text: str) -> list[int]:
    return [at for at, char in enumerate(text) if any(char.casefold() in group for group in _SWAPS)]


def _other_letter(text: str, at: int, number: int) -> str:
    """The text with one letter changed for one of its kind: still a word to look at."""
    char = text[at]
    group = next(group for group in _SWAPS if char.casefold() in group)
    others = [letter for letter in group if letter != char.casefold()]
    new = others[number // 101 % len(others)]
    return text[:at] + (new.upper() if char.isupper() else new) + text[at + 1 :]


def _other_digits(text: str, digits: list[int], number: int) -> str:
    """The text with a digit changed or two exchanged; never a leading zero that was none."""
    at = digits[number // 7 % len(digits)]
    after = next((other for other in digits if other > at and text[other] != text[at]), None)
    if number % 3 and after is not None and text[after] != "0":
        chars = list(text)
        chars[at], chars[after] = chars[after], chars[at]
        return "".join(chars)
    new = str((int(text[at]) + 1 + number // 11 % 8) % 10)
    return text[:at] + ("7" if new == "0" else new) + text[at + 1 :]


def _hash(text: str) -> str:
    return hashlib.sha256(text.encode("utf-8", "surrogatepass")).hexdigest()
