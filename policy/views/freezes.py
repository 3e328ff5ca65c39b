"""Freezes: what is stopped now, the form that stops more, and the page that lets go."""

from __future__ import annotations

from uuid import UUID

from django.contrib import messages
from django.http import Http404, HttpRequest, HttpResponse
from django.shortcuts import redirect, render
from django.utils import timezone
from django.views.decorators.cache import never_cache
from django.views.decorators.http import require_http_methods

from audit.access import requires
from audit.errors import DomainError
from policy import freezes
from policy.errors import PolicyForbidden
from policy.forms import ReasonForm
from policy.models import Freeze
from policy.names import Names
from policy.ramp_forms import FreezeForm
from policy.views.common import member_of, tenant_id_of
from tenants import stepup
from tenants.errors import StepUpNeeded
from tenants.isolation import rows_of
from tenants.models import Agent

LISTED = 20


@require_http_methods(["GET", "HEAD", "POST"])
@requires("policy.view_rule")
@never_cache
def freeze_list(request: HttpRequest) -> HttpResponse:
    """What is frozen and what was; a POST freezes at once."""
    tenant_id = tenant_id_of(request)
    may_freeze = request.user.has_perm(freezes.FREEZE)
    if request.method == "POST" and not may_freeze:
        raise PolicyForbidden
    form = FreezeForm(request.POST if request.method == "POST" else None, agents=list(rows_of(Agent, tenant_id)))
    refusal = None
    if request.method == "POST" and form.is_valid():
        data = form.cleaned_data
        try:
            freezes.freeze(
                tenant_id,
                acting=member_of(request),
                scope=data["scope"],
                target=data["target"],
                reason=data["reason"],
                now=timezone.now(),
            )
        except DomainError as error:
            refusal = error
        else:
            messages.success(request, "Frozen. Every call in it is denied within 5 seconds.")
            return redirect("policy:freezes")
    lifted = rows_of(Freeze, tenant_id).exclude(lifted_at=None).select_related("frozen_by__user", "lifted_by__user")
    context = {
        "form": form,
        "refusal": refusal,
        "in_force": freezes.in_force(tenant_id),
        "lifted": lifted[:LISTED],
        "may_freeze": may_freeze,
        "names": Names(tenant_id),
    }
    status = refusal.status if refusal else 422 if form.is_bound and not form.is_valid() else 200
    return render(request, "policy/freezes.html", context, status=status)


@require_http_methods(["GET", "HEAD", "POST"])
@requires(freezes.FREEZE)
@never_cache
def lift(request: HttpRequest, pk: UUID) -> HttpResponse:
    """Lift one: a reason and a fresh sign-in."""
    tenant_id, now = tenant_id_of(request), timezone.now()
    row = rows_of(Freeze, tenant_id).filter(pk=pk, lifted_at=None).select_related("frozen_by__user").first()
    if row is None:
        raise Http404
    draft = request.POST if request.method == "POST" else stepup.kept_draft(request, now=now)
    form = ReasonForm(draft)
    refusal = None
    if request.method == "POST" and form.is_valid():
        evidence = stepup.evidence_of(request)
        try:
            freezes.lift(
                tenant_id, pk, acting=member_of(request), evidence=evidence, reason=form.cleaned_data["reason"], now=now
            )
        except StepUpNeeded:
            return stepup.ask_again(request, now=now)
        except DomainError as error:
            refusal = error
        else:
            if evidence is not None:
                stepup.spend(request, evidence)
            is_agent = row.scope == Freeze.Scope.AGENT
            word = "Resumed" if is_agent else "Lifted"
            messages.success(request, f"{word}. Calls go by the rules again within 5 seconds.")
            return redirect("reviews:agents" if is_agent else "policy:freezes")
    is_back = draft is not None and request.method != "POST"
    context = {"row": row, "form": form, "refusal": refusal, "is_back": is_back, "names": Names(tenant_id)}
    status = refusal.status if refusal else 422 if request.method == "POST" else 200
    return render(request, "policy/lift.html", context, status=status)
