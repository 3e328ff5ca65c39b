"""Counters: one statement reserves and reads, each call counts itself, what does not run is given back."""

from __future__ import annotations

import threading
from concurrent.futures import ThreadPoolExecutor
from datetime import UTC, datetime, timedelta
from typing import Any
from uuid import uuid4

import pytest
from django.db import connection, connections, transaction
from django.test.utils import CaptureQueriesContext

from audit.scope import as_tenant
from policy import counters, drafts, lists, live, modes, revisions
from policy.counting import Counting, Part, counter_mistakes, key_of
from policy.evaluate import Program, RuleSet, context_of
from policy.models import Action, Counter, CounterReservation, CounterValue, Rule
from policy.terms import CounterDef
from reviews import callers, escalation, intake, resumes
from reviews.models import ResumeDelivery
from reviews.wire import EvaluateIn, validate
from tests.factories import REFUND, SMALL, ask, call, decide, get, refund_rule
from tests.people import People, proof
from tests.policy.calls import a_call, a_rule
from tests.policy.drafts import entries

HOUR = 3600


@pytest.fixture(autouse=True)
def _no_memory() -> None:
    counters.reset()
    live._cache.clear()


def calls_1h(**changes: Any) -> Counter:
    """Refunds of an agent in an hour."""
    fields = {"slug": "refunds_1h", "scope_actions": ["billing.*"], "key": ["agent.id"], "window_seconds": HOUR}
    return Counter(**(fields | changes))


def at_most(limit: int, effect: str = "deny", name: str = "refunds_1h") -> Rule:
    """A rule on the counter."""
    return refund_rule(
        slug="too-many",
        condition=f"stats.{name} > {limit}",
        effect=effect,
        tests=[
            {"name": "over", "context": {"stats": {name: limit + 1}}, "expect": "match"},
            {"name": "under", "context": {"stats": {name: limit}}, "expect": "no match"},
        ],
    )


def enforce(people: People, *rules: Rule, counter: Counter | None = None, mode: str = "enforce") -> None:
    """Publish the rules with a counter."""
    tenant = people.tenant.pk
    lists.save_counter(tenant, acting=people.adam, row=counter or calls_1h())
    drafts.save_action(tenant, acting=people.adam, action=Action(action_id=REFUND, title="Refund an invoice"))
    for rule in rules:
        drafts.save_rule(tenant, acting=people.adam, rule=rule)
    revisions.publish(tenant, acting=people.adam, reason="Limits of this test.", evidence=proof())
    if mode == "enforce":
        modes.set_tenant_mode(tenant, acting=people.adam, mode=mode, evidence=proof(), reason="This test enforces.")


def total(people: People) -> int:
    """What all values of the tenant hold."""
    with as_tenant(people.tenant.pk):
        return sum(sum(row.slots) for row in CounterValue.objects.all())


def test_the_sixth_refund_in_an_hour_is_denied_and_a_denied_one_is_not_counted(stored: People) -> None:
    enforce(stored, at_most(5))
    assert [ask(stored)["decision"] for _ in range(7)] == ["allow"] * 5 + ["deny"] * 2
    assert total(stored) == 5
    found = entries(stored, "call.evaluated")
    assert [entry["counters"]["refunds_1h"] for entry in found] == [1, 2, 3, 4, 5, 6, 6]


def test_of_twenty_concurrent_calls_against_a_limit_of_five_five_pass(stored: People) -> None:
    enforce(stored, at_most(5, "review"))
    caller, agent, now = stored.caller, stored.agent, datetime.now(UTC)
    start = threading.Barrier(20)

    def one(_: int) -> str:
        try:
            start.wait(10)
            request = validate(EvaluateIn, call(repeat="new"))
            answer = intake.take(caller, [(request, agent)], now=now)[0]
            assert isinstance(answer, dict)
            return str(answer["decision"])
        finally:
            connections.close_all()

    with ThreadPoolExecutor(20) as pool:
        decisions = list(pool.map(one, range(20)))
    # A call that waited too long for the row has no counter, and a person looks: never one too many.
    assert decisions.count("review") == 20 - decisions.count("allow")
    assert decisions.count("allow") <= 5
    assert decisions.count("allow") == 5


