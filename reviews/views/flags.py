"""Calling a released verdict a mistake, on a page of its own, and taking that back."""

from __future__ import annotations

from django.http import HttpRequest, HttpResponse
from django.shortcuts import redirect, render
from django.utils import timezone
from django.views.decorators.cache import never_cache
from django.views.decorators.http import require_http_methods

from reviews import flags
from reviews.errors import FlaggedAlready, InvalidStep, NotReleased
from reviews.forms import FlagForm
from reviews.views.page import member_of
from reviews.views.showing import act_and_show, by_post, may_view, page_of


@require_http_methods(["GET", "HEAD", "POST"])
@may_view
@never_cache
def flag(request: HttpRequest, wire_id: str) -> HttpResponse:
    """Say what was wrong; the receipt shows it from then on."""
    member, now = member_of(request), timezone.now()
    page = page_of(request, wire_id)
    form = FlagForm(request.POST if request.method == "POST" else None)
    if request.method == "POST":
        try:
            flags.flag(wire_id, acting_member=member, note=request.POST.get("note", ""), now=now)
        except InvalidStep as error:
            form.refuse(error)
        except (FlaggedAlready, NotReleased):
            return redirect("reviews:review", wire_id=wire_id)  # the receipt, or the card, says where it stands
        else:
            return redirect("reviews:review", wire_id=wire_id)
    elif page.verdict is None or page.is_on_hold or not flags.may_flag(member):
        return redirect("reviews:review", wire_id=wire_id)
    context = {"review": page.review, "page": page, "card": page.card, "form": form}
    return render(request, "reviews/flag.html", context, status=422 if form.is_bound else 200)


@by_post
@may_view
def withdraw(request: HttpRequest, wire_id: str) -> HttpResponse:
    """Take one's own flag back."""
    return act_and_show(request, wire_id, lambda member, now: flags.withdraw(wire_id, acting_member=member, now=now))
