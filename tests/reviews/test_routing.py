"""Who may decide what: teams, assigned people, leads; and handing a review on."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta

import pytest
from django.core.exceptions import PermissionDenied
from django.test import Client

from audit.scope import as_tenant
from reviews import claims, routing
from reviews.access import access_review_to_decide, access_review_to_view
from reviews.errors import AlreadyDecided, ClaimedByOther, Expired, InvalidStep, NotFound, NotYourTeam, OwnRequest
from reviews.handing_on import hand_on
from reviews.models import Escalation, Review, Verdict
from tenants.members import add_member
from tenants.models import Member, Team, TeamMembership
from tenants.teams import uses_of
from tests.factories import decide, enforce_refunds, get, held_review, refund_rule
from tests.people import PASSWORD, People
from tests.reviews.test_pages import client_of


def team(people: People, slug: str, *members: Member) -> Team:
    """A team with these members."""
    with as_tenant(people.tenant.pk):
        row = Team.objects.create(tenant=people.tenant, slug=slug, name=slug.capitalize())
        for member in members:
            TeamMembership.objects.create(tenant=people.tenant, team=row, member=member)
    return row


def colleague(people: People, name: str = "bo", role: str = "reviewer") -> Member:
    """Another member of the tenant."""
    return add_member(
        people.tenant, email=f"{name}@demo.example", name=name.capitalize(), roles=[role], password=PASSWORD
    )


@pytest.fixture
def review(people: People) -> Review:
    """A refund that is held for finance."""
    enforce_refunds(people, refund_rule(team="finance"))
    return held_review(people)


def test_a_review_for_a_team_is_decided_by_its_members_and_leads(people: People, review: Review) -> None:
    bo = colleague(people)
    team(people, "finance", bo)
    with as_tenant(people.tenant.pk):
        assert access_review_to_decide(bo, review.wire_id) == review
        assert access_review_to_decide(people.lena, review.wire_id) == review
        assert access_review_to_decide(people.adam, review.wire_id) == review
        with pytest.raises(NotYourTeam, match="Finance and leads decide it"):
            access_review_to_decide(people.rita, review.wire_id)
        assert access_review_to_view(people.rita, review.wire_id) == review


@pytest.mark.parametrize("staffing", ["unknown", "empty", "inactive", "cannot decide"])
def test_a_team_in_which_nobody_can_decide_routes_nothing(people: People, review: Review, staffing: str) -> None:
    if staffing == "empty":
        team(people, "finance")
    elif staffing == "inactive":
        bo = colleague(people)
        team(people, "finance", bo)
        with as_tenant(people.tenant.pk):
            Member.objects.filter(pk=bo.pk).update(is_active=False)
    elif staffing == "cannot decide":
        team(people, "finance", people.otto)
    with as_tenant(people.tenant.pk):
        assert access_review_to_decide(people.rita, review.wire_id) == review


def test_another_teams_review_is_not_claimed_and_not_decided_by_any_door(people: People, review: Review) -> None:
    team(people, "finance", colleague(people))
    now = datetime.now(UTC)
    with pytest.raises(NotYourTeam):
        claims.claim(review.wire_id, acting_member=people.rita, now=now)
    with pytest.raises(NotYourTeam):
        decide(people, review)
    with pytest.raises(NotYourTeam):
        hand_on(review.wire_id, acting_member=people.rita, to_member=str(people.lena.pk), code="unsure", now=now)
    page = client_of(people.rita).get(f"/reviews/{review.wire_id}/")
    assert page.status_code == 200
    assert "This is for Finance" in page.content.decode()
    assert client_of(people.rita).post(f"/reviews/{review.wire_id}/claim/").status_code == 403
    assert get(people, review.wire_id).state == "open"


def test_the_condition_on_rows_says_the_same_as_the_check_of_one(people: People) -> None:
    bo = colleague(people)
    enforce_refunds(people)
    plain, finance, legal, assigned = (held_review(people) for _ in range(4))
    team(people, "finance", people.rita)
    team(people, "legal", bo)
    with as_tenant(people.tenant.pk):
        Review.objects.filter(pk=finance.pk).update(team="finance")
        Review.objects.filter(pk=legal.pk).update(team="legal")
        Review.objects.filter(pk=assigned.pk).update(team="finance", assigned_to=bo)
        for member in (people.rita, people.lena, bo, people.adam):
            reach = routing.reach_of(member)
            rows = set(Review.objects.filter(reach.condition()))
            assert rows == {row for row in Review.objects.all() if reach.covers(row)}
            assert rows == {row for row in Review.objects.all() if routing.may_decide(member, row)}
        assert set(Review.objects.filter(routing.reach_of(people.rita).condition())) == {plain, finance}
        assert set(Review.objects.filter(routing.reach_of(bo).condition())) == {plain, legal, assigned}


def test_what_waits_for_a_team_is_counted_until_it_is_decided(people: People) -> None:
    enforce_refunds(people)
    one, other, _ = (held_review(people) for _ in range(3))
    with as_tenant(people.tenant.pk):
        Review.objects.filter(pk__in=[one.pk, other.pk]).update(team="finance")
        assert "2 waiting calls" in uses_of(people.tenant.pk, "finance")
        Review.objects.filter(pk=one.pk).update(state="expired")
        assert "1 waiting call" in uses_of(people.tenant.pk, "finance")
        assert uses_of(people.tenant.pk, "legal") == []


def test_handing_on_to_a_person_ends_the_claim_and_leaves_the_clock(people: People, review: Review) -> None:
    bo = colleague(people)
    now = datetime.now(UTC)
    claims.claim(review.wire_id, acting_member=people.rita, now=now)
    step = hand_on(
        review.wire_id, acting_member=people.rita, to_member=str(bo.pk), code="needs_expert", note="VAT?", now=now
    )
    after = get(people, review.wire_id)
    assert (after.assigned_to, after.claimed_by, after.due_at) == (bo, None, review.due_at)
    assert (step.by, step.to_member, step.code, step.note) == (people.rita, bo, "needs_expert", "VAT?")
    assert after.version == review.version
    with pytest.raises(NotYourTeam, match="Bo and leads"):
        claims.claim(review.wire_id, acting_member=people.rita, now=now)
    assert claims.claim(review.wire_id, acting_member=bo, now=now).claimed_by == bo


def test_handing_on_to_a_team_takes_the_copies_along(people: People, review: Review) -> None:
    leader = held_review(people, run_id="run_copies")
    copy = held_review(people, run_id="run_copies")
    assert copy.copy_of_id == leader.pk
    team(people, "legal", colleague(people))
    hand_on(leader.wire_id, acting_member=people.rita, to_team="legal", code="not_mine", now=datetime.now(UTC))
    assert get(people, copy.wire_id).team == "legal"


def test_a_review_is_handed_only_to_somebody_who_may_decide_it(people: People, review: Review) -> None:
    def refused(**target: str) -> str:
        with pytest.raises(InvalidStep) as refusal:
            hand_on(review.wire_id, acting_member=people.rita, code="unsure", now=datetime.now(UTC), **target)
        return str(refusal.value.details["errors"])

    assert "cannot decide" in refused(to_member=str(people.otto.pk))
    assert "cannot decide" in refused(to_member=str(people.nia.pk))
    assert "cannot decide" in refused(to_member="nobody")
    assert "That is you" in refused(to_member=str(people.rita.pk))
    assert "Nobody in that team" in refused(to_team="finance")
    assert "team or a person" in refused()
    assert "team or a person" in refused(to_team="finance", to_member=str(people.lena.pk))
    with as_tenant(people.tenant.pk):
        assert not Escalation.objects.exists()
        people.agent.owner = people.lena
        people.agent.save(update_fields=["owner"])
    assert "answers for the agent" in refused(to_member=str(people.lena.pk))


def test_nobody_hands_on_their_own_request_nor_chooses_who_is_second(people: People) -> None:
    enforce_refunds(people, refund_rule(tier=4))
    own = held_review(people, user_context={"email": "rita@demo.example", "plan": "pro"})
    now = datetime.now(UTC)
    with pytest.raises(OwnRequest):
        hand_on(own.wire_id, acting_member=people.rita, to_member=str(people.lena.pk), code="unsure", now=now)
    other = held_review(people)
    decide_first(people, other)
    with pytest.raises(AlreadyDecided, match="approved this already"):
        hand_on(other.wire_id, acting_member=people.rita, to_member=str(people.lena.pk), code="unsure", now=now)


def decide_first(people: People, review: Review) -> None:
    """Rita's approval, which waits for a second person's; the row itself as a first approval leaves it."""
    with as_tenant(people.tenant.pk):
        Verdict.objects.create(
            tenant=people.tenant,
            review=review,
            member=people.rita,
            kind="approve",
            code="looks_right",
            seen_version=review.version,
            call_digest=review.call_digest,
            entry_uid=review.entry_uid,
            release_at=datetime.now(UTC),
        )


def test_only_the_holder_or_a_lead_hands_on_what_is_claimed(people: People, review: Review) -> None:
    bo, now = colleague(people), datetime.now(UTC)
    claims.claim(review.wire_id, acting_member=people.rita, now=now)
    with pytest.raises(ClaimedByOther):
        hand_on(review.wire_id, acting_member=bo, to_member=str(people.lena.pk), code="unsure", now=now)
    hand_on(review.wire_id, acting_member=people.lena, to_member=str(bo.pk), code="unsure", now=now)
    assert get(people, review.wire_id).assigned_to == bo


def test_the_form_hands_on_and_a_refusal_keeps_what_was_typed(people: People, review: Review) -> None:
    address = f"/reviews/{review.wire_id}/hand-on/"
    client = client_of(people.rita)
    refused = client.post(address, {"to": f"member:{people.lena.pk}", "code": "other", "note": ""})
    assert refused.status_code == 422
    assert "Say why, in a few words." in refused.content.decode()
    kept = client.post(address, {"to": "", "code": "unsure", "note": "typed <b>here</b>"})
    assert kept.status_code == 422
    assert "typed &lt;b&gt;here&lt;/b&gt;" in kept.content.decode()
    assert client.get(address).headers["Location"] == f"/reviews/{review.wire_id}/"
    done = client.post(address, {"to": f"member:{people.lena.pk}", "code": "unsure", "note": ""})
    assert (done.status_code, done.headers["Location"]) == (302, "/reviews/")
    part = client_of(people.lena).post(
        address, {"to": f"member:{people.rita.pk}", "code": "unsure"}, headers={"HX-Request": "true"}
    )
    assert part.headers["HX-Redirect"] == "/reviews/"


@pytest.mark.parametrize("path", ["more/", "hand-on/", "snooze/", "skip/", "wake/"])
def test_another_tenant_and_who_only_reads_get_nowhere(people: People, review: Review, path: str) -> None:
    address = f"/reviews/{review.wire_id}/{path}"
    typed = {"to": f"member:{people.lena.pk}", "code": "unsure", "minutes": "5"}
    assert client_of(people.nia).post(address, typed).status_code == 404
    assert client_of(people.otto).post(address, typed).status_code == 403
    assert Client().post(address, typed).status_code == 401
    after = get(people, review.wire_id)
    assert (after.assigned_to, after.claimed_by) == (None, None)
    with pytest.raises(NotFound):
        hand_on(review.wire_id, acting_member=people.nia, to_team="x", code="unsure", now=datetime.now(UTC))
    with pytest.raises(PermissionDenied):
        hand_on(review.wire_id, acting_member=people.otto, to_team="x", code="unsure", now=datetime.now(UTC))


def test_an_expired_review_is_not_handed_on(people: People, review: Review) -> None:
    later = review.expires_at + timedelta(seconds=1)
    with pytest.raises(Expired):
        hand_on(review.wire_id, acting_member=people.rita, to_member=str(people.lena.pk), code="unsure", now=later)
