"""People, roles and keys."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta

import pytest

from audit.scope import as_tenant
from tenants import keys, members
from tenants.errors import InvalidKey, InvalidMember, KeyInvalid
from tenants.models import Agent, ApiKey
from tenants.roles import PERMISSIONS, Role, permissions_of
from tests.people import PASSWORD, People
from tests.reviews.chain import bodies

NOW = datetime(2026, 11, 20, 12, 0, tzinfo=UTC)


def key_of(people: People) -> ApiKey:
    """The agent's key."""
    with as_tenant(people.tenant.pk):
        return ApiKey.objects.get()


def test_only_a_hash_of_the_secret_is_stored(people: People) -> None:
    secret = people.token.split("_", 3)[3]
    assert secret not in str(vars(key_of(people)))


def test_a_key_says_when_it_was_last_used_once_a_minute(people: People) -> None:
    keys.authenticate(people.token, now=NOW)
    keys.authenticate(people.token, now=NOW + timedelta(seconds=30))
    assert key_of(people).last_used_at == NOW
    keys.authenticate(people.token, now=NOW + timedelta(seconds=90))
    assert key_of(people).last_used_at == NOW + timedelta(seconds=90)


def test_a_revoked_key_is_no_key(people: People) -> None:
    keys.revoke(key_of(people), acting_member=people.adam, now=NOW)
    with pytest.raises(KeyInvalid):
        keys.authenticate(people.token, now=NOW)
    with pytest.raises(InvalidKey):
        keys.rotate(key_of(people), acting_member=people.adam, now=NOW)


@pytest.mark.parametrize("change", ["live→test", "secret", "public id"])
def test_a_token_that_was_changed_is_no_key(people: People, change: str) -> None:
    head, environment, public_id, secret = people.token.split("_", 3)
    changed = {
        "live→test": f"{head}_test_{public_id}_{secret}",
        "secret": f"{head}_{environment}_{public_id}_{secret[:-1]}{'A' if secret[-1] != 'A' else 'B'}",
        "public id": f"{head}_{environment}_{'0' * 16}_{secret}",
    }[change]
    with pytest.raises(KeyInvalid):
        keys.authenticate(changed, now=NOW)
    assert keys.authenticate(people.token, now=NOW)


def test_a_key_for_another_tenants_agent_is_refused(people: People) -> None:
    with as_tenant(people.other_tenant.pk):
        theirs = Agent.objects.get()
    with pytest.raises(InvalidKey):
        keys.issue(people.tenant.pk, name="x", agent=theirs, acting_member=people.adam)


@pytest.mark.parametrize("scopes", [(), ("everything",), ("evaluate", "admin")])
def test_a_key_has_known_scopes(people: People, scopes: tuple[str, ...]) -> None:
    with pytest.raises(InvalidKey):
        keys.issue(people.tenant.pk, name="x", agent=people.agent, scopes=scopes, acting_member=people.adam)


def test_the_last_owner_stays(people: People) -> None:
    for roles, is_active in (([Role.REVIEWER], True), ([Role.OWNER], False)):
        with pytest.raises(InvalidMember):
            members.change_roles(people.adam, roles=roles, is_active=is_active, acting_member=people.adam)
    members.change_roles(people.lena, roles=[Role.OWNER], is_active=True, acting_member=people.adam)
    members.change_roles(people.adam, roles=[Role.REVIEWER], is_active=True, acting_member=people.lena)


@pytest.mark.parametrize("roles", [[], ["king"], ["reviewer", "king"]])
def test_roles_are_known_ones(people: People, roles: list[str]) -> None:
    with pytest.raises(InvalidMember):
        members.add_member(people.tenant, email="new@demo.example", name="New", roles=roles)


def test_a_person_is_a_member_once_and_may_be_one_elsewhere(people: People) -> None:
    with pytest.raises(InvalidMember):
        members.add_member(people.tenant, email="RITA@demo.example", name="Rita", roles=["lead"])
    elsewhere = members.add_member(people.other_tenant, email="rita@demo.example", name="Rita", roles=["auditor"])
    assert elsewhere.user_id == people.rita.user_id


def test_a_weak_password_is_refused(people: People) -> None:
    with pytest.raises(InvalidMember, match="12 characters"):
        members.add_member(people.tenant, email="n@demo.example", name="N", roles=["lead"], password="short")


def test_every_change_of_people_and_keys_is_recorded(committed_people: People) -> None:
    people = committed_people
    members.change_roles(people.rita, roles=["lead"], is_active=True, acting_member=people.adam)
    keys.revoke(key_of(people), acting_member=people.adam, now=NOW)
    changes = [
        (body["kind"], body["change"], body["actor"]["id"])
        for body in bodies(people.tenant.pk)
        if body["kind"] in {"member.changed", "apikey.changed"}
    ]
    assert changes[-2:] == [
        ("member.changed", "changed", str(people.adam.pk)),
        ("apikey.changed", "revoked", str(people.adam.pk)),
    ]


def test_roles_give_what_they_say_and_no_more() -> None:
    assert set(PERMISSIONS) == set(Role)
    assert "reviews.decide_review" not in permissions_of(["auditor", "developer", "policy_author"])
    assert "policy.publish_revision" not in permissions_of(["policy_author"])
    assert "audit.view_entry" in permissions_of(["auditor"])
    assert permissions_of(["nobody"]) == frozenset()


def test_permissions_come_from_the_membership_of_the_request_alone(people: People) -> None:
    user = people.adam.user
    user.current_member = None
    assert not user.has_perm("policy.publish_revision")
    user.current_member = people.adam
    assert user.has_perm("policy.publish_revision")
    user.is_active = False
    assert not user.has_perm("policy.publish_revision")


def test_people_sign_in_by_address_and_password(people: People) -> None:
    assert people.rita.user.check_password(PASSWORD)
