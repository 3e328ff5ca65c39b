"""An agent killed after each step, and started again: nothing runs twice, and what is unknown is said to be."""

import os
import signal
import subprocess
import sys
from pathlib import Path

import pytest

from tests.stubs.guard_server import API_KEY, GuardServer

# An agent that takes up the run it is given, and kills itself at the step it is told to.
AGENT = """
import os, signal, sys
from pathlib import Path
from mcpguard_sdk import MCPGuard
from mcpguard_sdk.openai import execute_tool_calls
from mcpguard_sdk.session import Session

base_url, api_key, step, effects, idempotent = sys.argv[1:]
guard = MCPGuard(api_key, base_url, on_review="wait", wait_timeout=5)

def die(): os.kill(os.getpid(), signal.SIGKILL)

def after(name, method):
    def wrapped(*arguments, **keywords):
        value = method(*arguments, **keywords)
        if step == name: die()
        return value
    return wrapped

for name, method in {"evaluate": Session.evaluate, "review": Session.review, "spend": Session.start_execution,
                     "report": Session.finish_execution, "report_call": Session.report_call}.items():
    setattr(Session, method.__name__, after(name, method))

def pay(amount):
    with open(effects, "a") as file: file.write(f"paid {amount}\\n")
    if step == "run": die()
    return "paid"

pay = guard.tool("billing.pay", idempotent=idempotent == "yes")(pay)
call = {"id": "call_1", "type": "function", "function": {"name": "billing_pay", "arguments": '{"amount": 5}'}}
(output,) = execute_tool_calls(guard, [call], {"billing.pay": pay}, run_id="run_7")
guard.close()
print(output["output"])
"""


def run_agent(server: GuardServer, *, step: str, effects: Path, idempotent: bool = False) -> str | None:
    """The agent's output, or None when it was killed."""
    arguments = [server.url, API_KEY, step, str(effects), "yes" if idempotent else "no"]
    done = subprocess.run(
        [sys.executable, "-c", AGENT, *arguments],
        capture_output=True,
        text=True,
        timeout=30,
        env={**os.environ, "PYTHONPATH": os.pathsep.join(sys.path)},
        check=False,
    )
    if done.returncode == -signal.SIGKILL:
        return None
    assert done.returncode == 0, done.stderr
    return done.stdout.strip()


def paid(effects: Path) -> int:
    """How often the payment was made."""
    return len(effects.read_text().splitlines()) if effects.exists() else 0


@pytest.mark.parametrize("step", ["evaluate", "run", "report_call"])
def test_a_plain_allow_is_not_run_a_second_time(server: GuardServer, tmp_path: Path, step: str) -> None:
    effects = tmp_path / "effects"
    assert run_agent(server, step=step, effects=effects) is None
    ran_before = paid(effects)

    output = run_agent(server, step="none", effects=effects)

    assert ran_before == (0 if step == "evaluate" else 1)
    assert paid(effects) == ran_before
    assert output is not None
    assert '"execution_uncertain"' in output


@pytest.mark.parametrize("step", ["evaluate", "review", "spend", "run", "report"])
def test_an_approved_call_runs_once(server: GuardServer, tmp_path: Path, step: str) -> None:
    server.rules["billing.pay"] = "review"
    effects = tmp_path / "effects"
    process_step = step
    if step == "evaluate":
        assert run_agent(server, step=process_step, effects=effects) is None
        server.decide(server.only_review().review_id, "approved")
    else:
        # The first agent only opens the review, so that it is decided before the one under test waits.
        assert run_agent(server, step="evaluate", effects=effects) is None
        server.decide(server.only_review().review_id, "approved")
        assert run_agent(server, step=process_step, effects=effects) is None
    before = paid(effects)

    output = run_agent(server, step="none", effects=effects)

    assert output is not None
    if step in ("evaluate", "review"):
        assert (before, paid(effects), output) == (0, 1, "paid"), "nothing was lost"
    else:
        assert paid(effects) == before <= 1, "the grant was spent, so it is not run again"
        assert '"execution_uncertain"' in output


def test_an_idempotent_tool_is_run_again_and_its_outcome_reported(server: GuardServer, tmp_path: Path) -> None:
    server.rules["billing.pay"] = "review"
    effects = tmp_path / "effects"
    assert run_agent(server, step="evaluate", effects=effects, idempotent=True) is None
    server.decide(server.only_review().review_id, "approved")
    assert run_agent(server, step="run", effects=effects, idempotent=True) is None

    assert run_agent(server, step="none", effects=effects, idempotent=True) == "paid"

    assert paid(effects) == 2
    outcome = server.only_review().outcome
    assert outcome is not None
    assert outcome["outcome"] == "succeeded"
