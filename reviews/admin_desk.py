"""Django admin for how the desk works: one page, as there is one desk; changed after a fresh sign-in."""

from __future__ import annotations

from typing import Any

from django import forms
from django.contrib import admin, messages
from django.core.exceptions import PermissionDenied
from django.http import Http404, HttpRequest, HttpResponse
from django.shortcuts import redirect
from django.template.response import TemplateResponse
from django.utils import timezone
from django.utils.decorators import method_decorator
from django.views.decorators.csrf import csrf_protect

from audit.errors import DomainError
from policy.admin import member_of, tenant_id_of
from reviews import desk_settings
from reviews.card_of import desk_settings as settings_of
from reviews.errors import InvalidSettings
from reviews.models import DeskSettings
from tenants import stepup
from tenants.admin import TenantAdmin
from tenants.errors import StepUpNeeded


class DeskForm(forms.ModelForm):  # type: ignore[type-arg]  # not generic at run time
    """The settings; the write function checks them."""

    class Meta:
        model = DeskSettings
        fields = ("reviews_per_hour", "reserved_percent", "stepup_minutes", "own_domains", "link_hosts")
        labels = {  # noqa: RUF012  # Django reads it once
            "reviews_per_hour": "Reviews an hour, for each agent",
            "reserved_percent": "Kept for tiers 3 and 4 (percent)",
            "stepup_minutes": "Sign-in at tiers 3 and 4 (minutes)",
            "own_domains": "Domains of your organisation",
            "link_hosts": "Hosts of links",
        }

    def wanted(self) -> desk_settings.Wanted:
        """What was typed, to be checked and saved."""
        data = self.cleaned_data
        return desk_settings.Wanted(
            reviews_per_hour=data["reviews_per_hour"],
            reserved_percent=data["reserved_percent"],
            stepup_minutes=data["stepup_minutes"],
            own_domains=tuple(data["own_domains"] or ()),
            link_hosts=tuple(data["link_hosts"] or ()),
        )


@admin.register(DeskSettings)
class DeskSettingsAdmin(TenantAdmin):
    """The one row of a tenant; without it, the defaults."""

    def has_add_permission(self, request: HttpRequest) -> bool:
        """There is one desk."""
        return False

    @method_decorator(csrf_protect)
    def changelist_view(self, request: HttpRequest, extra_context: Any = None) -> HttpResponse:
        """The form instead of a list of one."""
        if not request.user.has_perm(desk_settings.CHANGE):
            raise PermissionDenied
        now = timezone.now()
        row = settings_of(tenant_id_of(request))
        kept = None if request.method == "POST" else stepup.kept_draft(request, now=now)
        form = DeskForm(request.POST if request.method == "POST" else None, instance=row)
        if kept is not None:
            # What was typed before the sign-in stands there again; the person presses the button again.
            form = DeskForm(instance=row, initial=kept.dict())
        status = 200
        if request.method == "POST":
            status = 422
            if form.is_valid():
                try:
                    desk_settings.change(
                        tenant_id_of(request),
                        wanted=form.wanted(),
                        acting_member=member_of(request),
                        evidence=stepup.evidence_of(request),
                        now=now,
                    )
                except StepUpNeeded:
                    return stepup.ask_again(request, now=now)
                except InvalidSettings as error:
                    _show(form, error)
                else:
                    self.message_user(request, "The desk works so from now on.", messages.SUCCESS)
                    return redirect("admin:reviews_desksettings_changelist")
        context = {**self.admin_site.each_context(request), "opts": self.opts, "title": "Desk settings", "form": form}
        return TemplateResponse(request, "admin/reviews/desksettings/form.html", context, status=status)

    def changeform_view(self, request: HttpRequest, *args: Any, **kwargs: Any) -> Any:
        """The one form stands at the list's address."""
        raise Http404


def _show(form: DeskForm, error: DomainError) -> None:
    errors: Any = error.details["errors"]
    for name, sentence in errors.items():
        form.add_error(name, sentence)
