"""The SDK against the real server: real uvicorn, real PostgreSQL, verdicts through the real write functions."""

import asyncio
import json
import os
import secrets
import subprocess
import sys
import threading
import time
from collections.abc import Iterator
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import mcpguard_sdk
import pytest
from django.db import connections
from mcpguard_sdk import (
    AsyncMCPGuard,
    MCPGuard,
    MCPGuardConfigError,
    MCPGuardDeniedError,
    MCPGuardGrantError,
    MCPGuardRequestError,
    MCPGuardReviewError,
    MCPGuardUnavailableError,
    MCPGuardWaitTimeout,
)
from mcpguard_sdk.openai import execute_tool_calls
from pytest_django import DjangoDbBlocker

from audit.models import Entry
from audit.scope import as_tenant
from guardsite import testing
from guardsite.processes import Part
from policy import drafts
from policy.models import Action
from reviews import card_templates, questions, verdicts
from reviews.models import Question, Review
from tests import factories
from tests.conftest import clone_of
from tests.people import People, make_people
from tests.processes import Desk
from tests.sdk.test_openai import official_client
from tests.stubs.chat_completions import Script, chat_completions, function_call

pytestmark = pytest.mark.process

USER = {"user_id": "u_9", "plan": "pro"}
ROOT = Path(__file__).resolve().parent.parent.parent


@pytest.fixture(scope="module")
def desk_of_all(django_db_setup: None, template_database: str, django_db_blocker: DjangoDbBlocker) -> Iterator[Desk]:
    """Web and worker on one database for every test here: each has a house of its own in it."""
    with clone_of(template_database, testing.new_name("sdk"), django_db_blocker) as environment:
        desk = Desk(environment)
        try:
            desk.use_broker()
            desk.start_web()
            desk.start_worker()
            yield desk
        finally:
            desk.stop()


@pytest.fixture
def live_server_url(desk_of_all: Desk) -> str:
    """The address of its web process."""
    return desk_of_all.url


@pytest.fixture
def people(desk_of_all: Desk) -> People:
    """Everybody, in a house of their own, with the refund rules enforced."""
    people = make_people(f"house-{secrets.token_hex(4)}")
    with as_tenant(people.tenant.pk):
        mail = Action(action_id="email.send", title="Send an e-mail")
        drafts.save_action(people.tenant.pk, acting=people.adam, action=mail)
    factories.enforce_refunds(people)
    return people


@pytest.fixture
def guard(people: People, live_server_url: str) -> Iterator[MCPGuard]:
    """The agent's client of the real server."""
    with MCPGuard(people.token, live_server_url) as client:
        yield client


def entries(people: People, kind: str) -> list[Any]:
    """What the log holds of a kind, oldest first."""
    with as_tenant(people.tenant.pk, using="audit_reader"):
        return list(Entry.objects.using("audit_reader").filter(tenant_id=people.tenant.pk, kind=kind))


def decide(people: People, review_id: str, kind: str, *, message: str = "") -> None:
    """Rita's verdict."""
    review = factories.get(people, review_id)
    code = "looks_right" if kind == "approve" else "wrong_amount"
    choice = verdicts.Choice(kind=kind, code=code, message=message, note="Checked with the customer.")
    factories.decide(people, review, kind, choice=choice)


def severe_card(people: People) -> None:
    """A card template that lets the amount of a refund be lowered."""
    with as_tenant(people.tenant.pk):
        card_templates.activate(
            people.tenant.pk,
            acting_member=people.adam,
            action_id=factories.REFUND,
            sentence="refund {amount}",
            decisive="/amount_cents",
            facts=[
                {
                    "pointer": "/amount_cents",
                    "label": "Amount",
                    "formatter": "money",
                    "slot": "amount",
                    "amend": "narrow",
                    "direction": "down",
                }
            ],
        )


def first_review(people: People) -> Review:
    """The review that a call opens sooner or later."""
    deadline = time.monotonic() + 20
    while time.monotonic() < deadline:
        with as_tenant(people.tenant.pk):
            review = Review.objects.first()
        if review is not None:
            return factories.get(people, review.wire_id)
        time.sleep(0.1)
    raise AssertionError("no review was opened")


