"""The demo agent's loop, told step by step: what it asked, what ran, what a person had to decide, how it went on.

`python3 manage.py demo_agent`. The model is a stub; the client package, the gate, the wait and the tools' runs are real.
"""

import argparse
import json
import os
import sys
import time
import uuid
from collections.abc import Sequence
from decimal import Decimal, InvalidOperation
from pathlib import Path
from typing import Any, Final, NoReturn

import openai
from mcpguard_sdk import (
    MCPGuard,
    MCPGuardConfigError,
    MCPGuardError,
    MCPGuardUnavailableError,
    MCPGuardWaitTimeout,
    Review,
    ToolMap,
)
from mcpguard_sdk.openai import ToolOutput, execute_tool_calls, to_tool_messages
from mcpguard_sdk.tools import Handler

from demo.model_stub import MODEL, email_script, model_server, refund_script
from demo.run_state import RunState

ROOT: Final = Path(__file__).resolve().parent.parent
USER_CONTEXT: Final = {"user_id": "u_9", "plan": "business"}
TASKS: Final = {
    "refund": "Please refund invoice in_1042, USD {amount}, and tell the billing desk.",
    "email": "Please tell the team and the customer about the double charge on invoice in_1042.",
}
INTERRUPTED: Final = 130
STILL_WAITING: Final = 3


def billing_refund(invoice_id: str, customer: str, amount_cents: int, currency: str, reason: str) -> dict[str, Any]:
    """Refunds an invoice. The demo's ledger is this terminal."""
    refund_id = f"re_{uuid.uuid4().hex[:10]}"
    say("ran", f"billing.refund: {currency} {amount_cents / 100:,.2f} of {invoice_id} back to {customer}")
    return {"refund_id": refund_id, "amount_cents": amount_cents, "currency": currency, "reason": reason}


def email_send(to: str, subject: str, body: str) -> dict[str, Any]:
    """Sends a mail. The demo's mailbox is this terminal."""
    say("ran", f"email.send: “{subject}” to {to}")
    return {"message_id": f"msg_{uuid.uuid4().hex[:10]}", "to": to, "length": len(body)}


HANDLERS: Final[dict[str, Handler]] = {"billing.refund": billing_refund, "email.send": email_send}


def tool_declarations(tools: ToolMap) -> list[Any]:  # Any: the openai package's own shape
    """The tools as a provider takes them: names without dots, arguments as JSON Schema."""
    kinds = {int: "integer", str: "string"}
    declared = []
    for name in tools.names():
        tool = tools.get(name)
        assert tool is not None
        arguments = {key: kind for key, kind in tool.function.__annotations__.items() if key != "return"}
        schema = {
            "type": "object",
            "properties": {key: {"type": kinds[kind]} for key, kind in arguments.items()},
            "required": list(arguments),
            "additionalProperties": False,
        }
        description = (tool.function.__doc__ or "").splitlines()[0]
        declared.append(
            {"type": "function", "function": {"name": name, "description": description, "parameters": schema}}
        )
    return declared


def run(guard: MCPGuard, client: openai.OpenAI, state: RunState, *, directory: Path, timeout_seconds: float) -> str:
    """The model's final answer. A run loaded with held calls begins by waiting for them."""
    tools = ToolMap(HANDLERS)
    while True:
        if not state.held and not state.outputs:
            asked: Any = state.messages  # Any: the package's union of message types
            answer = client.chat.completions.create(
                model=MODEL, messages=asked, tools=tool_declarations(tools), parallel_tool_calls=True
            )
            message = answer.choices[0].message
            state.messages.append(message.model_dump(exclude_none=True))
            if not message.tool_calls:
                RunState.forget(directory)
                return message.content or ""
            ask(guard, message.tool_calls, tools, state, directory=directory)
        for review_id in list(state.held):
            held = state.held[review_id]
            review = wait(guard, review_id, timeout_seconds=timeout_seconds)
            state.outputs[held["tool_call_id"]] = resume(guard, review, tools, name=held["name"])
            del state.held[review_id]
            state.save(directory)
        outputs: list[ToolOutput] = [
            {"tool_call_id": call["id"], "output": state.outputs[call["id"]]}
            for call in state.messages[-1]["tool_calls"]
        ]
        for output in outputs:
            say("result", f"{output['tool_call_id']} → {output['output']}")
        state.messages += [dict(message) for message in to_tool_messages(outputs)]
        state.outputs = {}


