"""Questions to the guard with deadline, retries and one reading of every refusal. Both clients ask through it.

A retry sends the same bytes, the same idempotency key included, so the server answers it once.
"""

import random
import threading
import time
import uuid
from collections.abc import Iterable, Sequence
from typing import Any, Final
from urllib.parse import quote, urlencode

from mcpguard_sdk import wire
from mcpguard_sdk.calls import Call, Decision, Review, parse_decision, parse_review, parse_reviews
from mcpguard_sdk.errors import (
    DEFAULT_RETRY_AFTER_SECONDS,
    MCPGuardConfigError,
    MCPGuardGrantError,
    MCPGuardRequestError,
    MCPGuardUnavailableError,
)
from mcpguard_sdk.transport import Answer, Interrupt, Transport, TransportError

VERSION: Final = "0.1.0"
LONGEST_WAIT_SECONDS: Final = 25
FIRST_PAUSE_SECONDS: Final = 0.1
LONGEST_PAUSE_SECONDS: Final = 5.0


class ApiKey:
    """The secret, in an object that prints as nothing: no repr, format or pickle shows it."""

    __slots__ = ("_secret",)

    def __init__(self, secret: str) -> None:
        if not secret.isascii() or not secret.isprintable() or " " in secret or not secret:
            raise ValueError("the API key holds characters that no key has; copy it again")
        self._secret = secret

    def __repr__(self) -> str:
        return "ApiKey(hidden)"

    def __reduce__(self) -> str | tuple[Any, ...]:  # Any: what pickle's protocol declares
        raise TypeError("an API key is not pickled")

    def header(self) -> str:
        """The value of the Authorization header."""
        return f"Bearer {self._secret}"


