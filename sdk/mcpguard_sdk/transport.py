"""One HTTP exchange with the guard, over the standard library, on a small pool of kept connections.

No redirect is followed, no proxy variable is read, and plain http is spoken to loopback alone: the key goes to the
address that was configured and nowhere else.
"""

import http.client
import io
import ipaddress
import os
import selectors
import ssl
import threading
import time
from collections import deque
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any, Final, Protocol
from urllib.parse import urlsplit

CONNECT_TIMEOUT_SECONDS: Final = 2.0
MAX_ANSWER_BYTES: Final = 32 * 1024 * 1024
MAX_IDLE_CONNECTIONS: Final = 8


class TransportError(Exception):
    """No whole answer came. `is_delivered` is False only when the request cannot have reached the guard."""

    def __init__(self, message: str, *, is_delivered: bool) -> None:
        super().__init__(message)
        self.is_delivered = is_delivered


@dataclass(frozen=True)
class Answer:
    """Status, headers with lower-case names, and the whole body."""

    status: int
    headers: Mapping[str, str] = field(repr=False)
    body: bytes = field(repr=False)


class Interrupt:
    """Ends exchanges from another thread: their waiting reads fail at once, and no answer comes."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._connections: set[http.client.HTTPConnection] = set()
        self.is_set = False

    def watch(self, connection: http.client.HTTPConnection) -> None:
        """Called by the transport: this connection is to be ended too."""
        with self._lock:
            self._connections.add(connection)
            if self.is_set:
                _shut(connection)

    def forget(self, connection: http.client.HTTPConnection) -> None:
        """Called by the transport: the exchange is over."""
        with self._lock:
            self._connections.discard(connection)

    def set(self) -> None:
        """End the exchanges that run, and keep others from starting."""
        with self._lock:
            self.is_set = True
            for connection in self._connections:
                _shut(connection)


class Transport(Protocol):
    """What the clients need of HTTP; tests and unusual networks bring their own."""

    def exchange(
        self,
        method: str,
        path: str,
        *,
        headers: Mapping[str, str],
        body: bytes | None,
        deadline: float,
        interrupt: Interrupt | None = None,
    ) -> Answer:
        """The answer to one request; `deadline` is on `time.monotonic`'s clock. Raises TransportError."""

    def close(self) -> None:
        """Let go of every idle connection."""


class HttpTransport:
    """Transport over `http.client`; safe to share between threads, and emptied in a forked child."""

    def __init__(self, base_url: str, *, ssl_context: ssl.SSLContext | None = None) -> None:
        """Raises ValueError for an address to which the key must not be sent."""
        parts = urlsplit(base_url)
        if parts.username or parts.password or parts.query or parts.fragment or not parts.hostname:
            raise ValueError("the guard's address is scheme, host, optional port and optional path, nothing else")
        if parts.scheme == "http":
            if not _is_loopback(parts.hostname):
                raise ValueError(
                    "plain http is for loopback alone; use https, so that the key is not readable on the way"
                )
        elif parts.scheme != "https":
            raise ValueError("the guard's address starts with https:// (or http:// on loopback)")
        self._is_tls = parts.scheme == "https"
        self._host = parts.hostname
        self._port = parts.port
        self._prefix = parts.path.rstrip("/")
        self._ssl_context = ssl_context or (ssl.create_default_context() if self._is_tls else None)
        self._idle: deque[http.client.HTTPConnection] = deque()
        self._lock = threading.Lock()
        self._process_id = os.getpid()

    def __repr__(self) -> str:
        return f"HttpTransport({self._host!r})"

    def exchange(
        self,
        method: str,
        path: str,
        *,
        headers: Mapping[str, str],
        body: bytes | None,
        deadline: float,
        interrupt: Interrupt | None = None,
    ) -> Answer:
        """See `Transport.exchange`. A connection is kept only after an answer that was read to its end."""
        connection = self._take() or self._connect(deadline)
        is_kept = False
        try:
            if interrupt is not None:
                interrupt.watch(connection)
            answer = self._talk(connection, method, self._prefix + path, headers, body, deadline)
            is_kept = not answer.will_close
            return Answer(answer.status, {name.lower(): value for name, value in answer.headers.items()}, answer.body)
        except (OSError, http.client.HTTPException, ValueError) as error:
            # ValueError: a header of the answer that http.client cannot read, or a socket closed under it.
            raise TransportError(f"no answer: {type(error).__name__}", is_delivered=True) from error
        finally:
            if interrupt is not None:
                interrupt.forget(connection)
            if is_kept and not (interrupt is not None and interrupt.is_set):
                self._give_back(connection)
            else:
                connection.close()

    def close(self) -> None:
        """Let go of every idle connection; the transport stays usable."""
        with self._lock:
            idle = list(self._idle)
            self._idle.clear()
        for connection in idle:
            connection.close()

    def _talk(
        self,
        connection: http.client.HTTPConnection,
        method: str,
        path: str,
        headers: Mapping[str, str],
        body: bytes | None,
        deadline: float,
    ) -> "_Read":
        assert connection.sock is not None
        connection.sock.settimeout(_remaining(deadline))
        connection.response_class = _response_class(deadline)
        connection.request(method, path, body=body, headers=dict(headers))
        response = connection.getresponse()
        try:
            data = response.read(MAX_ANSWER_BYTES + 1)
            if len(data) > MAX_ANSWER_BYTES:
                raise TransportError("the answer is too large", is_delivered=True)
            # A body cut short of its Content-Length ends in IncompleteRead only when read without a limit.
            if response.length not in (None, 0):
                raise TransportError("the answer was cut short", is_delivered=True)
            return _Read(response.status, dict(response.getheaders()), data, response.will_close)
        finally:
            response.close()

    def _connect(self, deadline: float) -> http.client.HTTPConnection:
        timeout = min(CONNECT_TIMEOUT_SECONDS, _remaining(deadline, is_delivered=False))
        connection: http.client.HTTPConnection
        if self._is_tls:
            connection = http.client.HTTPSConnection(self._host, self._port, timeout=timeout, context=self._ssl_context)
        else:
            connection = http.client.HTTPConnection(self._host, self._port, timeout=timeout)
        try:
            connection.connect()
        except (OSError, http.client.HTTPException) as error:
            connection.close()
            raise TransportError(f"no connection: {type(error).__name__}", is_delivered=False) from error
        return connection

    def _take(self) -> http.client.HTTPConnection | None:
        with self._lock:
            if self._process_id != os.getpid():
                # A forked child shares its parent's sockets; an answer read there could be the parent's.
                self._idle.clear()
                self._process_id = os.getpid()
            while self._idle:
                connection = self._idle.pop()
                if _is_quiet(connection):
                    return connection
                connection.close()
        return None

    def _give_back(self, connection: http.client.HTTPConnection) -> None:
        with self._lock:
            if self._process_id == os.getpid() and len(self._idle) < MAX_IDLE_CONNECTIONS:
                self._idle.append(connection)
                return
        connection.close()


