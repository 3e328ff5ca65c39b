"""The asynchronous client: the loop is never blocked, and all waits share one request."""

import asyncio
import time
from collections.abc import Callable, Coroutine
from typing import Any

import pytest
from mcpguard_sdk import AsyncMCPGuard, MCPGuardConfigError, MCPGuardDeniedError, MCPGuardWaitTimeout

from tests.stubs.guard_server import API_KEY, GuardServer


def with_guard(server: GuardServer, work: Callable[[AsyncMCPGuard], Coroutine[Any, Any, Any]], **settings: Any) -> Any:
    """What the work returns, on a loop of its own with a client of the stub."""

    async def main() -> Any:
        async with AsyncMCPGuard(API_KEY, server.url, **settings) as guard:
            return await work(guard)

    return asyncio.run(main())


def test_the_same_flow_as_coroutines(server: GuardServer) -> None:
    server.rules["a"] = "review"

    async def work(guard: AsyncMCPGuard) -> str:
        with guard.bound(run_id="run_7"):
            decision = await guard.evaluate("a", {"x": 1})
        server.decide(str(decision.review_id), "approved")
        review = await guard.wait_for_review(decision, timeout=10)
        async with guard.execution(review) as execution:
            result: str = execution.result(f"ran {execution.params}")
            return result

    assert with_guard(server, work) == "ran {'x': 1}"
    assert server.asked()[0]["run_id"] == "run_7"
    outcome = server.only_review().outcome
    assert outcome is not None
    assert outcome["outcome"] == "succeeded"


def test_all_waits_share_one_request(server: GuardServer) -> None:
    server.rules["a"] = "review"

    async def work(guard: AsyncMCPGuard) -> list[str]:
        decisions = [await guard.evaluate("a", {"x": number}) for number in range(30)]
        waits = [asyncio.create_task(guard.wait_for_review(decision, timeout=20)) for decision in decisions[:20]]
        await asyncio.sleep(0.3)
        waits += [asyncio.create_task(guard.wait_for_review(decision, timeout=20)) for decision in decisions[20:]]
        await asyncio.sleep(0.3)
        for decision in decisions:
            server.decide(str(decision.review_id), "approved")
        return [review.review_id for review in await asyncio.gather(*waits)]

    found = with_guard(server, work)

    assert sorted(found) == sorted(server.reviews)
    polls = [request for request in server.requests if request.path == "/v1/reviews"]
    assert len(polls) <= 5, "two to begin with, and those that the verdicts ended"
    assert server.most_open_waits <= 2, "a second one only while the first is being hung up"
    assert max(len(poll.query["id"]) for poll in polls) == 30


def test_a_newcomer_does_not_wait_for_the_running_poll(server: GuardServer) -> None:
    server.rules["a"] = "review"

    async def work(guard: AsyncMCPGuard) -> float:
        first = await guard.evaluate("a", {"x": 1})
        second = await guard.evaluate("a", {"x": 2})
        waiting = asyncio.create_task(guard.wait_for_review(first, timeout=20))
        await asyncio.sleep(0.2)
        server.decide(str(second.review_id), "approved")
        began = time.monotonic()
        await guard.wait_for_review(second, timeout=20)
        took = time.monotonic() - began
        waiting.cancel()
        return took

    assert with_guard(server, work) < 2


def test_more_than_a_hundred_waits_are_asked_for_in_hundreds(server: GuardServer) -> None:
    server.rules["a"] = "review"

    async def work(guard: AsyncMCPGuard) -> int:
        decisions = await asyncio.gather(*(guard.evaluate("a", {"x": number}) for number in range(120)))
        for decision in decisions:
            server.decide(str(decision.review_id), "approved")
        return len(await asyncio.gather(*(guard.wait_for_review(one, timeout=20) for one in decisions)))

    assert with_guard(server, work) == 120


def test_one_unknown_review_does_not_spoil_the_waits_of_others(server: GuardServer) -> None:
    server.rules["a"] = "review"

    async def work(guard: AsyncMCPGuard) -> list[Any]:
        decision = await guard.evaluate("a", {})
        server.decide(str(decision.review_id), "approved")
        waits = (guard.wait_for_review("rv_unknown", timeout=20), guard.wait_for_review(decision, timeout=20))
        return list(await asyncio.gather(*waits, return_exceptions=True))

    unknown, review = with_guard(server, work)
    assert isinstance(unknown, MCPGuardConfigError)
    assert review.is_approved


def test_a_wait_times_out_by_itself_and_outlives_an_outage(server: GuardServer) -> None:
    server.rules["a"] = "review"

    async def work(guard: AsyncMCPGuard) -> bool:
        decision = await guard.evaluate("a", {})
        with pytest.raises(MCPGuardWaitTimeout):
            await guard.wait_for_review(decision, timeout=0.3)
        server.fail("503", path="/v1/reviews", count=3)
        server.decide(str(decision.review_id), "approved")
        return (await guard.wait_for_review(decision, timeout=20)).is_approved

    assert with_guard(server, work) is True


