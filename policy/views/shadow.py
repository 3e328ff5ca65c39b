"""Shadow: the draft beside what is live, on the calls that come in."""

from __future__ import annotations

from django.contrib import messages
from django.http import HttpRequest, HttpResponse
from django.shortcuts import redirect, render
from django.utils import timezone
from django.views.decorators.cache import never_cache
from django.views.decorators.http import require_http_methods

from audit.access import requires
from audit.errors import DomainError
from policy import shadow as shadows
from policy.drafts import CHANGE_RULE
from policy.models import Shadow, ShadowDifference
from policy.names import Names
from policy.ramp_forms import ShadowForm
from policy.revisions import draft_snapshot
from policy.views.common import member_of, tenant_id_of
from tenants.isolation import rows_of

LISTED = 100


@require_http_methods(["GET", "HEAD", "POST"])
@requires("policy.view_rule")
@never_cache
def shadow(request: HttpRequest) -> HttpResponse:
    """What the shadowed draft decided otherwise; a POST starts or stops it."""
    tenant_id = tenant_id_of(request)
    stops = "stop" in request.POST
    form = ShadowForm(request.POST if request.method == "POST" and not stops else None)
    refusal = None
    if request.method == "POST" and (stops or form.is_valid()):
        try:
            if stops:
                shadows.stop(tenant_id, acting=member_of(request))
                messages.success(request, "Stopped. The differences stay until the next start.")
            else:
                percent = form.cleaned_data["percent"]
                shadows.start(tenant_id, acting=member_of(request), percent=percent, now=timezone.now())
                messages.success(request, "Comparing. Every process follows within 5 seconds.")
            return redirect("policy:shadow")
        except DomainError as error:
            refusal = error
    row = rows_of(Shadow, tenant_id).select_related("started_by__user").first()
    differences = rows_of(ShadowDifference, tenant_id).filter(sha256=row.sha256).order_by("-at")[:LISTED] if row else ()
    context = {
        "form": form,
        "refusal": refusal,
        "row": row,
        "differences": differences,
        "summary": shadows.summary(tenant_id, row.sha256) if row else [],
        "is_draft_changed": row is not None and row.sha256 != draft_snapshot(tenant_id)[1],
        "may_change": request.user.has_perm(CHANGE_RULE),
        "names": Names(tenant_id),
    }
    status = refusal.status if refusal else 422 if form.is_bound and not form.is_valid() else 200
    return render(request, "policy/shadow.html", context, status=status)
