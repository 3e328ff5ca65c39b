"""An agent that floods the desk is slowed down; what is large still gets through, and a reviewer can pause it."""

from __future__ import annotations

import threading
from datetime import UTC, datetime, timedelta
from typing import Any
from uuid import uuid4

import pytest
from django.db import connections
from django.test import Client

from audit.calls import recorded_calls
from audit.record import Actor, EntryDraft, record
from audit.scope import as_tenant
from policy import counters, freezes, live
from policy.errors import PolicyForbidden
from policy.models import Counter, CounterReservation, Freeze, PolicyState
from reviews import agents, floods, intake
from reviews.errors import AgentPausedAlready, InvalidPause, NotFound
from reviews.models import DeskSettings, Flood, Review
from reviews.states import State
from reviews.wire import EvaluateIn, validate
from tenants.models import Agent, ApiKey
from tests.factories import LARGE, REFUND, SMALL, ask, call, deny_rule, enforce_refunds, refund_rule
from tests.people import People, proof
from tests.policy.test_admin import signed_in, text_of
from tests.reviews.chain import bodies

NOW = datetime(2026, 11, 20, 12, tzinfo=UTC)
TIER3 = LARGE | {"amount_cents": 900_000}


def limit_to(people: People, count: int | None, **desk: int) -> None:
    """The agent may open so many reviews an hour; none of its own: as many as the desk says."""
    with as_tenant(people.tenant.pk):
        Agent.objects.filter(pk=people.agent.pk).update(reviews_per_hour=count)
        if desk:
            DeskSettings.objects.update_or_create(tenant=people.tenant, defaults=desk)


def enforce(people: People, **changes: Any) -> None:
    """Reviews of refunds at tier 2, of large ones at tier 3."""
    large = refund_rule(slug="large", name="Large refund", condition="params.amount_cents > 800000", tier=3, tests=[])
    enforce_refunds(people, refund_rule(**changes), large, deny_rule())


def asked(people: People, **members: Any) -> Any:
    given: dict[str, Any] = {"now": NOW, "params": LARGE, "repeat": "new"} | members
    return ask(people, **given)


def running(people: People) -> list[Flood]:
    with as_tenant(people.tenant.pk):
        return list(Flood.objects.filter(ended_at=None))


def waiting(people: People) -> int:
    with as_tenant(people.tenant.pk):
        return Review.objects.filter(state=State.OPEN).count()


def test_beyond_its_hour_an_agent_is_denied_told_to_slow_down_and_shown_once(people: People) -> None:
    enforce(people)
    limit_to(people, 4, reserved_percent=0)
    answers = [asked(people, now=NOW + timedelta(minutes=minute)) for minute in range(6)]
    assert [answer["decision"] for answer in answers] == ["review"] * 4 + ["deny"] * 2
    late = answers[-1]
    assert (late["code"], late["review_id"], late["effect"]) == ("review_rate_limited", None, "review")
    assert "Slow down and ask again in 55 min." in late["message"]
    assert waiting(people) == 4
    (flood,) = running(people)
    assert (flood.agent_id, flood.suppressed_count) == (people.agent.pk, 2)
    assert flood.last_at - flood.started_at == timedelta(minutes=1)
    # The hour moves on, and so may the agent.
    assert asked(people, now=NOW + timedelta(minutes=61))["decision"] == "review"


def test_a_flood_of_small_calls_does_not_hide_a_large_one(people: People) -> None:
    enforce(people)
    limit_to(people, 10, reserved_percent=20)
    decisions = [asked(people)["decision"] for _ in range(30)]
    assert decisions == ["review"] * 8 + ["deny"] * 22
    large = [asked(people, params=TIER3)["decision"] for _ in range(3)]
    assert large == ["review", "review", "deny"]
    with as_tenant(people.tenant.pk):
        assert Review.objects.filter(tier=3, state=State.OPEN).count() == 2


