"""The synchronous client: ask, enforce, wait, run, report, and the decorator."""

import os
import threading
import time
from typing import Any

import pytest
from mcpguard_sdk import (
    MCPGuard,
    MCPGuardConfigError,
    MCPGuardDeniedError,
    MCPGuardGrantError,
    MCPGuardRequestError,
    MCPGuardUncertainError,
    MCPGuardWaitTimeout,
    ToolMap,
)

from tests.stubs.guard_server import API_KEY, GuardServer


def decide_soon(server: GuardServer, state: str, **verdict: Any) -> threading.Thread:
    """A person who decides the one review a moment after it was opened."""

    def decide() -> None:
        review = server.only_review()
        time.sleep(0.1)
        server.decide(review.review_id, state, **verdict)

    thread = threading.Thread(target=decide)
    thread.start()
    return thread


def test_evaluate_never_raises_on_deny_or_review(server: GuardServer, guard: MCPGuard) -> None:
    for rule in ("allow", "deny", "review"):
        server.rules["a"] = rule
        decision = guard.evaluate("a", {"x": 1}, user_context={"user_id": "u_9"})
        assert (decision.decision, decision.is_allowed) == (rule, rule == "allow")
    assert decision.review_id in server.reviews
    assert server.asked()[0]["user_context"] == {"user_id": "u_9"}


def test_bound_sets_user_and_run_for_its_block(server: GuardServer, guard: MCPGuard) -> None:
    with guard.bound(user_context={"user_id": "u_9"}, run_id="run_7"):
        with guard.bound(run_id="run_8"):
            guard.evaluate("a", {})
        guard.evaluate("a", {}, user_context={"user_id": "u_1"})
    guard.evaluate("a", {})

    bodies = server.asked()
    assert [(body["user_context"], body.get("run_id")) for body in bodies] == [
        ({"user_id": "u_9"}, "run_8"),
        ({"user_id": "u_1"}, "run_7"),
        ({}, None),
    ]


def test_enforce_waits_for_the_person_and_gives_what_was_approved(server: GuardServer, guard: MCPGuard) -> None:
    server.rules["a"] = "review"
    person = decide_soon(server, "approved", params={"x": 2})

    decision = guard.enforce("a", {"x": 1}, on_review="wait", wait_timeout=10)
    with guard.execution(decision) as execution:
        assert execution.params == {"x": 2}
        assert execution.result("done", reference="re_1") == "done"

    person.join()
    review = server.only_review()
    assert decision.amended
    assert review.outcome is not None
    assert (review.outcome["outcome"], review.outcome["reference"]) == ("succeeded", "re_1")


@pytest.mark.parametrize("state", ["denied", "expired", "withdrawn", "superseded"])
def test_a_review_that_ends_otherwise_denies(server: GuardServer, guard: MCPGuard, state: str) -> None:
    server.rules["a"] = "review"
    person = decide_soon(server, state, message="Not this one.")

    with pytest.raises(MCPGuardDeniedError, match="Not this one") as caught:
        guard.enforce("a", {"x": 1}, on_review="wait", wait_timeout=10)

    person.join()
    assert caught.value.review_state == state


def test_a_wait_that_times_out_leaves_the_review_open(server: GuardServer, guard: MCPGuard) -> None:
    server.rules["a"] = "review"
    decision = guard.evaluate("a", {})

    with pytest.raises(MCPGuardWaitTimeout):
        guard.wait_for_review(decision, timeout=0.3)

    assert server.only_review().state == "pending"


def test_a_wait_outlives_an_outage_and_ends_on_a_bad_key(server: GuardServer, guard: MCPGuard) -> None:
    server.rules["a"] = "review"
    decision = guard.evaluate("a", {})
    server.fail("503", path="/v1/reviews", count=4)
    server.decide(str(decision.review_id), "approved")

    assert guard.wait_for_review(decision, timeout=10).is_approved

    with pytest.raises(MCPGuardConfigError):
        guard.wait_for_review("rv_unknown", timeout=10)


def test_a_grant_opens_one_run(server: GuardServer, guard: MCPGuard) -> None:
    server.rules["a"] = "review"
    decision = guard.evaluate("a", {"x": 1})
    server.decide(str(decision.review_id), "approved")
    review = guard.wait_for_review(decision)

    with guard.execution(review):
        pass
    with pytest.raises(MCPGuardGrantError) as caught, guard.execution(review):
        pytest.fail("ran twice")

    assert caught.value.code == "grant_used"
    assert caught.value.for_model()["error"] == "execution_uncertain"


