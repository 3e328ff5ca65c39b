"""Long waits beside Django: `GET /v1/reviews…?wait=` holds a coroutine, not a thread or a database connection.

One LISTEN connection per process wakes the waiters, by review id. All database work of one look is one call in a small
thread pool, and gives its connection back at once. Source: operations.md section 7.
"""

from __future__ import annotations

import asyncio
import contextlib
import json
import logging
from collections import Counter, defaultdict
from collections.abc import Awaitable, Callable, MutableMapping
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field
from datetime import datetime
from typing import Any
from urllib.parse import parse_qs
from uuid import UUID

import psycopg
from django.db import InterfaceError, OperationalError, connection
from django.http import HttpResponse
from django.utils import timezone

from audit.errors import DomainError
from audit.ids import uuid7
from guardsite import databases
from guardsite.api import error_response
from reviews import answers
from reviews.api import API_REVISION, REVISION_HEADER
from reviews.errors import InvalidRequest, TooManyWaits, Unavailable
from reviews.models import Review
from reviews.reading import load_reviews, review_ids
from reviews.resumers.poll import CHANNEL
from reviews.states import PENDING_STATES, State
from tenants.errors import KeyInvalid
from tenants.keys import authenticate

Scope = MutableMapping[str, Any]
Receive = Callable[[], Awaitable[MutableMapping[str, Any]]]
Send = Callable[[MutableMapping[str, Any]], Awaitable[None]]
App = Callable[[Scope, Receive, Send], Awaitable[None]]

PATH = "/v1/reviews"
LONGEST_WAIT_SECONDS = 25.0
WAITS_PER_KEY = 500
WAITS_PER_PROCESS = 2000
LOOKERS = 4
# While LISTEN is down, nobody wakes us: look by ourselves.
BLIND_LOOK_SECONDS = 5.0
RECONNECT_SECONDS = 1.0

log = logging.getLogger("guardsite.waits")


@dataclass(frozen=True)
class Look:
    """What one look at the rows found: the answer, whether it is final, and when the clock may change it."""

    key_id: UUID
    body: dict[str, Any]
    changed: bool
    look_again_at: datetime | None


@dataclass(frozen=True)
class Ask:
    """A parsed request."""

    token: str
    wire_ids: list[str]
    is_list: bool
    wait: float
    since: int | None


@dataclass
class Hub:
    """Who waits for which review in this process, and the one connection that hears of changes."""

    waiters: dict[str, set[asyncio.Event]] = field(default_factory=lambda: defaultdict(set))
    per_key: Counter[UUID] = field(default_factory=Counter)
    open_count: int = 0
    listening: bool = False
    _task: asyncio.Task[None] | None = None

    def start(self) -> None:
        """Listen from the first wait on; a process that serves no wait holds no connection."""
        if self._task is None or self._task.done():
            self._task = asyncio.get_running_loop().create_task(self._listen(), name="guardsite-listen")

    async def _listen(self) -> None:
        while True:
            try:
                async with await psycopg.AsyncConnection.connect(
                    databases.listen_conninfo(), autocommit=True, application_name="guardsite listen"
                ) as listener:
                    await listener.execute(f"LISTEN {CHANNEL}")
                    self.listening = True
                    self.wake_all()  # what was said while nobody heard
                    async for notice in listener.notifies():
                        for event in self.waiters.get(notice.payload, ()):
                            event.set()
            except psycopg.Error as error:
                log.warning("listen connection lost", extra={"error": type(error).__name__})
            self.listening = False
            self.wake_all()
            await asyncio.sleep(RECONNECT_SECONDS)

    def wake_all(self) -> None:
        """Make every waiter look."""
        for events in self.waiters.values():
            for event in events:
                event.set()

    @contextlib.contextmanager
    def registered(self, hex_ids: list[str]) -> Any:
        """An event that is set when any of these reviews changes."""
        event = asyncio.Event()
        for hex_id in hex_ids:
            self.waiters[hex_id].add(event)
        self.open_count += 1
        try:
            yield event
        finally:
            self.open_count -= 1
            for hex_id in hex_ids:
                self.waiters[hex_id].discard(event)
                if not self.waiters[hex_id]:
                    del self.waiters[hex_id]


