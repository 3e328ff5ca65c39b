"""The host functions a rule may call: pure, bounded, and an exception is an error result.

Source: the policy design, section 3. Each raises `ValueError` with a plain sentence that names no value of the
call; the engine turns any exception into an error, which never allows.
"""

from __future__ import annotations

import functools
import ipaddress
import math
import re
import sys
import unicodedata
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from decimal import Decimal
from typing import Final
from urllib.parse import urlsplit

import idna
import re2

from policy.money import EXPONENTS

MAX_SAFE_INTEGER: Final = 2**53 - 1
MAX_REGEX_TEXT_BYTES: Final = 16 * 1024
MAX_REPETITION: Final = 100
LIST_KINDS: Final = ("exact", "domain", "glob", "cidr")

_DECIMAL = re.compile(r"-?[0-9]{1,15}(\.[0-9]{1,9})?")
_ASCII_DOMAIN = re.compile(r"[a-z0-9]([a-z0-9-]{0,61}[a-z0-9])?(\.[a-z0-9]([a-z0-9-]{0,61}[a-z0-9])?)*")
_DISPLAY_ADDRESS = re.compile(r'[^@<>,;:"()\\\x00-\x1f\x7f]*<([^<>]*)>')
_ADDRESS_FORBIDDEN = re.compile(r"[\s<>,;:\"()\\\[\]\x00-\x1f\x7f]")
_URL_FORBIDDEN = re.compile(r"[\s\\\x00-\x20\x7f]")


def num(value: int | float | str) -> float:
    """The value as a double; text must be a plain decimal, at most 15 digits before and 9 after the point."""
    if isinstance(value, str):
        if not _DECIMAL.fullmatch(value):
            raise ValueError("the text is not a plain decimal number")
        return float(value)
    if isinstance(value, float) and not math.isfinite(value):
        raise ValueError("the number is not finite")
    if isinstance(value, int) and abs(value) > MAX_SAFE_INTEGER:
        raise ValueError("the number is beyond 2^53")
    return float(value)


def minor(amount: int | float | str, currency: str) -> int:
    """Major units of an ISO 4217 currency in minor units, exactly: minor("12.30", "USD") is 1230."""
    exponent = EXPONENTS.get(currency)
    if exponent is None:
        raise ValueError("the currency code is unknown")
    if isinstance(amount, str):
        if not _DECIMAL.fullmatch(amount):
            raise ValueError("the text is not a plain decimal number")
        exact = Decimal(amount)
    elif isinstance(amount, float):
        if not math.isfinite(amount):
            raise ValueError("the number is not finite")
        # repr is the shortest text that means this double: what the caller wrote.
        exact = Decimal(repr(amount))
    else:
        exact = Decimal(amount)
    scaled = exact.scaleb(exponent)
    if scaled != scaled.to_integral_value():
        raise ValueError("the amount has more decimals than its currency")
    if abs(scaled) > MAX_SAFE_INTEGER:
        raise ValueError("the amount is beyond 2^53")
    return int(scaled)


# Deletes every format character; `translate` does it without a Python loop.
_WITHOUT_FORMAT: Final = dict.fromkeys(
    code for code in range(sys.maxunicode + 1) if unicodedata.category(chr(code)) == "Cf"
)


def fold(text: str) -> str:
    """The text as `icontains` compares it: NFKC, case-folded, format characters (Cf) removed."""
    if text.isascii():
        return text.lower()  # the same, much faster
    bare = unicodedata.normalize("NFKC", text.translate(_WITHOUT_FORMAT)).casefold()
    return unicodedata.normalize("NFKC", bare).translate(_WITHOUT_FORMAT)


def icontains(text: str, part: str) -> bool:
    """True when `part` occurs in `text`, whatever the case, width or hidden format characters."""
    return fold(part) in fold(text)


def _options() -> re2.Options:
    options = re2.Options()
    options.log_errors = False  # a bad pattern is a finding, not a line on stderr
    return options


@functools.lru_cache(maxsize=4096)
def glob_pattern(pattern: str) -> re2._Regexp:
    """The glob (`*` any text, `?` one character) as a pattern over the whole text."""
    parts = (".*" if ch == "*" else "." if ch == "?" else re2.escape(ch) for ch in pattern)
    return re2.compile("(?s)" + "".join(parts), options=_options())


def glob(text: str, pattern: str) -> bool:
    """True when the whole text fits the glob; case-sensitive."""
    return glob_pattern(pattern).fullmatch(text) is not None


@functools.lru_cache(maxsize=4096)
def regex_pattern(pattern: str) -> re2._Regexp:
    """The compiled RE2 pattern. Raises ValueError with RE2's own words when it is none."""
    try:
        return re2.compile(pattern, options=_options())
    except re2.error as error:
        detail = error.args[0]
        raise ValueError(detail.decode("utf-8", "replace") if isinstance(detail, bytes) else str(detail)) from None


def regex(text: str, pattern: str) -> bool:
    """True when the RE2 pattern is found in the text; a text beyond 16 KiB is an error, never cut."""
    if len(text) > MAX_REGEX_TEXT_BYTES or len(text.encode()) > MAX_REGEX_TEXT_BYTES:
        raise ValueError("the text is longer than 16 KiB")
    return regex_pattern(pattern).search(text) is not None


