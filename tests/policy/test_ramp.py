"""The ramp on real recorded calls: readiness equals a replay, backtests, shadow, labels, freezes, and who may."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from typing import Any
from uuid import UUID

import pytest

from audit.calls import recorded_calls
from audit.scope import as_tenant
from policy import backtest, backtests, freezes, labels, live, reports, revisions, shadow
from policy.drafts import save_rule
from policy.errors import (
    InvalidBacktest,
    InvalidFreeze,
    InvalidRule,
    LabelledAlready,
    NoSuchRow,
    PolicyForbidden,
    ReasonTooShort,
)
from policy.models import Backtest, CallLabel, Freeze, Rule, Shadow, ShadowDifference
from policy.modes import set_tenant_mode
from reviews import executions
from reviews.errors import GrantExpired
from tenants.errors import StepUpNeeded
from tests.factories import LARGE, REFUND, SMALL, ask, decide, enforce_refunds, get, held_review
from tests.people import People, proof
from tests.policy.drafts import entries

WHY = "A flood of refunds since noon."
MIDDLE = {**SMALL, "amount_cents": 30_000}


def now() -> datetime:
    return datetime.now(UTC)


@pytest.fixture
def observed(stored: People) -> People:
    """Refunds above USD 500 would be held, those on the free plan denied; the tenant observes six calls."""
    enforce_refunds(stored, mode="observe")
    for params in (SMALL, MIDDLE, MIDDLE, LARGE):
        ask(stored, params=params, repeat="new")
    ask(stored, params=SMALL, user_context={"user_id": "u_1", "plan": "free"})
    ask(stored, params={"invoice_id": "in_1"})
    return stored


def change_limit(people: People, cents: int) -> None:
    """The draft holds refunds above another limit."""
    with as_tenant(people.tenant.pk):
        rule = Rule.objects.get(slug="refund-over-limit")
    rule.condition = f"has(params.amount_cents) && params.amount_cents > {cents}"
    rule.tests = []
    save_rule(people.tenant.pk, acting=people.adam, rule=rule)


def run_backtest(people: People) -> Any:
    return backtests.start(people.tenant.pk, acting=people.adam, since=now() - timedelta(days=1), now=now())


def test_readiness_counts_what_the_live_revision_would_stop(observed: People) -> None:
    figures = reports.read(observed.tenant.pk, now=now()).report.figures
    assert (figures.calls, figures.denied, figures.held, figures.not_evaluated) == (6, 1, 2, 1)
    assert (figures.agents, figures.users, figures.people) == (1, 2, 3)
    assert figures.top_actions == ((REFUND, 1),)
    assert figures.top_rules == (("refund-free-plan", 1),)
    assert (figures.revision_number, figures.replayed, figures.left_out) == (1, 0, 0)
    assert reports.read(observed.tenant.pk, action_id="no.such", now=now()).report.figures.calls == 0
    assert reports.read(observed.other_tenant.pk, now=now()).report.figures.calls == 0


def test_readiness_equals_a_replay_of_that_revision(observed: People) -> None:
    row = run_backtest(observed)
    live_side = {before: sum(cells.values()) for before, cells in row.result["matrix"].items()}
    figures = reports.read(observed.tenant.pk, now=now()).report.figures
    assert (live_side["deny"], live_side["review"]) == (figures.denied, figures.held)
    assert row.result["caught"]["count"] == row.result["freed"]["count"] == 0


def test_calls_of_an_earlier_revision_are_replayed_on_the_live_one(observed: People) -> None:
    change_limit(observed, 20_000)
    revisions.publish(observed.tenant.pk, acting=observed.adam, reason="A lower limit for refunds.", evidence=proof())
    figures = reports.read(observed.tenant.pk, now=now()).report.figures
    assert (figures.calls, figures.replayed, figures.denied, figures.held) == (6, 6, 1, 3)
    assert figures.not_evaluated == 0


def test_a_backtest_names_the_calls_that_change(observed: People) -> None:
    change_limit(observed, 20_000)
    row = run_backtest(observed)
    assert (row.state, row.done, row.total) == ("done", 6, 6)
    result = row.result
    assert result["matrix"]["allow"] == {"allow": 1, "review": 2, "deny": 0}
    assert (result["caught"]["count"], result["freed"]["count"]) == (2, 1)
    calls = {call.uid: call for call in recorded_calls(observed.tenant.pk, limit=10)}
    assert [calls[item["uid"]].params for item in result["caught"]["calls"]] == [MIDDLE, MIDDLE]
    assert result["caught"]["calls"][0]["rules"] == ["refund-over-limit"]
    # The call without an amount was held because its rule failed; the guard of the draft lets it go.
    assert calls[result["freed"]["calls"][0]["uid"]].params == {"invoice_id": "in_1"}
    assert result["rules"]["refund-over-limit"] == {"matched": 3, "errors": 0, "messages": {}}
    assert [body["calls"] for body in entries(observed, "backtest.started")] == [6]


def test_a_backtest_says_what_happened_later_and_which_field_failed(stored: People) -> None:
    enforce_refunds(stored)
    decide(stored, held_review(stored))
    ask(stored, params={"invoice_id": "in_1"})
    change_limit(stored, 100_000)
    with as_tenant(stored.tenant.pk):
        rule = Rule.objects.get(slug="refund-free-plan")
    rule.condition, rule.tests = "params.amount_cents < 0", []
    save_rule(stored.tenant.pk, acting=stored.adam, rule=rule)
    result = run_backtest(stored).result
    assert result["freed"]["later"] == {"approved": 1}
    failed = result["rules"]["refund-free-plan"]
    assert failed["errors"] == result["not_evaluated"] == 1
    assert any("amount_cents" in message for message in failed["messages"])


def test_a_long_backtest_goes_on_where_its_slice_stopped(observed: People, monkeypatch: pytest.MonkeyPatch) -> None:
    change_limit(observed, 20_000)
    whole = run_backtest(observed).result
    monkeypatch.setattr(backtests, "IN_REQUEST", 0)
    monkeypatch.setattr(backtests, "PAGE", 2)
    sent: list[UUID] = []
    monkeypatch.setattr(backtests, "_nudge", lambda _, pk: sent.append(pk))
    row = run_backtest(observed)
    assert (row.state, row.done, sent) == ("waiting", 0, [row.pk])
    assert backtests.waiting() == [(observed.tenant.pk, row.pk)]
    seen = []
    while (slice_of := backtests.work(observed.tenant.pk, row.pk, now=now(), seconds=0)) is not None:
        seen.append(slice_of.done)
    assert seen == [2, 4, 6, 6]
    with as_tenant(observed.tenant.pk):
        row.refresh_from_db()
    assert (row.state, row.result) == ("done", whole)
    assert backtests.waiting() == []


def test_two_workers_never_count_a_call_twice(observed: People, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(backtests, "IN_REQUEST", 0)
    monkeypatch.setattr(backtests, "_nudge", lambda *_: None)
    row = run_backtest(observed)
    start = now()
    with as_tenant(observed.tenant.pk):
        Backtest.objects.filter(pk=row.pk).update(state="running", leased_until=start + timedelta(seconds=60))
    assert backtests.work(observed.tenant.pk, row.pk, now=start) is None
    done = backtests.work(observed.tenant.pk, row.pk, now=start + timedelta(seconds=61))
    assert done is not None
    assert (done.state, done.done) == ("done", 6)


def test_a_stopped_backtest_stays_stopped(observed: People, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(backtests, "IN_REQUEST", 0)
    monkeypatch.setattr(backtests, "_nudge", lambda *_: None)
    row = run_backtest(observed)
    backtests.cancel(observed.tenant.pk, row.pk, acting=observed.adam, now=now())
    assert backtests.work(observed.tenant.pk, row.pk, now=now()) is None
    with pytest.raises(NoSuchRow):
        backtests.cancel(observed.tenant.pk, row.pk, acting=observed.adam, now=now())
    with pytest.raises(PolicyForbidden):
        backtests.cancel(observed.tenant.pk, row.pk, acting=observed.rita, now=now())


def test_backtests_are_bounded_and_only_authors_start_them(observed: People, monkeypatch: pytest.MonkeyPatch) -> None:
    tenant = observed.tenant.pk
    for who in ("rita", "lena", "otto", "devi", "nia"):
        with pytest.raises(PolicyForbidden):
            backtests.start(tenant, acting=getattr(observed, who), since=now() - timedelta(days=1), now=now())
    with pytest.raises(InvalidBacktest):
        backtests.start(tenant, acting=observed.adam, since=now() - timedelta(days=100), now=now())
    monkeypatch.setattr(backtests, "IN_REQUEST", 0)
    monkeypatch.setattr(backtests, "_nudge", lambda *_: None)
    for _ in range(backtests.MOST_AT_ONCE):
        run_backtest(observed)
    with pytest.raises(InvalidBacktest):
        run_backtest(observed)


def test_a_tally_holds_a_bounded_sample_but_counts_all(monkeypatch: pytest.MonkeyPatch, observed: People) -> None:
    monkeypatch.setattr(backtest, "SAMPLES", 1)
    change_limit(observed, 20_000)
    caught = run_backtest(observed).result["caught"]
    assert (caught["count"], len(caught["calls"])) == (2, 1)


def test_a_label_is_on_record_and_counts_once(observed: People) -> None:
    tenant = observed.tenant.pk
    reading = reports.read(tenant, now=now())
    with as_tenant(tenant):
        waiting = reports.to_label(tenant, reading)
    assert len(waiting) == 3
    assert {item.effect for item in waiting} == {"deny", "review"}
    first, second, _ = (UUID(item.call.uid) for item in waiting)
    labels.label(tenant, first, acting=observed.rita, is_right=True, note="A known fraud.", now=now())
    labels.label(tenant, second, acting=observed.adam, is_right=False, now=now())
    with pytest.raises(LabelledAlready):
        labels.label(tenant, first, acting=observed.adam, is_right=False, now=now())
    figures = reports.read(tenant, now=now()).report.figures
    assert (figures.right, figures.labelled) == (1, 2)
    assert [(body["is_right"], body["refs"]) for body in entries(observed, "call.labelled")] == [
        (True, [str(first)]),
        (False, [str(second)]),
    ]
    with as_tenant(tenant):
        assert len(reports.to_label(tenant, reading)) == 1
    for who in ("otto", "devi", "nia"):
        with pytest.raises(PolicyForbidden):
            labels.label(tenant, first, acting=getattr(observed, who), is_right=True, now=now())
    other = next(recorded_calls(tenant, limit=1))
    with pytest.raises(NoSuchRow):
        labels.label(observed.other_tenant.pk, UUID(other.uid), acting=observed.nia, is_right=True, now=now())
    with as_tenant(tenant):
        assert CallLabel.objects.count() == 2


@pytest.mark.parametrize(
    ("scope", "target", "holds"),
    [
        ("tenant", "", True),
        ("agent", "refund-bot", True),
        ("action", "billing.*", True),
        ("action", REFUND, True),
        ("action", "email.*", False),
    ],
)
def test_a_freeze_denies_what_is_in_it_in_observe(stored: People, scope: str, target: str, holds: bool) -> None:
    enforce_refunds(stored, mode="observe")
    tenant = stored.tenant.pk
    freezes.freeze(tenant, acting=stored.lena, scope=scope, target=target, reason=WHY, now=now())
    answer = ask(stored, params=SMALL)
    assert answer["decision"] == ("deny" if holds else "allow")
    (call,) = recorded_calls(tenant, limit=5)
    assert (call.is_frozen, call.mode) == (holds, "observe")
    assert reports.read(tenant, now=now()).report.figures.frozen == holds


def test_a_freeze_denies_in_enforce_too_and_lifting_it_gives_back_what_was(stored: People) -> None:
    enforce_refunds(stored)
    tenant = stored.tenant.pk
    review = held_review(stored)
    decide(stored, review)
    row = freezes.freeze(tenant, acting=stored.adam, scope="tenant", reason=WHY, now=now())
    assert ask(stored, params=SMALL)["decision"] == ask(stored, params=LARGE)["decision"] == "deny"
    with as_tenant(tenant):
        grant = get(stored, review.wire_id).verdict.grant  # type: ignore[union-attr]
    with pytest.raises(GrantExpired):
        executions.start(stored.caller, grant_id=grant.wire_id, params=LARGE, idempotency_key="k", now=now())
    with pytest.raises(StepUpNeeded):
        freezes.lift(tenant, row.pk, acting=stored.adam, evidence=None, reason=WHY, now=now())
    freezes.lift(tenant, row.pk, acting=stored.adam, evidence=proof(), reason=WHY, now=now())
    assert ask(stored, params=SMALL)["decision"] == "allow"
    executions.start(stored.caller, grant_id=grant.wire_id, params=LARGE, idempotency_key="k", now=now())
    (frozen,), (lifted,) = entries(stored, "freeze.set"), entries(stored, "freeze.lifted")
    assert (frozen["scope"], frozen["freeze"]) == ("tenant", str(row.pk))
    assert (lifted["freeze"], lifted["step_up"]["method"]) == (str(row.pk), "password")
    denied = [body for body in entries(stored, "call.evaluated") if "freeze" in body]
    assert {body["freeze"] for body in denied} == {str(row.pk)}


def test_a_freeze_holds_where_the_rules_cannot_be_loaded(stored: People, monkeypatch: pytest.MonkeyPatch) -> None:
    from policy import snapshot

    enforce_refunds(stored, mode="observe")
    monkeypatch.setattr(snapshot, "read", lambda *_, **__: 1 / 0)
    live.forget(stored.tenant.pk)
    assert ask(stored)["decision"] == "allow"
    freezes.freeze(stored.tenant.pk, acting=stored.adam, scope="tenant", reason=WHY, now=now())
    assert ask(stored)["decision"] == "deny"


def test_another_process_freezes_within_five_seconds_without_being_told(
    stored: People, monkeypatch: pytest.MonkeyPatch
) -> None:
    """This process's copy stands for the other process: the change does not reach it, only age does."""
    enforce_refunds(stored, mode="observe")
    clock = [1000.0]
    monkeypatch.setattr(live, "clock", lambda: clock[0])
    live.forget(stored.tenant.pk)
    assert ask(stored)["decision"] == "allow"
    monkeypatch.setattr(live, "forget", lambda _: None)
    freezes.freeze(stored.tenant.pk, acting=stored.adam, scope="tenant", reason=WHY, now=now())
    clock[0] += 5.0
    assert ask(stored)["decision"] == "deny"


