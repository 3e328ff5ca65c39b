"""The client that an agent's code holds: ask, enforce, wait, run and report.

    guard = MCPGuard()  # MCPGUARD_API_KEY and MCPGUARD_BASE_URL

    @guard.tool("billing.refund", exclude=("session",))
    def refund(invoice_id: str, amount_minor: int, session=None): ...

A handler runs after a well-formed allow and after nothing else: whatever goes wrong on the way raises.
"""

import contextlib
import functools
import logging
import os
import time
import uuid
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextvars import ContextVar
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final, Literal, TypeVar, Unpack, cast

from mcpguard_sdk import gate, wire
from mcpguard_sdk.calls import AskOptions, Call, Decision, Question, Review, new_call
from mcpguard_sdk.errors import (
    MCPGuardConfigError,
    MCPGuardError,
    MCPGuardUnavailableError,
    MCPGuardUncertainError,
    MCPGuardWaitTimeout,
)
from mcpguard_sdk.outage import Outage
from mcpguard_sdk.reports import Background
from mcpguard_sdk.session import LONGEST_WAIT_SECONDS, ApiKey, Session
from mcpguard_sdk.tools import TOOL_ATTRIBUTE, Tool
from mcpguard_sdk.transport import HttpTransport, Transport

logger = logging.getLogger("mcpguard_sdk")

DEFAULT_TIMEOUT_SECONDS: Final = 5.0
DEFAULT_RETRY_COUNT: Final = 2
LONGEST_OUTAGE_PAUSE_SECONDS: Final = 5.0
LONGEST_ANSWER: Final = 2000
OnBlock = Literal["raise", "return"]
OnQuestion = Callable[[Question], str | None]
Function = TypeVar("Function", bound=Callable[..., Any])  # Any: a tool's own result


@dataclass(frozen=True)
class Bound:
    """What `guard.bound` sets for the calls made within its block."""

    user_context: Mapping[str, object] | None = None
    run_id: str | None = None


NOTHING_BOUND: Final = Bound()


