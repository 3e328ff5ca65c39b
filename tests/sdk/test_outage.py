"""What may run through an outage, and how it is told later."""

import stat
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Literal

import pytest
from mcpguard_sdk import MCPGuard, MCPGuardConfigError, MCPGuardUnavailableError

from tests.stubs.guard_server import API_KEY, GuardServer

OBSERVED = {"action_id": "crm.read", "mode": "observe", "percent": 100}
ENFORCED = {"action_id": "billing.refund", "mode": "enforce", "percent": 1}


@pytest.fixture
def journal(tmp_path: Path) -> Path:
    return tmp_path / "journal.jsonl"


@pytest.fixture
def lenient(server: GuardServer, journal: Path) -> Iterator[MCPGuard]:
    """A client whose owner lets two actions run through an outage; the server enforces one of them."""
    server.modes = [OBSERVED, ENFORCED]
    chosen: dict[str, Literal["observe"]] = {"crm.read": "observe", "billing.refund": "observe"}
    with MCPGuard(
        API_KEY,
        server.url,
        timeout=0.5,
        retries=0,
        on_unavailable=chosen,
        journal=journal,
    ) as guard:
        yield guard


def settle(guard: MCPGuard) -> None:
    """Let the background finish."""
    assert guard._background.flush(5)


def test_an_observed_action_runs_and_is_told_later(server: GuardServer, lenient: MCPGuard, journal: Path) -> None:
    lenient.check()
    server.fail("503")

    @lenient.tool("crm.read")
    def read(account: str) -> str:
        return f"account {account}"

    assert read(account="a_1") == "account a_1"
    assert stat.S_IMODE(journal.stat().st_mode) == 0o600
    server.heal()
    lenient.evaluate("crm.read", {"account": "a_2"})
    settle(lenient)

    late = [body for body in server.asked() if body.get("ran_unanswered")]
    assert [body["params"] for body in late] == [{"account": "a_1"}]
    assert late[0]["idempotency_key"] == server.asked()[0]["idempotency_key"]
    assert list(journal.parent.iterdir()) == [], "nothing is left to tell"
    assert len(server.reports) == 0, "no outcome is sent for a call that has no id yet"


def test_an_enforced_action_does_not_run_whatever_its_owner_chose(
    server: GuardServer, lenient: MCPGuard, journal: Path
) -> None:
    lenient.check()
    server.fail("503")
    with pytest.raises(MCPGuardUnavailableError):
        lenient.tool("billing.refund")(lambda: pytest.fail("ran"))()
    assert not journal.exists()


def test_nothing_runs_before_the_modes_were_learned_or_once_they_are_old(
    server: GuardServer, lenient: MCPGuard, monkeypatch: pytest.MonkeyPatch
) -> None:
    server.fail("503")
    with pytest.raises(MCPGuardUnavailableError):
        lenient.evaluate("crm.read", {})

    server.heal()
    lenient.check()
    now = time.monotonic()
    monkeypatch.setattr("mcpguard_sdk.outage.time.monotonic", lambda: now + 15 * 60 + 1)
    assert lenient._outage is not None
    assert not lenient._outage.may_run("crm.read")


def test_a_refused_key_is_no_outage(server: GuardServer, lenient: MCPGuard) -> None:
    lenient.check()
    server.fail("401")
    with pytest.raises(MCPGuardConfigError):
        lenient.evaluate("crm.read", {})


def test_what_the_agent_itself_tightened_does_not_run(server: GuardServer, lenient: MCPGuard) -> None:
    lenient.check()
    server.fail("503")
    with pytest.raises(MCPGuardUnavailableError):
        lenient.evaluate("crm.read", {}, floor="review")


def test_a_call_that_cannot_be_written_down_does_not_run(server: GuardServer, lenient: MCPGuard, journal: Path) -> None:
    lenient.check()
    journal.mkdir()
    server.fail("503")
    with pytest.raises(MCPGuardUnavailableError):
        lenient.evaluate("crm.read", {})


def test_what_fails_to_be_told_stays_and_what_is_refused_is_kept_beside(
    server: GuardServer, lenient: MCPGuard, journal: Path
) -> None:
    lenient.check()
    server.fail("503")
    for number in range(3):
        lenient.evaluate("crm.read", {"x": number})
    with journal.open("ab") as file:
        file.write(b'{"body": {"cut sho')
    server.heal()
    server.fail("503", count=2)
    outage = lenient._outage
    assert outage is not None
    assert outage.send(lambda call: lenient.session.evaluate(call, ran_unanswered=True)) == 0

    server.heal()
    assert outage.send(lambda call: lenient.session.evaluate(call, ran_unanswered=True)) == 3
    assert outage.send(lambda call: lenient.session.evaluate(call, ran_unanswered=True)) == 0
    (left,) = journal.parent.iterdir()
    assert left.name == "journal.jsonl.refused"


def test_the_choice_needs_a_journal_and_knows_one_word() -> None:
    for chosen in ({"a": "observe"}, {"a": "allow"}, "open"):
        with pytest.raises(MCPGuardConfigError):
            MCPGuard(API_KEY, "http://127.0.0.1:1", on_unavailable=chosen)  # type: ignore[arg-type]  # wrong on purpose