def decide_soon(people: People, review_id: str, kind: str, *, message: str = "") -> threading.Thread:
    """Rita's verdict in half a second, from a thread of its own."""

    def work() -> None:
        try:
            time.sleep(0.5)
            decide(people, review_id, kind, message=message)
        finally:
            connections.close_all()

    thread = threading.Thread(target=work)
    thread.start()
    return thread


def test_allow_review_and_deny_are_told_apart_and_each_has_its_entry(guard: MCPGuard, people: People) -> None:
    small = guard.evaluate(factories.REFUND, factories.SMALL, user_context=USER)
    large = guard.evaluate(factories.REFUND, factories.LARGE, user_context=USER)
    free = guard.evaluate(factories.REFUND, factories.SMALL, user_context={"plan": "free"})

    assert [one.decision for one in (small, large, free)] == ["allow", "review", "deny"]
    assert (large.rule, large.message) == ("refund-over-limit", "Refunds above USD 500.00 need a person.")
    assert large.review_url is not None
    assert str(large.review_id) in large.review_url
    assert [len(entries(people, "call.evaluated"))] == [3]
    with pytest.raises(MCPGuardReviewError):
        guard.enforce(factories.REFUND, factories.LARGE, user_context=USER)
    with pytest.raises(MCPGuardDeniedError):
        guard.enforce(factories.REFUND, factories.SMALL, user_context={"plan": "free"})


def test_an_amended_call_runs_with_the_params_that_a_person_made_of_it(guard: MCPGuard, people: People) -> None:
    severe_card(people)
    ran: list[dict[str, Any]] = []

    @guard.tool(factories.REFUND, user_context=USER)
    def refund(**params: Any) -> str:
        ran.append(params)
        return "refunded"

    guard.on_review, guard.wait_timeout = "wait", 30

    def amend() -> None:
        try:
            review = first_review(people)
            params = factories.LARGE | {"amount_cents": 12000}
            choice = verdicts.Choice(kind="approve_with_amendments", code="wrong_amount", params=params)
            factories.decide(people, review, choice=choice)
        finally:
            connections.close_all()

    person = threading.Thread(target=amend)
    person.start()
    assert refund(**factories.LARGE) == "refunded"
    person.join()
    assert ran == [factories.LARGE | {"amount_cents": 12000}]


def test_an_agent_answers_a_reviewers_question_while_it_waits(guard: MCPGuard, people: People) -> None:
    decision = guard.evaluate(factories.REFUND, factories.LARGE, user_context=USER)
    asked: list[str] = []

    def work() -> None:
        try:
            time.sleep(0.5)
            review = factories.get(people, str(decision.review_id))
            questions.ask(review.wire_id, acting_member=people.rita, text="Which invoice?", now=datetime.now(UTC))
            deadline = time.monotonic() + 10
            while time.monotonic() < deadline:
                with as_tenant(people.tenant.pk):
                    question = Question.objects.get(review_id=review.pk)
                if question.answer:
                    break
                time.sleep(0.1)
            decide(people, str(decision.review_id), "approve" if question.answer == "in_88" else "deny")
        finally:
            connections.close_all()

    def explain(question: mcpguard_sdk.Question) -> str:
        asked.append(question.text)
        return "in_88"

    person = threading.Thread(target=work)
    person.start()
    review = guard.wait_for_review(decision, timeout=20, on_question=explain)
    person.join()
    assert (review.is_approved, asked) == (True, ["Which invoice?"])


def test_a_held_call_resumes_when_approved_and_runs_once(guard: MCPGuard, people: People) -> None:
    decision = guard.evaluate(factories.REFUND, factories.LARGE, user_context=USER, run_id="run_7")
    person = decide_soon(people, str(decision.review_id), "approve")

    review = guard.wait_for_review(decision, timeout=20)
    person.join()
    with guard.execution(review) as execution:
        assert execution.params == factories.LARGE
        execution.result("ok", reference="re_1")

    with pytest.raises(MCPGuardGrantError) as caught, guard.execution(review):
        pytest.fail("ran twice")
    assert caught.value.code == "grant_used"
    assert len(entries(people, "grant.used")) == 1
    assert len(entries(people, "call.outcome")) == 1
    assert guard.owed() == []


