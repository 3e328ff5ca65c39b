"""Keys, agents and people in Django admin, as different roles."""

from __future__ import annotations

import re

import pytest
from django.test import Client

from audit.scope import as_tenant
from tenants.keys import authenticate
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
        "expires_at_0": "",
        "expires_at_1": "",
    } | fields


def tokens_in(html: str) -> list[str]:
    """Every key on a page."""
    return re.findall(r"gsk_(?:live|test)_[0-9a-f]{16}_[A-Za-z0-9_-]{43}", html)


def test_a_new_key_is_shown_once(people: People) -> None:
    client = signed_in(people.devi)
    response = client.post(f"{KEYS}add/", key_form(people), follow=True)
    (token,) = tokens_in(response.content.decode())
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
        {"expires_at_0": "2020-01-01", "expires_at_1": "12:00"},
    )
    for fields in wrong:
        response = client.post(f"{KEYS}add/", key_form(people, **fields))
        assert response.status_code == 200
        assert b"errorlist" in response.content
    with as_tenant(people.tenant.pk):
        assert ApiKey.objects.count() == 1


def test_selected_keys_are_rotated_and_revoked(people: People) -> None:
    client = signed_in(people.adam)
    with as_tenant(people.tenant.pk):
        key = ApiKey.objects.get()
    rotated = client.post(KEYS, {"action": "rotate_selected", "_selected_action": [str(key.pk)]}, follow=True)
    (token,) = tokens_in(rotated.content.decode())
    assert authenticate(token)
    assert authenticate(people.token)
    client.post(KEYS, {"action": "revoke_selected", "_selected_action": [str(key.pk)]})
    with as_tenant(people.tenant.pk):
        assert ApiKey.objects.get(pk=key.pk).revoked_at is not None


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