def ask(guard: MCPGuard, tool_calls: Sequence[Any], tools: ToolMap, state: RunState, *, directory: Path) -> None:
    """Put the model's calls through the gate; fills `state.outputs` and `state.held`."""
    names = {}
    for call in tool_calls:
        names[call.id] = call.function.name
        tool = tools.get(call.function.name)
        say("asked", f"{call.id} {tool.action_id if tool else call.function.name} {call.function.arguments}")
    outputs = execute_tool_calls(
        guard,
        tool_calls,
        tools,
        user_context=USER_CONTEXT,
        run_id=state.run_id,
        context={"messages": [str(state.messages[0]["content"])]},
    )
    for output in outputs:
        tool_call_id = output["tool_call_id"]
        blocked = _blocked(output["output"])
        if blocked.get("error") == "policy_review_required":
            state.held[blocked["review_id"]] = {"tool_call_id": tool_call_id, "name": names[tool_call_id]}
            review = guard.review(blocked["review_id"])
            say("held", f"{tool_call_id} needs a person: {blocked['message']}")
            say("", f"review {review.review_id}, open until {review.expires_at}")
            say("", f"open   {review.url}")
        else:
            state.outputs[tool_call_id] = output["output"]
            if blocked:
                say("blocked", f"{tool_call_id} {blocked['error']}: {blocked['message']}")
            else:
                say("allowed", f"{tool_call_id} was allowed, and ran")
    state.save(directory)


def wait(guard: MCPGuard, review_id: str, *, timeout_seconds: float) -> Review:
    """The decided review; Ctrl-C leaves it open and says how to go on."""
    say("waiting", f"for a person to decide {review_id}")
    began = time.monotonic()
    try:
        review = guard.wait_for_review(review_id, timeout=timeout_seconds)
    except KeyboardInterrupt:
        _say_goodbye(guard, review_id)
        raise
    waited = time.monotonic() - began
    words = f": {review.message}" if review.message and not review.is_approved else ""
    say(review.state, f"after {waited:.1f} s of waiting{words}")
    return review


def resume(guard: MCPGuard, review: Review, tools: ToolMap, *, name: str) -> str:
    """The tool call's output now that a person decided: the tool's result, or the refusal for the model."""
    began = time.monotonic()
    tool = tools.get(name)
    assert tool is not None
    try:
        with guard.execution(review) as execution:
            say(
                "resumed",
                f"{(time.monotonic() - began) * 1000:.0f} ms after the answer came, on {execution.execution_id}",
            )
            return json.dumps(execution.result(tool.function(**execution.params)))
    except MCPGuardError as error:
        if review.is_approved:
            say("blocked", f"{error.code}: {error.message}")
        else:
            say(
                "resumed", f"{(time.monotonic() - began) * 1000:.0f} ms after the answer came, without running the tool"
            )
        return json.dumps(error.for_model())


def main(arguments: Sequence[str]) -> int:
    """The exit status: 0 when the run came to its end, whatever was decided."""
    options = _parser().parse_args(arguments)
    directory = Path(os.environ.get("GUARDSITE_STATE") or ROOT / ".guardsite")
    try:
        state = _state(options, directory)
        with _guard(directory) as guard:
            info = guard.check()
            say("agent", f"{info.get('agent')} of {info.get('tenant')}, run {state.run_id}")
            say("task", str(state.messages[0]["content"]))
            script = email_script() if state.scenario == "email" else refund_script(amount_cents=state.amount_cents)
            with (
                model_server(script) as model_url,
                openai.DefaultHttpxClient(trust_env=False) as http_client,
                openai.OpenAI(base_url=model_url, api_key="stub", http_client=http_client, max_retries=0) as client,
            ):
                text = run(guard, client, state, directory=directory, timeout_seconds=options.timeout)
                say("answer", text)
                return 0
    except KeyboardInterrupt:
        return INTERRUPTED
    except MCPGuardWaitTimeout as error:
        say("waiting", f"Nobody decided within {options.timeout:.0f} s. The review stays open.")
        say("", f"go on  python3 manage.py demo_agent --resume {error.review_id}")
        return STILL_WAITING
    except MCPGuardConfigError as error:
        return _fail(
            f"{error.message} Is this the demo's own guardsite? Its key is in {directory / 'demo_agent.json'}."
        )
    except MCPGuardUnavailableError as error:
        return _fail(f"{error.message} Start it in another terminal: python3 manage.py up")


