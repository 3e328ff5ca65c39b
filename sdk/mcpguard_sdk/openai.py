"""The gate for tool calls in OpenAI's shapes: Chat Completions `tool_calls` and Assistants `requires_action`.

    message = client.chat.completions.create(...).choices[0].message
    outputs = execute_tool_calls(guard, message.tool_calls, handlers, user_context={"user_id": "u_9"}, run_id="run_7")
    messages += [message, *to_tool_messages(outputs)]

Objects of the official package and plain dicts are read alike; the package itself is not imported. Every tool call gets
exactly one output, in the order of the calls, whatever happened to it: providers refuse a turn that leaves one out.
"""

import asyncio
import json
import re
from collections.abc import Awaitable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, Literal, TypedDict, overload

from mcpguard_sdk import gate, wire
from mcpguard_sdk.async_guard import AsyncMCPGuard
from mcpguard_sdk.calls import Call
from mcpguard_sdk.errors import (
    MCPGuardDeniedError,
    MCPGuardError,
    MCPGuardReviewError,
)
from mcpguard_sdk.guard import MCPGuard, OnBlock
from mcpguard_sdk.tools import Handler, Tool, ToolMap, tool_of

KEY_PREFIX = "oai"


class ToolOutput(TypedDict, total=False):
    """One row for `submit_tool_outputs`; `output` is text, JSON unless the tool itself returned text.

    Both are always there; `total=False` makes it the same type as the official package's own.
    """

    tool_call_id: str
    output: str


class ToolMessage(TypedDict):
    """One Chat Completions message that answers a tool call."""

    role: Literal["tool"]
    tool_call_id: str
    content: str


def with_mcpguard_openai(
    guard: MCPGuard | AsyncMCPGuard,
    handlers: Mapping[str, Handler],
    *,
    tool_map: Mapping[str, str] | None = None,
    on_block: OnBlock = "raise",
    user_context: Mapping[str, object] | None = None,
    run_id: str | None = None,
) -> dict[str, Handler]:
    """A new map with the same keys, each handler asking before it runs; the map given is left as it was.

    The action id is `tool_map`'s for the key, else the key itself. With MCPGuard handlers stay synchronous; with
    AsyncMCPGuard all become coroutine functions.
    """
    actions = {**_settings(guard).tool_map, **(tool_map or {})}
    gated = {}
    for key, handler in handlers.items():
        tool = tool_of(handler, action_id=actions.get(key, key))
        decorate = guard.tool(
            tool.action_id,
            exclude=sorted(tool.exclude),
            idempotent=tool.idempotent,
            expose_errors=tool.expose_errors,
            on_block=on_block,
            user_context=user_context,
            run_id=run_id,
        )
        gated[key] = decorate(tool.function)
    return gated


@overload
def execute_tool_calls(
    guard: MCPGuard,
    tool_calls: object,
    handlers: Mapping[str, Handler] | ToolMap,
    *,
    user_context: Mapping[str, object] | None = None,
    run_id: str | None = None,
    context: Mapping[str, object] | None = None,
    tool_map: Mapping[str, str] | None = None,
) -> list[ToolOutput]: ...


@overload
def execute_tool_calls(
    guard: AsyncMCPGuard,
    tool_calls: object,
    handlers: Mapping[str, Handler] | ToolMap,
    *,
    user_context: Mapping[str, object] | None = None,
    run_id: str | None = None,
    context: Mapping[str, object] | None = None,
    tool_map: Mapping[str, str] | None = None,
) -> Awaitable[list[ToolOutput]]: ...


def execute_tool_calls(
    guard: MCPGuard | AsyncMCPGuard,
    tool_calls: object,
    handlers: Mapping[str, Handler] | ToolMap,
    *,
    user_context: Mapping[str, object] | None = None,
    run_id: str | None = None,
    context: Mapping[str, object] | None = None,
    tool_map: Mapping[str, str] | None = None,
) -> list[ToolOutput] | Awaitable[list[ToolOutput]]:
    """One output per tool call, in order: allowed ones run, the others get their error. Awaitable with AsyncMCPGuard.

    `tool_calls` is a list of calls, a message that holds one, or an Assistants run at `requires_action`. Each call is
    asked about on its own and has its own entry, those included that name no tool or whose arguments do not parse.

    `run_id` makes the idempotency key (`oai:<run>:<call>`) the same in another process, so that a restarted agent does
    not run a call a second time; name one wherever a run can be taken up again. With `on_review="wait"` on the client,
    held calls are waited for after all others ran.

    Raises ValueError, before anything is asked, for a call without an id: there would be no way to answer it.
    """
    settings = _settings(guard)
    tools = handlers if isinstance(handlers, ToolMap) else ToolMap(handlers, {**settings.tool_map, **(tool_map or {})})
    read = _read_calls(tool_calls)
    jobs = [_job(settings, member, tools, user_context=user_context, run_id=run_id, context=context) for member in read]
    if isinstance(guard, AsyncMCPGuard):
        return _execute_async(guard, jobs)
    return _execute(guard, jobs)


