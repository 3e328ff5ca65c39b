"""Keys, agents and people in Django admin, as different roles."""

from __future__ import annotations

import re
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest
from django.contrib.admin import site
from django.test import Client
from django.utils import timezone

from audit.scope import as_tenant
from reviews.agents import pause_agent
from tenants.admin import TenantAdmin
from tenants.errors import KeyInvalid
from tenants.keys import authenticate, issue
from tenants.members import change_roles
from tenants.models import Agent, ApiKey, Member
from tests.people import PASSWORD, People

KEYS = "/admin/tenants/apikey/"


def signed_in(member: Member) -> Client:
    """A browser in which the member is signed in."""
    client = Client()
    client.force_login(member.user, backend="allauth.account.auth_backends.AuthenticationBackend")
    return client


def key_form(people: People, **fields: object) -> dict[str, object]:
    """The form of a new key."""
    return {
        "name": "production",
        "agent": str(people.agent.pk),
        "environment": "live",
        "scopes": ["evaluate", "reviews"],
        "expires": "never",
        "last_day": "",
    } | fields


def tokens_in(html: str) -> list[str]:
    """Every key on a page, once each."""
    return list(dict.fromkeys(re.findall(r"gsk_(?:live|test)_[0-9a-f]{16}_[A-Za-z0-9_-]{43}", html)))


def test_a_new_key_is_shown_once(people: People) -> None:
    client = signed_in(people.devi)
    response = client.post(f"{KEYS}add/", key_form(people), follow=True)
    page = response.content.decode()
    (token,) = tokens_in(page)
    assert f'<span data-exact hidden>{token}</span><button type="button" class="copy scripted" data-copy>' in page
    assert re.search(rf'<a href="{KEYS}">API keys</a>\s+› Copy the key now', page)
    assert "no-store" in response["Cache-Control"]
    assert authenticate(token).agent == people.agent
    assert not tokens_in(client.get(KEYS).content.decode())
    # A reload makes no second key and shows none.
    assert b"shown once" in client.get(f"{KEYS}issued/").content
    with as_tenant(people.tenant.pk):
        assert ApiKey.objects.count() == 2
    assert token not in str(dict(client.session))
    assert token not in str(client.cookies)


def test_a_key_without_a_name_or_scope_is_refused_at_the_field(people: People) -> None:
    client = signed_in(people.adam)
    wrong: tuple[dict[str, object], ...] = (
        {"name": ""},
        {"scopes": []},
        {"scopes": ["everything"]},
        {"expires": "day", "last_day": "2020-01-01"},
        {"expires": "day", "last_day": ""},
        {"expires": "7"},
        {"expires": ""},
        {"agent": ""},
        {"environment": ""},
        {"scopes": ["policy"]},
    )
    for fields in wrong:
        response = client.post(f"{KEYS}add/", key_form(people, **fields))
        assert response.status_code == 200
        assert b"errorlist" in response.content
    with as_tenant(people.tenant.pk):
        assert ApiKey.objects.count() == 1


@pytest.mark.parametrize(("chosen", "days"), [("never", None), ("30", 30), ("90", 90), ("365", 365)])
def test_a_key_lives_as_long_as_was_chosen(people: People, chosen: str, days: int | None) -> None:
    # A day that was typed before another choice was made is nobody's wish.
    form = key_form(people, expires=chosen, last_day="2020-01-01")
    signed_in(people.devi).post(f"{KEYS}add/", form)
    with as_tenant(people.tenant.pk):
        key = ApiKey.objects.get(name="production")
    if days is None:
        assert key.expires_at is None
    else:
        assert key.expires_at is not None
        assert abs(key.expires_at - key.created_at - timedelta(days=days)) < timedelta(minutes=1)


def test_a_new_key_is_assumed_for_nobody_and_ends_after_90_days(people: People) -> None:
    response: Any = signed_in(people.devi).get(f"{KEYS}add/")
    form = response.context["adminform"].form
    assert (form["agent"].value(), form["environment"].value(), form["expires"].value()) == (None, None, "90")
    assert "nothing yet" not in response.content.decode()
    chosen: Any = signed_in(people.devi).get(f"{KEYS}add/?agent={people.agent.pk}")
    assert f'<option value="{people.agent.pk}" selected>' in chosen.content.decode()


