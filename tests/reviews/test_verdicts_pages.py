"""The bar by itself: what a form posts and gets, step-up on the way, blindness to the byte, drafts, the receipt."""

from __future__ import annotations

import re
import time
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest
import time_machine
from django.test import Client

from audit.scope import as_tenant
from reviews import executions
from reviews.asked import asked_call
from reviews.errors import GrantMismatch
from reviews.models import Draft, Grant, Review, Verdict
from tenants.models import Member
from tests.factories import LARGE, decide, enforce_refunds, held_review, refund_rule
from tests.people import People
from tests.reviews.severe import SEVERE, WHY_FOLD, severe_choice, severe_desk
from tests.reviews.test_card_page import text_of
from tests.reviews.test_pages import HTMX, client_of, verdict_of

NOON = datetime(2026, 11, 20, 12, 0, tzinfo=UTC)


@pytest.fixture
def noon() -> Iterator[Any]:
    """A clock that stands still."""
    with time_machine.travel(NOON, tick=False) as clock:
        yield clock


def proven(member: Member, *, seconds_ago: float = 0) -> Client:
    """A browser in which the member gave their password so long ago."""
    client = client_of(member)
    session = client.session
    session["account_authentication_methods"] = [{"method": "password", "at": time.time() - seconds_ago}]
    session["account_authentication_methods_user"] = session["_auth_user_id"]
    session.save()
    return client


def severe_form(review: Review, **changes: Any) -> dict[str, Any]:
    """The approve panel of tier 3, filled in."""
    fields = {
        "kind": "approve",
        "code": "checked",
        "note": "Called the customer.",
        "typed": "620",
        "seen": [WHY_FOLD],
        "seen_version": review.version,
        "seen_digest": asked_call(review).digest,
        "form_key": "form-1",
    }
    return fields | changes


def stands(review: Review) -> list[str]:
    """The kinds of the verdicts that count."""
    with as_tenant(review.tenant_id):
        return [verdict.kind for verdict in Verdict.objects.filter(review=review, undone_at=None, cleared_at=None)]


@pytest.fixture
def severe(people: People) -> Review:
    """A refund at tier 3."""
    severe_desk(people)
    return held_review(people, params=SEVERE)


def test_every_fold_that_must_be_opened_is_a_fold_of_the_page(people: People, severe: Review) -> None:
    page = client_of(people.rita).get(f"/reviews/{severe.wire_id}/").content.decode()
    wanted = re.findall(r'name="seen" value="([^"]+)"', page)
    assert wanted == [WHY_FOLD]
    assert f'<details class="more" data-fold="{WHY_FOLD}"' in page


def test_an_old_sign_in_is_asked_for_and_the_panel_comes_back_filled_and_undecided(
    people: People, severe: Review
) -> None:
    client = proven(people.rita, seconds_ago=3 * 3600)
    address = f"/reviews/{severe.wire_id}/"
    sent_away = client.post(f"{address}decide/", severe_form(severe))
    assert sent_away.status_code == 302
    assert sent_away.headers["Location"].startswith("/accounts/reauthenticate/?next=")
    assert f"{severe.wire_id}%2F%3Fresume%3Dapprove" in sent_away.headers["Location"]
    assert stands(severe) == []
    back = proven(people.rita).get(f"{address}?resume=approve").content.decode()
    panel = back.partition('data-panel="approve"')[2].partition("</details>")[0]
    assert panel.partition(">")[0].rstrip().endswith("open")
    assert "Called the customer.</textarea>" in panel
    assert 'value="620"' in panel
    assert re.search(r'value="checked" checked', panel)
    assert re.search(rf'value="{WHY_FOLD}" data-fold-seen[^>]* checked', panel)
    # Nothing is replayed: the person presses again.
    assert stands(severe) == []
    assert proven(people.rita).post(f"{address}decide/", severe_form(severe)).headers["Location"] == address
    assert stands(severe) == ["approve"]