def to_tool_messages(outputs: Sequence[ToolOutput]) -> list[ToolMessage]:
    """The outputs as Chat Completions messages, to be appended after the assistant's own."""
    return [{"role": "tool", "tool_call_id": output["tool_call_id"], "content": output["output"]} for output in outputs]


@dataclass(frozen=True)
class _ToolCall:
    """A tool call as read: `params` is None when it may not run, for the reason in `refused`."""

    tool_call_id: str
    name: str
    params: wire.JsonObject | None = field(repr=False)
    raw_arguments: str = field(repr=False)
    refused: wire.Refused | None = None


@dataclass(frozen=True)
class _Job:
    tool_call_id: str
    call: Call | MCPGuardError
    tool: Tool | None


def _job(
    settings: MCPGuard,
    read: _ToolCall,
    tools: ToolMap,
    *,
    user_context: Mapping[str, object] | None,
    run_id: str | None,
    context: Mapping[str, object] | None,
) -> _Job:
    tool = tools.get(read.name)
    refused = read.refused or ("unknown_tool" if tool is None else None)
    params = read.params or {}
    if refused is None and tool is not None:
        try:
            params = tool.bind_params(params)
            wire.dumps(params)
        except (TypeError, wire.NotJsonError):
            refused, params = "invalid_arguments", {}
    # Host code's run, whether given here or by `guard.bound`, makes the key; without one each ask is its own.
    bound_run_id = run_id or settings.bound_run_id()
    tool_call_id = wire.identifier(read.tool_call_id)
    try:
        call: Call | MCPGuardError = settings.call(
            tool.action_id if tool else _action_id(read.name),
            params if refused is None else {},
            idempotency_key=_key(bound_run_id, tool_call_id) if bound_run_id else None,
            run_id=bound_run_id,
            tool_call_id=tool_call_id,
            user_context=user_context,
            context=context,
            refused=refused,
            raw_arguments=wire.plain_text(read.raw_arguments, limit=wire.MAX_RAW_ARGUMENTS) if refused else None,
        )
    except MCPGuardError as error:
        call = error
    return _Job(read.tool_call_id, call, tool)


def _key(run_id: str, tool_call_id: str) -> str:
    """The same in every process that takes the run up; a digest where two long ids would not fit."""
    return wire.identifier(f"{KEY_PREFIX}:{run_id}:{tool_call_id}")


def _action_id(name: str) -> str:
    """The action id to refuse an unknown function under; a model's invention may hold any character."""
    named = re.sub(r"[^A-Za-z0-9_.:/-]", "_", name)[:128].lstrip(".:/-")
    return named or "openai.unnamed"


def _flow(job: _Job) -> gate.Flow:
    """Ask, and run when allowed; a call that the agent itself refuses is asked about, for its entry, and not run."""
    if isinstance(job.call, MCPGuardError):
        raise job.call
    if job.call.refused or job.tool is None:
        return _refused_flow(job.call)
    return gate.run_call(job.call, tool=job.tool)


def _refused_flow(call: Call) -> gate.Flow:
    yield gate.Ask(call)
    # Whatever the answer says, the caller has nothing that it could run.
    code = call.refused or wire.UNKNOWN_TOOL
    message = "There is no such tool." if code == wire.UNKNOWN_TOOL else "The arguments do not fit the tool."
    raise MCPGuardDeniedError(message, action_id=call.action_id, code=code)


