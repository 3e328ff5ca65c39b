"""The client for code on an event loop: the same questions as `MCPGuard`, as coroutines.

HTTP runs in threads of its own, so the loop is never blocked; all waits share one request (`waits.py`). Handlers that
are not coroutine functions run in a thread too.
"""

import asyncio
import contextlib
import functools
import inspect
from collections.abc import AsyncIterator, Callable, Iterator, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from typing import Any, Final, TypeVar, Unpack, cast

from mcpguard_sdk import gate, wire
from mcpguard_sdk.calls import AskOptions, Call, Decision, Review
from mcpguard_sdk.errors import MCPGuardError
from mcpguard_sdk.guard import Execution, MCPGuard, OnBlock, OnQuestion
from mcpguard_sdk.tools import TOOL_ATTRIBUTE, Tool
from mcpguard_sdk.waits import WaitRoom

MOST_REQUESTS: Final = 16
Result = TypeVar("Result")
Function = TypeVar("Function", bound=Callable[..., Any])  # Any: a tool's own result


class AsyncMCPGuard:
    """The asynchronous client, for one event loop. Takes the arguments of `MCPGuard`; `async with` closes it."""

    def __init__(self, *arguments: Any, **settings: Any) -> None:  # Any: MCPGuard's own arguments, checked there
        self.sync = MCPGuard(*arguments, **settings)
        self._executor = ThreadPoolExecutor(MOST_REQUESTS, thread_name_prefix="mcpguard")
        self._room = WaitRoom(self.sync.session, self._executor)

    def __repr__(self) -> str:
        return f"{type(self).__name__}({self.sync.session.transport!r})"

    async def __aenter__(self) -> "AsyncMCPGuard":
        return self

    async def __aexit__(self, *exception: object) -> None:
        await self.close()

    async def close(self) -> None:
        """End the waits, send the reports that wait, and let go of threads and connections."""
        await self._room.close()
        await asyncio.to_thread(self.sync.close)
        self._executor.shutdown(wait=False, cancel_futures=True)

    async def evaluate(
        self, action_id: str, params: Mapping[str, object] | None = None, **options: Unpack[AskOptions]
    ) -> Decision:
        """See `MCPGuard.evaluate`."""
        return await self._in_thread(self.sync.ask, self.call(action_id, params, **options))

    async def enforce(
        self,
        action_id: str,
        params: Mapping[str, object] | None = None,
        *,
        on_review: gate.OnReview | None = None,
        wait_timeout: float | None = None,
        idempotent: bool = False,
        **options: Unpack[AskOptions],
    ) -> Decision:
        """See `MCPGuard.enforce`."""
        decision = await self._in_thread(self.sync.ask, self.call(action_id, params, **options))
        if decision.decision == wire.REVIEW and (on_review or self.sync.on_review) == "wait":
            review = await self.wait_for_review(decision, timeout=wait_timeout)
            decision = gate.after_review(review, decision=decision)
        return gate.permitted(decision, is_idempotent=idempotent)

    async def wait_for_review(
        self,
        review: str | Decision,
        *,
        timeout: float | None = None,  # noqa: ASYNC109  # MCPGuard's name for it
        on_question: OnQuestion | None = None,
    ) -> Review:
        """See `MCPGuard.wait_for_review`. With `on_question` the wait has a thread of its own, in which that is called."""
        review_id = review.review_id if isinstance(review, Decision) else review
        if review_id is None:
            raise ValueError("this decision opened no review")
        if on_question is not None:
            wait = functools.partial(self.sync.wait_for_review, timeout=timeout, on_question=on_question)
            return await asyncio.to_thread(wait, review_id)
        return await self._room.wait(review_id, timeout_seconds=self.sync.wait_timeout if timeout is None else timeout)

    async def answer(self, review_id: str, question_id: str, *, answer: str) -> Review:
        """See `MCPGuard.answer`."""
        return await self._in_thread(functools.partial(self.sync.answer, review_id, question_id, answer=answer))

    @contextlib.asynccontextmanager
    async def execution(
        self, source: Decision | Review, *, idempotency_key: str | None = None, idempotent: bool = False
    ) -> AsyncIterator[Execution]:
        """See `MCPGuard.execution`."""
        decision = gate.after_review(source) if isinstance(source, Review) else source
        decision = gate.permitted(decision, is_idempotent=idempotent)
        spend = functools.partial(self.sync.spend, idempotency_key=idempotency_key, is_idempotent=idempotent)
        execution_id = await self._in_thread(spend, decision)
        running = Execution(decision, execution_id)
        try:
            yield running
        except Exception as error:  # a cancelled block is not reported: how it ended is unknown
            failed = gate.report_of(decision, execution_id, running.outcome_body(error))
            await self._in_thread(self.sync.report_step, failed)
            raise
        await self._in_thread(self.sync.report_step, gate.report_of(decision, execution_id, running.outcome_body(None)))

    def report(
        self,
        decision: Decision,
        *,
        outcome: wire.Outcome = "succeeded",
        duration_ms: int | None = None,
        reference: str | None = None,
        error: str | None = None,
    ) -> None:
        """See `MCPGuard.report`; it only queues, so it is no coroutine."""
        self.sync.report(decision, outcome=outcome, duration_ms=duration_ms, reference=reference, error=error)

    def tool(
        self,
        action_id: str,
        *,
        exclude: Sequence[str] = (),
        idempotent: bool = False,
        expose_errors: bool = False,
        on_block: OnBlock | None = None,
        **options: Unpack[AskOptions],
    ) -> Callable[[Function], Function]:
        """See `MCPGuard.tool`; the decorated function is a coroutine function, whatever the function was."""

        def decorate(function: Function) -> Function:
            gated = Tool(action_id, function, frozenset(exclude), idempotent=idempotent, expose_errors=expose_errors)

            @functools.wraps(function)
            async def asked(*arguments: Any, **keywords: Any) -> Any:  # Any: the function's own signature
                params, excluded = gated.bind(arguments, keywords)
                try:
                    flow = gate.run_call(
                        self.call(action_id, params, **options),
                        tool=gated,
                        excluded=excluded,
                        on_review=self.sync.on_review,
                        wait_timeout_seconds=self.sync.wait_timeout,
                    )
                    return (await self.run(flow)).result
                except gate.HandlerFailedError as failed:
                    raise failed.error from None
                except MCPGuardError as error:
                    if (on_block or self.sync.on_block) == "return":
                        return error.for_model()
                    raise

            setattr(asked, TOOL_ATTRIBUTE, gated)
            return cast(Function, asked)

        return decorate

    @contextlib.contextmanager
    def bound(self, *, user_context: Mapping[str, object] | None = None, run_id: str | None = None) -> Iterator[None]:
        """See `MCPGuard.bound`; it holds for the tasks made within the block too."""
        with self.sync.bound(user_context=user_context, run_id=run_id):
            yield

    async def check(self) -> wire.JsonObject:
        """See `MCPGuard.check`."""
        return await self._in_thread(self.sync.check)

    async def owed(self) -> list[Review]:
        """See `MCPGuard.owed`."""
        return await self._in_thread(self.sync.owed)

    async def review(self, review_id: str) -> Review:
        """See `MCPGuard.review`."""
        return await self._in_thread(self.sync.review, review_id)

    async def cancel(self, review_id: str, *, reason: str) -> Review:
        """See `MCPGuard.cancel`."""
        return await self._in_thread(functools.partial(self.sync.cancel, review_id, reason=reason))

    async def heartbeat(self, *, waiting: Sequence[tuple[str, int]] = (), gone: Sequence[str] = ()) -> list[Review]:
        """See `MCPGuard.heartbeat`."""
        return await self._in_thread(functools.partial(self.sync.heartbeat, waiting=waiting, gone=gone))

    async def offer_tools(self, tools: Sequence[wire.JsonObject]) -> dict[str, str]:
        """See `MCPGuard.offer_tools`."""
        return await self._in_thread(functools.partial(self.sync.offer_tools, tools))

    def call(self, action_id: str, params: Mapping[str, object] | None = None, **options: Unpack[AskOptions]) -> Call:
        """See `MCPGuard.call`; made on the loop, where `bound` is known."""
        return self.sync.call(action_id, params, **options)

    async def run(self, flow: gate.Flow) -> gate.Ran:
        """Drives one call's flow; `gate.drive` with waiting in between."""
        value: Any = None
        error: Exception | None = None
        while True:
            try:
                step = flow.send(value) if error is None else flow.throw(error)
            except StopIteration as end:
                ran: gate.Ran = end.value
                return ran
            try:
                value, error = await self._perform(step), None
            except Exception as raised:
                value, error = None, raised

    async def _perform(self, step: gate.Step) -> Any:  # Any: what the step gives
        match step:
            case gate.Ask():
                return await self._in_thread(self.sync.ask, step.call)
            case gate.Await():
                return await self.wait_for_review(step.review_id, timeout=step.timeout_seconds)
            case gate.Spend():
                spend = functools.partial(
                    self.sync.session.start_execution,
                    step.grant_id,
                    params=step.params,
                    idempotency_key=step.idempotency_key,
                )
                return await self._in_thread(spend)
            case gate.Run():
                if step.tool.is_async:
                    return await step.tool.call(step.params, step.excluded)
                result = await asyncio.to_thread(step.tool.call, step.params, step.excluded)
                return await result if inspect.isawaitable(result) else result
            case gate.Report():
                return await self._in_thread(self.sync.report_step, step)

    async def _in_thread(self, function: Callable[..., Result], *arguments: object) -> Result:
        return await asyncio.get_running_loop().run_in_executor(self._executor, function, *arguments)
