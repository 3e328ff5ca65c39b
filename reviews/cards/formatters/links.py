"""Addresses on the web, and domains. Never a link: what is shown can be read and copied, not followed.

Browsers (WHATWG URL) and programs (RFC 3986) read some addresses differently; such an address is called ambiguous and
nothing in it is called a host. Source: reviewer-experience.md section 3, "URL" and "domain".
"""

from __future__ import annotations

import ipaddress
import re
import unicodedata
from typing import Final

from audit.secrets import DOTS
from reviews.cards.formatters.addresses import domain_cautions
from reviews.cards.formatters.base import WrongKindError, in_role, one, option_texts, want
from reviews.cards.names import BadNameError, mixes_scripts, read_name, registrable
from reviews.cards.text import flat, reveal
from reviews.cards.types import Caution, Part, Rendered, Role, Severity, Value

URL_OPTIONS: Final = {"own_domains": "Domains that are yours; names that look like them are said"}
DOMAIN_OPTIONS: Final = {"own_domains": "Domains that are yours; names that look like them are said"}

# The schemes a browser treats alike, with the port it leaves out.
_WEB: Final = {"https": 443, "http": 80, "ws": 80, "wss": 443, "ftp": 21}
_RUNS: Final = frozenset({"javascript", "data", "vbscript", "blob", "view-source"})
_SCHEME: Final = re.compile(r"([A-Za-z][A-Za-z0-9+.-]*):")
_AUTHORITY: Final = re.compile(r"(?://)([^/?#]*)")
_NUMERIC: Final = re.compile(r"(?:0[xX][0-9a-fA-F]*|[0-9]+)")
_LOCAL: Final = re.compile(r"(?:^|\.)(?:localhost|local|internal|intranet|lan|home\.arpa|localdomain)$")

IpAddress = ipaddress.IPv4Address | ipaddress.IPv6Address


def url(value: Value) -> Rendered:
    """Scheme, **registrable domain**, path as text; what is odd about it, and where programs would disagree."""
    written = want(value.value, str)
    scheme, rest = _split_scheme(written)
    cautions = list(reveal(written).cautions)
    if scheme in _RUNS:
        cautions.append(Caution("runs_in_page", Severity.DANGER))
        return one(value, *reveal(written).parts, cautions=cautions, exact=written, can_copy=False)
    if _is_ambiguous(written, scheme, rest):
        cautions.append(Caution("ambiguous_address", Severity.DANGER))
        return one(value, *reveal(written).parts, cautions=cautions, exact=written, can_copy=False)
    head = written[: len(written) - len(rest)] + "//" if scheme else ""
    rest = rest if scheme else f"//{written}"
    found = _AUTHORITY.match(rest)
    authority = found.group(1) if found else ""
    user, at, place = authority.rpartition("@")
    host, colon, port = _split_port(place)
    if not host:
        raise WrongKindError("address without a host")
    tail = rest[2 + len(authority) :]
    if scheme and scheme not in ("https", "wss"):
        cautions.append(Caution("not_https"))
    if at:
        cautions.append(Caution("userinfo", Severity.DANGER))
    if port and int(port) not in (80, 443):
        cautions.append(Caution("port", Severity.INFO, {"port": port}))
    own = frozenset(option_texts(value.options, "own_domains")) | value.known.own_domains
    host_parts, host_cautions = _host(host, own)
    name, separator, password = user.partition(":")
    parts = (
        *reveal(head).parts,
        *reveal(name).parts,
        *((Part(f"{separator}{DOTS}" if password else separator),) if separator else ()),
        *((Part("@"),) if at else ()),
        *host_parts,
        *((Part(f"{colon}{port}"),) if colon else ()),
        *reveal(tail).parts,
    )
    exact = written if not password else ""
    rendered = one(value, *(part for part in parts if part.text), cautions=[*cautions, *host_cautions],
                   exact=exact or "".join(part.text for part in parts), can_copy=not password)  # fmt: skip
    if not password:
        return rendered
    return Rendered(
        rendered.parts,
        rendered.covers,
        cautions=rendered.cautions,
        exact=rendered.exact,
        hides=frozenset([value.pointer]),
    )


def _split_scheme(written: str) -> tuple[str, str]:
    """The scheme in lower case and what follows its colon; no scheme for `www.…`. Raises WrongKindError."""
    # A browser drops tabs, line breaks and leading controls before it looks for the scheme.
    seen = "".join(char for char in written if char not in "\t\r\n").lstrip("".join(map(chr, range(0x21))))
    found = _SCHEME.match(seen)
    if found and found.group(1).casefold() in _RUNS:
        return found.group(1).casefold(), ""
    found = _SCHEME.match(written)
    if found and (found.group(1).casefold() in _WEB or written[found.end() :].startswith("//")):
        return found.group(1).casefold(), written[found.end() :]
    if written[:4].lower() == "www.":
        return "", written
    if seen != written and _SCHEME.match(seen):
        return "", written
    raise WrongKindError("address")


