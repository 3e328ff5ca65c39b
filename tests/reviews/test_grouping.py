"""Copies of a waiting call: one row, one verdict, one run."""

from __future__ import annotations

from concurrent.futures import ThreadPoolExecutor
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest
from django.db import connections

from audit.scope import as_tenant
from reviews import callers, escalation, intake, queue_rows, verdicts
from reviews.answers import reviewed
from reviews.errors import InvalidVerdict
from reviews.models import Grant, ResumeDelivery, Review, Verdict
from reviews.routing import reach_of
from reviews.wire import EvaluateIn, validate
from tests.factories import LARGE, call, decide, enforce_refunds, get, held_review, refund_rule
from tests.people import People
from tests.reviews.chain import bodies
from tests.reviews.test_pages import client_of

RUN = "run_copies"


def copies(people: People, number: int, **members: Any) -> list[Review]:
    """The same call asked for so often in one run; oldest first."""
    return [held_review(people, **{"run_id": RUN} | members) for _ in range(number)]


def usable_grants(people: People) -> int:
    """How many calls may run."""
    with as_tenant(people.tenant.pk):
        return Grant.objects.filter(voided_at=None).count()


def test_three_waiting_copies_are_one_row_and_one_approval_is_one_run(people: People) -> None:
    enforce_refunds(people)
    leader, second, third = copies(people, 3)
    assert (leader.copy_of_id, second.copy_of_id, third.copy_of_id) == (None, leader.pk, leader.pk)
    page = client_of(people.rita).get("/reviews/")
    (row,) = page.context["rows"]
    assert (row.review, row.same, row.waits) == (leader, 3, 3)
    assert "same call ×3, 3 still waiting" in page.content.decode()
    decide(people, leader)
    assert usable_grants(people) == 1
    for copy in (second, third):
        after = get(people, copy.wire_id)
        assert (after.state, after.duplicate_of_id) == ("superseded", leader.pk)
        told = reviewed(after, now=datetime.now(UTC) + timedelta(seconds=1))
        assert (told["state"], told["duplicate_of"], told["grant"]) == ("superseded", leader.wire_id, None)
    assert client_of(people.rita).get("/reviews/").context["rows"] == []


def test_items_of_one_batch_are_copies_too(people: People) -> None:
    enforce_refunds(people)
    requests = [(validate(EvaluateIn, call(params=LARGE, run_id=RUN)), people.agent) for _ in range(3)]
    answers: list[Any] = intake.take(people.caller, requests, now=datetime.now(UTC))
    leader, *others = sorted((get(people, answer["review_id"]) for answer in answers), key=lambda review: review.pk)
    assert leader.copy_of is None
    assert {other.copy_of_id for other in others} == {leader.pk}


@pytest.mark.parametrize(
    "other",
    [
        {"run_id": "another"},
        {"params": LARGE | {"amount_cents": 62001}},
        {"user_context": {"user_id": "u_10", "plan": "pro"}},
    ],
)
def test_another_run_or_another_call_is_no_copy(people: People, other: dict[str, Any]) -> None:
    enforce_refunds(people)
    copies(people, 1)
    assert copies(people, 1, **other)[0].copy_of is None


def test_calls_without_a_run_are_not_grouped(people: People) -> None:
    enforce_refunds(people)
    assert [review.copy_of for review in copies(people, 2, run_id=None)] == [None, None]


def test_a_copy_with_more_friction_stands_for_itself(people: People) -> None:
    enforce_refunds(people)
    (easy,) = copies(people, 1)
    with as_tenant(people.tenant.pk):
        Review.objects.filter(pk=easy.pk).update(tier=1)
    (stricter,) = copies(people, 1)
    assert (stricter.tier, stricter.copy_of_id) == (2, None)


def test_a_raised_count_lets_so_many_run_each_with_its_own_verdict_entry_and_grant(committed_people: People) -> None:
    people = committed_people
    enforce_refunds(people)
    leader, second, third, fourth = copies(people, 4)
    verdict = decide(people, leader, count=3)
    assert usable_grants(people) == 3
    with as_tenant(people.tenant.pk):
        given = list(Verdict.objects.order_by("review_id"))
        assert [one.review_id for one in given] == [leader.pk, second.pk, third.pk]
        assert {(one.member, one.code, one.note) for one in given} == {(people.rita, verdict.code, verdict.note)}
        assert [one.via for one in given] == ["web", "copy", "copy"]
        assert ResumeDelivery.objects.filter(cause="superseded").get().review == fourth
    entries = [body for body in bodies(people.tenant.pk) if body["kind"] in ("review.decided", "review.superseded")]
    assert {body["review"]["id"] for body in entries} == {one.wire_id for one in (leader, second, third, fourth)}
    assert get(people, fourth.wire_id).state == "superseded"


@pytest.mark.parametrize("count", [0, -1, 4])
def test_a_count_that_does_not_fit_is_refused_and_decides_nothing(people: People, count: int) -> None:
    enforce_refunds(people)
    leader, *_ = copies(people, 3)
    with pytest.raises(InvalidVerdict) as refusal:
        decide(people, leader, count=count)
    assert "count" in refusal.value.details["errors"]  # type: ignore[operator]
    assert get(people, leader.wire_id).state == "open"
    assert usable_grants(people) == 0


def test_a_denial_covers_all_copies_and_takes_no_count(people: People) -> None:
    enforce_refunds(people)
    leader, second, third = copies(people, 3)
    with pytest.raises(InvalidVerdict):
        decide(people, leader, "deny", count=2)
    decide(people, leader, "deny")
    with as_tenant(people.tenant.pk):
        assert set(Verdict.objects.values_list("review_id", "kind")) == {
            (one.pk, "deny") for one in (leader, second, third)
        }
    assert usable_grants(people) == 0


