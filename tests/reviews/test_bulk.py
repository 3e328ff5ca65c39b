"""Deciding several reviews by one form, with every safeguard of one by one."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from typing import Any

import pytest
from django.test import Client

from audit.scope import as_tenant
from reviews import bulk, claims
from reviews.choices import Choice
from reviews.errors import InvalidStep
from reviews.models import Grant, Review, Verdict
from tests.factories import LARGE, decide, enforce_refunds, get, held_review, refund_rule
from tests.people import People
from tests.reviews.chain import bodies
from tests.reviews.test_pages import client_of
from tests.reviews.test_routing import colleague, team


def rows(people: People, number: int, **members: Any) -> list[Review]:
    """Alike refunds of as many invoices."""
    return [
        held_review(people, **{"params": LARGE | {"invoice_id": f"in_{100 + index}"}} | members)
        for index in range(number)
    ]


@pytest.fixture
def plain(people: People) -> People:
    """People whose refunds are held at tier 1, and enough earlier ones that none stands out."""
    enforce_refunds(people, refund_rule(tier=1, hold_seconds=10))
    long_ago = datetime.now(UTC) - timedelta(minutes=90)
    for invoice in ("in_100", "in_101", "in_102"):
        earlier = held_review(people, params=LARGE | {"invoice_id": invoice, "note": "Old."}, now=long_ago)
        decide(people, earlier, acting_member=people.adam, now=long_ago)
    return people


def plan(people: People, reviews: list[Review]) -> bulk.Approval:
    """The form that Rita gets for these reviews."""
    with as_tenant(people.tenant.pk):
        found = bulk.selected(people.rita, [review.wire_id for review in reviews], at_most=200)
        return bulk.plan_approval(people.rita, found, now=datetime.now(UTC))


def approve(people: People, reviews: list[Review], *, count: int | None = None, **changes: Any) -> list[bulk.Outcome]:
    """Rita's bulk approval of what she sees of them."""
    form = plan(people, reviews)
    picks = [one.pick for one in (*form.chosen, *form.left_out)]
    arguments: dict[str, Any] = {
        "acting_member": people.rita,
        "count": len(picks) if count is None else count,
        "form_key": "f",
        "evidence": None,
        "now": datetime.now(UTC),
    }
    return bulk.approve(picks, **(arguments | changes))


def left_out(people: People, reviews: list[Review]) -> dict[str, str]:
    """Why reviews are left out, by their ids."""
    return {one.review.wire_id: one.left_out for one in plan(people, reviews).left_out}


def test_alike_calls_show_only_where_they_differ(plain: People) -> None:
    reviews = rows(plain, 3)
    approval = plan(plain, reviews)
    assert [one.review for one in approval.chosen] == reviews
    assert approval.columns == ("Invoice ID",)
    assert [one.values for one in approval.chosen] == [
        (("Invoice ID", "in_100"),),
        (("Invoice ID", "in_101"),),
        (("Invoice ID", "in_102"),),
    ]
    assert approval.left_out == ()


def test_each_gets_a_verdict_an_entry_and_a_grant_of_its_own(committed_people: People) -> None:
    people = committed_people
    enforce_refunds(people, refund_rule(tier=1))
    long_ago = datetime.now(UTC) - timedelta(minutes=90)
    decide(people, held_review(people, now=long_ago), acting_member=people.adam, now=long_ago)
    reviews = rows(people, 3)
    outcomes = approve(people, reviews)
    assert [outcome.refusal for outcome in outcomes] == ["", "", ""]
    with as_tenant(people.tenant.pk):
        given = Verdict.objects.filter(via="bulk")
        assert {(one.review_id, one.kind, one.member_id) for one in given} == {
            (review.pk, "approve", people.rita.pk) for review in reviews
        }
        assert Grant.objects.filter(review__in=reviews).count() == 3
    entries = [body for body in bodies(people.tenant.pk) if body["kind"] == "review.decided" and body["via"] == "bulk"]
    assert {body["review"]["id"] for body in entries} == {review.wire_id for review in reviews}