def counted_repetition(pattern: str) -> int:
    """How much counted repetition a pattern asks for in all; nested counts multiply: `(a{10}){10}` is 100.

    RE2 unrolls `x{n}`, so this bounds the program's size before anything is compiled.
    """
    totals = [0]  # per open group: what its counted atoms sum to
    last = 0  # weight of the atom just read
    index = 0
    while index < len(pattern):
        char = pattern[index]
        if char == "\\":
            last, index = 0, index + 2
            continue
        if char == "[":
            index += 1
            if pattern[index : index + 1] == "^":
                index += 1
            if pattern[index : index + 1] == "]":
                index += 1
            while index < len(pattern) and pattern[index] != "]":
                index += 2 if pattern[index] == "\\" else 1
            last = 0
        elif char == "(":
            totals.append(0)
            last = 0
        elif char == ")" and len(totals) > 1:
            last = totals.pop()
            totals[-1] += last
        elif char == "{" and (found := re.match(r"\{([0-9]{1,9})(,([0-9]{0,9}))?\}", pattern[index:])):
            count = max(int(found[1]), int(found[3] or 0))
            totals[-1] += count * max(1, last) - last
            last = count * max(1, last)
            index += len(found[0]) - 1
        elif char not in "*+?":
            last = 0
        index += 1
    return sum(totals)


def canonical_domain(domain: str) -> str:
    """A domain in lower-case A-labels, without a final dot. Raises ValueError when it is none."""
    name = domain.removesuffix(".")
    lowered = name.lower() if name.isascii() else name
    if len(lowered) > 253 or not lowered:
        raise ValueError("the domain is not valid")
    if not (lowered.isascii() and "xn--" not in lowered and _ASCII_DOMAIN.fullmatch(lowered)):
        try:
            lowered = idna.encode(lowered, uts46=True, std3_rules=True).decode("ascii").lower()
        except (idna.IDNAError, UnicodeError):
            raise ValueError("the domain is not valid") from None
    return lowered


def domain_of(address: str) -> str:
    """The domain of exactly one e-mail address, as lower-case A-label.

    `a@b.example` and `Name <a@b.example>` are read; anything that two mail programs might read differently
    (several addresses, quotes, comments, a second @) is an error, hence a person looks.
    """
    text = address.strip(" ")
    display = _DISPLAY_ADDRESS.fullmatch(text)
    if display:
        text = display[1]
    local, at, domain = text.rpartition("@")
    if not at or not local or "@" in local or _ADDRESS_FORBIDDEN.search(text) or any(map(_is_hidden, text)):
        raise ValueError("the text is not exactly one e-mail address")
    return canonical_domain(domain)


def host_of(url: str) -> str:
    """The host of an absolute http or https URL, lower case, without port.

    Userinfo, a backslash, white space and number forms of an address are errors: programs disagree on them.
    """
    if _URL_FORBIDDEN.search(url) or any(map(_is_hidden, url)):
        raise ValueError("the text is not one plain URL")
    try:
        parts = urlsplit(url)
        host = parts.hostname
        parts.port  # noqa: B018  (reading it checks it)
    except ValueError:
        raise ValueError("the text is not one plain URL") from None
    if parts.scheme not in ("http", "https") or not url[len(parts.scheme) :].startswith("://"):
        raise ValueError("the text is not an absolute http or https URL")
    if "@" in parts.netloc or "%" in parts.netloc or not host:
        raise ValueError("the URL has no plain host")
    if parts.netloc.startswith("["):
        return str(ipaddress.ip_address(host))
    labels = host.removesuffix(".").split(".")
    if labels[-1].isdigit() or labels[-1].startswith("0x"):
        try:
            return str(ipaddress.IPv4Address(host))
        except ValueError:
            raise ValueError("the URL names its host by an unusual number") from None
    return canonical_domain(host)


def _is_hidden(char: str) -> bool:
    return unicodedata.category(char) in ("Cf", "Cc", "Zl", "Zp")


@dataclass(frozen=True)
class NamedList:
    """A list that a revision carries, indexed so that a look-up does not grow with the entries."""

    kind: str
    entries: frozenset[str]
    globs: tuple[re2._Regexp, ...] = field(default=(), repr=False)
    networks: Mapping[tuple[int, int], frozenset[int]] = field(default_factory=dict, repr=False)

    @classmethod
    def of(cls, kind: str, entries: Iterable[str]) -> NamedList:
        """Builds the index. Raises ValueError for an unknown kind or an entry that is not of the kind."""
        if kind == "exact":
            return cls(kind, frozenset(entries))
        if kind == "domain":
            return cls(kind, frozenset(canonical_domain(entry) for entry in entries))
        if kind == "glob":
            patterns = frozenset(entries)
            return cls(kind, patterns, globs=tuple(glob_pattern(entry) for entry in sorted(patterns)))
        if kind == "cidr":
            texts = frozenset(entries)
            index: dict[tuple[int, int], set[int]] = {}
            for text in texts:
                network = ipaddress.ip_network(text)
                index.setdefault((network.version, network.prefixlen), set()).add(int(network.network_address))
            return cls(kind, texts, networks={key: frozenset(found) for key, found in index.items()})
        raise ValueError("the kind of list is unknown")

    def holds(self, value: str | int) -> bool:
        """Whether the value is in the list, as its kind compares. Raises ValueError when it cannot be compared."""
        text = str(value)
        if self.kind == "exact":
            return text in self.entries
        if self.kind == "domain":
            labels = canonical_domain(text).split(".")
            return any(".".join(labels[index:]) in self.entries for index in range(len(labels)))
        if self.kind == "glob":
            return any(pattern.fullmatch(text) for pattern in self.globs)
        address = ipaddress.ip_address(text)
        bits = address.max_prefixlen
        return any(
            version == address.version and (int(address) >> (bits - prefix) << (bits - prefix)) in found
            for (version, prefix), found in self.networks.items()
        )
