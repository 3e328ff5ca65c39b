"""What the pages share: who asks, for which tenant, about which action."""

from __future__ import annotations

from uuid import UUID

from django.http import Http404, HttpRequest

from policy.models import Action
from tenants.isolation import rows_of
from tenants.models import Member


def tenant_id_of(request: HttpRequest) -> UUID:
    """The tenant of the signed-in member."""
    return member_of(request).tenant_id


def member_of(request: HttpRequest) -> Member:
    """The signed-in member."""
    member: Member = request.member  # type: ignore[attr-defined]  # set by TenantMiddleware
    return member


def action_of(request: HttpRequest) -> Action | None:
    """The mapped action that `?action=` names; None without it. An unknown one is 404."""
    name = request.GET.get("action", "")
    if not name:
        return None
    action = rows_of(Action, tenant_id_of(request)).filter(action_id=name).first()
    if action is None:
        raise Http404
    return action
