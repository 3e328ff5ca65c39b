"""What is asked and what is answered, as frozen values; an answer is parsed strictly or not at all.

`params` stay out of every repr, so that a value which lands in a log line does not carry them there.
"""

import uuid
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any, TypedDict

from mcpguard_sdk import wire
from mcpguard_sdk.errors import MCPGuardRequestError, MCPGuardUnavailableError


@dataclass(frozen=True, kw_only=True)
class Call:
    """One tool call to ask about. `is_own_key`: nobody else can have used the idempotency key."""

    action_id: str
    params: wire.JsonObject = field(repr=False)
    idempotency_key: str
    is_own_key: bool = False
    user_context: wire.JsonObject = field(default_factory=dict, repr=False)
    run_id: str | None = None
    tool_call_id: str | None = None
    agent: str | None = None
    floor: wire.Floor | None = None
    repeat: wire.Repeat | None = None
    context: wire.JsonObject | None = field(default=None, repr=False)
    resume: wire.JsonObject | None = field(default=None, repr=False)
    refused: wire.Refused | None = None
    raw_arguments: str | None = field(default=None, repr=False)

    def body(self) -> wire.JsonObject:
        """The request's JSON object; what is not set is not sent, so the server's own default holds."""
        sent: wire.JsonObject = {
            "idempotency_key": self.idempotency_key,
            "action_id": self.action_id,
            "params": self.params,
            "user_context": self.user_context,
        }
        optional = {
            "run_id": self.run_id,
            "tool_call_id": self.tool_call_id,
            "agent": self.agent,
            "floor": self.floor,
            "repeat": self.repeat,
            "context": self.context,
            "resume": self.resume,
            "refused": self.refused,
            "raw_arguments": self.raw_arguments,
        }
        return sent | {name: value for name, value in optional.items() if value is not None}


class AskOptions(TypedDict, total=False):
    """What may be said with a call beside its action and params; each is a member of the evaluate request.

    `user_context` comes from host code, never from the model. `idempotency_key` makes the ask safe to repeat in another
    process; without one each ask is its own.
    """

    idempotency_key: str | None
    user_context: Mapping[str, object] | None
    context: Mapping[str, object] | None
    resume: Mapping[str, object] | None
    run_id: str | None
    tool_call_id: str | None
    agent: str | None
    floor: wire.Floor | None
    repeat: wire.Repeat | None
    refused: wire.Refused | None
    raw_arguments: str | None


def new_call(
    action_id: str,
    *,
    params: Mapping[str, object],
    idempotency_key: str | None = None,
    user_context: Mapping[str, object] | None = None,
    context: Mapping[str, object] | None = None,
    resume: Mapping[str, object] | None = None,
    run_id: str | None = None,
    tool_call_id: str | None = None,
    agent: str | None = None,
    floor: wire.Floor | None = None,
    repeat: wire.Repeat | None = None,
    refused: wire.Refused | None = None,
    raw_arguments: str | None = None,
) -> Call:
    """A call made of JSON copies of what is given. Raises MCPGuardRequestError when params or contexts are not JSON."""
    try:
        copied_params = wire.json_copy(params)
    except wire.NotJsonError as error:
        raise MCPGuardRequestError(
            f"The arguments are not JSON: {error}.", action_id=action_id, code=wire.INVALID_ARGUMENTS
        ) from None
    try:
        return Call(
            action_id=action_id,
            params=copied_params,
            idempotency_key=idempotency_key or f"sdk:{uuid.uuid4()}",
            is_own_key=idempotency_key is None,
            user_context=wire.json_copy(user_context or {}),
            context=None if context is None else wire.json_copy(context),
            resume=None if resume is None else wire.json_copy(resume),
            run_id=run_id,
            tool_call_id=tool_call_id,
            agent=agent,
            floor=floor,
            repeat=repeat,
            refused=refused,
            raw_arguments=raw_arguments,
        )
    except wire.NotJsonError as error:
        raise MCPGuardRequestError(f"The call's context is not JSON: {error}.", action_id=action_id) from None


@dataclass(frozen=True, kw_only=True)
class Decision:
    """The guard's answer to one call. Only `decision == "allow"` lets a handler run, and it runs `params`.

    `params` are the ones to run: the answer's where it carries some (a person amended them), else the ones sent.
    `is_unanswered`: nobody answered, and the owner lets this action run through an outage (see `outage.py`).
    """

    action_id: str
    call_id: str
    decision: str
    params: wire.JsonObject = field(repr=False)
    effect: str | None = None
    mode: str | None = None
    code: str | None = None
    rule: str | None = None
    message: str = ""
    call_digest: str | None = None
    review_id: str | None = None
    review_url: str | None = None
    review_version: int = 0
    review_state: str | None = None
    expires_at: str | None = None
    grant_id: str | None = None
    amended: bool = False
    replayed: bool = False
    receipt: wire.JsonObject | None = field(default=None, repr=False)
    is_own_key: bool = False
    is_unanswered: bool = False

    @property
    def is_allowed(self) -> bool:
        """Whether the handler may run."""
        return self.decision == wire.ALLOW

    @property
    def may_have_run(self) -> bool:
        """Whether an earlier process got this very answer, and no grant tells a first run from a second."""
        return self.replayed and self.grant_id is None and not self.is_own_key


@dataclass(frozen=True, kw_only=True)
class Question:
    """What a reviewer asks before deciding; `answer` is None until the agent gave one."""

    question_id: str
    text: str = field(repr=False)
    asked_at: str | None = None
    answer: str | None = field(default=None, repr=False)


