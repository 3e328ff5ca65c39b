"""Verdicts: one per review, by somebody else than the requester, on what was shown, in time."""

from __future__ import annotations

import threading
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest
from django.core.exceptions import PermissionDenied
from django.db import connections

from audit.errors import DomainError
from audit.scope import as_tenant
from reviews import claims, executions, verdicts
from reviews.errors import (
    AlreadyDecided,
    ClaimedByOther,
    Expired,
    GrantExpired,
    InvalidVerdict,
    NotFound,
    OwnRequest,
    Stale,
    UndoTooLate,
)
from reviews.models import Grant, ResumeDelivery, Review, Verdict
from tests import factories
from tests.factories import decide, enforce_refunds, held_review, refund_rule
from tests.people import People

NOW = datetime(2026, 11, 20, 12, 0, tzinfo=UTC)


def test_an_approval_gives_one_grant_and_one_delivery_in_the_same_transaction(people: People) -> None:
    enforce_refunds(people)
    review = held_review(people, now=NOW)
    verdict = decide(people, review, now=NOW)
    with as_tenant(people.tenant.pk):
        grant = Grant.objects.get(review=review)
        delivery = ResumeDelivery.objects.get(review=review)
    assert (grant.verdict_id, grant.call_digest) == (verdict.pk, review.call_digest)
    assert (delivery.verdict_id, delivery.due_at) == (verdict.pk, NOW)
    assert factories.get(people, review.wire_id).wire_state_at(NOW) == "approved"


def test_a_denial_gives_no_grant(people: People) -> None:
    enforce_refunds(people)
    review = held_review(people, now=NOW)
    decide(people, review, "deny", now=NOW)
    with as_tenant(people.tenant.pk):
        assert not Grant.objects.filter(review=review).exists()
    assert factories.get(people, review.wire_id).wire_state_at(NOW) == "denied"


def test_second_verdict_is_refused(people: People) -> None:
    enforce_refunds(people)
    review = held_review(people, now=NOW)
    decide(people, review, now=NOW)
    with pytest.raises(AlreadyDecided):
        decide(people, review, "deny", now=NOW, acting_member=people.lena)
    with as_tenant(people.tenant.pk):
        assert Verdict.objects.filter(review=review).count() == 1


def test_two_threads_decide_one_review_and_one_verdict_counts_200_times(committed_people: People) -> None:
    people = committed_people
    enforce_refunds(people)
    rounds = 200
    reviews = [held_review(people, run_id=f"run_{number}") for number in range(rounds)]
    barrier = threading.Barrier(2)
    results: dict[str, list[object]] = {"rita": [], "lena": []}

    def decide_all(name: str, kind: str) -> None:
        member = getattr(people, name)
        try:
            for review in reviews:
                barrier.wait(timeout=30)
                try:
                    results[name].append(decide(people, review, kind, acting_member=member))
                except DomainError as error:
                    results[name].append(error)
        finally:
            connections.close_all()

    threads = [
        threading.Thread(target=decide_all, args=arguments) for arguments in (("rita", "approve"), ("lena", "deny"))
    ]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(timeout=120)
    assert [len(results["rita"]), len(results["lena"])] == [rounds, rounds]
    for pair in zip(results["rita"], results["lena"], strict=True):
        assert sorted(type(result).__name__ for result in pair) == ["AlreadyDecided", "Verdict"]
    with as_tenant(people.tenant.pk):
        assert Verdict.objects.count() == rounds
        assert Grant.objects.count() == Verdict.objects.filter(kind="approve").count()


@pytest.mark.parametrize("change", [{"seen_version": 7}, {"seen_digest": "0" * 64}])
def test_a_verdict_on_something_else_than_what_is_there_is_stale(people: People, change: dict[str, Any]) -> None:
    enforce_refunds(people)
    review = held_review(people, now=NOW)
    with pytest.raises(Stale):
        decide(people, review, now=NOW, **change)
    assert decide(people, review, now=NOW)


def test_an_expired_review_takes_no_verdict_even_with_every_worker_stopped(people: People) -> None:
    enforce_refunds(people, refund_rule(expires_in_seconds=60))
    review = held_review(people, now=NOW)
    with pytest.raises(Expired):
        decide(people, review, now=NOW + timedelta(seconds=60))
    assert factories.get(people, review.wire_id).wire_state_at(NOW + timedelta(seconds=60)) == "expired"
    assert decide(people, review, now=NOW + timedelta(seconds=59))


def test_nobody_decides_what_another_holds(people: People) -> None:
    enforce_refunds(people)
    review = held_review(people, now=NOW)
    claims.claim(review.wire_id, acting_member=people.lena, now=NOW)
    with pytest.raises(ClaimedByOther):
        decide(people, review, now=NOW)
    assert decide(people, review, now=NOW + claims.LEASE_WITHOUT_SCRIPT)


def test_the_agents_owner_and_the_requester_never_decide(people: People) -> None:
    enforce_refunds(people)
    with as_tenant(people.tenant.pk):
        people.agent.owner = people.rita
        people.agent.save(update_fields=["owner"])
    review = held_review(people, now=NOW)
    with pytest.raises(OwnRequest):
        decide(people, review, now=NOW)
    asked_by_lena = held_review(people, now=NOW, user_context={"email": "Lena@demo.example"})
    with pytest.raises(OwnRequest):
        decide(people, asked_by_lena, now=NOW, acting_member=people.lena)
    assert decide(people, review, now=NOW, acting_member=people.lena)