def test_htmx_is_answered_428_beside_the_card_so_that_nothing_typed_is_lost(people: People, severe: Review) -> None:
    response = proven(people.rita, seconds_ago=3600).post(
        f"/reviews/{severe.wire_id}/decide/", severe_form(severe), headers=HTMX
    )
    assert (response.status_code, response.headers["HX-Retarget"]) == (428, "#site-alert")
    assert "fresh sign-in" in response.content.decode()
    with as_tenant(people.tenant.pk):
        assert Draft.objects.get(review=severe).fields["typed"] == ["620"]


def test_denying_at_tier_three_sends_nobody_to_sign_in(people: People, severe: Review) -> None:
    response = proven(people.rita, seconds_ago=30 * 3600).post(
        f"/reviews/{severe.wire_id}/decide/", verdict_of(severe, code="suspicious")
    )
    assert response.headers["Location"] == f"/reviews/{severe.wire_id}/"
    assert stands(severe) == ["deny"]


def test_a_step_left_out_comes_back_422_with_its_sentence_and_all_that_was_typed(
    people: People, severe: Review
) -> None:
    response = proven(people.rita).post(
        f"/reviews/{severe.wire_id}/decide/", severe_form(severe, typed="62.00", seen=[])
    )
    page = response.content.decode()
    assert response.status_code == 422
    assert "This is not the value on the card." in page
    assert "Open every fold first: 1 of them are still closed." in page
    assert 'value="62.00"' in page
    assert "Called the customer.</textarea>" in page


def test_a_double_click_and_the_back_button_show_ones_own_receipt(people: People) -> None:
    enforce_refunds(people)
    review = held_review(people)
    client = client_of(people.rita)
    form = verdict_of(review, form_key="form-7")
    for _ in range(2):
        response = client.post(f"/reviews/{review.wire_id}/decide/", form, headers=HTMX)
        assert response.status_code == 200
        assert "stamp--denied" in response.content.decode()
    assert stands(review) == ["deny"]
    changed = client.post(f"/reviews/{review.wire_id}/decide/", form | {"note": "Another note."})
    assert changed.status_code == 409
    assert "You denied this at" in changed.content.decode()
    assert "Nothing of yours was sent." in changed.content.decode()


def test_two_tabs_of_one_person_decide_once_and_the_other_tab_says_you(people: People) -> None:
    enforce_refunds(people)
    review = held_review(people)
    client = client_of(people.rita)
    client.post(f"/reviews/{review.wire_id}/decide/", verdict_of(review, form_key="tab-1"))
    second = client.post(f"/reviews/{review.wire_id}/decide/", verdict_of(review, "approve", form_key="tab-2"))
    assert second.status_code == 409
    assert "You denied this at" in second.content.decode()


def test_the_card_that_expires_while_it_is_open_keeps_the_draft_and_denies(people: People, noon: Any) -> None:
    enforce_refunds(people, refund_rule(expires_in_seconds=60))
    review = held_review(people)
    client = client_of(people.rita)
    noon.shift(61)
    response = client.post(f"/reviews/{review.wire_id}/decide/", verdict_of(review, "approve", note="My note."))
    page = response.content.decode()
    assert response.status_code == 410
    assert "No one decided in time" in page
    assert "My note." in page
    assert stands(review) == []


def bare(response: Any) -> str:
    """A page without what is new on every load: CSRF tokens and the keys of its forms."""
    text = response.content.decode()
    text = re.sub(r'name="csrfmiddlewaretoken" value="[^"]*"', "", text)
    return re.sub(r'name="form_key" value="[^"]*"', "", text)