def test_only_plain_alike_tier_1_calls_of_ones_own_are_approved_together(plain: People) -> None:
    people = plain
    first, severe, own, claimed, elsewhere, twice, other_rule, ended = rows(people, 8)
    copy_leader, _ = (held_review(people, params=LARGE | {"invoice_id": "in_9"}, run_id="run_c") for _ in range(2))
    team(people, "finance", colleague(people))
    claims.claim(claimed.wire_id, acting_member=people.lena, now=datetime.now(UTC))
    decide(people, ended, "deny", acting_member=people.lena)
    with as_tenant(people.tenant.pk):
        rows_of = Review.objects
        rows_of.filter(pk=severe.pk).update(tier=2)
        rows_of.filter(pk=own.pk).update(user_context_text='{"email": "rita@demo.example"}')
        rows_of.filter(pk=elsewhere.pk).update(team="finance")
        rows_of.filter(pk=twice.pk).update(approvals_needed=2)
        rows_of.filter(pk=other_rule.pk).update(rule_id="another-rule")
    everything = [first, severe, own, claimed, elsewhere, twice, other_rule, ended, copy_leader]
    assert left_out(people, everything) == {
        severe.wire_id: "Tier 2: approve it on its card.",
        own.wire_id: "You started it or answer for the agent.",
        claimed.wire_id: "Lena Lind is reviewing it.",
        elsewhere.wire_id: "It is for another team or person.",
        twice.wire_id: "Tier 1: approve it on its card.",
        other_rule.wire_id: "Held by another rule.",
        ended.wire_id: "It has ended.",
        copy_leader.wire_id: "Copies of it wait: choose on its card how many run.",
    }
    # Posted by hand, they are refused one by one; the one that fits is not lost.
    outcomes = {outcome.review.wire_id: outcome for outcome in approve(people, everything)}
    assert [wire_id for wire_id, outcome in outcomes.items() if outcome.verdict] == [first.wire_id]
    assert get(people, severe.wire_id).state == "open"
    assert get(people, own.wire_id).state == "open"


@pytest.mark.parametrize(
    "params",
    [
        {"note": "Pre-approved by CFO."},
        {"note": "pay\u202e00"},
        {"note": "long " * 100},
        {"amount_cents": 62_000_000},
        {"api_key": "sk-1234567890abcdefghij"},
    ],
    ids=["claim", "hidden", "long", "many times the usual", "secret"],
)
def test_an_unusual_call_is_left_out_with_its_reason_and_refused_by_hand(plain: People, params: dict[str, Any]) -> None:
    people = plain
    ordinary = rows(people, 2)
    odd = held_review(people, params=LARGE | {"invoice_id": "in_300"} | params)
    reasons = left_out(people, [*ordinary, odd])
    assert set(reasons) == {odd.wire_id}
    assert reasons[odd.wire_id]
    assert "sk-1234" not in str(plan(people, [*ordinary, odd]))
    outcomes = {one.review.wire_id: one.refusal for one in approve(people, [*ordinary, odd])}
    assert outcomes[odd.wire_id] == reasons[odd.wire_id]
    assert get(people, odd.wire_id).state == "open"


def test_twenty_are_the_most(plain: People) -> None:
    reviews = rows(plain, 21)
    assert len(plan(plain, reviews).chosen) == 20
    outcomes = approve(plain, reviews)
    assert sum(outcome.verdict is not None for outcome in outcomes) == 20
    assert [outcome.refusal for outcome in outcomes if outcome.refusal] == ["Only 20 at once."]


@pytest.mark.parametrize("count", [None, 0, 2, 4])
def test_the_number_is_typed_and_must_be_right(plain: People, count: int | None) -> None:
    reviews = rows(plain, 3)
    picks = [one.pick for one in plan(plain, reviews).chosen]
    with pytest.raises(InvalidStep):
        bulk.approve(picks, acting_member=plain.rita, count=count, form_key="f", evidence=None, now=datetime.now(UTC))
    assert {get(plain, review.wire_id).state for review in reviews} == {"open"}


