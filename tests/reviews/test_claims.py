"""Claims: the lease, taking the next, taking over, skipping, putting off."""

from __future__ import annotations

from concurrent.futures import ThreadPoolExecutor
from datetime import UTC, datetime, timedelta

import pytest
from django.core.exceptions import PermissionDenied
from django.db import connections

from audit.scope import as_tenant
from reviews import claims, snoozes
from reviews.errors import ClaimedByOther, Expired, InvalidStep, NotFound, OwnRequest, TooManyClaims
from reviews.models import Review, Snooze, TakeOver
from reviews.queue_rows import Wanted
from tenants.models import Member
from tests.factories import enforce_refunds, get, held_review, refund_rule
from tests.people import People
from tests.reviews.chain import bodies
from tests.reviews.test_pages import client_of
from tests.reviews.test_routing import colleague, decide_first, team

ALL = Wanted()


def take(member: Member, *, now: datetime | None = None, wanted: Wanted = ALL) -> Review | None:
    """What *Take next* gives the member."""
    return claims.take_next(acting_member=member, wanted=wanted, now=now or datetime.now(UTC))


def stamp(review: Review, **changes: object) -> None:
    """Change columns of a review as time would."""
    with as_tenant(review.tenant_id):
        Review.objects.filter(pk=review.pk).update(**changes)


def test_a_renewed_lease_lasts_and_is_recorded_once(committed_people: People) -> None:
    people = committed_people
    enforce_refunds(people)
    review, now = held_review(people), datetime.now(UTC)
    for minute in range(10):
        later = now + timedelta(minutes=4 * minute)
        held = claims.claim(review.wire_id, acting_member=people.rita, now=later, lease=claims.LEASE)
        assert held.claimed_until == later + timedelta(minutes=5)
    kinds = [body["kind"] for body in bodies(people.tenant.pk)]
    assert kinds.count("review.claimed") == 1


def test_a_lease_never_outlasts_the_review(people: People) -> None:
    enforce_refunds(people)
    review = held_review(people)
    near = review.expires_at - timedelta(minutes=1)
    assert claims.claim(review.wire_id, acting_member=people.rita, now=near).claimed_until == review.expires_at
    with pytest.raises(Expired):
        claims.claim(review.wire_id, acting_member=people.rita, now=review.expires_at)


def test_a_person_holds_five_at_most_by_any_door(people: People) -> None:
    enforce_refunds(people)
    reviews = [held_review(people) for _ in range(7)]
    for review in reviews[:3]:
        claims.claim(review.wire_id, acting_member=people.rita, now=datetime.now(UTC))
    assert take(people.rita)
    assert take(people.rita)
    with pytest.raises(TooManyClaims):
        take(people.rita)
    with pytest.raises(TooManyClaims):
        claims.claim(reviews[6].wire_id, acting_member=people.rita, now=datetime.now(UTC))
    # Keeping what one has is no sixth.
    claims.claim(reviews[0].wire_id, acting_member=people.rita, now=datetime.now(UTC))
    response = client_of(people.rita).post("/reviews/next/", follow=True)
    assert "You hold five reviews already." in response.content.decode()


def test_take_next_goes_by_deadline_then_tier_then_age(people: People) -> None:
    enforce_refunds(people)
    old, urgent, severe, young = (held_review(people) for _ in range(4))
    due = datetime.now(UTC) + timedelta(minutes=30)
    for review, changes in ((old, {}), (severe, {"tier": 3}), (young, {})):
        stamp(review, due_at=due, **changes)
    stamp(urgent, due_at=due - timedelta(minutes=10))
    stamp(old, created_at=datetime.now(UTC) - timedelta(hours=1))
    assert [take(people.rita) for _ in range(5)] == [urgent, severe, old, young, None]


def test_take_next_gives_nobody_what_they_cannot_decide(people: People) -> None:
    enforce_refunds(people)
    bo = colleague(people)
    team(people, "finance", bo)
    own, routed, copy_leader, claimed, fine = (held_review(people) for _ in range(5))
    base = datetime.now(UTC) + timedelta(minutes=5)
    for minute, review in enumerate((own, routed, copy_leader, claimed, fine)):
        stamp(review, due_at=base + timedelta(minutes=minute))
    stamp(own, user_context_text='{"email": "RITA@demo.example"}')
    stamp(routed, team="finance")
    stamp(copy_leader, copy_of=fine)
    claims.claim(claimed.wire_id, acting_member=people.lena, now=datetime.now(UTC))
    assert take(people.rita) == fine
    assert take(people.rita) is None
    assert take(bo) == own
    assert take(bo) == routed
    with as_tenant(people.tenant.pk):
        people.agent.owner = bo
        people.agent.save(update_fields=["owner"])
    claims.release(routed.wire_id, acting_member=bo, now=datetime.now(UTC))
    assert take(bo) is None
    with pytest.raises(PermissionDenied):
        take(people.otto)
    assert take(people.nia) is None


