"""What one does with a review besides deciding it: put it off, pass it on, hand it to others. Its place is *More*.

A step leads back to the queue, from which the next review comes; a refusal shows the forms again with what was typed.
"""

from __future__ import annotations

from collections.abc import Callable
from datetime import datetime
from typing import Any

from django import forms
from django.contrib import messages
from django.http import HttpRequest, HttpResponse
from django.shortcuts import redirect, render
from django.urls import reverse
from django.utils import timezone
from django.utils.cache import add_never_cache_headers
from django.utils.translation import gettext as _
from django_htmx.http import HttpResponseClientRedirect

from audit.errors import DomainError
from reviews import handing_on, snoozes
from reviews.access import access_review_to_view
from reviews.errors import NotFound
from reviews.forms_queue import HandOnForm, SkipForm, SnoozeForm
from reviews.models import Review
from reviews.routing import people_who_decide
from reviews.views.page import is_partial, member_of
from reviews.views.showing import by_post, may_decide
from reviews.views.standing import Standing
from tenants.models import Member


def more_context(review: Review, member: Member, *, now: datetime, typed: forms.Form | None = None) -> dict[str, Any]:
    """What `_more.html` shows for this review and member: its three forms, one of them as it was typed."""
    kinds: dict[str, forms.Form] = {
        "snooze_form": SnoozeForm(lengths=snoozes.lengths_for(review, now=now), auto_id="snooze_%s"),
        "skip_form": SkipForm(auto_id="skip_%s"),
        "hand_on_form": HandOnForm(**_targets(member), auto_id="hand_on_%s"),
    }
    for name, empty in kinds.items():
        if typed is not None and type(typed) is type(empty):
            kinds[name] = typed
    return {"review": review, "longest_snooze": snoozes.longest_snooze(review, now=now), **kinds}


def _targets(member: Member) -> dict[str, Any]:
    return {
        "teams": [(f"team:{team.slug}", team.name) for team in handing_on.teams_to(member)],
        "people": [
            (f"member:{person.pk}", person.display_name)
            for person in people_who_decide(member.tenant_id)
            if person.pk != member.pk
        ],
    }


@may_decide
def more(request: HttpRequest, wire_id: str) -> HttpResponse:
    """The forms as a page of their own, or as the part that *More* loads."""
    member = member_of(request)
    return _forms(request, access_review_to_view(member, wire_id), member)


@by_post
@may_decide
def snooze(request: HttpRequest, wire_id: str) -> HttpResponse:
    """Put the review off for oneself."""
    review = access_review_to_view(member_of(request), wire_id)
    form = SnoozeForm(request.POST, lengths=_any_length(request), auto_id="snooze_%s")

    def act(member: Member, now: datetime) -> str:
        snoozes.snooze(wire_id, acting_member=member, minutes=form.cleaned_data["minutes"], now=now)
        return _("%(id)s comes back to you in %(n)s min.") % {"id": review.short_id, "n": form.cleaned_data["minutes"]}

    return _step(request, review, form, act)


@by_post
@may_decide
def skip(request: HttpRequest, wire_id: str) -> HttpResponse:
    """Pass on a review that one holds, with a reason."""
    review = access_review_to_view(member_of(request), wire_id)
    form = SkipForm(request.POST, auto_id="skip_%s")

    def act(member: Member, now: datetime) -> str:
        snoozes.skip(wire_id, acting_member=member, code=form.cleaned_data["code"], now=now)
        return _("You skipped %(id)s. It is free for others.") % {"id": review.short_id}

    return _step(request, review, form, act)


@by_post
@may_decide
def hand_on(request: HttpRequest, wire_id: str) -> HttpResponse:
    """Hand the review to a team or a person."""
    member = member_of(request)
    review = access_review_to_view(member, wire_id)
    form = HandOnForm(request.POST, **_targets(member), auto_id="hand_on_%s")

    def act(member: Member, now: datetime) -> str:
        data = form.cleaned_data
        step = handing_on.hand_on(
            wire_id, acting_member=member, **form.target, code=data["code"], note=data["note"], now=now
        )
        whom = step.to_member or step.to_team
        return _("%(id)s is with %(who)s now.") % {"id": review.short_id, "who": whom}

    return _step(request, review, form, act)


@by_post
@may_decide
def wake(request: HttpRequest, wire_id: str) -> HttpResponse:
    """End one's own snooze."""
    snoozes.wake(wire_id, acting_member=member_of(request))
    return _to(request, reverse("reviews:review", args=[wire_id]))


def _any_length(request: HttpRequest) -> list[int]:
    # Whether it fits is for the write function, which says the longest that does.
    text = request.POST.get("minutes", "")
    return [int(text)] if text.isascii() and text.isdigit() and len(text) < 6 else []


def _step(
    request: HttpRequest, review: Review, form: forms.Form, act: Callable[[Member, datetime], str]
) -> HttpResponse:
    member = member_of(request)
    if not form.is_valid():
        return _forms(request, review, member, typed=form, status=422)
    try:
        said = act(member, timezone.now())
    except NotFound:
        raise
    except DomainError as refusal:
        errors: Any = refusal.details.get("errors") or {}
        for field, sentence in errors.items():
            form.add_error(field if field in form.fields else None, sentence)
        if not errors:
            form.add_error(None, refusal.sentence)
        return _forms(request, access_review_to_view(member, review.wire_id), member, typed=form, status=refusal.status)
    messages.success(request, said)
    return _to(request, reverse("reviews:queue"))


def _to(request: HttpRequest, address: str) -> HttpResponse:
    return HttpResponseClientRedirect(address) if is_partial(request) else redirect(address)


def _forms(
    request: HttpRequest, review: Review, member: Member, *, typed: forms.Form | None = None, status: int = 200
) -> HttpResponse:
    context = more_context(review, member, now=timezone.now(), typed=typed)
    context["page"] = Standing.at_present(review, member)
    template = "reviews/_more.html" if is_partial(request) else "reviews/more.html"
    response = render(request, template, context, status=status)
    add_never_cache_headers(response)
    return response
