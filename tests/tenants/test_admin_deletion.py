"""What Django admin says before anything is deleted, whichever model it is; what must not be deleted is not."""

from __future__ import annotations

import re
from typing import Any

import pytest
from django.contrib import admin
from django.http import HttpRequest
from django.test import Client, RequestFactory

from audit.scope import as_tenant
from policy import drafts, lists
from policy.models import Action, Calendar, Counter, JudgeSetting, NamedList, Rule
from policy.terms import ListValue
from tenants.admin import TenantAdmin
from tenants.models import Agent, ApiKey, Member, Team
from tenants.teams import save_team
from tests.people import People
from tests.tenants.test_admin import signed_in, text_of

NOT_DELETED = {
    # What the log and its pages name, or what is followed by a new version.
    *("Member", "Agent", "ApiKey", "Revision", "PolicyState", "PackAdoption", "ToolDefinition"),
    # Drafts of templates are discarded and versions retired, each on a page of its own; notices are switched off.
    *("CardTemplate", "DeskSettings", "NoticeTarget"),
}


def as_owner(people: People) -> HttpRequest:
    """A request of Adam, who may do whatever anybody may."""
    request = RequestFactory().get("/admin/")
    people.adam.user.current_member = people.adam
    request.user, request.tenant, request.member = people.adam.user, people.tenant, people.adam  # type: ignore[attr-defined]
    return request


def a_team(people: People, *members: Member, slug: str = "finance", name: str = "Finance") -> Team:
    """A team of these people."""
    return save_team(people.adam, slug=slug, name=name, members=[member.pk for member in members])


def everything_deletable(people: People) -> dict[str, Any]:
    """Model name → a row of it."""
    tenant_id = people.tenant.pk
    action = Action(action_id="billing.refund", title="Refund")
    rule = Rule(
        slug="cap",
        name="Refund cap",
        scope_actions=["billing.refund"],
        condition="params.amount_cents > 5",
        effect="review",
        reason="Refunds need a person.",
        tier=2,
    )
    vip = NamedList(slug="vips", kind="exact")
    hours = Calendar(slug="office", time_zone="Europe/Dublin", hours={"mon": [["09:00", "17:00"]]}, holidays=[])
    counter = Counter(
        slug="refunds", scope_actions=["billing.refund"], kind="count", of="", key=[], window_seconds=86_400
    )
    drafts.save_action(tenant_id, acting=people.adam, action=action)
    drafts.save_rule(tenant_id, acting=people.adam, rule=rule)
    lists.save_list(tenant_id, acting=people.adam, row=vip, values=[ListValue("Lena Ortiz", "", None)])
    lists.save_calendar(tenant_id, acting=people.adam, row=hours)
    lists.save_counter(tenant_id, acting=people.adam, row=counter)
    with as_tenant(tenant_id):
        setting = JudgeSetting.objects.create(
            tenant_id=tenant_id, judge="prompt", action_id="billing.refund", fields=["note"], timeout_ms=500
        )
    made = (action, rule, vip, hours, counter, setting, a_team(people, people.rita))
    return {type(row).__name__: row for row in made}


def test_every_admin_says_what_deleting_means_or_allows_none(people: People) -> None:
    request = as_owner(people)
    with as_tenant(people.tenant.pk):
        allowing = {
            model.__name__ for model, page in admin.site._registry.items() if page.has_delete_permission(request)
        }
    ours = {model.__name__: type(page) for model, page in admin.site._registry.items() if isinstance(page, TenantAdmin)}
    assert allowing == set(everything_deletable(people)) == set(ours) - NOT_DELETED
    for name, page in ours.items():
        says = page.delete_consequence is not TenantAdmin.delete_consequence
        assert says is (name in allowing), name


def test_the_page_names_the_thing_what_stops_and_what_stays(people: People) -> None:
    client = signed_in(people.adam)
    for name, row in everything_deletable(people).items():
        app = row._meta.app_label
        answer = client.get(f"/admin/{app}/{name.lower()}/{row.pk}/delete/")
        page = answer.content.decode()
        assert answer.status_code == 200
        assert f'value="Delete {row._meta.verbose_name} {row}"' in page, name
        assert f'href="/admin/{app}/{name.lower()}/{row.pk}/change/">Cancel' in page, name
        assert "The log keeps every entry" in page, name
        assert re.search(r"(stay|keeps|goes on)", text_of(answer).partition("The log keeps")[0]), name
        assert "Are you sure" not in page, name


def test_deleting_a_team_says_who_decides_then_and_that_its_people_stay(people: People) -> None:
    team = a_team(people, people.rita, people.lena)
    client = signed_in(people.adam)
    said = text_of(client.get(f"/admin/tenants/team/{team.pk}/delete/"))
    assert "route to finance can then be decided by everybody who reviews" in said
    assert "Its 2 members stay members" in said
    assert "is in use" not in said
    assert client.post(f"/admin/tenants/team/{team.pk}/delete/", {"post": "yes"}).status_code == 302
    with as_tenant(people.tenant.pk):
        assert not Team.objects.exists()
        assert Member.objects.filter(pk=people.rita.pk).exists()


def test_deleting_a_team_counts_the_rules_that_name_it(people: People) -> None:
    team = a_team(people, people.rita)
    action = Action(action_id="billing.refund", title="Refund")
    drafts.save_action(people.tenant.pk, acting=people.adam, action=action)
    for slug, fields in (("cap", {"team": "finance"}), ("late", {"escalate_to": "finance"}), ("other", {})):
        rule = Rule(
            slug=slug,
            name=slug,
            scope_actions=["billing.refund"],
            condition="params.amount_cents > 5",
            effect="review",
            reason="Refunds need a person.",
            tier=2,
            due_in_seconds=900,
            expires_in_seconds=3600,
            **fields,
        )
        drafts.save_rule(people.tenant.pk, acting=people.adam, rule=rule)
    said = text_of(signed_in(people.adam).get(f"/admin/tenants/team/{team.pk}/delete/"))
    assert "Finance is in use: 2 rules." in said


def test_several_are_deleted_after_reading_what_each_means(people: People) -> None:
    chosen = [a_team(people, people.rita), a_team(people, slug="ops", name="Operations")]
    client = signed_in(people.adam)
    form: dict[str, Any] = {"action": "delete_selected", "_selected_action": [str(team.pk) for team in chosen]}
    asked = client.post("/admin/tenants/team/", form)
    assert 'value="Delete 2 teams"' in asked.content.decode()
    for team in chosen:
        assert f"{team.name} : Calls that rules route to {team.slug}" in text_of(asked)
    with as_tenant(people.tenant.pk):
        assert Team.objects.count() == 2
    client.post("/admin/tenants/team/", form | {"post": "yes"})
    with as_tenant(people.tenant.pk):
        assert not Team.objects.exists()


@pytest.mark.parametrize("model", [Agent, ApiKey, Member])
def test_what_the_log_names_is_not_deleted(people: People, model: Any) -> None:
    with as_tenant(people.tenant.pk):
        row = model.objects.order_by("pk").first()
    address = f"/admin/tenants/{model.__name__.lower()}/{row.pk}/delete/"
    client: Client = signed_in(people.adam)
    assert client.get(address).status_code == 403
    assert client.post(address, {"post": "yes"}).status_code == 403
    with as_tenant(people.tenant.pk):
        assert model.objects.filter(pk=row.pk).exists()
