"""How loudly a card warns, kept by a worker so that the queue can be narrowed by it."""

from __future__ import annotations

from datetime import UTC, datetime
from typing import Any

import pytest

from audit.scope import as_tenant
from reviews import warned
from reviews.cards.types import Card
from reviews.models import CardTemplate, Review
from reviews.row_cards import row_cards
from tenants.models import Member
from tests.factories import LARGE, enforce_refunds, held_review
from tests.people import People
from tests.reviews.test_pages import client_of

NOW = datetime.now(UTC)


def narrowed(member: Member, query: str) -> set[str]:
    """The short ids of the queue's rows."""
    return {row.review.short_id for row in client_of(member).get(f"/reviews/?{query}").context["rows"]}


def warn_when(people: People, condition: str, *, severity: str) -> None:
    """A card template of refunds that warns of more than usual."""
    with as_tenant(people.tenant.pk):
        CardTemplate.objects.create(
            tenant=people.tenant,
            action_id="billing.refund",
            status=CardTemplate.Status.ACTIVE,
            sentence="refund",
            cautions=[{"when": condition, "text": "More than usual", "severity": severity}],
        )


def test_the_queue_is_narrowed_to_what_is_warned_of_and_to_what_is_dangerous(committed_people: People) -> None:
    people = committed_people
    enforce_refunds(people)
    warn_when(people, "params.amount_cents > 90000", severity="caution")
    plain = held_review(people, params=LARGE).short_id
    large = held_review(people, params=LARGE | {"amount_cents": 99000}).short_id
    hidden = held_review(people, params=LARGE | {"reason": "pay\u202e00"}).short_id
    # What nobody looked at yet counts as warned of.
    assert narrowed(people.rita, "caution=danger") == {plain, large, hidden}
    assert warned.look_over(now=NOW) == 3
    assert warned.look_over(now=NOW) == 0
    assert narrowed(people.rita, "caution=caution") == {large, hidden}
    assert narrowed(people.rita, "caution=danger") == {hidden}
    assert narrowed(people.rita, "") == narrowed(people.rita, "caution=nonsense") == {plain, large, hidden}


def test_a_row_says_what_its_template_warns_of(people: People) -> None:
    enforce_refunds(people)
    warn_when(people, "params.amount_cents > 1", severity="danger")
    held_review(people)
    assert "More than usual" in client_of(people.rita).get("/reviews/").content.decode()


def test_a_card_that_cannot_be_made_counts_as_dangerous_and_stops_no_other(
    committed_people: People, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    people = committed_people
    enforce_refunds(people)
    sound, broken = held_review(people), held_review(people, params=LARGE | {"amount_cents": 70000})

    def one_breaks(reviews: list[Review], **rest: Any) -> list[Card]:
        if reviews[0].pk == broken.pk:
            raise ValueError
        return row_cards(reviews, **rest)

    monkeypatch.setattr("reviews.warned.row_cards", one_breaks)
    assert warned.look_over(now=NOW) == 2
    with as_tenant(people.tenant.pk):
        levels = dict(Review.objects.values_list("pk", "warned"))
    assert levels == {broken.pk: Review.Warned.DANGER, sound.pk: Review.Warned.NOTHING}
    assert "card_not_made" in caplog.text


def test_what_only_earlier_calls_tell_counts_as_warned_of_and_its_row_says_so(committed_people: People) -> None:
    people = committed_people
    enforce_refunds(people)
    first = held_review(people, run_id="one")
    second = held_review(people, run_id="two")
    warned.look_over(now=NOW)
    assert narrowed(people.rita, "caution=caution") == {second.short_id}
    page = client_of(people.rita).get("/reviews/")
    assert {row.review.short_id for row in page.context["rows"]} == {first.short_id, second.short_id}
    assert page.content.decode().count("Stands out beside earlier calls") == 1
