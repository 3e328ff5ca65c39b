"""A model on loopback: Chat Completions on the wire, a script instead of weights.

It refuses what the real service refuses, so that a loop which passes here is well-formed: after an assistant message
with tool calls, every call must be answered by exactly one tool message before anything else.
"""

import itertools
import json
import threading
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any
from urllib.parse import urlsplit

Message = dict[str, Any]  # Any: a Chat Completions message, JSON
Script = Callable[[Sequence[Message]], Message]
MODEL = "stub-1"


def asks_for(*calls: tuple[str, Message], numbers: Iterator[int]) -> Message:
    """An assistant message that calls these functions: (name, arguments) each, ids counted on."""
    return {
        "role": "assistant",
        "content": None,
        "tool_calls": [
            {
                "id": f"call_{next(numbers)}",
                "type": "function",
                "function": {"name": name, "arguments": json.dumps(arguments)},
            }
            for name, arguments in calls
        ],
    }


def says(text: str) -> Message:
    """An assistant message without tool calls: the end of the turn."""
    return {"role": "assistant", "content": text}


def refund_script(*, amount_cents: int) -> Script:
    """Asked to refund an invoice: tell the billing desk, refund, then say what came of it."""
    refund = {
        "invoice_id": "in_1042",
        "customer": "Northwind Ltd",
        "amount_cents": amount_cents,
        "currency": "USD",
        "reason": "Charged twice for the March licence",
    }
    mail = {
        "to": "billing@demo.example",
        "subject": "Refund for invoice in_1042",
        "body": f"Northwind Ltd was charged twice. I am refunding USD {amount_cents / 100:,.2f}.",
    }
    return _one_turn(("email_send", mail), ("billing_refund", refund))


def email_script() -> Script:
    """Asked to tell the team and the customer: one mail inside the house, one outside."""
    inside = {
        "to": "team@demo.example",
        "subject": "Invoice in_1042",
        "body": "The customer asks about the double charge. I am answering now.",
    }
    outside = {
        "to": "accounts@northwind.example",
        "subject": "Your invoice in_1042",
        "body": "You were charged twice. The second charge will be returned within five days.",
    }
    return _one_turn(("email_send", inside), ("email_send", outside))


def _one_turn(*calls: tuple[str, Message]) -> Script:
    numbers = itertools.count(1)

    def answer(messages: Sequence[Message]) -> Message:
        results = [message["content"] for message in messages if message["role"] == "tool"]
        if not results:
            return asks_for(*calls, numbers=numbers)
        lines = [_told(name, result) for (name, _), result in zip(calls, results, strict=True)]
        return says(" ".join(lines))

    return answer


def _told(name: str, result: str) -> str:
    """What a model would make of one tool result."""
    done = {"email_send": "The mail was sent", "billing_refund": "The refund went through"}[name]
    failed = {"email_send": "The mail was not sent", "billing_refund": "The refund was not made"}[name]
    try:
        read = json.loads(result)
    except ValueError:
        return f"{done}: {result}"
    if isinstance(read, dict) and "error" in read:
        return f"{failed}: {read.get('message', read['error'])}"
    if isinstance(read, dict) and "notice" in read:
        return f"{done}, changed by a reviewer: {json.dumps(read['result'])}."
    return f"{done}: {json.dumps(read)}."


@contextmanager
def model_server(script: Script) -> Iterator[str]:
    """The base URL of a running stub; it ends with the block."""
    handler = type("Handler", (_Handler,), {"script": staticmethod(script)})
    server = _Server(("127.0.0.1", 0), handler)
    thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.05}, daemon=True)
    thread.start()
    try:
        yield f"http://127.0.0.1:{server.server_address[1]}/v1"
    finally:
        server.shutdown()
        server.server_close()
        thread.join(5)


def wrong_with(messages: Sequence[Message]) -> str | None:
    """What the real service would refuse in this history, in words; None if nothing."""
    owed: set[str] = set()
    for message in messages:
        if message.get("role") == "tool":
            if message.get("tool_call_id") not in owed or not isinstance(message.get("content"), str):
                return "a tool message answers no open tool call"
            owed.discard(message["tool_call_id"])
            continue
        if owed:
            return "an assistant message with tool_calls must be followed by a tool message for each of them"
        calls = message.get("tool_calls") or []
        if any(not isinstance(call["function"]["arguments"], str) for call in calls if call["type"] == "function"):
            return "function.arguments is text"
        owed = {call["id"] for call in calls}
    return "a tool call is not answered" if owed else None


class _Server(ThreadingHTTPServer):
    daemon_threads = True


class _Handler(BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"
    script: Script

    def log_message(self, format: str, *args: object) -> None:  # noqa: A002  # the standard library's own name
        """Quiet."""

    def do_POST(self) -> None:
        """Answer a chat completion."""
        body = json.loads(self.rfile.read(int(self.headers.get("Content-Length") or 0)))
        if urlsplit(self.path).path != "/v1/chat/completions":
            self._send(404, {"error": {"message": "not found", "type": "invalid_request_error"}})
            return
        problem = wrong_with(body["messages"])
        if problem is not None:
            self._send(400, {"error": {"message": problem, "type": "invalid_request_error"}})
            return
        message = self.script(body["messages"])
        self._send(
            200,
            {
                "id": "chatcmpl-stub",
                "object": "chat.completion",
                "created": int(time.time()),
                "model": body["model"],
                "choices": [
                    {
                        "index": 0,
                        "message": {"refusal": None, **message},
                        "logprobs": None,
                        "finish_reason": "tool_calls" if message.get("tool_calls") else "stop",
                    }
                ],
                "usage": {"prompt_tokens": 0, "completion_tokens": 0, "total_tokens": 0},
            },
        )

    def _send(self, status: int, answer: Message) -> None:
        data = json.dumps(answer).encode()
        self.send_response(status)
        self.send_header("Content-Type", "application/json")
        self.send_header("Content-Length", str(len(data)))
        self.end_headers()
        self.wfile.write(data)
