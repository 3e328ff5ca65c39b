"""The card as a page: what it says, whose word it is, what it never shows."""

from __future__ import annotations

import html
import logging
import re
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest
from django.db import connections
from django.test import Client
from django.test.utils import CaptureQueriesContext

from audit.scope import as_tenant
from policy import drafts
from policy.models import Action
from reviews import card_of, questions
from reviews.cards import present
from reviews.models import CardTemplate, DeskSettings, Review
from reviews.views import page as pages
from reviews.views.standing import Standing
from tenants.models import Member
from tests.factories import LARGE, REFUND, claimed_review, decide, enforce_refunds, get, held_review, refund_rule
from tests.people import People
from tests.reviews.chain import bodies

HTMX = {"HX-Request": "true"}
# What one page may ask, all connections together; a change shows here.
CARD_QUERIES = 46
CARD_LIVE_QUERIES = 19


def client_of(member: Member) -> Client:
    client = Client()
    client.force_login(member.user, backend="allauth.account.auth_backends.AuthenticationBackend")
    return client


def page_of(member: Member, review: Review, **cookies: str) -> str:
    client = client_of(member)
    for name, value in cookies.items():
        client.cookies[name] = value
    response = client.get(f"/reviews/{review.wire_id}/")
    assert response.status_code == 200
    return response.content.decode()


def text_of(page: str) -> str:
    """The card as a reader sees it: no tags, single spaces."""
    main = page[page.index('<main id="main"') : page.index("</main>")]
    return re.sub(r"\s+", " ", html.unescape(re.sub(r"<[^>]*>", " ", main))).strip()


def give_template(people: People, **changes: Any) -> None:
    fields: dict[str, Any] = {
        "sentence": "refund {amount} for invoice {invoice}",
        "decisive": "/amount_cents",
        "facts": [
            {
                "pointer": "/amount_cents",
                "label": "Amount",
                "formatter": "money",
                "slot": "amount",
                "emphasis": "key",
                "options": {"minor": True, "currency": "USD"},
            },
            {"pointer": "/invoice_id", "label": "Invoice", "formatter": "id", "slot": "invoice"},
        ],
    }
    with as_tenant(people.tenant.pk):
        CardTemplate.objects.create(tenant=people.tenant, action_id=REFUND, status="active", **(fields | changes))


@pytest.fixture
def review(people: People) -> Review:
    """A held refund without a card template."""
    enforce_refunds(people)
    return held_review(people)


def test_the_card_says_who_wants_what_why_it_is_held_and_by_whom_the_rule_was_published(
    people: People, review: Review
) -> None:
    text = text_of(page_of(people.rita, review))
    assert "refund-bot wants to run billing.refund with 3 parameters" in text
    assert "no card template for this action" in text
    assert re.search(r"Held by Refund above USD 500 ?, revision 1 ?: amount_cents 62000 is above 50000", text)
    assert "Effect: a person decides · published by Adam Abara" in text
    assert "3 of 3 parameters shown, 2 of 2 context values" in text
    assert "Whether it can be undone once it has run is not known." in text


def test_both_deadlines_stand_in_the_head_and_say_what_they_are(people: People, review: Review) -> None:
    with as_tenant(people.tenant.pk):
        Review.objects.filter(pk=review.pk).update(
            due_at=datetime(2030, 1, 2, 10, 0, tzinfo=UTC), expires_at=datetime(2030, 1, 3, 11, 30, tzinfo=UTC)
        )
    text = text_of(page_of(people.rita, review))
    assert re.search(r"target Wed 2 Jan, 10:00 UTC\s+denied if undecided by Thu 3 Jan, 11:30 UTC", text)


def test_what_the_rule_asks_of_the_reviewer_comes_before_what_it_read(people: People) -> None:
    enforce_refunds(people, refund_rule(note="Compare the invoice with the amount."))
    text = text_of(page_of(people.rita, held_review(people)))
    assert text.count("Compare the invoice with the amount.") == 1
    assert text.index("The rule asks: Compare the invoice") < text.index("Held by")


def test_no_length_takes_a_danger_out_of_the_bar(people: People) -> None:
    enforce_refunds(people)
    for subject, said in (("pay\u202e00", "U+202E"), ("pay\u202e00" + "x" * 300, "1 hidden character in Subject")):
        page = page_of(people.rita, held_review(people, params=LARGE | {"subject": subject}))
        bar = page.split('class="verdict-bar__facts"')[1].split("</p>")[0]
        assert said in bar
        assert ("read it under Details" in bar) == (len(subject) > 60)


