"""The queue's page: views, filters, saved views, what a tick says, what another tenant does not see."""

from __future__ import annotations

import json
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest
from django.db import connection
from django.test import Client
from django.test.utils import CaptureQueriesContext

from audit.scope import as_tenant
from policy.models import Action
from reviews import claims, verdicts
from reviews.forms_queue import SnoozeForm
from reviews.models import Flood, Review, SavedView
from tests.factories import decide, enforce_refunds, held_review, refund_rule
from tests.people import People
from tests.reviews.test_pages import HTMX, client_of
from tests.reviews.test_routing import colleague, team

# Of a page with rows, whatever their number; sessions and members included.
MOST_QUERIES = 33


@pytest.fixture
def refunds(people: People) -> People:
    """People whose refunds are held."""
    enforce_refunds(people)
    return people


def change(review: Review, **columns: Any) -> Review:
    """Change columns as time would."""
    with as_tenant(review.tenant_id):
        Review.objects.filter(pk=review.pk).update(**columns)
    return review


def shown(client: Client, query: str = "") -> list[str]:
    """The reviews on the page, in order, by their short ids."""
    return [row.review.short_id for row in client.get(f"/reviews/?{query}").context["rows"]]


def tab_counts(client: Client, query: str = "") -> dict[str, int | None]:
    """Counts of the tabs by their labels."""
    return {tab.label: tab.count for tab in client.get(f"/reviews/?{query}").context["tabs"]}


def test_tabs_are_mine_my_teams_and_all_with_counts_in_title_and_tabs(refunds: People) -> None:
    people = refunds
    plain, finance, legal, mine, severe = (held_review(people) for _ in range(5))
    team(people, "finance", people.rita)
    team(people, "legal", colleague(people))
    change(finance, team="finance")
    change(legal, team="legal")
    change(severe, tier=3, due_at=datetime.now(UTC) - timedelta(minutes=1))
    claims.claim(mine.wire_id, acting_member=people.rita, now=datetime.now(UTC))
    client = client_of(people.rita)
    assert tab_counts(client) == {"Mine": 1, "Finance": 1, "All": 5, "Tier 3+": 1, "Overdue": 1, "Decided": None}
    assert shown(client, "view=mine") == [mine.short_id]
    assert shown(client, "team=finance") == [finance.short_id]
    assert shown(client, "view=overdue") == shown(client, "view=tier3") == [severe.short_id]
    assert len(shown(client)) == 5
    page = client.get("/reviews/")
    assert "<title>(5) Queue · guardsite</title>" in page.content.decode()
    who = {row.review.pk: row.who for row in page.context["rows"]}
    assert (who[plain.pk], who[finance.pk], who[legal.pk], who[mine.pk]) == ("free", "free", "free, for Legal", "you")
    # A lead decides everything, and is in no team.
    assert tab_counts(client_of(people.lena)).keys() == {"Mine", "All", "Tier 3+", "Overdue", "Decided"}


def test_what_is_assigned_to_me_is_mine_and_my_own_request_says_so(refunds: People) -> None:
    people = refunds
    assigned = change(held_review(people), assigned_to=people.rita)
    own = change(held_review(people), user_context_text='{"email": "rita@demo.example"}')
    client = client_of(people.rita)
    assert shown(client, "view=mine") == [assigned.short_id]
    who = {row.review.pk: row.who for row in client.get("/reviews/").context["rows"]}
    assert who == {assigned.pk: "free", own.pk: "not you: your own request"}
    assert client_of(people.lena).get("/reviews/").context["rows"][0].who == "free, for Rita Reyes"


