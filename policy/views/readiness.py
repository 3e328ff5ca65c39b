"""May we enforce yet: the report, and the page where people say whether it stops the right calls."""

from __future__ import annotations

import json
from typing import Any
from uuid import UUID

from django.contrib import messages
from django.core.exceptions import PermissionDenied
from django.http import HttpRequest, HttpResponse
from django.shortcuts import redirect, render
from django.urls import reverse
from django.utils import timezone
from django.utils.http import urlencode
from django.views.decorators.cache import never_cache
from django.views.decorators.http import require_GET, require_http_methods

from audit import browse
from audit.access import requires
from audit.calls import calls_by_uid
from audit.errors import DomainError
from audit.kinds import withheld
from audit.reveal import reveal
from audit.scope import as_tenant
from audit.secrets import mask_document
from policy import freezes, labels, reports
from policy.explain import reads_as
from policy.live import live_policy
from policy.models import Mode, PolicyState
from policy.modes_in_words import action_modes, mode_words
from policy.names import Names
from policy.ramp_forms import LabelForm
from policy.views.common import action_of, member_of, tenant_id_of
from tenants.isolation import rows_of

NAMED = 50  # calls listed on a page
# The entries that say how a review ended.
DECIDING = frozenset({"review.decided", "review.undone", "review.superseded", "review.expired", "review.cancelled"})


@require_GET
@requires("policy.view_rule")
@never_cache
def readiness(request: HttpRequest) -> HttpResponse:
    """The report of the tenant, or with ?action= of one action."""
    tenant_id, action = tenant_id_of(request), action_of(request)
    reading = reports.read(tenant_id, action_id=action.action_id if action else None, now=timezone.now())
    state = rows_of(PolicyState, tenant_id).select_related("live").defer("live__snapshot").get()
    actions = action_modes(tenant_id)
    override = action.mode_override if action else ""
    context = {
        "action": action,
        "actions": actions,
        "report": reading.report,
        "figures": reading.report.figures,
        "due_minutes": reading.report.figures.due_in_seconds / 60,
        "failed": reading.not_evaluated[:NAMED],
        "mode": mode_words(override, action.percent)
        if action and override
        else mode_words(state.default_mode, state.percent),
        "is_inherited": action is not None and not override,
        "own": [] if action else [row for row in actions if row.mode],
        "can_label": labels.may_label(member_of(request)),
        "left_to_label": len(reports.to_label(tenant_id, reading)),
        "freezes": freezes.in_force(tenant_id),
        "names": Names(tenant_id),
    }
    return render(request, "policy/readiness.html", context)


@require_http_methods(["GET", "HEAD", "POST"])
@requires("policy.view_rule")
@never_cache
def label(request: HttpRequest) -> HttpResponse:
    """One call that the rules stop after another, at random: is it right to stop it?"""
    member, tenant_id, action = member_of(request), tenant_id_of(request), action_of(request)
    if not labels.may_label(member):
        raise PermissionDenied
    if request.method == "POST":
        _save_label(request)
        query = {"action": action.action_id} if action else {}
        return redirect(f"{reverse('policy:label')}?{urlencode(query)}".rstrip("?"))
    reading = reports.read(tenant_id, action_id=action.action_id if action else None, now=timezone.now())
    waiting = reports.to_label(tenant_id, reading)
    skipped = request.GET.get("skip", "0")
    skip = int(skipped) if skipped.isascii() and skipped.isdecimal() and len(skipped) < 6 else 0
    chosen = waiting[skip] if skip < len(waiting) else None
    context: dict[str, Any] = {
        "action": action,
        "report": reading.report,
        "left": len(waiting),
        "skip": skip + 1,
        "chosen": chosen,
        "names": Names(tenant_id),
    }
    if chosen is not None:
        context |= _shown(request, chosen)
    return render(request, "policy/label.html", context)


def _save_label(request: HttpRequest) -> None:
    form = LabelForm(request.POST)
    if not form.is_valid():
        messages.error(request, "Say right or wrong. Nothing was kept.")
        return
    try:
        labels.label(
            tenant_id_of(request),
            form.cleaned_data["uid"],
            acting=member_of(request),
            is_right=form.cleaned_data["verdict"] == "right",
            rule=request.POST.get("rule", ""),
            note=form.cleaned_data["note"],
            now=timezone.now(),
        )
    except DomainError as error:
        messages.error(request, error.sentence)


def _shown(request: HttpRequest, chosen: reports.Counted) -> dict[str, Any]:
    """The call with its values, the rule that stops it, and what was done with it."""
    tenant_id = tenant_id_of(request)
    opened = calls_by_uid(tenant_id, [UUID(chosen.call.uid)])
    call = opened[0] if opened else chosen.call
    program = live_policy(tenant_id).program
    rules = {rule.id: rule for rule in program.rules.rules} if program else {}
    rule = rules.get(chosen.rule or "")
    return {
        "call": call,
        "rule": rule,
        "rule_reads": reads_as(rule.when) if rule else "",
        "happened": _what_happened(request, chosen),
        "params": _pairs(call.params),
        "user_context": _pairs(call.user),
    }


def _pairs(values: dict[str, Any] | None) -> list[tuple[str, str]] | None:
    """Names and values as text, secrets masked, with nothing hidden in it; None when erased."""
    if values is None:
        return None
    shown, _ = mask_document(values)
    assert isinstance(shown, dict)
    return [(reveal(key), reveal(_as_text(value))) for key, value in sorted(shown.items())]


def _as_text(value: Any) -> str:
    """A value to be read. Parts of a list stand side by side, unless one with a comma could pass for two."""
    if isinstance(value, str):
        return value
    if isinstance(value, list) and value and all(isinstance(item, str) and "," not in item for item in value):
        return ", ".join(value)
    return json.dumps(value, ensure_ascii=False)


def _what_happened(request: HttpRequest, chosen: reports.Counted) -> list[str]:
    """What was done with the call when it came, and who decided it: as far as this reader may read the log now."""
    call = chosen.call
    if not chosen.was_stopped:
        why = "the mode was observe" if call.mode == Mode.OBSERVE else "the rules of then let it"
        return [f"This call was let run: {why}."]
    if call.review is None:
        return ["This call was denied." if call.decision == "deny" else "This call was held."]
    return ["This call was held for a person.", *_verdicts(request, call.review)]


def _verdicts(request: HttpRequest, review: str) -> list[str]:
    """How the review ended, in the log's own sentences, oldest first. Who may still decide it reads no first verdict."""
    if not request.user.has_perm("audit.view_entry"):
        return []
    tenant_id = tenant_id_of(request)
    without = withheld(tenant_id, request.user.has_perm)
    with as_tenant(tenant_id, using=browse.READER):
        rows = browse.page(tenant_id, equal={"review": review}, without=without).rows
    return [row.sentence for row in reversed(rows) if row.kind in DECIDING]