@dataclass(frozen=True)
class _Read:
    status: int
    headers: Mapping[str, str]
    body: bytes
    will_close: bool


class _DeadlineReader(io.RawIOBase):
    """Reads a socket until a deadline for the whole, since a socket's own time-out starts anew with each byte."""

    def __init__(self, stream: io.BufferedReader, sock: ssl.SSLSocket, *, deadline: float) -> None:
        self._stream = stream  # kept: while it is open, the socket under it stays open
        self._sock = sock
        self._deadline = deadline

    def readable(self) -> bool:
        return True

    def readinto(self, buffer: object) -> int | None:
        self._sock.settimeout(_remaining(self._deadline))
        count: int | None = self._stream.raw.readinto(buffer)  # type: ignore[arg-type]  # typeshed wants a Buffer
        return count

    def close(self) -> None:
        self._stream.close()
        super().close()


def _response_class(deadline: float) -> type[http.client.HTTPResponse]:
    class Response(http.client.HTTPResponse):
        def __init__(self, sock: Any, *args: Any, **kwargs: Any) -> None:  # Any: http.client's own, passed on
            super().__init__(sock, *args, **kwargs)
            self.fp = io.BufferedReader(_DeadlineReader(self.fp, sock, deadline=deadline))

    return Response


def _remaining(deadline: float, *, is_delivered: bool = True) -> float:
    remaining = deadline - time.monotonic()
    if remaining <= 0:
        raise TransportError("no answer in time", is_delivered=is_delivered)
    return remaining


def _is_quiet(connection: http.client.HTTPConnection) -> bool:
    """Nothing to read on an idle connection: the peer neither closed it nor sent what nobody asked for."""
    if connection.sock is None:
        return False
    try:
        if isinstance(connection.sock, ssl.SSLSocket) and connection.sock.pending():
            return False
        with selectors.DefaultSelector() as selector:
            selector.register(connection.sock, selectors.EVENT_READ)
            return not selector.select(0)
    except (OSError, ValueError, KeyError):
        return False


def _shut(connection: http.client.HTTPConnection) -> None:
    try:
        if connection.sock is not None:
            connection.sock.shutdown(2)
    except OSError:
        pass  # it was closed in that moment, which is what was wanted


def _is_loopback(host: str) -> bool:
    if host == "localhost":
        return True
    try:
        return ipaddress.ip_address(host).is_loopback
    except ValueError:
        return False
