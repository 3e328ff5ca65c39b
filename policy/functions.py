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
from datetime import datetime
from decimal import Decimal
from typing import Final
from urllib.parse import urlsplit

import idna
import re2

from policy.money import EXPONENTS

MAX_SAFE_INTEGER: Final = 2**53 - 1
MAX_REGEX_TEXT_BYTES: Final = 16 * 1024
MAX_GLOBS: Final = 1_000  # in one list
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
_WITHOUT_FORMAT_TEXT: Final = frozenset(map(chr, _WITHOUT_FORMAT))


def fold(text: str) -> str:
    """The text as `icontains` compares it: NFKC, case-folded, format characters (Cf) removed."""
    if text.isascii():
        return text.lower()  # the same, much faster
    return _fold(text)


@functools.lru_cache(maxsize=4)  # one call's text is looked at by many rules, and some text grows eighteenfold
def _fold(text: str) -> str:
    bare = unicodedata.normalize("NFKC", text.translate(_WITHOUT_FORMAT)).casefold()
    folded = unicodedata.normalize("NFKC", bare)
    return folded if set(folded).isdisjoint(_WITHOUT_FORMAT_TEXT) else folded.translate(_WITHOUT_FORMAT)


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
    return _any_glob((pattern,))


def _any_glob(patterns: tuple[str, ...]) -> re2._Regexp:
    """One pattern for any of the globs: a hundred cost little more than one."""
    parts = ("".join(".*" if ch == "*" else "." if ch == "?" else re2.escape(ch) for ch in item) for item in patterns)
    return re2.compile(f"(?s)(?:{'|'.join(parts)})", options=_options())


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
    if not at or not local or "@" in local or _ADDRESS_FORBIDDEN.search(text) or _has_hidden(text):
        raise ValueError("the text is not exactly one e-mail address")
    return canonical_domain(domain)


def host_of(url: str) -> str:
    """The host of an absolute http or https URL, lower case, without port.

    Userinfo, a backslash, white space and number forms of an address are errors: programs disagree on them.
    """
    if _URL_FORBIDDEN.search(url) or _has_hidden(url):
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


def _has_hidden(text: str) -> bool:
    """Whether text beyond ASCII has a character that nobody sees; the patterns above know those of ASCII."""
    return not text.isascii() and any(unicodedata.category(char) in ("Cf", "Cc", "Zl", "Zp") for char in set(text))


@dataclass(frozen=True)
class NamedList:
    """A list that a revision carries, indexed so that a look-up does not grow with the entries (globs aside)."""

    kind: str
    entries: frozenset[str]
    expiring: tuple[tuple[str, datetime], ...] = ()  # further entries, each in the list until its time
    _keys: frozenset[object] = field(default_factory=frozenset, repr=False, compare=False)
    _until: Mapping[object, datetime] = field(default_factory=dict, repr=False, compare=False)
    _globs: tuple[re2._Regexp, ...] = field(default=(), repr=False, compare=False)
    _prefixes: tuple[tuple[int, int], ...] = field(default=(), repr=False, compare=False)

    @classmethod
    def of(cls, kind: str, entries: Iterable[str], expiring: Mapping[str, datetime] | None = None) -> NamedList:
        """Builds the index; times of `expiring` are aware. Raises ValueError for an unknown kind or a bad entry."""
        if kind not in LIST_KINDS:
            raise ValueError("the kind of list is unknown")
        lasting, ending = frozenset(entries), dict(expiring or {})
        if kind == "domain":
            lasting = frozenset(canonical_domain(entry) for entry in lasting)
            ending = {canonical_domain(entry): end for entry, end in ending.items()}
        keys = frozenset(list_key(kind, entry) for entry in lasting)
        until: dict[object, datetime] = {}
        for entry, end in ending.items():
            key = list_key(kind, entry)
            until[key] = max(end, until.get(key, end))
        globs = sorted(lasting) if kind == "glob" else []
        prefixes = {key[:2] for key in (*keys, *until) if isinstance(key, tuple)}
        return cls(
            kind,
            lasting,
            tuple(sorted(ending.items())),
            keys,
            until,
            tuple(_any_glob(tuple(globs[at : at + 100])) for at in range(0, len(globs), 100)),
            tuple(sorted(prefixes)),
        )

    def holds(self, value: str | int, *, now: datetime | None = None) -> bool:
        """Whether the value is in the list at `now`, as its kind compares; without a time no entry that ends counts.

        Raises ValueError when the value cannot be compared.
        """
        if self.kind == "glob":
            return self._holds_glob(str(value), now)
        if not self._until or now is None:
            return any(key in self._keys for key in self._candidates(str(value)))
        until = self._until
        # An entry counts before its end, no longer at it.
        return any(key in self._keys or (key in until and now < until[key]) for key in self._candidates(str(value)))

    def _holds_glob(self, text: str, now: datetime | None) -> bool:
        # Each pattern reads the whole text, so its length must have an end.
        if len(text) > MAX_REGEX_TEXT_BYTES or len(text.encode()) > MAX_REGEX_TEXT_BYTES:
            raise ValueError("the text is longer than 16 KiB")
        if any(pattern.fullmatch(text) for pattern in self._globs):
            return True
        return now is not None and any(now < end and glob(text, source) for source, end in self.expiring)

    def _candidates(self, text: str) -> Iterable[object]:
        """The keys of all entries that would hold the text."""
        if self.kind == "exact":
            return (text,)
        if self.kind == "domain":
            labels = canonical_domain(text).split(".")
            return (".".join(labels[index:]) for index in range(len(labels)))
        address = ipaddress.ip_address(text)
        number, bits = int(address), address.max_prefixlen
        return (
            (version, prefix, number >> (bits - prefix) << (bits - prefix))
            for version, prefix in self._prefixes
            if version == address.version
        )


def list_key(kind: str, entry: str) -> object:
    """What an entry is compared by: two entries with one key are one. Raises ValueError when it is not of the kind."""
    if kind == "domain":
        return canonical_domain(entry)
    if kind == "cidr":
        network = ipaddress.ip_network(entry)
        return network.version, network.prefixlen, int(network.network_address)
    return entry
