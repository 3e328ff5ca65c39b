"""Deciding the rows that are ticked in the queue: first the form, which decides nothing; then what became of each."""

from __future__ import annotations

import secrets
from typing import Any

from django.http import HttpRequest, HttpResponse
from django.shortcuts import redirect, render
from django.utils import timezone
from django.utils.cache import add_never_cache_headers

from audit.errors import DomainError
from reviews import bulk
from reviews.agents import PauseCode, pause_agent
from reviews.bulk_cards import cards_of
from reviews.errors import InvalidStep
from reviews.forms_queue import BulkApproveForm, BulkDenyForm
from reviews.models import Review
from reviews.states import VerdictKind
from reviews.verdicts import Choice
from reviews.views.page import member_of
from reviews.views.showing import may_decide
from tenants.stepup import evidence_of


@may_decide
def bulk_approve(request: HttpRequest) -> HttpResponse:
    """The form of a bulk approval; posted with its rows, their verdicts."""
    if request.method != "POST":
        return redirect("reviews:queue")
    member, now = member_of(request), timezone.now()
    if "commit" not in request.POST:
        chosen = bulk.selected(member, request.POST.getlist("pick"), at_most=bulk.DENY_AT_MOST)
        return _approval(request, chosen, BulkApproveForm(), ticked=None)
    form = BulkApproveForm(request.POST)
    picks = _picks(request)
    try:
        outcomes = bulk.approve(
            picks,
            acting_member=member,
            count=form.cleaned_data["count"] if form.is_valid() else None,
            form_key=_form_key(request),
            evidence=evidence_of(request),
            now=now,
        )
    except InvalidStep as refusal:
        if form.is_valid():
            _add_errors(form, refusal)
        shown = bulk.selected(member, request.POST.getlist("shown"), at_most=bulk.DENY_AT_MOST)
        return _approval(request, shown, form, ticked={pick.wire_id for pick in picks}, status=422)
    return _result(request, outcomes, kind="approved")


@may_decide
def bulk_deny(request: HttpRequest) -> HttpResponse:
    """The form of a bulk denial; posted with its rows, their verdicts."""
    if request.method != "POST":
        return redirect("reviews:queue")
    member, now = member_of(request), timezone.now()
    if "commit" not in request.POST:
        chosen = bulk.selected(member, request.POST.getlist("pick"), at_most=bulk.DENY_AT_MOST)
        return _denial(request, chosen, BulkDenyForm(), ticked=None)
    form = BulkDenyForm(request.POST)
    picks = _picks(request)
    refused = not form.is_valid()
    outcomes = []
    if not refused:
        data = form.cleaned_data
        choice = Choice(
            kind=VerdictKind.DENY, code=data["code"], message=data["message"].strip(), note=data["note"].strip()
        )
        try:
            outcomes = bulk.deny(
                picks,
                acting_member=member,
                choice=choice,
                form_key=_form_key(request),
                evidence=evidence_of(request),
                now=now,
            )
        except InvalidStep as refusal:
            _add_errors(form, refusal)
            refused = True
    if refused:
        shown = bulk.selected(member, request.POST.getlist("shown"), at_most=bulk.DENY_AT_MOST)
        return _denial(request, shown, form, ticked={pick.wire_id for pick in picks}, status=422)
    return _result(request, outcomes, kind="denied", paused=_pause(request))


@may_decide
def bulk_undo(request: HttpRequest) -> HttpResponse:
    """Take back what a bulk form has just decided, where it is still on hold."""
    if request.method != "POST":
        return redirect("reviews:queue")
    outcomes = bulk.undo_all(request.POST.getlist("pick"), acting_member=member_of(request), now=timezone.now())
    return _result(request, outcomes, kind="reopened")


def _picks(request: HttpRequest) -> list[bulk.Pick]:
    found = {}
    for text in request.POST.getlist("row"):
        pick = bulk.parse_pick(text)
        if pick is not None:
            found[pick.wire_id] = pick
    return list(found.values())


def _form_key(request: HttpRequest) -> str:
    return request.POST.get("form_key", "")[:64]


def _add_errors(form: BulkApproveForm | BulkDenyForm, refusal: InvalidStep) -> None:
    errors: Any = refusal.details.get("errors") or {}
    for field, sentence in errors.items():
        form.add_error(field if field in form.fields else None, sentence)


def _approval(
    request: HttpRequest, reviews: list[Review], form: BulkApproveForm, *, ticked: set[str] | None, status: int = 200
) -> HttpResponse:
    plan = bulk.plan_approval(member_of(request), reviews, now=timezone.now())
    return _page(
        request,
        "reviews/bulk_approve.html",
        {"plan": plan, "form": form, "ticked": ticked, "at_most": bulk.APPROVE_AT_MOST},
        status=status,
    )


def _denial(
    request: HttpRequest, reviews: list[Review], form: BulkDenyForm, *, ticked: set[str] | None, status: int = 200
) -> HttpResponse:
    candidates = bulk.plan_denial(member_of(request), reviews, now=timezone.now())
    agents = {one.review.agent.slug: one.review.agent.name for one in candidates if not one.left_out}
    return _page(
        request,
        "reviews/bulk_deny.html",
        {"candidates": candidates, "form": form, "ticked": ticked, "agents": sorted(agents.items())},
        status=status,
    )


def _pause(request: HttpRequest) -> list[str]:
    """Pause the agents that were ticked; a sentence for each."""
    said = []
    for slug in request.POST.getlist("pause")[: bulk.DENY_AT_MOST]:
        try:
            pause_agent(member_of(request), slug, code=PauseCode.SUSPICIOUS, note="", now=timezone.now())
            said.append(f"{slug} is paused: its calls are denied until a lead resumes it.")
        except DomainError as refusal:
            said.append(f"{slug}: {refusal.sentence}")
    return said


def _result(
    request: HttpRequest, outcomes: list[bulk.Outcome], *, kind: str, paused: list[str] | None = None
) -> HttpResponse:
    done = [one for one in outcomes if not one.refusal]
    reviews = [one.review for one in done]
    cards = cards_of(reviews, tenant_id=member_of(request).tenant_id, now=timezone.now(), with_history=False)
    context = {
        "kind": kind,
        "done": [(one, cards[one.review.pk].wish) for one in done],
        "refused": [one for one in outcomes if one.refusal],
        "on_hold": [one for one in done if one.verdict is not None and one.verdict.release_at > timezone.now()],
        "paused": paused or [],
    }
    return _page(request, "reviews/bulk_result.html", context)


def _page(request: HttpRequest, template: str, context: dict[str, Any], *, status: int = 200) -> HttpResponse:
    context |= {"form_key": _form_key(request) or secrets.token_hex(16), "back": request.POST.get("back", "")[:1000]}
    response = render(request, template, context, status=status)
    add_never_cache_headers(response)
    return response