def test_calls_of_one_batch_are_counted_one_after_the_other(stored: People) -> None:
    enforce(stored, at_most(3))
    requests = [(validate(EvaluateIn, call()), stored.agent) for _ in range(5)]
    answers = intake.take(stored.caller, requests, now=datetime.now(UTC))
    assert [answer["decision"] for answer in answers if isinstance(answer, dict)] == ["allow"] * 3 + ["deny"] * 2
    assert total(stored) == 3


def test_an_idempotent_replay_touches_no_counter(stored: People) -> None:
    enforce(stored, at_most(5))
    key = uuid4().hex
    first = ask(stored, idempotency_key=key)
    again = ask(stored, idempotency_key=key)
    assert (first["decision"], again["decision"], again["replayed"]) == ("allow", "allow", True)
    assert total(stored) == 1


def test_a_call_that_no_counter_concerns_runs_no_statement_of_theirs(stored: People) -> None:
    enforce(stored, at_most(5))
    ask(stored, action_id="crm.read")
    with CaptureQueriesContext(connection) as queries:
        ask(stored, action_id="crm.read")
    assert not [query for query in queries if "policy_counter" in query["sql"]]
    with CaptureQueriesContext(connection) as queries:
        ask(stored)
    assert len([q for q in queries if "INSERT INTO policy_countervalue" in q["sql"]]) == 1
    ask(stored)
    with CaptureQueriesContext(connection) as queries:
        ask(stored)
    assert len([query for query in queries if "policy_counter" in query["sql"]]) == 1


def test_the_reservation_has_committed_before_rules_run(stored: People, monkeypatch: pytest.MonkeyPatch) -> None:
    enforce(stored, at_most(5))
    seen = []
    decide_then = live.LivePolicy.decide

    def decide_and_look(self: live.LivePolicy, asked: Any) -> Any:
        assert not connection.in_atomic_block
        with ThreadPoolExecutor(1) as pool:  # another connection sees it
            seen.append(pool.submit(_total_elsewhere).result())
        return decide_then(self, asked)

    def _total_elsewhere() -> int:
        try:
            return total(stored)
        finally:
            connections.close_all()

    monkeypatch.setattr(live.LivePolicy, "decide", decide_and_look)
    ask(stored)
    assert seen == [1]


def test_a_row_that_stays_locked_makes_the_counter_missing_and_the_call_a_review(stored: People) -> None:
    enforce(stored, at_most(5))
    assert ask(stored)["decision"] == "allow"
    locked, done = threading.Event(), threading.Event()

    def hold() -> None:
        try:
            with as_tenant(stored.tenant.pk):
                list(CounterValue.objects.select_for_update())
                locked.set()
                done.wait(10)
        finally:
            connections.close_all()

    thread = threading.Thread(target=hold)
    thread.start()
    try:
        assert locked.wait(10)
        answer = ask(stored)
    finally:
        done.set()
        thread.join()
    assert answer["decision"] == "review"
    with as_tenant(stored.tenant.pk):
        assert get(stored, answer["review_id"]).hits[0]["error"] == "stats.refunds_1h is missing"
        assert CounterReservation.objects.count() == 0
    assert total(stored) == 1


def _deliver(people: People, *, now: datetime) -> None:
    with as_tenant(people.tenant.pk):
        waiting = list(ResumeDelivery.objects.values_list("pk", flat=True))
    for pk in waiting:
        resumes.deliver(people.tenant.pk, pk, now=now)