def test_params_changed_after_the_approval_do_not_run(server: GuardServer, guard: MCPGuard) -> None:
    server.rules["a"] = "review"
    decision = guard.evaluate("a", {"x": 1})
    server.decide(str(decision.review_id), "approved")
    review = guard.wait_for_review(decision)
    assert review.params is not None
    review.params["x"] = 1_000_000

    with pytest.raises(MCPGuardGrantError) as caught, guard.execution(review):
        pytest.fail("ran with other params")

    assert caught.value.code == "grant_mismatch"
    assert server.only_review().execution_key is None, "the grant is still there for the right params"


def test_a_failing_block_is_reported_by_its_class_and_goes_on(server: GuardServer, guard: MCPGuard) -> None:
    server.rules["a"] = "review"
    decision = guard.evaluate("a", {})
    server.decide(str(decision.review_id), "approved")

    with pytest.raises(LookupError), guard.execution(guard.wait_for_review(decision)):
        raise LookupError("SECRET")

    outcome = server.only_review().outcome
    assert outcome is not None
    assert (outcome["outcome"], outcome["error"]) == ("failed", "LookupError")


def test_a_lost_report_does_not_hide_the_result(server: GuardServer, guard: MCPGuard) -> None:
    server.rules["a"] = "review"
    decision = guard.evaluate("a", {})
    server.decide(str(decision.review_id), "approved")
    review = guard.wait_for_review(decision)

    with guard.execution(review) as execution:
        server.fail("500")
        result = execution.result(42)

    assert result == 42


def test_a_plain_allow_is_reported_in_the_background(server: GuardServer, guard: MCPGuard) -> None:
    decision = guard.evaluate("a", {})
    guard.report(decision, outcome="failed", duration_ms=412, error="CardError")
    guard.close()

    assert server.reports == {
        decision.call_id: {"outcome": "failed", "duration_ms": 412, "reference": None, "error": "CardError"}
    }


def test_the_decorator_asks_about_defaults_and_leaves_out_what_is_excluded(
    server: GuardServer, guard: MCPGuard
) -> None:
    session = object()

    @guard.tool("billing.refund", exclude=("session",))
    def refund(invoice_id: str, /, amount_cents: int = 5, *, session: object = None, **more: int) -> object:
        return (invoice_id, amount_cents, session, more)

    assert refund("in_88", session=session, tip=1) == ("in_88", 5, session, {"tip": 1})
    assert server.asked()[0]["params"] == {"invoice_id": "in_88", "amount_cents": 5, "tip": 1}
    assert refund.__name__ == "refund"


def test_what_runs_is_a_copy_of_what_was_asked(server: GuardServer, guard: MCPGuard) -> None:
    given = {"to": ["a"]}

    @guard.tool("a")
    def send(message: dict[str, list[str]]) -> list[str]:
        given["to"].append("late")
        return message["to"]

    assert send(given) == ["a"]


def test_a_handler_without_named_arguments_is_refused_at_once(guard: MCPGuard) -> None:
    with pytest.raises(TypeError, match=r"\*args"):
        guard.tool("a")(lambda *args: None)
    with pytest.raises(TypeError, match="to exclude"):
        guard.tool("a", exclude=("session",))(lambda x: None)

    async def later() -> None: ...

    with pytest.raises(TypeError, match="AsyncMCPGuard"):
        guard.tool("a")(later)


def test_on_block_return_gives_the_model_s_object(server: GuardServer, guard: MCPGuard) -> None:
    server.rules["a"] = "deny"

    @guard.tool("a", on_block="return")
    def act() -> dict[str, str]:
        pytest.fail("ran")

    assert act() == {
        "error": "policy_denied",
        "message": "Not without a person.",
        "action_id": "a",
        "rule": "the-rule",
    }


def test_a_named_key_that_was_answered_before_does_not_run_again(server: GuardServer, guard: MCPGuard) -> None:
    guard.enforce("a", {"x": 1}, idempotency_key="k1")

    with pytest.raises(MCPGuardUncertainError):
        guard.enforce("a", {"x": 1}, idempotency_key="k1")

    assert guard.enforce("a", {"x": 1}, idempotency_key="k1", idempotent=True).is_allowed