def test_large_calls_leave_small_ones_their_share(people: People) -> None:
    enforce(people)
    limit_to(people, 5, reserved_percent=40)
    assert asked(people, params=TIER3)["decision"] == "review"
    assert [asked(people)["decision"] for _ in range(4)] == ["review"] * 3 + ["deny"]
    assert asked(people, params=TIER3)["decision"] == "review"


def test_an_agent_without_a_number_of_its_own_has_the_desks(people: People) -> None:
    enforce(people)
    limit_to(people, None, reviews_per_hour=3, reserved_percent=0)
    assert [asked(people)["decision"] for _ in range(4)] == ["review"] * 3 + ["deny"]
    limit_to(people, 0)
    assert asked(people, now=NOW + timedelta(hours=2))["decision"] == "deny"


def test_a_join_and_a_replay_are_never_counted(people: People) -> None:
    enforce(people)
    limit_to(people, 1, reserved_percent=0)
    key = uuid4().hex
    first = asked(people, idempotency_key=key)
    assert asked(people, idempotency_key=key)["replayed"] is True
    joined = ask(people, now=NOW, params=LARGE, repeat="join")
    assert joined["review_id"] == first["review_id"]
    assert running(people) == []


def test_a_batch_is_cut_where_the_hour_is_full(people: People) -> None:
    enforce(people)
    limit_to(people, 3, reserved_percent=0)
    calls = [(validate(EvaluateIn, call(params=LARGE)), people.agent) for _ in range(5)]
    answers: Any = intake.take(people.caller, calls, now=NOW)
    assert [answer["decision"] for answer in answers] == ["review"] * 3 + ["deny"] * 2
    assert running(people)[0].suppressed_count == 2


def test_observing_opens_nothing_and_so_floods_nothing(people: People) -> None:
    enforce_refunds(people, mode="observe")
    limit_to(people, 0)
    assert asked(people)["decision"] == "allow"
    # What the caller itself wants held is held as in enforce, and limited as there.
    assert asked(people, floor="review")["code"] == "review_rate_limited"


def test_a_flood_never_changes_the_mode(people: People) -> None:
    enforce(people)
    limit_to(people, 0)
    with as_tenant(people.tenant.pk):
        before = PolicyState.objects.values().get()
    for _ in range(20):
        asked(people)
    with as_tenant(people.tenant.pk):
        assert PolicyState.objects.values().get() == before
    assert asked(people, params=LARGE | {"amount_cents": 1})["decision"] == "allow"


def test_a_call_that_was_suppressed_is_not_counted_by_rules(people: People) -> None:
    with as_tenant(people.tenant.pk):
        Counter.objects.create(
            tenant=people.tenant, slug="refunds", scope_actions=[REFUND], key=["agent.id"], window_seconds=3600
        )
    rule = refund_rule(condition="stats.refunds > 0", tests=[])
    enforce_refunds(people, rule)
    limit_to(people, 2, reserved_percent=0)
    for _ in range(6):
        asked(people, now=datetime.now(UTC))
    with as_tenant(people.tenant.pk):
        assert CounterReservation.objects.count() == 2
    (held,) = counters.reserve(people.tenant.pk, [live.live_policy(people.tenant.pk).parts(_evaluated(people))])
    assert held.stats["refunds"] == 3  # the two that are held, and this one


def _evaluated(people: People) -> Any:
    from tests.policy.calls import a_call

    return a_call(LARGE, agent={"id": people.agent.slug}, now=datetime.now(UTC))


def test_the_entry_of_a_suppressed_call_says_so(committed_people: People) -> None:
    people = committed_people
    enforce(people)
    limit_to(people, 0)
    asked(people)
    entry = bodies(people.tenant.pk)[-1]
    assert entry["kind"] == "call.evaluated"
    assert (entry["effect"], entry["decision"], entry["code"]) == ("review", "deny", "review_rate_limited")
    assert "review" not in entry