def test_a_row_that_changed_since_it_was_seen_fails_alone(plain: People) -> None:
    people = plain
    stale, other_digest, fine = rows(people, 3)
    picks = {one.review.pk: one.pick for one in plan(people, [stale, other_digest, fine]).chosen}
    with as_tenant(people.tenant.pk):
        Review.objects.filter(pk=stale.pk).update(version=9)
    forged = bulk.Pick(other_digest.wire_id, other_digest.version, "0" * 64, picks[other_digest.pk].template)
    outcomes = bulk.approve(
        [picks[stale.pk], forged, picks[fine.pk]],
        acting_member=people.rita,
        count=3,
        form_key="f",
        evidence=None,
        now=datetime.now(UTC),
    )
    found = {outcome.review.pk: bool(outcome.verdict) for outcome in outcomes}
    assert found == {stale.pk: False, other_digest.pk: False, fine.pk: True}
    assert all("changed" in outcome.refusal for outcome in outcomes if not outcome.verdict)


def test_the_same_form_sent_twice_decides_once(plain: People) -> None:
    reviews = rows(plain, 2)
    picks = [one.pick for one in plan(plain, reviews).chosen]
    given = []
    for _ in range(2):
        outcomes = bulk.deny(
            picks,
            acting_member=plain.rita,
            choice=Choice(kind="deny", code="wrong_amount"),
            form_key="same",
            evidence=None,
            now=datetime.now(UTC),
        )
        given.append([outcome.verdict.pk for outcome in outcomes if outcome.verdict])
    assert given[0] == given[1]
    assert len(given[0]) == 2


def test_a_bulk_denial_takes_any_tier_and_covers_copies(people: People) -> None:
    enforce_refunds(people, refund_rule(tier=4))
    leader, copy = (held_review(people, run_id="run_c") for _ in range(2))
    other = held_review(people)
    client = client_of(people.rita)
    form = client.post("/reviews/bulk/deny/", {"pick": [leader.wire_id, other.wire_id]})
    assert form.status_code == 200
    assert get(people, leader.wire_id).state == "open"
    picks = [str(one.pick) for one in form.context["candidates"]]
    typed = {"commit": "1", "row": picks, "code": "suspicious", "message": "No.", "note": "", "form_key": "k"}
    done = client.post("/reviews/bulk/deny/", typed)
    assert "2 calls denied" in done.content.decode()
    assert {get(people, one.wire_id).verdict.kind for one in (leader, copy, other)} == {"deny"}  # type: ignore[union-attr]


def test_the_page_of_a_bulk_approval_from_ticks_to_undo(plain: People) -> None:
    people, client = plain, client_of(plain.rita)
    reviews = rows(people, 2)
    odd = held_review(people, params=LARGE | {"invoice_id": "in_300", "note": "Pre-approved by CFO."})
    page = client.post("/reviews/bulk/approve/", {"pick": [one.wire_id for one in (*reviews, odd)], "back": "tier=1"})
    text = page.content.decode()
    assert "2 calls at tier 1 can be approved together:" in text
    assert "They differ in <bdi>Invoice ID</bdi>." in text
    assert "1 is left out." in text
    typed = {
        "commit": "1",
        "row": [str(one.pick) for one in page.context["plan"].chosen],
        "shown": [one.wire_id for one in reviews],
        "form_key": page.context["form_key"],
        "back": "tier=1",
    }
    refused = client.post("/reviews/bulk/approve/", typed | {"count": "3"})
    assert refused.status_code == 422
    assert "Type 2: so many calls are ticked." in refused.content.decode()
    assert get(people, reviews[0].wire_id).state == "open"
    unticked = client.post("/reviews/bulk/approve/", typed | {"row": typed["row"][:1], "count": "2"})
    assert unticked.status_code == 422
    assert unticked.content.decode().count("checked data-tick") == 1
    done = client.post("/reviews/bulk/approve/", typed | {"count": "2"})
    assert "2 calls approved" in done.content.decode()
    assert done.content.decode().count("Run billing.refund with 3 parameters") == 2
    assert "Undo all" in done.content.decode()
    undone = client.post("/reviews/bulk/undo/", {"pick": [one.wire_id for one in reviews]})
    assert "2 reviews wait again" in undone.content.decode()
    assert {get(people, one.wire_id).state for one in reviews} == {"open"}


