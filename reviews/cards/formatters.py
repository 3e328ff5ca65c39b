"""Formatters for single values: money, numbers, dates, addresses, links, ids, text, secrets.

Each takes a `Value` and gives `Rendered`, or raises when the value is not of its kind; `registry.render` turns a raise
into the raw value marked *Not inspected*. Source: reviewer-experience.md section 3, "Formatter registry".
"""

from __future__ import annotations

import ipaddress
import re
import unicodedata
from collections import Counter
from collections.abc import Mapping
from datetime import UTC, date, datetime, timedelta
from decimal import Decimal
from email.utils import getaddresses
from typing import Final, TypeVar
from urllib.parse import urlsplit

from policy.money import EXPONENTS
from reviews.cards.pointer import MissingError, resolve
from reviews.cards.text import flat, reveal, text_cautions
from reviews.cards.types import Caution, Part, Rendered, Role, Severity, Value

TEXT_LINES: Final = 12
TEXT_LINE_CHARACTERS: Final = 90

# fmt: off
_FREE_MAIL: Final = frozenset(
    [
        "gmail.com", "googlemail.com", "outlook.com", "hotmail.com", "live.com", "yahoo.com", "ymail.com",
        "icloud.com", "me.com", "aol.com", "proton.me", "protonmail.com", "gmx.de", "gmx.net", "web.de",
        "mail.com", "mail.ru", "yandex.ru", "qq.com", "163.com", "zoho.com",
    ]
)
# fmt: on
_ADDRESS: Final = re.compile(r"[^\s@\"(),:;<>\[\\\]]+@[^\s@\"(),:;<>\[\\\]]+\.?[^\s@\"(),:;<>\[\\\]]+")
_SCHEME: Final = re.compile(r"[a-z][a-z0-9+.-]*://", re.IGNORECASE)


T = TypeVar("T")


class WrongKindError(ValueError):
    """The value is not what the formatter reads."""


def _want(value: object, kind: type[T]) -> T:
    # JSON's true is not a number, though Python's bool is an int.
    if not isinstance(value, kind) or (isinstance(value, bool) and kind is not bool):
        raise WrongKindError(kind.__name__)
    return value


def _number(value: object) -> int | float:
    if isinstance(value, bool) or not isinstance(value, int | float):
        raise WrongKindError("number")
    return value


def _one(
    value: Value, *parts: Part, cautions: tuple[Caution, ...] = (), raw: str = "", inspected: bool = True
) -> Rendered:
    return Rendered(parts, frozenset([value.pointer]), cautions=cautions, raw=raw, inspected=inspected)


def money(value: Value) -> Rendered:
    """`USD 4,700.00`, raw "470000 minor units".

    Options: `currency_pointer` (default `/currency`), where the call names its currency; `currency`, what it is when the
    call does not; `minor` true (default) or false; `exponent`, else the currency's own in ISO 4217.
    """
    amount = _number(value.value)
    code = _currency(value)
    cautions: list[Caution] = []
    if code not in EXPONENTS:
        cautions.append(Caution("unknown_currency", Severity.CAUTION, {"currency": flat(code)}))
    declared = value.options.get("exponent")
    exponent = _want(declared, int) if declared is not None else EXPONENTS[code]
    is_minor = value.options.get("minor", True) is True
    # repr is the shortest text that reads back as the same double: what the sender most likely meant.
    exact = Decimal(repr(amount)) if isinstance(amount, float) else Decimal(amount)
    if isinstance(amount, float):
        cautions.append(Caution("float_money"))
    major = exact.scaleb(-exponent) if is_minor else exact
    if major < 0:
        cautions.append(Caution("negative"))
    places = max(exponent, -int(major.as_tuple().exponent))
    raw = f"{number_text(amount)} {'minor' if is_minor else 'major'} units"
    return _one(value, Part(f"{flat(code)} {major:,.{places}f}", Role.STRONG), cautions=tuple(cautions), raw=raw)


def _currency(value: Value) -> str:
    """The code that the call itself names, else the template's: a template must not talk over the call."""
    try:
        named = resolve(value.root, str(value.options.get("currency_pointer", "/currency")))
    except MissingError:
        named = value.options.get("currency")
    return _want(named, str).strip().upper()


