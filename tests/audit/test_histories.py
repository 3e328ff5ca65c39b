"""The log as the history of one thing: whose it says it is, the way back, and who is told."""

from __future__ import annotations

from typing import Any

from audit.scope import as_tenant
from policy.models import Action, Rule
from reviews.models import CardTemplate
from tenants.models import ApiKey
from tests.factories import deny_rule, enforce_refunds, refund_rule
from tests.people import People
from tests.policy.test_admin import signed_in, text_of
from tests.reviews.test_card_templates import activate, draft

WHOLE_LOG = '<a class="button" href="/audit/">Show the whole log</a>'


def history(people: People, who: str, admin_page: str) -> Any:
    """The page that History of a row leads to; Any: Django's test client adds to the response's type."""
    return signed_in(getattr(people, who)).get(f"{admin_page}history/", follow=True)


def test_a_history_says_whose_it_is_and_leads_back(committed_people: People) -> None:
    people = committed_people
    enforce_refunds(people, refund_rule(), deny_rule())
    with as_tenant(people.tenant.pk):
        rule, key = Rule.objects.get(slug="refund-over-limit"), ApiKey.objects.get()
    for address, words, noun in (
        (f"/admin/policy/rule/{rule.pk}/", "rule Refund above USD 500", "rule"),
        (f"/admin/tenants/apikey/{key.pk}/", f"API key {key}", "API key"),
        (f"/admin/tenants/member/{people.rita.pk}/", "member Rita Reyes", "member"),
    ):
        page = history(people, "adam", address)
        assert f"<h1>History of <bdi>{words}</bdi></h1>" in page.content.decode()
        assert f'<a href="{address}change/">Back to the {noun}</a>' in page.content.decode()
        assert WHOLE_LOG in page.content.decode()
        assert page.content.decode().count('class="row-link"') == 1


def test_the_history_of_a_draft_says_where_what_went_live_stands(committed_people: People) -> None:
    people = committed_people
    enforce_refunds(people, refund_rule())
    said = (
        "These are edits of the draft. What went live, and when, stands in "
        '<a href="/admin/policy/revision/">the revisions</a>.'
    )
    with as_tenant(people.tenant.pk):
        rule, action = Rule.objects.get(), Action.objects.get()
    for address in (f"/admin/policy/rule/{rule.pk}/", f"/admin/policy/action/{action.pk}/"):
        assert said in history(people, "adam", address).content.decode()
    assert "edits of the draft" not in text_of(history(people, "adam", f"/admin/tenants/member/{people.rita.pk}/"))


def test_what_the_log_is_filtered_to_is_named_only_to_who_may_open_it(committed_people: People) -> None:
    people = committed_people
    query = f"?kind=member.changed&about={people.rita.pk}"
    page = text_of(signed_in(people.lena).get(f"/audit/{query}"))  # type: ignore[arg-type]  # Django adds to the type
    assert "History of" not in page
    assert "in use: Kind: Member changed · Id of what changed:" in page
    for elsewhere in (
        f"?kind=member.changed&about={people.nia.pk}",
        "?kind=member.changed&about=x",
        "?kind=rule.changed",
    ):
        page = text_of(signed_in(people.adam).get(f"/audit/{elsewhere}"))  # type: ignore[arg-type]  # as above
        assert "History of" not in page


def test_the_versions_of_a_card_template_share_one_history(committed_people: People) -> None:
    people = committed_people
    rows = [draft(people) for _ in range(2)]
    address = f"/admin/reviews/cardtemplate/{rows[0].pk}/"
    page = history(people, "adam", address)
    assert "No change of it is on the record" in text_of(page)
    for row in rows:
        activate(people, row)
    page = history(people, "adam", address)
    action_id = rows[0].action_id
    assert f"<h1>History of <bdi>card template {action_id}</bdi></h1>" in page.content.decode()
    assert (
        f'<a href="/admin/reviews/cardtemplate/?q={action_id}">Back to the card templates</a>' in page.content.decode()
    )
    assert page.content.decode().count('class="row-link"') == 2
    with as_tenant(people.tenant.pk):
        assert CardTemplate.objects.filter(action_id=action_id).count() == 2
