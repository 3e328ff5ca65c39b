"""The admin site: members whose role edits rules, keys or people; sign-in stays with allauth."""

from __future__ import annotations

from typing import Any

from django.contrib.admin import AdminSite
from django.http import HttpRequest, HttpResponse
from django.shortcuts import redirect
from django.urls import reverse
from django.utils.http import urlencode

ADMIN_PERMISSIONS = ("policy.view_rule", "tenants.change_member", "tenants.change_apikey")
# What the start page lists together, in this order; a model that is named nowhere comes last.
GROUPS = (
    (
        "Rules",
        (
            *("Rule", "Action", "NamedList", "Counter", "Calendar", "PackAdoption", "JudgeSetting"),
            *("PolicyState", "Revision"),
        ),
    ),
    ("Cards and desk", ("CardTemplate", "ToolDefinition", "DeskSettings", "NoticeTarget")),
    ("People and keys", ("Member", "Team", "Agent", "ApiKey")),
)


class GuardsiteAdminSite(AdminSite):
    """Django admin under our own header, open to those who may edit something in it."""

    site_header = "guardsite admin"
    site_title = "guardsite"
    index_title = "Rules, keys and people"
    enable_nav_sidebar = False

    def get_app_list(self, request: HttpRequest, app_label: str | None = None) -> list[Any]:
        """The start page by what people come for; one app's own page as Django has it."""
        apps: list[Any] = super().get_app_list(request, app_label)
        if app_label is not None:
            return apps
        models = {model["object_name"]: (model, app) for app in apps for model in app["models"]}
        groups = []
        for name, wanted in (*GROUPS, ("More", tuple(models))):
            found = [models.pop(one) for one in wanted if one in models]
            if found:
                groups.append({**found[0][1], "name": name, "models": [model for model, _ in found]})
        return groups

    def has_permission(self, request: HttpRequest) -> bool:
        """Whether the member may open any admin page."""
        user = request.user
        return user.is_active and any(user.has_perm(permission) for permission in ADMIN_PERMISSIONS)

    def login(self, request: HttpRequest, extra_context: dict[str, Any] | None = None) -> HttpResponse:
        """Send people to the one sign-in page; who is signed in without the right gets the 403 page."""
        from django.core.exceptions import PermissionDenied

        if request.user.is_authenticated:
            raise PermissionDenied
        return redirect(f"{reverse('account_login')}?{urlencode({'next': request.get_full_path()})}")
