"""Two people for one call: different ones, blind to each other, one denial ends it."""

from __future__ import annotations

import threading
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest
from django.db import connections

from audit.errors import DomainError
from audit.scope import as_tenant
from reviews import answers, claims, escalation, reading, verdicts
from reviews.choices import Choice
from reviews.errors import AlreadyDecided, AlreadyGiven, OwnRequest, UndoTooLate
from reviews.models import Grant, ResumeDelivery, Review, Verdict
from tests.factories import decide, get, held_review
from tests.people import People
from tests.reviews.chain import bodies
from tests.reviews.severe import SEVERE, severe_choice, severe_desk

NOW = datetime(2026, 11, 20, 12, 0, tzinfo=UTC)


@pytest.fixture
def severe(people: People) -> Review:
    """A refund at tier 4."""
    severe_desk(people, tier=4, hold_seconds=30)
    return held_review(people, now=NOW, params=SEVERE)


def approve(people: People, review: Review, who: str, **changes: Any) -> Verdict:
    fields = {"now": NOW, "choice": severe_choice(), "acting_member": getattr(people, who)} | changes
    return decide(people, review, **fields)


def columns(review: Review) -> dict[str, Any]:
    """The row of the review, as the database has it."""
    with as_tenant(review.tenant_id):
        return dict(Review.objects.filter(pk=review.pk).values().get())


def test_a_first_approval_changes_no_column_of_the_review(people: People, severe: Review) -> None:
    before = columns(severe)
    approve(people, severe, "rita")
    assert columns(severe) == before
    with as_tenant(people.tenant.pk):
        assert not Grant.objects.exists()
        assert not ResumeDelivery.objects.exists()


def test_the_agent_hears_the_same_before_and_after_a_first_approval(people: People, severe: Review) -> None:
    def heard() -> dict[str, Any]:
        return reading.read_reviews(people.caller, [severe.wire_id], now=NOW + timedelta(seconds=1))[0]

    before = heard()
    approve(people, severe, "rita")
    assert heard() == before
    assert (before["state"], before["grant"], before["verdict"]) == ("pending", None, None)


def test_the_second_approval_releases_at_once_with_one_grant(people: People, severe: Review) -> None:
    first = approve(people, severe, "rita")
    second = approve(people, severe, "lena")
    assert (first.slot, second.slot) == (1, 2)
    after = get(people, severe.wire_id)
    assert (after.wire_state_at(NOW), after.release_at, after.version) == ("approved", NOW, severe.version + 1)
    with as_tenant(people.tenant.pk):
        assert Grant.objects.get(review=severe).verdict_id == second.pk
        assert ResumeDelivery.objects.get(review=severe).verdict_id == second.pk


@pytest.mark.parametrize("approvals_before", [0, 1])
def test_one_denial_ends_it_also_after_an_approval(people: People, severe: Review, approvals_before: int) -> None:
    if approvals_before:
        approve(people, severe, "rita")
    decide(people, severe, "deny", now=NOW, acting_member=people.lena)
    after = get(people, severe.wire_id)
    assert after.wire_state_at(NOW) == "denied"
    assert after.verdict is not None
    assert after.verdict.kind == "deny"
    with pytest.raises(AlreadyDecided):
        approve(people, severe, "adam")


@pytest.mark.parametrize("via", ["web", "bulk"])
@pytest.mark.parametrize("kind", ["approve", "deny"])
def test_one_person_never_gives_both(people: People, severe: Review, via: str, kind: str) -> None:
    approve(people, severe, "rita")
    choice = severe_choice() if kind == "approve" else Choice(kind="deny", code="suspicious")
    with pytest.raises(AlreadyGiven):
        decide(people, severe, now=NOW, choice=choice, via=via)
    assert get(people, severe.wire_id).state == "open"


def test_the_agents_owner_is_no_second_person(people: People, severe: Review) -> None:
    with as_tenant(people.tenant.pk):
        people.agent.owner = people.lena
        people.agent.save(update_fields=["owner"])
    approve(people, severe, "rita")
    for via in ("web", "bulk"):
        with pytest.raises(OwnRequest):
            approve(people, severe, "lena", via=via)


