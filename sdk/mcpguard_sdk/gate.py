"""One call from ask to report, written once. Every adapter and both clients run their calls through here.

The flow is a generator: it yields the next step, and a driver (`drive`, or the async client's) does it and sends back
what came of it, or throws what it raised. So the order of ask, wait, spend, run and report stands in one place.
"""

import logging
import time
import traceback
import uuid
from collections.abc import Callable, Generator
from dataclasses import dataclass, field, replace
from typing import Any, Final, Literal

from mcpguard_sdk import wire
from mcpguard_sdk.calls import Call, Decision, Review
from mcpguard_sdk.errors import (
    MCPGuardDeniedError,
    MCPGuardError,
    MCPGuardGrantError,
    MCPGuardReviewError,
    MCPGuardUncertainError,
    ToolError,
)
from mcpguard_sdk.tools import Tool

logger = logging.getLogger("mcpguard_sdk")

OnReview = Literal["return", "wait"]
ErrorDetail = Literal["class", "message", "trace"]
DEFAULT_WAIT_SECONDS: Final = 3600.0
AMENDED_NOTICE: Final = "A reviewer changed this call. Do not repeat the original."


@dataclass(frozen=True)
class Ask:
    """Ask the guard about a call; gives a Decision."""

    call: Call


@dataclass(frozen=True)
class Await:
    """Wait until a review is decided; gives a Review that is no longer pending."""

    review_id: str
    version: int
    timeout_seconds: float


@dataclass(frozen=True)
class Spend:
    """Spend a grant on these params; gives (execution id, whether the key had spent it before)."""

    grant_id: str
    params: wire.JsonObject = field(repr=False)
    idempotency_key: str


@dataclass(frozen=True)
class Run:
    """Call the handler; gives what it returns."""

    tool: Tool
    params: wire.JsonObject = field(repr=False)
    excluded: wire.JsonObject = field(repr=False)


@dataclass(frozen=True)
class Report:
    """Tell the guard how it ended; best effort, gives nothing."""

    call_id: str | None
    execution_id: str | None
    outcome: wire.JsonObject


Step = Ask | Await | Spend | Run | Report
Flow = Generator[Step, Any, "Ran"]  # Any: what each step gives, as its class says


@dataclass(frozen=True)
class Ran:
    """A handler's result and the params it ran with; `amended` when a reviewer changed them."""

    result: Any = field(repr=False)  # Any: the tool's own
    params: wire.JsonObject = field(repr=False)
    amended: bool

    def for_model(self) -> Any:  # Any: the tool's own result
        """The result; with a notice and the params around it when they are not the model's own."""
        if not self.amended:
            return self.result
        return {"notice": AMENDED_NOTICE, "params": self.params, "result": self.result}


class HandlerFailedError(Exception):
    """The handler ran and raised; `error` is its own exception, `correlation_id` names the run on the guard."""

    def __init__(self, error: Exception, *, correlation_id: str, expose: bool) -> None:
        super().__init__(type(error).__name__)
        self.error = error
        self.correlation_id = correlation_id
        self._expose = expose

    def for_model(self, detail: ErrorDetail) -> wire.JsonObject:
        """`handler_error` with the class; the message for ToolError or on demand; the trace only for `trace`."""
        shows_message = isinstance(self.error, ToolError) or self._expose or detail in ("message", "trace")
        shown: wire.JsonObject = {
            "error": wire.HANDLER_ERROR,
            "message": str(self.error) if shows_message else "The tool failed.",
            "type": type(self.error).__name__,
            "correlation_id": self.correlation_id,
        }
        if detail == "trace":
            shown["trace"] = "".join(traceback.format_exception(self.error))
        return shown


def run_call(
    call: Call,
    *,
    tool: Tool,
    excluded: wire.JsonObject | None = None,
    on_review: OnReview = "return",
    wait_timeout_seconds: float = DEFAULT_WAIT_SECONDS,
) -> Flow:
    """Ask about a call and, if it may, run it. Raises what stopped it, or HandlerFailedError."""
    decision: Decision = yield Ask(call)
    if decision.decision == wire.REVIEW and on_review == "wait":
        assert decision.review_id is not None
        review = yield Await(decision.review_id, decision.review_version, wait_timeout_seconds)
        decision = after_review(review, decision=decision)
    decision = permitted(decision, is_idempotent=tool.idempotent)
    return (yield from _run(decision, tool=tool, excluded=excluded or {}))


def run_reviewed(
    review_id: str,
    *,
    action_id: str,
    tool: Tool,
    version: int = 0,
    wait_timeout_seconds: float = DEFAULT_WAIT_SECONDS,
) -> Flow:
    """Wait for a review that was opened before, here or in an earlier process, and run the call if it was approved."""
    review = yield Await(review_id, version, wait_timeout_seconds)
    decision = after_review(review, action_id=action_id)
    return (yield from _run(decision, tool=tool, excluded={}))


