"""Links in notices, and the page of what was given up. A GET changes nothing: mail scanners open links."""

from __future__ import annotations

from uuid import UUID

from django.contrib import messages
from django.http import HttpRequest, HttpResponse
from django.shortcuts import redirect, render
from django.utils import timezone
from django.utils.translation import gettext as _
from django.views.decorators.cache import never_cache
from django.views.decorators.http import require_http_methods, require_safe

from audit.access import requires
from audit.ids import wire_id
from reviews import notice_targets
from reviews.errors import NotFound
from reviews.links import BadLink, read_link
from reviews.models import Notice
from reviews.views.page import member_of
from tenants.isolation import rows_of
from tenants.models import Member

LISTED = 100


@require_safe
@never_cache
def follow(request: HttpRequest, token: str) -> HttpResponse:
    """On to the review, for the person whom the link was sent to; everybody else reads whose it is."""
    member = member_of(request)
    try:
        link = read_link(token)
    except BadLink:
        return render(request, "reviews/notice_link.html", {"is_old": True}, status=410)
    if link.tenant_id != member.tenant_id:
        if link.user_id == member.user_id:
            return render(request, "reviews/notice_link.html", {"is_elsewhere": True}, status=409)
        raise NotFound  # whom it was sent to is not theirs to know
    if link.user_id != member.user_id:
        addressee = rows_of(Member, member.tenant_id).select_related("user").filter(user_id=link.user_id).first()
        return render(request, "reviews/notice_link.html", {"addressee": addressee, "member": member}, status=403)
    return redirect("reviews:review", wire_id=wire_id("rv", link.review_id))


@require_safe
@requires(notice_targets.CHANGE)
@never_cache
def notice_list(request: HttpRequest) -> HttpResponse:
    """Who is told of what, and what was given up."""
    tenant_id = member_of(request).tenant_id
    dead = rows_of(Notice, tenant_id).filter(state=Notice.State.DEAD)
    context = {
        "targets": notice_targets.targets_of(tenant_id),
        "dead": dead.select_related("target", "review", "agent").order_by("-created_at")[:LISTED],
    }
    return render(request, "reviews/notices.html", context)


@require_http_methods(["GET", "HEAD", "POST"])
@requires(notice_targets.CHANGE)
@never_cache
def replay(request: HttpRequest, pk: UUID) -> HttpResponse:
    """Send what was given up once more."""
    if request.method == "POST":
        notice_targets.replay(member_of(request), pk, now=timezone.now())
        messages.success(request, _("It is sent again within half a minute."))
    return redirect("reviews:notices")
