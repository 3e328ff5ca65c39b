"""Flips: who may, why, what is recorded, and how fast every process follows."""

from __future__ import annotations

from typing import Any

import pytest
from django.db import DatabaseError, connection, transaction

from audit.scope import as_tenant
from policy import live, snapshot
from policy.drafts import delete_action, save_action, save_defaults, starting_mode
from policy.errors import InvalidRule, ModeUnchanged, NoSuchRow, PolicyForbidden, ReasonTooShort
from policy.evaluate import Program
from policy.models import Action, PolicyState
from policy.modes import set_action_mode, set_tenant_mode
from policy.revisions import publish
from tests.people import People, proof
from tests.policy.calls import a_call
from tests.policy.drafts import a_draft_rule, an_action, entries

WHY = "Two weeks of observing look right."


def decision(people: People, **call: Any) -> str:
    return live.live_policy(people.tenant.pk).decide(a_call({"amount_cents": 60_000}, **call)).decision


@pytest.fixture
def refunds(people: People) -> People:
    """Refunds are mapped and capped; the tenant observes."""
    an_action(people)
    a_draft_rule(people)
    publish(people.tenant.pk, acting=people.adam, reason="First rules for refunds.", evidence=proof())
    return people


def test_a_new_tenant_observes(refunds: People) -> None:
    assert decision(refunds) == "allow"
    with as_tenant(refunds.tenant.pk):
        state = PolicyState.objects.get()
    assert (state.default_mode, state.unmapped, state.mapped_default, state.on_engine_failure) == (
        "observe",
        "review",
        "allow",
        "deny",
    )


def test_a_flip_takes_effect_and_back(refunds: People) -> None:
    set_tenant_mode(refunds.tenant.pk, acting=refunds.adam, mode="enforce", evidence=proof(), reason=WHY)
    assert decision(refunds) == "review"
    set_action_mode(
        refunds.tenant.pk, acting=refunds.adam, action_id="billing.refund", mode="observe", evidence=proof(), reason=WHY
    )
    assert decision(refunds) == "allow"
    assert decision(refunds, action_id="billing.refund_all") == "review"
    set_action_mode(
        refunds.tenant.pk, acting=refunds.adam, action_id="billing.refund", mode=None, evidence=proof(), reason=WHY
    )
    assert decision(refunds) == "review"
    set_tenant_mode(refunds.tenant.pk, acting=refunds.adam, mode="observe", evidence=proof(), reason=WHY)
    assert decision(refunds) == "allow"


def test_a_percentage_enforces_for_some_subjects_always_the_same(refunds: People) -> None:
    set_tenant_mode(refunds.tenant.pk, acting=refunds.adam, mode="enforce", percent=50, evidence=proof(), reason=WHY)
    first = [decision(refunds, subject=f"u{n}") for n in range(60)]
    assert {"allow", "review"} == set(first)
    assert first == [decision(refunds, subject=f"u{n}") for n in range(60)]


@pytest.mark.parametrize("who", ["rita", "lena", "otto", "devi", "nia"])
def test_only_who_may_flip_flips(refunds: People, who: str) -> None:
    acting = getattr(refunds, who)
    with pytest.raises(PolicyForbidden):
        set_tenant_mode(refunds.tenant.pk, acting=acting, mode="enforce", evidence=proof(), reason=WHY)
    with pytest.raises(PolicyForbidden):
        set_action_mode(
            refunds.tenant.pk, acting=acting, action_id="billing.refund", mode="enforce", evidence=proof(), reason=WHY
        )
    with pytest.raises(PolicyForbidden):
        save_defaults(refunds.tenant.pk, acting=acting, state=PolicyState(unmapped="observe"))
    assert decision(refunds) == "allow"


