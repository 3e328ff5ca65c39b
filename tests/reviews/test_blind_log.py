"""The log is blind too: a first verdict is kept from those who may still give the second."""

from __future__ import annotations

from datetime import UTC, datetime

from django.test import Client

from audit import browse
from audit.scope import as_tenant
from tests.factories import decide, held_review
from tests.people import People
from tests.reviews.severe import SEVERE, severe_choice, severe_desk

NOW = datetime.now(UTC)


def _browser(member: object) -> Client:
    client = Client()
    client.force_login(member.user, backend="allauth.account.auth_backends.AuthenticationBackend")  # type: ignore[attr-defined]
    return client


def test_a_first_verdict_is_in_no_list_of_the_log_until_the_second(committed_people: People) -> None:
    people = committed_people
    severe_desk(people, tier=4, hold_seconds=30)
    review = held_review(people, now=NOW, params=SEVERE)
    first = decide(people, review, now=NOW, choice=severe_choice(), acting_member=people.rita)
    lead, auditor = _browser(people.lena), _browser(people.otto)
    for path in ("/audit/", f"/audit/?review={review.wire_id}", "/audit/?kind=review.decided"):
        assert first.entry_uid not in lead.get(path).content.decode()
        assert "Rita Reyes" not in lead.get(f"/audit/?review={review.wire_id}").content.decode()
        # Who decides nothing reads all of it: somebody must be able to.
        assert first.entry_uid in auditor.get(path).content.decode()
    assert lead.get(f"/audit/entries/{first.entry_uid}/").status_code == 404
    assert "left out here" in lead.get("/audit/").content.decode()
    # Somebody looked at it, and that may be read: of what they looked at it says no more than its id.
    auditor.post(f"/audit/entries/{first.entry_uid}/")
    with as_tenant(people.tenant.pk, using=browse.READER):
        look = browse.entries(people.tenant.pk).get(kind="disclosure.read").uid
    assert f'<span class="mono">{first.entry_uid}</span>' in lead.get(f"/audit/entries/{look}/").content.decode()
    named = f'<a href="/audit/entries/{first.entry_uid}/">'
    assert named in auditor.get(f"/audit/entries/{look}/").content.decode()
    second = decide(people, review, now=NOW, choice=severe_choice(), acting_member=people.lena)
    assert named in lead.get(f"/audit/entries/{look}/").content.decode()
    listed = lead.get("/audit/").content.decode()
    assert first.entry_uid in listed
    assert second.entry_uid in listed
    assert "left out here" not in listed
