"""Role → Django permissions, so that `permission_required`, templates and the admin ask one place."""

from __future__ import annotations

from typing import Any

from django.contrib.auth.backends import BaseBackend

from tenants.models import User
from tenants.roles import PERMISSIONS, Role, permissions_of

# Django admin asks for its own names; each is answered by the capability that covers the model.
ADMIN_MODEL_PERMISSIONS: dict[str, dict[str, tuple[str, str]]] = {
    # app label: model name: (capability to see, capability to change)
    "policy": {
        "rule": ("policy.view_rule", "policy.change_rule"),
        "action": ("policy.view_rule", "policy.change_rule"),
        "revision": ("policy.view_rule", ""),
        "policystate": ("policy.view_rule", "policy.change_mode"),
        "*": ("policy.view_rule", "policy.change_rule"),
    },
    "reviews": {
        "cardtemplate": ("policy.view_rule", "reviews.change_cardtemplate"),
        "desksettings": ("reviews.change_desk", "reviews.change_desk"),
        "noticetarget": ("reviews.change_desk", "reviews.change_desk"),
    },
    "tenants": {
        "member": ("tenants.change_member", "tenants.change_member"),
        "agent": ("tenants.change_apikey", "tenants.change_apikey"),
        "apikey": ("tenants.change_apikey", "tenants.change_apikey"),
        # Leads see who is in a team; who decides about people decides about teams.
        "team": ("reviews.lead_queue", "tenants.change_member"),
    },
}


# What roles give by its own name is never answered by another name: who changes rules does not change the mode.
CAPABILITIES = frozenset().union(*PERMISSIONS.values())


def _capability_for(permission: str) -> str | None:
    if permission in CAPABILITIES:
        return None
    app_label, _, codename = permission.partition(".")
    action, _, model = codename.partition("_")
    models = ADMIN_MODEL_PERMISSIONS.get(app_label)
    if models is None or action not in {"view", "add", "change", "delete"}:
        return None
    pair = models.get(model) or models.get("*")
    if pair is None:
        return None
    return pair[0] if action == "view" else pair[1]


def roles_that_may(*permissions: str) -> set[Role]:
    """The roles each of which gives all of these permissions; Django admin's names are answered as for a member."""
    return {
        role
        for role, granted in PERMISSIONS.items()
        if all(permission in granted or _capability_for(permission) in granted for permission in permissions)
    }


class RoleBackend(BaseBackend):
    """Answers permissions from the membership that the request runs under; signs nobody in."""

    def authenticate(self, *_args: Any, **_kwargs: Any) -> None:
        """Nobody: allauth does that."""

    def has_perm(self, user_obj: Any, perm: str, obj: Any = None) -> bool:
        """Whether the person's current membership gives `perm`."""
        if not isinstance(user_obj, User) or not user_obj.is_active or user_obj.current_member is None:
            return False
        granted = permissions_of(user_obj.current_member.roles)
        return perm in granted or _capability_for(perm) in granted

    def has_module_perms(self, user_obj: Any, app_label: str) -> bool:
        """Whether Django admin shows the app to this person."""
        models = ADMIN_MODEL_PERMISSIONS.get(app_label, {})
        return any(self.has_perm(user_obj, capability) for pair in models.values() for capability in pair if capability)
