"""One review: its card, the claim on it, the verdict, and taking the verdict back."""

from __future__ import annotations

from collections.abc import Callable
from datetime import datetime
from functools import wraps

from django.contrib.auth.decorators import permission_required
from django.http import HttpRequest, HttpResponse
from django.shortcuts import redirect, render
from django.utils import timezone
from django.utils.cache import add_never_cache_headers, patch_vary_headers
from django.views.decorators.http import require_safe

from audit.errors import DomainError
from reviews import claims, verdicts
from reviews.access import access_review_to_view
from reviews.errors import InvalidVerdict, NotFound
from reviews.forms import VerdictForm
from reviews.states import VerdictKind
from reviews.views.page import ReviewPage, is_partial, member_of
from tenants.models import Member

may_view = permission_required("reviews.view_review", raise_exception=True)
may_decide = permission_required("reviews.decide_review", raise_exception=True)


def by_post(view: Callable[..., HttpResponse]) -> Callable[..., HttpResponse]:
    """An action: a GET of its address changes nothing and shows the card, as after signing in again on the way."""

    @wraps(view)
    def post_or_card(request: HttpRequest, wire_id: str) -> HttpResponse:
        if request.method == "POST":
            return view(request, wire_id)
        return redirect("reviews:review", wire_id=wire_id)

    return post_or_card


@require_safe
@may_view
def review(request: HttpRequest, wire_id: str) -> HttpResponse:
    """The card, or the receipt once decided; 204 for a tick that knows the current stamp."""
    page = ReviewPage.of(access_review_to_view(member_of(request), wire_id), member_of(request))
    if is_partial(request) and request.GET.get("v") == page.stamp:
        return HttpResponse(status=204)
    return _shown(request, page)


@require_safe
@may_view
def live(request: HttpRequest, wire_id: str) -> HttpResponse:
    """The strip above the card (clock, claim, caller): all that may change under a reviewer who is typing."""
    page = ReviewPage.of(access_review_to_view(member_of(request), wire_id), member_of(request))
    if request.GET.get("v") == page.stamp:
        return HttpResponse(status=204)
    response = render(request, "reviews/_strip.html", {"page": page})
    add_never_cache_headers(response)
    return response


@by_post
@may_decide
def claim(request: HttpRequest, wire_id: str) -> HttpResponse:
    """Take or keep the lease: 15 minutes, or 5 where a script renews it."""
    lease = claims.LEASE if is_partial(request) else claims.LEASE_WITHOUT_SCRIPT
    return _done(
        request, wire_id, lambda member, now: claims.claim(wire_id, acting_member=member, now=now, lease=lease)
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
    return render(
        request, "reviews/_strip.html", {"page": ReviewPage.of(access_review_to_view(member, wire_id), member)}
    )


@by_post
@may_decide
def take_over(request: HttpRequest, wire_id: str) -> HttpResponse:
    """Take an idle holder's lease."""
    return _done(request, wire_id, lambda member, now: claims.take_over(wire_id, acting_member=member, now=now))


@by_post
@may_decide
def release(request: HttpRequest, wire_id: str) -> HttpResponse:
    """Give the lease back."""
    return _done(request, wire_id, lambda member, now: claims.release(wire_id, acting_member=member, now=now))


@by_post
@may_decide
def decide(request: HttpRequest, wire_id: str) -> HttpResponse:
    """Approve or deny. A refusal shows the card again, with what was typed."""
    kind = request.POST.get("kind", "")
    form = VerdictForm(request.POST, kind=kind, auto_id=f"id_{kind}_%s")

    def act(member: Member, now: datetime) -> None:
        if not form.is_valid():
            raise InvalidVerdict(errors={})
        verdicts.decide(
            wire_id,
            acting_member=member,
            choice=form.choice,
            seen_version=form.cleaned_data["seen_version"],
            seen_digest=form.cleaned_data["seen_digest"],
            now=now,
        )

    return _done(request, wire_id, act, draft=form)


@by_post
@may_decide
def undo(request: HttpRequest, wire_id: str) -> HttpResponse:
    """Take the verdict back while it is on hold."""
    return _done(request, wire_id, lambda member, now: verdicts.undo(wire_id, acting_member=member, now=now))


def _done(
    request: HttpRequest, wire_id: str, act: Callable[[Member, datetime], object], *, draft: VerdictForm | None = None
) -> HttpResponse:
    """Act, read the review again and show it: a part for htmx, else a redirect. A refusal is the card with its reason.

    The write functions run in a savepoint of their own, so a refusal leaves nothing behind and the page can be read.
    """
    member = member_of(request)
    try:
        act(member, timezone.now())
    except NotFound:
        raise
    except DomainError as error:
        if draft is not None:
            for field, sentence in error.details.get("errors", {}).items():  # type: ignore[attr-defined]
                draft.add_error(field if field in draft.fields else None, sentence)
        page = ReviewPage.of(access_review_to_view(member, wire_id), member)
        return _shown(request, page, refusal=error, draft=draft, status=error.status)
    if not is_partial(request):
        return redirect("reviews:review", wire_id=wire_id)
    return _shown(request, ReviewPage.of(access_review_to_view(member, wire_id), member), acted=True)


def _shown(
    request: HttpRequest,
    page: ReviewPage,
    *,
    refusal: DomainError | None = None,
    draft: VerdictForm | None = None,
    acted: bool = False,
    status: int = 200,
) -> HttpResponse:
    """The card with its panels, the draft in the one it belongs to."""
    forms = {
        kind: VerdictForm.empty(kind, version=page.review.version, digest=page.review.call_digest)
        for kind in (VerdictKind.APPROVE, VerdictKind.DENY)
    }
    if draft is not None:
        draft.now_showing(version=page.review.version, digest=page.review.call_digest)
        forms[draft.verdict_kind] = draft
    context = {
        "page": page,
        "review": page.review,
        "card": page.card,
        "approve_form": forms[VerdictKind.APPROVE],
        "deny_form": forms[VerdictKind.DENY],
        "refusal": refusal,
        "draft": draft,
        "acted": acted,
    }
    template = "reviews/_card.html" if is_partial(request) else "reviews/review.html"
    response = render(request, template, context, status=status)
    patch_vary_headers(response, ["HX-Request"])
    add_never_cache_headers(response)
    return response
