"""Nothing runs on an answer that is not a well-formed allow."""

import socket
import ssl
import threading
import time
from collections.abc import Iterator

import pytest
from mcpguard_sdk import (
    MCPGuard,
    MCPGuardConfigError,
    MCPGuardDeniedError,
    MCPGuardError,
    MCPGuardRequestError,
    MCPGuardReviewError,
    MCPGuardUnavailableError,
)
from mcpguard_sdk.transport import HttpTransport

from tests.stubs.guard_server import API_KEY, GuardServer


class Ran(AssertionError):
    """A handler that must not run did."""


def must_not_run(**params: object) -> None:
    """A handler that fails the test."""
    raise Ran


@pytest.fixture
def free_port() -> Iterator[int]:
    """A port on which nobody listens."""
    with socket.socket() as one:
        one.bind(("127.0.0.1", 0))
        yield one.getsockname()[1]


@pytest.mark.parametrize(
    "fault", ["500", "503", "html", "html-as-json", "twice", "redirect", "lie", "nameless", "drop", "204"]
)
def test_an_answer_that_is_not_understood_runs_nothing(server: GuardServer, guard: MCPGuard, fault: str) -> None:
    server.fail(fault)
    refund = guard.tool("billing.refund")(must_not_run)

    with pytest.raises(MCPGuardUnavailableError) as caught:
        refund(amount=1)

    assert caught.value.for_model() == {
        "error": "guard_unavailable",
        "message": "Not run.",
        "action_id": "billing.refund",
        "retry_after_s": 30,
    }


def test_a_guard_that_is_down_runs_nothing(free_port: int) -> None:
    with (
        MCPGuard(API_KEY, f"http://127.0.0.1:{free_port}", timeout=1) as guard,
        pytest.raises(MCPGuardUnavailableError, match="can't be reached"),
    ):
        guard.tool("billing.refund")(must_not_run)(amount=1)


@pytest.mark.parametrize("fault", ["slow", "drip"])
def test_a_slow_guard_ends_at_the_deadline_over_all_tries(server: GuardServer, fault: str) -> None:
    server.fail(fault, seconds=3)
    began = time.monotonic()

    with (
        MCPGuard(API_KEY, server.url, timeout=0.5) as guard,
        pytest.raises(MCPGuardUnavailableError, match=r"in time|TimeoutError"),
    ):
        guard.tool("billing.refund")(must_not_run)(amount=1)

    assert time.monotonic() - began < 1.5


@pytest.mark.parametrize("status", ["401", "403", "404"])
def test_a_refused_key_is_told_apart_from_an_outage_and_not_tried_again(
    server: GuardServer, guard: MCPGuard, status: str
) -> None:
    server.fail(status)

    with pytest.raises(MCPGuardConfigError):
        guard.evaluate("billing.refund", {"amount": 1})

    assert len(server.asked()) == 1


def test_a_wrong_key_is_found_by_check(server: GuardServer) -> None:
    with (
        MCPGuard("gsk_test_0193_WRONG", server.url) as guard,
        pytest.raises(MCPGuardConfigError, match="401") as caught,
    ):
        guard.check()
    assert "WRONG" not in str(caught.value)


def test_a_conflict_is_the_request_s_own_fault(server: GuardServer, guard: MCPGuard) -> None:
    guard.evaluate("billing.refund", {"amount": 1}, idempotency_key="k1")

    with pytest.raises(MCPGuardRequestError) as caught:
        guard.evaluate("billing.refund", {"amount": 2}, idempotency_key="k1")

    assert (caught.value.code, caught.value.status) == ("idempotency_conflict", 409)
    assert len(server.asked()) == 2


def test_a_try_repeats_the_same_idempotency_key_and_is_answered_once(server: GuardServer, guard: MCPGuard) -> None:
    server.fail("drop", count=1)

    decision = guard.evaluate("billing.refund", {"amount": 1})

    first, second = server.asked()
    assert first == second
    assert decision.replayed
    assert not decision.may_have_run, "nobody else has this key, so the first answer was our own lost one"