@pytest.mark.parametrize(
    ("query", "found"),
    [
        ("action=billing.refund", "all"),
        ("action=billing.other", "none"),
        ("rule=refund-over-limit", "all"),
        ("agent=refund-bot&tier=2", "all"),
        ("tier=3", "none"),
        ("sla=overdue", "none"),
        ("sla=soon", "old"),
        ("sla=due", "young"),
        ("older=5", "old"),
        ("older=60", "none"),
        ("requester=ROBIN%40demo.example", "old"),
        ("requester=robin", "none"),
        ("q=billing", "all"),
        ("q=refund-bot", "all"),
        ("q=nothing+like+it", "none"),
        ("view=nonsense&tier=x&older=-1&sla=?", "all"),
    ],
)
def test_every_filter_is_in_the_address(refunds: People, query: str, found: str) -> None:
    people, now = refunds, datetime.now(UTC)
    young = held_review(people)
    old = change(
        held_review(people),
        created_at=now - timedelta(minutes=14),
        due_at=now + timedelta(minutes=1),
        user_context_text='{"email": "Robin@demo.example"}',
    )
    expected = {"all": [old, young], "none": [], "old": [old], "young": [young]}[found]
    assert shown(client_of(people.rita), query) == [review.short_id for review in expected]


def test_a_review_is_found_by_the_id_that_people_say(refunds: People) -> None:
    people = refunds
    review, other = held_review(people), held_review(people)
    client = client_of(people.rita)
    for said in (review.short_id, review.short_id.lower(), review.short_id.removeprefix("R-"), review.wire_id):
        assert shown(client, f"q={said}") == [review.short_id]
    decide(people, other)
    assert shown(client, f"view=decided&q={other.short_id}") == [other.short_id]


def test_search_is_no_way_to_guess_a_masked_value(refunds: People) -> None:
    people = refunds
    change(
        held_review(people),
        params_text='{"api_key": "sk-very-secret"}',
        user_context_text='{"token": "sk-very-secret", "email": "robin@demo.example"}',
    )
    client = client_of(people.rita)
    for guess in (
        "q=sk-very",
        "q=sk-very-secret",
        "requester=sk-very-secret",
        "requester=robin%40demo",
        "requester=%25",
    ):
        assert shown(client, guess) == []


def test_an_empty_filter_names_what_was_asked_for(refunds: People) -> None:
    held_review(refunds)
    text = client_of(refunds.rita).get("/reviews/?tier=3&view=mine").content.decode()
    assert "No items match tier 3, mine." in text
    hostile = client_of(refunds.rita).get("/reviews/?q=%3Cscript%3Ealert(1)%3C/script%3E").content.decode()
    assert "No items match “&lt;script&gt;alert(1)&lt;/script&gt;”." in hostile
    assert "<script>alert" not in hostile


def test_an_empty_queue_says_when_it_was_last_busy_and_what_to_do(refunds: People) -> None:
    people = refunds
    first = client_of(people.rita).get("/reviews/").content.decode()
    assert "The first call that a rule holds will stand here." in first
    assert "What comes here" in first
    assert "Send a test call" not in first
    decide(people, held_review(people))
    page = client_of(people.devi).get("/reviews/")
    assert page.context["lately"].today == 1
    assert "Send a test call" in page.content.decode()
    assert (
        "&quot;floor&quot;: &quot;review&quot;" in page.content.decode() or '"floor": "review"' in page.content.decode()
    )


def test_a_view_is_saved_by_name_shared_by_leads_and_deleted_by_its_owner(refunds: People) -> None:
    people = refunds
    rita, lena = client_of(people.rita), client_of(people.lena)
    saved = rita.post("/reviews/views/save/", {"name": " My  big ones ", "query": "tier=3&page=2&v=1&evil=x"})
    assert (saved.status_code, saved.headers["Location"]) == (302, "/reviews/?tier=3")
    assert (
        lena.post("/reviews/views/save/", {"name": "Night", "query": "older=60", "is_shared": "on"}).status_code == 302
    )
    assert [tab.label for tab in rita.get("/reviews/?tier=3").context["tabs"] if tab.is_current] == ["My big ones"]
    assert [tab.label for tab in rita.get("/reviews/").context["tabs"]][-2:] == ["My big ones", "Night"]
    assert "My big ones" not in tab_counts(lena)
    with as_tenant(people.tenant.pk):
        own, shared = SavedView.objects.get(name="My big ones"), SavedView.objects.get(name="Night")
    assert rita.post(f"/reviews/views/{shared.pk}/delete/").status_code == 404
    assert lena.post(f"/reviews/views/{own.pk}/delete/").status_code == 404
    assert rita.get(f"/reviews/views/{own.pk}/delete/").status_code == 302
    assert rita.post(f"/reviews/views/{own.pk}/delete/").status_code == 302
    with as_tenant(people.tenant.pk):
        assert [view.name for view in SavedView.objects.all()] == ["Night"]


