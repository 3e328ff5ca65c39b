"""OpenAI's endpoints on loopback for the official client: Chat Completions, and Assistants runs at `requires_action`.

Chat Completions is the demo's own stub with a test's script; the Assistants part is kept for compatible servers.
"""

import json
import threading
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any

from demo.model_stub import Message, model_server


def function_call(tool_call_id: str, name: str, arguments: str) -> Message:
    """One Chat Completions tool call, its arguments as the text that a model wrote."""
    return {"id": tool_call_id, "type": "function", "function": {"name": name, "arguments": arguments}}


@dataclass
class Script:
    """A model that makes these tool calls, then repeats what it was told; `seen` keeps every history."""

    calls: list[Message]
    seen: list[Sequence[Message]] = field(default_factory=list)

    def __call__(self, messages: Sequence[Message]) -> Message:
        """The next assistant message."""
        self.seen.append(messages)
        results = [message["content"] for message in messages if message["role"] == "tool"]
        if results:
            return {"role": "assistant", "content": " | ".join(results)}
        return {"role": "assistant", "content": None, "tool_calls": self.calls}


chat_completions = model_server


@dataclass
class AssistantRun:
    """A run that waits for its outputs; `submitted` is what came."""

    calls: list[Message]
    submitted: list[Message] | None = None

    def body(self) -> Message:
        """The run as the wire has it."""
        waits = self.submitted is None
        action = {"type": "submit_tool_outputs", "submit_tool_outputs": {"tool_calls": self.calls}}
        return {
            "id": "run_1",
            "object": "thread.run",
            "created_at": 1,
            "thread_id": "thread_1",
            "assistant_id": "asst_1",
            "status": "requires_action" if waits else "completed",
            "required_action": action if waits else None,
            "model": "stub-1",
            "instructions": "",
            "tools": [],
            "metadata": {},
            "parallel_tool_calls": True,
        }


@contextmanager
def assistants(run: AssistantRun) -> Iterator[str]:
    """The base URL of a server with this one run; outputs must name every call once, in one submission."""

    class Handler(BaseHTTPRequestHandler):
        protocol_version = "HTTP/1.1"

        def log_message(self, *_: object) -> None:
            """Quiet."""

        def do_GET(self) -> None:
            self._send(200, run.body())

        def do_POST(self) -> None:
            body = json.loads(self.rfile.read(int(self.headers["Content-Length"])))
            given = [output["tool_call_id"] for output in body["tool_outputs"]]
            if sorted(given) != sorted(call["id"] for call in run.calls) or run.submitted is not None:
                self._send(400, {"error": {"message": "expected an output for each tool call"}})
                return
            run.submitted = body["tool_outputs"]
            self._send(200, run.body())

        def _send(self, status: int, answer: Any) -> None:
            data = json.dumps(answer).encode()
            self.send_response(status)
            self.send_header("Content-Type", "application/json")
            self.send_header("Content-Length", str(len(data)))
            self.end_headers()
            self.wfile.write(data)

    server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    server.daemon_threads = True
    thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.05}, daemon=True)
    thread.start()
    try:
        yield f"http://127.0.0.1:{server.server_address[1]}/v1"
    finally:
        server.shutdown()
        server.server_close()
        thread.join(5)
