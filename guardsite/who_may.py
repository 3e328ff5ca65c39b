"""Whose role would have let a refused request through, and who can give it: for the page that refuses."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from django.contrib import admin
from django.http import HttpRequest

from audit.access import Lacking
from audit.scope import as_tenant
from guardsite.admin import ADMIN_PERMISSIONS
from tenants.backends import roles_that_may
from tenants.isolation import rows_of
from tenants.models import Member
from tenants.roles import ROLE_LABELS, Role

# Whom to ask: more names than this help nobody.
NAMED = 3
_STEPS = ("add", "change", "delete")


@dataclass(frozen=True, slots=True)
class Needed:
    """Roles as pages call them: those that the member has, those of which one is needed; and who gives them, by name."""

    have: Sequence[str]
    roles: Sequence[str]
    owners: Sequence[str]


def needed_for(request: HttpRequest, refused: Exception | None) -> Needed | None:
    """What the member lacks; None where that is not known, or where it is not a role. One query."""
    member: Member | None = getattr(request, "member", None)
    if member is None:
        return None
    roles = roles_that_may(*refused.permissions) if isinstance(refused, Lacking) else _of_admin(request)
    if not roles or roles & set(member.roles):
        return None
    with as_tenant(member.tenant_id):
        owners = rows_of(Member, member.tenant_id).filter(roles__contains=[Role.OWNER], is_active=True)
        names = [owner.display_name for owner in owners.select_related("user").order_by("user__name")[:NAMED]]
    return Needed(member.role_labels, [label for role, label in ROLE_LABELS.items() if role in roles], names)


def _of_admin(request: HttpRequest) -> set[Role]:
    """The roles that may open the admin page that was asked for; none for any other page."""
    match = request.resolver_match
    if match is None or match.namespaces != ["admin"]:
        return set()
    if not admin.site.has_permission(request):
        return set().union(*(roles_that_may(permission) for permission in ADMIN_PERMISSIONS))
    for model_admin in admin.site._registry.values():  # noqa: SLF001  # no public list of them
        opts = model_admin.opts
        prefix = f"{opts.app_label}_{opts.model_name}_"
        if (match.url_name or "").startswith(prefix):
            step = str(match.url_name).removeprefix(prefix)
            seen = model_admin.has_view_permission(request)
            return roles_that_may(f"{opts.app_label}.{step if seen and step in _STEPS else 'view'}_{opts.model_name}")
    return set()