def test_the_wait_ends_within_a_second_of_the_verdict(guard: MCPGuard, people: People) -> None:
    decision = guard.evaluate(factories.REFUND, factories.LARGE, user_context=USER)
    told: list[float] = []

    def wait() -> None:
        guard.wait_for_review(decision, timeout=20)
        told.append(time.monotonic())

    waiting = threading.Thread(target=wait)
    waiting.start()
    time.sleep(1.5)
    decided_at = time.monotonic()
    decide(people, str(decision.review_id), "approve")
    waiting.join(20)
    assert told[0] - decided_at < 1.0


def test_a_denied_call_does_not_run_and_its_reason_arrives(guard: MCPGuard, people: People) -> None:
    decision = guard.evaluate(factories.REFUND, factories.LARGE, user_context=USER)
    person = decide_soon(people, str(decision.review_id), "deny", message="Already paid back.")

    review = guard.wait_for_review(decision, timeout=20)
    person.join()
    with pytest.raises(MCPGuardDeniedError, match="Already paid back"), guard.execution(review):
        pytest.fail("ran")


def test_params_changed_after_the_approval_do_not_run(guard: MCPGuard, people: People) -> None:
    decision = guard.evaluate(factories.REFUND, factories.LARGE, user_context=USER)
    decide(people, str(decision.review_id), "approve")
    review = guard.wait_for_review(decision, timeout=20)
    assert review.params is not None
    review.params["amount_cents"] = 9_999_999

    with pytest.raises(MCPGuardGrantError) as caught, guard.execution(review):
        pytest.fail("ran")
    assert caught.value.code == "grant_mismatch"


def test_a_timeout_leaves_the_review_open_and_cancel_closes_it(guard: MCPGuard) -> None:
    decision = guard.evaluate(factories.REFUND, factories.LARGE, user_context=USER)
    review_id = str(decision.review_id)
    with pytest.raises(MCPGuardWaitTimeout):
        guard.wait_for_review(decision, timeout=1.5)

    assert [one.state for one in guard.heartbeat(waiting=[(review_id, 60)])] == ["pending"]
    assert guard.cancel(review_id, reason="run aborted").state == "withdrawn"
    assert guard.wait_for_review(decision, timeout=5).state == "withdrawn"


def test_owed_finds_what_an_earlier_process_left(guard: MCPGuard, people: People) -> None:
    decision = guard.evaluate(factories.REFUND, factories.LARGE, user_context=USER)
    decide(people, str(decision.review_id), "approve")

    (review,) = guard.owed()

    with guard.execution(review) as execution:
        assert execution.params == factories.LARGE
    assert guard.owed() == []


def test_one_of_four_held_three_run_four_outputs_four_entries(guard: MCPGuard, people: People) -> None:
    ran: list[str] = []

    def refund(invoice_id: str, amount_cents: int, currency: str) -> str:
        ran.append(invoice_id)
        return f"refunded {invoice_id}"

    def arguments(invoice_id: str, amount_cents: int) -> str:
        return json.dumps({"invoice_id": invoice_id, "amount_cents": amount_cents, "currency": "USD"})

    amounts = {"in_1": 100, "in_2": 62000, "in_3": 300, "in_4": 400}
    script = Script(
        [
            function_call(f"call_{number}", "billing_refund", arguments(invoice_id, amount))
            for number, (invoice_id, amount) in enumerate(amounts.items(), start=1)
        ]
    )
    before = len(entries(people, "call.evaluated"))
    with chat_completions(script) as url, official_client(url) as client:
        message = client.chat.completions.create(model="stub-1", messages=[]).choices[0].message
        outputs = execute_tool_calls(
            guard, message.tool_calls, {"billing.refund": refund}, user_context=USER, run_id="run_7"
        )

    assert ran == ["in_1", "in_3", "in_4"]
    assert [output["tool_call_id"] for output in outputs] == ["call_1", "call_2", "call_3", "call_4"]
    assert json.loads(outputs[1]["output"])["error"] == "policy_review_required"
    assert len(entries(people, "call.evaluated")) == before + 4
    with as_tenant(people.tenant.pk):
        assert Review.objects.filter(tenant_id=people.tenant.pk).count() == 1