def seen_by(people: People, who: str, review: Review) -> dict[str, str]:
    """Everything that somebody is shown of a review: card, strip, queue, in page and in part."""
    client = client_of(getattr(people, who))
    address = f"/reviews/{review.wire_id}/"
    return {
        "card": bare(client.get(address)),
        "part": bare(client.get(address, headers=HTMX)),
        "strip": bare(client.get(f"{address}live/?v=0", headers=HTMX)),
        "queue": bare(client.get("/reviews/?view=all")),
        "mine": bare(client.get("/reviews/?view=mine")),
        "news": bare(client.get("/reviews/?view=all&v=0", headers=HTMX)),
        "decided": bare(client.get("/reviews/?view=decided")),
        "receipt": bare(client.get(f"{address}receipt/")),
        "amend": bare(client.get(f"{address}amend/")),
        "position": "" if who == "otto" else bare(client.get(f"{address}position/")),
        "earlier": bare(client.post(f"{address}earlier/")) if who != "rita" else "",
    }


@pytest.mark.django_db(databases=["default", "audit_reader"])
@pytest.mark.parametrize("who", ["lena", "adam"])
def test_a_second_reviewer_is_shown_no_trace_of_a_first_approval(people: People, noon: Any, who: str) -> None:
    severe_desk(people, tier=4)
    review = held_review(people, params=SEVERE)
    seen_by(people, who, review)  # looking leaves its own entry, once
    before = seen_by(people, who, review)
    stamps = client_of(getattr(people, who)).get(f"/reviews/{review.wire_id}/").context["page"].stamp
    decide(people, review, now=NOON, choice=severe_choice())
    after = seen_by(people, who, review)
    for place in before:
        assert after[place] == before[place], place
    page = client_of(getattr(people, who)).get(f"/reviews/{review.wire_id}/")
    assert page.context["page"].stamp == stamps
    assert "Independent review. You'll see the other verdict after yours." in page.content.decode()
    assert "Rita" not in page.content.decode()


def test_whoever_approved_first_sees_that_another_decides_and_takes_it_back(people: People) -> None:
    severe_desk(people, tier=4)
    review = held_review(people, params=SEVERE)
    client = proven(people.rita)
    client.post(f"/reviews/{review.wire_id}/decide/", severe_form(review))
    page = client.get(f"/reviews/{review.wire_id}/").content.decode()
    assert "Recorded. A second person decides now." in page
    assert 'name="kind"' not in page
    again = client.post(f"/reviews/{review.wire_id}/decide/", severe_form(review, form_key="form-2"))
    assert again.status_code == 409
    assert client.post(f"/reviews/{review.wire_id}/undo/").status_code == 302
    assert stands(review) == []
    assert 'name="kind"' in client.get(f"/reviews/{review.wire_id}/").content.decode()


def test_after_the_second_verdict_both_are_on_the_receipt(people: People) -> None:
    severe_desk(people, tier=4)
    review = held_review(people, params=SEVERE)
    proven(people.rita).post(f"/reviews/{review.wire_id}/decide/", severe_form(review))
    proven(people.lena).post(f"/reviews/{review.wire_id}/decide/", severe_form(review, note="I asked finance."))
    page = client_of(people.rita).get(f"/reviews/{review.wire_id}/").content.decode()
    for words in ("Approval 1", "Approval 2", "You (Rita Reyes)", "Lena Lind", "I asked finance.", "password"):
        assert words in page


def amend_form(**changes: Any) -> dict[str, Any]:
    return {"to:/amount_cents": "120.00", "to:/why": "Less."} | changes


