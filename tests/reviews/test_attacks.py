"""Attempts on the desk: by a reviewer who would be both people, by an agent, by another tenant, by hand-made requests."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from typing import Any

import pytest
from django.test import Client

from audit.scope import as_tenant
from reviews import claims, executions, intake, verdicts
from reviews.agents import agent_rows
from reviews.bulk import Pick
from reviews.choices import Choice
from reviews.comparison import around
from reviews.errors import AlreadyGiven, InvalidVerdict, NotFound, UndoTooLate
from reviews.models import Review, Verdict
from reviews.urls import urlpatterns
from reviews.wire import EvaluateIn, validate
from tenants.keys import Caller, authenticate, issue
from tenants.models import Member
from tests.factories import LARGE, ask, call, decide, enforce_refunds, get, held_review, refund_rule
from tests.people import People
from tests.reviews.severe import SEVERE, severe_choice, severe_desk

NOW = datetime.now(UTC)
DENY = Choice(kind="deny", code="suspicious")
APPROVE = Choice(kind="approve", code="looks_right")
HTMX = {"HX-Request": "true"}


def browser(member: Member) -> Client:
    """Somebody at the desk."""
    client = Client()
    client.force_login(member.user, backend="allauth.account.auth_backends.AuthenticationBackend")
    return client


def severe_copies(people: People) -> tuple[Review, Review]:
    """A call at tier 4 and its waiting copy."""
    severe_desk(people, tier=4)
    leader, copy = (held_review(people, now=NOW, params=SEVERE, run_id="run_same") for _ in range(2))
    assert copy.copy_of_id == leader.pk
    return leader, copy


def severe_review(people: People) -> Review:
    """A call at tier 4."""
    severe_desk(people, tier=4)
    return held_review(people, now=NOW, params=SEVERE)


# The second pair of eyes.


def test_the_agents_page_counts_no_first_verdict(people: People) -> None:
    def counted() -> tuple[int, int, int]:
        with as_tenant(people.tenant.pk):
            (row,) = agent_rows(people.tenant.pk, now=NOW)
        return row.opened_today, row.approved_today, row.denied_today

    review = severe_review(people)
    decide(people, review, now=NOW, choice=severe_choice())
    assert counted() == (1, 0, 0)
    decide(people, review, now=NOW, choice=DENY, acting_member=people.lena)
    assert counted() == (1, 0, 1)


def test_a_first_approval_taken_back_is_in_no_list_of_the_log(committed_people: People) -> None:
    people = committed_people
    review = severe_review(people)
    lead = browser(people.lena)
    paths = ("/audit/", f"/audit/?review={review.wire_id}")
    claims.claim(review.wire_id, acting_member=people.rita, now=NOW)
    decide(people, review, now=NOW, choice=severe_choice())
    verdicts.undo(review.wire_id, acting_member=people.rita, now=NOW)
    for path in paths:
        assert "took" not in lead.get(path).content.decode()
        assert "Rita Reyes" not in lead.get(f"/audit/?review={review.wire_id}").content.decode()
        assert browser(people.otto).get(path).content.decode().count("Rita Reyes") >= 3


def test_the_log_says_the_same_of_what_is_left_out_before_and_after_a_first_approval(committed_people: People) -> None:
    people = committed_people
    review = severe_review(people)
    lead = browser(people.lena)

    def says() -> list[bool]:
        return [
            "left out here" in lead.get(path).content.decode() for path in ("/audit/", "/audit/?kind=review.decided")
        ]

    before = says()
    decide(people, review, now=NOW, choice=severe_choice())
    assert says() == before == [True, True]


def test_a_denial_that_is_taken_back_has_shown_nobody_the_first_verdict(people: People) -> None:
    """A rule may ask for two people below tier 4; in a hold the second would read the first, take back and decide anew."""
    severe_desk(people, refund_rule(tier=2, quorum=2, hold_seconds=30))
    review = held_review(people, params=SEVERE)
    decide(people, review, choice=APPROVE, acting_member=people.lena)
    verdict = decide(people, review, choice=DENY)
    assert verdict.release_at == verdict.created_at
    with pytest.raises(UndoTooLate):
        verdicts.undo(review.wire_id, acting_member=people.rita, now=verdict.created_at)


def test_whoever_approved_first_cannot_hold_the_review_against_the_second(people: People) -> None:
    review = severe_review(people)
    decide(people, review, now=NOW, choice=severe_choice())
    with pytest.raises(AlreadyGiven):
        claims.claim(review.wire_id, acting_member=people.rita, now=NOW)
    claims.claim(review.wire_id, acting_member=people.lena, now=NOW)
    with pytest.raises(AlreadyGiven):
        claims.take_over(
            review.wire_id, acting_member=people.rita, reason="Mine again.", now=NOW + timedelta(minutes=2)
        )
    decide(people, review, now=NOW, choice=severe_choice(), acting_member=people.lena)
    assert get(people, review.wire_id).wire_state_at(NOW) == "approved"


def test_three_people_count_three_whoever_took_theirs_back_meanwhile(people: People) -> None:
    review = severe_review(people)
    with as_tenant(people.tenant.pk):
        Review.objects.filter(pk=review.pk).update(approvals_needed=3)
    for who in (people.rita, people.lena):
        decide(people, review, now=NOW, choice=severe_choice(), acting_member=who)
    verdicts.undo(review.wire_id, acting_member=people.rita, now=NOW)
    decide(people, review, now=NOW, choice=severe_choice(), acting_member=people.adam)
    assert get(people, review.wire_id).state == "open"
    last = decide(people, review, now=NOW, choice=severe_choice())
    after = get(people, review.wire_id)
    assert after.wire_state_at(NOW) == "approved"
    assert after.verdict == last


@pytest.mark.parametrize("who", ["rita", "lena"])
def test_a_denial_ends_a_copy_that_one_person_approved_by_its_address(people: People, who: str) -> None:
    leader, copy = severe_copies(people)
    first = decide(people, copy, now=NOW, choice=severe_choice())
    decide(people, leader, now=NOW, choice=DENY, acting_member=getattr(people, who))
    after = get(people, copy.wire_id)
    assert after.wire_state_at(NOW) == "denied"
    assert [verdict.kind for verdict in after.standing_verdicts] == ["deny"]
    with as_tenant(people.tenant.pk):
        assert Verdict.objects.get(pk=first.pk).cleared_at == NOW


def test_a_count_runs_no_copy_that_wants_two_people_by_now(people: People) -> None:
    enforce_refunds(people)
    leader, copy = (held_review(people, now=NOW, run_id="run_same") for _ in range(2))
    with as_tenant(people.tenant.pk):
        # As after an amendment of the copy by its own address, which policy put at tier 4.
        Review.objects.filter(pk=copy.pk).update(tier=4, approvals_needed=2)
    with pytest.raises(InvalidVerdict):
        decide(people, leader, now=NOW, count=2)
    decide(people, leader, now=NOW)
    assert get(people, copy.wire_id).verdict is None
    assert get(people, copy.wire_id).state == "superseded"


def test_who_answers_for_the_agent_takes_back_nobodys_denial(people: People) -> None:
    enforce_refunds(people, refund_rule(hold_seconds=30))
    review = held_review(people, now=NOW)
    with as_tenant(people.tenant.pk):
        people.agent.owner = people.lena
        people.agent.save(update_fields=["owner"])
    decide(people, review, "deny", now=NOW)
    with pytest.raises(UndoTooLate):
        verdicts.undo(review.wire_id, acting_member=people.lena, now=NOW)
    assert get(people, review.wire_id).state == "on_hold"
    verdicts.undo(review.wire_id, acting_member=people.adam, now=NOW)  # another lead may


# The agent.


def key_for_tests(people: People) -> Caller:
    """The agent behind a key for tests."""
    issued = issue(
        people.tenant.pk,
        name="tests",
        agent=people.agent,
        scopes=("evaluate", "reviews"),
        acting_member=people.adam,
        environment="test",
    )
    return authenticate(issued.token)


def ask_with(caller: Caller, people: People, **members: Any) -> Any:
    """The gate's answer to this key."""
    return intake.take(caller, [(validate(EvaluateIn, call(**members)), people.agent)], now=NOW)[0]