@pytest.mark.parametrize(
    ("typed", "said"),
    [
        ({"name": "", "query": "tier=3"}, "This field is required."),
        ({"name": "x" * 41, "query": "tier=3"}, "at most 40 characters"),
        ({"name": "Everything", "query": "page=3"}, "Set a filter first"),
        ({"name": "Ours", "query": "tier=3", "is_shared": "on"}, "Leads share views."),
    ],
)
def test_a_view_that_cannot_be_saved_says_why_and_keeps_the_filter(
    refunds: People, typed: dict[str, str], said: str
) -> None:
    response = client_of(refunds.rita).post("/reviews/views/save/", typed)
    assert response.status_code == 422
    with as_tenant(refunds.tenant.pk):
        assert not SavedView.objects.exists()
    if typed["query"] != "page=3":
        assert said in response.content.decode()
        assert response.context["wanted"].tier == 3


def test_another_tenant_sees_no_review_count_filter_view_or_flood(refunds: People) -> None:
    people = refunds
    review = held_review(people)
    with as_tenant(people.tenant.pk):
        Flood.objects.create(tenant=people.tenant, agent=people.agent, suppressed_count=9)
        view = SavedView.objects.create(
            tenant=people.tenant, member=people.lena, name="Ours", query="tier=2", is_shared=True
        )
    nia = client_of(people.nia)
    page = nia.get("/reviews/?agent=refund-bot&action=billing.refund&team=finance&rule=refund-over-limit")
    text = page.content.decode()
    assert page.context["rows"] == []
    assert set(tab_counts(nia).values()) == {0, None}
    for ours in (review.wire_id, review.short_id, "Refund above USD 500", "Ours", "Lena"):
        assert ours not in text
    assert nia.post(f"/reviews/views/{view.pk}/delete/").status_code == 404
    assert nia.get(f"/reviews/?q={review.short_id}").context["rows"] == []


def test_a_flood_hides_no_tier_3(refunds: People) -> None:
    people = refunds
    with as_tenant(people.tenant.pk):
        Flood.objects.create(tenant=people.tenant, agent=people.agent, suppressed_count=9)
    severe = change(held_review(people), tier=3)
    page = client_of(people.rita).get("/reviews/")
    assert [row.review for row in page.context["rows"]] == [severe]
    assert "9 more calls were denied unseen." in page.content.decode()


def test_new_rows_wait_and_rows_that_ended_are_told_where_they_stand(refunds: People) -> None:
    people = refunds
    first, second = held_review(people), held_review(people)
    client = client_of(people.rita)
    page = client.get("/reviews/")

    def tick(context: Any) -> Any:
        address = f"/reviews/?v={context['stamp']}&n={context['newest']}&m={context['members']}&t={context['shown_at']}"
        return client.get(address, headers=HTMX)

    assert tick(page.context).status_code == 204
    claims.claim(second.wire_id, acting_member=people.lena, now=datetime.now(UTC))
    claimed = tick(page.context)
    text = claimed.content.decode()
    # A change in place moves nothing: there is nothing to show.
    assert " - show" not in text
    assert f'<span data-of="{second.wire_id}">Lena Lind</span>' in text
    decide(people, first, "deny", acting_member=people.lena)
    third = held_review(people)
    text = tick(page.context).content.decode()
    assert "1 new - show" in text
    assert f'<span data-ended="{first.wire_id}">denied by Lena Lind</span>' in text
    assert '<span data-tab="all">2</span>' in text
    assert "(2) Queue" in text
    # What the open table shows stays the measure of what is new.
    assert f"n={page.context['newest']}" in text
    assert third.wire_id in text
    assert "<form" not in text
    assert "<input" not in text


def test_a_tick_with_nonsense_in_its_address_is_answered(refunds: People) -> None:
    held_review(refunds)
    client = client_of(refunds.rita)
    for query in ("v=x&n=&m=&t=", "v=x&n=zz&m=%00&t=99999999999", "v=x&n=0&t=-5", "page=999&rows=7&dense=2"):
        assert client.get(f"/reviews/?{query}".replace("%00", ""), headers=HTMX).status_code == 200