def test_a_key_for_a_gateway_is_chosen_as_such(people: People) -> None:
    signed_in(people.devi).post(f"{KEYS}add/", key_form(people, agent="gateway"))
    with as_tenant(people.tenant.pk):
        assert ApiKey.objects.get(name="production").agent is None


def test_the_keys_of_one_agent_or_of_the_gateways_are_listed_alone(people: People) -> None:
    issue(people.tenant.pk, name="through the gate", agent=None, acting_member=people.adam)
    client = signed_in(people.devi)
    assert f"{KEYS}?agent=refund-bot" in client.get(f"/admin/tenants/agent/{people.agent.pk}/change/").content.decode()
    of_agent, of_gateways = (text_of(client.get(f"{KEYS}?agent={slug}")) for slug in ("refund-bot", ""))
    assert "test key" in of_agent
    assert "through the gate" not in of_agent
    assert "test key" not in of_gateways
    assert "through the gate" in of_gateways


def test_a_key_is_rotated_on_its_page_and_the_old_one_works_on(people: People) -> None:
    now = timezone.now()
    old = issue(
        people.tenant.pk, name="old", agent=people.agent, acting_member=people.adam, expires_at=now + timedelta(days=90)
    )
    client = signed_in(people.devi)
    address = f"{KEYS}{old.key.pk}/rotate/"
    assert f'href="{address}"' in client.get(f"{KEYS}{old.key.pk}/change/").content.decode()
    assert "works for 24 hours more" in text_of(client.get(address))
    with as_tenant(people.tenant.pk):
        assert not ApiKey.objects.filter(replaces=old.key).exists()
    (token,) = tokens_in(client.post(address, follow=True).content.decode())
    assert authenticate(token).agent == authenticate(old.token).agent
    with as_tenant(people.tenant.pk):
        new = ApiKey.objects.get(replaces=old.key)
    assert new.expires_at is not None
    assert abs(new.expires_at - now - timedelta(days=90)) < timedelta(minutes=1)


def test_a_page_of_a_key_bears_its_name_and_says_never_where_there_is_no_time(people: People) -> None:
    with as_tenant(people.tenant.pk):
        key = ApiKey.objects.get()
    page = signed_in(people.devi).get(f"{KEYS}{key.pk}/change/")
    assert f"<h1>{key}</h1>" in page.content.decode()
    assert "Expires: Never" in text_of(page)
    assert "None" not in text_of(page)


def test_a_key_that_ended_is_not_rotated(people: People) -> None:
    with as_tenant(people.tenant.pk):
        key = ApiKey.objects.get()
    client = signed_in(people.devi)
    client.post(f"{KEYS}{key.pk}/revoke/")
    assert f"{KEYS}{key.pk}/rotate/" not in client.get(f"{KEYS}{key.pk}/change/").content.decode()
    assert client.post(f"{KEYS}{key.pk}/rotate/")["Location"] == f"{KEYS}{key.pk}/change/"
    with as_tenant(people.tenant.pk):
        assert ApiKey.objects.count() == 1


def test_an_agents_page_says_that_it_is_paused_and_leads_to_pausing_and_resuming(people: People) -> None:
    page, way = f"/admin/tenants/agent/{people.agent.pk}/change/", "/agents/refund-bot/pause/"
    running = signed_in(people.adam).get(page)
    assert f'href="{way}">Pause…' in running.content.decode()
    assert way not in signed_in(people.devi).get(page).content.decode()
    pause_agent(people.rita, "refund-bot", code="flood", note="A loop, it seems", now=timezone.now())
    paused = signed_in(people.adam).get(page)
    assert f'href="{way}">Resume…' in paused.content.decode()
    assert "by Rita Reyes. Too many calls: A loop, it seems." in text_of(paused)


