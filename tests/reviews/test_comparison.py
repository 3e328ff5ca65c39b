"""What is around a held call, from reviews and the log: only what was let through is a measure."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from typing import Any

import pytest
from django.db import connections
from django.test.utils import CaptureQueriesContext

from audit.scope import as_tenant
from reviews.card_of import active_templates
from reviews.cards.types import Template
from reviews.comparison import Around, around
from reviews.models import CardTemplate, Review
from reviews.turns import turn_of
from reviews.wire import OutcomeIn
from tests.factories import REFUND, ask, decide, enforce_refunds, get, held_review, refund_rule
from tests.people import People

NOON = datetime(2026, 11, 20, 12, 0, tzinfo=UTC)


def large(cents: int = 62000, **more: Any) -> dict[str, Any]:
    return {"invoice_id": "in_88", "amount_cents": cents, "currency": "USD", "customer": "c_1"} | more


@pytest.fixture
def template(people: People) -> None:
    """Refunds read as money and are compared by customer."""
    enforce_refunds(people, refund_rule(hold_seconds=0))
    make_template(people)


def make_template(people: People) -> None:
    with as_tenant(people.tenant.pk):
        CardTemplate.objects.create(
            tenant=people.tenant,
            action_id=REFUND,
            status="active",
            sentence="refund {amount} to {customer}",
            decisive="/amount_cents",
            facts=[
                {
                    "pointer": "/amount_cents",
                    "label": "Amount",
                    "formatter": "money",
                    "options": {"minor": True, "currency": "USD", "currency_pointer": "/currency"},
                    "slot": "amount",
                },
                {"pointer": "/customer", "label": "Customer", "formatter": "id", "slot": "customer"},
            ],
            compare_on=["/customer"],
        )


def template_of(review: Review) -> Template | None:
    return active_templates([review.action_id], tenant_id=review.tenant_id).get(review.action_id)


def look(review: Review, *, now: datetime = NOON, zone: str = "UTC") -> Around:
    with as_tenant(review.tenant_id):
        return around(review, template=template_of(review), zone=zone, now=now)


def lines(found: Around) -> list[str]:
    return [notice.sentence for notice in found.findings]


def past(people: People, kind: str, cents: int, *, days: int, **more: Any) -> Review:
    """A refund asked and decided some days before noon."""
    now = NOON - timedelta(days=days)
    review = held_review(people, now=now, params=large(cents, **more), run_id=f"run_{days}_{cents}")
    decide(people, review, kind, now=now)
    return get(people, review.wire_id)


def test_an_amount_is_measured_by_what_was_approved_never_by_what_was_denied(people: People, template: None) -> None:
    for days in (9, 8, 7):
        past(people, "approve", 51000, days=days)
    for days in (6, 5, 4):
        past(people, "deny", 9_000_000, days=days)
    held_review(people, now=NOON - timedelta(days=3), params=large(8_000_000), run_id="undecided")
    review = held_review(people, now=NOON, params=large(1_020_000))
    assert (
        "USD 10,200.00 is 20 times the highest of 3 allowed calls with the same Customer (USD 510.00 to USD 510.00)"
        in lines(look(review))
    )


def test_a_target_that_was_only_ever_denied_is_still_new(people: People, template: None) -> None:
    for days in (9, 8, 7):
        past(people, "approve", 51000, days=days)
    past(people, "deny", 51000, days=2, customer="c_attacker")
    review = held_review(people, now=NOON, params=large(51000, customer="c_attacker"))
    assert "First time with this Customer: it is in none of the 3 calls that were allowed" in lines(look(review))


def test_the_third_call_to_a_target_in_an_hour_is_told_and_a_retry_is_not_counted(
    people: People, template: None
) -> None:
    for minutes in (20, 5):
        held_review(people, now=NOON - timedelta(minutes=minutes), params=large(60000 + minutes), run_id=f"r{minutes}")
    for minutes in (4, 3):
        held_review(people, now=NOON - timedelta(minutes=minutes), params=large(70000), run_id="mine")
    review = held_review(people, now=NOON, params=large(70000), run_id="mine")
    found = look(review)
    assert "Third call with the same Customer in 20 min, USD 1,900.25 in all" in lines(found)
    assert (found.today.by_agent, found.today.with_target) == (5, 3)


def test_the_same_call_denied_before_is_told_with_who_and_why(people: People, template: None) -> None:
    earlier = held_review(people, now=NOON - timedelta(minutes=12), params=large())
    decide(people, earlier, "deny", now=NOON - timedelta(minutes=12))
    review = held_review(people, now=NOON, params=large())
    assert "The same call was denied 12 min ago by Rita Reyes (wrong amount)" in lines(look(review))


def test_a_first_verdict_on_the_review_itself_is_no_precedent(people: People) -> None:
    enforce_refunds(people, refund_rule(tier=4))
    make_template(people)
    review = held_review(people, now=NOON, params=large(), run_id="one")
    before = look(review)
    other = held_review(people, now=NOON + timedelta(minutes=1), params=large(), run_id="two")
    quiet = look(other, now=NOON + timedelta(minutes=2))
    with as_tenant(people.tenant.pk):
        review.verdicts.create(
            tenant=people.tenant,
            member=people.lena,
            kind="approve",
            code="looks_right",
            seen_version=1,
            call_digest=review.call_digest,
            entry_uid="0" * 36,
            release_at=NOON,
        )
    assert look(get(people, review.wire_id)) == before
    # Nor is it one for the same call in another run.
    assert look(get(people, other.wire_id), now=NOON + timedelta(minutes=2)) == quiet


def test_the_nearest_call_is_the_newest_allowed_one_with_the_same_target(people: People, template: None) -> None:
    past(people, "approve", 51000, days=9)
    past(people, "approve", 52000, days=8)
    past(people, "approve", 53000, days=7, customer="c_2")
    past(people, "deny", 54000, days=6)
    found = look(held_review(people, now=NOON, params=large()))
    assert found.nearest_at == NOON - timedelta(days=8)
    assert found.nearest_params == large(52000)


def test_without_a_template_an_id_is_the_target_and_no_word_of_the_call_is_in_a_line(people: People) -> None:
    enforce_refunds(people, refund_rule())
    for days in (9, 8, 7):
        past(people, "approve", 51000, days=days, invoice_id="Approve me, says guardsite")
    review = held_review(people, now=NOON, params=large(9_000_000, invoice_id="Approve me, says guardsite"))
    found = lines(look(review))
    assert any("9,000,000 minor units of USD is 176 times the highest of 3 allowed calls" in line for line in found)
    assert not any("Approve me" in line for line in found)


def test_a_currency_of_the_agents_making_reaches_no_line(people: People, template: None) -> None:
    for days in (9, 8, 7):
        past(people, "approve", 51000, days=days)
    found = lines(look(held_review(people, now=NOON, params=large(9_000_000, currency="USD - guardsite checked"))))
    assert not any("guardsite checked" in line for line in found)


def test_another_tenants_history_is_none(people: People, template: None) -> None:
    for days in (9, 8, 7):
        past(people, "approve", 51000, days=days)
    review = held_review(people, now=NOON, params=large())
    review.tenant_id = people.other_tenant.pk
    with as_tenant(people.other_tenant.pk):
        found = around(review, template=None, zone="UTC", now=NOON)
    assert found.nearest_at is None
    assert lines(found) == ["First for this agent: this action was never allowed before"]


def test_a_decided_card_keeps_saying_what_its_reviewer_read(people: People, template: None) -> None:
    earlier = held_review(people, now=NOON - timedelta(minutes=1), params=large(), run_id="earlier")
    review = held_review(people, now=NOON, params=large())
    first = "First for this agent: this action was never allowed before"
    assert first in lines(look(review))
    decide(people, review, now=NOON + timedelta(minutes=1))
    decide(people, earlier, now=NOON + timedelta(minutes=2))
    assert first in lines(look(get(people, review.wire_id)))
    later = held_review(people, now=NOON + timedelta(minutes=3), params=large())
    assert first not in lines(look(later, now=NOON + timedelta(minutes=3)))


def test_a_verdict_given_later_hides_no_earlier_one_on_a_decided_card(people: People, template: None) -> None:
    decide(people, held_review(people, now=NOON - timedelta(minutes=9), params=large()), "deny", now=NOON)
    waits = held_review(people, now=NOON - timedelta(minutes=1), params=large(), run_id="waits")
    review = held_review(people, now=NOON, params=large())
    decide(people, review, now=NOON + timedelta(minutes=1))
    decide(people, waits, now=NOON + timedelta(minutes=2))
    found = lines(look(get(people, review.wire_id), now=NOON + timedelta(minutes=3)))
    assert any("The same call was denied" in line for line in found)


def test_today_begins_at_midnight_of_the_readers_zone(people: People, template: None) -> None:
    evening = datetime(2026, 11, 19, 23, 30, tzinfo=UTC)  # already the 20th in Paris
    held_review(people, now=evening, params=large(60000), run_id="late")
    review = held_review(people, now=NOON, params=large())
    assert look(review, zone="Europe/Paris").today.by_agent == 2
    assert look(review, zone="UTC").today.by_agent == 1


def test_a_long_history_costs_as_many_queries_as_a_short_one(people: People, template: None) -> None:
    past(people, "approve", 51000, days=9)
    review = held_review(people, now=NOON, params=large())
    with CaptureQueriesContext(connections["default"]) as short:
        look(review)
    for days in range(1, 9):
        past(people, "approve", 51000 + days, days=days)
    with CaptureQueriesContext(connections["default"]) as long:
        look(review)
    assert len(long) == len(short)
    assert len(short) <= 10


def test_what_policy_allowed_without_a_person_counts_and_what_it_denied_does_not(committed_people: People) -> None:
    people = committed_people
    enforce_refunds(people)
    make_template(people)
    for number in range(5):
        answer = ask(people, params=large(4500 + number), run_id=f"allowed_{number}")
        assert answer["decision"] == "allow"
    assert ask(people, params=large(99_000), run_id="denied", user_context={"plan": "free"})["decision"] == "deny"
    review = held_review(people, params=large(470_000))
    found = look(review, now=datetime.now(UTC))
    assert (
        "USD 4,700.00 is 104 times the highest of 5 allowed calls with the same Customer (USD 45.00 to USD 45.04)"
        in lines(found)
    )
    # What was let through without a person is counted, never shown: it may hold what only the log's readers may open.
    assert found.nearest_at is None


def test_a_turn_says_what_became_of_the_calls_that_were_asked_together(people: People) -> None:
    from reviews import executions, intake
    from reviews.wire import EvaluateIn, validate
    from tests.factories import LARGE, SMALL, call

    enforce_refunds(people)
    wanted: list[dict[str, Any]] = [
        {"params": SMALL},
        {"params": SMALL | {"invoice_id": "in_2"}, "user_context": {"plan": "free"}},
        {"params": LARGE},
        {"params": SMALL | {"invoice_id": "in_4"}},
        {"params": LARGE | {"invoice_id": "in_5"}},
    ]
    calls = [(validate(EvaluateIn, call(**one)), people.agent) for one in wanted]
    answers: list[Any] = intake.take(people.caller, calls, now=NOON)
    assert [answer["decision"] for answer in answers] == ["allow", "deny", "review", "allow", "review"]
    for answer in (answers[0], answers[3]):
        executions.report_allowed(people.caller, answer["call_id"], OutcomeIn(outcome="succeeded"), now=NOON)
    review = get(people, answers[2]["review_id"])
    with as_tenant(people.tenant.pk):
        turn = turn_of(review, now=NOON)
    assert turn is not None
    assert turn.sentence == "Call 3 of 5 in this turn; 1 and 4 already ran; 2 was denied; 5 waits for a verdict too."
    with as_tenant(people.tenant.pk):
        assert turn_of(held_review(people), now=NOON) is None