def _run(decision: Decision, *, tool: Tool, excluded: wire.JsonObject) -> Flow:
    params = wire.json_copy(decision.params)
    execution_id = None
    if decision.grant_id is not None:
        key = execution_key(decision.grant_id, is_idempotent=tool.idempotent)
        execution_id, _ = yield Spend(decision.grant_id, params, key)
    correlation_id = execution_id or decision.call_id
    began = time.monotonic()
    try:
        # Its own copy, so that a handler which edits its arguments does not edit what is told to the model.
        result = yield Run(tool, wire.json_copy(params), excluded)
    except Exception as error:
        yield report_of(decision, execution_id, outcome_body(wire.FAILED, began=began, error=error))
        raise HandlerFailedError(error, correlation_id=correlation_id, expose=tool.expose_errors) from error
    yield report_of(decision, execution_id, outcome_body(wire.SUCCEEDED, began=began))
    return Ran(result, params, decision.amended)


def permitted(decision: Decision, *, is_idempotent: bool) -> Decision:
    """The decision, if it lets a handler run now. Raises MCPGuardDeniedError, ReviewError or UncertainError."""
    if decision.decision == wire.DENY:
        raise MCPGuardDeniedError(
            decision.message or "Policy does not allow this call.",
            action_id=decision.action_id,
            code=decision.code or wire.POLICY_DENIED,
            rule=decision.rule,
            review_id=decision.review_id,
            review_state=decision.review_state,
        )
    if decision.decision == wire.REVIEW:
        assert decision.review_id is not None
        raise MCPGuardReviewError(
            decision.message or "A person must approve this call first.",
            action_id=decision.action_id,
            review_id=decision.review_id,
            review_url=decision.review_url,
            expires_at=decision.expires_at,
            version=decision.review_version,
        )
    if decision.may_have_run and not is_idempotent:
        raise MCPGuardUncertainError(
            "This call was allowed before, and may have run then. It was not run again.", action_id=decision.action_id
        )
    return decision


def after_review(review: Review, *, decision: Decision | None = None, action_id: str | None = None) -> Decision:
    """The allow that an approval amounts to. Raises MCPGuardDeniedError, or MCPGuardGrantError without a grant."""
    action_id = action_id or review.action_id or (decision.action_id if decision else "")
    if not review.is_approved:
        raise MCPGuardDeniedError(
            review.message or f"The review ended without an approval: {review.state}.",
            action_id=action_id,
            rule=decision.rule if decision else None,
            review_id=review.review_id,
            review_state=review.state,
        )
    if review.grant_id is None or review.params is None:
        raise MCPGuardGrantError(
            "The approval's permission was used or has ended.", code=wire.GRANT_USED, action_id=action_id
        )
    base = decision or Decision(
        action_id=action_id, call_id=review.call_id or review.review_id, decision=wire.REVIEW, params=review.params
    )
    return replace(
        base,
        decision=wire.ALLOW,
        params=review.params,
        message=review.message,
        amended=review.amended,
        grant_id=review.grant_id,
        call_digest=review.call_digest,
        review_id=review.review_id,
        review_state=review.state,
        review_version=review.version,
    )


def execution_key(grant_id: str, *, is_idempotent: bool) -> str:
    """The idempotency key to spend a grant with.

    A tool that must not run twice gets a key of this attempt alone: "spent before" can then only be our own retry, and
    everybody else is refused with `grant_used`. An idempotent tool gets the grant's own key, so that after a crash the
    next process takes the same execution up again, runs, and reports on it.
    """
    return f"run:{grant_id}" if is_idempotent else f"run:{uuid.uuid4()}"


def outcome_body(
    outcome: str, *, began: float | None = None, error: Exception | None = None, reference: str | None = None
) -> wire.JsonObject:
    """An outcome as the wire has it. An error is told by its class: its text may hold what only the tool may know."""
    return {
        "outcome": outcome,
        "duration_ms": None if began is None else round((time.monotonic() - began) * 1000),
        "reference": reference,
        "error": None if error is None else type(error).__name__,
    }


def report_of(decision: Decision, execution_id: str | None, outcome: wire.JsonObject) -> Report:
    """The report step for a call; one that nobody answered has nothing to report on."""
    return Report(None if decision.is_unanswered else decision.call_id, execution_id, outcome)


def drive(flow: Flow, perform: Callable[[Step], Any]) -> Ran:  # Any: what the step gives
    """What the flow returns, each of its steps done by `perform`."""
    value: Any = None
    error: Exception | None = None
    while True:
        try:
            step = flow.send(value) if error is None else flow.throw(error)
        except StopIteration as end:
            ran: Ran = end.value
            return ran
        try:
            value, error = perform(step), None
        except Exception as raised:
            value, error = None, raised


def shown(error: MCPGuardError | HandlerFailedError, *, detail: ErrorDetail) -> wire.JsonObject:
    """What a model sees in place of a result."""
    return error.for_model(detail) if isinstance(error, HandlerFailedError) else error.for_model()
