"""One review: its card, the claim on it, the verdict, and taking the verdict back."""

from __future__ import annotations

from datetime import datetime, timedelta
from uuid import UUID

from django.http import HttpRequest, HttpResponse
from django.shortcuts import render
from django.utils import timezone
from django.utils.cache import add_never_cache_headers
from django.utils.translation import get_language
from django.utils.translation import gettext as _
from django.views.decorators.http import require_safe

from audit import browse
from audit.errors import DomainError
from audit.scope import as_tenant
from reviews import claims, denials, verdicts
from reviews.access import access_review_to_view
from reviews.drafts import PANELS
from reviews.errors import InvalidVerdict, NotFound
from reviews.forms import VerdictForm
from reviews.views.page import is_partial, member_of, zone_of
from reviews.views.receipt import Receipt
from reviews.views.showing import act_and_show, by_post, may_decide, may_view, page_of, questions_of, show_card
from reviews.views.standing import Standing
from tenants import stepup
from tenants.models import Member


@require_safe
@may_view
def review(request: HttpRequest, wire_id: str) -> HttpResponse:
    """The card, or the receipt once decided; 204 for a tick that knows the current stamp."""
    page = page_of(request, wire_id)
    if is_partial(request) and request.GET.get("v") == page.stamp:
        return HttpResponse(status=204)
    resume = request.GET.get("resume", "")
    return show_card(request, page, open_panel=resume if resume in PANELS else "")


@require_safe
@may_view
def receipt(request: HttpRequest, wire_id: str) -> HttpResponse:
    """The receipt on one printed page; the card while it is open."""
    page = page_of(request, wire_id)
    if page.is_open:
        return show_card(request, page)
    context = {"page": page, "review": page.review, "card": page.card, "receipt": Receipt(page)}
    response = render(request, "reviews/receipt_print.html", context | {"position": _position(page)})
    add_never_cache_headers(response)
    return response


@require_safe
@may_view
def position(request: HttpRequest, wire_id: str) -> HttpResponse:
    """Where the verdict stands in the chain, once it is sealed: a line of the receipt that is filled in later."""
    member = member_of(request)
    page = Standing.at_present(access_review_to_view(member, wire_id), member)
    context = {"review": page.review, "position": _position(page)}
    response = render(request, "reviews/_receipt_position.html", context)
    add_never_cache_headers(response)
    return response


@require_safe
@may_view
def live(request: HttpRequest, wire_id: str) -> HttpResponse:
    """The strip above the card (clock, claim, caller): all that may change under a reviewer who is typing."""
    member = member_of(request)
    page = Standing.at_present(access_review_to_view(member, wire_id), member, zone=zone_of(request))
    if request.GET.get("v") == page.stamp:
        return HttpResponse(status=204)
    return _strip(request, page)


@by_post
@may_decide
def claim(request: HttpRequest, wire_id: str) -> HttpResponse:
    """Take or keep the lease: 15 minutes, or 5 where a script renews it."""
    return act_and_show(
        request,
        wire_id,
        lambda member, now: claims.claim(wire_id, acting_member=member, now=now, lease=_lease(request)),
    )


@by_post
@may_decide
def renew(request: HttpRequest, wire_id: str) -> HttpResponse:
    """Keep the lease while its tab is used; answers with the strip alone, so that no form is touched."""
    member = member_of(request)
    try:
        claims.claim(wire_id, acting_member=member, now=timezone.now(), lease=claims.LEASE)
    except NotFound:
        raise
    except DomainError:
        pass  # the lease is lost; the strip says who has it now
    return _strip(request, Standing.at_present(access_review_to_view(member, wire_id), member, zone=zone_of(request)))


@by_post
@may_decide
def take_over(request: HttpRequest, wire_id: str) -> HttpResponse:
    """Take an idle holder's lease, saying why."""
    reason = request.POST.get("reason", "")

    def act(member: Member, now: datetime) -> object:
        return claims.take_over(wire_id, acting_member=member, reason=reason, now=now, lease=_lease(request))

    return act_and_show(request, wire_id, act)


@by_post
@may_decide
def release(request: HttpRequest, wire_id: str) -> HttpResponse:
    """Give the lease back."""
    return act_and_show(request, wire_id, lambda member, now: claims.release(wire_id, acting_member=member, now=now))


@by_post
@may_decide
def decide(request: HttpRequest, wire_id: str) -> HttpResponse:
    """Approve, approve with changes, or deny. A refusal shows the card again, with what was typed."""
    form = VerdictForm(request.POST, kind=request.POST.get("kind", ""), locale=get_language() or "en")

    def act(member: Member, now: datetime) -> None:
        if not form.is_valid():
            raise InvalidVerdict(errors={})
        seen = form.cleaned_data
        with denials.pausing(wire_id, acting_member=member, choice=form.choice, is_wanted=seen["pause"], now=now):
            verdicts.decide(
                wire_id,
                acting_member=member,
                choice=form.choice,
                seen_version=seen["seen_version"],
                seen_digest=seen["seen_digest"],
                seen_template=seen["seen_template"] if "seen_template" in request.POST else None,
                idempotency_key=seen["form_key"],
                evidence=stepup.strong_evidence_of(request),
                count=seen["count"] or 1,
                now=now,
            )

    return act_and_show(request, wire_id, act, verdict=form)


@by_post
@may_decide
def undo(request: HttpRequest, wire_id: str) -> HttpResponse:
    """Take the verdict back while it is on hold, or while it waits for another person's."""
    return act_and_show(
        request,
        wire_id,
        lambda member, now: verdicts.undo(wire_id, acting_member=member, now=now),
        said=_("Taken back. Nothing was sent to the agent; the call waits for a verdict again."),
    )


def _lease(request: HttpRequest) -> timedelta:
    """Five minutes where a script renews it, else fifteen."""
    return claims.LEASE if is_partial(request) else claims.LEASE_WITHOUT_SCRIPT


def _position(page: Standing) -> int | None:
    if page.verdict is None:
        return None
    with as_tenant(page.review.tenant_id, using=browse.READER):
        return browse.position_of(page.review.tenant_id, UUID(page.verdict.entry_uid))


def _strip(request: HttpRequest, page: Standing) -> HttpResponse:
    context = {"page": page, "questions": questions_of(page.review), "is_swapped": True}
    response = render(request, "reviews/_strip.html", context)
    add_never_cache_headers(response)
    return response
