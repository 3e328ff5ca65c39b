"""The admin site: members whose role edits rules, keys or people; sign-in stays with allauth."""

from __future__ import annotations

from typing import Any

from django.contrib.admin import AdminSite
from django.http import HttpRequest, HttpResponse
from django.shortcuts import redirect
from django.urls import reverse
from django.utils.http import urlencode

ADMIN_PERMISSIONS = ("policy.view_rule", "tenants.change_member", "tenants.change_apikey")
# What the start page lists together, in this order, each with what it is; a model that is named nowhere comes last.
GROUPS = {
    "Rules": {
        "Rule": "Which calls are allowed, denied or held for a person.",
        "Action": "What agents may ask for: names, schemas, the least care.",
        "NamedList": "Values that rules compare with.",
        "Counter": "How many or how much in a time, for rules to ask.",
        "Calendar": "Working hours and holidays.",
        "PackAdoption": "Ready-made rules and actions to adopt.",
        "JudgeSetting": "What looks at calls too and may ask for more care, never less.",
        "PolicyState": "Observe or enforce, and what a call gets that no rule matches.",
        "Revision": "What was published, by whom and why. Publish and roll back.",
    },
    "Cards and desk": {
        "CardTemplate": "How the calls of an action read on their cards.",
        "ToolDefinition": "What tools say of themselves, and what of it was accepted.",
        "DeskSettings": "How many reviews an agent may open, how fresh a sign-in must be, your own domains, hosts of links.",
        "NoticeTarget": "Who is told of what, by e-mail or webhook.",
    },
    "People and keys": {
        "Member": "Who is here, and what they may do.",
        "Team": "Groups of people to whom rules route calls.",
        "Agent": "Who asks, and who answers for it.",
        "ApiKey": "What agents prove themselves with.",
    },
}


class GuardsiteAdminSite(AdminSite):
    """Django admin under our own header, open to those who may edit something in it."""

    site_header = "guardsite admin"
    site_title = "guardsite"
    index_title = "Rules, keys and people"
    enable_nav_sidebar = False

    def get_app_list(self, request: HttpRequest, app_label: str | None = None) -> list[Any]:
        """The start page by what people come for; no page groups by app."""
        apps: list[Any] = super().get_app_list(request, app_label)
        models = {model["object_name"]: (model, app) for app in apps for model in app["models"]}
        groups = []
        for name, wanted in (*GROUPS.items(), ("More", dict.fromkeys(models, ""))):
            found = [(*models.pop(one), about) for one, about in wanted.items() if one in models]
            if found:
                listed = [{**model, "about": about} for model, _, about in found]
                groups.append({**found[0][1], "name": name, "models": listed})
        return groups

    def app_index(self, request: HttpRequest, app_label: str, extra_context: Any = None) -> HttpResponse:  # type: ignore[override]  # a redirect is no page
        """An app is our way of keeping house and nobody's page: to the start page."""
        return redirect("admin:index")

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
