"""Approving with changes, step by step: the inputs, then the difference. The commit is a verdict like any other."""

from __future__ import annotations

from django.http import HttpRequest, HttpResponse
from django.shortcuts import render
from django.utils import timezone
from django.utils.cache import add_never_cache_headers, patch_vary_headers
from django.utils.translation import get_language
from django.views.decorators.http import require_http_methods

from reviews import drafts
from reviews.views.amending import AmendPanel
from reviews.views.bar import Bar
from reviews.views.page import ReviewPage, is_partial
from reviews.views.showing import may_decide, page_of, show_card


@require_http_methods(["GET", "HEAD", "POST"])
@may_decide
def amend(request: HttpRequest, wire_id: str) -> HttpResponse:
    """The inputs, or by POST the difference that they make; it decides nothing. The card where there is nothing to do."""
    page = page_of(request, wire_id)
    if Bar.of(page).variant != "decides":
        return show_card(request, page, status=409 if request.method == "POST" else 200)
    if request.method != "POST":
        kept = drafts.of_member(page.review, page.member).get("amend")
        fresh = request.GET.get("step") == "1" or kept is None
        panel = AmendPanel.first_step(page) if fresh or kept is None else AmendPanel.from_draft(page, kept.fields)
        return _show(request, page, panel)
    posted = {name: request.POST.getlist(name) for name in request.POST}
    drafts.save(wire_id, acting_member=page.member, panel="amend", fields=posted, now=timezone.now())
    panel = AmendPanel.check(page, posted, locale=get_language() or "en")
    return _show(request, page, panel, status=422 if panel.is_refused else 200)


def _show(request: HttpRequest, page: ReviewPage, panel: AmendPanel, *, status: int = 200) -> HttpResponse:
    context = {"page": page, "review": page.review, "card": page.card, "bar": Bar.of(page), "amend": panel}
    template = "reviews/_amend.html" if is_partial(request) else "reviews/amend.html"
    response = render(request, template, context, status=status)
    patch_vary_headers(response, ["HX-Request"])
    add_never_cache_headers(response)
    return response