def test_a_held_call_is_counted_and_given_back_when_it_is_denied(stored: People) -> None:
    enforce(stored, at_most(0, "review"))
    answer = ask(stored, repeat="new")
    assert (answer["decision"], total(stored)) == ("review", 1)
    decide(stored, get(stored, answer["review_id"]), "deny")
    _deliver(stored, now=datetime.now(UTC) + timedelta(seconds=61))
    assert total(stored) == 0
    _deliver(stored, now=datetime.now(UTC) + timedelta(hours=2))
    assert total(stored) == 0


def test_an_approved_call_stays_counted(stored: People) -> None:
    enforce(stored, at_most(0, "review"))
    answer = ask(stored, repeat="new")
    decide(stored, get(stored, answer["review_id"]), "approve")
    _deliver(stored, now=datetime.now(UTC) + timedelta(seconds=61))
    assert total(stored) == 1


def test_a_review_that_expires_or_is_cancelled_gives_back_its_part(stored: People) -> None:
    enforce(stored, at_most(0, "review"))
    ask(stored, repeat="new")
    cancelled = ask(stored, repeat="new")
    assert total(stored) == 2
    callers.cancel(stored.caller, cancelled["review_id"], reason="", now=datetime.now(UTC))
    assert total(stored) == 1
    assert escalation.expire_due(now=datetime.now(UTC) + timedelta(days=1)) == 1
    assert total(stored) == 0


def test_a_call_that_joins_a_waiting_review_is_not_counted_again(stored: People) -> None:
    enforce(stored, at_most(0, "review"))
    first, second = ask(stored, repeat="join"), ask(stored, repeat="join")
    assert first["review_id"] == second["review_id"]
    assert total(stored) == 1


def test_in_observe_the_call_runs_and_stays_counted(stored: People) -> None:
    enforce(stored, at_most(0), mode="observe")
    assert [ask(stored)["decision"] for _ in range(2)] == ["allow"] * 2
    assert total(stored) == 2


def test_a_sum_is_kept_for_each_key_and_counts_the_present_call(stored: People) -> None:
    counter = calls_1h(slug="sum_1h", kind="sum", of="params.amount_cents", key=["user.user_id", "params.currency"])
    enforce(stored, at_most(3000, "deny", "sum_1h"), counter=counter)
    dollars = SMALL | {"amount_cents": 2000}
    assert ask(stored, params=dollars)["decision"] == "allow"
    assert ask(stored, params=dollars)["decision"] == "deny"
    assert ask(stored, params=dollars | {"currency": "EUR"})["decision"] == "allow"
    assert ask(stored, params=dollars, user_context={"user_id": "u_2"})["decision"] == "allow"
    assert ask(stored, params=dollars | {"amount_cents": 1000})["decision"] == "allow"


@pytest.mark.parametrize("params", [{"amount_cents": -1}, {"amount_cents": "x"}, {}, {"amount_cents": 1.5}])
def test_a_failing_or_negative_amount_makes_the_counter_missing(stored: People, params: dict[str, Any]) -> None:
    enforce(
        stored,
        at_most(3000, "deny", "sum_1h"),
        counter=calls_1h(slug="sum_1h", kind="sum", of="params.amount_cents"),
    )
    assert ask(stored, params=params)["decision"] == "review"
    assert total(stored) == 0


def test_an_absent_key_makes_the_counter_missing(stored: People) -> None:
    enforce(stored, at_most(5), counter=calls_1h(key=["user.account"]))
    assert ask(stored)["decision"] == "review"


# The stored row.


def part(amount: int = 1, *, key: str = "k", seconds: int = 120, counter: str = "c") -> Part:
    return Part(counter, key, seconds, amount)


def reserve(people: People, *parts: Part) -> dict[str, int]:
    return dict(counters.reserve(people.tenant.pk, [parts])[0].stats)


def age(people: People, slots: int) -> None:
    """Let the row be this many twelfths older."""
    with as_tenant(people.tenant.pk), connection.cursor() as cursor:
        cursor.execute("UPDATE policy_countervalue SET head = head - %s", [slots])