def test_ones_own_first_approval_hides_a_review_from_oneself_alone(people: People) -> None:
    enforce_refunds(people, refund_rule(tier=4))
    review = held_review(people)
    before = client_of(people.lena).get("/reviews/")
    decide_first(people, review)
    after = client_of(people.lena).get("/reviews/")
    assert after.context["stamp"] == before.context["stamp"]
    assert after.context["rows"][0].who == before.context["rows"][0].who == "free"
    assert take(people.rita) is None
    mine = client_of(people.rita).get("/reviews/")
    assert review.wire_id not in mine.content.decode()
    held = client_of(people.rita).get("/reviews/?view=mine").content.decode()
    assert "you approved; a second person decides" in held
    assert take(people.lena) == review


def test_take_next_stays_within_the_filters(people: People) -> None:
    enforce_refunds(people)
    first, severe = held_review(people), held_review(people)
    stamp(severe, tier=3)
    assert take(people.rita, wanted=Wanted(tier=3)) == severe
    assert take(people.rita, wanted=Wanted(agent="nobody")) is None
    response = client_of(people.lena).post("/reviews/next/?tier=3")
    assert response.headers["Location"] == "/reviews/?tier=3"
    assert take(people.lena, wanted=Wanted(view="mine")) == first


def test_two_who_take_next_at_once_never_get_the_same(committed_people: People) -> None:
    people = committed_people
    enforce_refunds(people)
    reviews = {held_review(people).pk for _ in range(12)}
    members = [people.rita, people.lena, people.adam, colleague(people)]

    def grab(member: Member) -> list[object]:
        found: list[object] = []
        try:
            for _ in range(3):
                review = take(member)
                found.append(review.pk if review else None)
        finally:
            connections.close_all()
        return found

    with ThreadPoolExecutor(max_workers=4) as pool:
        taken = [pk for found in pool.map(grab, members) for pk in found]
    assert len(taken) == 12
    assert set(taken) == reviews


def test_two_tabs_of_one_person_do_not_pass_the_limit_together(committed_people: People) -> None:
    people = committed_people
    enforce_refunds(people)
    for _ in range(10):
        held_review(people)

    def grab(_: int) -> bool:
        try:
            return take(people.rita) is not None
        except TooManyClaims:
            return False
        finally:
            connections.close_all()

    with ThreadPoolExecutor(max_workers=4) as pool:
        assert sum(pool.map(grab, range(8))) == claims.CLAIMS_PER_MEMBER


def test_a_take_over_needs_an_idle_holder_or_a_lead_and_a_reason(committed_people: People) -> None:
    people = committed_people
    enforce_refunds(people)
    review, now = held_review(people), datetime.now(UTC)
    bo = colleague(people)
    claims.claim(review.wire_id, acting_member=people.rita, now=now)
    with pytest.raises(ClaimedByOther):
        claims.take_over(review.wire_id, acting_member=bo, reason="She left.", now=now + timedelta(seconds=59))
    idle = now + timedelta(seconds=60)
    for reason in ("", "  \n ", "x" * 201):
        with pytest.raises(InvalidStep):
            claims.take_over(review.wire_id, acting_member=bo, reason=reason, now=idle)
    claims.take_over(review.wire_id, acting_member=bo, reason="She  left.", now=idle)
    # A lead needs no idling, and the first holder is told of the last who took it from them alone.
    claims.take_over(review.wire_id, acting_member=people.lena, reason="Urgent.", now=idle)
    with as_tenant(people.tenant.pk):
        row = get(people, review.wire_id)
        assert [(t.from_member, t.by, t.reason) for t in TakeOver.objects.all()] == [
            (people.rita, bo, "She left."),
            (bo, people.lena, "Urgent."),
        ]
        told = claims.taken_from(row, bo)
        assert told is not None
        assert (told.by, told.reason) == (people.lena, "Urgent.")
        assert claims.taken_from(row, people.rita) is None
        assert claims.taken_from(row, people.lena) is None
    entries = [body for body in bodies(people.tenant.pk) if body["kind"] == "review.claimed"]
    assert [body["taken_over"] for body in entries] == [False, True, True]
    assert entries[1]["from_member"] == str(people.rita.pk)
    assert "She left." not in str(entries)