def test_who_may_freeze_and_what(people: People) -> None:
    tenant = people.tenant.pk
    for who in ("rita", "otto", "devi", "nia"):
        with pytest.raises(PolicyForbidden):
            freezes.freeze(tenant, acting=getattr(people, who), scope="tenant", reason=WHY, now=now())
    with pytest.raises(ReasonTooShort):
        freezes.freeze(tenant, acting=people.lena, scope="tenant", reason="why", now=now())
    for scope, target in (("agent", "nobody"), ("action", ""), ("action", "a b"), ("planet", "")):
        with pytest.raises(InvalidFreeze):
            freezes.freeze(tenant, acting=people.lena, scope=scope, target=target, reason=WHY, now=now())
    row = freezes.freeze(tenant, acting=people.lena, scope="agent", target="refund-bot", reason=WHY, now=now())
    with pytest.raises(InvalidFreeze):
        freezes.freeze(tenant, acting=people.lena, scope="agent", target="refund-bot", reason=WHY, now=now())
    for who in ("rita", "nia"):
        with pytest.raises(PolicyForbidden):
            freezes.lift(tenant, row.pk, acting=getattr(people, who), evidence=proof(), reason=WHY, now=now())
    with pytest.raises(NoSuchRow):
        freezes.lift(people.other_tenant.pk, row.pk, acting=people.nia, evidence=proof(), reason=WHY, now=now())
    with as_tenant(tenant):
        assert Freeze.objects.filter(lifted_at=None).count() == 1