def test_calls_that_come_at_once_cannot_all_be_the_last_one(committed_people: People) -> None:
    people = committed_people
    enforce(people)
    limit_to(people, 3, reserved_percent=0)
    caller, decisions = people.caller, []

    def one() -> None:
        try:
            request = validate(EvaluateIn, call(params=LARGE, repeat="new"))
            answer: Any = intake.take(caller, [(request, people.agent)], now=datetime.now(UTC))[0]
            decisions.append(answer["decision"])
        finally:
            connections.close_all()

    threads = [threading.Thread(target=one) for _ in range(12)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert sorted(decisions) == ["deny"] * 9 + ["review"] * 3
    assert waiting(people) == 3
    assert [flood.suppressed_count for flood in running(people)] == [9]


def test_a_flood_ends_when_it_was_calm_for_ten_minutes_and_the_next_is_another(people: People) -> None:
    enforce(people)
    limit_to(people, 0)
    asked(people)
    assert floods.end_calm(now=NOW + timedelta(minutes=9)) == 0
    assert floods.end_calm(now=NOW + timedelta(minutes=10)) == 1
    assert floods.end_calm(now=NOW + timedelta(minutes=10)) == 0
    asked(people, now=NOW + timedelta(minutes=20))
    with as_tenant(people.tenant.pk):
        assert Flood.objects.count() == 2


def test_the_queues_row_counts_what_came_what_is_grouped_and_what_nobody_saw(people: People) -> None:
    enforce(people)
    limit_to(people, 3, reserved_percent=0)
    asked(people, now=NOW - timedelta(minutes=30))
    for _ in range(4):
        asked(people)
    with as_tenant(people.tenant.pk):
        (row,) = floods.open_floods(people.tenant.pk, now=NOW)
    assert (row.slug, row.opened_count, row.grouped_count, row.suppressed_count) == ("refund-bot", 2, 2, 2)
    with as_tenant(people.other_tenant.pk):
        assert floods.open_floods(people.other_tenant.pk, now=NOW) == []
        assert not Flood.objects.exists()


# Pausing.


def pause(people: People, acting: Any = None, **changes: Any) -> Freeze:
    given: dict[str, Any] = {"code": "suspicious", "note": "Asks for the same refund.", "now": NOW} | changes
    return agents.pause_agent(acting or people.rita, given.pop("slug", "refund-bot"), **given)


def test_a_reviewer_pauses_an_agent_at_once_and_only_a_lead_resumes_it(committed_people: People) -> None:
    people = committed_people
    enforce(people)
    row = pause(people)
    answer = asked(people, params=LARGE | {"amount_cents": 1})
    assert (answer["decision"], answer["code"]) == ("deny", "policy_denied")
    with pytest.raises(PolicyForbidden):
        freezes.lift(
            people.tenant.pk, row.pk, acting=people.rita, evidence=proof(), reason="It was fine after all.", now=NOW
        )
    assert asked(people)["decision"] == "deny"
    freezes.lift(
        people.tenant.pk,
        row.pk,
        acting=people.lena,
        evidence=proof(),
        reason="It was fine after all.",
        now=datetime.now(UTC),
    )
    assert asked(people)["decision"] == "review"
    entry = next(body for body in bodies(people.tenant.pk) if body["kind"] == "freeze.set")
    assert (entry["pause"], entry["code"], entry["scope"], entry["target"]) == (
        True,
        "suspicious",
        "agent",
        "refund-bot",
    )
    assert entry["actor"]["id"] == str(people.rita.pk)


@pytest.mark.parametrize("who", ["otto", "devi", "nia"])
def test_who_does_not_decide_does_not_pause(people: People, who: str) -> None:
    with pytest.raises(NotFound if who == "nia" else PolicyForbidden):
        pause(people, getattr(people, who))
    with as_tenant(people.tenant.pk):
        assert not Freeze.objects.exists()


def test_a_reviewer_freezes_nothing_larger_than_one_agent(people: People) -> None:
    for scope, target in (("tenant", ""), ("action", "*"), ("agent", "refund-bot")):
        with pytest.raises(PolicyForbidden):
            freezes.freeze(
                people.tenant.pk, acting=people.rita, scope=scope, target=target, reason="Stop it all now.", now=NOW
            )
    with pytest.raises(NotFound):
        pause(people, slug="*")


@pytest.mark.parametrize(
    ("changes", "field"),
    [({"code": "because"}, "code"), ({"code": "other", "note": ""}, "note"), ({"note": "x" * 201}, "note")],
)
def test_a_pause_without_a_reason_is_refused(people: People, changes: dict[str, str], field: str) -> None:
    with pytest.raises(InvalidPause) as refusal:
        pause(people, **changes)
    assert field in refusal.value.details["errors"]  # type: ignore[operator]  # a dict


def test_the_second_pause_says_that_it_is_paused(people: People) -> None:
    pause(people, note="")
    with pytest.raises(AgentPausedAlready):
        pause(people, people.lena)
    with as_tenant(people.tenant.pk):
        assert Freeze.objects.get().reason == "Paused: suspicious calls."


def test_the_page_shows_the_agents_and_pauses_one_with_a_code_alone(people: People) -> None:
    enforce(people)
    limit_to(people, 1, reserved_percent=0)
    now = datetime.now(UTC)
    asked(people, now=now)
    asked(people, now=now)
    rita: Any = signed_in(people.rita)
    page = text_of(rita.get("/agents/"))
    assert "1 opened, 0 approved, 0 denied" in page
    assert "1 call was denied unseen." in page
    url = "/agents/refund-bot/pause/"
    assert rita.get(url).status_code == 200
    refused = rita.post(url, {})
    assert (refused.status_code, "Choose a reason." in text_of(refused)) == (422, True)
    with as_tenant(people.tenant.pk):
        assert not Freeze.objects.exists()
    done = rita.post(url, {"code": "flood", "note": ""}, follow=True)
    assert "Paused. Every call of refund-bot is denied within 5 seconds." in text_of(done)
    assert "A lead can resume it." in text_of(done)
    assert rita.post(url, {"code": "flood"}).status_code == 409
    lena: Any = signed_in(people.lena)
    assert "/lift/" in lena.get("/agents/").content.decode()


def test_an_agent_was_last_seen_when_the_log_last_heard_of_it(committed_people: People) -> None:
    people = committed_people
    rita: Any = signed_in(people.rita)
    assert "No call on record" in text_of(rita.get("/agents/"))
    enforce_refunds(people)
    start = datetime.now(UTC)
    assert asked(people, params=SMALL)["decision"] == "allow"  # no review knows of it
    [called_at] = [call.decided_at for call in recorded_calls(people.tenant.pk, limit=9)]

    def seen_at(*, key_used_at: datetime | None) -> datetime | None:
        with as_tenant(people.tenant.pk):
            ApiKey.objects.update(last_used_at=key_used_at)
            (row,) = agents.agent_rows(people.tenant.pk, now=NOW)
        return row.last_seen_at

    assert start <= called_at
    assert seen_at(key_used_at=None) == seen_at(key_used_at=start) == called_at
    assert seen_at(key_used_at=called_at + timedelta(minutes=1)) == called_at + timedelta(minutes=1)
    # Who acts under the same id and is no agent was not the agent.
    with as_tenant(people.tenant.pk):
        Agent.objects.filter(pk=people.agent.pk).update(slug=str(people.rita.pk))
        record(people.tenant.pk, EntryDraft("desk.changed", {}, Actor("member", str(people.rita.pk))))
    assert seen_at(key_used_at=None) is None


def test_another_tenants_agent_is_not_there(people: People) -> None:
    nia: Any = signed_in(people.nia)
    assert "refund-bot" not in text_of(nia.get("/agents/"))
    for method in (nia.get, nia.post):
        assert method("/agents/refund-bot/pause/", {"code": "flood"}).status_code == 404
    assert Client().post("/agents/refund-bot/pause/", {"code": "flood"}).status_code == 401
    with as_tenant(people.tenant.pk):
        assert not Freeze.objects.exists()
