"""What time does to a review: it is handed on when it is overdue and denied at the end, and never approved."""

from __future__ import annotations

import threading
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest
from django.db import connections
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from audit.scope import as_tenant
from policy import drafts, lists
from policy.models import Calendar, Rule
from reviews import claims, escalation
from reviews.models import Escalation, Grant, ResumeDelivery, Review, Verdict
from reviews.states import State
from tests.factories import LARGE, enforce_refunds, get, held_review, refund_rule
from tests.people import People
from tests.policy.test_admin import signed_in
from tests.reviews.chain import bodies

RULE: dict[str, Any] = {
    "team": "finance",
    "escalate_to": "leads",
    "due_in_seconds": 600,
    "expires_in_seconds": 7200,
}


def overdue_review(people: People, **members: Any) -> Review:
    """A review that was due five minutes ago."""
    return held_review(people, now=datetime.now(UTC) - timedelta(minutes=15), **members)


def steps(people: People) -> list[Escalation]:
    with as_tenant(people.tenant.pk):
        return list(Escalation.objects.all())


def test_what_the_rule_says_is_frozen_on_the_review(people: People) -> None:
    rule = refund_rule(**RULE, quorum=3, suggest={"params.amount_cents": 50_000}, tier=2)
    enforce_refunds(people, rule)
    review = held_review(people)
    assert (review.team, review.escalate_to, review.approvals_needed) == ("finance", "leads", 3)
    assert review.suggestions == [{"pointer": "/amount_cents", "value": 50_000, "rule": rule.name}]
    assert review.due_at - review.created_at == timedelta(minutes=10)
    assert review.expires_at - review.created_at == timedelta(hours=2)


def test_tier_4_needs_two_whatever_the_rule_says(people: People) -> None:
    enforce_refunds(people, refund_rule(tier=4, quorum=1))
    assert held_review(people).approvals_needed == 2


def test_the_longest_team_id_fits(people: People) -> None:
    enforce_refunds(people, refund_rule(team="t" * 60, escalate_to="e" * 60))
    review = held_review(people)
    assert (review.team, review.escalate_to) == ("t" * 60, "e" * 60)


def test_deadlines_run_in_the_hours_of_the_rules_calendar(people: People) -> None:
    office = Calendar(
        slug="office", time_zone="Europe/Paris", hours={"fri": [["09:00", "17:00"]], "mon": [["09:00", "17:00"]]}
    )
    lists.save_calendar(people.tenant.pk, acting=people.adam, row=office)
    enforce_refunds(people, refund_rule(**RULE, calendar="office"))
    friday_evening = datetime(2026, 11, 20, 15, 55, tzinfo=UTC)  # 16:55 in Paris
    review = held_review(people, now=friday_evening)
    assert review.due_at == datetime(2026, 11, 23, 8, 5, tzinfo=UTC)
    assert review.expires_at == datetime(2026, 11, 23, 9, 55, tzinfo=UTC)


def test_a_desk_that_is_closed_denies_at_once(people: People) -> None:
    from tests.factories import ask

    office = Calendar(slug="office", time_zone="UTC", hours={"fri": [["09:00", "17:00"]]})
    lists.save_calendar(people.tenant.pk, acting=people.adam, row=office)
    enforce_refunds(people, refund_rule(**RULE, calendar="office", out_of_hours="deny"))
    closed: Any = ask(people, now=datetime(2026, 11, 21, 12, tzinfo=UTC), params=LARGE)
    assert (closed["decision"], closed["code"], closed["review_id"]) == ("deny", "policy_denied", None)
    assert "Nobody decides outside working hours" in closed["message"]
    opened: Any = ask(people, now=datetime(2026, 11, 20, 12, tzinfo=UTC), params=LARGE)
    assert opened["decision"] == "review"


def test_an_overdue_review_goes_to_the_team_that_its_rule_names_once(committed_people: People) -> None:
    people = committed_people
    enforce_refunds(people, refund_rule(**RULE))
    review = overdue_review(people)
    fresh = held_review(people)
    now = datetime.now(UTC)
    assert escalation.escalate_due(now=now) == 1
    assert escalation.escalate_due(now=now) == 0
    again = get(people, review.wire_id)
    assert (again.team, again.breached, again.state, again.escalated_at) == ("leads", True, State.OPEN, now)
    # A verdict on the card that somebody reads stays good.
    assert again.version == review.version
    assert get(people, fresh.wire_id).team == "finance"
    (step,) = steps(people)
    assert (step.code, step.from_team, step.to_team, step.by_id) == ("overdue", "finance", "leads", None)
    (entry,) = [body for body in bodies(people.tenant.pk) if body["kind"] == "review.escalated"]
    assert (entry["to_team"], entry["from_team"], entry["code"]) == ("leads", "finance", "overdue")
    assert entry["actor"] == {"type": "system", "id": "clock"}
    page: Any = signed_in(people.otto).get("/audit/")
    assert "handed the review of billing.refund to team leads: overdue." in page.content.decode()


def test_an_overdue_review_without_a_team_to_go_to_is_breached_and_stays(people: People) -> None:
    enforce_refunds(people, refund_rule(**RULE | {"escalate_to": ""}))
    review = overdue_review(people)
    assert escalation.escalate_due(now=datetime.now(UTC)) == 0
    again = get(people, review.wire_id)
    assert (again.breached, again.team, again.escalated_at) == (True, "finance", None)