@dataclass(frozen=True, kw_only=True)
class Review:
    """A held call as it stands. Only `approved` has a grant; `params` are the approved ones."""

    review_id: str
    state: str
    version: int
    call_id: str | None = None
    action_id: str | None = None
    verdict: str | None = None
    message: str = ""
    amended: bool = False
    call_digest: str | None = None
    params: wire.JsonObject | None = field(default=None, repr=False)
    grant_id: str | None = None
    expires_at: str | None = None
    url: str | None = None
    duplicate_of: str | None = None
    questions: tuple[Question, ...] = ()

    @property
    def is_open(self) -> bool:
        """Whether a person can still decide it."""
        return self.state == wire.PENDING

    @property
    def is_approved(self) -> bool:
        """Whether it was approved, and its grant can start the call."""
        return self.state == wire.APPROVED


def parse_decision(body: object, *, call: Call) -> Decision:
    """The decision in an answer's JSON. Raises MCPGuardUnavailableError for anything not wholly understood."""
    read = _Reader(body, what="decision", action_id=call.action_id)
    decision = read.text("decision")
    if decision not in wire.DECISIONS:
        raise read.unclear("decision")
    review = read.reader("review")
    grant = read.reader("grant")
    params = read.optional_object("params")
    amended = read.flag("amended")
    if amended and decision == wire.ALLOW and params is None:
        raise read.unclear("params")
    return Decision(
        action_id=call.action_id,
        call_id=read.text("call_id"),
        decision=decision,
        params=call.params if params is None else params,
        effect=read.optional_text("effect"),
        mode=read.optional_text("mode"),
        code=read.optional_text("code"),
        rule=read.optional_text("rule"),
        message=read.optional_text("message") or "",
        call_digest=read.optional_text("call_digest"),
        review_id=read.text("review_id") if decision == wire.REVIEW else read.optional_text("review_id"),
        review_url=review.optional_text("url") if review else None,
        review_version=review.number("version") if review else 0,
        review_state=review.optional_text("state") if review else None,
        expires_at=review.optional_text("expires_at") if review else None,
        grant_id=grant.text("grant_id") if grant else None,
        amended=amended,
        replayed=read.flag("replayed"),
        receipt=read.optional_object("receipt"),
        is_own_key=call.is_own_key,
    )


def parse_review(body: object) -> Review:
    """The review in an answer's JSON. Raises MCPGuardUnavailableError for anything not wholly understood."""
    read = _Reader(body, what="review", action_id=None)
    state = read.text("state")
    if state not in wire.REVIEW_STATES:
        raise read.unclear("state")
    grant = read.reader("grant")
    params = read.optional_object("params")
    if state != wire.APPROVED:
        grant = None
    elif grant is not None and params is None:
        raise read.unclear("params")
    return Review(
        review_id=read.text("review_id"),
        state=state,
        version=read.number("version"),
        call_id=read.optional_text("call_id"),
        action_id=read.optional_text("action_id"),
        verdict=read.optional_text("verdict"),
        message=read.optional_text("message") or "",
        amended=read.flag("amended"),
        call_digest=read.optional_text("call_digest"),
        params=params,
        grant_id=grant.text("grant_id") if grant else None,
        expires_at=read.optional_text("expires_at"),
        url=read.optional_text("url"),
        duplicate_of=read.optional_text("duplicate_of"),
        questions=tuple(
            Question(
                question_id=question.text("question_id"),
                text=question.text("text"),
                asked_at=question.optional_text("asked_at"),
                answer=question.optional_text("answer"),
            )
            for question in read.readers("questions")
        ),
    )


def parse_reviews(body: object) -> list[Review]:
    """The reviews of a list answer `{"reviews": [...]}`."""
    members = body.get("reviews") if isinstance(body, dict) else None
    if not isinstance(members, list):
        raise MCPGuardUnavailableError("The guard's answer was not understood (reviews).")
    return [parse_review(member) for member in members]


class _Reader:
    """Reads members of one JSON object, each by its type; any surprise is `unclear`."""

    def __init__(self, body: object, *, what: str, action_id: str | None) -> None:
        self._what = what
        self._action_id = action_id
        if not isinstance(body, dict):
            raise self.unclear("object")
        self._body: dict[str, Any] = body  # Any: JSON values of every kind

    def unclear(self, name: str) -> MCPGuardUnavailableError:
        return MCPGuardUnavailableError(
            f"The guard's answer was not understood ({self._what}: {name}).", action_id=self._action_id
        )

    def optional_text(self, name: str) -> str | None:
        value = self._body.get(name)
        if value is not None and not isinstance(value, str):
            raise self.unclear(name)
        return value

    def text(self, name: str) -> str:
        value = self.optional_text(name)
        if not value:
            raise self.unclear(name)
        return value

    def number(self, name: str) -> int:
        value = self._body.get(name, 0)
        if isinstance(value, bool) or not isinstance(value, int):
            raise self.unclear(name)
        return value

    def flag(self, name: str) -> bool:
        value = self._body.get(name, False)
        if not isinstance(value, bool):
            raise self.unclear(name)
        return value

    def optional_object(self, name: str) -> wire.JsonObject | None:
        value = self._body.get(name)
        if value is not None and not isinstance(value, dict):
            raise self.unclear(name)
        return value

    def readers(self, name: str) -> "list[_Reader]":
        value = self._body.get(name, [])
        if not isinstance(value, list):
            raise self.unclear(name)
        return [_Reader(member, what=self._what, action_id=self._action_id) for member in value]

    def reader(self, name: str) -> "_Reader | None":
        value = self.optional_object(name)
        return None if value is None else _Reader(value, what=self._what, action_id=self._action_id)
