"""The flip: observe or enforce, for whom, with the report of this moment beside the form."""

from __future__ import annotations

from django.contrib import messages
from django.http import HttpRequest, HttpResponse
from django.shortcuts import redirect, render
from django.urls import reverse
from django.utils import timezone
from django.utils.http import urlencode
from django.views.decorators.cache import never_cache
from django.views.decorators.http import require_http_methods

from audit.access import requires
from audit.errors import DomainError
from policy import modes, reports
from policy.models import Action, Mode, PolicyState
from policy.modes_in_words import action_modes, mode_words
from policy.ramp_forms import INHERIT, FlipForm
from policy.readiness import Report
from policy.views.common import action_of, member_of, tenant_id_of
from tenants import stepup
from tenants.errors import StepUpNeeded
from tenants.isolation import rows_of


@require_http_methods(["GET", "HEAD", "POST"])
@requires(modes.CHANGE_MODE)
@never_cache
def flip(request: HttpRequest) -> HttpResponse:
    """The tenant's mode, or with ?action= an action's own."""
    tenant_id, action, now = tenant_id_of(request), action_of(request), timezone.now()
    state = rows_of(PolicyState, tenant_id).get()
    of_tenant = mode_words(state.default_mode, state.percent)
    report = reports.read(tenant_id, action_id=action.action_id if action else None, now=now).report
    mode, percent = (action.mode_override, action.percent) if action else (state.default_mode, state.percent)
    draft = request.POST if request.method == "POST" else stepup.kept_draft(request, now=now)
    form = FlipForm(
        draft,
        typed_name=action.action_id if action else member_of(request).tenant.name,
        now=(mode or INHERIT, percent),
        inherited=of_tenant if action else "",
        unmet=report.unmet,
    )
    refusal = None
    if request.method == "POST" and form.is_valid():
        try:
            _flip(request, action, form, report)
        except StepUpNeeded:
            return stepup.ask_again(request, now=now)
        except DomainError as error:
            refusal = error
        else:
            messages.success(request, "Switched. Every process follows within 5 seconds.")
            query = {"action": action.action_id} if action else {}
            return redirect(f"{reverse('policy:readiness')}?{urlencode(query)}".rstrip("?"))
    evidence = stepup.evidence_of(request)
    context = {
        "action": action,
        "form": form,
        "report": report,
        "refusal": refusal,
        "mode": mode_words(mode, percent) if mode else f"it follows the tenant’s mode: {of_tenant}",
        "now": mode or INHERIT,
        "percent": percent,
        "is_enforced": (mode or state.default_mode) == Mode.ENFORCE,
        "own": [] if action else [row for row in action_modes(tenant_id) if row.mode],
        "is_back": draft is not None and request.method != "POST",
        "has_proof": evidence is not None and now - evidence.at <= stepup.FRESH,
    }
    status = refusal.status if refusal else 422 if request.method == "POST" else 200
    return render(request, "policy/flip.html", context, status=status)


def _flip(request: HttpRequest, action: Action | None, form: FlipForm, report: Report) -> None:
    data, now = form.cleaned_data, timezone.now()
    evidence = stepup.evidence_of(request)
    shown = modes.Shown(report, data.get("accepted", []))
    if action is None:
        modes.set_tenant_mode(
            tenant_id_of(request),
            acting=member_of(request),
            mode=data["mode"],
            percent=data["percent"],
            reason=data["reason"],
            evidence=evidence,
            shown=shown,
            now=now,
        )
    else:
        modes.set_action_mode(
            tenant_id_of(request),
            acting=member_of(request),
            action_id=action.action_id,
            mode=None if data["mode"] == INHERIT else data["mode"],
            percent=data["percent"],
            reason=data["reason"],
            evidence=evidence,
            shown=shown,
            now=now,
        )
    if evidence is not None:
        stepup.spend(request, evidence)
