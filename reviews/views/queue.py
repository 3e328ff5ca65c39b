"""The queue: what waits, most urgent first, with its filters in the address."""

from __future__ import annotations

import hashlib
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any

from django.contrib import messages
from django.contrib.auth.decorators import permission_required
from django.core.paginator import Page, Paginator
from django.db.models import Count, Q
from django.http import HttpRequest, HttpResponse
from django.shortcuts import redirect, render
from django.utils import timezone
from django.utils.cache import add_never_cache_headers, patch_vary_headers
from django.views.decorators.http import require_safe

from reviews import claims
from reviews.errors import ClaimedByOther, ReviewClosed
from reviews.forms import QueueFilterForm
from reviews.models import Review
from reviews.querysets import ReviewQuerySet
from reviews.states import State
from reviews.views.page import ReviewPage, active_templates, card_of, is_partial, member_of
from tenants.models import Agent, Member

PAGE_SIZE = 50
TAKE_NEXT_TRIES = 5


@dataclass(frozen=True)
class Tab:
    """One view of the queue with its count."""

    name: str
    label: str
    count: int | None
    is_current: bool


@require_safe
@permission_required("reviews.view_review", raise_exception=True)
def queue(request: HttpRequest) -> HttpResponse:
    """The queue; for a tick of the page that is current 204, else what is new."""
    member, now = member_of(request), timezone.now()
    form = _filters(request, member)
    wanted = form.wanted
    view = wanted.get("view", "all")
    page = Paginator(_matching(member, wanted, now=now), PAGE_SIZE).get_page(request.GET.get("page"))
    rows = _rows(page, member, now=now)
    stamp = _stamp(rows, page.paginator.count)
    context = {
        "form": form,
        "rows": rows,
        "page": page,
        "tabs": _tabs(member, view, now=now),
        "view": view,
        "is_filtered": bool(wanted.keys() - {"view"}),
        "filters": _without_page(request),
        "stamp": stamp,
        "newest": max((row.review.pk.hex for row in rows), default=""),
        "now": now,
        "waiting_count": page.paginator.count,
        "last_decided": _last_decided(member) if not rows else None,
    }
    response = _answer(request, context, stamp, rows)
    patch_vary_headers(response, ["HX-Request"])
    add_never_cache_headers(response)
    return response


def _answer(request: HttpRequest, context: dict[str, Any], stamp: str, rows: Sequence[ReviewPage]) -> HttpResponse:
    if not is_partial(request):
        return render(request, "reviews/queue.html", context)
    shown = request.GET.get("v")
    if shown == stamp:
        return HttpResponse(status=204)
    if shown and request.GET.get("n"):
        context["new_count"] = sum(row.review.pk.hex > request.GET["n"] for row in rows)
        return render(request, "reviews/_queue_news.html", context)
    return render(request, "reviews/_queue.html", context)


@permission_required("reviews.decide_review", raise_exception=True)
def take_next(request: HttpRequest) -> HttpResponse:
    """Claim the most urgent review that is free, and open it."""
    if request.method != "POST":
        return redirect("reviews:queue")
    member, now = member_of(request), timezone.now()
    free = Review.objects.of_tenant(member.tenant_id).for_queue().free(now=now).filter(expires_at__gt=now)
    for review in free.exclude(agent__owner=member)[:TAKE_NEXT_TRIES]:
        try:
            claims.claim(review.wire_id, acting_member=member, now=now)
        except (ClaimedByOther, ReviewClosed):
            continue  # somebody was faster; the next one will do
        return redirect("reviews:review", wire_id=review.wire_id)
    messages.info(request, "Nothing is free right now.")
    return redirect("reviews:queue")


def _filters(request: HttpRequest, member: Member) -> QueueFilterForm:
    """The filter form, offering what the tenant's reviews have."""
    rows = (
        Review.objects.of_tenant(member.tenant_id)
        .filter(state=State.OPEN)
        .values_list("action_id", "rule_name", "agent__slug", "agent__name")
        .distinct()
        .order_by()
    )
    found = list(rows)
    agents = {slug: name for _, _, slug, name in found}
    for slug in request.GET.getlist("agent"):
        agents.setdefault(
            slug,
            Agent.objects.filter(tenant_id=member.tenant_id, slug=slug).values_list("name", flat=True).first() or slug,
        )
    return QueueFilterForm(
        request.GET or {},
        actions=sorted({action for action, _, _, _ in found} | set(filter(None, request.GET.getlist("action")))),
        rules=sorted({rule for _, rule, _, _ in found if rule} | set(filter(None, request.GET.getlist("rule")))),
        agents=sorted((slug, name) for slug, name in agents.items() if slug),
    )


def _matching(member: Member, wanted: dict[str, str], *, now: datetime) -> ReviewQuerySet:
    reviews = Review.objects.of_tenant(member.tenant_id)
    view = wanted.get("view", "all")
    if view == "decided":
        chosen = reviews.decided()
    else:
        chosen = reviews.for_queue().filter(expires_at__gt=now)
    if view == "mine":
        chosen = chosen.claimed_by_member(member, now=now)
    elif view == "tier3":
        chosen = chosen.filter(tier__gte=3)
    elif view == "overdue":
        chosen = chosen.filter(due_at__lt=now)
    fields = {"action": "action_id", "rule": "rule_name", "agent": "agent__slug", "tier": "tier"}
    return chosen.filter(**{fields[name]: value for name, value in wanted.items() if name in fields})


def _rows(page: Page[Review], member: Member, *, now: datetime) -> list[ReviewPage]:
    templates = active_templates((review.action_id for review in page), tenant_id=member.tenant_id)
    return [
        ReviewPage(
            review=review, member=member, card=card_of(review, templates.get(review.action_id), now=now), now=now
        )
        for review in page
    ]


def _tabs(member: Member, view: str, *, now: datetime) -> list[Tab]:
    waiting = Q(state=State.OPEN, expires_at__gt=now)
    counts = Review.objects.of_tenant(member.tenant_id).aggregate(
        all=Count("pk", filter=waiting),
        mine=Count("pk", filter=waiting & Q(claimed_by=member, claimed_until__gt=now)),
        tier3=Count("pk", filter=waiting & Q(tier__gte=3)),
        overdue=Count("pk", filter=waiting & Q(due_at__lt=now)),
    )
    return [
        Tab(name=name, label=str(label), count=counts.get(name), is_current=name == view)
        for name, label in QueueFilterForm.VIEWS
    ]


def _last_decided(member: Member) -> Review | None:
    return Review.objects.of_tenant(member.tenant_id).decided().filter(ended_at__isnull=False).first()


def _stamp(rows: Sequence[ReviewPage], count: int) -> str:
    """Changes when a row comes, goes, changes hands or passes its deadline."""
    told = [row.row_stamp for row in rows]
    return hashlib.sha256(repr((told, count)).encode()).hexdigest()[:12]


def _without_page(request: HttpRequest) -> str:
    """The address's filters alone, for links to other pages and for the tick."""
    kept = request.GET.copy()
    for name in ("page", "v", "n"):
        kept.pop(name, None)
    return kept.urlencode()
