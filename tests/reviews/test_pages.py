"""The desk's pages by themselves: who gets them, what a GET and a POST change, what htmx is answered."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from typing import Any

import pytest
from django.db import connection
from django.test import Client
from django.test.utils import CaptureQueriesContext

from audit.scope import as_tenant
from reviews import claims
from reviews.models import Review, Verdict
from tenants.models import Member
from tests.factories import decide, enforce_refunds, get, held_review, refund_rule
from tests.people import People

HTMX = {"HX-Request": "true"}


def client_of(member: Member) -> Client:
    """A browser in which the member is signed in."""
    client = Client()
    client.force_login(member.user, backend="allauth.account.auth_backends.AuthenticationBackend")
    return client


@pytest.fixture
def review(people: People) -> Review:
    """A held refund."""
    enforce_refunds(people)
    return held_review(people)


def verdict_of(review: Review, kind: str = "deny", **changes: Any) -> dict[str, Any]:
    """The form of a verdict as the card posts it."""
    code = "wrong_target" if kind == "deny" else "looks_right"
    fields = {"kind": kind, "code": code, "message": "", "note": "", "seen_version": review.version}
    return fields | {"seen_digest": review.call_digest} | changes


def test_home_leads_to_the_queue(people: People) -> None:
    assert client_of(people.rita).get("/").headers["Location"] == "/reviews/"


def test_the_queue_shows_what_waits_and_its_filters_narrow_it(people: People, review: Review) -> None:
    client = client_of(people.rita)
    assert review.wire_id in client.get("/reviews/").content.decode()
    assert review.wire_id in client.get("/reviews/?action=billing.refund&tier=2&agent=refund-bot").content.decode()
    assert "No items match tier 4." in client.get("/reviews/?tier=4").content.decode()
    assert review.wire_id not in client.get("/reviews/?view=mine").content.decode()
    assert review.wire_id in client.get("/reviews/?view=nonsense&tier=x").content.decode()


def test_the_queue_costs_as_many_queries_for_five_rows_as_for_one(
    people: People, review: Review, django_assert_num_queries: Any
) -> None:
    client = client_of(people.rita)
    with CaptureQueriesContext(connection) as one:
        client.get("/reviews/")
    for _ in range(4):
        held_review(people)
    with django_assert_num_queries(len(one)):
        assert client.get("/reviews/").content.count(b"data-row") == 5


def test_a_tick_of_a_current_page_is_204(people: People, review: Review) -> None:
    client = client_of(people.rita)
    stamp = client.get("/reviews/").context["stamp"]
    assert client.get(f"/reviews/?v={stamp}", headers=HTMX).status_code == 204
    page_stamp = client.get(f"/reviews/{review.wire_id}/").context["page"].stamp
    assert client.get(f"/reviews/{review.wire_id}/live/?v={page_stamp}", headers=HTMX).status_code == 204
    changed = client.get(f"/reviews/{review.wire_id}/live/?v=0", headers=HTMX)
    assert changed.status_code == 200
    assert b"<html" not in changed.content


def test_pages_are_not_stored_and_vary_by_htmx(people: People, review: Review) -> None:
    for path in ("/reviews/", f"/reviews/{review.wire_id}/"):
        response = client_of(people.rita).get(path)
        assert "no-store" in response.headers["Cache-Control"]
        assert "HX-Request" in response.headers["Vary"]


@pytest.mark.parametrize("path", ["", "live/", "claim/", "renew/", "release/", "take-over/", "decide/", "undo/"])
def test_another_tenants_review_is_404_on_every_page(people: People, review: Review, path: str) -> None:
    client = client_of(people.nia)
    address = f"/reviews/{review.wire_id}/{path}"
    response = client.get(address) if path in ("", "live/") else client.post(address, verdict_of(review))
    assert response.status_code == 404
    assert client_of(people.rita).get(f"/reviews/{review.wire_id}/").status_code == 200


@pytest.mark.parametrize("path", ["claim/", "renew/", "release/", "take-over/", "decide/", "undo/"])
def test_a_get_changes_nothing_and_no_session_gets_nowhere(people: People, review: Review, path: str) -> None:
    address = f"/reviews/{review.wire_id}/{path}"
    shown = client_of(people.rita).get(address)
    assert (shown.status_code, shown.headers["Location"]) == (302, f"/reviews/{review.wire_id}/")
    refused = Client().post(address, verdict_of(review) | {"note": "typed <b>before</b>"})
    assert refused.status_code == 401
    assert f"/accounts/login/?next={address}" in refused.content.decode()
    assert "typed &lt;b&gt;before&lt;/b&gt;" in refused.content.decode()
    assert Client().post(address, verdict_of(review), headers=HTMX).status_code == 401
    after = get(people, review.wire_id)
    assert (after.state, after.version, after.claimed_by_id) == ("open", review.version, None)


@pytest.mark.parametrize("path", ["claim/", "decide/", "take-over/"])
def test_who_only_reads_cannot_act(people: People, review: Review, path: str) -> None:
    response = client_of(people.otto).post(f"/reviews/{review.wire_id}/{path}", verdict_of(review))
    assert response.status_code == 403
    assert "does not decide" in client_of(people.otto).get(f"/reviews/{review.wire_id}/").content.decode()


def test_a_claim_is_shown_to_others_and_their_bar_is_gone(people: People, review: Review) -> None:
    assert client_of(people.rita).post(f"/reviews/{review.wire_id}/claim/").status_code == 302
    assert "Claimed by you" in client_of(people.rita).get(f"/reviews/{review.wire_id}/").content.decode()
    other = client_of(people.adam).get(f"/reviews/{review.wire_id}/").content.decode()
    assert "Rita Reyes is reviewing this." in other
    assert 'name="kind" value="approve"' not in other


def test_take_next_claims_the_most_urgent_free_review(people: People, review: Review) -> None:
    later = held_review(people, now=datetime.now(UTC) + timedelta(minutes=1))
    first = client_of(people.rita).post("/reviews/next/")
    second = client_of(people.lena).post("/reviews/next/")
    assert [first.headers["Location"], second.headers["Location"]] == [
        f"/reviews/{review.wire_id}/",
        f"/reviews/{later.wire_id}/",
    ]
    assert client_of(people.adam).post("/reviews/next/").headers["Location"] == "/reviews/"


def test_a_verdict_redirects_a_page_and_answers_htmx_with_the_receipt(people: People, review: Review) -> None:
    other = held_review(people)
    client = client_of(people.rita)
    response = client.post(f"/reviews/{review.wire_id}/decide/", verdict_of(review, note="Seen."))
    assert (response.status_code, response.headers["Location"]) == (302, f"/reviews/{review.wire_id}/")
    part = client.post(f"/reviews/{other.wire_id}/decide/", verdict_of(other, "approve"), headers=HTMX)
    assert part.status_code == 200
    assert b"<html" not in part.content
    assert b"stamp--approved" in part.content
    with as_tenant(people.tenant.pk):
        assert {(v.review_id, v.kind) for v in Verdict.objects.all()} == {(review.pk, "deny"), (other.pk, "approve")}


def test_a_second_verdict_is_a_conflict_that_keeps_the_draft(people: People, review: Review) -> None:
    decide(people, review, acting_member=people.lena)
    response = client_of(people.rita).post(
        f"/reviews/{review.wire_id}/decide/", verdict_of(review, message="Ask <b>finance</b>.", note="My note.")
    )
    text = response.content.decode()
    assert response.status_code == 409
    assert "Lena Lind" in text
    assert "Nothing of yours was sent." in text
    assert "Ask &lt;b&gt;finance&lt;/b&gt;." in text
    assert "My note." in text


@pytest.mark.parametrize("change", [{"seen_version": 99}, {"seen_digest": "0" * 64}])
def test_a_verdict_on_another_card_is_refused_and_its_draft_stays_in_the_panel(
    people: People, review: Review, change: dict[str, Any]
) -> None:
    response = client_of(people.rita).post(
        f"/reviews/{review.wire_id}/decide/", verdict_of(review, note="My note.", **change)
    )
    text = response.content.decode()
    assert response.status_code == 409
    assert "My note.</textarea>" in text
    # Sent again it is for the card that is on the screen now.
    assert f'name="seen_digest" value="{review.call_digest}"' in text
    assert get(people, review.wire_id).state == "open"


@pytest.mark.parametrize("change", [{"code": "looks_right"}, {"code": ""}, {"kind": "maybe"}, {"seen_version": "x"}])
def test_an_incomplete_verdict_is_422_and_keeps_what_was_typed(
    people: People, review: Review, change: dict[str, Any]
) -> None:
    response = client_of(people.rita).post(
        f"/reviews/{review.wire_id}/decide/", verdict_of(review, note="My note.", **change)
    )
    assert response.status_code == 422
    assert "My note." in response.content.decode()
    assert get(people, review.wire_id).state == "open"


def test_an_expired_review_is_410_and_shown_as_denied(people: People, review: Review) -> None:
    with as_tenant(people.tenant.pk):
        Review.objects.filter(pk=review.pk).update(expires_at=datetime.now(UTC) - timedelta(seconds=1))
    client = client_of(people.rita)
    assert client.post(f"/reviews/{review.wire_id}/decide/", verdict_of(review)).status_code == 410
    assert "No one decided in time" in client.get(f"/reviews/{review.wire_id}/").content.decode()
    assert review.wire_id not in client.get("/reviews/").content.decode()


def test_an_idle_claim_can_be_taken_over_and_a_busy_one_cannot(people: People, review: Review) -> None:
    claims.claim(review.wire_id, acting_member=people.lena, now=datetime.now(UTC))
    client = client_of(people.rita)
    assert client.post(f"/reviews/{review.wire_id}/take-over/", {"reason": "On lunch."}).status_code == 409
    with as_tenant(people.tenant.pk):
        Review.objects.filter(pk=review.pk).update(claim_used_at=datetime.now(UTC) - timedelta(minutes=2))
    assert client.post(f"/reviews/{review.wire_id}/take-over/").status_code == 422
    assert client.post(f"/reviews/{review.wire_id}/take-over/", {"reason": "On lunch."}).status_code == 302
    assert get(people, review.wire_id).claimed_by_id == people.rita.pk


def test_a_verdict_on_hold_can_be_undone_from_its_receipt(people: People) -> None:
    enforce_refunds(people, refund_rule(hold_seconds=30))
    review = held_review(people)
    client = client_of(people.rita)
    client.post(f"/reviews/{review.wire_id}/decide/", verdict_of(review))
    receipt = client.get(f"/reviews/{review.wire_id}/").content.decode()
    assert "Goes to the agent in" in receipt
    assert f"/reviews/{review.wire_id}/undo/" in receipt
    assert client.post(f"/reviews/{review.wire_id}/undo/").status_code == 302
    assert get(people, review.wire_id).state == "open"
    assert client.post(f"/reviews/{review.wire_id}/undo/").status_code == 409


@pytest.mark.parametrize("tier", [1, 2, 3, 4])
def test_denying_takes_no_more_steps_than_approving(people: People, tier: int) -> None:
    enforce_refunds(people, refund_rule(tier=tier))
    card = client_of(people.rita).get(f"/reviews/{held_review(people).wire_id}/").content.decode()
    bar = card[card.index('class="verdict-bar') :]
    panels = {name: bar.partition(f'data-panel="{name}"')[2].partition("</details>")[0] for name in ("approve", "deny")}
    if tier == 1:
        # One click each; each ready button carries its reason.
        assert bar.count('<input type="hidden" name="code"') == 1
        assert bar.count('<button class="button verdict" name="code"') == 3
    asked = {
        name: ("typed" in panel, panel.count("data-fold-seen"), "10 characters" in panel, panel.count("data-codes"))
        for name, panel in panels.items()
    }
    assert asked["deny"] == (False, 0, False, 1)
    if tier > 1:
        assert all(deny <= approve for deny, approve in zip(asked["deny"], asked["approve"], strict=True))
        assert (asked["approve"][0], asked["approve"][2]) == (tier >= 3, tier >= 3)


def test_error_pages_say_what_is_safe(people: People) -> None:
    missing = client_of(people.rita).get("/reviews/rv_00000000000000000000000000000000/")
    assert missing.status_code == 404
    assert "It is not there, or it is not yours to see." in missing.content.decode()
    assert client_of(people.rita).get("/no/such/page/").status_code == 404
    strict = Client(enforce_csrf_checks=True)
    strict.force_login(people.rita.user, backend="allauth.account.auth_backends.AuthenticationBackend")
    old_form = strict.post("/reviews/next/")
    assert old_form.status_code == 403
    assert "This form is too old to send" in old_form.content.decode()
