"""Agents: the list, and the page that pauses one."""

from __future__ import annotations

from django.contrib import messages
from django.http import HttpRequest, HttpResponse
from django.shortcuts import redirect, render
from django.utils import timezone
from django.utils.translation import gettext as _
from django.views.decorators.cache import never_cache
from django.views.decorators.http import require_http_methods, require_safe

from audit.access import requires
from policy.freezes import FREEZE
from reviews import agents
from reviews.errors import AgentPausedAlready, InvalidPause
from reviews.forms_agents import PauseForm
from reviews.views.page import member_of


@require_safe
@requires("reviews.view_review")
@never_cache
def agent_list(request: HttpRequest) -> HttpResponse:
    """Who runs, who floods, who is paused."""
    context = {
        "rows": agents.agent_rows(member_of(request).tenant_id, now=timezone.now()),
        "may_pause": request.user.has_perm("reviews.decide_review"),
        "may_resume": request.user.has_perm(FREEZE),
    }
    return render(request, "reviews/agent_list.html", context)


@require_http_methods(["GET", "HEAD", "POST"])
@requires("reviews.decide_review")
@never_cache
def pause(request: HttpRequest, slug: str) -> HttpResponse:
    """Pause one agent: a code, and it is done."""
    member = member_of(request)
    agent = agents.find_agent(member.tenant_id, slug)
    form = PauseForm(request.POST if request.method == "POST" else None)
    refusal = None
    if form.is_valid():
        data = form.cleaned_data
        try:
            agents.pause_agent(member, slug, code=data["code"], note=data["note"], now=timezone.now())
        except InvalidPause as error:
            errors = error.details["errors"]
            assert isinstance(errors, dict)
            for field, sentence in errors.items():
                form.add_error(field, sentence)
        except AgentPausedAlready as error:
            refusal = error
        else:
            messages.success(
                request, _("Paused. Every call of %(agent)s is denied within 5 seconds.") % {"agent": agent.name}
            )
            return redirect("reviews:agents")
    freeze = agents.freeze_of(member.tenant_id, slug)
    context = {
        "agent": agent,
        "form": form,
        "refusal": refusal,
        "freeze": freeze,
        "may_resume": request.user.has_perm(FREEZE),
    }
    status = refusal.status if refusal else 422 if form.is_bound else 200
    return render(request, "reviews/agent_pause.html", context, status=status)