@pytest.mark.parametrize("headers", [{}, HTMX])
def test_an_amendment_goes_from_inputs_to_difference_to_commit(
    people: People, severe: Review, headers: dict[str, str]
) -> None:
    client = proven(people.rita)
    address = f"/reviews/{severe.wire_id}/"
    inputs = client.get(f"{address}amend/", headers=headers).content.decode()
    assert 'name="to:/amount_cents" value="620.00"' in inputs
    assert 'name="to:/invoice_id"' not in inputs
    difference = client.post(f"{address}amend/", amend_form(), headers=headers)
    page = difference.content.decode()
    assert difference.status_code == 200
    for words in ("USD 620.00", "USD 120.00", "no schema to check", "let it run without a person", "Approve"):
        assert words in page
    params = re.search(r'name="params" value="([^"]+)"', page)
    assert params is not None
    posted = severe_form(severe, kind="approve_with_amendments", code="wrong_amount", typed="120.00", seen=[])
    posted["params"] = params[1].replace("&quot;", '"')
    committed = client.post(f"{address}decide/", posted, headers=headers)
    assert committed.status_code == (200 if headers else 302)
    receipt = client.get(address).content.decode()
    for words in ("stamp--amended", "USD 620.00", "USD 120.00", "Approved with another amount."):
        assert words in receipt
    for page in (receipt, client.get(f"{address}receipt/").content.decode()):
        # It never asked for the smaller amount, and the rule held the one that it asked for.
        assert "refund-bot may refund USD 120.00" in text_of(page)
        assert "asked to" not in text_of(page)
        assert "wants to" not in text_of(page)
        assert "USD 120.00 is above" not in text_of(page)
    assert stands(severe) == ["approve_with_amendments"]


def test_an_amendment_that_is_too_wide_comes_back_with_its_sentence_and_the_text(
    people: People, severe: Review
) -> None:
    response = proven(people.rita).post(f"/reviews/{severe.wire_id}/amend/", amend_form(**{"to:/amount_cents": "900"}))
    page = response.content.decode()
    assert response.status_code == 422
    assert "This can only be lowered: between 0 and USD 620.00." in page
    assert 'value="900"' in page
    assert "Less.</textarea>" in page
    assert stands(severe) == []


def test_a_commit_posted_by_hand_with_locked_values_changed_is_refused(people: People, severe: Review) -> None:
    posted = severe_form(severe, kind="approve_with_amendments", code="wrong_amount", typed="120")
    for params in ('{"amount_cents":12000}', '{"amount_cents":12000,"amount_cents":1}', "[1]", "NaN", "{" * 50):
        response = proven(people.rita).post(f"/reviews/{severe.wire_id}/decide/", posted | {"params": params})
        assert response.status_code == 422
    assert stands(severe) == []


def test_an_amendment_comes_back_at_its_difference_after_a_sign_in(people: People, severe: Review) -> None:
    old = proven(people.rita, seconds_ago=3600)
    page = old.post(f"/reviews/{severe.wire_id}/amend/", amend_form()).content.decode()
    params = re.search(r'name="params" value="([^"]+)"', page)
    assert params is not None
    posted = severe_form(severe, kind="approve_with_amendments", code="wrong_amount", typed="120", seen=[])
    posted["params"] = params[1].replace("&quot;", '"')
    sent_away = old.post(f"/reviews/{severe.wire_id}/decide/", posted)
    assert "resume%3Damend" in sent_away.headers["Location"]
    back = proven(people.rita).get(f"/reviews/{severe.wire_id}/?resume=amend").content.decode()
    assert "What you change" in back
    assert "Called the customer.</textarea>" in back
    assert stands(severe) == []


def test_a_draft_is_kept_per_person_and_panel_and_thrown_away_on_demand(people: People, severe: Review) -> None:
    client = client_of(people.rita)
    address = f"/reviews/{severe.wire_id}/"
    saved = client.post(f"{address}draft/", {"panel": "deny", "note": "Half a", "kind": "x"}, headers=HTMX)
    assert "Draft saved" in saved.content.decode()
    assert "Half a</textarea>" in client.get(address).content.decode()
    assert "Half a" not in client_of(people.lena).get(address).content.decode()
    with as_tenant(people.tenant.pk):
        assert Draft.objects.get().fields == {"note": ["Half a"]}
    assert client.post(f"{address}draft/discard/", {"panel": "deny"}).status_code == 302
    assert "Half a" not in client.get(address).content.decode()