def test_a_shadow_stores_what_the_draft_decides_otherwise_and_changes_no_answer(stored: People) -> None:
    enforce_refunds(stored, mode="observe")
    tenant = stored.tenant.pk
    change_limit(stored, 20_000)
    shadow.start(tenant, acting=stored.adam, percent=100, now=now())
    set_tenant_mode(tenant, acting=stored.adam, mode="enforce", reason=WHY, evidence=proof())
    assert [ask(stored, params=params, repeat="new")["decision"] for params in (SMALL, MIDDLE, LARGE)] == [
        *("allow", "allow", "review"),
    ]
    shadow.flush(tenant)
    with as_tenant(tenant):
        row, found = Shadow.objects.get(), ShadowDifference.objects.get()
        assert shadow.summary(tenant, row.sha256) == [("allow", "review", 1)]
    assert row.compared == 3
    assert (found.action_id, found.live_effect, found.draft_effect, found.rules) == (
        *(REFUND, "allow", "review", ["refund-over-limit"]),
    )
    assert next(call for call in recorded_calls(tenant, limit=9) if call.uid == found.entry_uid).params == MIDDLE
    shadow.stop(tenant, acting=stored.adam)
    ask(stored, params=MIDDLE, repeat="new")
    with as_tenant(tenant):
        assert ShadowDifference.objects.count() == 1
    with pytest.raises(NoSuchRow):
        shadow.stop(tenant, acting=stored.adam)
    assert [body["change"] for body in entries(stored, "shadow.changed")] == ["started", "stopped"]