def test_a_value_leaves_the_total_after_its_window_and_a_twelfth_not_before(people: People) -> None:
    with transaction.atomic():
        assert reserve(people, part(3)) == {"c": 3}
        age(people, 5)
        assert reserve(people, part(4)) == {"c": 7}
        age(people, 7)
        assert reserve(people, part(0)) == {"c": 7}  # 12 twelfths ago: the window and the current one
        age(people, 1)
        assert reserve(people, part(0)) == {"c": 4}
        age(people, 500)
        assert reserve(people, part(1)) == {"c": 1}


def test_a_clock_that_goes_back_loses_nothing(people: People) -> None:
    assert reserve(people, part(3)) == {"c": 3}
    age(people, -4)
    assert reserve(people, part(2)) == {"c": 5}


def test_totals_are_held_at_2_to_the_53(people: People) -> None:
    most = 2**53 - 1
    for _ in range(3):
        assert reserve(people, part(most)) == {"c": most}


def test_a_release_takes_from_the_slot_that_was_added_to_and_never_below_zero(people: People) -> None:
    found = counters.reserve(people.tenant.pk, [(part(3),), (part(4),)])
    assert [dict(item.stats) for item in found] == [{"c": 3}, {"c": 7}]
    with as_tenant(people.tenant.pk), connection.cursor() as cursor:
        # The same moment, seen from a row that has moved on.
        cursor.execute("UPDATE policy_countervalue SET head = head + 2, slots = slots[3:13] || ARRAY[0, 0]::bigint[]")
    counters.release(people.tenant.pk, found[1].held)
    assert reserve(people, part(0)) == {"c": 3}
    counters.release(people.tenant.pk, [*found[0].held, *found[1].held])
    assert reserve(people, part(0)) == {"c": 0}


def test_another_tenants_values_are_out_of_reach(people: People) -> None:
    reserve(people, part(3))
    assert dict(counters.reserve(people.other_tenant.pk, [(part(1),)])[0].stats) == {"c": 1}
    counters.release(people.other_tenant.pk, [counters.Held("c", "k", 0, 3)])
    assert reserve(people, part(0)) == {"c": 3}