def test_a_call_that_the_agent_refuses_has_its_entry(guard: MCPGuard, people: People) -> None:
    calls = [
        function_call("call_1", "drop table!", "{}"),
        function_call("call_2", "billing_refund", '{"invoice_id": \x00 "'),
    ]
    outputs = execute_tool_calls(guard, calls, {"billing.refund": lambda invoice_id: pytest.fail("ran")}, run_id="r")
    assert [json.loads(output["output"])["error"] for output in outputs] == ["unknown_tool", "invalid_arguments"]
    assert len(entries(people, "call.evaluated")) == 2


def test_plain_outcomes_are_recorded(guard: MCPGuard, people: People) -> None:
    @guard.tool(factories.REFUND, user_context=USER)
    def refund(**params: object) -> str:
        return "ok"

    refund(**factories.SMALL)
    guard.close()
    assert len(entries(people, "call.outcome")) == 1


def test_the_asynchronous_client_waits_for_many_at_once(guard: MCPGuard, people: People, live_server_url: str) -> None:
    decisions = [
        guard.evaluate(factories.REFUND, {**factories.LARGE, "invoice_id": f"in_{n}"}, user_context=USER)
        for n in range(3)
    ]

    async def main() -> list[bool]:
        async with AsyncMCPGuard(people.token, live_server_url) as client:
            waits = [asyncio.create_task(client.wait_for_review(one, timeout=20)) for one in decisions]
            await asyncio.sleep(0.5)
            await asyncio.to_thread(decide_all)
            return [review.is_approved for review in await asyncio.gather(*waits)]

    def decide_all() -> None:
        try:
            for decision in decisions:
                decide(people, str(decision.review_id), "approve")
        finally:
            connections.close_all()

    assert asyncio.run(main()) == [True, True, True]


def test_refusals_of_the_real_server_become_the_sdk_s_errors(
    guard: MCPGuard, people: People, live_server_url: str
) -> None:
    with MCPGuard("gsk_test_0_wrong", live_server_url) as stranger, pytest.raises(MCPGuardConfigError):
        stranger.check()
    assert guard.check()["tenant"] == people.tenant.slug

    decision = guard.evaluate(factories.REFUND, factories.LARGE, user_context=USER, idempotency_key="k1")
    with pytest.raises(MCPGuardRequestError) as caught:
        guard.evaluate(factories.REFUND, factories.SMALL, user_context=USER, idempotency_key="k1")
    assert caught.value.code == "idempotency_conflict"

    with pytest.raises(MCPGuardRequestError) as caught:
        guard.evaluate("no spaces allowed", {})
    assert (caught.value.status, caught.value.errors[0][0]) == (422, "/action_id")

    with MCPGuard(people.other_token, live_server_url) as nia, pytest.raises(MCPGuardConfigError):
        nia.wait_for_review(str(decision.review_id), timeout=5)


def test_a_killed_server_runs_nothing(people: People, desk_of_all: Desk) -> None:
    desk = Desk(desk_of_all.environment)
    try:
        with MCPGuard(people.token, desk.start_web()) as guard:

            @guard.tool(factories.REFUND, user_context=USER)
            def refund(**params: object) -> str:
                return "ran"

            assert refund(**factories.SMALL) == "ran"
            desk.kill(Part.WEB)
            with pytest.raises(MCPGuardUnavailableError):
                refund(**factories.SMALL)
    finally:
        desk.stop()


@pytest.mark.parametrize(
    ("kind", "said"), [("approve", "The refund went through"), ("deny", "The refund was not made")]
)
def test_the_demo_agent_goes_on_when_a_person_decides(
    people: People, live_server_url: str, tmp_path: Path, kind: str, said: str
) -> None:
    process = subprocess.Popen(
        [sys.executable, "manage.py", "demo_agent"],
        cwd=ROOT,
        env={
            **os.environ,
            "GUARDSITE_STATE": str(tmp_path),
            "MCPGUARD_BASE_URL": live_server_url,
            "MCPGUARD_API_KEY": people.token,
        },
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
    )
    assert process.stdout is not None
    try:
        lines = []
        for line in process.stdout:
            lines.append(line)
            if line.split()[:1] == ["waiting"]:
                decide(people, line.split()[-1], kind)
        assert process.wait(30) == 0, lines
        assert sum(line.split()[:1] == ["waiting"] for line in lines) == 1, "the mail was allowed, the refund held"
        assert said in lines[-1]
    finally:
        process.kill()
        process.wait()
        process.stdout.close()