class MCPGuard:
    """The synchronous client; safe to share between threads.

    `timeout` is in seconds, over all tries of one question. `on_unavailable` maps an action id to "observe" for actions
    that may run through an outage while they are wholly in observe; it needs `journal` (or MCPGUARD_JOURNAL).
    Raises MCPGuardConfigError at once when the key or the address is missing or not usable.
    """

    def __init__(
        self,
        api_key: str | None = None,
        base_url: str | None = None,
        *,
        timeout: float | None = None,
        retries: int = DEFAULT_RETRY_COUNT,
        on_block: OnBlock = "raise",
        on_review: gate.OnReview = "return",
        wait_timeout: float = gate.DEFAULT_WAIT_SECONDS,
        on_unavailable: Literal["closed"] | Mapping[str, Literal["observe"]] = "closed",
        journal: str | os.PathLike[str] | None = None,
        error_detail: gate.ErrorDetail = "class",
        tool_map: Mapping[str, str] | None = None,
        transport: Transport | None = None,
        agent: str | None = None,
    ) -> None:
        secret = api_key or os.environ.get("MCPGUARD_API_KEY", "")
        address = base_url or os.environ.get("MCPGUARD_BASE_URL", "")
        if not secret:
            raise MCPGuardConfigError("No API key: set MCPGUARD_API_KEY or pass api_key.")
        if not address and transport is None:
            raise MCPGuardConfigError("No address: set MCPGUARD_BASE_URL or pass base_url.")
        try:
            key = ApiKey(secret)
            transport = transport or HttpTransport(address)
            timeout_seconds = timeout if timeout is not None else timeout_setting()
        except ValueError as error:
            raise MCPGuardConfigError(f"The guard's settings are not usable: {error}.") from None
        self.session = Session(transport, key=key, timeout_seconds=timeout_seconds, retry_count=retries)
        self.on_block: OnBlock = on_block
        self.on_review: gate.OnReview = on_review
        self.wait_timeout = wait_timeout
        self.error_detail: gate.ErrorDetail = error_detail
        self.tool_map = dict(tool_map or {})
        self._agent = agent or os.environ.get("MCPGUARD_AGENT") or None
        self._outage = _outage(on_unavailable, journal=journal)
        self._background = Background()
        self._bound: ContextVar[Bound] = ContextVar("mcpguard_bound", default=NOTHING_BOUND)

    def __repr__(self) -> str:
        return f"{type(self).__name__}({self.session.transport!r})"

    def __enter__(self) -> "MCPGuard":
        return self

    def __exit__(self, *exception: object) -> None:
        self.close()

    def close(self) -> None:
        """Send the reports that wait, for two seconds at most, and let go of the connections."""
        self._background.close(2.0)
        self.session.close()

    def evaluate(
        self, action_id: str, params: Mapping[str, object] | None = None, **options: Unpack[AskOptions]
    ) -> Decision:
        """The guard's decision; a deny or a review is an answer, not an exception."""
        return self.ask(self.call(action_id, params, **options))

    def enforce(
        self,
        action_id: str,
        params: Mapping[str, object] | None = None,
        *,
        on_review: gate.OnReview | None = None,
        wait_timeout: float | None = None,
        idempotent: bool = False,
        **options: Unpack[AskOptions],
    ) -> Decision:
        """A decision that lets the call run; run `decision.params`, within `guard.execution(decision)`.

        Raises MCPGuardDeniedError, MCPGuardReviewError (MCPGuardWaitTimeout with `on_review="wait"`),
        MCPGuardUnavailableError, MCPGuardRequestError, MCPGuardUncertainError.
        """
        decision = self.ask(self.call(action_id, params, **options))
        if (
            decision.review_id is not None
            and decision.decision == wire.REVIEW
            and (on_review or self.on_review) == "wait"
        ):
            timeout = self.wait_timeout if wait_timeout is None else wait_timeout
            review = self.wait_for_review(decision.review_id, timeout=timeout, since=decision.review_version)
            decision = gate.after_review(review, decision=decision)
        return gate.permitted(decision, is_idempotent=idempotent)

    def wait_for_review(
        self,
        review: str | Decision,
        *,
        timeout: float | None = None,
        since: int = 0,
        on_question: OnQuestion | None = None,
    ) -> Review:
        """The review once it is decided, expired or withdrawn. Works after a restart of either side.

        `on_question` is called once for each question that a reviewer asks meanwhile; the text that it gives is sent as
        the answer, None leaves the question open. Network failures on the way are waited out. Raises
        MCPGuardWaitTimeout, the review staying open, and MCPGuardConfigError for a bad key or an unknown review.
        """
        review_id = review.review_id if isinstance(review, Decision) else review
        if review_id is None:
            raise ValueError("this decision opened no review")
        deadline = time.monotonic() + (self.wait_timeout if timeout is None else timeout)
        failure_count = 0
        heard: set[str] = set()
        while (remaining := deadline - time.monotonic()) > 0:
            try:
                wait_seconds = max(1, min(LONGEST_WAIT_SECONDS, int(remaining)))
                found = self.session.review(review_id, wait_seconds=wait_seconds, since=since)
            except MCPGuardConfigError:
                raise
            except MCPGuardUnavailableError:
                failure_count += 1
                time.sleep(min(outage_pause_seconds(failure_count), max(0.0, deadline - time.monotonic())))
                continue
            failure_count = 0
            if not found.is_open:
                return found
            if on_question is not None:
                self._answer(found, on_question, heard)
            since = max(since, found.version)
        raise MCPGuardWaitTimeout("Nobody has decided yet; the review stays open.", review_id=review_id)

    @contextlib.contextmanager
    def execution(
        self, source: Decision | Review, *, idempotency_key: str | None = None, idempotent: bool = False
    ) -> Iterator["Execution"]:
        """Spends the grant, gives the params to run, and reports how it ended.

        Raises MCPGuardGrantError when the grant does not open, MCPGuardUncertainError when `idempotency_key` had spent
        it before, and for anything that may not run what `enforce` raises. An exception of the block is reported by its
        class and goes on; one that is not an Exception (a kill, Ctrl-C) is not reported: how it ended is unknown.
        """
        decision = gate.after_review(source) if isinstance(source, Review) else source
        decision = gate.permitted(decision, is_idempotent=idempotent)
        execution_id = self.spend(decision, idempotency_key=idempotency_key, is_idempotent=idempotent)
        running = Execution(decision, execution_id)
        try:
            yield running
        except Exception as error:
            self.report_step(gate.report_of(decision, execution_id, running.outcome_body(error)))
            raise
        self.report_step(gate.report_of(decision, execution_id, running.outcome_body(None)))

    def report(
        self,
        decision: Decision,
        *,
        outcome: wire.Outcome = "succeeded",
        duration_ms: int | None = None,
        reference: str | None = None,
        error: str | None = None,
    ) -> None:
        """Tells in the background how a plainly allowed call ended; best effort."""
        body = {"outcome": outcome, "duration_ms": duration_ms, "reference": reference, "error": error}
        self.report_step(gate.report_of(decision, None, body))

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
        """A decorator: each call of the function is asked about first, with its defaults applied, and runs a JSON copy.

        Blocked calls raise, or return the model's JSON object with `on_block="return"`. The function's own exceptions
        pass through.
        """

        def decorate(function: Function) -> Function:
            gated = Tool(action_id, function, frozenset(exclude), idempotent=idempotent, expose_errors=expose_errors)
            if gated.is_async:
                raise TypeError(f"the handler of {action_id} is a coroutine function: use AsyncMCPGuard")

            @functools.wraps(function)
            def asked(*arguments: Any, **keywords: Any) -> Any:  # Any: the function's own signature
                params, excluded = gated.bind(arguments, keywords)
                try:
                    return self.run(
                        gate.run_call(
                            self.call(action_id, params, **options),
                            tool=gated,
                            excluded=excluded,
                            on_review=self.on_review,
                            wait_timeout_seconds=self.wait_timeout,
                        )
                    ).result
                except gate.HandlerFailedError as failed:
                    raise failed.error from None
                except MCPGuardError as error:
                    if (on_block or self.on_block) == "return":
                        return error.for_model()
                    raise

            setattr(asked, TOOL_ATTRIBUTE, gated)
            return cast(Function, asked)

        return decorate

    @contextlib.contextmanager
    def bound(self, *, user_context: Mapping[str, object] | None = None, run_id: str | None = None) -> Iterator[None]:
        """Sets user context and run for every call made in the block that does not name its own."""
        outer = self._bound.get()
        inner = Bound(outer.user_context if user_context is None else user_context, run_id or outer.run_id)
        token = self._bound.set(inner)
        try:
            yield
        finally:
            self._bound.reset(token)

    def check(self) -> wire.JsonObject:
        """What the server tells this key about its tenant and modes; raises MCPGuardConfigError for a bad key."""
        info = self.session.policy_info()
        if self._outage is not None:
            self._outage.learn(info)
        return info

    def owed(self) -> list[Review]:
        """Approved calls of this agent that nothing has run yet; to be looked at when an agent starts."""
        return list(self.session.owed())

    def review(self, review_id: str) -> Review:
        """A held call as it stands now, without waiting."""
        return self.session.review(review_id)

    def cancel(self, review_id: str, *, reason: str) -> Review:
        """Withdraws a held call. Raises MCPGuardRequestError `review_closed` after a verdict."""
        return self.session.cancel(review_id, reason=reason)

    def heartbeat(self, *, waiting: Sequence[tuple[str, int]] = (), gone: Sequence[str] = ()) -> list[Review]:
        """Tells which reviews this agent still waits for, with the seconds to its next look, and which it gave up."""
        return self.session.heartbeat(waiting=waiting, gone=gone)

    def offer_tools(self, tools: Sequence[wire.JsonObject]) -> dict[str, str]:
        """Tells the guard how the tools are described now; by action id, whether that is what an admin accepted.

        Each tool is `{"action_id", "title", "description", "input_schema", "annotations"}`, all but the first optional;
        at most 200. The same offer again changes nothing, so an agent makes it whenever it starts. The answer per tool
        is "accepted", "offered" (nobody has accepted one yet) or "drifted" (another one was accepted).
        """
        return self.session.offer_tools(tools, agent=self._agent)

    # What the adapters and the asynchronous client build on.

    def call(self, action_id: str, params: Mapping[str, object] | None = None, **options: Unpack[AskOptions]) -> Call:
        """A call with what `bound` and the client's own settings add."""
        bound = self._bound.get()
        if options.get("user_context") is None:
            options["user_context"] = bound.user_context
        options["run_id"] = options.get("run_id") or bound.run_id
        options["agent"] = options.get("agent") or self._agent
        return new_call(action_id, params=params or {}, **options)

    def bound_run_id(self) -> str | None:
        """The run that `bound` set for this block, if any."""
        return self._bound.get().run_id

    def ask(self, call: Call) -> Decision:
        """The decision on a call; in an outage, what the owner chose for it."""
        try:
            decision = self.session.evaluate(call)
        except MCPGuardConfigError:
            raise
        except MCPGuardUnavailableError as error:
            return self._unanswered(call, error)
        if self._outage is not None:
            self._background.submit(self._after_contact)
        return decision

    def spend(self, decision: Decision, *, idempotency_key: str | None = None, is_idempotent: bool) -> str | None:
        """The execution id of a grant now spent; None for a plain allow."""
        if decision.grant_id is None:
            return None
        key = idempotency_key or gate.execution_key(decision.grant_id, is_idempotent=is_idempotent)
        execution_id, replayed = self.session.start_execution(
            decision.grant_id, params=decision.params, idempotency_key=key
        )
        if replayed and idempotency_key is not None and not is_idempotent:
            raise MCPGuardUncertainError(
                "This call was started before; how it ended is unknown.", action_id=decision.action_id
            )
        return execution_id

    def answer(self, review_id: str, question_id: str, *, answer: str) -> Review:
        """Answers what a reviewer asked (`review.questions`), once; the review as it is then."""
        return self.session.answer(review_id, question_id, answer=answer)

    def _answer(self, review: Review, on_question: OnQuestion, heard: set[str]) -> None:
        """Answer what was not heard before. Whatever goes wrong, the wait goes on: a question is no decision."""
        for question in review.questions:
            if question.answer is not None or question.question_id in heard:
                continue
            heard.add(question.question_id)
            try:
                text = on_question(question)
                if text:
                    self.session.answer(review.review_id, question.question_id, answer=text[:LONGEST_ANSWER])
            except Exception:
                logger.exception("a reviewer's question could not be answered")

    def report_step(self, step: gate.Report) -> None:
        """Tells how a call ended: of an execution at once, of a plain allow in the background. Never raises."""
        try:
            if step.execution_id is not None:
                self.session.finish_execution(step.execution_id, step.outcome)
            elif step.call_id is not None:
                self._background.submit(functools.partial(self.session.report_call, step.call_id, step.outcome))
        except MCPGuardError as error:
            # The tool has run; to raise now would make its caller believe that it has not.
            logger.warning("the outcome of %s was not reported: %s", step.execution_id, type(error).__name__)

    def run(self, flow: gate.Flow) -> gate.Ran:
        """Drives one call's flow in this thread."""
        return gate.drive(flow, self._perform)

    def _perform(self, step: gate.Step) -> Any:  # Any: what the step gives
        match step:
            case gate.Ask():
                return self.ask(step.call)
            case gate.Await():
                return self.wait_for_review(step.review_id, timeout=step.timeout_seconds, since=step.version)
            case gate.Spend():
                return self.session.start_execution(
                    step.grant_id, params=step.params, idempotency_key=step.idempotency_key
                )
            case gate.Run():
                return step.tool.call(step.params, step.excluded)
            case gate.Report():
                return self.report_step(step)

    def _unanswered(self, call: Call, error: MCPGuardUnavailableError) -> Decision:
        if self._outage is None or call.refused or call.floor or not self._outage.may_run(call.action_id):
            raise error
        try:
            self._outage.write(call)
        except OSError:
            logger.exception("the outage journal can't be written; the call does not run")
            raise error from None
        return Decision(
            action_id=call.action_id,
            call_id=f"unanswered:{uuid.uuid4()}",
            decision=wire.ALLOW,
            params=call.params,
            mode=wire.OBSERVE,
            is_unanswered=True,
        )

    def _after_contact(self) -> None:
        """In the background, now that the guard answers: learn the modes, and tell what ran while it did not."""
        assert self._outage is not None
        if self._outage.wants_info:
            self._outage.learn(self.session.policy_info())
        self._outage.send(functools.partial(self.session.evaluate, ran_unanswered=True))


