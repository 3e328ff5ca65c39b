"""Shapes of `/v1` as they come in. Source: integrations.md section 1.

Unknown members are refused: a caller that misspells `floor` must hear of it.
"""

from __future__ import annotations

from typing import Annotated, Any, Literal, TypeVar

from pydantic import BaseModel, ConfigDict, Field, ValidationError, model_validator

from audit.canonical import canonical, parse_strict
from policy.tools import MOST_BYTES, Definition
from reviews.errors import InvalidRequest

MAX_REQUEST_BYTES = 1_048_576
MAX_PARAMS_BYTES = 262_144
MAX_CONTEXT_BYTES = 8_192
MAX_BATCH = 50
MAX_TOOLS = 200

# Identifiers end up in audit bodies: printable ASCII without quotes and backslashes (audit.md section 3).
IDENTIFIER = r"^[\x21\x23-\x5b\x5d-\x7e]+$"
Identifier = Annotated[str, Field(min_length=1, max_length=128, pattern=IDENTIFIER)]
ActionId = Annotated[str, Field(min_length=1, max_length=128, pattern=r"^[A-Za-z0-9_][A-Za-z0-9_.:/-]*$")]
Key = Annotated[str, Field(min_length=1, max_length=200, pattern=IDENTIFIER)]

T = TypeVar("T", bound=BaseModel)


class Strict(BaseModel):
    """No coercion, no unknown members."""

    model_config = ConfigDict(extra="forbid", strict=True, frozen=True)


class ResumeIn(Strict):
    """How to tell the caller, beside its own waiting; `target` names what an admin made."""

    target: Identifier | None = None
    data: Any = None


class EvaluateIn(Strict):
    """One call that asks."""

    idempotency_key: Key | None = None
    action_id: ActionId
    params: dict[str, Any]
    user_context: dict[str, Any] = Field(default_factory=dict)
    agent: Identifier | None = None
    run_id: Identifier | None = None
    tool_call_id: Identifier | None = None
    floor: Literal["review", "deny"] | None = None
    refused: Literal["unknown_tool", "invalid_arguments"] | None = None
    raw_arguments: Annotated[str, Field(max_length=MAX_PARAMS_BYTES)] | None = None
    repeat: Literal["join", "new"] = "join"
    ran_unanswered: bool = False
    context: dict[str, Any] | None = None
    resume: ResumeIn | None = None

    @model_validator(mode="after")
    def _within_limits(self) -> EvaluateIn:
        for name, value, limit in (
            ("params", self.params, MAX_PARAMS_BYTES),
            ("user_context", self.user_context, MAX_PARAMS_BYTES),
            ("context", self.context, MAX_CONTEXT_BYTES),
        ):
            if value is not None and len(canonical(value)) > limit:
                raise ValueError(f"{name} too_large")
        if self.resume is not None and self.resume.target is not None:
            raise ValueError("resume/target unknown_target")
        return self


class BatchIn(Strict):
    """Up to 50 calls; each is checked by itself, so that one bad call does not fail its neighbours."""

    calls: Annotated[list[Any], Field(min_length=1, max_length=MAX_BATCH)]


class ToolHintsIn(Strict):
    """What a provider says of its tool, under MCP's own names; claims, each of them."""

    title: Annotated[str, Field(max_length=200)] | None = None
    readOnlyHint: bool | None = None  # noqa: N815  # the protocol's spelling
    destructiveHint: bool | None = None  # noqa: N815
    idempotentHint: bool | None = None  # noqa: N815
    openWorldHint: bool | None = None  # noqa: N815


class ToolIn(Strict):
    """A tool as its provider describes it now."""

    action_id: ActionId
    title: Annotated[str, Field(max_length=200)] | None = None
    description: str | None = None
    input_schema: dict[str, Any] | None = None
    annotations: ToolHintsIn | None = None

    def definition(self) -> Definition:
        """Its canonical form."""
        return Definition.of(
            self.action_id,
            title=self.title,
            description=self.description,
            input_schema=self.input_schema,
            annotations=self.annotations.model_dump() if self.annotations else None,
        )


class ToolsIn(Strict):
    """Up to 200 tools, 64 KB each, one for each action; `agent` with a gateway key."""

    agent: Identifier | None = None
    tools: Annotated[list[ToolIn], Field(min_length=1, max_length=MAX_TOOLS)]

    @model_validator(mode="after")
    def _one_for_each_action(self) -> ToolsIn:
        seen: set[str] = set()
        for index, tool in enumerate(self.tools):
            if tool.action_id in seen:
                raise ValueError(f"tools/{index}/action_id repeated")
            if len(tool.definition().text.encode()) > MOST_BYTES:
                raise ValueError(f"tools/{index} too_large")
            seen.add(tool.action_id)
        return self


class CancelIn(Strict):
    """Why a call is no longer wanted."""

    reason: Annotated[str, Field(max_length=500)] = ""


class AnswerIn(Strict):
    """What the agent says to a reviewer's question."""

    answer: Annotated[str, Field(min_length=1, max_length=2000)]


class WaitingIn(Strict):
    """A caller that is still there."""

    review_id: Identifier
    next_check_in_s: Annotated[int, Field(ge=0, le=7 * 86400)] | None = None


class HeartbeatIn(Strict):
    """Which reviews the agent still waits for, and which it gave up."""

    waiting: Annotated[list[WaitingIn], Field(max_length=100)] = Field(default_factory=list)
    gone: Annotated[list[Identifier], Field(max_length=100)] = Field(default_factory=list)


class OutcomeIn(Strict):
    """What became of a call, in the caller's words."""

    outcome: Literal["succeeded", "failed", "not_run"]
    duration_ms: Annotated[int, Field(ge=0, le=2**31 - 1)] | None = None
    reference: Annotated[str, Field(max_length=200)] | None = None
    error: Annotated[str, Field(max_length=500)] | None = None


class ExecutionIn(Strict):
    """Either the spending of a grant before a run, or the outcome of a plain allow in one."""

    grant_id: Identifier | None = None
    params: dict[str, Any] | None = None
    idempotency_key: Key | None = None
    call_id: Identifier | None = None
    outcome: OutcomeIn | None = None

    @model_validator(mode="after")
    def _one_of_two(self) -> ExecutionIn:
        spends = self.grant_id is not None and self.params is not None and self.idempotency_key is not None
        reports = self.call_id is not None and self.outcome is not None
        if spends == reports or (spends and (self.call_id or self.outcome)) or (reports and self.grant_id):
            raise ValueError("body grant_id_params_and_idempotency_key_or_call_id_and_outcome")
        return self


def read(model: type[T], body: bytes) -> T:
    """The validated request.

    Raises NotCanonical for JSON that we refuse to hold, InvalidRequest with `errors` [{path, code}] for the rest;
    neither repeats a value.
    """
    return validate(model, parse_strict(body, max_bytes=MAX_REQUEST_BYTES))


def validate(model: type[T], value: Any) -> T:
    """The parsed value as a request. Raises InvalidRequest."""
    try:
        return model.model_validate(value)
    except ValidationError as error:
        raise InvalidRequest(errors=[_place(item) for item in error.errors(include_input=False)]) from None


def _place(item: Any) -> dict[str, str]:
    if item["type"] == "value_error":
        # Raised by the checks above as "path code".
        path, _, code = str(item["ctx"]["error"]).partition(" ")
        return {"path": "" if path == "body" else f"/{path}", "code": code}
    return {"path": "".join(f"/{part}" for part in item["loc"]), "code": item["type"]}