def test_owed_reads_every_page(server: GuardServer, guard: MCPGuard) -> None:
    server.rules["a"] = "review"
    reviews = [str(guard.evaluate("a", {"x": number}).review_id) for number in range(3)]
    for review_id in reviews[:2]:
        server.decide(review_id, "approved")
    assert [review.review_id for review in guard.owed()] == reviews[:2]


def test_cancel_and_heartbeat(server: GuardServer, guard: MCPGuard) -> None:
    server.rules["a"] = "review"
    review_id = str(guard.evaluate("a", {}).review_id)

    assert [one.state for one in guard.heartbeat(waiting=[(review_id, 60)], gone=[])] == ["pending"]
    assert guard.cancel(review_id, reason="run aborted").state == "withdrawn"
    with pytest.raises(MCPGuardRequestError) as caught:
        guard.cancel(review_id, reason="again")
    assert caught.value.code == "review_closed"


def test_a_forked_child_uses_no_connection_of_its_parent(server: GuardServer, guard: MCPGuard) -> None:
    guard.evaluate("a", {})
    before = server.connection_count
    child = os.fork()
    if child == 0:
        status = 1
        try:
            status = 0 if guard.evaluate("a", {}).is_allowed else 1
        finally:
            os._exit(status)
    _, status = os.waitpid(child, 0)

    assert status == 0
    assert server.connection_count == before + 1
    assert guard.evaluate("a", {}).is_allowed


def test_settings_come_from_the_environment(server: GuardServer, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("MCPGUARD_API_KEY", API_KEY)
    monkeypatch.setenv("MCPGUARD_BASE_URL", server.url)
    monkeypatch.setenv("MCPGUARD_AGENT", "billing-bot")
    monkeypatch.setenv("MCPGUARD_TIMEOUT", "1.5")
    with MCPGuard() as guard:
        guard.evaluate("a", {})
        assert guard.session.timeout_seconds == 1.5
    assert server.asked()[0]["agent"] == "billing-bot"


@pytest.mark.parametrize(
    ("name", "value"), [("MCPGUARD_API_KEY", ""), ("MCPGUARD_BASE_URL", ""), ("MCPGUARD_TIMEOUT", "soon")]
)
def test_a_missing_or_wrong_setting_is_said_at_once(monkeypatch: pytest.MonkeyPatch, name: str, value: str) -> None:
    monkeypatch.setenv("MCPGUARD_API_KEY", API_KEY)
    monkeypatch.setenv("MCPGUARD_BASE_URL", "http://127.0.0.1:1")
    monkeypatch.setenv(name, value)
    with pytest.raises(MCPGuardConfigError):
        MCPGuard()


def test_a_key_with_a_line_break_never_reaches_a_header() -> None:
    with pytest.raises(MCPGuardConfigError) as caught:
        MCPGuard("gsk_SECRET\r\nX-Evil: 1", "http://127.0.0.1:1")
    assert "SECRET" not in str(caught.value)


def test_tool_map_finds_a_function_name_by_key_by_map_and_by_underscores() -> None:
    tools = ToolMap(
        {"billing.refund": lambda: 1, "send_mail": lambda: 2, "lookup": lambda: 3},
        {"send_mail": "email.send", "pay_back": "billing.refund"},
    )
    found = {name: tools.get(name) for name in ("billing_refund", "pay_back", "send_mail", "email_send", "lookup")}
    assert {name: tool.action_id for name, tool in found.items() if tool} == {
        "billing_refund": "billing.refund",
        "pay_back": "billing.refund",
        "send_mail": "email.send",
        "email_send": "email.send",
        "lookup": "lookup",
    }
    assert tools.get("drop_table") is None
    assert "billing.refund" not in tools.names()


def test_tool_map_refuses_a_name_that_two_handlers_answer_to() -> None:
    with pytest.raises(ValueError, match="a_b_c"):
        ToolMap({"a.b_c": lambda: 1, "a_b.c": lambda: 2})
    with pytest.raises(ValueError, match="no handler"):
        ToolMap({"a": lambda: 1}, {"b": "c.d"})