class Session:
    """One agent's connection to one guard; safe to share between threads."""

    def __init__(self, transport: Transport, *, key: ApiKey, timeout_seconds: float, retry_count: int) -> None:
        self.transport = transport
        self._key = key
        self.timeout_seconds = timeout_seconds
        self._retry_count = retry_count
        self._stop = threading.Event()

    def evaluate(self, call: Call, *, ran_unanswered: bool = False) -> Decision:
        """The decision on one call. Raises MCPGuardUnavailableError, MCPGuardConfigError, MCPGuardRequestError."""
        body = call.body()
        if ran_unanswered:
            body["ran_unanswered"] = True
        answer = self.ask("POST", wire.EVALUATE_PATH, body, action_id=call.action_id)
        return parse_decision(_json(answer, action_id=call.action_id), call=call)

    def review(self, review_id: str, *, wait_seconds: int = 0, since: int = 0) -> Review:
        """A review; with `wait_seconds` the answer comes when its version exceeds `since`, or when the wait ends."""
        query = urlencode({"wait": wait_seconds, "since": since}) if wait_seconds else ""
        path = f"{wire.REVIEWS_PATH}/{quote(review_id, safe='')}" + (f"?{query}" if query else "")
        review = parse_review(_json(self.ask("GET", path, extra_seconds=wait_seconds)))
        if review.review_id != review_id:
            raise MCPGuardUnavailableError("The guard answered about another review.")
        return review

    def reviews(
        self, review_ids: Sequence[str], *, wait_seconds: int = 0, interrupt: Interrupt | None = None
    ) -> list[Review]:
        """Up to 100 reviews in one request; with `wait_seconds` the answer comes when any of them changes."""
        query: list[tuple[str, str | int]] = [("id", review_id) for review_id in review_ids]
        if wait_seconds:
            query.append(("wait", wait_seconds))
        answer = self.ask(
            "GET", f"{wire.REVIEWS_PATH}?{urlencode(query)}", extra_seconds=wait_seconds, interrupt=interrupt
        )
        return parse_reviews(_json(answer))

    def owed(self) -> Iterable[Review]:
        """Every approved review of this agent that no execution has started, oldest first, page by page."""
        path = f"{wire.REVIEWS_PATH}?state=approved&execution=none"
        while path:
            body = _json(self.ask("GET", path))
            yield from parse_reviews(body)
            after = body.get("next") if isinstance(body, dict) else None
            path = (
                f"{wire.REVIEWS_PATH}?{urlencode({'state': 'approved', 'execution': 'none', 'after': after})}"
                if isinstance(after, str) and after
                else ""
            )

    def cancel(self, review_id: str, *, reason: str) -> Review:
        """The review after the agent withdrew it. Raises MCPGuardRequestError `review_closed` after a verdict."""
        path = f"{wire.REVIEWS_PATH}/{quote(review_id, safe='')}/cancel"
        return parse_review(_json(self.ask("POST", path, {"reason": reason})))

    def answer(self, review_id: str, question_id: str, *, answer: str) -> Review:
        """The review after a reviewer's question was answered.

        Raises MCPGuardRequestError `question_answered` when it was before, `review_closed` after a verdict.
        """
        path = f"{wire.REVIEWS_PATH}/{quote(review_id, safe='')}/questions/{quote(question_id, safe='')}"
        return parse_review(_json(self.ask("POST", path, {"answer": answer})))

    def heartbeat(self, *, waiting: Sequence[tuple[str, int]] = (), gone: Sequence[str] = ()) -> list[Review]:
        """The reviews still waited for, each with the seconds until the next look; and those given up."""
        body = {
            "waiting": [{"review_id": review_id, "next_check_in_s": seconds} for review_id, seconds in waiting],
            "gone": list(gone),
        }
        return parse_reviews(_json(self.ask("POST", wire.HEARTBEAT_PATH, body)))

    def start_execution(self, grant_id: str, *, params: wire.JsonObject, idempotency_key: str) -> tuple[str, bool]:
        """Spends a grant: (execution id, whether this key had spent it before). Raises MCPGuardGrantError."""
        body = {"grant_id": grant_id, "params": params, "idempotency_key": idempotency_key}
        answer = _json(self.ask("POST", wire.EXECUTIONS_PATH, body, expected=(200, 201)))
        execution_id = answer.get("execution_id") if isinstance(answer, dict) else None
        replayed = answer.get("replayed", False) if isinstance(answer, dict) else None
        if not isinstance(execution_id, str) or not execution_id or not isinstance(replayed, bool):
            raise MCPGuardUnavailableError("The guard's answer was not understood (execution).")
        return execution_id, replayed

    def finish_execution(self, execution_id: str, outcome: wire.JsonObject) -> None:
        """Reports how an execution ended."""
        path = f"{wire.EXECUTIONS_PATH}/{quote(execution_id, safe='')}/outcome"
        self.ask("POST", path, outcome, expected=(200, 201, 204))

    def report_call(self, call_id: str, outcome: wire.JsonObject) -> None:
        """Reports how a plainly allowed call ended."""
        self.ask("POST", wire.EXECUTIONS_PATH, {"call_id": call_id, "outcome": outcome}, expected=(200, 201, 204))

    def offer_tools(self, tools: Sequence[wire.JsonObject], *, agent: str | None = None) -> dict[str, str]:
        """By action id the state of its definition: accepted, offered or drifted."""
        body: wire.JsonObject = {"tools": list(tools)}
        if agent is not None:
            body["agent"] = agent
        answer = _json(self.ask("PUT", wire.TOOLS_PATH, body))
        try:
            return {str(one["action_id"]): str(one["state"]) for one in answer["tools"]}
        except (KeyError, TypeError):
            raise MCPGuardUnavailableError("The guard's answer was not understood (tools).") from None

    def policy_info(self) -> wire.JsonObject:
        """Modes and limits as the server tells them to this key."""
        body = _json(self.ask("GET", wire.POLICY_INFO_PATH))
        if not isinstance(body, dict):
            raise MCPGuardUnavailableError("The guard's answer was not understood (policy info).")
        return body

    def close(self) -> None:
        """Ends pauses between tries and lets go of idle connections."""
        self._stop.set()
        self.transport.close()

    def ask(
        self,
        method: str,
        path: str,
        body: wire.JsonObject | None = None,
        *,
        action_id: str | None = None,
        expected: tuple[int, ...] = (200,),
        extra_seconds: float = 0,
        interrupt: Interrupt | None = None,
    ) -> Answer:
        """The answer, of an expected status, to one question: tried again on network errors, 429 and 5xx in time."""
        sent = self._encoded(body, action_id=action_id)
        headers = {
            "Authorization": self._key.header(),
            "Accept": "application/json",
            "User-Agent": f"mcpguard-sdk/{VERSION}",
            "X-Request-Id": uuid.uuid4().hex,
        }
        if sent is not None:
            headers["Content-Type"] = "application/json"
        deadline = time.monotonic() + self.timeout_seconds + extra_seconds
        problem = MCPGuardUnavailableError("The guard was not asked.", action_id=action_id)
        for try_number in range(self._retry_count + 1):
            retry_after: float | None = None
            try:
                answer = self.transport.exchange(
                    method, path, headers=headers, body=sent, deadline=deadline, interrupt=interrupt
                )
            except TransportError as error:
                problem = MCPGuardUnavailableError(f"The guard can't be reached: {error}.", action_id=action_id)
                if interrupt is not None and interrupt.is_set:
                    break
            else:
                if answer.status in expected:
                    return answer
                if answer.status != 429 and answer.status < 500:
                    raise _refusal(answer, action_id=action_id)
                retry_after = _retry_after(answer)
                problem = MCPGuardUnavailableError(
                    f"The guard answered {answer.status}.",
                    action_id=action_id,
                    retry_after_seconds=round(retry_after) if retry_after else DEFAULT_RETRY_AFTER_SECONDS,
                )
            pause = _pause(try_number) if retry_after is None else max(retry_after, _pause(try_number))
            if try_number == self._retry_count or time.monotonic() + pause >= deadline or self._stop.wait(pause):
                break
        raise problem

    @staticmethod
    def _encoded(body: wire.JsonObject | None, *, action_id: str | None) -> bytes | None:
        if body is None:
            return None
        try:
            return wire.dumps(body)
        except wire.NotJsonError as error:
            raise MCPGuardRequestError(f"The request is not JSON: {error}.", action_id=action_id) from None


