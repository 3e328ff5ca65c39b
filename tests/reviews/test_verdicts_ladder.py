"""Climbing the ladder of tier 3: the folds, the decisive value, words, a fresh sign-in. And a form that is sent twice."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from typing import Any

import pytest

from audit.scope import as_tenant
from reviews import card_templates, drafts, verdicts
from reviews.choices import Choice
from reviews.errors import AlreadyDecided, FormSpent, InvalidVerdict, OwnRequest, Stale
from reviews.models import DeskSettings, Draft, Review, Verdict
from tenants.errors import StepUpNeeded
from tenants.stepup import Evidence
from tests.factories import decide, enforce_refunds, get, held_review, refund_rule
from tests.people import People
from tests.reviews.chain import bodies
from tests.reviews.severe import SEVERE, severe_choice, severe_desk

NOW = datetime(2026, 11, 20, 12, 0, tzinfo=UTC)


@pytest.fixture
def severe(people: People) -> Review:
    """A refund at tier 3 with a long text in a fold."""
    severe_desk(people)
    return held_review(people, now=NOW, params=SEVERE)


def refused_fields(people: People, review: Review, choice: Choice) -> set[str]:
    with pytest.raises(InvalidVerdict) as refused:
        decide(people, review, now=NOW, choice=choice)
    errors = refused.value.details["errors"]
    assert isinstance(errors, dict)
    return set(errors)


@pytest.mark.parametrize(
    ("change", "field"),
    [
        ({"typed": ""}, "typed"),
        ({"typed": "62.00"}, "typed"),
        ({"typed": "62000"}, "typed"),
        ({"typed": "refund"}, "typed"),
        ({"typed": "620", "picked": "USD 6,200.00"}, "typed"),
        ({"seen": frozenset()}, "seen"),
        ({"seen": frozenset({"agent:/invoice_id"})}, "seen"),
        ({"note": "too short"}, "note"),
        ({"note": "          "}, "note"),
        ({"code": ""}, "code"),
    ],
)
def test_a_step_left_out_is_named_and_nothing_is_decided(
    people: People, severe: Review, change: dict[str, Any], field: str
) -> None:
    assert refused_fields(people, severe, severe_choice(**change)) == {field}
    assert decide(people, severe, now=NOW, choice=severe_choice())


@pytest.mark.parametrize("typed", ["620", "620.00", "USD 620.00", " 620,00 "])
def test_the_decisive_value_is_compared_as_a_decimal_in_the_readers_locale(
    people: People, severe: Review, typed: str
) -> None:
    locale = "de" if "," in typed else "en"
    assert decide(people, severe, now=NOW, choice=severe_choice(typed=typed, locale=locale))


def test_a_call_without_a_decisive_value_asks_for_the_last_word_of_its_action(people: People) -> None:
    enforce_refunds(people, refund_rule(tier=3))
    review = held_review(people, now=NOW)
    assert refused_fields(people, review, severe_choice(typed="620")) == {"typed"}
    assert decide(people, review, now=NOW, choice=severe_choice(typed="Refund"))


def test_denying_at_tier_three_takes_a_reason_and_nothing_else(people: People, severe: Review) -> None:
    assert decide(people, severe, now=NOW, choice=Choice(kind="deny", code="suspicious"), evidence=None)


@pytest.mark.parametrize("age", [timedelta(minutes=15, seconds=1), timedelta(hours=3), timedelta(minutes=-5)])
def test_approving_at_tier_three_wants_a_fresh_sign_in(people: People, severe: Review, age: timedelta) -> None:
    for evidence in (None, Evidence("password", NOW - age)):
        with pytest.raises(StepUpNeeded):
            decide(people, severe, now=NOW, choice=severe_choice(), evidence=evidence)
    fresh = Evidence("webauthn", NOW - timedelta(minutes=14))
    verdict = decide(people, severe, now=NOW, choice=severe_choice(), evidence=fresh)
    assert (verdict.auth_method, verdict.auth_at) == ("webauthn", fresh.at)


def test_the_tenant_sets_how_old_a_sign_in_may_be(people: People, severe: Review) -> None:
    with as_tenant(people.tenant.pk):
        DeskSettings.objects.create(tenant=people.tenant, stepup_minutes=2)
    with pytest.raises(StepUpNeeded):
        decide(people, severe, now=NOW, choice=severe_choice(), evidence=Evidence("totp", NOW - timedelta(minutes=3)))


def test_what_is_missing_is_said_before_anybody_is_sent_to_sign_in(people: People, severe: Review) -> None:
    with pytest.raises(InvalidVerdict):
        decide(people, severe, now=NOW, choice=severe_choice(typed=""), evidence=None)


def test_a_card_template_that_changed_while_reading_is_stale(people: People, severe: Review) -> None:
    with as_tenant(people.tenant.pk):
        template = card_templates.activate(people.tenant.pk, action_id="billing.refund", sentence="give money back")
    with pytest.raises(Stale):
        decide(people, severe, now=NOW, choice=severe_choice(), seen_template="0" * 64)
    verdict = decide(people, severe, now=NOW, choice=severe_choice(typed="refund"), seen_template=template.digest or "")
    assert verdict.template_digest == template.digest


def test_the_entry_keeps_how_and_when_the_reviewer_signed_in(committed_people: People) -> None:
    severe_desk(committed_people)
    review = held_review(committed_people, now=NOW, params=SEVERE)
    proven = NOW - timedelta(minutes=6)
    verdict = decide(committed_people, review, now=NOW, choice=severe_choice(), evidence=Evidence("webauthn", proven))
    entry = next(body for body in bodies(committed_people.tenant.pk) if body["kind"] == "review.decided")
    assert entry["auth"] == {"method": "webauthn", "at_us": int(proven.timestamp() * 1_000_000), "age_seconds": 360}
    assert (entry["slot"], entry["approvals_needed"], entry["final"], entry["via"]) == (1, 1, True, "web")
    assert entry["card_template"] == verdict.template_digest != ""


@pytest.mark.parametrize("tier", [2, 3, 4])
def test_bulk_never_approves_above_tier_one(people: People, tier: int) -> None:
    severe_desk(people, tier=tier)
    review = held_review(people, now=NOW, params=SEVERE)
    with pytest.raises(InvalidVerdict) as refused:
        decide(people, review, now=NOW, choice=severe_choice(), via="bulk")
    assert "kind" in refused.value.details["errors"]  # type: ignore[operator]
    assert decide(people, review, now=NOW, choice=Choice(kind="deny", code="suspicious"), via="bulk").via == "bulk"


def test_bulk_approves_tier_one_and_not_ones_own_request(people: People) -> None:
    enforce_refunds(people, refund_rule(tier=1))
    review = held_review(people, now=NOW)
    assert decide(people, review, now=NOW, via="bulk").via == "bulk"
    own = held_review(people, now=NOW, user_context={"email": "rita@demo.example"})
    with pytest.raises(OwnRequest):
        decide(people, own, now=NOW, via="bulk")


@pytest.mark.parametrize("kind", ["approve", "deny"])
def test_a_form_sent_twice_decides_once_and_gives_its_own_verdict_again(people: People, kind: str) -> None:
    enforce_refunds(people)
    review = held_review(people, now=NOW)
    first = decide(people, review, kind, now=NOW, idempotency_key="form-1")
    again = decide(people, review, kind, now=NOW + timedelta(seconds=30), idempotency_key="form-1")
    assert again.pk == first.pk
    with as_tenant(people.tenant.pk):
        assert Verdict.objects.filter(review=review).count() == 1


def test_a_form_brought_back_and_changed_is_a_conflict(people: People) -> None:
    enforce_refunds(people)
    review = held_review(people, now=NOW)
    decide(people, review, "deny", now=NOW, idempotency_key="form-1")
    for choice in (
        Choice(kind="deny", code="suspicious", note="Checked with the customer."),
        Choice(kind="approve", code="looks_right", note="Checked with the customer."),
    ):
        with pytest.raises(AlreadyDecided):
            decide(people, review, now=NOW, choice=choice, idempotency_key="form-1")


def test_a_form_whose_verdict_was_taken_back_decides_nothing_more(people: People) -> None:
    enforce_refunds(people, refund_rule(hold_seconds=30))
    review = held_review(people, now=NOW)
    decide(people, review, now=NOW, idempotency_key="form-1")
    verdicts.undo(review.wire_id, acting_member=people.rita, now=NOW + timedelta(seconds=1))
    again = get(people, review.wire_id)
    with pytest.raises(FormSpent):
        decide(people, again, now=NOW + timedelta(seconds=2), idempotency_key="form-1")
    assert decide(people, again, now=NOW + timedelta(seconds=2), idempotency_key="form-2")


def test_anothers_form_key_gives_nobody_elses_verdict(people: People) -> None:
    enforce_refunds(people)
    review = held_review(people, now=NOW)
    decide(people, review, now=NOW, idempotency_key="form-1")
    with pytest.raises(AlreadyDecided):
        decide(people, review, now=NOW, idempotency_key="form-1", acting_member=people.lena)


def test_a_verdict_forgets_the_drafts_of_whoever_gave_it_alone(people: People) -> None:
    enforce_refunds(people)
    review = held_review(people, now=NOW)
    for member in (people.rita, people.lena):
        drafts.save(review.wire_id, acting_member=member, panel="deny", fields={"note": ["A note."]}, now=NOW)
    decide(people, review, now=NOW)
    with as_tenant(people.tenant.pk):
        assert [draft.member_id for draft in Draft.objects.filter(review=review)] == [people.lena.pk]
