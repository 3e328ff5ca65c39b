"""The value behind the dots: who may open it, what it takes, what it leaves on the record."""

from __future__ import annotations

import re
import time
from typing import Any

import pytest
from django.test import Client

from audit.models import Entry, StoredDisclosure
from audit.scope import as_tenant
from reviews.models import Review
from tenants.models import Member
from tests.factories import LARGE, enforce_refunds, held_review
from tests.people import People
from tests.reviews.chain import bodies

SECRET = "sk_live_abcdefghijkl0123"


def signed_in(member: Member, *, ago: int = 0) -> Client:
    client = Client()
    client.force_login(member.user, backend="allauth.account.auth_backends.AuthenticationBackend")
    session = client.session
    session["account_authentication_methods"] = [{"method": "password", "at": time.time() - ago}]
    session["account_authentication_methods_user"] = session["_auth_user_id"]
    session.save()
    return client


@pytest.fixture
def review(people: People) -> Review:
    """A call that carries a secret in its params and one in its context."""
    enforce_refunds(people)
    return held_review(
        people,
        params=LARGE | {"api_key": SECRET, "nested": {"password": "hunter2-hunter2"}},
        user_context={"user_id": "u_9", "session_token": "tok_0123456789abcdef"},
    )


def post(client: Client, review: Review, pointer: str = "/api_key", document: str = "params") -> Any:
    return client.post(f"/reviews/{review.wire_id}/reveal/", {"pointer": pointer, "document": document})


def test_an_auditor_who_just_signed_in_sees_the_value_once(people: People, review: Review) -> None:
    client = signed_in(people.otto)
    card = client.get(f"/reviews/{review.wire_id}/").content.decode()
    assert SECRET not in card
    assert "hunter2" not in card
    assert "Show once, on the record" in card
    shown = post(client, review)
    assert shown.status_code == 200
    assert SECRET in shown.content.decode()
    assert "no-store" in shown.headers["Cache-Control"]
    assert "hunter2-hunter2" in post(client, review, "/nested/password").content.decode()
    assert "tok_0123456789abcdef" in post(client, review, "/session_token", "user_context").content.decode()
    assert SECRET not in client.get(f"/reviews/{review.wire_id}/").content.decode()


@pytest.mark.parametrize("who", ["rita", "lena", "devi"])
def test_who_may_not_read_stored_values_is_refused_and_gets_no_button(people: People, review: Review, who: str) -> None:
    client = signed_in(getattr(people, who))
    answer = post(client, review)
    assert answer.status_code == 403
    assert SECRET not in answer.content.decode()
    card = client.get(f"/reviews/{review.wire_id}/").content.decode()
    assert SECRET not in card
    assert "Show once" not in card


def test_the_raw_call_stays_masked_for_everybody(people: People, review: Review) -> None:
    for member in (people.rita, people.otto, people.adam):
        card = signed_in(member).get(f"/reviews/{review.wire_id}/").content.decode()
        raw = re.search(r'<pre class="raw".*?</pre>', card, re.DOTALL)
        assert raw is not None
        assert "api_key" in raw.group()
        assert not any(secret in card for secret in (SECRET, "hunter2", "tok_0123456789abcdef"))


def test_another_tenants_secret_is_404(people: People, review: Review) -> None:
    answer = post(signed_in(people.nia), review)
    assert answer.status_code == 404
    assert SECRET not in answer.content.decode()


def test_an_old_sign_in_is_asked_again_and_nothing_is_shown(people: People, review: Review) -> None:
    answer = post(signed_in(people.otto, ago=301), review)
    assert answer.status_code == 302
    assert "/reauthenticate/" in answer.headers["Location"]
    assert f"/reviews/{review.wire_id}/" in answer.headers["Location"].replace("%2F", "/")
    assert post(signed_in(people.otto, ago=240), review).status_code == 200


@pytest.mark.parametrize(
    ("pointer", "document"),
    [
        ("/invoice_id", "params"),
        ("/api_key", "user_context"),
        ("", "params"),
        ("/none", "params"),
        ("/api_key", "hits"),
    ],
)
def test_only_what_the_card_masks_can_be_opened(people: People, review: Review, pointer: str, document: str) -> None:
    assert post(signed_in(people.otto), review, pointer, document).status_code == 404


def test_a_get_reveals_nothing(people: People, review: Review) -> None:
    answer = signed_in(people.otto).get(f"/reviews/{review.wire_id}/reveal/?pointer=/api_key&document=params")
    assert answer.status_code == 302
    assert answer.headers["Location"] == f"/reviews/{review.wire_id}/"


def test_opening_is_an_entry_that_names_no_value_and_the_place_only_as_a_disclosure(committed_people: People) -> None:
    people = committed_people
    enforce_refunds(people)
    review = held_review(people, params=LARGE | {"api_key": SECRET})
    assert post(signed_in(people.otto), review).status_code == 200
    body = bodies(people.tenant.pk)[-1]
    assert body["kind"] == "review.secret_revealed"
    assert body["actor"] == {"type": "member", "id": str(people.otto.pk)}
    assert body["review"] == {"id": review.wire_id}
    assert body["auth"]["method"] == "password"
    assert "api_key" not in str(body)
    with as_tenant(people.tenant.pk, using="audit_reader"):
        entry = Entry.objects.using("audit_reader").get(uid=body["id"])
        stored = StoredDisclosure.objects.using("audit_reader").filter(entry_id=entry.pk)
        values = [bytes(row.ciphertext).decode() for row in stored]
    assert len(values) == 1
    assert '"/api_key"' in values[0]
    assert SECRET not in values[0]
    # Refused ones leave nothing behind.
    before = len(bodies(people.tenant.pk))
    post(signed_in(people.rita), review)
    post(signed_in(people.otto, ago=301), review)
    assert len(bodies(people.tenant.pk)) == before