def test_a_shadow_that_breaks_costs_no_call_its_answer(stored: People, monkeypatch: pytest.MonkeyPatch) -> None:
    enforce_refunds(stored)
    shadow.start(stored.tenant.pk, acting=stored.adam, percent=100, now=now())
    program = live.live_policy(stored.tenant.pk).shadow
    assert program is not None
    monkeypatch.setattr(program.program, "decide", lambda *_: 1 / 0)
    assert ask(stored, params=LARGE, repeat="new")["decision"] == "review"


def test_who_may_start_a_shadow(people: People) -> None:
    for who in ("rita", "lena", "otto", "nia"):
        with pytest.raises(PolicyForbidden):
            shadow.start(people.tenant.pk, acting=getattr(people, who), percent=10, now=now())
    with pytest.raises(InvalidRule):
        shadow.start(people.tenant.pk, acting=people.adam, percent=0, now=now())


def test_counters_are_rebuilt_in_the_order_of_time() -> None:
    from dataclasses import dataclass

    from policy.backtest import Pair
    from policy.evaluate import ModeState, Program, RuleSet
    from policy.terms import CounterDef
    from tests.policy.calls import NOON, a_rule

    @dataclass
    class Came:
        decided_at: datetime
        decision: str = "allow"
        action_id: str = REFUND
        agent: str = "refund-bot"
        run_id: str = ""
        environment: str = "live"
        params = SMALL
        user: Any = None

        def __post_init__(self) -> None:
            self.user = {"user_id": "u_1"}

    counter = CounterDef("refunds_1h", (REFUND,), "count", 3600, key=("user.user_id",))
    actions = {REFUND: 0}
    draft = RuleSet(rules=(a_rule("stats.refunds_1h > 3", id="many"),), actions=actions, counters=(counter,))
    pair = Pair(Program(RuleSet(rules=(), actions=actions)), Program(draft), ModeState(tenant="t"))
    tally = backtest.empty()
    # Four in an hour, of which one was denied and never ran; then three more a day later.
    minutes = [(0, "allow"), (5, "deny"), (10, "allow"), (15, "allow"), (20, "allow"), (1440, "allow"), (1450, "allow")]
    for number, (minute, decision) in enumerate(minutes):
        call = Came(NOON + timedelta(minutes=minute), decision)
        backtest.add(tally, pair, call, uid=str(number), agents={})
    assert [item["uid"] for item in tally["caught"]["calls"]] == ["4"]
    assert (tally["not_evaluated"], tally["rules"]["many"]["matched"]) == (0, 1)
