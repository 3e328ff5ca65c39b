"""How fresh a sign-in is, that it stands for one change, and that what was typed comes back without being sent."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from typing import Any

import pytest
from allauth.mfa.models import Authenticator
from django.contrib.sessions.backends.db import SessionStore
from django.http import HttpRequest
from django.test import RequestFactory

from tenants import stepup
from tenants.errors import StepUpNeeded
from tests.people import People

NOW = datetime(2026, 11, 20, 12, tzinfo=UTC)


def request_of(people: People, *records: dict[str, Any], **post: str) -> HttpRequest:
    factory = RequestFactory()
    request = factory.post("/policy/flip/?action=a", post) if post else factory.get("/policy/flip/?action=a")
    request.user = people.adam.user
    request.session = SessionStore()
    request.session["account_authentication_methods"] = list(records)
    from allauth.account.internal.flows import login
    from allauth.account.internal.userkit import user_id_to_str

    key = login._AUTHENTICATION_METHODS_USER_SESSION_KEY
    request.session[key] = user_id_to_str(people.adam.user)
    return request


def at(moment: datetime, method: str = "password", **more: Any) -> dict[str, Any]:
    return {"method": method, "at": moment.timestamp(), **more}


def test_the_newest_proof_counts_with_its_method(people: People) -> None:
    older, newer = NOW - timedelta(hours=1), NOW - timedelta(minutes=2)
    found = stepup.evidence_of(request_of(people, at(older), at(newer, "mfa", type="totp")))
    assert found == stepup.Evidence("totp", newer)
    assert found is not None
    assert found.as_fields(NOW) == {"method": "totp", "at_us": int(newer.timestamp()) * 1_000_000, "age_seconds": 120}
    assert stepup.evidence_of(request_of(people)) is None


def test_a_proof_of_somebody_else_in_the_session_is_none(people: People) -> None:
    request = request_of(people, at(NOW))
    request.user = people.rita.user
    assert stepup.evidence_of(request) is None


@pytest.mark.parametrize(("age", "is_fresh"), [(299, True), (300, True), (301, False), (-120, False)])
def test_a_proof_is_fresh_for_five_minutes(age: int, is_fresh: bool) -> None:
    evidence = stepup.Evidence("password", NOW - timedelta(seconds=age))
    if is_fresh:
        assert stepup.require_fresh(evidence, now=NOW) is evidence
    else:
        with pytest.raises(StepUpNeeded):
            stepup.require_fresh(evidence, now=NOW)
    with pytest.raises(StepUpNeeded):
        stepup.require_fresh(None, now=NOW)


def test_a_proof_stands_for_one_change(people: People) -> None:
    request = request_of(people, at(NOW))
    evidence = stepup.evidence_of(request)
    assert evidence is not None
    stepup.spend(request, evidence)
    assert stepup.evidence_of(request) is None
    again = [*request.session["account_authentication_methods"], at(NOW + timedelta(minutes=1))]
    request.session["account_authentication_methods"] = again
    assert stepup.evidence_of(request) == stepup.Evidence("password", NOW + timedelta(minutes=1))


def test_what_was_typed_comes_back_once_on_its_own_page_and_is_never_sent(people: People) -> None:
    request = request_of(people, at(NOW), mode="enforce", reason="A reason.", csrfmiddlewaretoken="secret")
    response = stepup.ask_again(request, now=NOW)
    assert response["Location"] == "/accounts/reauthenticate/?next=%2Fpolicy%2Fflip%2F%3Faction%3Da"
    assert "account_reauthentication_state" not in request.session  # nothing for allauth to replay
    elsewhere = RequestFactory().get("/policy/flip/")
    elsewhere.session = request.session
    assert stepup.kept_draft(elsewhere, now=NOW) is None
    back = RequestFactory().get("/policy/flip/?action=a")
    back.session = request.session
    draft = stepup.kept_draft(back, now=NOW)
    assert draft is not None
    assert draft.dict() == {"mode": "enforce", "reason": "A reason."}
    assert stepup.kept_draft(back, now=NOW) is None


def test_an_old_draft_is_dropped(people: People) -> None:
    request = request_of(people, at(NOW), mode="enforce")
    stepup.ask_again(request, now=NOW)
    assert stepup.kept_draft(request, now=NOW + timedelta(hours=1)) is None


def test_a_proof_of_the_identity_provider_counts(people: People) -> None:
    found = stepup.evidence_of(request_of(people, at(NOW, "socialaccount", provider="company", uid="x")))
    assert found == stepup.Evidence("oidc", NOW)


def factor(people: People, kind: str) -> None:
    """Adam has a second factor."""
    Authenticator.objects.create(user=people.adam.user, type=kind, data={})


@pytest.mark.parametrize("kind", ["totp", "webauthn"])
def test_a_password_does_not_stand_in_for_the_second_factor_that_a_person_has(people: People, kind: str) -> None:
    factor(people, kind)
    older, newer = NOW - timedelta(minutes=20), NOW - timedelta(minutes=1)
    request = request_of(people, at(older, "mfa", type=kind), at(newer))
    evidence = stepup.strong_evidence_of(request)
    assert evidence == stepup.Evidence(kind, older)
    with pytest.raises(StepUpNeeded):
        stepup.require_fresh(evidence, now=NOW, within=stepup.FRESH_FOR_VERDICT)
    assert stepup.evidence_of(request) == stepup.Evidence("password", newer)
    assert stepup.strong_evidence_of(request_of(people, at(newer))) is None


def test_a_recovery_code_is_as_strong_as_what_it_stands_in_for(people: People) -> None:
    factor(people, "totp")
    request = request_of(people, at(NOW, "mfa", type="recovery_codes"))
    assert stepup.strong_evidence_of(request) == stepup.Evidence("recovery_codes", NOW)


def test_without_a_second_factor_the_password_is_the_strongest_proof(people: People) -> None:
    # Recovery codes alone open nothing: allauth deletes them with the last factor.
    factor(people, "recovery_codes")
    assert stepup.strong_evidence_of(request_of(people, at(NOW))) == stepup.Evidence("password", NOW)


def test_a_strong_question_offers_no_password_to_whom_it_would_not_help(people: People) -> None:
    factor(people, "totp")
    request = request_of(people, at(NOW), verdict="approve")
    assert stepup.ask_again(request, now=NOW, strong=True)["Location"].startswith("/accounts/2fa/reauthenticate/?")
    assert stepup.wants_strong(request)
    stepup.ask_again(request, now=NOW)
    assert not stepup.wants_strong(request)


def test_htmx_gets_a_notice_with_the_link_and_keeps_its_page(people: People) -> None:
    request = request_of(people, at(NOW - timedelta(hours=3)), note="Long thoughts.")
    request.META["HTTP_HX_REQUEST"] = "true"
    response = stepup.ask_again(request, now=NOW, came_back_to="/reviews/r-1/?resume=decide")
    assert response.status_code == 428
    assert (response["HX-Retarget"], response["HX-Reswap"]) == ("#site-alert", "innerHTML show:top")
    page = response.content.decode()
    assert 'href="/accounts/reauthenticate/?next=%2Freviews%2Fr-1%2F%3Fresume%3Ddecide"' in page
    assert "Your draft is saved" in page
    assert "2026-11-20T09:00:00Z" in page, "when the last proof was"
    assert "<html" not in page


def test_a_draft_posted_elsewhere_comes_back_on_the_page_that_shows_its_form(people: People) -> None:
    request = request_of(people, at(NOW), note="Long thoughts.")
    stepup.ask_again(request, now=NOW, came_back_to="/reviews/r-1/?resume=decide")
    back = RequestFactory().get("/reviews/r-1/?resume=decide")
    back.session = request.session
    draft = stepup.kept_draft(back, now=NOW)
    assert draft is not None
    assert draft.dict() == {"note": "Long thoughts."}
    stepup.ask_again(request, now=NOW, came_back_to="/reviews/r-1/")
    assert stepup.kept_draft(back, now=NOW) is None
    assert stepup.kept_draft(back, now=NOW, came_back_to="/reviews/r-1/") is not None