@pytest.mark.parametrize("path", ["receipt/", "position/", "amend/", "ask/", "draft/", "draft/discard/"])
def test_another_tenant_finds_nothing_and_a_get_changes_nothing(people: People, severe: Review, path: str) -> None:
    address = f"/reviews/{severe.wire_id}/{path}"
    form = {"panel": "deny", "note": "x", "text": "Why?"} | amend_form()
    assert client_of(people.nia).get(address).status_code in (302, 404)
    if path not in ("receipt/", "position/"):
        assert client_of(people.nia).post(address, form).status_code == 404
        assert client_of(people.otto).post(address, form).status_code == 403
        client_of(people.rita).get(address)
    with as_tenant(people.tenant.pk):
        assert not Draft.objects.exists()
        assert Review.objects.get(pk=severe.pk).question_steps == 0


def test_denying_can_pause_the_agent_in_the_same_step(people: People) -> None:
    enforce_refunds(people)
    review = held_review(people)
    client_of(people.rita).post(f"/reviews/{review.wire_id}/decide/", verdict_of(review, code="suspicious", pause="on"))
    assert stands(review) == ["deny"]
    from policy.models import Freeze

    with as_tenant(people.tenant.pk):
        assert Freeze.objects.get().target == "refund-bot"


def test_a_pause_beside_a_refused_verdict_pauses_nobody(people: People) -> None:
    enforce_refunds(people)
    review = held_review(people)
    decide(people, review, "deny", acting_member=people.lena)
    response = client_of(people.rita).post(
        f"/reviews/{review.wire_id}/decide/", verdict_of(review, code="suspicious", pause="on")
    )
    assert response.status_code == 409
    from policy.models import Freeze

    with as_tenant(people.tenant.pk):
        assert not Freeze.objects.exists()


def test_an_approval_for_later_says_so_and_lasts_a_quarter_of_an_hour(people: People) -> None:
    enforce_refunds(people)
    review = held_review(people)
    with as_tenant(people.tenant.pk):
        Review.objects.filter(pk=review.pk).update(caller_gone_at=datetime.now(UTC) - timedelta(minutes=12))
    client = client_of(people.rita)
    card = client.get(f"/reviews/{review.wire_id}/").content.decode()
    assert "Approve for later: " in card
    assert "Nothing runs unless the agent asks again within 15 min." in card
    client.post(f"/reviews/{review.wire_id}/decide/", verdict_of(review, "approve"))
    with as_tenant(people.tenant.pk):
        grant = Grant.objects.get(review=review)
    assert grant.expires_at - grant.usable_at == timedelta(minutes=15)
    assert "Nothing runs unless it asks again until" in client.get(f"/reviews/{review.wire_id}/").content.decode()


def test_a_run_with_other_params_is_refused_recorded_and_shown(people: People) -> None:
    enforce_refunds(people)
    review = held_review(people)
    decide(people, review)
    with as_tenant(people.tenant.pk):
        grant = Grant.objects.get(review=review)
    with pytest.raises(GrantMismatch):
        executions.start(
            people.caller,
            grant_id=grant.wire_id,
            params=LARGE | {"amount_cents": 99999999},
            idempotency_key="k",
            now=datetime.now(UTC),
        )
    page = client_of(people.lena).get(f"/reviews/{review.wire_id}/").content.decode()
    assert "Somebody tried to run another call with this approval" in page
    assert "notice--danger" in page


@pytest.mark.django_db(databases=["default", "audit_reader"])
def test_the_receipt_prints_on_a_page_of_its_own_with_both_digests(people: People, severe: Review) -> None:
    proven(people.rita).post(f"/reviews/{severe.wire_id}/decide/", severe_form(severe))
    response = client_of(people.otto).get(f"/reviews/{severe.wire_id}/receipt/")
    page = response.content.decode()
    for words in (f"sha256:{severe.call_digest}", "Rita Reyes", "Checked elsewhere", "receipt--print", "tier 3"):
        assert words in page
    assert "no-store" in response.headers["Cache-Control"]
    assert (
        "chain position follows" in client_of(people.otto).get(f"/reviews/{severe.wire_id}/position/").content.decode()
    )