def test_beyond_the_most_keys_a_new_one_is_missing_and_a_known_one_is_counted(
    people: People, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(counters, "MAX_KEYS", 2)
    monkeypatch.setattr(counters, "KEYS_BETWEEN_COUNTS", 1)
    assert reserve(people, part(key="a")) == {"c": 1}
    assert reserve(people, part(key="b")) == {"c": 1}
    assert reserve(people, part(key="d")) == {}
    assert reserve(people, part(key="a")) == {"c": 2}


def test_idle_values_and_old_reservations_are_swept(people: People) -> None:
    now = datetime.now(UTC)
    reserve(people, part(key="a"), part(key="x", counter="gone"))
    with as_tenant(people.tenant.pk):
        counters.keep(people.tenant.pk, {uuid4(): [counters.Held("c", "a", 1, 1)]}, now=now - timedelta(days=40))
    assert counters.sweep(people.tenant.pk, windows=[("c", 120)], now=now) == 1
    assert counters.sweep(people.tenant.pk, windows=[("c", 120)], now=now + timedelta(seconds=100)) == 0
    assert counters.sweep(people.tenant.pk, windows=[("c", 120)], now=now + timedelta(seconds=300)) == 1
    with as_tenant(people.tenant.pk):
        assert CounterReservation.objects.count() == 0


# Definitions.


def a_counter(**changes: Any) -> CounterDef:
    fields: dict[str, Any] = {"name": "c", "actions": ("*",), "kind": "count", "window_seconds": 60}
    return CounterDef(**(fields | changes))


@pytest.mark.parametrize(
    ("changes", "words"),
    [
        ({"name": "Calls"}, "small letters"),
        ({"name": "in"}, "small letters"),
        ({"window_seconds": 59}, "1 minute to 31 days"),
        ({"window_seconds": 31 * 86_400 + 1}, "1 minute to 31 days"),
        ({"key": ("request.environment",)}, "no path for a key"),
        ({"key": ("agent.idd",)}, "agent has no field idd"),
        ({"key": ("user.a", "user.a")}, "different paths"),
        ({"of": "params.a"}, "adds nothing up"),
        ({"kind": "sum"}, "Write a condition"),
        ({"kind": "sum", "of": "params.a > 1"}, "it must give a whole number"),
        ({"kind": "sum", "of": "stats.c + 1"}, "may not depend on"),
        ({"kind": "sum", "of": "params.a +"}, "Line 1, column"),
        ({"kind": "sum", "of": "minor(params.a, 'XXX')"}, "not a currency code"),
    ],
)
def test_a_bad_definition_is_refused_with_a_sentence(changes: dict[str, Any], words: str) -> None:
    mistakes = counter_mistakes(a_counter(**changes), engine=Program(RuleSet((), {}, counters=(a_counter(),))).engine)
    assert any(words in sentence for sentence in mistakes), mistakes


def test_an_action_touches_counters_of_its_scope_and_those_that_its_rules_read() -> None:
    rules = (a_rule("stats.read_only > 3", actions=("crm.*",)),)
    defined = (
        a_counter(name="read_only", actions=("mail.*",)),
        a_counter(name="all"),
        a_counter(name="x", actions=("y",)),
    )
    program = Program(RuleSet(rules, {}, counters=defined))
    found = program.parts(a_call(action_id="crm.read"))
    assert [(item.counter, item.amount) for item in found] == [("read_only", 0), ("all", 1)]
    assert [item.counter for item in program.parts(a_call(action_id="mail.send"))] == ["read_only", "all"]
    assert Program(RuleSet(rules, {})).parts(a_call()) == ()


def test_keys_differ_by_value_and_by_definition() -> None:
    context = context_of(a_call({"n": 1, "f": 1.0, "big": 2.5}, user={"a": "u", "b": {"c": True}}))
    counter = a_counter(key=("user.a", "user.b.c", "params.n"))
    assert key_of(counter, context) == key_of(counter, {**context, "action_id": "other"})
    assert key_of(counter, context) != key_of(a_counter(key=("user.a",)), context)
    assert key_of(a_counter(key=("params.n",), window_seconds=61), context) != key_of(
        a_counter(key=("params.n",)), context
    )
    for path in ("params.big", "user.b", "user.missing", "params.n.deeper"):
        assert key_of(a_counter(key=(path,)), context) is None
    assert key_of(a_counter(key=("params.s",)), context_of(a_call({"s": "\ud800"}))) is None


def test_an_unknown_counter_is_refused_at_save_with_the_nearest_name(people: People) -> None:
    lists.save_counter(people.tenant.pk, acting=people.adam, row=calls_1h())
    with as_tenant(people.tenant.pk):
        findings = drafts.rule_findings(people.tenant.pk, condition="stats.refund_1h > 3", effect="review", globs=["*"])
    assert [finding.sentence for finding in findings] == [
        "There is no counter named `refund_1h`. Did you mean `stats.refunds_1h`?"
    ]


def test_a_context_over_the_limits_leaves_a_sum_out() -> None:
    counting = Counting(Program(RuleSet((), {})).engine, [a_counter(kind="sum", of="params.n")])
    wanted = counting.wanted("x", [])
    assert counting.parts(wanted, context_of(a_call({"n": 1, "big": "x" * 70_000}))) == ()
    assert [item.amount for item in counting.parts(wanted, context_of(a_call({"n": 2.0})))] == [2]
    assert counting.parts(wanted, context_of(a_call({"n": True}))) == ()