def test_work_in_hand_is_not_taken_away_and_is_handed_on_when_the_claim_ends(people: People) -> None:
    enforce_refunds(people, refund_rule(**RULE))
    review = overdue_review(people)
    now = datetime.now(UTC)
    claims.claim(review.wire_id, acting_member=people.rita, now=now)
    assert escalation.escalate_due(now=now) == 0
    held = get(people, review.wire_id)
    assert (held.team, held.breached) == ("finance", True)
    claims.release(review.wire_id, acting_member=people.rita, now=now)
    assert escalation.escalate_due(now=now) == 1
    assert get(people, review.wire_id).team == "leads"


def test_copies_of_a_call_go_along(people: People) -> None:
    enforce_refunds(people, refund_rule(**RULE))
    first, copy = (overdue_review(people, run_id="run_7") for _ in range(2))
    assert copy.copy_of_id == first.pk
    assert escalation.escalate_due(now=datetime.now(UTC)) == 1
    assert get(people, copy.wire_id).team == "leads"
    assert get(people, copy.wire_id).breached is True
    assert len(steps(people)) == 1


def test_a_review_that_ran_out_is_denied_and_not_handed_on(people: People) -> None:
    enforce_refunds(people, refund_rule(**RULE))
    review = held_review(people, now=datetime.now(UTC) - timedelta(hours=3))
    assert escalation.escalate_due(now=datetime.now(UTC)) == 0
    assert escalation.expire_due(now=datetime.now(UTC)) == 1
    assert get(people, review.wire_id).state == State.EXPIRED
    assert steps(people) == []


def test_another_tenants_clock_is_its_own(people: People) -> None:
    enforce_refunds(people, refund_rule(**RULE))
    overdue_review(people)
    escalation.escalate_due(now=datetime.now(UTC))
    with as_tenant(people.other_tenant.pk):
        assert not Escalation.objects.exists()
        assert not Review.objects.exists()


def test_two_sweeps_at_once_hand_a_review_on_once(committed_people: People) -> None:
    people = committed_people
    enforce_refunds(people, refund_rule(**RULE))
    for number in range(6):
        overdue_review(people, run_id=f"run_{number}")
    now, counts = datetime.now(UTC), []

    def sweep() -> None:
        try:
            counts.append(escalation.escalate_due(now=now))
        finally:
            connections.close_all()

    threads = [threading.Thread(target=sweep) for _ in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    escalation.escalate_due(now=now)
    assert len(steps(people)) == 6
    assert len({step.review_id for step in steps(people)}) == 6


_seconds = st.none() | st.integers(1, 10**6)


@given(
    tier=st.integers(1, 4),
    quorum=st.integers(1, 5),
    due=_seconds,
    expires=_seconds,
    escalate_to=st.sampled_from(["", "leads"]),
    out_of_hours=st.sampled_from(Rule.OutOfHours.values),
    calendar=st.sampled_from(["", "office"]),
    on_error=st.sampled_from(Rule.OnError.values),
    hold=st.integers(0, 60),
)
@settings(max_examples=25, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@pytest.mark.usefixtures("db")
def test_no_setting_approves_by_time_out(people: People, **given_fields: Any) -> None:
    fields = {
        "tier": given_fields["tier"],
        "quorum": given_fields["quorum"],
        "due_in_seconds": given_fields["due"],
        "expires_in_seconds": given_fields["expires"],
        "escalate_to": given_fields["escalate_to"],
        "calendar": given_fields["calendar"],
        "out_of_hours": given_fields["out_of_hours"] if given_fields["calendar"] else "wait",
        "on_error": given_fields["on_error"],
        "hold_seconds": given_fields["hold"],
    }
    received = datetime(2025, 11, 21, 12, tzinfo=UTC)  # a Friday noon, long ago
    tenant = people.tenant.pk
    with as_tenant(tenant):
        if not Rule.objects.exists():
            always = Calendar(slug="office", time_zone="UTC", hours={"fri": [["00:00", "24:00"]]})
            lists.save_calendar(tenant, acting=people.adam, row=always)
            enforce_refunds(people, refund_rule(**fields))
        else:
            rule = Rule.objects.get()
            for name, value in fields.items():
                setattr(rule, name, value)
            drafts.save_rule(tenant, acting=people.adam, rule=rule)
            _publish(people)
        review = held_review(people, now=received)
        Review.objects.exclude(pk=review.pk).filter(state=State.OPEN).update(state=State.CANCELLED)
    end = max(review.expires_at, datetime.now(UTC)) + timedelta(seconds=1)
    escalation._escalate_tenant(tenant, now=review.due_at, limit=10)
    escalation._expire_tenant(tenant, now=end, limit=10)
    again = get(people, review.wire_id)
    assert again.state == State.EXPIRED
    assert again.wire_state_at(end) == "expired"
    with as_tenant(tenant):
        assert not Verdict.objects.exists()
        assert not Grant.objects.exists()
        assert list(ResumeDelivery.objects.filter(review=review).values_list("cause", flat=True)) == ["expired"]


def _publish(people: People) -> None:
    from policy import live, revisions
    from policy.errors import NotPublishable
    from tests.people import proof

    try:
        revisions.publish(people.tenant.pk, acting=people.adam, reason="Another example.", evidence=proof())
    except NotPublishable as error:
        assert "Nothing differs" in str(error)  # noqa: PT017  # the same example twice
    live.forget(people.tenant.pk)