class Execution:
    """One run of an allowed call: `params` to run with, `result` to pass its result through."""

    def __init__(self, decision: Decision, execution_id: str | None) -> None:
        self.decision = decision
        self.execution_id = execution_id
        self.params = wire.json_copy(decision.params)
        self._began = time.monotonic()
        self._reference: str | None = None
        self._outcome: str = wire.SUCCEEDED

    def result(self, value: Any, *, reference: str | None = None) -> Any:  # Any: the tool's own result
        """The value itself; `reference` is the effect's own id elsewhere, such as a refund's."""
        self._reference = reference
        return value

    def not_run(self) -> None:
        """To be called when the block decided not to do it after all."""
        self._outcome = wire.NOT_RUN

    def outcome_body(self, error: Exception | None) -> wire.JsonObject:
        """How it ended, as the wire has it."""
        outcome = self._outcome if error is None else wire.FAILED
        return gate.outcome_body(outcome, began=self._began, error=error, reference=self._reference)


def timeout_setting() -> float:
    """MCPGUARD_TIMEOUT in seconds, or five. Raises ValueError for text that is no positive number."""
    seconds = float(os.environ.get("MCPGUARD_TIMEOUT") or DEFAULT_TIMEOUT_SECONDS)
    if not 0 < seconds < float("inf"):
        raise ValueError("MCPGUARD_TIMEOUT is not a positive number of seconds")
    return seconds


def outage_pause_seconds(failure_count: int) -> float:
    """Seconds between looks at a review while the guard can't be reached: doubling up to five."""
    pause: float = min(LONGEST_OUTAGE_PAUSE_SECONDS, 0.25 * 2 ** min(failure_count, 10))
    return pause


def _outage(
    on_unavailable: Literal["closed"] | Mapping[str, Literal["observe"]], *, journal: str | os.PathLike[str] | None
) -> Outage | None:
    if isinstance(on_unavailable, str):
        if on_unavailable != "closed":
            raise MCPGuardConfigError('on_unavailable is "closed" or a mapping of action ids to "observe".')
        return None
    if any(value != "observe" for value in on_unavailable.values()):
        raise MCPGuardConfigError('on_unavailable maps action ids to "observe" and to nothing else.')
    path = journal or os.environ.get("MCPGUARD_JOURNAL")
    if not path:
        raise MCPGuardConfigError("Calls that run through an outage need a journal: set MCPGUARD_JOURNAL.")
    return Outage(on_unavailable, journal=Path(path))
