"""Django admin for API keys: issue, rotate, revoke. Saves through `tenants.keys`; a token is shown once."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from datetime import UTC, date, datetime, time, timedelta
from typing import Any
from uuid import UUID

from django import forms
from django.contrib import admin, messages
from django.core.exceptions import PermissionDenied
from django.db.models import QuerySet
from django.http import Http404, HttpRequest, HttpResponse
from django.shortcuts import redirect
from django.template.response import TemplateResponse
from django.urls import URLPattern, path
from django.utils import timezone
from django.utils.formats import date_format

from audit.errors import DomainError
from tenants import keys
from tenants.admin import TenantAdmin, mono
from tenants.isolation import rows_of
from tenants.models import Agent, ApiKey, Member

# New keys wait in the session for the one page that shows them.
ISSUED = "issued_api_keys"


SCOPE_WORDS = {
    "evaluate": "ask about calls, and say that they ran",
    "reviews": "follow calls that wait, and answer questions about them",
}
ON_A_DAY = "day"
LIFETIMES = (
    ("30", "In 30 days"),
    ("90", "In 90 days"),
    ("365", "In a year"),
    (ON_A_DAY, "On a day"),
    ("never", "Never"),
)
GATEWAY = "gateway"


class ApiKeyForm(forms.ModelForm):  # type: ignore[type-arg]  # not generic at run time
    """What a new key may do. What it is for is chosen, never assumed; it ends unless somebody says that it does not."""

    agent = forms.ChoiceField(label="For", help_text="A gateway asks for many agents and says with each call which.")
    environment = forms.ChoiceField(
        choices=[("", "Choose"), (ApiKey.Environment.TEST, "Test"), (ApiKey.Environment.LIVE, "Live")],
        help_text="The key says which. Approvals and repeats of test calls are kept apart from those of live ones.",
    )
    scopes = forms.MultipleChoiceField(
        choices=[(scope, f"{scope}: {SCOPE_WORDS[scope]}") for scope in keys.SCOPES],
        widget=forms.CheckboxSelectMultiple,
        initial=["evaluate", "reviews"],
    )

    expires = forms.ChoiceField(
        choices=LIFETIMES,
        initial="90",
        help_text="An expired key is refused. Rotate it on its page before that: the new one lives as long again.",
    )
    last_day = forms.DateField(
        required=False,
        label="Last day",
        widget=forms.DateInput(attrs={"type": "date"}, format="%Y-%m-%d"),
        help_text="It works until the end of this day, UTC.",
    )

    acting_member: Member

    class Meta:
        model = ApiKey
        fields = ("name", "agent", "environment", "scopes")
        help_texts = {"agent": ""}  # noqa: RUF012  # Django reads it once; the page of a key that is there asks nothing

    def __init__(self, *args: Any, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        if "name" not in self.fields:  # a key that is there asks nothing
            return
        self.fields["name"].help_text = "By it people know the key, such as production."
        self._agents = {str(row.pk): row for row in rows_of(Agent, self.acting_member.tenant_id).order_by("name")}
        named = [
            (pk, row.name if row.name == row.slug else f"{row.name} ({row.slug})") for pk, row in self._agents.items()
        ]
        choices = [("", "Choose"), *named, (GATEWAY, "A gateway: no single agent")]
        self.fields["agent"].choices = choices  # type: ignore[attr-defined]  # a ChoiceField

    def clean_agent(self) -> Agent | None:
        """The agent, or None for a gateway."""
        return self._agents.get(self.cleaned_data["agent"])

    def clean(self) -> dict[str, Any]:
        """When it ends: a time to come, or never."""
        data = super().clean() or {}
        now = timezone.now()
        chosen = data.get("expires", "")
        data["expires_at"] = now + timedelta(days=int(chosen)) if chosen.isdecimal() else None
        if chosen == ON_A_DAY and "last_day" not in self.errors:
            last: date | None = data.get("last_day")
            if last is None:
                self.add_error("last_day", "Name the day.")
            elif last < now.astimezone(UTC).date():
                self.add_error("last_day", "This is in the past: the key would never work.")
            elif last < date.max:
                data["expires_at"] = datetime.combine(last + timedelta(days=1), time(), UTC)
        return data


class OfAgent(admin.SimpleListFilter):
    """Whose keys: of one agent, or with an empty id the gateways'. It stands there once one comes with `?agent=`."""

    title = "agent"
    parameter_name = "agent"

    def lookups(self, request: HttpRequest, model_admin: Any) -> list[tuple[str, str]]:
        """The agent that is asked for; besides it stands the way back to all."""
        slug = request.GET.get("agent")
        if slug is None:
            return []
        agent = rows_of(Agent, request.tenant.pk).filter(slug=slug).first()  # type: ignore[attr-defined]
        return [(slug, agent.name if agent else slug or "Gateways")]

    def queryset(self, request: HttpRequest, queryset: QuerySet[ApiKey]) -> QuerySet[ApiKey]:
        """Its keys."""
        wanted = self.value()
        if wanted is None:
            return queryset
        return queryset.filter(agent__slug=wanted) if wanted else queryset.filter(agent=None)


