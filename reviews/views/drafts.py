"""Keeping what is being typed: posted by the page's script every few seconds, and by a button without one."""

from __future__ import annotations

from django.http import HttpRequest, HttpResponse
from django.shortcuts import redirect, render
from django.utils import timezone

from reviews import drafts
from reviews.views.page import is_partial, member_of
from reviews.views.showing import by_post, may_decide


@by_post
@may_decide
def save(request: HttpRequest, wire_id: str) -> HttpResponse:
    """Keep the panel's fields; answers with the line that says when."""
    draft = drafts.save(
        wire_id,
        acting_member=member_of(request),
        panel=request.POST.get("panel", ""),
        fields={name: request.POST.getlist(name) for name in request.POST},
        now=timezone.now(),
    )
    return _answer(request, wire_id, {"draft": draft})


@by_post
@may_decide
def discard(request: HttpRequest, wire_id: str) -> HttpResponse:
    """Forget a panel's draft, and show the card without it."""
    drafts.discard(wire_id, acting_member=member_of(request), panel=request.POST.get("panel", ""))
    return redirect("reviews:review", wire_id=wire_id)


def _answer(request: HttpRequest, wire_id: str, context: dict[str, object]) -> HttpResponse:
    if not is_partial(request) and request.headers.get("X-Requested-With") != "fetch":
        return redirect("reviews:review", wire_id=wire_id)
    return render(request, "reviews/_draft.html", context)