def _execute(guard: MCPGuard, jobs: Sequence[_Job]) -> list[ToolOutput]:
    outputs: dict[int, str] = {}
    held: dict[int, MCPGuardReviewError] = {}
    for position, job in enumerate(jobs):
        try:
            outputs[position] = _text(guard.run(_flow(job)).for_model())
        except MCPGuardReviewError as error:
            held[position] = error
            outputs[position] = _error_text(guard, error)
        except (MCPGuardError, gate.HandlerFailedError) as error:
            outputs[position] = _error_text(guard, error)
    if guard.on_review == "wait":
        for position, review in held.items():
            try:
                outputs[position] = _text(guard.run(_reviewed_flow(guard, jobs[position], review)).for_model())
            except (MCPGuardError, gate.HandlerFailedError) as error:
                outputs[position] = _error_text(guard, error)
    return [{"tool_call_id": job.tool_call_id, "output": outputs[position]} for position, job in enumerate(jobs)]


async def _execute_async(guard: AsyncMCPGuard, jobs: Sequence[_Job]) -> list[ToolOutput]:
    async def output(job: _Job) -> ToolOutput:
        try:
            try:
                ran = await guard.run(_flow(job))
            except MCPGuardReviewError as review:
                if guard.sync.on_review != "wait":
                    raise
                ran = await guard.run(_reviewed_flow(guard.sync, job, review))
            text = _text(ran.for_model())
        except (MCPGuardError, gate.HandlerFailedError) as error:
            text = _error_text(guard.sync, error)
        return {"tool_call_id": job.tool_call_id, "output": text}

    return list(await asyncio.gather(*(output(job) for job in jobs)))


def _reviewed_flow(guard: MCPGuard, job: _Job, error: MCPGuardReviewError) -> gate.Flow:
    assert job.tool is not None
    assert isinstance(job.call, Call)
    return gate.run_reviewed(
        error.review_id,
        action_id=job.call.action_id,
        tool=job.tool,
        version=error.version,
        wait_timeout_seconds=guard.wait_timeout,
    )


def _error_text(guard: MCPGuard, error: MCPGuardError | gate.HandlerFailedError) -> str:
    return _text(gate.shown(error, detail=guard.error_detail))


def _text(value: object) -> str:
    """Text as it is; anything else as JSON, and what JSON has no form for as its str()."""
    return value if isinstance(value, str) else json.dumps(value, ensure_ascii=False, default=str)


def _settings(guard: MCPGuard | AsyncMCPGuard) -> MCPGuard:
    return guard.sync if isinstance(guard, AsyncMCPGuard) else guard


def _member(value: object, name: str) -> Any:  # Any: a package's object or a JSON value
    return value.get(name) if isinstance(value, Mapping) else getattr(value, name, None)


def _read_calls(source: object) -> list[_ToolCall]:
    """The calls in order, one per id. Two of one id and the same content are one; of other content, neither runs."""
    required = _member(source, "required_action")
    if required is not None:
        source = _member(_member(required, "submit_tool_outputs"), "tool_calls")
    elif not isinstance(source, (list, tuple)) and source is not None:
        source = _member(source, "tool_calls")
    found: dict[str, _ToolCall] = {}
    for member in source if isinstance(source, (list, tuple)) else ():
        read = _read_call(member)
        earlier = found.get(read.tool_call_id)
        if earlier is not None and earlier != read:
            read = _ToolCall(read.tool_call_id, earlier.name, None, earlier.raw_arguments, "invalid_arguments")
        found[read.tool_call_id] = read
    return list(found.values())


def _read_call(member: object) -> _ToolCall:
    tool_call_id = _member(member, "id")
    if not isinstance(tool_call_id, str) or not tool_call_id:
        raise ValueError("a tool call has no id, so it can't be answered")
    kind = _member(member, "type") or "function"
    if kind == "custom":
        custom = _member(member, "custom")
        text = _member(custom, "input")
        return _ToolCall(tool_call_id, _name(custom), {"input": text if isinstance(text, str) else ""}, str(text))
    if kind != "function":
        return _ToolCall(tool_call_id, f"openai.{kind}", None, "", "unknown_tool")
    function = _member(member, "function")
    arguments = _member(function, "arguments")
    if isinstance(arguments, Mapping):  # some compatible servers send the object itself
        raw, parsed = json.dumps(arguments, default=str), dict(arguments)
    else:
        raw = arguments if isinstance(arguments, str) else ""
        try:
            # A tool without arguments is called with an empty text by some models.
            parsed = wire.loads(raw) if raw.strip() else {}
        except wire.NotJsonError:
            parsed = None
    if not isinstance(parsed, dict):
        return _ToolCall(tool_call_id, _name(function), None, raw, "invalid_arguments")
    return _ToolCall(tool_call_id, _name(function), parsed, raw)


def _name(holder: object) -> str:
    name = _member(holder, "name")
    return name if isinstance(name, str) else ""