def test_a_flip_without_reason_or_to_what_is_changes_nothing(refunds: People) -> None:
    for reason in ("", "too short", "----------"):
        with pytest.raises(ReasonTooShort):
            set_tenant_mode(refunds.tenant.pk, acting=refunds.adam, mode="enforce", evidence=proof(), reason=reason)
    with pytest.raises(ModeUnchanged):
        set_tenant_mode(refunds.tenant.pk, acting=refunds.adam, mode="observe", evidence=proof(), reason=WHY)
    with pytest.raises(ModeUnchanged):
        set_action_mode(
            refunds.tenant.pk, acting=refunds.adam, action_id="billing.refund", mode=None, evidence=proof(), reason=WHY
        )
    with pytest.raises(NoSuchRow):
        set_action_mode(
            refunds.tenant.pk, acting=refunds.adam, action_id="no.such", mode="observe", evidence=proof(), reason=WHY
        )
    for mode, percent in (("off", 100), ("enforce", 101), ("enforce", -1)):
        with pytest.raises(InvalidRule):
            set_tenant_mode(
                refunds.tenant.pk, acting=refunds.adam, mode=mode, percent=percent, evidence=proof(), reason=WHY
            )
    assert decision(refunds) == "allow"


def test_a_flip_is_an_entry_with_before_and_after(stored: People) -> None:
    an_action(stored)
    set_tenant_mode(stored.tenant.pk, acting=stored.adam, mode="enforce", percent=25, evidence=proof(), reason=WHY)
    set_action_mode(
        stored.tenant.pk, acting=stored.adam, action_id="billing.refund", mode="observe", evidence=proof(), reason=WHY
    )
    tenant, action = entries(stored, "mode.changed")
    assert (tenant["scope"], tenant["before"], tenant["after"]) == (
        "tenant",
        {"mode": "observe", "percent": 100},
        {"mode": "enforce", "percent": 25},
    )
    assert (action["action_id"], action["before"], action["after"]) == (
        "billing.refund",
        {"mode": "inherited"},
        {"mode": "observe", "percent": 100},
    )
    assert all(len(body["_sd"]) == 1 for body in (tenant, action))


def test_mapping_an_action_in_an_enforcing_tenant_writes_its_override(people: People) -> None:
    set_tenant_mode(people.tenant.pk, acting=people.adam, mode="enforce", evidence=proof(), reason=WHY)
    with pytest.raises(ReasonTooShort):
        an_action(people)
    tenant, adam = people.tenant.pk, people.adam
    observed = save_action(tenant, acting=adam, action=Action(action_id="a.observed", title="a"), reason=WHY)
    enforced = save_action(tenant, acting=adam, action=Action(action_id="b.enforced", title="b"), mode="enforce")
    assert (observed.mode_override, enforced.mode_override) == ("observe", "enforce")
    adam.roles = ["policy_author"]
    with pytest.raises(PolicyForbidden):
        save_action(tenant, acting=adam, action=Action(action_id="c", title="c"), reason=WHY)
    with as_tenant(tenant):
        assert set(Action.objects.values_list("action_id", flat=True)) == {"a.observed", "b.enforced"}


def test_an_action_with_a_mode_of_its_own_is_not_unmapped(people: People) -> None:
    action = an_action(people)
    set_action_mode(
        people.tenant.pk, acting=people.adam, action_id="billing.refund", mode="enforce", evidence=proof(), reason=WHY
    )
    with pytest.raises(InvalidRule):
        delete_action(people.tenant.pk, acting=people.adam, action=action)
    set_action_mode(
        people.tenant.pk, acting=people.adam, action_id="billing.refund", mode=None, evidence=proof(), reason=WHY
    )
    delete_action(people.tenant.pk, acting=people.adam, action=action)
    with as_tenant(people.tenant.pk):
        assert not Action.objects.exists()


def test_a_new_rule_observes_where_something_in_its_scope_enforces(people: People) -> None:
    an_action(people)
    with as_tenant(people.tenant.pk):
        assert starting_mode(people.tenant.pk, ["*"]) == "enforce"
    set_action_mode(
        people.tenant.pk, acting=people.adam, action_id="billing.refund", mode="enforce", evidence=proof(), reason=WHY
    )
    with as_tenant(people.tenant.pk):
        assert starting_mode(people.tenant.pk, ["billing.*"]) == "observe"
        assert starting_mode(people.tenant.pk, ["email.*"]) == "enforce"


