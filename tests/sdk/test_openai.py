"""The gate for OpenAI's tool calls, driven by the official client package."""

import asyncio
import json
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

import openai
import pytest
from mcpguard_sdk import AsyncMCPGuard, MCPGuard, MCPGuardDeniedError, MCPGuardReviewError, ToolError
from mcpguard_sdk.gate import ErrorDetail
from mcpguard_sdk.openai import execute_tool_calls, to_tool_messages, with_mcpguard_openai

from tests.stubs.chat_completions import AssistantRun, Script, assistants, chat_completions, function_call
from tests.stubs.guard_server import API_KEY, GuardServer

ARGUMENTS = json.dumps({"invoice_id": "in_88", "amount_cents": 500})


@contextmanager
def official_client(base_url: str) -> Iterator[openai.OpenAI]:
    """The official client on a stub."""
    with (
        openai.DefaultHttpxClient(trust_env=False) as http_client,
        openai.OpenAI(base_url=base_url, api_key="stub", http_client=http_client, max_retries=0) as client,
    ):
        yield client


class Desk:
    """Handlers that remember what ran."""

    def __init__(self) -> None:
        self.ran: list[tuple[str, Any]] = []

    def refund(self, invoice_id: str, amount_cents: int) -> dict[str, str]:
        self.ran.append(("refund", amount_cents))
        return {"refund_id": "re_1", "invoice_id": invoice_id}

    def send(self, to: str) -> str:
        self.ran.append(("send", to))
        return f"sent to {to}"

    def look(self) -> list[int]:
        self.ran.append(("look", None))
        return [1, 2]

    def fail(self) -> None:
        raise LookupError("the SECRET account")

    def handlers(self) -> dict[str, Any]:
        return {"billing.refund": self.refund, "email.send": self.send, "db.look": self.look, "db.fail": self.fail}


@pytest.fixture
def desk() -> Desk:
    return Desk()


def read(outputs: Any) -> list[Any]:
    """Each output's JSON, or its text."""
    values = []
    for output in outputs:
        try:
            values.append(json.loads(output["output"]))
        except ValueError:
            values.append(output["output"])
    return values


def test_one_of_four_held_three_run_four_outputs_four_entries(server: GuardServer, guard: MCPGuard, desk: Desk) -> None:
    server.rules["billing.refund"] = "review"
    script = Script(
        [
            function_call("call_1", "email_send", '{"to": "a@demo.example"}'),
            function_call("call_2", "billing_refund", ARGUMENTS),
            function_call("call_3", "db_look", ""),
            function_call("call_4", "email_send", '{"to": "b@demo.example"}'),
        ]
    )
    with chat_completions(script) as url, official_client(url) as client:
        messages: list[Any] = [{"role": "user", "content": "Refund in_88"}]
        message = client.chat.completions.create(model="stub-1", messages=messages).choices[0].message
        outputs = execute_tool_calls(
            guard, message.tool_calls, desk.handlers(), user_context={"user_id": "u_9"}, run_id="run_7"
        )
        messages += [message, *to_tool_messages(outputs)]
        final = client.chat.completions.create(model="stub-1", messages=messages).choices[0].message

    assert [output["tool_call_id"] for output in outputs] == ["call_1", "call_2", "call_3", "call_4"]
    assert desk.ran == [("send", "a@demo.example"), ("look", None), ("send", "b@demo.example")]
    assert read(outputs) == [
        "sent to a@demo.example",
        {
            "error": "policy_review_required",
            "message": "Not without a person.",
            "action_id": "billing.refund",
            "review_id": server.only_review().review_id,
            "retry": "same_call",
        },
        [1, 2],
        "sent to b@demo.example",
    ]
    assert [body["idempotency_key"] for body in server.asked()] == [f"oai:run_7:call_{n}" for n in (1, 2, 3, 4)]
    assert {json.dumps(body["user_context"]) for body in server.asked()} == {'{"user_id": "u_9"}'}
    assert "sent to a@demo.example" in str(final.content)