def _json(answer: Answer, *, action_id: str | None = None) -> Any:  # Any: a JSON value, parsed by the caller
    media_type = answer.headers.get("content-type", "").split(";")[0].strip().lower()
    if media_type != "application/json":
        raise MCPGuardUnavailableError("The guard's answer is not JSON.", action_id=action_id)
    try:
        return wire.loads(answer.body)
    except wire.NotJsonError:
        raise MCPGuardUnavailableError("The guard's answer is not JSON.", action_id=action_id) from None


def _refusal(answer: Answer, *, action_id: str | None) -> Exception:
    """The exception for an answer that is neither expected nor worth a second try."""
    code, detail, errors = _problem(answer)
    told = f"{detail or 'no reason given'} ({answer.status}{f' {code}' if code else ''})"
    if code in wire.GRANT_CODES:
        return MCPGuardGrantError(f"The grant did not open: {told}.", code=code, action_id=action_id)
    if answer.status in (401, 403, 404):
        return MCPGuardConfigError(f"The guard refused this client: {told}.", action_id=action_id, status=answer.status)
    if 400 <= answer.status < 500:
        return MCPGuardRequestError(
            f"The guard refused the request: {told}.",
            action_id=action_id,
            code=code or "invalid_request",
            status=answer.status,
            errors=errors,
        )
    return MCPGuardUnavailableError(f"The guard answered {answer.status}, which is no decision.", action_id=action_id)


def _problem(answer: Answer) -> tuple[str, str, list[tuple[str, str]]]:
    """Code, text and errors of a problem document; empty where there is none. The server echoes no request value."""
    try:
        body = wire.loads(answer.body)
    except wire.NotJsonError:
        return "", "", []
    if not isinstance(body, dict):
        return "", "", []
    errors = body.get("errors")
    pairs = [
        (str(member.get("path", "")), str(member.get("code", "")))
        for member in (errors if isinstance(errors, list) else [])
        if isinstance(member, dict)
    ]
    text = body.get("detail") or body.get("title") or ""
    return str(body.get("code", ""))[:100], str(text).rstrip(".")[:500], pairs


def _retry_after(answer: Answer) -> float | None:
    text = answer.headers.get("retry-after", "")
    return float(text) if text.isascii() and text.isdigit() else None


def _pause(try_number: int) -> float:
    """Seconds before the next try: doubling, with jitter, so that a crowd of agents does not come back as one."""
    ceiling: float = min(LONGEST_PAUSE_SECONDS, FIRST_PAUSE_SECONDS * 2**try_number)
    return random.uniform(ceiling / 2, ceiling)  # noqa: S311  # jitter is no secret