def test_another_process_follows_within_five_seconds_without_being_told(
    refunds: People, monkeypatch: pytest.MonkeyPatch
) -> None:
    """This process's copy stands for the other process: the change does not reach it, only age does."""
    clock = [1000.0]
    monkeypatch.setattr(live, "clock", lambda: clock[0])
    live.forget(refunds.tenant.pk)
    assert decision(refunds) == "allow"
    monkeypatch.setattr(live, "forget", lambda _: None)
    set_tenant_mode(refunds.tenant.pk, acting=refunds.adam, mode="enforce", evidence=proof(), reason=WHY)
    clock[0] += 4.9
    assert decision(refunds) == "allow"
    clock[0] += 0.2
    assert decision(refunds) == "review"


def test_a_fresh_copy_costs_no_query_and_an_unchanged_one_a_single_read(
    refunds: People, monkeypatch: pytest.MonkeyPatch
) -> None:
    from django.test.utils import CaptureQueriesContext

    clock = [1000.0]
    monkeypatch.setattr(live, "clock", lambda: clock[0])
    live.forget(refunds.tenant.pk)
    first = live.live_policy(refunds.tenant.pk)
    with CaptureQueriesContext(connection) as captured:
        assert live.live_policy(refunds.tenant.pk) is first
    assert len(captured) == 0
    clock[0] += 5
    with CaptureQueriesContext(connection) as captured:
        again = live.live_policy(refunds.tenant.pk)
    assert again.program is first.program
    assert len([query for query in captured if "policy_" in query["sql"]]) == 1


def test_a_revision_that_cannot_be_loaded_denies_where_enforced(
    refunds: People, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    def refuse(*_: object, **__: object) -> None:
        raise ValueError("not what its hash says")

    monkeypatch.setattr(snapshot, "read", refuse)
    live.forget(refunds.tenant.pk)
    observed = live.live_policy(refunds.tenant.pk).decide(a_call())
    assert (observed.decision, observed.effect, observed.failed) == ("allow", "deny", True)
    set_tenant_mode(refunds.tenant.pk, acting=refunds.adam, mode="enforce", evidence=proof(), reason=WHY)
    assert decision(refunds) == "deny"
    with as_tenant(refunds.tenant.pk):
        state = PolicyState.objects.get()
    state.on_engine_failure = "review"
    save_defaults(refunds.tenant.pk, acting=refunds.adam, state=state)
    live.forget(refunds.tenant.pk)
    assert decision(refunds) == "review"
    assert "the live revision cannot be loaded" in caplog.text


def test_a_fault_of_the_evaluator_never_allows_and_never_raises(
    refunds: People, monkeypatch: pytest.MonkeyPatch
) -> None:
    set_tenant_mode(refunds.tenant.pk, acting=refunds.adam, mode="enforce", evidence=proof(), reason=WHY)

    def explode(*_: object) -> None:
        raise RuntimeError("a bug")

    monkeypatch.setattr(Program, "decide", explode)
    assert decision(refunds) == "deny"


def test_an_unknown_tenant_and_an_unreadable_state_deny(people: People, monkeypatch: pytest.MonkeyPatch) -> None:
    from audit.ids import uuid7

    assert live.live_policy(uuid7()).decide(a_call()).decision == "deny"

    def broken(*_: object) -> None:
        raise DatabaseError("gone")

    monkeypatch.setattr(live, "_read", broken)
    live.forget(people.tenant.pk)
    assert live.live_policy(people.tenant.pk).decide(a_call()).decision == "deny"


def test_a_rolled_back_change_never_shares_its_version(people: People) -> None:
    with as_tenant(people.tenant.pk):
        before = PolicyState.objects.get().version
    sid = transaction.savepoint()
    set_tenant_mode(people.tenant.pk, acting=people.adam, mode="enforce", evidence=proof(), reason=WHY)
    with as_tenant(people.tenant.pk):
        lost = PolicyState.objects.get().version
    transaction.savepoint_rollback(sid)
    set_tenant_mode(people.tenant.pk, acting=people.adam, mode="enforce", percent=10, evidence=proof(), reason=WHY)
    with as_tenant(people.tenant.pk):
        kept = PolicyState.objects.get().version
    assert len({before, lost, kept}) == 3