def test_every_kind_of_ending_is_one_structured_output(server: GuardServer, guard: MCPGuard, desk: Desk) -> None:
    server.rules["email.send"] = "deny"
    script = Script(
        [
            function_call("call_1", "email_send", '{"to": "a@demo.example"}'),
            function_call("call_2", "drop table!", "{}"),
            function_call("call_3", "billing_refund", '{"invoice_id": "in_88", '),
            function_call("call_4", "billing_refund", '{"invoice_id": "in_88", "amount_cents": 1, "amount_cents": 9}'),
            function_call("call_5", "billing_refund", '{"invoice_id": "in_88", "amount": 1}'),
            function_call("call_6", "db_fail", "{}"),
        ]
    )
    with chat_completions(script) as url, official_client(url) as client:
        message = client.chat.completions.create(model="stub-1", messages=[]).choices[0].message
        outputs = execute_tool_calls(guard, message, desk.handlers(), run_id="run_7")

    values = read(outputs)
    assert [value["error"] for value in values] == [
        "policy_denied",
        "unknown_tool",
        "invalid_arguments",
        "invalid_arguments",
        "invalid_arguments",
        "handler_error",
    ]
    assert desk.ran == []
    # Each of them has its own entry, with the model's own words where they could not be read.
    bodies = server.asked()
    assert [body.get("refused") for body in bodies] == [
        None,
        "unknown_tool",
        *["invalid_arguments"] * 3,
        None,
    ]
    assert bodies[1]["action_id"] == "drop_table_"
    assert bodies[2]["raw_arguments"] == '{"invoice_id": "in_88", '
    failure = values[-1]
    assert (failure["type"], failure["message"]) == ("LookupError", "The tool failed.")
    assert "SECRET" not in json.dumps(outputs)
    guard.close()
    assert server.reports[failure["correlation_id"]]["outcome"] == "failed"


@pytest.mark.parametrize("fault", ["500", "html", "redirect", "lie", "401", "422"])
def test_when_the_guard_can_t_be_asked_nothing_runs_and_each_call_is_answered(
    server: GuardServer, guard: MCPGuard, desk: Desk, fault: str
) -> None:
    server.fail(fault)
    calls = [function_call("call_1", "email_send", '{"to": "a"}'), function_call("call_2", "db_look", "{}")]

    outputs = execute_tool_calls(guard, calls, desk.handlers())

    assert [value["error"] for value in read(outputs)] == ["guard_unavailable"] * 2
    assert desk.ran == []


@pytest.mark.filterwarnings("ignore:The Assistants API is deprecated:DeprecationWarning")
def test_assistants_runs_are_answered_in_one_submission(server: GuardServer, guard: MCPGuard, desk: Desk) -> None:
    server.rules["billing.refund"] = "deny"
    state = AssistantRun(
        [function_call("call_1", "billing_refund", ARGUMENTS), function_call("call_2", "email_send", '{"to": "a"}')]
    )
    with assistants(state) as url, official_client(url) as client:
        run = client.beta.threads.runs.retrieve("run_1", thread_id="thread_1")
        outputs = execute_tool_calls(guard, run, desk.handlers(), run_id=run.id)
        done = client.beta.threads.runs.submit_tool_outputs(run.id, thread_id="thread_1", tool_outputs=outputs)

    assert done.status == "completed"
    assert state.submitted is not None
    assert [output["tool_call_id"] for output in state.submitted] == ["call_1", "call_2"]
    assert desk.ran == [("send", "a")]


