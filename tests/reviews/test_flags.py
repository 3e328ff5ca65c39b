"""Calling a released verdict a mistake: on the record, under a name, and no change of what was decided."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta

import pytest
from django.core.exceptions import PermissionDenied

from audit.scope import as_tenant
from reviews import flags, precedents
from reviews.errors import FlaggedAlready, InvalidStep, NotFound, NotReleased
from reviews.models import Review, Verdict, VerdictFlag
from tests.factories import decide, enforce_refunds, get, held_review, refund_rule
from tests.people import People
from tests.reviews.chain import bodies
from tests.reviews.test_pages import client_of

NOW = datetime.now(UTC)
NOTE = "The invoice was paid back before."


def release(people: People) -> Review:
    """A refund that Rita approved a minute ago, with no hold."""
    enforce_refunds(people)
    review = held_review(people, now=NOW - timedelta(minutes=2))
    decide(people, review, now=NOW - timedelta(minutes=1))
    return get(people, review.wire_id)


@pytest.fixture
def released(people: People) -> Review:
    """The same, in a test that rolls back."""
    return release(people)


def standing(people: People, review: Review) -> list[VerdictFlag]:
    """The flags on its verdict."""
    with as_tenant(people.tenant.pk):
        return flags.flags_of(Verdict.objects.get(review=review))


def test_a_flag_is_recorded_and_changes_nothing(people: People, released: Review) -> None:
    before = (released.state, released.version, released.ended_at)
    flags.flag(released.wire_id, acting_member=people.lena, note=NOTE, now=NOW)
    after = get(people, released.wire_id)
    assert (after.state, after.version, after.ended_at) == before
    with pytest.raises(FlaggedAlready):
        flags.flag(released.wire_id, acting_member=people.lena, note=NOTE, now=NOW)
    flags.flag(released.wire_id, acting_member=people.otto, note=NOTE, now=NOW)
    assert [flag.member_id for flag in standing(people, released)] == [people.lena.pk, people.otto.pk]


def test_a_flag_is_taken_back_by_who_set_it(people: People, released: Review) -> None:
    flags.flag(released.wire_id, acting_member=people.lena, note=NOTE, now=NOW)
    flags.withdraw(released.wire_id, acting_member=people.adam, now=NOW)
    assert len(standing(people, released)) == 1
    for _ in range(2):
        flags.withdraw(released.wire_id, acting_member=people.lena, now=NOW)
    assert not standing(people, released)
    flags.flag(released.wire_id, acting_member=people.lena, note=NOTE, now=NOW)  # and may think again


def test_both_steps_are_in_the_log_once_and_the_words_are_erasable(committed_people: People) -> None:
    people = committed_people
    review = release(people)
    flags.flag(review.wire_id, acting_member=people.lena, note=NOTE, now=NOW)
    for _ in range(2):
        flags.withdraw(review.wire_id, acting_member=people.lena, now=NOW)
    entries = [body for body in bodies(people.tenant.pk) if str(body["kind"]).startswith("verdict.flag")]
    assert [entry["kind"] for entry in entries] == ["verdict.flagged", "verdict.flag_withdrawn"]
    assert NOTE not in str(entries)


@pytest.mark.parametrize("note", ["", "  too few  ", "x" * 501, "ten or more\x00"])
def test_a_flag_says_what_was_wrong(people: People, released: Review, note: str) -> None:
    with pytest.raises(InvalidStep) as refused:
        flags.flag(released.wire_id, acting_member=people.lena, note=note, now=NOW)
    assert "note" in refused.value.details["errors"]  # type: ignore[operator]  # a mapping of field to sentence


def test_only_a_released_verdict_is_flagged(people: People) -> None:
    enforce_refunds(people, refund_rule(hold_seconds=30))
    waiting = held_review(people, now=NOW)
    held_back = held_review(people, now=NOW)
    decide(people, held_back, now=NOW)
    for review in (waiting, held_back):
        with pytest.raises(NotReleased):
            flags.flag(review.wire_id, acting_member=people.lena, note=NOTE, now=NOW)
    flags.flag(held_back.wire_id, acting_member=people.lena, note=NOTE, now=NOW + timedelta(seconds=31))


def test_who_neither_decides_nor_audits_and_another_tenant_flag_nothing(people: People, released: Review) -> None:
    with pytest.raises(PermissionDenied):
        flags.flag(released.wire_id, acting_member=people.devi, note=NOTE, now=NOW)
    with pytest.raises(NotFound):
        flags.flag(released.wire_id, acting_member=people.nia, note=NOTE, now=NOW)
    with as_tenant(people.other_tenant.pk):
        assert not VerdictFlag.objects.exists()


def test_the_receipt_offers_it_shows_it_and_takes_it_back(people: People, released: Review) -> None:
    lena, at = client_of(people.lena), f"/reviews/{released.wire_id}/"
    assert "Flag as mistake" in lena.get(at).content.decode()
    refused = lena.post(f"{at}flag/", {"note": "short"})
    assert refused.status_code == 422
    assert b"short" in refused.content
    assert b"10 to 500 characters" in refused.content
    lena.post(f"{at}flag/", {"note": "<b>Paid</b> back before."})
    html = lena.get(at).content.decode()
    assert "You call this a mistake" in html
    assert "Lena Lind calls this a mistake" in client_of(people.rita).get(at).content.decode()
    assert "&lt;b&gt;Paid&lt;/b&gt; back before." in html
    assert "Flag as mistake" not in html
    assert lena.get(f"{at}flag/").status_code == 200
    lena.post(f"{at}flag/withdraw/")
    assert "calls this a mistake" not in lena.get(at).content.decode()


def test_the_next_reader_sees_it_beside_earlier_verdicts(people: People, released: Review) -> None:
    flags.flag(released.wire_id, acting_member=people.lena, note=NOTE, now=NOW)
    later = held_review(people, now=NOW + timedelta(seconds=1))
    (found,) = precedents.read_precedents(later.wire_id, acting_member=people.rita, now=NOW + timedelta(seconds=2))
    assert found.is_flagged
    html = client_of(people.rita).post(f"/reviews/{later.wire_id}/earlier/").content.decode()
    assert "Called a mistake since" in html
