"""Tenants and their people: open a tenant, add a member, change roles. Everything is recorded."""

from __future__ import annotations

import json
from collections.abc import Iterable

from django.contrib.auth.password_validation import validate_password
from django.core.exceptions import ValidationError
from django.utils.text import slugify

from audit.record import Actor, Disclosure, EntryDraft, open_log, record
from audit.scope import as_tenant
from tenants.errors import InvalidMember
from tenants.isolation import rows_of
from tenants.models import Member, Tenant, User
from tenants.roles import Role


def open_tenant(name: str, *, slug: str | None = None, is_demo: bool = False) -> Tenant:
    """A new tenant with its own log opened."""
    tenant = Tenant(name=name, slug=slug or slugify(name), is_demo=is_demo)
    with as_tenant(tenant.pk):
        tenant.save(force_insert=True)
        open_log(tenant.pk)
    return tenant


def add_member(
    tenant: Tenant,
    *,
    email: str,
    name: str,
    roles: Iterable[str],
    password: str | None = None,
    acting_member: Member | None = None,
) -> Member:
    """A member, for a new person or one who already signs in elsewhere here.

    Raises InvalidMember for unknown or no roles, a weak password, or somebody who already is a member.
    """
    wanted = _checked_roles(roles)
    with as_tenant(tenant.pk):
        user = check_new_member(tenant, email=email, password=password)
        if user is None:
            user = User.objects.create_user(email=email, name=name, password=password)
        member = Member.objects.create(tenant=tenant, user=user, roles=wanted)
        _record(member, "added", acting_member)
    return member


def check_new_member(tenant: Tenant, *, email: str, password: str | None) -> User | None:
    """The person behind the address, or None for a new one. Call inside `as_tenant()`.

    Raises InvalidMember, with the `field` it belongs to, for somebody who already is a member or a weak password.
    """
    user = User.objects.filter(email__iexact=email).first()
    if user is None:
        if password is not None:
            try:
                validate_password(password)
            except ValidationError as error:
                raise InvalidMember(" ".join(error.messages), field="password") from error
    elif rows_of(Member, tenant.pk).filter(user=user).exists():
        raise InvalidMember("This person already is a member.", field="email")
    return user


def check_roles(member: Member, *, roles: Iterable[str], is_active: bool) -> None:
    """Raise InvalidMember when the change would leave the tenant without an active owner. Call inside `as_tenant()`."""
    # Lock the tenant's members, so that two owners cannot demote each other at once.
    members = rows_of(Member, member.tenant_id).select_for_update(no_key=True, of=("self",)).order_by("pk")
    if not _other_owners(member, members) and not (is_active and Role.OWNER in set(roles)):
        raise InvalidMember("A tenant keeps at least one active owner. Make somebody else owner first.", field="roles")


def is_only_owner(member: Member) -> bool:
    """Whether nobody else owns the tenant: their roles cannot be taken away. Call inside `as_tenant()`."""
    owns = member.is_active and Role.OWNER in member.roles
    return owns and not _other_owners(member, rows_of(Member, member.tenant_id))


def _other_owners(member: Member, members: Iterable[Member]) -> list[Member]:
    return [other for other in members if other.pk != member.pk and other.is_active and Role.OWNER in other.roles]


def change_roles(member: Member, *, roles: Iterable[str], is_active: bool, acting_member: Member) -> None:
    """Set the member's roles and whether they are active. Without a change nothing is recorded.

    Raises InvalidMember when it would leave the tenant without an active owner.
    """
    wanted = _checked_roles(roles)
    with as_tenant(member.tenant_id):
        check_roles(member, roles=wanted, is_active=is_active)
        before, was_active = member.roles, member.is_active
        if (before, was_active) == (wanted, is_active):
            return
        member.roles = wanted
        member.is_active = is_active
        member.save(update_fields=["roles", "is_active"])
        change = "changed" if is_active == was_active else "reactivated" if is_active else "deactivated"
        _record(member, change, acting_member, before=before)


def _checked_roles(roles: Iterable[str]) -> list[str]:
    wanted = [role.value for role in Role if role in set(roles)]
    if not wanted or len(set(roles)) != len(wanted):
        raise InvalidMember(f"Roles are one or more of {', '.join(Role)}.")
    return wanted


def _record(member: Member, change: str, acting_member: Member | None, *, before: Iterable[str] = ()) -> None:
    actor = Actor(type="member", id=str(acting_member.pk)) if acting_member else Actor(type="system", id="setup")
    record(
        member.tenant_id,
        EntryDraft(
            kind="member.changed",
            fields={
                "member": str(member.pk),
                "change": change,
                "roles": list(member.roles),
                "before": list(before),
            },
            actor=actor,
            disclosures=(
                Disclosure("member.name", json.dumps(member.user.name)),
                Disclosure("member.email", json.dumps(member.user.email)),
            ),
        ),
    )