def test_retry_after_beyond_the_deadline_is_not_waited_for(server: GuardServer) -> None:
    server.fail("429", count=1)
    with MCPGuard(API_KEY, server.url, timeout=2) as guard:
        assert guard.evaluate("billing.refund", {"amount": 1}).is_allowed
    assert len(server.asked()) == 2


def test_a_deny_and_a_review_block_and_an_allow_runs_in_one_set_up(server: GuardServer, guard: MCPGuard) -> None:
    ran: list[int] = []

    @guard.tool("billing.refund")
    def refund(amount: int) -> None:
        ran.append(amount)

    for rule, error in (("deny", MCPGuardDeniedError), ("review", MCPGuardReviewError)):
        server.rules["billing.refund"] = rule
        with pytest.raises(error):
            refund(amount=1)
        assert ran == []

    server.rules["billing.refund"] = "allow"
    refund(amount=1)
    assert ran == [1]


@pytest.mark.parametrize(
    "address",
    [
        "http://guard.example",
        "http://127.0.0.1.guard.example",
        "http://10.0.0.1:8000",
        "ftp://127.0.0.1",
        "https://user:secret@guard.example",
        "https://guard.example/?x=1",
        "guard.example",
        "",
    ],
)
def test_the_key_is_not_sent_to_an_address_like_this(address: str) -> None:
    with pytest.raises(MCPGuardConfigError):
        MCPGuard(API_KEY, address)


@pytest.mark.parametrize(
    "address", ["http://localhost:8000", "http://127.0.0.1", "http://[::1]:8000", "https://g.example/x"]
)
def test_loopback_and_https_are_taken(address: str) -> None:
    MCPGuard(API_KEY, address).close()


def test_tls_is_verified(server: GuardServer) -> None:
    context = HttpTransport("https://localhost")._ssl_context
    assert context is not None
    assert context.verify_mode is ssl.CERT_REQUIRED
    assert context.check_hostname


def test_the_key_is_in_no_repr_and_no_exception(server: GuardServer, guard: MCPGuard) -> None:
    server.fail("500")
    shown = [repr(guard), repr(guard.session), repr(vars(guard.session)), str(vars(guard))]
    try:
        guard.evaluate("billing.refund", {"note": "a SECRET note"})
    except MCPGuardError as error:
        while error is not None:
            shown += [repr(error), str(error), repr(vars(error))]
            error = error.__cause__ or error.__context__  # type: ignore[assignment]
    assert all("SECRET" not in text for text in shown)


def test_params_are_in_no_repr_of_a_decision(server: GuardServer, guard: MCPGuard) -> None:
    assert "SECRET" not in repr(guard.evaluate("billing.refund", {"note": "SECRET"}))


def test_answers_of_threads_are_not_mixed_up(server: GuardServer, guard: MCPGuard) -> None:
    server.rules["b"] = "deny"
    wrong: list[str] = []

    def ask(action_id: str, expected: str) -> None:
        answers = [guard.evaluate(action_id, {}).decision for _ in range(25)]
        wrong.extend(answer for answer in answers if answer != expected)

    threads = [threading.Thread(target=ask, args=pair) for pair in [("a", "allow"), ("b", "deny")] * 4]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert wrong == []
    assert server.connection_count <= 8, "connections are kept"


def test_a_connection_that_the_guard_closed_meanwhile_is_not_used(server: GuardServer, guard: MCPGuard) -> None:
    guard.evaluate("a", {})
    transport = guard.session.transport
    assert isinstance(transport, HttpTransport)
    (idle,) = transport._idle
    idle.sock.shutdown(socket.SHUT_RDWR)

    guard.evaluate("a", {})

    assert [body["action_id"] for body in server.asked()] == ["a", "a"], "no try was spent on it"