def say(step: str, text: str) -> None:
    """One line of the story; at once, so that a pipe shows it too."""
    print(f"{step:>8}  {text}", flush=True)


def _blocked(output: str) -> dict[str, Any]:  # Any: JSON values
    """The error object in an output; empty when the tool ran."""
    try:
        read = json.loads(output)
    except ValueError:
        return {}
    return read if isinstance(read, dict) and "error" in read and "message" in read else {}


def _say_goodbye(guard: MCPGuard, review_id: str) -> None:
    print(flush=True)
    say("stopped", f"The review {review_id} stays open; a person can still decide it.")
    say("", f"go on  python3 manage.py demo_agent --resume {review_id}")
    try:
        guard.heartbeat(waiting=[(review_id, 3600)])
    except MCPGuardError:
        say("", "The guard was not told that this agent went away.")


def _guard(directory: Path) -> MCPGuard:
    """The client, from the environment or from the key file that a first start wrote."""
    if os.environ.get("MCPGUARD_API_KEY") and os.environ.get("MCPGUARD_BASE_URL"):
        return MCPGuard()
    path = directory / "demo_agent.json"
    try:
        settings = json.loads(path.read_text(encoding="utf-8"))
        return MCPGuard(settings["api_key"], settings["base_url"])
    except FileNotFoundError:
        _exit(
            f"There is no {path}. Start guardsite once with python3 manage.py up, "
            "or set MCPGUARD_BASE_URL and MCPGUARD_API_KEY."
        )
    except (OSError, ValueError, KeyError, TypeError) as error:
        _exit(f"{path} can't be read: {type(error).__name__}.")


def _state(options: argparse.Namespace, directory: Path) -> RunState:
    """A new run, or the one that waits for the review named."""
    if not options.resume:
        amount = f"{options.amount / 100:,.2f}"
        task = TASKS[options.scenario].format(amount=amount)
        messages = [{"role": "user", "content": task}]
        return RunState(f"demo-{uuid.uuid4().hex[:12]}", options.scenario, options.amount, messages)
    state = RunState.load(directory)
    if state is None or options.resume not in state.held:
        _exit(f"No run waits for {options.resume}. Start a new one: python3 manage.py demo_agent")
    return state


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(prog="manage.py demo_agent", description=__doc__.splitlines()[0])
    parser.add_argument("--scenario", choices=sorted(TASKS), default="refund", help="what the agent is asked to do")
    parser.add_argument("--amount", type=_cents, default=62000, help="the refund in USD; 620.00 needs a person")
    parser.add_argument("--timeout", type=float, default=3600.0, help="seconds to wait for a person")
    parser.add_argument("--resume", metavar="REVIEW_ID", help="go on with the run that waits for this review")
    return parser


def _cents(text: str) -> int:
    try:
        amount = Decimal(text)
        cents = int(amount * 100)
    except (InvalidOperation, ValueError, OverflowError):
        raise argparse.ArgumentTypeError("an amount in USD, such as 620.00") from None
    if cents <= 0 or amount * 100 != cents:
        raise argparse.ArgumentTypeError("an amount in USD, such as 620.00")
    return cents


def _fail(sentence: str) -> int:
    print(f"demo_agent: {sentence}", file=sys.stderr, flush=True)
    return 1


def _exit(sentence: str) -> NoReturn:
    raise SystemExit(_fail(sentence))