def number_text(amount: int | float) -> str:
    """A number as JSON would write it."""
    return (
        str(int(amount)) if isinstance(amount, float) and amount.is_integer() and abs(amount) < 2**53 else repr(amount)
    )


def number(value: Value) -> Rendered:
    """The number with thousands grouped; the raw one beside where they differ. The unit stays in the label."""
    amount = _number(value.value)
    raw = number_text(amount)
    grouped = f"{Decimal(raw):,f}" if abs(amount) < 1e21 else raw
    return _one(value, Part(grouped, Role.STRONG), raw=raw if raw != grouped else "")


def boolean(value: Value) -> Rendered:
    """`yes` or `no`."""
    return _one(value, Part("yes" if _want(value.value, bool) else "no", Role.STRONG))


def null(value: Value) -> Rendered:
    """`none`, for JSON null."""
    if value.value is not None:
        raise WrongKindError("null")
    return _one(value, Part("none", Role.QUIET))


def enum(value: Value) -> Rendered:
    """One of the declared values; a caution where it is not."""
    chosen = _want(value.value, str)
    allowed = value.options.get("values") or (value.schema or {}).get("enum") or []
    outside = isinstance(allowed, list) and bool(allowed) and chosen not in allowed
    seen = reveal(chosen)
    cautions = (Caution("not_in_enum"),) if outside else ()
    return _one(value, *seen.parts, cautions=(*cautions, *seen.cautions))


def text(value: Value) -> Rendered:
    """The text with line breaks kept: 12 lines, then a fold that says how much it holds."""
    written = _want(value.value, str)
    if not written:
        return _one(value, Part("empty text", Role.QUIET))
    seen = reveal(written)
    first, more = _split_lines(seen.parts)
    label = ""
    if more:
        body = "".join(part.text for part in more)
        lines = body.count("\n") + 1
        noun = "line" if lines == 1 else "lines"
        label = f"show {lines:,} more {noun} ({len(body):,} characters)"
    return Rendered(
        first, frozenset([value.pointer]), cautions=text_cautions(written, seen), more=more, more_label=label
    )


def _split_lines(parts: tuple[Part, ...]) -> tuple[tuple[Part, ...], tuple[Part, ...]]:
    """Parts before and after the point where 12 lines (or as many characters as fill them) end."""
    budget_lines, budget_characters = TEXT_LINES, TEXT_LINES * TEXT_LINE_CHARACTERS
    for index, part in enumerate(parts):
        cut = None
        lines = part.text.count("\n")
        if lines >= budget_lines:
            at = -1
            for _ in range(budget_lines):
                at = part.text.index("\n", at + 1)
            cut = at + 1
        if len(part.text) > budget_characters and (cut is None or cut > budget_characters):
            cut = budget_characters
        if cut is not None and part.role is not Role.TEXT:
            cut = 0  # a chip is never cut in two
        if cut is not None:
            before = (*parts[:index], *([Part(part.text[:cut].removesuffix("\n"), part.role)] if cut else []))
            after = (*([Part(part.text[cut:], part.role)] if part.text[cut:] else []), *parts[index + 1 :])
            # A fold of a line or two hides more than it saves.
            if sum(len(rest.text) for rest in after) <= TEXT_LINE_CHARACTERS:
                return parts, ()
            return before, after
        budget_lines -= lines
        budget_characters -= len(part.text)
    return parts, ()


def identifier(value: Value) -> Rendered:
    """An id in fixed-width letters."""
    if isinstance(value.value, int) and not isinstance(value.value, bool):
        return _one(value, Part(str(value.value), Role.MONO))
    seen = reveal(_want(value.value, str))
    parts = tuple(Part(part.text, Role.MONO if part.role is Role.TEXT else part.role) for part in seen.parts)
    return _one(value, *(parts or (Part("empty text", Role.QUIET),)), cautions=seen.cautions)


_DATE_ONLY: Final = re.compile(r"\d{4}-\d{2}-\d{2}")