def test_plain_dicts_custom_tools_and_unknown_kinds_are_read(server: GuardServer, guard: MCPGuard) -> None:
    def run_shell(input: str) -> str:  # noqa: A002  # the custom tool's own argument name
        return f"ran {input}"

    calls = [
        {"id": "call_1", "type": "custom", "custom": {"name": "shell", "input": "ls"}},
        {"id": "call_2", "function": {"name": "look", "arguments": {"x": 1}}},
        {"id": "call_3", "type": "computer"},
    ]
    outputs = execute_tool_calls(guard, calls, {"shell": run_shell, "look": lambda x: x})

    assert read(outputs)[:2] == ["ran ls", 1]
    assert read(outputs)[2]["error"] == "unknown_tool"
    assert [body["action_id"] for body in server.asked()] == ["shell", "look", "openai.computer"]


def test_one_id_gets_one_output_and_two_contents_of_one_id_run_nothing(
    server: GuardServer, guard: MCPGuard, desk: Desk
) -> None:
    one, other = '{"to": "a"}', '{"to": "b"}'
    calls = [function_call("call_1", "email_send", one), function_call("call_1", "email_send", one)]
    assert read(execute_tool_calls(guard, calls, desk.handlers())) == ["sent to a"]

    calls = [function_call("call_2", "email_send", one), function_call("call_2", "email_send", other)]
    (value,) = read(execute_tool_calls(guard, calls, desk.handlers()))
    assert value["error"] == "invalid_arguments"
    assert desk.ran == [("send", "a")]


def test_a_call_without_an_id_is_refused_before_anything_is_asked(server: GuardServer, guard: MCPGuard) -> None:
    calls = [function_call("call_1", "look", "{}"), {"type": "function", "function": {"name": "look"}}]
    with pytest.raises(ValueError, match="no id"):
        execute_tool_calls(guard, calls, {"look": lambda: 1})
    assert server.requests == []


def test_a_message_without_tool_calls_gives_no_outputs(guard: MCPGuard) -> None:
    assert execute_tool_calls(guard, None, {}) == []
    assert execute_tool_calls(guard, {"role": "assistant", "content": "Hello"}, {}) == []


def test_an_argument_changed_after_the_approval_is_asked_about_anew(
    server: GuardServer, guard: MCPGuard, desk: Desk
) -> None:
    server.rules["billing.refund"] = "review"
    held = [function_call("call_1", "billing_refund", ARGUMENTS)]
    execute_tool_calls(guard, held, desk.handlers(), run_id="run_7")
    server.decide(server.only_review().review_id, "approved")

    changed = [function_call("call_2", "billing_refund", '{"invoice_id": "in_88", "amount_cents": 999999}')]
    (value,) = read(execute_tool_calls(guard, changed, desk.handlers(), run_id="run_7"))
    assert value["error"] == "policy_review_required"
    same_id = [function_call("call_1", "billing_refund", '{"invoice_id": "in_88", "amount_cents": 999999}')]
    (value,) = read(execute_tool_calls(guard, same_id, desk.handlers(), run_id="run_7"))
    assert value["error"] == "guard_unavailable", "the key was used for other content"
    assert desk.ran == []

    again = [function_call("call_3", "billing_refund", ARGUMENTS)]
    execute_tool_calls(guard, again, desk.handlers(), run_id="run_7")
    assert desk.ran == [("refund", 500)], "the same call, asked again, meets its approval"


def test_waiting_runs_the_others_first_and_an_amended_call_says_so(server: GuardServer, desk: Desk) -> None:
    server.rules["billing.refund"] = "review"
    calls = [function_call("call_1", "billing_refund", ARGUMENTS), function_call("call_2", "email_send", '{"to": "a"}')]

    def decide() -> None:
        review = server.only_review()
        while ("send", "a") not in desk.ran:
            time.sleep(0.01)
        server.decide(review.review_id, "approved", params={"invoice_id": "in_88", "amount_cents": 120})

    person = threading.Thread(target=decide)
    person.start()
    with MCPGuard(API_KEY, server.url, on_review="wait", wait_timeout=10) as guard:
        outputs = execute_tool_calls(guard, calls, desk.handlers())
    person.join()

    assert desk.ran == [("send", "a"), ("refund", 120)]
    assert read(outputs)[0] == {
        "notice": "A reviewer changed this call. Do not repeat the original.",
        "params": {"invoice_id": "in_88", "amount_cents": 120},
        "result": {"refund_id": "re_1", "invoice_id": "in_88"},
    }
    assert server.only_review().outcome is not None