def test_each_of_the_two_climbs_the_whole_ladder(people: People, severe: Review) -> None:
    approve(people, severe, "rita")
    left_out: list[dict[str, Any]] = [{"typed": ""}, {"seen": frozenset()}, {"note": ""}]
    for change in left_out:
        with pytest.raises(DomainError):
            approve(people, severe, "lena", choice=severe_choice(**change))
    with pytest.raises(DomainError):
        approve(people, severe, "lena", evidence=None)
    assert approve(people, severe, "lena")


def test_the_first_takes_it_back_while_nobody_else_has_decided(people: People, severe: Review) -> None:
    approve(people, severe, "rita")
    before = columns(severe)
    for other in (people.lena, people.adam):
        with pytest.raises(UndoTooLate):
            verdicts.undo(severe.wire_id, acting_member=other, now=NOW + timedelta(hours=1))
    verdicts.undo(severe.wire_id, acting_member=people.rita, now=NOW + timedelta(minutes=30))
    assert columns(severe) == before
    approve(people, severe, "lena")
    assert get(people, severe.wire_id).state == "open"
    approve(people, severe, "rita")
    assert get(people, severe.wire_id).wire_state_at(NOW) == "approved"


def test_nothing_is_taken_back_once_the_second_has_decided(people: People, severe: Review) -> None:
    approve(people, severe, "rita")
    approve(people, severe, "lena")
    for member in (people.rita, people.lena):
        with pytest.raises(UndoTooLate):
            verdicts.undo(severe.wire_id, acting_member=member, now=NOW)


def test_a_first_approval_gives_the_claim_back_and_another_may_take_it(people: People, severe: Review) -> None:
    claims.claim(severe.wire_id, acting_member=people.rita, now=NOW)
    approve(people, severe, "rita")
    assert claims.claim(severe.wire_id, acting_member=people.lena, now=NOW).claimed_by_id == people.lena.pk


def test_time_that_runs_out_on_a_first_approval_denies_and_tells_nobody_of_it(people: People, severe: Review) -> None:
    approve(people, severe, "rita")
    late = severe.expires_at + timedelta(seconds=1)
    escalation.expire_due(now=late)
    after = get(people, severe.wire_id)
    assert (after.wire_state_at(late), after.verdict) == ("expired", None)
    told = answers.reviewed(after, now=late)
    assert (told["state"], told["verdict"], told["grant"]) == ("expired", None, None)
    with as_tenant(people.tenant.pk):
        assert not Grant.objects.exists()


def test_a_quorum_of_three_wants_three_people(people: People, severe: Review) -> None:
    with as_tenant(people.tenant.pk):
        Review.objects.filter(pk=severe.pk).update(approvals_needed=3)
    for who in ("rita", "lena"):
        approve(people, severe, who)
        assert get(people, severe.wire_id).state == "open"
    assert approve(people, severe, "adam").slot == 3
    assert get(people, severe.wire_id).wire_state_at(NOW) == "approved"


def test_the_entries_say_which_approval_was_which(committed_people: People) -> None:
    people = committed_people
    severe_desk(people, tier=4)
    review = held_review(people, now=NOW, params=SEVERE)
    approve(people, review, "rita")
    approve(people, review, "lena")
    entries = [body for body in bodies(people.tenant.pk) if body["kind"] == "review.decided"]
    assert [(entry["slot"], entry["approvals_needed"], entry["final"]) for entry in entries] == [
        (1, 2, False),
        (2, 2, True),
    ]
    assert ["grant" in entry for entry in entries] == [False, True]
    assert {entry["actor"]["id"] for entry in entries} == {str(people.rita.pk), str(people.lena.pk)}


def test_two_approve_at_the_same_moment_and_both_count_once(committed_people: People) -> None:
    people = committed_people
    severe_desk(people, tier=4)
    rounds = 20
    reviews = [held_review(people, params=SEVERE, run_id=f"run_{number}") for number in range(rounds)]
    barrier = threading.Barrier(2)
    failures: list[Exception] = []

    def approve_all(who: str) -> None:
        try:
            for review in reviews:
                barrier.wait(timeout=30)
                approve(people, review, who, now=datetime.now(UTC))
        except Exception as error:
            failures.append(error)
        finally:
            connections.close_all()

    threads = [threading.Thread(target=approve_all, args=(who,)) for who in ("rita", "lena")]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(timeout=120)
    assert not failures
    with as_tenant(people.tenant.pk):
        assert Grant.objects.count() == rounds
        assert Verdict.objects.filter(slot=1).count() == Verdict.objects.filter(slot=2).count() == rounds