def test_a_slow_guard_does_not_block_the_loop(server: GuardServer) -> None:
    server.fail("slow", seconds=0.5, count=4)

    async def work(guard: AsyncMCPGuard) -> float:
        asks = asyncio.gather(*(guard.evaluate("a", {"x": number}) for number in range(4)))
        longest = 0.0
        while not asks.done():
            began = time.monotonic()
            await asyncio.sleep(0.01)
            longest = max(longest, time.monotonic() - began)
        await asks
        return longest

    assert with_guard(server, work) < 0.3


def test_the_decorator_makes_coroutines_of_both_kinds(server: GuardServer) -> None:
    async def work(guard: AsyncMCPGuard) -> list[Any]:
        @guard.tool("a")
        async def later(x: int, y: int = 2) -> int:
            return x + y

        @guard.tool("a")
        def now(x: int) -> int:
            return x

        results: list[Any] = [await later(1), await now(5)]  # type: ignore[misc]  # a coroutine function now
        server.rules["a"] = "deny"
        with pytest.raises(MCPGuardDeniedError):
            await later(1)
        return results

    assert with_guard(server, work) == [3, 5]
    assert server.asked()[0]["params"] == {"x": 1, "y": 2}


def test_an_exception_of_a_handler_passes_through_and_is_reported(server: GuardServer) -> None:
    async def work(guard: AsyncMCPGuard) -> None:
        @guard.tool("a")
        async def fail() -> None:
            raise LookupError

        with pytest.raises(LookupError):
            await fail()

    with_guard(server, work)
    (report,) = server.reports.values()
    assert (report["outcome"], report["error"]) == ("failed", "LookupError")


def test_a_cancelled_block_is_not_reported(server: GuardServer) -> None:
    server.rules["a"] = "review"

    async def work(guard: AsyncMCPGuard) -> None:
        decision = await guard.evaluate("a", {})
        server.decide(str(decision.review_id), "approved")
        review = await guard.wait_for_review(decision)

        async def block() -> None:
            async with guard.execution(review):
                await asyncio.sleep(20)

        task = asyncio.create_task(block())
        await asyncio.sleep(0.2)
        task.cancel()
        with pytest.raises(asyncio.CancelledError):
            await task

    with_guard(server, work)
    assert server.only_review().execution_key is not None
    assert server.only_review().outcome is None


def test_check_owed_cancel_and_heartbeat(server: GuardServer) -> None:
    server.rules["a"] = "review"

    async def work(guard: AsyncMCPGuard) -> list[Any]:
        info = await guard.check()
        decision = await guard.evaluate("a", {})
        review_id = str(decision.review_id)
        beats = await guard.heartbeat(waiting=[(review_id, 5)])
        seen = await guard.review(review_id)
        cancelled = await guard.cancel(review_id, reason="done")
        return [info["tenant"], beats[0].state, seen.state, cancelled.state, await guard.owed()]

    assert with_guard(server, work) == ["demo", "pending", "pending", "withdrawn", []]


def test_enforce_and_the_decorator_wait_where_told_to(server: GuardServer) -> None:
    server.rules["a"] = "review"

    async def approve_all() -> None:
        while True:
            for review in list(server.reviews.values()):
                if review.state == "pending":
                    server.decide(review.review_id, "approved")
            await asyncio.sleep(0.05)

    async def work(guard: AsyncMCPGuard) -> list[Any]:
        approving = asyncio.create_task(approve_all())
        decision = await guard.enforce("a", {"x": 1}, on_review="wait", wait_timeout=10)
        guard.report(decision, outcome="not_run")

        @guard.tool("a")
        async def act(x: int) -> int:
            return x

        found = [decision.is_allowed, await act(2)]
        approving.cancel()
        server.rules["a"] = "deny"
        assert (await guard.tool("a", on_block="return")(act.__wrapped__)(x=3))["error"] == "policy_denied"  # type: ignore[attr-defined]
        with pytest.raises(ValueError, match="opened no review"):
            await guard.wait_for_review(await guard.evaluate("a", {}))
        return [*found, repr(guard)]

    allowed, result, shown = with_guard(server, work, on_review="wait", wait_timeout=10)
    assert (allowed, result) == (True, 2)
    assert "SECRET" not in shown


def test_a_client_closed_while_it_waits_ends_its_poll(server: GuardServer) -> None:
    server.rules["a"] = "review"

    async def work(guard: AsyncMCPGuard) -> None:
        decision = await guard.evaluate("a", {})
        waiting = asyncio.create_task(guard.wait_for_review(decision, timeout=20))
        await asyncio.sleep(0.2)
        waiting.cancel()

    began = time.monotonic()
    with_guard(server, work)
    assert time.monotonic() - began < 5


def test_execution_reports_a_failed_block(server: GuardServer) -> None:
    server.rules["a"] = "review"

    async def work(guard: AsyncMCPGuard) -> None:
        decision = await guard.evaluate("a", {})
        server.decide(str(decision.review_id), "approved")
        with pytest.raises(LookupError):
            async with guard.execution(await guard.wait_for_review(decision)):
                raise LookupError

    with_guard(server, work)
    outcome = server.only_review().outcome
    assert outcome is not None
    assert outcome["outcome"] == "failed"