def test_handler_messages_are_shown_only_on_purpose(server: GuardServer) -> None:
    def tool_error() -> None:
        raise ToolError("No such invoice.")

    def secret() -> None:
        raise LookupError("inner detail")

    calls = [function_call("call_1", "tool_error", "{}"), function_call("call_2", "secret", "{}")]
    handlers = {"tool_error": tool_error, "secret": secret}
    shown = {}
    details: list[ErrorDetail] = ["class", "message", "trace"]
    for detail in details:
        with MCPGuard(API_KEY, server.url, error_detail=detail) as guard:
            shown[detail] = read(execute_tool_calls(guard, calls, handlers))
    assert [value[0]["message"] for value in shown.values()] == ["No such invoice."] * 3
    assert [value[1]["message"] for value in shown.values()] == ["The tool failed.", "inner detail", "inner detail"]
    assert "trace" not in shown["message"][1]
    assert "LookupError" in shown["trace"][1]["trace"]


def test_with_mcpguard_openai_gates_each_handler_and_stays_synchronous(
    server: GuardServer, guard: MCPGuard, desk: Desk
) -> None:
    handlers = desk.handlers()
    gated = with_mcpguard_openai(guard, handlers, user_context={"user_id": "u_9"})
    assert gated.keys() == handlers.keys()
    assert gated["billing.refund"](invoice_id="in_88", amount_cents=1) == {"refund_id": "re_1", "invoice_id": "in_88"}

    server.rules["billing.refund"] = "deny"
    with pytest.raises(MCPGuardDeniedError):
        gated["billing.refund"](invoice_id="in_88", amount_cents=1)
    server.rules["billing.refund"] = "review"
    with pytest.raises(MCPGuardReviewError):
        gated["billing.refund"](invoice_id="in_88", amount_cents=1)
    assert desk.ran == [("refund", 1)]

    # A gated handler in the other entry point is asked about once, not twice.
    before = len(server.asked())
    execute_tool_calls(guard, [function_call("call_1", "db_look", "{}")], gated)
    assert len(server.asked()) == before + 1


def test_an_excluded_argument_cannot_come_from_the_model(server: GuardServer, guard: MCPGuard) -> None:
    @guard.tool("a", exclude=("session",))
    def act(x: int, session: object = "host") -> object:
        return session

    calls = [function_call("call_1", "a", '{"x": 1, "session": "mine"}'), function_call("call_2", "a", '{"x": 1}')]
    values = read(execute_tool_calls(guard, calls, {"a": act}))
    assert values[0]["error"] == "invalid_arguments"
    assert values[1] == "host"


def test_the_asynchronous_client_runs_calls_at_once_and_keeps_their_order(server: GuardServer) -> None:
    server.rules["b"] = "review"
    both = asyncio.Event()
    running = 0

    async def act(name: str) -> str:
        nonlocal running
        running += 1
        if running == 2:
            both.set()
        await asyncio.wait_for(both.wait(), 5)
        return name

    async def main() -> list[Any]:
        async with AsyncMCPGuard(API_KEY, server.url) as guard:
            calls = [
                function_call("call_1", "a", '{"name": "one"}'),
                function_call("call_2", "b", "{}"),
                function_call("call_3", "a", '{"name": "three"}'),
            ]
            return read(await execute_tool_calls(guard, calls, {"a": act, "b": lambda: pytest.fail("ran")}))

    first, second, third = asyncio.run(main())
    assert (first, third) == ("one", "three")
    assert second["error"] == "policy_review_required"