def test_one_finds_oneself_among_the_members_and_the_only_owner_is_told(people: People) -> None:
    client = signed_in(people.adam)
    members = text_of(client.get("/admin/tenants/member/"))
    assert "Adam Abara (you)" in members
    assert members.count("(you)") == 1
    mine = text_of(client.get(f"/admin/tenants/member/{people.adam.pk}/change/"))
    assert "This is you. The only owner: make another before you change this." in mine
    assert "adam@demo.example" in mine
    ritas = text_of(client.get(f"/admin/tenants/member/{people.rita.pk}/change/"))
    assert "rita@demo.example" in ritas
    assert "This is you" not in ritas
    assert "only owner" not in ritas
    change_roles(people.lena, roles=["owner"], is_active=True, acting_member=people.adam)
    assert "only owner" not in text_of(client.get(f"/admin/tenants/member/{people.adam.pk}/change/"))


def test_a_members_address_stays_whatever_is_posted(people: People) -> None:
    form = {"email": "other@demo.example", "roles": ["reviewer"], "is_active": "on"}
    signed_in(people.adam).post(f"/admin/tenants/member/{people.rita.pk}/change/", form)
    with as_tenant(people.tenant.pk):
        assert Member.objects.get(pk=people.rita.pk).user.email == "rita@demo.example"


def test_every_search_says_what_it_searches() -> None:
    ours = [one for one in site._registry.values() if isinstance(one, TenantAdmin) and one.search_fields]
    assert ours
    assert [one for one in ours if not one.search_help_text] == []


def test_a_key_works_until_the_end_of_its_last_day(people: People) -> None:
    signed_in(people.devi).post(f"{KEYS}add/", key_form(people, expires="day", last_day="2999-12-30"))
    with as_tenant(people.tenant.pk):
        assert ApiKey.objects.get(name="production").expires_at == datetime(2999, 12, 31, tzinfo=UTC)


def test_history_is_the_log_filtered_to_the_row_for_whoever_reads_the_log(people: People) -> None:
    with as_tenant(people.tenant.pk):
        key = ApiKey.objects.get()
    for address, query in (
        (f"{KEYS}{key.pk}/history/", f"kind=apikey.changed&about={key.public_id}"),
        (f"/admin/tenants/agent/{people.agent.pk}/history/", f"kind=agent.changed&about={people.agent.slug}"),
        (f"/admin/tenants/member/{people.rita.pk}/history/", f"kind=member.changed&about={people.rita.pk}"),
    ):
        assert signed_in(people.adam).get(address)["Location"] == f"/audit/?{query}"
    developer = signed_in(people.devi)
    page = developer.get(f"{KEYS}{key.pk}/history/")
    assert "Owners, leads and auditors read it" in text_of(page)
    assert f'href="{KEYS}{key.pk}/change/">Back' in page.content.decode()
    with as_tenant(people.other_tenant.pk):
        theirs = ApiKey.objects.get()
    assert "/audit/" not in signed_in(people.adam).get(f"{KEYS}{theirs.pk}/history/")["Location"]


def test_an_agents_id_stays_as_rules_name_it(people: People) -> None:
    client = signed_in(people.adam)
    address = f"/admin/tenants/agent/{people.agent.pk}/change/"
    page = client.get(address).content.decode()
    assert 'name="slug"' not in page
    assert "Id:" in page
    assert client.post(address, {"slug": "other", "name": "Renamed", "version": "", "tags": ""}).status_code == 302
    with as_tenant(people.tenant.pk):
        agent = Agent.objects.get()
    assert (agent.slug, agent.name) == (people.agent.slug, "Renamed")


def test_the_way_back_names_groups_and_no_apps(people: People) -> None:
    client = signed_in(people.adam)
    for address, way in (
        ("/admin/tenants/team/", "Rules, keys and people › People and keys › Teams"),
        (f"{KEYS}add/", "Rules, keys and people › People and keys › API keys › Add API key"),
        ("/admin/policy/rule/add/", "Rules, keys and people › Rules › Add rule"),
        ("/admin/reviews/noticetarget/", "Rules, keys and people › Cards and desk › Notices"),
    ):
        page = text_of(client.get(address))
        assert way in page
        assert "Tenants" not in page
    assert client.get("/admin/tenants/")["Location"] == "/admin/"