def test_what_is_approved_for_a_test_key_runs_for_no_live_key(people: People) -> None:
    enforce_refunds(people)
    tests = key_for_tests(people)
    review = get(people, ask_with(tests, people, params=LARGE)["review_id"])
    waiting = ask(people, now=NOW, params=LARGE)
    assert waiting["review_id"] != review.wire_id
    assert get(people, waiting["review_id"]).copy_of_id is None
    decide(people, review, now=NOW)
    allowed = ask_with(tests, people, params=LARGE)
    assert allowed["decision"] == "allow"
    assert ask(people, now=NOW, params=LARGE)["decision"] == "review"
    spend = {"grant_id": allowed["grant"]["grant_id"], "params": LARGE, "idempotency_key": "run-1", "now": NOW}
    with pytest.raises(NotFound):
        executions.start(people.caller, **spend)
    assert executions.start(tests, **spend).replayed is False


def test_an_answer_to_a_test_key_is_repeated_to_no_live_key(people: People) -> None:
    """Rules may ask for the environment, so what a test key was allowed says nothing of a live one."""
    cases = [{"name": "live", "context": {"params": LARGE}, "expect": "match"}]
    enforce_refunds(people, refund_rule(condition="request.environment == 'live'", tests=cases))
    tests = key_for_tests(people)
    body = call(params=LARGE, idempotency_key="the-same")
    assert ask_with(tests, people, **body)["decision"] == "allow"
    assert ask(people, now=NOW, **body)["decision"] == "review"
    assert ask_with(tests, people, **body)["replayed"] is True
    assert ask(people, now=NOW, **body)["replayed"] is True