def date_time(value: Value) -> Rendered:
    """`Tue 24 Nov 2026, 14:00 UTC (in 3 days)`; a date alone is no instant and gets no clock."""
    written = _want(value.value, str)
    if _DATE_ONLY.fullmatch(written):
        day = date.fromisoformat(written)
        cautions = (Caution("past"),) if day < value.now.date() else ()
        days = (day - value.now.date()).days
        return _one(value, Part(f"{day:%a} {day.day} {day:%b %Y}", Role.STRONG), Part(f" ({_days(days)})", Role.QUIET),
                    cautions=cautions, raw=written)  # fmt: skip
    if not re.match(r"\d{4}-\d{2}-\d{2}[T ]\d{2}:\d{2}", written):
        raise WrongKindError("date-time")
    at = datetime.fromisoformat(written)
    words = f"{at:%a} {at.day} {at:%b %Y, %H:%M}{f':{at:%S}' if at.second else ''}"
    if at.tzinfo is None:
        local: tuple[Caution, ...] = (Caution("no_offset"),)
        if at < value.now.replace(tzinfo=None) - timedelta(hours=14):
            local = (*local, Caution("past"))
        return _one(value, Part(words, Role.STRONG), cautions=local, raw=written)
    universal = at.astimezone(UTC)
    zone = "UTC" if at.utcoffset() == timedelta(0) else f"UTC{at:%z}"
    distance = _distance(universal - value.now)
    parts = [Part(f"{words} {zone}", Role.STRONG), Part(f" ({distance})", Role.QUIET)]
    if zone != "UTC":
        parts.append(Part(f" {universal:%H:%M} UTC", Role.QUIET))
    return _one(value, *parts, cautions=(Caution("past"),) if universal < value.now else (), raw=written)


def _days(days: int) -> str:
    if days == 0:
        return "today"
    noun = "day" if abs(days) == 1 else "days"
    return f"in {days:,} {noun}" if days > 0 else f"{-days:,} {noun} ago"


def _distance(span: timedelta) -> str:
    seconds = abs(span.total_seconds())
    for limit, size, noun in ((90, 1, "s"), (5400, 60, "min"), (172_800, 3600, "h")):
        if seconds < limit:
            words = f"{seconds / size:.0f} {noun}"
            break
    else:
        words = f"{seconds / 86_400:,.0f} days"
    return f"in {words}" if span > timedelta(0) else f"{words} ago"


def email(value: Value) -> Rendered:
    """One address or several: local part, **domain**; *Internal* or *External* where `own_domains` is declared.

    Reads a string (which may hold a list: a parser for one address drops the second) or a list of strings. Anything
    ambiguous (line breaks, more `@` than addresses) raises, so the raw value is shown as not inspected.
    """
    if isinstance(value.value, list):
        written = [_want(item, str) for item in value.value]
        covers = frozenset(f"{value.pointer}/{index}" for index in range(len(written))) or frozenset([value.pointer])
    else:
        written = [_want(value.value, str)]
        covers = frozenset([value.pointer])
    found: list[tuple[str, str]] = []
    for item in written:
        if item.strip():
            found.extend(_addresses(item))
    if not found:
        if any(written):
            raise WrongKindError("e-mail")
        return Rendered((Part("none", Role.QUIET),), covers)
    own_option = value.options.get("own_domains")
    own = frozenset(str(domain).casefold() for domain in own_option) if isinstance(own_option, list) else None
    parts: list[Part] = []
    cautions: list[Caution] = []
    outside = 0
    for name, address in found:
        if parts:
            parts.append(Part("\n"))
        local, _, domain = address.rpartition("@")
        if name:
            seen = reveal(name)
            parts.extend((Part('"'), *seen.parts, Part('" ')))
            cautions.extend(seen.cautions)
            if "@" in name:
                cautions.append(Caution("address_in_name", Severity.DANGER))
        local_seen, domain_seen = reveal(local), reveal(domain)
        cautions.extend((*local_seen.cautions, *domain_seen.cautions))
        parts.extend((*local_seen.parts, Part("@")))
        parts.extend(
            Part(part.text, Role.STRONG if part.role is Role.TEXT else part.role) for part in domain_seen.parts
        )
        folded = domain.casefold()
        if own is not None:
            is_own = folded in own
            outside += not is_own
            parts.extend((Part(" "), Part("Internal" if is_own else "External", Role.CHIP)))
        if folded in _FREE_MAIL:
            cautions.append(Caution("free_mail", Severity.INFO, {"domain": folded}))
        if _mixes_scripts(domain):
            cautions.append(Caution("mixed_script", Severity.DANGER))
    if outside:
        cautions.insert(0, Caution("external", Severity.CAUTION, {"count": str(outside)}))
    if value.key.casefold() == "bcc":
        cautions.append(Caution("bcc"))
    repeats = sum(count - 1 for count in Counter(address.casefold() for _, address in found).values())
    if repeats:
        cautions.append(Caution("duplicates", Severity.INFO, {"count": str(repeats)}))
    short = found[0][1]
    if len(found) > 1:
        parts.append(Part(f"\n{len(found)} addresses", Role.QUIET))
        short = f"{len(found)} addresses{f', {outside} outside' if outside else ''}"
    return Rendered(tuple(parts), covers, cautions=_distinct(cautions), short=short)


