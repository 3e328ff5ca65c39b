"""Backtests: start one, watch it, read what would change, for which calls."""

from __future__ import annotations

from datetime import timedelta
from typing import Any
from uuid import UUID

from django.contrib import messages
from django.http import Http404, HttpRequest, HttpResponse
from django.shortcuts import redirect, render
from django.utils import timezone
from django.views.decorators.cache import never_cache
from django.views.decorators.http import require_http_methods, require_POST

from audit.access import requires
from audit.calls import count_calls
from audit.errors import DomainError
from policy import backtests
from policy.backtest import EFFECTS
from policy.drafts import CHANGE_RULE
from policy.models import Backtest
from policy.names import Names
from policy.ramp_forms import WINDOWS, BacktestForm
from policy.views.common import member_of, tenant_id_of
from tenants.isolation import rows_of

LISTED = 20
EFFECT_WORDS = {"allow": "Allow", "review": "Review", "deny": "Deny"}


@require_http_methods(["GET", "HEAD", "POST"])
@requires("policy.view_rule")
@never_cache
def backtest_list(request: HttpRequest) -> HttpResponse:
    """The last ones, and the form for a new one."""
    tenant_id, now = tenant_id_of(request), timezone.now()
    counts = {days: count_calls(tenant_id, since=now - timedelta(days=days)) for days in WINDOWS}
    form = BacktestForm(request.POST if request.method == "POST" else None, counts=counts)
    refusal = None
    if request.method == "POST" and form.is_valid():
        since = now - timedelta(days=form.cleaned_data["days"])
        try:
            row = backtests.start(tenant_id, acting=member_of(request), since=since, now=now)
        except DomainError as error:
            refusal = error
        else:
            return redirect("policy:backtest", row.pk)
    rows = rows_of(Backtest, tenant_id).defer("draft_snapshot").select_related("started_by__user")[:LISTED]
    context = {
        "form": form,
        "refusal": refusal,
        "rows": rows,
        "can_start": request.user.has_perm(CHANGE_RULE),
        "at_once": backtests.IN_REQUEST,
    }
    status = refusal.status if refusal else 422 if form.is_bound and not form.is_valid() else 200
    return render(request, "policy/backtests.html", context, status=status)


@require_http_methods(["GET", "HEAD"])
@requires("policy.view_rule")
@never_cache
def backtest(request: HttpRequest, pk: UUID) -> HttpResponse:
    """One backtest: its progress while it runs, which polls, then what it found."""
    row = rows_of(Backtest, tenant_id_of(request)).select_related("started_by__user").filter(pk=pk).first()
    if row is None:
        raise Http404
    is_active = row.state in backtests.ACTIVE
    if request.headers.get("HX-Request") == "true":
        if not is_active:
            return HttpResponse(headers={"HX-Refresh": "true"})
        if request.GET.get("v") == str(row.done):
            return HttpResponse(status=204)
        return render(request, "policy/_progress.html", {"row": row})
    context = {
        "row": row,
        "is_active": is_active,
        "may_stop": request.user.has_perm(CHANGE_RULE),
        "names": Names(row.tenant_id),
        **_found(row),
    }
    return render(request, "policy/backtest.html", context)


@require_POST
@requires(CHANGE_RULE)
def backtest_stop(request: HttpRequest, pk: UUID) -> HttpResponse:
    """Stop it; what is counted stays."""
    backtests.cancel(tenant_id_of(request), pk, acting=member_of(request), now=timezone.now())
    messages.success(request, "Stopped. What was counted until then stays.")
    return redirect("policy:backtest", pk)


def _found(row: Backtest) -> dict[str, Any]:
    result = row.result
    days = max(1.0, (row.until - row.since).total_seconds() / 86_400)
    return {
        "result": result,
        "matrix": [
            {
                "effect": EFFECT_WORDS[before],
                "cells": [
                    {"count": result["matrix"][before][after], "is_change": before != after} for after in EFFECTS
                ],
            }
            for before in EFFECTS
        ],
        "columns": [EFFECT_WORDS[after] for after in EFFECTS],
        "rules": sorted(result["rules"].items(), key=lambda item: (-item[1]["errors"], -item[1]["matched"], item[0])),
        "teams": sorted((team, count, count / days) for team, count in result["teams"].items()),
        "reviews_per_day": {side: count / days for side, count in result["reviews"].items()},
        "is_same": not result["caught"]["count"] and not result["freed"]["count"],
    }
