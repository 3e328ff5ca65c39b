"""A paused agent goes on: real web process, real worker, real broker."""

from __future__ import annotations

import json
import threading
import time
import urllib.error
import urllib.request
from collections.abc import Callable
from concurrent.futures import Future, ThreadPoolExecutor
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest

from guardsite.processes import Part
from tests.factories import LARGE, call, decide, enforce_refunds, get, refund_rule
from tests.people import People
from tests.processes import Desk

pytestmark = pytest.mark.process


def request(desk: Desk, token: str, path: str, body: Any = None, *, timeout: float = 40) -> tuple[int, Any]:
    """Status and JSON of one request to the running web process."""
    data = json.dumps(body).encode() if body is not None else None
    headers = {"Authorization": f"Bearer {token}", "Content-Type": "application/json"}
    asked = urllib.request.Request(f"{desk.url}/v1/{path}", data=data, headers=headers)
    try:
        with urllib.request.urlopen(asked, timeout=timeout) as response:
            return response.status, json.load(response)
    except urllib.error.HTTPError as error:
        return error.code, json.load(error)


def hold(desk: Desk, people: People) -> str:
    """A held refund, asked for over HTTP."""
    status, answer = request(desk, people.token, "evaluate", call(params=LARGE, repeat="new"))
    assert status == 200, answer
    review_id: str = answer["review_id"]
    return review_id


def waiting(desk: Desk, people: People, review_id: str, wait: int = 25) -> Future[tuple[int, Any]]:
    """An open wait, surely registered."""
    pool = ThreadPoolExecutor(1)
    future = pool.submit(request, desk, people.token, f"reviews/{review_id}?wait={wait}")
    until(lambda: get(people, review_id).caller_seen_at is not None)
    time.sleep(0.3)  # from "seen" to "waiting for the event" nothing can be observed from outside
    pool.shutdown(wait=False)
    return future


def until(condition: Callable[[], object], seconds: float = 20) -> None:
    """Wait for a condition; fails when it does not come."""
    deadline = time.monotonic() + seconds
    while not condition():
        assert time.monotonic() < deadline, "it did not come"
        time.sleep(0.02)


def test_a_wait_is_woken_by_the_workers_delivery(desk: Desk, committed_people: People) -> None:
    people = committed_people
    enforce_refunds(people)
    desk.use_broker()
    desk.start_web()
    desk.start_worker()
    review_id = hold(desk, people)
    waiter = waiting(desk, people, review_id)
    assert not waiter.done()
    decide(people, get(people, review_id))
    status, answer = waiter.result(timeout=10)
    assert (status, answer["state"], answer["params"]) == (200, "approved", LARGE)


def test_a_worker_that_was_dead_at_the_verdict_resumes_the_agent_when_it_starts(
    desk: Desk, committed_people: People
) -> None:
    people = committed_people
    enforce_refunds(people)
    desk.use_broker()
    desk.start_web()
    desk.start_worker()
    desk.kill(Part.WORKER)
    review_id = hold(desk, people)
    waiter = waiting(desk, people, review_id)
    decide(people, get(people, review_id), "deny")
    time.sleep(1)
    assert not waiter.done()
    desk.start_worker()
    status, answer = waiter.result(timeout=15)
    assert (status, answer["state"]) == (200, "denied")


def test_a_hold_ends_by_the_clock_without_any_worker(desk: Desk, committed_people: People) -> None:
    people = committed_people
    enforce_refunds(people, refund_rule(hold_seconds=2))
    desk.start_web()
    review_id = hold(desk, people)
    verdict = decide(people, get(people, review_id))
    # Asked during the hold: the wait ends with the hold, not with its own time.
    status, answer = request(desk, people.token, f"reviews/{review_id}?wait=25")
    assert (status, answer["state"]) == (200, "approved")
    assert timedelta(0) <= datetime.now(UTC) - verdict.release_at < timedelta(seconds=10)


def test_a_wait_without_a_verdict_ends_pending(desk: Desk, committed_people: People) -> None:
    people = committed_people
    enforce_refunds(people)
    desk.start_web()
    review_id = hold(desk, people)
    status, answer = request(desk, people.token, f"reviews/{review_id}?wait=1")
    assert (status, answer["state"]) == (200, "pending")
    status, answer = request(desk, people.token, f"reviews?id={review_id}&wait=0.5")
    assert (status, answer["reviews"][0]["state"]) == (200, "pending")


def test_a_wrong_wait_is_named(desk: Desk, committed_people: People) -> None:
    people = committed_people
    desk.start_web()
    for query in ("wait=26", "wait=soon", "wait=-1", "wait=nan", "wait=1&since=x"):
        status, problem = request(desk, people.token, f"reviews/rv_{'0' * 32}?{query}")
        assert (status, problem["code"]) == (422, "invalid_request"), query
    assert request(desk, people.token, f"reviews/rv_{'0' * 32}?wait=1")[0] == 404
    assert request(desk, people.other_token, "reviews/nonsense?wait=1")[0] == 404
    assert request(desk, "gsk_wrong", f"reviews/rv_{'0' * 32}?wait=1")[0] == 401


def test_many_waits_hold_no_thread_and_no_connection(desk: Desk, committed_people: People) -> None:
    people = committed_people
    enforce_refunds(people)
    desk.use_broker()
    desk.start_web()
    desk.start_worker()
    review_id = hold(desk, people)
    answers: list[tuple[int, Any]] = []
    threads = [
        threading.Thread(target=lambda: answers.append(request(desk, people.token, f"reviews/{review_id}?wait=25")))
        for _ in range(300)
    ]
    for thread in threads:
        thread.start()
    time.sleep(2)
    for _ in range(20):
        assert request(desk, people.token, "evaluate", call())[0] == 200
    pid = desk.children[Part.WEB].process.pid
    assert len(list(Path(f"/proc/{pid}/task").iterdir())) < 40
    decide(people, get(people, review_id))
    for thread in threads:
        thread.join(timeout=30)
    assert [status for status, _ in answers] == [200] * 300
    assert {answer["state"] for _, answer in answers} == {"approved"}