def _distinct(cautions: list[Caution]) -> tuple[Caution, ...]:
    seen: dict[tuple[str, str], Caution] = {}
    for caution in cautions:
        seen.setdefault((caution.code, caution.sentence), caution)
    return tuple(seen.values())


def _addresses(written: str) -> list[tuple[str, str]]:
    if any(unicodedata.category(char) == "Cc" for char in written):
        raise WrongKindError("line break in an address")
    found = [(name.strip(), address) for name, address in getaddresses([written])]
    if any(not _ADDRESS.fullmatch(address) for _, address in found):
        raise WrongKindError("e-mail")
    if sum(name.count("@") + 1 for name, _ in found) != written.count("@"):
        raise WrongKindError("ambiguous address list")
    # The parser drops comments, groups and stray words without a sound; then nothing of it is to be trusted.
    rest = written
    for name, address in found:
        rest = rest.replace(address, "", 1).replace(name, "", 1)
    if rest.strip(' "<>,'):
        raise WrongKindError("an address list with more in it than addresses")
    return found


def _mixes_scripts(name: str) -> bool:
    scripts = {unicodedata.name(char, "?").partition(" ")[0] for char in name if char.isalpha()}
    return len(scripts) > 1


def url(value: Value) -> Rendered:
    """Scheme, **host**, path as text, never a link; says where programs would disagree about the address."""
    written = _want(value.value, str)
    if not _SCHEME.match(written) and not written.lower().startswith("www."):
        raise WrongKindError("address")
    cautions: list[Caution] = list(reveal(written).cautions)
    if "\\" in written or any(char.isspace() or unicodedata.category(char) == "Cc" for char in written):
        cautions.append(Caution("ambiguous_address", Severity.DANGER))
        return _one(value, *reveal(written).parts, cautions=tuple(cautions))
    scheme = _SCHEME.match(written)
    split = urlsplit(written if scheme else f"//{written}")
    host = split.hostname or ""
    if not host:
        raise WrongKindError("address without a host")
    netloc_at = written.index(split.netloc)
    before, after = written[:netloc_at], written[netloc_at + len(split.netloc) :]
    if scheme and split.scheme != "https":
        cautions.append(Caution("not_https"))
    if "@" in split.netloc:
        cautions.append(Caution("userinfo", Severity.DANGER))
    try:
        ipaddress.ip_address(host)
        cautions.append(Caution("ip_host"))
    except ValueError:
        if _mixes_scripts(host.rpartition(".")[0].rpartition(".")[2] or host):
            cautions.append(Caution("mixed_script", Severity.DANGER))
    if split.port is not None and split.port not in (80, 443):
        cautions.append(Caution("port", Severity.INFO, {"port": str(split.port)}))
    parts = (
        *reveal(before).parts,
        *(Part(part.text, Role.STRONG if part.role is Role.TEXT else part.role) for part in reveal(split.netloc).parts),
        *reveal(after).parts,
    )
    return _one(value, *parts, cautions=_distinct(cautions))


def secret(value: Value) -> Rendered:
    """Dots, the length, and the last 4 characters of 16 and more. The value itself is in no part and no raw text."""
    written = _want(value.value, str)
    tail = written[-4:] if len(written) >= 16 else ""
    parts = [Part("\u2022" * 8, Role.MONO)]
    if tail:
        parts.append(Part(flat(tail), Role.MONO))
    parts.append(Part(f" ({len(written):,} characters, hidden)", Role.QUIET))
    return _one(value, *parts)


def is_declared_secret(schema: Mapping[str, object] | None) -> bool:
    """Whether the schema says that a value must not be shown."""
    return bool(schema) and (schema.get("format") == "password" or schema.get("writeOnly") is True)  # type: ignore[union-attr]
