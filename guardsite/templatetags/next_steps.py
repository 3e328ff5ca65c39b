"""Where an error page leads: the review, the page or the list that the refused request was about.

All of it is read from the request itself, so that a page can ask while the database does not answer, or without a
request at all.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any
from urllib.parse import urlsplit

from django import template
from django.contrib import admin
from django.core.exceptions import DisallowedHost
from django.http import HttpRequest
from django.urls import reverse
from django.utils.http import url_has_allowed_host_and_scheme

register = template.Library()

_NEVER = {"add": "never_added", "change": "never_changed", "delete": "never_deleted"}


@dataclass(frozen=True, slots=True)
class AdminPage:
    """An admin page of some rows. `instead` says what to do where nobody may do this step; empty without a word on it."""

    step: str  # add, change, delete, or what the model's own page is called
    names: str
    instead: str
    list_url: str


@register.simple_tag(takes_context=True)
def review_asked_about(context: Mapping[str, Any]) -> str:
    """The page of the review whose step this was; empty for any other page."""
    match = getattr(context.get("request"), "resolver_match", None)
    if match is None or match.namespaces != ["reviews"] or "wire_id" not in match.kwargs:
        return ""
    return reverse("reviews:review", args=[match.kwargs["wire_id"]])


@register.simple_tag(takes_context=True)
def page_again(context: Mapping[str, Any]) -> str:
    """The page to open once more: this one, or the one whose form was sent; empty where it is not known."""
    request: HttpRequest | None = context.get("request")
    if request is None:
        return ""
    return request.get_full_path() if request.method in ("GET", "HEAD") else page_before(context)


@register.simple_tag(takes_context=True)
def page_before(context: Mapping[str, Any]) -> str:
    """The page of this site that led here, by the browser's word; a path, so that no other site can stand in it."""
    request: HttpRequest | None = context.get("request")
    if request is None:
        return ""
    came_from = request.headers.get("Referer", "")
    try:
        is_ours = url_has_allowed_host_and_scheme(came_from, {request.get_host()}, require_https=request.is_secure())
    except DisallowedHost:
        return ""
    if not is_ours or not urlsplit(came_from).netloc:
        return ""
    path = urlsplit(came_from)._replace(scheme="", netloc="", fragment="").geturl()
    # "https://here//elsewhere" would leave "//elsewhere", which is another site.
    return path if path.startswith("/") and url_has_allowed_host_and_scheme(path, None) else ""


@register.simple_tag(takes_context=True)
def admin_page(context: Mapping[str, Any]) -> AdminPage | None:
    """The admin page that was asked for, if it is of rows that this member may list."""
    request: HttpRequest | None = context.get("request")
    match = getattr(request, "resolver_match", None)
    if request is None or match is None or match.namespaces != ["admin"]:
        return None
    for model_admin in admin.site._registry.values():  # noqa: SLF001  # no public list of them
        opts = model_admin.opts
        prefix = f"{opts.app_label}_{opts.model_name}_"
        if (match.url_name or "").startswith(prefix) and model_admin.has_view_permission(request):
            step = str(match.url_name).removeprefix(prefix)
            instead = getattr(model_admin, _NEVER.get(step, ""), "")
            return AdminPage(step, str(opts.verbose_name_plural), instead, reverse(f"admin:{prefix}changelist"))
    return None


@register.simple_tag(takes_context=True)
def admin_index(context: Mapping[str, Any]) -> str:
    """The start page of the admin, for whoever was in it and may open it; else empty."""
    request: HttpRequest | None = context.get("request")
    index = reverse("admin:index")
    if request is None or not request.path.startswith(index) or not admin.site.has_permission(request):
        return ""
    return index