def _time_or_never(at: datetime | None) -> str:
    return date_format(timezone.localtime(at), "DATETIME_FORMAT") if at else "Never"


@dataclass(frozen=True)
class Ending:
    """A key that is about to be revoked, and how many other keys its agent can go on with."""

    key: ApiKey
    others: int


@admin.register(ApiKey)
class ApiKeyAdmin(TenantAdmin):
    """Keys: made, rotated, revoked; never changed and never shown again."""

    never_deleted = "Revoke it instead, on its page: it ends at once and stays on the record."
    form = ApiKeyForm
    list_select_related = ("agent",)
    list_filter = (OfAgent,)
    readonly_fields = ("starts_with", "ends", "created_at", "created_by", "last_used", "status")
    actions = ("rotate_selected", "revoke_selected")
    history = ("apikey.changed", "about", "public_id")

    def get_list_display(self, request: HttpRequest) -> list[Any]:
        """The columns; of one agent's keys nobody asks whose they are."""
        agent = [] if "agent" in request.GET else ["agent"]
        return ["name", "starts_with", *agent, "environment", "status", "last_used", "ends"]

    def has_change_permission(self, request: HttpRequest, obj: Any = None) -> bool:
        """The list and its actions; a key itself does not change."""
        return obj is None and super().has_change_permission(request, obj)

    def get_fields(self, request: HttpRequest, obj: ApiKey | None = None) -> Any:
        """What a new key is asked for; of one that is there, all that is known."""
        if obj is None:
            return ["name", "agent", "environment", "scopes", "expires", "last_day"]
        known = ["name", "starts_with", "status", "agent", "environment", "scopes"]
        return [*known, "ends", "created_at", "created_by", "last_used"]

    def get_form(self, request: HttpRequest, obj: ApiKey | None = None, change: bool = False, **kwargs: Any) -> Any:
        """The form, which knows whose agents it offers."""
        form = super().get_form(request, obj, change, **kwargs)
        form.acting_member = request.member  # type: ignore[attr-defined]
        return form

    @admin.display(description="Starts with", ordering="public_id")
    def starts_with(self, key: ApiKey) -> str:
        """The part of the token that is no secret: by it people find the key in their settings."""
        return mono(key.prefix)

    @admin.display(description="Expires", ordering="expires_at")
    def ends(self, key: ApiKey) -> str:
        """When it ends by itself."""
        return _time_or_never(key.expires_at)

    @admin.display(description="Last used", ordering="last_used_at")
    def last_used(self, key: ApiKey) -> str:
        """When something last asked with it."""
        return _time_or_never(key.last_used_at)

    @admin.display(description="Status")
    def status(self, key: ApiKey) -> str:
        """Active, expired or revoked, now."""
        if key.revoked_at is not None:
            return "Revoked"
        return "Active" if key.is_usable(now=timezone.now()) else "Expired"

    def save_model(self, request: HttpRequest, obj: ApiKey, form: Any, change: bool) -> None:
        """Issue the key and show its token, this once."""
        data = form.cleaned_data
        issued = keys.issue(
            request.tenant.pk,  # type: ignore[attr-defined]
            name=data["name"],
            agent=data["agent"],
            scopes=tuple(data["scopes"]),
            environment=data["environment"],
            expires_at=data["expires_at"],
            acting_member=request.member,  # type: ignore[attr-defined]
        )
        obj.pk = issued.key.pk
        obj.tenant_id, obj.public_id = issued.key.tenant_id, issued.key.public_id
        self._keep(request, [issued])

    def get_urls(self) -> list[URLPattern]:
        """The page that shows new keys once, and those that replace and end a key, beside Django's own."""
        view = self.admin_site.admin_view
        return [
            path("issued/", view(self.issued_view), name="tenants_apikey_issued"),
            path("<uuid:pk>/rotate/", view(self.rotate_view), name="tenants_apikey_rotate"),
            path("<uuid:pk>/revoke/", view(self.revoke_view), name="tenants_apikey_revoke"),
            *super().get_urls(),
        ]

    def change_view(
        self, request: HttpRequest, object_id: str, form_url: str = "", extra_context: Any = None
    ) -> HttpResponse:
        """The key, with the ways to replace and to end it."""
        key = self.get_object(request, object_id)
        may = self.has_add_permission(request)
        is_usable = key is not None and key.is_usable(now=timezone.now())
        extra = {"may_rotate": may and is_usable, "may_revoke": may, **(extra_context or {})}
        return super().change_view(request, object_id, form_url, extra)

    def add_view(self, request: HttpRequest, form_url: str = "", extra_context: Any = None) -> HttpResponse:
        """The form; one way to save, as the token comes next."""
        one_way = {"show_save_and_add_another": False, "show_save_and_continue": False}
        return super().add_view(request, form_url, {**one_way, **(extra_context or {})})

    def response_add(self, request: HttpRequest, obj: ApiKey, post_url_continue: str | None = None) -> HttpResponse:
        """On to the page with the token."""
        return redirect("admin:tenants_apikey_issued")

    def issued_view(self, request: HttpRequest) -> HttpResponse:
        """The new keys, this once: showing them removes them from the session, so a reload shows and makes none."""
        issued = request.session.pop(ISSUED, [])
        context = {
            **self.admin_site.each_context(request),
            "opts": self.opts,
            "title": "Copy the key now",
            "issued": issued,
        }
        response = TemplateResponse(request, "admin/tenants/apikey/issued.html", context)
        response["Cache-Control"] = "no-store"
        return response

    def _keep(self, request: HttpRequest, issued: list[keys.IssuedKey]) -> None:
        request.session[ISSUED] = [
            {"name": item.key.name, "token": item.token, "replaces": item.key.replaces_id is not None}
            for item in issued
        ]

    @admin.action(description="Rotate: new key now, old one works 24 hours more", permissions=["add"])
    def rotate_selected(self, request: HttpRequest, queryset: QuerySet[ApiKey]) -> HttpResponse | None:
        """A successor for each selected key."""
        issued = []
        for key in queryset:
            try:
                issued.append(keys.rotate(key, acting_member=request.member, now=timezone.now()))  # type: ignore[attr-defined]
            except DomainError as error:
                self.message_user(request, f"{key.name}: {error.sentence}", messages.ERROR)
        if not issued:
            return None
        self._keep(request, issued)
        return redirect("admin:tenants_apikey_issued")

    @admin.action(description="Revoke…", permissions=["add"])
    def revoke_selected(self, request: HttpRequest, queryset: QuerySet[ApiKey]) -> HttpResponse | None:
        """What ends with the selected keys, and the button, which comes back here."""
        if "post" in request.POST:
            self._revoke(request, queryset)
            return None
        active = [key for key in queryset if key.revoked_at is None]
        if active:
            return self._revoke_page(request, active, is_selection=True)
        self.message_user(request, "Already revoked: nothing was changed.", messages.INFO)
        return None

    def rotate_view(self, request: HttpRequest, pk: UUID) -> HttpResponse:
        """What the new key will be and how long the old one goes on, and the button; then the new one, once."""
        if not self.has_add_permission(request):
            raise PermissionDenied
        key = self.get_queryset(request).select_related("agent").filter(pk=pk).first()
        if key is None:
            raise Http404
        now = timezone.now()
        if not key.is_usable(now=now):
            return redirect("admin:tenants_apikey_change", key.pk)
        if request.method == "POST":
            self._keep(request, [keys.rotate(key, acting_member=request.member, now=now)])  # type: ignore[attr-defined]
            return redirect("admin:tenants_apikey_issued")
        context = {
            **self.admin_site.each_context(request),
            "opts": self.opts,
            "title": f"Rotate key {key.name}",
            "key": key,
            "lives_days": (key.expires_at - key.created_at).days if key.expires_at else None,
        }
        return TemplateResponse(request, "admin/tenants/apikey/rotate.html", context)

    def revoke_view(self, request: HttpRequest, pk: UUID) -> HttpResponse:
        """What ends with the key, and the button; the page of a revoked one says since when."""
        if not self.has_add_permission(request):
            raise PermissionDenied
        key = self.get_queryset(request).select_related("agent").filter(pk=pk).first()
        if key is None:
            raise Http404
        if request.method == "POST":
            self._revoke(request, [key])
        elif key.revoked_at is None:
            return self._revoke_page(request, [key], is_selection=False)
        return redirect("admin:tenants_apikey_change", key.pk)

    def _revoke(self, request: HttpRequest, selected: Iterable[ApiKey]) -> None:
        acting: Member = request.member  # type: ignore[attr-defined]
        now = timezone.now()
        ended = [key.name for key in selected if keys.revoke(key, acting_member=acting, now=now)]
        if ended:
            said = f"Revoked: {', '.join(ended)}. Requests with a revoked key are refused."
            self.message_user(request, said, messages.SUCCESS)

    def _revoke_page(self, request: HttpRequest, ending: Sequence[ApiKey], *, is_selection: bool) -> HttpResponse:
        now, going = timezone.now(), {key.pk for key in ending}
        working = [key for key in self.get_queryset(request) if key.pk not in going and key.is_usable(now=now)]
        context = {
            **self.admin_site.each_context(request),
            "opts": self.opts,
            "title": f"Revoke key {ending[0].name}" if len(ending) == 1 else f"Revoke {len(ending)} keys",
            "endings": [Ending(key, sum(other.agent_id == key.agent_id for other in working)) for key in ending],
            "is_selection": is_selection,
        }
        return TemplateResponse(request, "admin/tenants/apikey/revoke.html", context)