def _is_ambiguous(written: str, scheme: str, rest: str) -> bool:
    if "\\" in written or any(char.isspace() or unicodedata.category(char) in ("Cc", "Cf") for char in written):
        return True
    if not scheme:
        return False
    if scheme in _WEB and (not rest.startswith("//") or rest.startswith("///")):
        return True
    authority = _AUTHORITY.match(rest)
    if not authority:
        return True
    place = authority.group(1)
    host = _split_port(place.rpartition("@")[2])[0]
    if place.count("@") > 1 or ("%" in host and not host.startswith("[")):
        return True
    # Letters that become `/`, `?`, `#`, `@` or `:` once a browser has normalised the host.
    if not host.isascii() and set(unicodedata.normalize("NFKC", host)) & set("/?#@:\\%[]"):
        return True
    port = _split_port(place.rpartition("@")[2])[2]
    return bool(port) and not (port.isascii() and port.isdigit() and int(port) < 65_536)


def _split_port(place: str) -> tuple[str, str, str]:
    if place.startswith("["):
        host, bracket, rest = place.partition("]")
        return host + bracket, rest[:1], rest[1:]
    return place.partition(":")


def _host(host: str, own: frozenset[str]) -> tuple[tuple[Part, ...], list[Caution]]:
    """The host with its registrable domain strong, and what there is to say about it."""
    if address := _ip_of(host):
        cautions = [Caution("ip_host")]
        if str(address) != host.strip("[]").casefold():
            cautions.append(Caution("odd_ip", Severity.DANGER, {"address": str(address)}))
        if _is_private(address):
            cautions.append(Caution("private_host", Severity.DANGER))
        return (Part(host, Role.STRONG),), cautions
    try:
        # A name that ends in a number is an address gone wrong: browsers refuse it, other programs ask a resolver.
        if _NUMERIC.fullmatch(host.removesuffix(".").rpartition(".")[2]):
            raise BadNameError(host)
        name = read_name(host)
    except BadNameError:
        mixed = [Caution("mixed_script", Severity.DANGER)] if mixes_scripts(host) else []
        return in_role(reveal(host).parts, Role.STRONG), [*mixed, Caution("ambiguous_address", Severity.DANGER)]
    cautions = [item for item in domain_cautions(host, own) if item.code != "free_mail"]
    if "." not in name.ascii or _LOCAL.search(name.ascii):
        cautions.append(Caution("private_host", Severity.DANGER))
    base = registrable(name.ascii)
    # Counted in labels, since what is written may be either spelling, upper or lower case.
    labels = host.removesuffix(".").split(".")
    kept = len(base.split(".")) if base else len(labels)
    before, strong = ".".join(labels[:-kept]), ".".join(labels[-kept:])
    other = name.unicode if host.isascii() else name.ascii
    note = (Part(f" ({flat(other)})", Role.QUIET),) if name.is_international else ()
    dots = (Part("."),) if before else ()
    end = (Part("."),) if host.endswith(".") else ()
    return (*reveal(before).parts, *dots, *in_role(reveal(strong).parts, Role.STRONG), *end, *note), cautions


def _ip_of(host: str) -> IpAddress | None:
    """The IP address a browser would call: brackets for v6, and v4 in any of its old spellings (WHATWG, "IPv4 parser")."""
    if host.startswith("["):
        try:
            return ipaddress.IPv6Address(host.strip("[]").partition("%")[0])
        except ValueError:
            return None
    fields = host.removesuffix(".").split(".")
    if len(fields) > 4 or not all(_NUMERIC.fullmatch(field) for field in fields):
        return None
    numbers = []
    for field in fields:
        try:
            if field[:2].lower() == "0x":
                numbers.append(int(field[2:] or "0", 16))
            elif len(field) > 1 and field.startswith("0"):
                numbers.append(int(field, 8))
            else:
                numbers.append(int(field))
        except ValueError:
            return None
    if any(part > 255 for part in numbers[:-1]) or numbers[-1] >= 256 ** (5 - len(numbers)):
        return None
    total = numbers[-1] + sum(part * 256 ** (3 - index) for index, part in enumerate(numbers[:-1]))
    return ipaddress.IPv4Address(total)


def _is_private(address: IpAddress) -> bool:
    inner = address
    if isinstance(address, ipaddress.IPv6Address):
        inner = address.ipv4_mapped or address.sixtofour or address
    return not inner.is_global or inner.is_multicast


def domain(value: Value) -> Rendered:
    """A domain with its registrable part strong, its Unicode and `xn--` spellings side by side."""
    written = want(value.value, str)
    seen = reveal(written)
    try:
        name = read_name(written)
    except BadNameError:
        raise WrongKindError("domain") from None
    own = frozenset(option_texts(value.options, "own_domains")) | value.known.own_domains
    base = registrable(name.ascii)
    parts, cautions = _host(written, own)
    if not base and "." in name.ascii:
        cautions.append(Caution("public_suffix", Severity.CAUTION, {"domain": name.ascii}))
    return one(value, *parts, cautions=[*seen.cautions, *cautions], exact=written, can_copy=True)