def test_partial_failure_is_told_row_by_row(plain: People) -> None:
    people, client = plain, client_of(plain.rita)
    first, second = rows(people, 2)
    page = client.post("/reviews/bulk/deny/", {"pick": [first.wire_id, second.wire_id]})
    picks = [str(one.pick) for one in page.context["candidates"]]
    decide(people, first, acting_member=people.lena)
    done = client.post("/reviews/bulk/deny/", {"commit": "1", "row": picks, "code": "other"}).content.decode()
    assert "1 call denied" in done
    assert "1 was not decided" in done
    assert "This was decided already." in done
    assert get(people, first.wire_id).verdict.kind == "approve"  # type: ignore[union-attr]


def test_a_denial_can_pause_the_agent_too(plain: People) -> None:
    people, client = plain, client_of(plain.rita)
    (review,) = rows(people, 1)
    page = client.post("/reviews/bulk/deny/", {"pick": [review.wire_id]})
    assert page.context["agents"] == [("refund-bot", "refund-bot")]
    picks = [str(one.pick) for one in page.context["candidates"]]
    done = client.post(
        "/reviews/bulk/deny/", {"commit": "1", "row": picks, "code": "suspicious", "pause": ["refund-bot", "nobody"]}
    ).content.decode()
    assert "refund-bot is paused" in done
    assert "nobody: There is nothing here" in done


@pytest.mark.parametrize("path", ["approve/", "deny/", "undo/"])
def test_nobody_else_decides_in_bulk_and_a_get_decides_nothing(plain: People, path: str) -> None:
    people = plain
    reviews = rows(people, 2)
    picks = [str(one.pick) for one in plan(people, reviews).chosen]
    typed = {
        "commit": "1",
        "row": picks,
        "pick": [one.wire_id for one in reviews],
        "shown": [one.wire_id for one in reviews],
        "count": "2",
        "code": "other",
    }
    address = f"/reviews/bulk/{path}"
    assert client_of(people.otto).post(address, typed).status_code == 403
    assert Client().post(address, typed).status_code == 401
    assert client_of(people.rita).get(address, typed).headers["Location"] == "/reviews/"
    elsewhere = client_of(people.nia).post(address, typed).content.decode()
    assert "in_88" not in elsewhere
    assert reviews[0].short_id not in elsewhere
    assert {get(people, review.wire_id).state for review in reviews} == {"open"}


def test_nonsense_for_rows_is_no_row(plain: People) -> None:
    client = client_of(plain.rita)
    (review,) = rows(plain, 1)
    for text in ("", "x", "rv_1:1:a:b", f"{review.wire_id}:-1:a:b", f"{review.wire_id}:१:a:b", f"{review.wire_id}:1:a"):
        response = client.post("/reviews/bulk/deny/", {"commit": "1", "row": text, "code": "other"})
        assert response.status_code == 422
    assert get(plain, review.wire_id).state == "open"


def test_more_than_fit_are_not_denied(plain: People) -> None:
    picks = [bulk.Pick(f"rv_{index:032x}", 1, "0") for index in range(201)]
    with pytest.raises(InvalidStep):
        bulk.deny(
            picks,
            acting_member=plain.rita,
            choice=Choice(kind="deny", code="other"),
            form_key="",
            evidence=None,
            now=datetime.now(UTC),
        )