def test_only_who_may_read_rules_gets_the_link_to_the_revision(people: People, review: Review) -> None:
    link = f"/admin/policy/revision/{review.revision_id}/change/"
    assert link not in page_of(people.rita, review)
    assert link in page_of(people.lena, review)
    assert client_of(people.lena).get(link).status_code == 200


def test_what_else_matched_is_told_and_more_than_two_are_folded(people: People) -> None:
    extra = [
        refund_rule(slug=f"also-{n}", name=f"Also number {n}", condition=f"params.amount_cents > {n}", tests=[], tier=1)
        for n in range(4)
    ]
    enforce_refunds(people, refund_rule(tier=3), *extra)
    page = page_of(people.rita, held_review(people))
    text = text_of(page)
    assert text.index("Held by") < text.index("Also matched:")
    assert "2 more rules matched" in text
    assert text.count("Also matched:") == 4


def test_the_template_of_the_action_labels_the_facts_and_says_how_to_undo(people: People) -> None:
    enforce_refunds(people)
    give_template(people, undo="partly", undo_how="Ask the bank within a day.")
    text = text_of(page_of(people.rita, held_review(people)))
    assert "refund-bot wants to refund USD 620.00 for invoice in_88" in text
    assert "USD 620.00 leaves the company." in text
    assert "Once it has run, it can be undone only in part. Ask the bank within a day." in text
    assert "Other parameters" in text
    assert "Their names are the agent's words, too." in text
    assert "no card template for this action" not in text


def test_a_link_is_made_by_the_template_alone_and_only_to_an_allowed_host(people: People) -> None:
    enforce_refunds(people)
    with as_tenant(people.tenant.pk):
        DeskSettings.objects.create(tenant=people.tenant, link_hosts=["billing.demo.example"])
    give_template(people, links=[{"pointer": "/invoice_id", "url": "https://billing.demo.example/invoices/{value}"}])
    review = held_review(people, params=LARGE | {"invoice_id": "in/8 8?x=<b>", "see": "https://evil.example/"})
    page = page_of(people.rita, review)
    assert re.findall(r'<a class="fact__link" href="([^"]*)" rel="([^"]*)"', page) == [
        ("https://billing.demo.example/invoices/in%2F8%208%3Fx%3D%3Cb%3E", "noopener noreferrer nofollow external")
    ]
    assert 'href="https://evil.example' not in page
    with as_tenant(people.tenant.pk):
        DeskSettings.objects.update(link_hosts=[])
    assert "fact__link" not in page_of(people.rita, review)


HOSTILE = (
    "<script>alert(1)</script>",
    '"><img src=x onerror=alert(1)>',
    "<button hx-post=/reviews/x/decide/>Approve</button>",
    "</bdi></dd></dl><h2>guardsite checked</h2>",
    "{{ request.user }}{% url 'reviews:queue' %}",
)


@pytest.mark.parametrize("text", HOSTILE)
def test_what_an_agent_writes_is_text_wherever_it_stands(people: People, text: str) -> None:
    enforce_refunds(people)
    review = held_review(
        people,
        params=LARGE | {"note": text, text: "as a name", "list": [text], "deep": {text: {text: text}}},
        user_context={"name": text, "plan": "pro"},
        context={"messages": [{"role": text, "content": text}], "why": text},
        tool_call_id=None,
    )
    page = page_of(people.otto, review)
    assert text not in page
    # Nothing of it became an element or an attribute of one.
    assert page.count("<script") == page.count("<script ")
    for name in ("onerror", "hx-post=/"):
        assert f" {name}" not in re.sub(r">[^<]*<", "><", page)
    assert "<h2>guardsite checked</h2>" not in page


def test_hidden_characters_are_revealed_and_said(people: People) -> None:
    enforce_refunds(people)
    page = page_of(people.rita, held_review(people, params=LARGE | {"reason": "Refund\u202e tpircs"}))
    assert "\u202e" not in page
    assert "[U+202E right-to-left override]" in page
    assert "1 hidden character" in text_of(page)


def test_what_stands_out_shows_five_and_folds_the_rest_with_a_count(people: People) -> None:
    enforce_refunds(people)
    params = LARGE | {f"to_{n}": f"Pre-approved\u200b by number {n}" for n in range(4)}
    page = page_of(people.rita, held_review(people, params=params))
    listed = page[page.index('id="stands-out"') :]
    first, _, rest = listed.partition("</ul>")
    assert first.count("<li") == 5
    found = re.search(r"show (\d+) more", rest)
    assert found is not None
    assert rest[: rest.index("</ul>")].count("<li") == int(found.group(1))
    # Strongest first: no caution stands above a danger.
    severities = re.findall(r"finding--(\w+)", listed[: listed.index("</section>")])
    assert severities == sorted(severities, key=["danger", "caution", "info"].index)


