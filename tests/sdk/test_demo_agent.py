"""The demo agent on a stub guard: each ending of its story, and going on in another process."""

import json
import os
import re
import signal
import subprocess
import sys
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from demo.model_stub import wrong_with
from tests.stubs.guard_server import API_KEY, GuardServer

ROOT = Path(__file__).resolve().parent.parent.parent


class Agent:
    """Starts the demo agent as a process on a state directory."""

    def __init__(self, state: Path) -> None:
        self.state = state
        self.processes: list[subprocess.Popen[str]] = []

    def start(self, *arguments: str) -> subprocess.Popen[str]:
        environment = {name: value for name, value in os.environ.items() if not name.startswith("MCPGUARD_")}
        process = subprocess.Popen(
            [sys.executable, "-W", "error", "-m", "demo", *arguments],
            cwd=ROOT,
            env={**environment, "GUARDSITE_STATE": str(self.state), "PYTHONPATH": f"{ROOT}{os.pathsep}{ROOT / 'sdk'}"},
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            text=True,
        )
        self.processes.append(process)
        return process

    def tell(self, *arguments: str) -> tuple[int, str]:
        """(exit status, everything it said)."""
        process = self.start(*arguments)
        said, _ = process.communicate(timeout=30)
        return process.returncode, said


@pytest.fixture
def agent(server: GuardServer, tmp_path: Path) -> "Callable[[], Agent]":
    (tmp_path / "demo_agent.json").write_text(json.dumps({"base_url": server.url, "api_key": API_KEY}))
    server.rules["billing.refund"] = "review"
    return lambda: Agent(tmp_path)


def decided(server: GuardServer, process: "subprocess.Popen[str]", state: str, message: str = "") -> str:
    """What the agent said after a person decided its one held call."""
    server.decide(server.only_review(timeout_seconds=20).review_id, state, message=message)
    said, _ = process.communicate(timeout=30)
    assert process.returncode == 0, said
    return said


def test_an_approved_refund_runs_and_its_result_is_told(server: GuardServer, agent: Callable[[], Agent]) -> None:
    said = decided(server, agent().start(), "approved")

    steps = re.findall(r"^ *(\w+)  ", said, re.MULTILINE)
    expected = ["agent", "task", "asked", "asked", "ran", "allowed", "held", "waiting", "approved", "resumed", "ran"]
    assert [step for step in steps if step in {*expected, "answer"}] == [*expected, "answer"]
    assert "The refund went through" in said
    outcome = server.only_review().outcome
    assert outcome is not None
    assert outcome["outcome"] == "succeeded"
    assert API_KEY not in said


def test_a_denied_refund_does_not_run_and_the_reason_reaches_the_model(
    server: GuardServer, agent: Callable[[], Agent]
) -> None:
    said = decided(server, agent().start("--amount", "700"), "denied", message="Already paid back.")
    assert "billing.refund: USD" not in said
    assert "The refund was not made: Already paid back." in said


def test_an_interrupted_run_goes_on_in_another_process(server: GuardServer, agent: Callable[[], Agent]) -> None:
    first = agent().start()
    review_id = server.only_review(timeout_seconds=20).review_id
    deadline = time.monotonic() + 10
    while server.open_waits == 0 and time.monotonic() < deadline:
        time.sleep(0.02)
    first.send_signal(signal.SIGINT)
    said, _ = first.communicate(timeout=20)
    assert first.returncode == 130
    assert f"--resume {review_id}" in said

    server.decide(review_id, "approved")
    status, said = agent().tell("--resume", review_id)

    assert status == 0
    assert "email.send:" not in said, "what ran before is not run again"
    assert "The mail was sent" in said
    assert "The refund went through" in said
    status, said = agent().tell("--resume", review_id)
    assert (status, "No run waits" in said) == (1, True)


def test_a_wait_that_times_out_says_how_to_go_on(server: GuardServer, agent: Callable[[], Agent]) -> None:
    status, said = agent().tell("--timeout", "0.5")
    assert (status, "--resume rv_" in said) == (3, True)


def test_a_missing_guardsite_and_a_missing_key_are_plain_sentences(tmp_path: Path) -> None:
    status, said = Agent(tmp_path).tell()
    assert (status, "python3 manage.py up" in said, "Traceback" in said) == (1, True, False)

    (tmp_path / "demo_agent.json").write_text(json.dumps({"base_url": "http://127.0.0.1:9", "api_key": API_KEY}))
    status, said = Agent(tmp_path).tell()
    assert (status, "can't be reached" in said, "manage.py up" in said, "Traceback" in said) == (1, True, True, False)


def test_the_model_stub_refuses_a_history_that_leaves_a_call_unanswered() -> None:
    call = {"id": "call_1", "type": "function", "function": {"name": "a", "arguments": "{}"}}
    asked: list[dict[str, Any]] = [{"role": "user", "content": "Hi"}, {"role": "assistant", "tool_calls": [call]}]
    answer = {"role": "tool", "tool_call_id": "call_1", "content": "done"}
    assert wrong_with(asked) is not None
    assert wrong_with([*asked, answer, answer]) is not None
    assert wrong_with([*asked, answer]) is None
