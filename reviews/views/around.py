"""What stands one click from the card: earlier verdicts, the history, and the value behind the dots."""

from __future__ import annotations

from django.http import HttpRequest, HttpResponse
from django.shortcuts import redirect, render
from django.urls import reverse
from django.utils import timezone
from django.utils.cache import add_never_cache_headers, patch_vary_headers
from django.views.decorators.http import require_http_methods, require_safe

from audit.access import requires
from reviews import precedents, reveal
from reviews.access import access_review_to_view
from reviews.timeline import timeline
from reviews.views.page import is_partial, member_of
from reviews.views.showing import may_view
from reviews.views.standing import Standing
from tenants import stepup
from tenants.errors import StepUpNeeded


@require_http_methods(["GET", "HEAD", "POST"])
@may_view
def earlier(request: HttpRequest, wire_id: str) -> HttpResponse:
    """How earlier calls like it were decided; from tier 2 on a GET only offers the step, and the POST is recorded."""
    member = member_of(request)
    review = access_review_to_view(member, wire_id)
    context = {"review": review, "is_recorded": precedents.is_recorded(review), "precedents": None}
    if request.method == "POST" or not context["is_recorded"]:
        context["precedents"] = precedents.read_precedents(wire_id, acting_member=member, now=timezone.now())
    return _answer(request, "reviews/_precedents.html", "reviews/precedents.html", context)


@require_safe
@may_view
def history(request: HttpRequest, wire_id: str) -> HttpResponse:
    """What happened to the review, as far as this member may know before their own verdict."""
    member = member_of(request)
    review = access_review_to_view(member, wire_id)
    standing = Standing.at_present(review, member)
    moments = timeline(review, member=member, is_blind=not standing.may_see_first_verdict)
    context = {"review": review, "moments": moments, "is_blind": not standing.may_see_first_verdict}
    return _answer(request, "reviews/_history.html", "reviews/history.html", context)


@requires(reveal.NEEDED)
def reveal_secret(request: HttpRequest, wire_id: str) -> HttpResponse:
    """The value behind the dots, once, on a page of its own: it never enters the card that stays open."""
    if request.method != "POST":
        return redirect("reviews:review", wire_id=wire_id)
    now = timezone.now()
    try:
        revealed = reveal.reveal_secret(
            wire_id,
            document=request.POST.get("document", ""),
            pointer=request.POST.get("pointer", ""),
            acting_member=member_of(request),
            evidence=stepup.evidence_of(request),
            now=now,
        )
    except StepUpNeeded:
        return stepup.ask_again(request, now=now, came_back_to=reverse("reviews:review", args=[wire_id]))
    response = render(request, "reviews/reveal.html", {"revealed": revealed, "review": revealed.review})
    add_never_cache_headers(response)
    return response


def _answer(request: HttpRequest, part: str, page: str, context: dict[str, object]) -> HttpResponse:
    response = render(request, part if is_partial(request) else page, context)
    patch_vary_headers(response, ["HX-Request"])
    add_never_cache_headers(response)
    return response