def test_the_holder_is_told_by_the_next_tick(people: People) -> None:
    enforce_refunds(people)
    review, now = held_review(people), datetime.now(UTC)
    claims.claim(review.wire_id, acting_member=people.rita, now=now)
    stamped = client_of(people.rita).get(f"/reviews/{review.wire_id}/").context["page"].stamp
    claims.take_over(review.wire_id, acting_member=people.lena, reason="I know <b>her</b>.", now=now)
    tick = client_of(people.rita).get(f"/reviews/{review.wire_id}/live/?v={stamped}", headers={"HX-Request": "true"})
    assert tick.status_code == 200
    assert "Lena Lind took your claim over:" in tick.content.decode()
    assert "I know &lt;b&gt;her&lt;/b&gt;." in tick.content.decode()


def test_nobody_takes_over_their_own_request_or_another_tenants(people: People) -> None:
    enforce_refunds(people)
    review, now = held_review(people, user_context={"email": "lena@demo.example", "plan": "pro"}), datetime.now(UTC)
    claims.claim(review.wire_id, acting_member=people.rita, now=now)
    with pytest.raises(OwnRequest):
        claims.take_over(review.wire_id, acting_member=people.lena, reason="Mine.", now=now)
    with pytest.raises(NotFound):
        claims.take_over(review.wire_id, acting_member=people.nia, reason="Mine.", now=now)
    assert get(people, review.wire_id).claimed_by == people.rita


def test_skipping_gives_the_claim_back_and_the_next_is_another(committed_people: People) -> None:
    people = committed_people
    enforce_refunds(people)
    first, second = held_review(people), held_review(people)
    assert take(people.rita) == first
    with pytest.raises(InvalidStep):
        snoozes.skip(first.wire_id, acting_member=people.rita, code="bored", now=datetime.now(UTC))
    snoozes.skip(first.wire_id, acting_member=people.rita, code="unsure", now=datetime.now(UTC))
    assert get(people, first.wire_id).claimed_by is None
    assert take(people.rita) == second
    assert take(people.lena) == first
    kinds = [(body["kind"], body.get("code")) for body in bodies(people.tenant.pk)]
    assert ("review.skipped", "unsure") in kinds
    with pytest.raises(ClaimedByOther):
        snoozes.skip(first.wire_id, acting_member=people.rita, code="unsure", now=datetime.now(UTC))


def test_a_snooze_is_at_most_half_of_the_time_left_and_for_oneself_alone(people: People) -> None:
    enforce_refunds(people)
    review, now = held_review(people), datetime.now(UTC)
    stamp(review, due_at=now + timedelta(minutes=20))
    with pytest.raises(InvalidStep, match="something is missing") as refusal:
        snoozes.snooze(review.wire_id, acting_member=people.rita, minutes=11, now=now)
    assert refusal.value.details["errors"] == {"minutes": "Choose at most 10 min: half of the time that is left."}
    snoozes.snooze(review.wire_id, acting_member=people.rita, minutes=10, now=now)
    # Again replaces it: half of half the time is not added up.
    snoozes.snooze(review.wire_id, acting_member=people.rita, minutes=5, now=now)
    with as_tenant(people.tenant.pk):
        assert [row.until for row in Snooze.objects.all()] == [now + timedelta(minutes=5)]
    assert review.wire_id not in client_of(people.rita).get("/reviews/").content.decode()
    assert review.wire_id in client_of(people.rita).get("/reviews/?view=snoozed").content.decode()
    assert review.wire_id in client_of(people.lena).get("/reviews/").content.decode()
    assert take(people.rita) is None
    assert take(people.rita, now=now + timedelta(minutes=5)) == review


def test_a_snooze_has_no_length_at_the_very_end_and_comes_back_when_woken(people: People) -> None:
    enforce_refunds(people)
    review = held_review(people)
    near = review.expires_at - timedelta(seconds=90)
    stamp(review, due_at=review.expires_at - timedelta(minutes=10))
    with pytest.raises(InvalidStep) as refusal:
        snoozes.snooze(review.wire_id, acting_member=people.rita, minutes=1, now=near)
    assert refusal.value.details["errors"] == {"minutes": "It is due too soon."}
    now = datetime.now(UTC)
    snoozes.snooze(review.wire_id, acting_member=people.rita, minutes=5, now=now)
    snoozes.wake(review.wire_id, acting_member=people.lena)
    assert take(people.rita) is None
    snoozes.wake(review.wire_id, acting_member=people.rita)
    assert take(people.rita) == review