def test_an_auditor_and_a_developer_decide_nothing(people: People) -> None:
    enforce_refunds(people)
    review = held_review(people, now=NOW)
    for member in (people.otto, people.devi):
        with pytest.raises(PermissionDenied):
            decide(people, review, now=NOW, acting_member=member)


def test_another_tenants_review_is_absent(people: People) -> None:
    enforce_refunds(people)
    review = held_review(people, now=NOW)
    with pytest.raises(NotFound):
        decide(people, review, now=NOW, acting_member=people.nia)


@pytest.mark.parametrize(
    ("kind", "code", "field"),
    [("approve", "", "code"), ("approve", "wrong_amount", "code"), ("deny", "looks_right", "code")],
)
def test_a_verdict_without_a_fitting_reason_names_the_field(people: People, kind: str, code: str, field: str) -> None:
    enforce_refunds(people)
    review = held_review(people, now=NOW)
    with pytest.raises(InvalidVerdict) as refused:
        decide(people, review, now=NOW, choice=verdicts.Choice(kind=kind, code=code))
    assert field in refused.value.details["errors"]  # type: ignore[operator]


def test_undo_within_the_hold_voids_the_grant_and_cancels_the_delivery(people: People) -> None:
    enforce_refunds(people, refund_rule(hold_seconds=10))
    review = held_review(people, now=NOW)
    decide(people, review, now=NOW)
    assert factories.get(people, review.wire_id).wire_state_at(NOW + timedelta(seconds=9)) == "pending"
    undone = verdicts.undo(review.wire_id, acting_member=people.rita, now=NOW + timedelta(seconds=8))
    assert undone.state == "open"
    with as_tenant(people.tenant.pk):
        assert Grant.objects.get(review=review).voided_at is not None
        assert ResumeDelivery.objects.get(review=review).state == "cancelled"
    again = factories.get(people, review.wire_id)
    assert decide(people, again, "deny", now=NOW + timedelta(seconds=20))


@pytest.mark.parametrize("seconds", [9.5, 10, 60])
def test_undo_ends_a_second_before_the_release(people: People, seconds: float) -> None:
    enforce_refunds(people, refund_rule(hold_seconds=10))
    review = held_review(people, now=NOW)
    decide(people, review, now=NOW)
    with pytest.raises(UndoTooLate):
        verdicts.undo(review.wire_id, acting_member=people.rita, now=NOW + timedelta(seconds=seconds))


def test_a_colleague_who_is_no_lead_cannot_undo(people: People) -> None:
    enforce_refunds(people, refund_rule(hold_seconds=10))
    review = held_review(people, now=NOW)
    decide(people, review, now=NOW, acting_member=people.lena)
    with pytest.raises(UndoTooLate):
        verdicts.undo(review.wire_id, acting_member=people.rita, now=NOW)


def test_a_grant_cannot_be_spent_while_the_verdict_is_on_hold_or_after_it_was_undone(people: People) -> None:
    enforce_refunds(people, refund_rule(hold_seconds=10))
    review = held_review(people, now=NOW)
    decide(people, review, now=NOW)
    with as_tenant(people.tenant.pk):
        grant = Grant.objects.get(review=review)

    def spend(at: datetime) -> object:
        return executions.start(
            people.caller, grant_id=grant.wire_id, params=factories.LARGE, idempotency_key="k", now=at
        )

    with pytest.raises(GrantExpired):
        spend(NOW + timedelta(seconds=9))
    verdicts.undo(review.wire_id, acting_member=people.rita, now=NOW + timedelta(seconds=5))
    with pytest.raises(GrantExpired):
        spend(NOW + timedelta(seconds=11))


def test_a_near_deadline_shortens_the_hold(people: People) -> None:
    enforce_refunds(people, refund_rule(hold_seconds=60, expires_in_seconds=120))
    review = held_review(people, now=NOW)
    verdict = decide(people, review, now=NOW + timedelta(seconds=100))
    assert verdict.release_at == NOW + timedelta(seconds=120)


def test_tier_three_wants_words_for_an_approval_and_not_for_a_denial(people: People) -> None:
    enforce_refunds(people, refund_rule(tier=3))
    review = held_review(people, now=NOW)
    with pytest.raises(InvalidVerdict) as refused:
        decide(people, review, now=NOW, choice=verdicts.Choice(kind="approve", code="looks_right", note="ok"))
    assert "note" in refused.value.details["errors"]  # type: ignore[operator]
    assert decide(people, review, now=NOW, choice=verdicts.Choice(kind="deny", code="suspicious"))


def test_a_lost_commit_leaves_no_part_of_a_verdict(people: People) -> None:
    enforce_refunds(people)
    review = held_review(people, now=NOW)

    def decide_and_fail() -> None:
        with as_tenant(people.tenant.pk):
            decide(people, review, now=NOW)
            raise RuntimeError

    with pytest.raises(RuntimeError):
        decide_and_fail()
    with as_tenant(people.tenant.pk):
        assert Review.objects.get(pk=review.pk).state == "open"
        assert not Verdict.objects.filter(review=review).exists()
