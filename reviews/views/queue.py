"""The queue: what waits, most urgent first, with its filters in the address; and taking the next of it."""

from __future__ import annotations

from datetime import UTC, datetime
from typing import Any

from django.contrib import messages
from django.core.paginator import Paginator
from django.http import HttpRequest, HttpResponse, QueryDict
from django.shortcuts import redirect, render
from django.utils import timezone
from django.utils.cache import add_never_cache_headers, patch_vary_headers
from django.utils.functional import cached_property
from django.views.decorators.http import require_safe

from audit.access import requires
from reviews import claims
from reviews.errors import TooManyClaims
from reviews.floods import open_floods
from reviews.forms_queue import SaveViewForm, filters_of
from reviews.queue_rows import apart_for, in_order, matching
from reviews.routing import LEAD, reach_of
from reviews.saved_views import filters_in, views_for
from reviews.views import queue_page
from reviews.views.page import is_partial, member_of, zone_of
from tenants.roles import permissions_of

PAGE_SIZES = (50, 100, 200)
# What a filter finds is counted up to here: the first rows matter, not how many thousand follow.
COUNTED = 1000


class CountedPaginator(Paginator):  # type: ignore[type-arg]  # generic in the stubs alone
    """A paginator that may know its count from the tabs, and else counts no further than anybody pages."""

    def __init__(self, *args: Any, known: int | None, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        self._known = known

    @cached_property
    def count(self) -> int:
        """How many rows there are, or one more than COUNTED."""
        if self._known is not None:
            return self._known
        found: Any = self.object_list  # a queryset
        return int(found.order_by()[: COUNTED + 1].count())

    @property
    def is_counted(self) -> bool:
        """Whether `count` is the whole number."""
        return self._known is not None or self.count <= COUNTED

    @property
    def in_words(self) -> str:
        """The number, or `1000+`."""
        return str(self.count) if self.is_counted else f"{COUNTED}+"


@require_safe
@requires("reviews.view_review")
def queue(request: HttpRequest) -> HttpResponse:
    """The queue; for a tick of the page that is current 204, else what is new."""
    context = queue_context(request)
    response = _answer(request, context)
    patch_vary_headers(response, ["HX-Request"])
    add_never_cache_headers(response)
    return response


def queue_context(
    request: HttpRequest, *, data: QueryDict | None = None, save_form: SaveViewForm | None = None
) -> dict[str, Any]:
    """Everything that the page and its parts show, by the filters in `data`, else those of the address."""
    member, now = member_of(request), timezone.now()
    data = request.GET if data is None else data
    reach, apart, teams = reach_of(member), apart_for(member, now=now), queue_page.team_names(member)
    form = queue_page.filter_form(member, data, teams)
    wanted = form.wanted
    filters = filters_of(data)
    query, saved = filters_in(filters), views_for(member)
    tabs = queue_page.tabs(member, wanted, reach, apart, teams=teams, saved=saved, query=query, now=now)
    current = next((tab for tab in tabs if tab.is_current), None)
    known = current.count if current and not wanted.narrows else None
    paginator = CountedPaginator(matching(member, wanted, apart, now=now), _page_size(request), known=known)
    page = paginator.get_page(data.get("page"))
    found: Any = page.object_list  # a queryset
    reviews = in_order(found.values_list("pk", flat=True))
    rows = queue_page.rows_for(reviews, member, reach, apart, teams=teams, zone=zone_of(request), now=now)
    named = next((view for view in saved if current and current.name == f"saved:{view.pk}"), None)
    return {
        "form": form,
        "rows": rows,
        "page": page,
        "tabs": tabs,
        "view": wanted.view,
        "wanted": wanted,
        "is_filtered": wanted.narrows,
        "in_words": form.in_words(wanted),
        "filters": filters,
        "query": query,
        "saved_view": named,
        "can_delete_view": named is not None and (named.member_id == member.pk or LEAD in permissions_of(member.roles)),
        "save_form": save_form or SaveViewForm(initial={"query": query}),
        "can_share": LEAD in permissions_of(member.roles),
        "stamp": queue_page.stamp_of(rows, tabs),
        "members": queue_page.members_of(rows),
        "newest": max((row.review.pk.hex for row in rows), default=""),
        "now": now,
        "shown_at": int(now.timestamp()),
        "waiting_count": paginator.in_words,
        "dense": request.GET.get("dense") == "1",
        "page_size": _page_size(request),
        "page_sizes": PAGE_SIZES,
        "floods": open_floods(member.tenant_id, now=now) if wanted.view != "decided" else [],
        "lately": queue_page.lately(member, now=now) if not rows else None,
    }


def _answer(request: HttpRequest, context: dict[str, Any]) -> HttpResponse:
    if not is_partial(request):
        return render(request, "reviews/queue.html", context)
    shown = request.GET.get("v")
    if shown == context["stamp"]:
        return HttpResponse(status=204)
    if shown and "n" in request.GET:
        return render(request, "reviews/_queue_news.html", context | _news(request, context))
    return render(request, "reviews/_queue.html", context)


def _news(request: HttpRequest, context: dict[str, Any]) -> dict[str, Any]:
    """What the open page does not show yet, and what became of what it shows."""
    newest = request.GET["n"]
    return {
        "new_count": sum(row.review.pk.hex > newest for row in context["rows"]),
        "is_other": request.GET.get("m") != context["members"],
        "ended": queue_page.ended_since(member_of(request), _shown_at(request, context["now"]), now=context["now"]),
        # The table stays as it is, and so does what says which one it is.
        "newest": newest,
        "members": request.GET.get("m", ""),
        "shown_at": request.GET.get("t", context["shown_at"]),
    }


def _shown_at(request: HttpRequest, now: datetime) -> datetime:
    text = request.GET.get("t", "")
    if not text.isascii() or not text.isdigit() or len(text) > 11:
        return now
    return datetime.fromtimestamp(int(text), UTC)


def _page_size(request: HttpRequest) -> int:
    asked = request.GET.get("rows", "")
    return next((size for size in PAGE_SIZES if str(size) == asked), PAGE_SIZES[0])


@requires("reviews.decide_review")
def take_next(request: HttpRequest) -> HttpResponse:
    """Claim the most urgent review that is free and the member's to decide, within the filters, and open it."""
    if request.method != "POST":
        return redirect("reviews:queue")
    member, now = member_of(request), timezone.now()
    form = queue_page.filter_form(member, request.GET, queue_page.team_names(member))
    lease = claims.LEASE if request.POST.get("scripted") else claims.LEASE_WITHOUT_SCRIPT
    back = f"{redirect('reviews:queue').url}?{filters_of(request.GET)}".rstrip("?")
    try:
        review = claims.take_next(acting_member=member, wanted=form.wanted, now=now, lease=lease)
    except TooManyClaims as refusal:
        messages.error(request, refusal.sentence)
        return redirect(back)
    if review is not None:
        return redirect("reviews:review", wire_id=review.wire_id)
    messages.info(request, "Nothing is free right now.")
    return redirect(back)