def test_the_page_costs_as_many_queries_whatever_it_shows(refunds: People) -> None:
    people = refunds
    client = client_of(people.rita)
    leader = held_review(people, run_id="run_c")
    with CaptureQueriesContext(connection) as few:
        client.get("/reviews/")
    held_review(people, run_id="run_c")
    team(people, "finance", people.rita)
    for _ in range(4):
        change(held_review(people), team="finance", claimed_by=people.lena, assigned_to=people.lena)
    with CaptureQueriesContext(connection) as many:
        assert client.get("/reviews/").content.count(b"data-row") == 5
    assert len(many) <= len(few)
    assert len(many) <= MOST_QUERIES
    assert leader.copy_of_id is None


def test_200_rows_fit_on_a_page_and_rows_can_be_dense(refunds: People) -> None:
    client = client_of(refunds.rita)
    held_review(refunds)
    page = client.get("/reviews/?rows=200&dense=1")
    assert page.context["page"].paginator.per_page == 200
    assert "ledger--dense" in page.content.decode()
    assert client.get("/reviews/?rows=5000").context["page"].paginator.per_page == 50


def test_an_agents_words_are_text_in_rows_labels_and_ticks(refunds: People) -> None:
    people = refunds
    hostile = '"><img src=x onerror=alert(1)><b data-key=a>'
    review = change(held_review(people), params_text=json.dumps({hostile: hostile}))
    claims.claim(review.wire_id, acting_member=people.rita, now=datetime.now(UTC))
    client = client_of(people.lena)
    for headers, query in ((None, ""), (HTMX, "v=x&n=0&m=0&t=0")):
        text = client.get(f"/reviews/?{query}", headers=headers).content.decode()
        assert "<img" not in text
        assert "<b data-key" not in text


def test_a_first_approval_leaves_no_trace_in_anybody_elses_queue(people: People) -> None:
    enforce_refunds(people, refund_rule(tier=1, quorum=2))
    review = held_review(people)
    lena = client_of(people.lena)
    before = lena.get("/reviews/")
    decide(people, review)
    after = lena.get("/reviews/")

    def above_the_rows(page: Any) -> str:
        return str(page.content.decode().split('<section id="queue"')[1].split("queue-news")[0])

    assert after.context["stamp"] == before.context["stamp"]
    assert tab_counts(lena) == {"Mine": 0, "All": 1, "Tier 3+": 0, "Overdue": 0, "Decided": None}
    assert len(above_the_rows(after)) == len(above_the_rows(before))
    assert "Rita" not in after.content.decode()
    assert shown(lena, "view=decided") == []
    ticked = lena.get(f"/reviews/?v=other&n=0&m=0&t={before.context['shown_at']}", headers=HTMX).content.decode()
    assert "Rita" not in ticked
    assert "data-ended" not in ticked
    assert shown(client_of(people.rita)) == []
    verdicts.undo(review.wire_id, acting_member=people.rita, now=datetime.now(UTC))
    assert shown(client_of(people.rita)) == [review.short_id]


def test_a_row_does_not_warn_of_a_secret_that_the_schema_declares(people: People) -> None:
    enforce_refunds(people)
    params = {"invoice_id": "in_88", "amount_cents": 62000, "currency": "USD", "api_key": "sk_live_51NotARealKey0000"}
    review = held_review(people, params=params)
    client = client_of(people.rita)
    warning = "Looks like a secret where none is expected"
    assert warning in client.get("/reviews/").content.decode()
    with as_tenant(people.tenant.pk):
        schema = {"type": "object", "properties": {"api_key": {"type": "string", "writeOnly": True}}}
        Action.objects.filter(action_id=review.action_id).update(schema=schema)
    assert warning not in client.get("/reviews/").content.decode()
    assert warning not in client.get(f"/reviews/{review.wire_id}/").content.decode()


def test_lengths_of_a_snooze_are_said_as_people_say_them() -> None:
    form = SnoozeForm(lengths=[5, 60, 90, 240])
    assert [words for _, words in form.fields["minutes"].choices] == ["5 min", "1 h", "90 min", "4 h"]  # type: ignore[attr-defined]