def test_nothing_beside_a_choice_of_agents_leads_away_from_the_form(people: People) -> None:
    page = signed_in(people.adam).get(f"{KEYS}add/").content.decode()
    assert str(people.agent.pk) in page
    assert "related-widget-wrapper" not in page
    assert "shown once" in page


def test_selected_keys_are_rotated_and_revoked(people: People) -> None:
    client = signed_in(people.adam)
    with as_tenant(people.tenant.pk):
        key = ApiKey.objects.get()
    rotated = client.post(KEYS, {"action": "rotate_selected", "_selected_action": [str(key.pk)]}, follow=True)
    (token,) = tokens_in(rotated.content.decode())
    assert authenticate(token)
    assert authenticate(people.token)
    form = {"action": "revoke_selected", "_selected_action": [str(key.pk)]}
    assert "final" in client.post(KEYS, form).content.decode()
    assert stored(key).revoked_at is None
    client.post(KEYS, form | {"post": "yes"})
    assert stored(key).revoked_at is not None
    assert authenticate(token)
    assert "Already revoked" in text_of(client.post(KEYS, form, follow=True))


def stored(key: ApiKey) -> ApiKey:
    """The key as its row is now."""
    with as_tenant(key.tenant_id):
        return ApiKey.objects.select_related("revoked_by__user").get(pk=key.pk)


def text_of(response: Any) -> str:
    """The words of a page, on one line."""
    return " ".join(re.sub(r"<[^>]+>", " ", response.content.decode()).split())


def test_a_key_is_revoked_on_its_page_after_reading_what_ends(people: People) -> None:
    with as_tenant(people.tenant.pk):
        key = ApiKey.objects.get()
    client = signed_in(people.devi)
    page = client.get(f"{KEYS}{key.pk}/change/").content.decode()
    address = f"{KEYS}{key.pk}/revoke/"
    assert f'href="{address}"' in page
    asked = client.get(address)
    assert stored(key).revoked_at is None
    assert f'value="Revoke key {key.name}"' in asked.content.decode()
    assert f"{people.agent.name} has no other key" in text_of(asked)
    assert authenticate(people.token)

    answer = client.post(f"{KEYS}{key.pk}/revoke/", follow=True)
    revoked = stored(key)
    assert revoked.revoked_by == people.devi
    with pytest.raises(KeyInvalid):
        authenticate(people.token)
    assert f"by {people.devi.display_name}" in text_of(answer)
    assert "It never works again" in text_of(answer)
    assert address not in answer.content.decode()


def test_revoking_is_final_and_keeps_who_did_it(people: People) -> None:
    with as_tenant(people.tenant.pk):
        key = ApiKey.objects.get()
    signed_in(people.devi).post(f"{KEYS}{key.pk}/revoke/")
    again = signed_in(people.adam)
    assert again.get(f"{KEYS}{key.pk}/revoke/")["Location"] == f"{KEYS}{key.pk}/change/"
    assert "Revoked:" not in text_of(again.post(f"{KEYS}{key.pk}/revoke/", follow=True))
    assert stored(key).revoked_by == people.devi


def test_the_page_says_how_many_other_keys_the_agent_has(people: People) -> None:
    with as_tenant(people.tenant.pk):
        key = ApiKey.objects.get()
    issue(people.tenant.pk, name="second", agent=people.agent, acting_member=people.adam)
    issue(people.tenant.pk, name="gateway", agent=None, acting_member=people.adam)
    asked = text_of(signed_in(people.adam).get(f"{KEYS}{key.pk}/revoke/"))
    assert f"{people.agent.name} has 1 other key that works" in asked


@pytest.mark.parametrize("name", ["rita", "lena", "otto"])
def test_who_may_not_make_keys_revokes_none(people: People, name: str) -> None:
    with as_tenant(people.tenant.pk):
        key = ApiKey.objects.get()
    client = signed_in(getattr(people, name))
    assert client.get(f"{KEYS}{key.pk}/revoke/", follow=True).status_code == 403
    assert client.post(f"{KEYS}{key.pk}/revoke/", follow=True).status_code == 403
    assert stored(key).revoked_at is None


