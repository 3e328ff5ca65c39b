"""The admin site: members whose role edits rules, keys or people; sign-in stays with allauth."""

from __future__ import annotations

from typing import Any

from django.contrib.admin import AdminSite
from django.http import HttpRequest, HttpResponse
from django.shortcuts import redirect
from django.urls import reverse
from django.utils.http import urlencode

ADMIN_PERMISSIONS = ("policy.view_rule", "tenants.change_member", "tenants.change_apikey")


class GuardsiteAdminSite(AdminSite):
    """Django admin under our own header, open to those who may edit something in it."""

    site_header = "guardsite admin"
    site_title = "guardsite"
    index_title = "Rules, keys and people"
    enable_nav_sidebar = False

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
