"""Choosing the tenant to act in, and the colour scheme."""

from __future__ import annotations

from django.http import HttpRequest, HttpResponse, HttpResponseRedirect
from django.shortcuts import redirect
from django.utils.http import url_has_allowed_host_and_scheme
from django.views.decorators.http import require_POST

from tenants.isolation import as_user
from tenants.middleware import SESSION_KEY
from tenants.models import Member, User

THEMES = ("auto", "light", "dark")


@require_POST
def switch_tenant(request: HttpRequest) -> HttpResponse:
    """Act in another of one's tenants; an unknown one changes nothing."""
    assert isinstance(request.user, User)
    with as_user(request.user.pk):
        member = Member.objects.filter(
            user=request.user, is_active=True, tenant__slug=request.POST.get("tenant", "")
        ).first()
    if member is not None:
        request.session[SESSION_KEY] = str(member.tenant_id)
    return redirect("/")


@require_POST
def set_theme(request: HttpRequest) -> HttpResponse:
    """Keep the chosen colour scheme in a cookie; the server writes it on `<html>`."""
    target = request.POST.get("next", "/")
    if not url_has_allowed_host_and_scheme(target, allowed_hosts={request.get_host()}):
        target = "/"
    response = HttpResponseRedirect(target)
    theme = request.POST.get("theme", "auto")
    if theme in THEMES:
        response.set_cookie(
            "theme", theme, max_age=365 * 86400, samesite="Lax", secure=request.is_secure(), httponly=True
        )
    return response
