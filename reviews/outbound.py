"""Requests that leave: to public addresses alone, connected to the very address that was checked.

A URL is what somebody typed, and a name may lead anywhere by the time it is asked again (SSRF, DNS rebinding). So: https,
one look-up, every address public, no redirect, no proxy, a deadline, a limit on what is read. Internal networks only
where the deployment says so. Source: integrations.md section 3.2, RFC 6890, RFC 6052.
"""

from __future__ import annotations

import http.client
import ipaddress
import os
import socket
import ssl
import threading
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Final, TypeAlias
from urllib.parse import SplitResult, urlsplit

from django.conf import settings

PORTS: Final = (443, 8443)
DEADLINE_SECONDS: Final = 10.0
MOST_READ: Final = 16 * 1024
LONGEST_URL: Final = 500

Address: TypeAlias = ipaddress.IPv4Address | ipaddress.IPv6Address
Network: TypeAlias = ipaddress.IPv4Network | ipaddress.IPv6Network

_NAT64: Final = ipaddress.ip_network("64:ff9b::/96")
# Further ways to write another address, and ranges that once led inside: relays, Teredo, 6to4, site-local.
_NEVER: Final[Sequence[Network]] = tuple(
    ipaddress.ip_network(text)
    for text in ("192.88.99.0/24", "64:ff9b:1::/48", "2001::/23", "2002::/16", "::/96", "fec0::/10")
)


class BadUrl(ValueError):
    """A URL that is not asked; the message is a sentence for whoever typed it."""


class Blocked(BadUrl):
    """A name that leads to an address which is not asked."""


class Unreachable(Exception):
    """No answer: refused, too late, no certificate, cut off."""


@dataclass(frozen=True)
class Answer:
    """What came back; the first 16 KB of the body are read and dropped."""

    status: int
    retry_after_seconds: float


def checked_url(url: str) -> SplitResult:
    """The parts of a URL that may be asked as far as its text goes. Raises BadUrl with a sentence."""
    try:
        parts = urlsplit(url)
        port = parts.port
    except ValueError:
        raise BadUrl("This is not a URL.") from None
    if len(url) > LONGEST_URL or not url.isascii() or not url.isprintable() or " " in url or "\\" in url:
        raise BadUrl(f"Write the URL in at most {LONGEST_URL} plain characters, without spaces.")
    if parts.scheme != "https" or not parts.hostname:
        raise BadUrl("Write an address that starts with https://.")
    if parts.username is not None or parts.password is not None:
        raise BadUrl("Leave out name and password: requests are signed instead.")
    if parts.fragment:
        raise BadUrl("Leave out what comes after #.")
    if port is not None and port not in PORTS and not _internal():
        raise BadUrl("Use port 443 or 8443.")
    return parts


def post(url: str, *, body: bytes, headers: Mapping[str, str]) -> Answer:
    """POST once. Raises BadUrl, Blocked, Unreachable; a redirect is an answer like any other and is not followed."""
    parts = checked_url(url)
    host, port = str(parts.hostname), parts.port or 443
    addresses = _resolve(host, port)
    target = (parts.path or "/") + (f"?{parts.query}" if parts.query else "")
    connection = _Pinned(host, port, addresses)
    watch = threading.Timer(DEADLINE_SECONDS, connection.cut)
    watch.daemon = True
    watch.start()
    try:
        connection.request("POST", target, body=body, headers={**headers, "Content-Length": str(len(body))})
        response = connection.getresponse()
        response.read(MOST_READ)
        return Answer(response.status, _seconds(response.headers.get("Retry-After")))
    except (OSError, http.client.HTTPException, ValueError) as error:
        raise Unreachable(type(error).__name__) from error
    finally:
        watch.cancel()
        connection.close()


def _resolve(host: str, port: int) -> list[str]:
    """The addresses behind a host, looked up once. Raises Blocked unless every one may be asked, Unreachable for none."""
    try:
        found = socket.getaddrinfo(host, port, type=socket.SOCK_STREAM)
    except (OSError, UnicodeError) as error:
        raise Unreachable("the name is not known") from error
    addresses = list(dict.fromkeys(str(info[4][0]) for info in found))
    if not addresses:
        raise Unreachable("the name is not known")
    for text in addresses:
        if not may_be_asked(ipaddress.ip_address(text.partition("%")[0])):
            raise Blocked("This name leads to an address that is not public, so it is not asked.")
    return addresses


def may_be_asked(address: Address) -> bool:
    """Whether the address is public, whatever way it is written, or in a network that the deployment allows."""
    inner = _inner(address)
    if any(inner.version == network.version and inner in network for network in _internal()):
        return True
    if any(inner.version == network.version and inner in network for network in _NEVER):
        return False
    return inner.is_global and not (
        inner.is_multicast or inner.is_reserved or inner.is_loopback or inner.is_link_local or inner.is_private
    )


def _inner(address: Address) -> Address:
    """The IPv4 address that an IPv6 one stands for, where it does."""
    if isinstance(address, ipaddress.IPv6Address):
        if address.ipv4_mapped is not None:
            return address.ipv4_mapped
        if address in _NAT64:
            return ipaddress.IPv4Address(int(address) & 0xFFFFFFFF)
    return address


def _internal() -> Sequence[Network]:
    return [ipaddress.ip_network(text) for text in settings.WEBHOOK_NETWORKS]


def _seconds(text: str | None) -> float:
    """Retry-After in seconds, an hour at most; 0 for a date or nonsense."""
    return min(3600.0, float(text)) if text and text.isascii() and text.isdigit() and len(text) < 9 else 0.0


class _Pinned(http.client.HTTPSConnection):
    """A connection to one of these addresses; the certificate must be the host's."""

    def __init__(self, host: str, port: int, addresses: Sequence[str]) -> None:
        super().__init__(host, port, timeout=DEADLINE_SECONDS, context=ssl.create_default_context())
        self._addresses = addresses
        self._raw: socket.socket | None = None
        self._is_cut = False

    def connect(self) -> None:
        """Connect to the first address that answers, never to the name."""
        failure: OSError = OSError("no address")
        for address in self._addresses:
            try:
                plain = socket.create_connection((address, self.port), self.timeout)
            except OSError as error:
                failure = error
                continue
            self._raw = socket.socket(fileno=os.dup(plain.fileno()))
            if self._is_cut:
                self.cut()
            context: ssl.SSLContext = self._context  # type: ignore[attr-defined]  # http.client's own
            self.sock = context.wrap_socket(plain, server_hostname=self.host)
            return
        raise failure

    def cut(self) -> None:
        """End it at once, whatever it is waiting for: a peer may send a byte now and then for ever."""
        self._is_cut = True
        if self._raw is not None:
            try:
                self._raw.shutdown(socket.SHUT_RDWR)
            except OSError:
                pass  # it ended already

    def close(self) -> None:
        """Close it, the second handle too."""
        super().close()
        if self._raw is not None:
            self._raw.close()