def test_another_tenants_key_is_not_found_to_be_revoked(people: People) -> None:
    with as_tenant(people.other_tenant.pk):
        theirs = ApiKey.objects.get()
    client = signed_in(people.adam)
    assert client.get(f"{KEYS}{theirs.pk}/revoke/").status_code == 404
    assert client.post(f"{KEYS}{theirs.pk}/revoke/").status_code == 404
    client.post(KEYS, {"action": "revoke_selected", "_selected_action": [str(theirs.pk)], "post": "yes"})
    assert stored(theirs).revoked_at is None


@pytest.mark.parametrize("name", ["rita", "otto"])
def test_who_has_nothing_to_do_there_gets_403(people: People, name: str) -> None:
    client = signed_in(getattr(people, name))
    assert client.get(f"{KEYS}add/", follow=True).status_code == 403
    assert client.post(f"{KEYS}add/", key_form(people), follow=True).status_code == 403


def test_a_visitor_is_sent_to_the_one_sign_in_page(people: People) -> None:
    response = Client().get(KEYS)
    assert response.status_code == 302
    assert response["Location"].startswith("/accounts/login/")


def test_another_tenants_keys_agents_and_members_are_absent(people: People) -> None:
    client = signed_in(people.adam)
    with as_tenant(people.other_tenant.pk):
        theirs = [ApiKey.objects.get(), Agent.objects.get(), people.nia]
    for row in theirs:
        name = type(row).__name__.lower()
        listing = client.get(f"/admin/tenants/{name}/")
        assert listing.status_code == 200
        assert str(row.pk) not in listing.content.decode()
        assert client.get(f"/admin/tenants/{name}/{row.pk}/change/").status_code in {302, 404}
    with as_tenant(people.other_tenant.pk):
        their_agent = Agent.objects.get()
    response = client.post(f"{KEYS}add/", key_form(people, agent=str(their_agent.pk)))
    assert b"errorlist" in response.content


def test_an_owner_adds_a_member_who_can_sign_in(people: People) -> None:
    client = signed_in(people.adam)
    form = {"email": "mina@demo.example", "name": "Mina", "password": PASSWORD, "roles": ["reviewer", "lead"]}
    assert client.post("/admin/tenants/member/add/", form).status_code == 302
    with as_tenant(people.tenant.pk):
        member = Member.objects.select_related("user").get(user__email="mina@demo.example")
    assert member.roles == ["reviewer", "lead"]
    assert member.user.check_password(PASSWORD)


@pytest.mark.parametrize(
    ("field", "value", "said"),
    [
        ("email", "rita@demo.example", "already is a member"),
        ("email", "nonsense", "valid email address"),
        ("password", "short", "at least 12 characters"),
        ("roles", [], "required"),
    ],
)
def test_a_wrong_member_is_refused_at_the_field_and_the_form_is_kept(
    people: People, field: str, value: object, said: str
) -> None:
    form = {"email": "mina@demo.example", "name": "Mina", "password": PASSWORD, "roles": ["reviewer"]} | {field: value}
    response = signed_in(people.adam).post("/admin/tenants/member/add/", form)
    assert response.status_code == 200
    errors = response.context["adminform"].form.errors
    assert list(errors) == [field]
    assert said in str(errors[field])
    assert b'value="Mina"' in response.content


def test_the_last_owner_stays_and_the_form_says_so(people: People) -> None:
    client = signed_in(people.adam)
    change = f"/admin/tenants/member/{people.adam.pk}/change/"
    response = client.post(change, {"roles": ["reviewer"], "is_active": "on"})
    assert response.status_code == 200
    assert b"at least one active owner" in response.content
    with as_tenant(people.tenant.pk):
        assert Member.objects.get(pk=people.adam.pk).roles == ["owner"]


def test_an_agent_is_added_in_ones_own_tenant(people: People) -> None:
    client = signed_in(people.devi)
    form = {"slug": "mail-bot", "name": "Mail bot", "version": "2", "owner": str(people.devi.pk), "tags": ""}
    assert client.post("/admin/tenants/agent/add/", form).status_code == 302
    with as_tenant(people.tenant.pk):
        assert Agent.objects.get(slug="mail-bot").tenant_id == people.tenant.pk