def test_calls_of_a_test_key_make_no_live_call_look_usual(people: People) -> None:
    enforce_refunds(people)
    tests = key_for_tests(people)
    for number in range(4):
        opened = ask_with(tests, people, params=LARGE, run_id=f"run_{number}", repeat="new")
        decide(people, get(people, opened["review_id"]), now=NOW)
    review = held_review(people, now=NOW + timedelta(seconds=1))
    with as_tenant(people.tenant.pk):
        found = around(review, template=None, zone="UTC", now=NOW)
    assert any("First for this agent" in notice.sentence for notice in found.findings)
    assert found.nearest_params is None


# Another tenant.


def test_every_address_of_a_review_is_404_to_another_tenant(people: People) -> None:
    enforce_refunds(people)
    review = held_review(people)
    body = {
        "kind": "approve",
        "code": "looks_right",
        "seen_version": review.version,
        "seen_digest": review.call_digest,
        "to": f"member:{people.nia.pk}",
        "minutes": "5",
        "text": "Why?",
        "panel": "deny",
        "note": "Kept",
        "reason": "Mine",
        "document": "params",
        "pointer": "/amount_cents",
    }
    nia = browser(people.nia)
    routes = [str(pattern.pattern) for pattern in urlpatterns]
    addresses = ["/" + route.replace("<str:wire_id>", review.wire_id) for route in routes if "<str:wire_id>" in route]
    assert len(addresses) > 20
    for address in addresses:
        for headers in ({}, HTMX):
            # A page answers no POST at all.
            assert nia.post(address, body, headers=headers).status_code in (404, 405), address
            # An action's GET goes to the card, whatever the id is.
            got = nia.get(address, headers=headers, follow=True)
            assert got.status_code == 404, address
    pause = "/agents/refund-bot/pause/"
    assert nia.get(pause).status_code == nia.post(pause, {"code": "flood"}).status_code == 404
    row = {"pick": review.wire_id, "row": str(Pick.of(review)), "shown": review.wire_id}
    for form in ("approve", "deny", "undo"):
        for posted in (row, row | {"commit": "1", "count": "1", "code": "suspicious"}):
            html = nia.post(f"/reviews/bulk/{form}/", posted).content.decode()
            assert review.short_id not in html
            assert "refund-bot" not in html
    after = get(people, review.wire_id)
    assert (after.state, after.version, after.claimed_by_id, after.assigned_to_id) == ("open", 1, None, None)