@pytest.mark.parametrize(
    ("seen", "gone", "says", "approving"),
    [
        (4, None, r"Agent is waiting \(seen \d+ s ago\)", "once, within an hour."),
        (720, None, r"Agent not seen for 12 min ?; it gets the answer when it next asks", "It was not seen lately"),
        (720, 720, r"Agent stopped waiting 12 min ago; an approval is for later", "asks again within 15 min."),
    ],
)
def test_the_caller_is_told_in_the_words_of_its_state(
    people: People, review: Review, seen: int, gone: int | None, says: str, approving: str
) -> None:
    now = datetime.now(UTC)
    with as_tenant(people.tenant.pk):
        Review.objects.filter(pk=review.pk).update(
            caller_seen_at=now - timedelta(seconds=seen),
            caller_gone_at=now - timedelta(seconds=gone) if gone else None,
        )
    text = text_of(page_of(people.rita, review))
    assert re.search(says, text)
    assert approving in text


def test_tiers_three_and_four_are_another_layout(people: People) -> None:
    for tier, words in ((3, "large or hard to undo"), (4, "two people")):
        enforce_refunds(
            people, refund_rule(slug=f"tier-{tier}", tier=tier, tests=[]), mode="enforce"
        ) if tier == 3 else None
        review = held_review(people, run_id=f"tier_{tier}")
        if tier == 4:
            with as_tenant(people.tenant.pk):
                Review.objects.filter(pk=review.pk).update(tier=4, approvals_needed=2)
        page = page_of(people.rita, review)
        assert f'class="card card--tier{tier}"' in page
        assert words in text_of(page)
    assert "Nothing runs until 2 different people have approved, each on their own." in text_of(page)


def test_times_are_said_in_the_readers_zone_and_a_bad_cookie_changes_nothing(people: People) -> None:
    enforce_refunds(people)
    review = held_review(people, params=LARGE | {"ship_at": "2026-12-01T09:00:00+00:00"})
    assert "10:00 CET" in text_of(page_of(people.rita, review, tz="Europe/Paris"))
    for bad in ("", "Europe", "../../etc/passwd", "Nowhere/Land", "x" * 5000, "<b>"):
        assert "09:00 UTC" in text_of(page_of(people.rita, review, tz=bad))


def test_the_demo_says_that_it_is_one(people: People, review: Review) -> None:
    assert "Demo tenant" not in page_of(people.rita, review)
    people.tenant.is_demo = True
    people.tenant.save(update_fields=["is_demo"])
    assert "Demo tenant: recorded calls." in page_of(people.rita, review)