def test_undo_in_the_hold_reopens_the_copies_behind_their_leader(people: People) -> None:
    enforce_refunds(people, refund_rule(hold_seconds=30))
    leader, second, third = copies(people, 3)
    now = datetime.now(UTC)
    for kind, count in (("approve", 2), ("deny", 1)):
        decide(people, get(people, leader.wire_id), kind, count=count, now=now)
        waiting = reviewed(get(people, third.wire_id), now=now)
        # Until the release the caller of a superseded copy hears as little as the others.
        assert (waiting["state"], waiting["duplicate_of"]) == ("pending", None)
        verdicts.undo(leader.wire_id, acting_member=people.rita, now=now + timedelta(seconds=1))
        for copy in (second, third):
            after = get(people, copy.wire_id)
            assert (after.state, after.copy_of_id, after.duplicate_of, after.release_at) == (
                "open",
                leader.pk,
                None,
                None,
            )
        assert usable_grants(people) == 0
        with as_tenant(people.tenant.pk):
            assert not ResumeDelivery.objects.filter(state="waiting").exists()
            assert not Verdict.objects.filter(undone_at=None).exists()
        now += timedelta(minutes=1)
    (row,) = client_of(people.rita).get("/reviews/").context["rows"]
    assert (row.review, row.waits) == (leader, 3)


def test_a_copy_taken_back_by_itself_waits_by_itself(people: People) -> None:
    enforce_refunds(people, refund_rule(hold_seconds=30))
    leader, second, third = copies(people, 3)
    now = datetime.now(UTC)
    decide(people, leader, "deny", now=now)
    verdicts.undo(second.wire_id, acting_member=people.rita, now=now + timedelta(seconds=1))
    after = get(people, second.wire_id)
    assert (after.state, after.copy_of) == ("open", None)
    assert get(people, third.wire_id).state == "on_hold"
    verdicts.undo(leader.wire_id, acting_member=people.rita, now=now + timedelta(seconds=2))
    assert get(people, third.wire_id).state == "open"


def test_when_the_leader_is_withdrawn_the_oldest_copy_stands_for_the_others(people: People) -> None:
    enforce_refunds(people)
    leader, second, third = copies(people, 3)
    callers.cancel(people.caller, leader.wire_id, reason="", now=datetime.now(UTC))
    assert get(people, second.wire_id).copy_of is None
    assert get(people, third.wire_id).copy_of_id == second.pk
    (row,) = client_of(people.rita).get("/reviews/").context["rows"]
    assert (row.review, row.waits) == (second, 2)


def test_when_the_leader_expires_the_oldest_copy_stands_for_the_others(people: People) -> None:
    enforce_refunds(people)
    leader, second, third = copies(people, 3)
    now = datetime.now(UTC)
    with as_tenant(people.tenant.pk):
        Review.objects.filter(pk=leader.pk).update(expires_at=now, due_at=now)
    escalation.expire_due(now=now)
    assert get(people, leader.wire_id).state == "expired"
    assert get(people, second.wire_id).copy_of is None
    assert get(people, third.wire_id).copy_of_id == second.pk


def test_an_expired_copy_is_not_approved_with_its_leader(people: People) -> None:
    enforce_refunds(people)
    leader, second = copies(people, 2)
    now = datetime.now(UTC)
    with as_tenant(people.tenant.pk):
        Review.objects.filter(pk=second.pk).update(expires_at=now, due_at=now)
    with pytest.raises(InvalidVerdict):
        decide(people, leader, count=2, now=now)
    decide(people, leader, now=now)
    assert get(people, second.wire_id).state == "open"
    escalation.expire_due(now=now)
    assert get(people, second.wire_id).state == "expired"


def test_two_people_approve_one_call_and_never_its_copies(people: People) -> None:
    enforce_refunds(people, refund_rule(tier=1, quorum=2))
    leader, second = copies(people, 2)
    assert leader.approvals_needed == 2
    decide(people, leader)
    assert get(people, second.wire_id).state == "open"
    with pytest.raises(InvalidVerdict):
        decide(people, leader, acting_member=people.lena, count=2)
    decide(people, leader, acting_member=people.lena)
    assert get(people, second.wire_id).state == "superseded"
    assert usable_grants(people) == 1


def test_a_copy_that_comes_while_its_leader_is_decided_is_never_lost(committed_people: People) -> None:
    people = committed_people
    enforce_refunds(people)
    reach = reach_of(people.rita)
    for turn in range(6):
        run = f"race_{turn}"
        leader = held_review(people, run_id=run)

        def add(run: str = run) -> None:
            try:
                for _ in range(3):
                    held_review(people, run_id=run)
            finally:
                connections.close_all()

        def deny(leader: Review = leader) -> None:
            try:
                decide(people, leader, "deny")
            finally:
                connections.close_all()

        with ThreadPoolExecutor(max_workers=2) as pool:
            for future in [pool.submit(add), pool.submit(deny)]:
                future.result()
        with as_tenant(people.tenant.pk):
            rows = list(Review.objects.filter(run_id=run).select_related("copy_of"))
            assert len(rows) == 4
            # Whatever still waits stands in the queue itself, or behind one that does.
            for row in rows:
                if row.state == "open":
                    assert row.copy_of is None or row.copy_of.state == "open"
            offered = queue_rows.offered(people.rita, reach, queue_rows.Wanted(), now=datetime.now(UTC))
            still = [row for row in rows if row.state == "open" and row.copy_of is None]
            assert {row.pk for row in still} <= {row.pk for row in offered}