def test_another_tenants_key_finds_nothing(people: People) -> None:
    enforce_refunds(people)
    review = held_review(people)
    client = Client(headers={"Authorization": f"Bearer {people.other_token}"})
    at = f"/v1/reviews/{review.wire_id}"
    sent: dict[str, Any] = {"content_type": "application/json"}
    assert client.get(at).status_code == 404
    assert client.post(f"{at}/cancel", {"reason": "No."}, **sent).status_code == 404
    assert client.post(f"{at}/questions/qu_{review.pk.hex}", {"answer": "Yes."}, **sent).status_code == 404
    beat = {"waiting": [{"review_id": review.wire_id}], "gone": [review.wire_id]}
    assert client.post("/v1/agents/heartbeat", beat, **sent).json() == {"reviews": []}
    assert get(people, review.wire_id).caller_gone_at is None


# Requests by hand.


@pytest.mark.parametrize("headers", [{}, HTMX], ids=["page", "part"])
@pytest.mark.parametrize(
    "query",
    [
        "&".join(f"p{number}=1" for number in range(60)),
        *(f"{name}=%00" for name in ("q", "requester", "agent", "team", "rule", "action", "view", "page", "rows")),
        "t=99999999999&n=1&v=1",
        "older=9999999999999999",
        "view=decided&q=abcdef",
    ],
    ids=lambda query: query[:12],
)
def test_no_address_breaks_the_queue(people: People, query: str, headers: dict[str, str]) -> None:
    client = browser(people.rita)
    assert client.get(f"/reviews/?{query}", headers=headers).status_code in (200, 204)
    assert client.post("/reviews/views/save/", {"name": "Mine", "query": query}).status_code in (302, 422)


def test_no_body_breaks_an_action(people: People) -> None:
    enforce_refunds(people)
    review = held_review(people)
    client = browser(people.rita)
    at = f"/reviews/{review.wire_id}/"
    nothing = dict.fromkeys(
        [
            "code",
            "typed",
            "note",
            "message",
            "form_key",
            "reason",
            "panel",
            "text",
            "minutes",
            "pointer",
            "pick",
            "shown",
            "pause",
            "back",
            "name",
            "query",
            "seen_template",
            "seen_digest",
            "kind",
        ],
        "\x00",
    )
    odd = nothing | {
        "seen_version": "9" * 30,
        "count": "9" * 30,
        "params": "[" * 5000,
        "to": "member:\x00",
        "to:/amount_cents": "1e999999999",
        "document": "params",
        "row": "rv_x:1:2:3",
        "commit": "1",
    }
    routes = [str(pattern.pattern) for pattern in urlpatterns if "<str:wire_id>" in str(pattern.pattern)]
    for address in [*(f"/{route.replace('<str:wire_id>', review.wire_id)}" for route in routes)]:
        assert client.post(address, odd).status_code < 500, address
    for form in ("bulk/approve", "bulk/deny", "bulk/undo", "views/save", "next"):
        assert client.post(f"/reviews/{form}/", odd).status_code < 500, form
    seen = {"seen_version": review.version, "seen_digest": review.call_digest, "seen_template": ""}
    for kind in ("approve", "approve_with_amendments", "deny"):
        assert client.post(f"{at}decide/", odd | {"kind": kind, "code": "other"}).status_code < 500
        assert client.post(f"{at}decide/", odd | seen | {"kind": kind, "code": "other", "count": "1"}).status_code < 500
    assert get(people, review.wire_id).state == "open"