def test_a_card_that_misses_a_value_cannot_be_approved_and_is_logged_once_without_it(
    people: People, review: Review, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    real = present.build_card
    monkeypatch.setattr(
        card_of, "build_card", lambda call: replace(real(call), incomplete=True, missing=("params/amount_cents",))
    )
    with caplog.at_level(logging.ERROR, logger="guardsite.cards"):
        page = page_of(people.rita, review)
        page_of(people.lena, review)
    assert "This card is not complete" in page
    logged = [record for record in caplog.records if record.message == "card_incomplete"]
    assert len(logged) == 1
    assert logged[0].review == review.wire_id  # type: ignore[attr-defined]
    assert "62000" not in str(logged[0].__dict__)


def test_what_changed_since_the_last_allowed_call_is_told_and_nothing_else(people: People) -> None:
    enforce_refunds(people)
    give_template(people, compare_on=["/invoice_id"])
    earlier = held_review(people, params=LARGE | {"reason": "Late parcel"}, run_id="before")
    decide(people, earlier)
    review = held_review(people, params=LARGE | {"amount_cents": 470000, "reason": "Late parcel"})
    page = page_of(people.rita, review)
    part = page[page.index("Changed since last time") :]
    part = part[: part.index("</details>")]
    text = re.sub(r"\s+", " ", html.unescape(re.sub(r"<[^>]*>", " ", part)))
    assert "(1)" in text
    assert "Amount before: USD 620.00 now: USD 4,700.00" in text
    assert "Late parcel" not in text
    # How it was decided is one click away.
    assert "Rita Reyes" not in text
    assert earlier.wire_id not in page


def test_earlier_verdicts_are_a_recorded_click_from_tier_two_on(committed_people: People) -> None:
    people = committed_people
    enforce_refunds(people)
    earlier = held_review(people, run_id="before")
    decide(people, earlier, "deny")
    review = held_review(people)
    client = client_of(people.lena)
    address = f"/reviews/{review.wire_id}/earlier/"
    before = len(bodies(people.tenant.pk))
    offered = client.get(address).content.decode()
    assert "Wrong amount" not in offered
    assert "Show earlier verdicts" in offered
    assert len(bodies(people.tenant.pk)) == before
    shown = client.post(address, headers=HTMX)
    assert "<html" not in shown.content.decode()
    assert "Denied" in shown.content.decode()
    assert "Rita Reyes" in shown.content.decode()
    body = bodies(people.tenant.pk)[-1]
    assert (body["kind"], body["tier"], body["shown"]) == ("review.precedents_read", 2, [earlier.wire_id])
    assert body["actor"]["id"] == str(people.lena.pk)
    assert client_of(people.nia).post(address).status_code == 404


def test_at_tier_one_earlier_verdicts_are_read_without_a_trace(committed_people: People) -> None:
    people = committed_people
    enforce_refunds(people, refund_rule(tier=1))
    decide(people, held_review(people, run_id="before"), "deny")
    review = held_review(people)
    before = len(bodies(people.tenant.pk))
    assert "Denied" in client_of(people.lena).get(f"/reviews/{review.wire_id}/earlier/").content.decode()
    assert len(bodies(people.tenant.pk)) == before


def test_the_history_tells_what_happened_in_order(committed_people: People) -> None:
    people = committed_people
    enforce_refunds(people)
    review = claimed_review(people)
    decide(people, get(people, review.wire_id), "deny")
    text = text_of(client_of(people.lena).get(f"/reviews/{review.wire_id}/history/").content.decode())
    steps = ["asked to run billing.refund", "Rita Reyes claimed", "Rita Reyes denied billing.refund"]
    assert [text.index(step) for step in steps] == sorted(text.index(step) for step in steps)
    assert client_of(people.nia).get(f"/reviews/{review.wire_id}/history/").status_code == 404


def stripped(page: str) -> str:
    """The page without what differs between two requests: tokens and the clock."""
    page = re.sub(r'name="csrfmiddlewaretoken" value="[^"]*"|name="form_key" value="[^"]*"', "", page)
    page = re.sub(r'verdict-\d+|name="seen_at" value="[^"]*"', "", page)
    return re.sub(r"\d+ (?:s|min)\b", "", page)


def test_nothing_on_the_page_of_a_second_person_tells_of_the_first(committed_people: People) -> None:
    people = committed_people
    enforce_refunds(people, refund_rule(tier=4))
    now = datetime.now(UTC)
    review = held_review(people, now=now)
    client, paths = client_of(people.lena), ("", "live/?v=0", "history/", "earlier/")

    def seen() -> list[str]:
        return [stripped(client.get(f"/reviews/{review.wire_id}/{path}").content.decode()) for path in paths]

    before, stamp = seen(), Standing.at_present(get(people, review.wire_id), people.lena).stamp
    with as_tenant(people.tenant.pk):
        review.verdicts.create(
            tenant=people.tenant, member=people.rita, kind="approve", code="looks_right", seen_version=1,
            call_digest=review.call_digest, entry_uid="0" * 36, release_at=now,
        )  # fmt: skip
    record_first_verdict(people, review)
    assert seen() == before
    assert Standing.at_present(get(people, review.wire_id), people.lena).stamp == stamp
    held = get(people, review.wire_id)
    assert not Standing.at_present(held, people.lena).may_see_first_verdict
    # Who decides nothing, and who gave it, may know.
    assert Standing.at_present(held, people.otto).may_see_first_verdict
    assert Standing.at_present(held, people.rita).may_see_first_verdict
    assert (
        "approved billing.refund" in client_of(people.otto).get(f"/reviews/{review.wire_id}/history/").content.decode()
    )


def record_first_verdict(people: People, review: Review) -> None:
    """The entries that a first verdict leaves: a claim, and the verdict itself."""
    from audit.record import Actor, EntryDraft, record

    rita = Actor("member", str(people.rita.pk))
    fields = {"review": {"id": review.wire_id}, "action_id": review.action_id}
    with as_tenant(people.tenant.pk):
        record(people.tenant.pk, EntryDraft("review.claimed", fields, rita))
        record(people.tenant.pk, EntryDraft("review.decided", fields | {"verdict": "approve", "final": False}, rita))


def test_the_page_costs_a_known_number_of_queries_whatever_the_call_holds(people: People) -> None:
    enforce_refunds(people)
    give_template(people, compare_on=["/invoice_id"])
    decide(people, held_review(people, run_id="before"))
    small = held_review(people, run_id="small", params=LARGE | {"note": "short"})
    large = held_review(people, run_id="large", params=LARGE | {f"key_{n}": [n, {"a": "b"}] for n in range(30)})
    client = client_of(people.rita)

    def cost(path: str) -> int:
        with (
            CaptureQueriesContext(connections["default"]) as own,
            CaptureQueriesContext(connections["audit_reader"]) as log,
        ):
            assert client.get(path).status_code == 200
        return len(own) + len(log)

    # The least of a few: now and then a process looks whether its copy of the policy is still the live one.
    costs = {min(cost(f"/reviews/{one.wire_id}/") for _ in range(3)) for one in (small, large)}
    assert len(costs) == 1
    assert costs.pop() <= CARD_QUERIES
    assert cost(f"/reviews/{large.wire_id}/live/?v=0") <= CARD_LIVE_QUERIES


def test_a_tool_that_changed_after_it_was_accepted_is_said_with_what_differs(people: People) -> None:
    from policy.models import ToolDefinition
    from policy.tools import Definition

    enforce_refunds(people)
    with as_tenant(people.tenant.pk):
        for state, title in (("accepted", "Refund"), ("offered", "Refund\u202e everything")):
            made = Definition.of(REFUND, title=title, annotations={"readOnlyHint": state == "offered"})
            ToolDefinition.objects.create(
                tenant=people.tenant, action_id=REFUND, definition_text=made.text, sha256=made.sha256, state=state,
                is_current=state == "offered",
            )  # fmt: skip
    page = page_of(people.rita, held_review(people))
    text = text_of(page)
    assert "The tool's definition changed after it was accepted" in text
    assert "U+202E" in text
    assert "\u202e" not in page
    assert "Provider says: changes things (not verified)" in text
    # Claims stay in their fold: none stands above the details.
    assert text.index("Provider says:") > text.index("Details")


def test_the_conversation_is_the_agents_word_and_outside_the_digest(people: People) -> None:
    enforce_refunds(people)
    review = held_review(people, context={"messages": [{"role": "user", "content": "Please refund me."}]})
    page = page_of(people.rita, review)
    part = page[page.index("Conversation") :]
    assert "the agent said: user" in html.unescape(part)
    assert "Please refund me." in part
    raw = re.search(r'<pre class="raw".*?</pre>', page, re.DOTALL)
    assert raw is not None
    assert "Please refund me." not in raw.group()


def test_text_that_keeps_its_lines_scrolls_in_a_box_that_keys_reach(people: People) -> None:
    enforce_refunds(people)
    give_template(people, facts=[{"pointer": "/query", "label": "Statement", "formatter": "sql"}], sentence="run it")
    page = page_of(people.rita, held_review(people, params=LARGE | {"query": "DELETE FROM invoices"}))
    assert '<div class="scroll-x fact__box" tabindex="0" role="group" aria-label="SQL, scrolls sideways">' in page


def test_a_copied_value_stands_in_no_attribute(people: People) -> None:
    enforce_refunds(people)
    page = page_of(people.rita, held_review(people, params=LARGE | {"invoice_id": "in_88"}))
    assert '<span data-exact hidden>in_88</span><button type="button" class="copy scripted" data-copy>' in page


def test_a_zone_is_checked_against_the_database_of_zones() -> None:
    from django.test import RequestFactory

    request = RequestFactory().get("/")
    for value, zone in (("Asia/Kolkata", "Asia/Kolkata"), ("UTC", "UTC"), ("/etc/localtime", "UTC"), ("\x00", "UTC")):
        request.COOKIES["tz"] = value
        assert pages.zone_of(request) == zone


def test_an_accepted_schema_gives_defaults_that_cover_nothing(people: People) -> None:
    enforce_refunds(people)
    with as_tenant(people.tenant.pk):
        action = Action.objects.get(action_id=REFUND)
        action.schema = {"type": "object", "properties": {"notify": {"type": "boolean", "default": True}}}
        drafts.save_action(people.tenant.pk, acting=people.adam, action=action)
    text = text_of(page_of(people.rita, held_review(people)))
    assert "3 of 3 parameters shown" in text
    assert "Notify" in text
    assert "default" in text


def test_questions_stand_on_the_card(people: People, review: Review) -> None:
    questions.ask(review.wire_id, acting_member=people.rita, text="Which parcel?", now=datetime.now(UTC))
    assert "Which parcel?" in page_of(people.lena, review)