class WaitApp:
    """Answers waits itself and hands everything else on."""

    def __init__(self, application: App) -> None:
        self.application = application
        self.hub = Hub()
        self.pool = ThreadPoolExecutor(LOOKERS, thread_name_prefix="guardsite-look")

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """ASGI."""
        if (
            scope["type"] == "http"
            and scope["method"] == "GET"
            and scope["path"].rstrip("/").startswith(PATH)
            and b"wait=" in scope["query_string"]
        ):
            await self.wait(scope, receive, send)
        else:
            await self.application(scope, receive, send)

    async def wait(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Answer one wait: when a review changes, when `wait` ends, or not at all when the caller leaves."""
        request_id = uuid7().hex
        try:
            ask = parse(scope)
            if self.hub.open_count >= WAITS_PER_PROCESS:
                raise TooManyWaits
            body = await self._until_changed(ask, receive)
        except DomainError as error:
            await respond(send, error_response(error, request_id=request_id))
            return
        except (OperationalError, InterfaceError):
            await respond(send, error_response(Unavailable(), request_id=request_id))
            return
        if body is not None:
            response = HttpResponse(json.dumps(body), content_type="application/json")
            response[REVISION_HEADER] = str(API_REVISION)
            response["X-Request-ID"] = request_id
            await respond(send, response)

    async def _until_changed(self, ask: Ask, receive: Receive) -> dict[str, Any] | None:
        self.hub.start()
        loop = asyncio.get_running_loop()
        deadline = loop.time() + ask.wait
        gone = loop.create_task(_left(receive))
        key_id: UUID | None = None
        # Register before the first look: what changes in between sets the event.
        with self.hub.registered([review_id.hex for review_id in review_ids(ask.wire_ids)]) as event:
            try:
                while True:
                    event.clear()
                    look = await loop.run_in_executor(self.pool, look_now, ask)
                    if key_id is None:
                        if self.hub.per_key[look.key_id] >= WAITS_PER_KEY:
                            raise TooManyWaits
                        key_id = look.key_id
                        self.hub.per_key[key_id] += 1
                    left = deadline - loop.time()
                    if look.changed or left <= 0:
                        return look.body
                    if look.look_again_at is not None:
                        left = min(left, max(0.0, (look.look_again_at - timezone.now()).total_seconds()) + 0.001)
                    if not self.hub.listening:
                        left = min(left, BLIND_LOOK_SECONDS)
                    woken = loop.create_task(event.wait())
                    await asyncio.wait({woken, gone}, timeout=left, return_when=asyncio.FIRST_COMPLETED)
                    woken.cancel()
                    if gone.done():
                        return None
            finally:
                gone.cancel()
                if key_id is not None:
                    self.hub.per_key[key_id] -= 1
                    if not self.hub.per_key[key_id]:
                        del self.hub.per_key[key_id]


def parse(scope: Scope) -> Ask:
    """The request. Raises KeyInvalid without a bearer token, InvalidRequest for a wrong `wait` or `since`."""
    headers = {name.lower(): value for name, value in scope["headers"]}
    scheme, _, token = headers.get(b"authorization", b"").decode("latin-1").partition(" ")
    if scheme.lower() != "bearer":
        raise KeyInvalid
    query = parse_qs(scope["query_string"].decode("latin-1"))
    try:
        wait = float(query["wait"][-1])
        since = int(query["since"][-1]) if "since" in query else None
        if not 0 <= wait <= LONGEST_WAIT_SECONDS:
            raise ValueError
    except (KeyError, ValueError):
        raise InvalidRequest(errors=[{"path": "/wait", "code": "wait_0_to_25_and_since_a_version"}]) from None
    tail = scope["path"].removeprefix(PATH).strip("/")
    wire_ids = [tail] if tail else query.get("id", [])
    if not wire_ids:
        raise InvalidRequest(errors=[{"path": "/id", "code": "missing"}])
    return Ask(token=token.strip(), wire_ids=wire_ids, is_list=not tail, wait=wait, since=since)


def look_now(ask: Ask) -> Look:
    """One look, in a thread: who asks, the rows, the answer. The connection goes back before it returns."""
    try:
        now = timezone.now()
        caller = authenticate(ask.token, now=now)
        caller.require("reviews")
        reviews = load_reviews(caller, ask.wire_ids, now=now)
        items = [answers.reviewed(review, now=now) for review in reviews]
        return Look(
            key_id=caller.key_id,
            body={"reviews": items} if ask.is_list else items[0],
            changed=any(_has_changed(review, ask.since, now=now) for review in reviews),
            look_again_at=min(
                (at for review in reviews if (at := _clock_changes_at(review)) is not None), default=None
            ),
        )
    finally:
        connection.close()


def _has_changed(review: Review, since: int | None, *, now: datetime) -> bool:
    if review.told_state_at(now) not in PENDING_STATES:
        return True
    return since is not None and review.wire_version_at(now) > since


def _clock_changes_at(review: Review) -> datetime | None:
    if review.state in (State.ON_HOLD, State.SUPERSEDED):
        return review.release_at
    return review.expires_at if review.state == State.OPEN else None


async def _left(receive: Receive) -> None:
    while (await receive())["type"] != "http.disconnect":
        pass


async def respond(send: Send, response: HttpResponse) -> None:
    """Send a Django response over ASGI."""
    headers = [(name.lower().encode(), value.encode()) for name, value in response.items()]
    headers.append((b"content-length", str(len(response.content)).encode()))
    await send({"type": "http.response.start", "status": response.status_code, "headers": headers})
    await send({"type": "http.response.body", "body": response.content})
