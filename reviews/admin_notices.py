"""Django admin for notices: set one up, change it, rotate a webhook's secret. Saves through `notice_targets`."""

from __future__ import annotations

from typing import Any
from uuid import UUID

from django import forms
from django.contrib import admin, messages
from django.db.models import QuerySet
from django.http import HttpRequest, HttpResponse, QueryDict
from django.shortcuts import redirect
from django.template.response import TemplateResponse
from django.urls import URLPattern, path
from django.utils import timezone

from reviews import notice_targets
from reviews.errors import InvalidNoticeTarget
from reviews.models import NoticeEvent, NoticeTarget
from tenants import stepup
from tenants.admin import TenantAdmin
from tenants.errors import StepUpNeeded
from tenants.isolation import rows_of
from tenants.models import Member, Team

# A new secret waits in the session for the one page that shows it.
SHOWN_ONCE = "notice_secret"


class NoticeTargetForm(forms.ModelForm):  # type: ignore[type-arg]  # not generic at run time
    """Who is told of what; every refusal at its field."""

    events = forms.MultipleChoiceField(label="When", choices=NoticeEvent.choices, widget=forms.CheckboxSelectMultiple)

    class Meta:
        model = NoticeTarget
        fields = (
            *("name", "channel", "events", "audience", "team", "member", "address", "url", "cadence", "is_active"),
        )
        help_texts = {"name": "By it people find the notice, such as Overdue refunds."}  # noqa: RUF012  # Django reads it once

    acting_member: Member
    kept: QueryDict | None = None

    def __init__(self, *args: Any, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        if "team" in self.fields:  # not for somebody who may only look
            self.fields["team"] = forms.ChoiceField(required=False, choices=self._teams())
            self.fields["member"].empty_label = "Choose a person"  # type: ignore[attr-defined]  # a ModelChoiceField
        if self.kept is not None:  # typed before they were asked who they are
            for name in self.fields:
                self.initial[name] = self.kept.getlist(name) if name == "events" else self.kept.get(name, "")

    def _teams(self) -> list[tuple[str, str]]:
        """The tenant's teams, and the one that is stored although nobody has made it, or not any more."""
        found = list(rows_of(Team, self.acting_member.tenant_id).order_by("name").values_list("slug", "name"))
        stored = self.instance.team
        if stored and stored not in dict(found):
            found.append((stored, f"{stored}, which is no team"))
        return [("", "Choose a team"), *found]

    def clean(self) -> dict[str, Any]:
        """What `notice_targets` would refuse."""
        data = super().clean() or {}
        if self.errors:
            return data
        for field, sentence in notice_targets.mistakes_in(self.wanted, tenant_id=self.acting_member.tenant_id).items():
            self.add_error(field, sentence)
        name = str(data.get("name", "")).strip()
        here = rows_of(NoticeTarget, self.acting_member.tenant_id)
        if here.filter(name=name).exclude(pk=self.instance.pk).exists():
            self.add_error("name", "Another one has this name.")
        return data

    @property
    def wanted(self) -> notice_targets.Wanted:
        """The form for `notice_targets.save_target`."""
        data = self.cleaned_data
        return notice_targets.Wanted(
            name=data["name"],
            channel=data["channel"],
            events=tuple(data["events"]),
            audience=data["audience"],
            team=data["team"],
            member_id=data["member"].pk if data["member"] else None,
            address=data["address"],
            url=data["url"].strip(),
            # The page hides it for a webhook, so what stands there is nobody's wish.
            cadence=data["cadence"] if data["channel"] == NoticeTarget.Channel.EMAIL else NoticeTarget.Cadence.EACH,
            is_active=data["is_active"],
        )


@admin.register(NoticeTarget)
class NoticeTargetAdmin(TenantAdmin):
    """Who is told of what."""

    form = NoticeTargetForm
    list_display = ("name", "channel", "audience", "cadence", "active")
    actions = ("rotate_selected",)
    history = ("notice.changed", "about", "pk")
    fieldsets = (
        (None, {"fields": ("name", "channel", "events", "is_active")}),
        # admin.css shows the fields that the channel and "to" ask for.
        ("By e-mail", {"fields": ("audience", "team", "member", "address", "cadence"), "classes": ("by-email",)}),
        (
            "By webhook",
            {"fields": ("url",), "description": "Its secret is shown once, after saving.", "classes": ("by-webhook",)},
        ),
    )

    @admin.display(description="Active", ordering="is_active")
    def active(self, target: NoticeTarget) -> str:
        """Whether it is sent."""
        return "Yes" if target.is_active else "No"

    def get_form(self, request: HttpRequest, obj: Any = None, change: bool = False, **kwargs: Any) -> Any:
        """The form, which knows whose tenant it is for."""
        form: Any = super().get_form(request, obj, change, **kwargs)  # made for this request alone
        form.acting_member = request.member  # type: ignore[attr-defined]  # set by TenantMiddleware
        form.kept = getattr(request, "guardsite_kept", None)
        return form

    def formfield_for_foreignkey(self, db_field: Any, request: HttpRequest, **kwargs: Any) -> Any:
        """Members of this tenant."""
        if db_field.name == "member":
            members = rows_of(Member, request.tenant.pk).filter(is_active=True)  # type: ignore[attr-defined]
            kwargs["queryset"] = members.select_related("user").order_by("user__name")
        return super().formfield_for_foreignkey(db_field, request, **kwargs)

    def changeform_view(
        self, request: HttpRequest, object_id: str | None = None, form_url: str = "", extra_context: Any = None
    ) -> Any:
        """The form; asks who they are where that is too long ago, and shows again what was typed."""
        now = timezone.now()
        if request.method == "GET" and (kept := stepup.kept_draft(request, now=now)) is not None:
            request.guardsite_kept = kept  # type: ignore[attr-defined]  # read by get_form above
            self.message_user(request, "You signed in afresh. Look once more, then save again.", messages.INFO)
        try:
            return super().changeform_view(request, object_id, form_url, extra_context)
        except StepUpNeeded:
            return stepup.ask_again(request, now=now)

    def get_changeform_initial_data(self, request: HttpRequest) -> dict[str, Any]:
        """What leads most want to hear of."""
        return {
            "events": [NoticeEvent.OVERDUE, NoticeEvent.FLOOD, NoticeEvent.UNTOLD],
            "channel": NoticeTarget.Channel.EMAIL,
            "audience": NoticeTarget.Audience.LEADS,
        }

    def save_model(self, request: HttpRequest, obj: NoticeTarget, form: NoticeTargetForm, change: bool) -> None:
        """Save through `notice_targets`; keep a new secret for the page that shows it."""
        saved = notice_targets.save_target(
            request.member,  # type: ignore[attr-defined]
            form.wanted,
            target_id=obj.pk if change else None,
            evidence=stepup.evidence_of(request),
            now=timezone.now(),
        )
        obj.pk, obj.tenant_id = saved.target.pk, saved.target.tenant_id
        if saved.secret:
            request.session[SHOWN_ONCE] = [{"name": saved.target.name, "secret": saved.secret}]

    def response_add(
        self, request: HttpRequest, obj: NoticeTarget, post_url_continue: str | None = None
    ) -> HttpResponse:
        """On to the secret, where one was made."""
        return _to_secret(request) or super().response_add(request, obj, post_url_continue)

    def response_change(self, request: HttpRequest, obj: NoticeTarget) -> HttpResponse:
        """On to the secret, where one was made."""
        return _to_secret(request) or super().response_change(request, obj)

    def get_urls(self) -> list[URLPattern]:
        """The page that shows a secret once, beside Django's own."""
        shown = path("secret/", self.admin_site.admin_view(self.secret_view), name="reviews_noticetarget_secret")
        return [shown, *super().get_urls()]

    def secret_view(self, request: HttpRequest) -> HttpResponse:
        """The new secrets, this once: showing them removes them from the session."""
        shown = request.session.pop(SHOWN_ONCE, [])
        context = {**self.admin_site.each_context(request), "title": "Copy the secret now", "shown": shown}
        response = TemplateResponse(request, "admin/reviews/noticetarget/secret.html", context)
        response["Cache-Control"] = "no-store"
        return response

    @admin.action(description="New secret now, the old one signs too for 24 hours", permissions=["change"])
    def rotate_selected(self, request: HttpRequest, queryset: QuerySet[NoticeTarget]) -> HttpResponse | None:
        """A new secret for each selected webhook."""
        shown, now = [], timezone.now()
        for target in queryset:
            try:
                shown.append(self._rotated(request, target.pk))
            except StepUpNeeded:
                return stepup.ask_again(request, now=now)
            except InvalidNoticeTarget:
                self.message_user(request, f"{target.name}: only a webhook has a secret.", messages.ERROR)
        if not shown:
            return None
        request.session[SHOWN_ONCE] = shown
        return redirect("admin:reviews_noticetarget_secret")

    def _rotated(self, request: HttpRequest, pk: UUID) -> dict[str, str]:
        member: Member = request.member  # type: ignore[attr-defined]
        saved = notice_targets.rotate(member, pk, evidence=stepup.evidence_of(request), now=timezone.now())
        return {"name": saved.target.name, "secret": saved.secret}


def _to_secret(request: HttpRequest) -> HttpResponse | None:
    return redirect("admin:reviews_noticetarget_secret") if SHOWN_ONCE in request.session else None
