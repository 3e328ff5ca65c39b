"""Django admin for people, agents and keys. Saves through the write functions; a key's token is shown once."""

from __future__ import annotations

from datetime import datetime
from typing import Any

from django import forms
from django.contrib import admin, messages
from django.contrib.admin.widgets import AdminSplitDateTime
from django.db.models import Q, QuerySet
from django.http import HttpRequest, HttpResponse
from django.shortcuts import redirect
from django.template.response import TemplateResponse
from django.urls import URLPattern, path
from django.utils import timezone

from audit.errors import DomainError
from tenants import agents, keys, members, teams
from tenants.errors import InvalidMember
from tenants.isolation import rows_of
from tenants.members import check_new_member, check_roles
from tenants.models import Agent, ApiKey, Member, Team
from tenants.roles import ROLE_LABELS, Role

# New keys wait in the session for the one page that shows them.
ISSUED = "issued_api_keys"


class TenantAdmin(admin.ModelAdmin):  # type: ignore[type-arg]  # generic over several models
    """Shows and saves rows of the request's tenant alone."""

    def formfield_for_dbfield(self, db_field: Any, request: HttpRequest, **kwargs: Any) -> Any:
        """Django's field; the two halves of a moment get a name each, for whoever hears the form."""
        field = super().formfield_for_dbfield(db_field, request, **kwargs)
        if field is not None and isinstance(field.widget, AdminSplitDateTime):
            for half, word in zip(field.widget.widgets, ("date", "time"), strict=True):
                half.attrs["aria-label"] = f"{field.label}, {word}"
        return field

    def get_queryset(self, request: HttpRequest) -> QuerySet[Any]:
        """The tenant's rows."""
        return rows_of(self.model, request.tenant.pk)  # type: ignore[attr-defined]

    def has_delete_permission(self, request: HttpRequest, obj: Any = None) -> bool:
        """Nobody: history refers to these rows."""
        return False


class MemberForm(forms.ModelForm):  # type: ignore[type-arg]  # not generic at run time
    """Roles as checkboxes; e-mail and name only when adding."""

    email = forms.EmailField(required=False)
    name = forms.CharField(max_length=120, required=False)
    password = forms.CharField(
        widget=forms.PasswordInput(render_value=False, attrs={"autocomplete": "new-password"}),
        required=False,
        help_text="For a new person: at least 12 characters. Ask them to change it under their name, Change password.",
    )
    roles = forms.MultipleChoiceField(
        choices=[(role.value, ROLE_LABELS[role]) for role in Role], widget=forms.CheckboxSelectMultiple
    )

    class Meta:
        model = Member
        fields = ("roles", "is_active")

    acting_member: Member

    def clean(self) -> dict[str, Any]:
        """Every refusal of the write functions, at its field."""
        data = super().clean() or {}
        is_new = self.instance._state.adding  # noqa: SLF001  # Django documents it
        if is_new:
            for field in ("email", "name", "password"):
                if not data.get(field) and field not in self.errors:
                    self.add_error(field, "Fill this in for a new member.")
        if self.errors:
            return data
        try:
            if is_new:
                check_new_member(self.acting_member.tenant, email=data["email"], password=data["password"])
            else:
                check_roles(self.instance, roles=data["roles"], is_active=data["is_active"])
        except InvalidMember as error:
            self.add_error(str(error.details["field"]), error.sentence)
        return data


@admin.register(Member)
class MemberAdmin(TenantAdmin):
    """Who is here, and with which roles."""

    form = MemberForm
    list_display = ("display_name", "email", "roles_in_words", "is_active")

    def get_fields(self, request: HttpRequest, obj: Member | None = None) -> Any:
        """A person's own data is theirs: an owner changes roles only."""
        return ["roles", "is_active"] if obj else ["email", "name", "password", "roles"]

    def get_form(self, request: HttpRequest, obj: Member | None = None, change: bool = False, **kwargs: Any) -> Any:
        """The form, which knows whose tenant it is for."""
        form = super().get_form(request, obj, change, **kwargs)
        form.acting_member = request.member  # type: ignore[attr-defined]
        return form

    @admin.display(description="E-mail")
    def email(self, member: Member) -> str:
        """The address they sign in with."""
        return member.user.email

    @admin.display(description="Roles")
    def roles_in_words(self, member: Member) -> str:
        """The roles, spelled out."""
        return ", ".join(member.role_labels)

    def save_model(self, request: HttpRequest, obj: Member, form: MemberForm, change: bool) -> None:
        """Add or change through `tenants.members`; a refusal is shown and nothing is saved."""
        acting: Member = request.member  # type: ignore[attr-defined]
        data = form.cleaned_data
        if change:
            members.change_roles(
                Member.objects.get(pk=obj.pk),
                roles=data["roles"],
                is_active=data["is_active"],
                acting_member=acting,
            )
            return
        added = members.add_member(
            acting.tenant,
            email=data["email"],
            name=data["name"],
            roles=data["roles"],
            password=data["password"],
            acting_member=acting,
        )
        obj.pk = added.pk
        obj.tenant, obj.user = added.tenant, added.user


@admin.register(Agent)
class AgentAdmin(TenantAdmin):
    """Agents that ask."""

    list_display = ("name", "slug", "version", "owner")
    fields = ("slug", "name", "version", "owner", "tags", "reviews_per_hour")

    def formfield_for_foreignkey(self, db_field: Any, request: HttpRequest, **kwargs: Any) -> Any:
        """Owners are members of this tenant."""
        if db_field.name == "owner":
            kwargs["queryset"] = rows_of(Member, request.tenant.pk).select_related("user")  # type: ignore[attr-defined]
        return super().formfield_for_foreignkey(db_field, request, **kwargs)

    def save_model(self, request: HttpRequest, obj: Agent, form: Any, change: bool) -> None:
        """Save through `tenants.agents`."""
        agents.save_agent(request.member, obj)  # type: ignore[attr-defined]

    def get_readonly_fields(self, request: HttpRequest, obj: Agent | None = None) -> tuple[str, ...]:
        """Who may not set up the desk does not say how much of it an agent may take."""
        return () if request.user.has_perm(agents.CHANGE_LIMIT) else ("reviews_per_hour",)


class TeamForm(forms.ModelForm):  # type: ignore[type-arg]  # not generic at run time
    """A team; its people as checkboxes."""

    people = forms.ModelMultipleChoiceField(
        queryset=Member.objects.none(), required=False, widget=forms.CheckboxSelectMultiple, label="Members"
    )

    class Meta:
        model = Team
        fields = ("name", "slug")

    acting_member: Member

    def __init__(self, *args: Any, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        tenant_id = self.acting_member.tenant_id
        field = self.fields.get("people")
        if not isinstance(field, forms.ModelMultipleChoiceField):  # somebody who may only look
            return
        here = rows_of(Member, tenant_id).select_related("user").order_by("user__name")
        if self.instance._state.adding:  # noqa: SLF001  # Django documents it
            field.queryset = here.filter(is_active=True)
        else:
            field.queryset = here.filter(Q(is_active=True) | Q(team_memberships__team=self.instance)).distinct()
            self.initial["people"] = list(self.instance.members.values_list("pk", flat=True))

    def clean_slug(self) -> str:
        """The id, unused in this tenant."""
        slug: str = self.cleaned_data["slug"]
        if rows_of(Team, self.acting_member.tenant_id).filter(slug=slug).exclude(pk=self.instance.pk).exists():
            raise forms.ValidationError("Another team has this id.")
        return slug


@admin.register(Team)
class TeamAdmin(TenantAdmin):
    """Teams that rules route calls to. Leads look, owners change."""

    form = TeamForm
    list_display = ("name", "slug", "who")

    def get_fields(self, request: HttpRequest, obj: Team | None = None) -> Any:
        """People as checkboxes, or as names for who may only look."""
        may_change = self.has_change_permission(request, obj)
        return ["name", "slug", "people"] if may_change else ["name", "slug", "who"]

    def get_readonly_fields(self, request: HttpRequest, obj: Team | None = None) -> tuple[str, ...]:
        """Rules name the id."""
        return ("slug", "who") if obj else ()

    def get_form(self, request: HttpRequest, obj: Team | None = None, change: bool = False, **kwargs: Any) -> Any:
        """The form, which knows whose tenant it is for."""
        form = super().get_form(request, obj, change, **kwargs)
        form.acting_member = request.member  # type: ignore[attr-defined]
        return form

    def get_queryset(self, request: HttpRequest) -> QuerySet[Any]:
        """The tenant's teams with their people."""
        found: QuerySet[Any] = super().get_queryset(request).prefetch_related("members__user")
        return found

    @admin.display(description="Members")
    def who(self, team: Team) -> str:
        """Their names."""
        return ", ".join(sorted(member.display_name for member in team.members.all())) or "nobody yet"

    def has_delete_permission(self, request: HttpRequest, obj: Any = None) -> bool:
        """Whoever changes teams: the log keeps who was in one."""
        return self.has_change_permission(request, obj)

    def save_model(self, request: HttpRequest, obj: Team, form: TeamForm, change: bool) -> None:
        """Save through `tenants.teams`."""
        saved = teams.save_team(
            request.member,  # type: ignore[attr-defined]
            slug=obj.slug,
            name=obj.name,
            members=[member.pk for member in form.cleaned_data["people"]],
            team_id=obj.pk if change else None,
        )
        obj.pk, obj.tenant_id = saved.pk, saved.tenant_id

    def delete_model(self, request: HttpRequest, obj: Team) -> None:
        """Delete through `tenants.teams`."""
        teams.delete_team(request.member, obj.pk)  # type: ignore[attr-defined]

    def delete_queryset(self, request: HttpRequest, queryset: QuerySet[Any]) -> None:
        """One by one, each with its entry."""
        for team in queryset:
            self.delete_model(request, team)


class ApiKeyForm(forms.ModelForm):  # type: ignore[type-arg]  # not generic at run time
    """What a new key may do."""

    scopes = forms.MultipleChoiceField(
        choices=[(scope, scope) for scope in keys.SCOPES],
        widget=forms.CheckboxSelectMultiple,
        initial=["evaluate", "reviews"],
    )

    class Meta:
        model = ApiKey
        fields = ("name", "agent", "environment", "scopes", "expires_at")

    def clean_expires_at(self) -> datetime | None:
        """A time to come, or none."""
        expires_at: datetime | None = self.cleaned_data["expires_at"]
        if expires_at is not None and expires_at <= timezone.now():
            raise forms.ValidationError("This is in the past: the key would never work.")
        return expires_at


@admin.register(ApiKey)
class ApiKeyAdmin(TenantAdmin):
    """Keys: made, rotated, revoked; never changed and never shown again."""

    form = ApiKeyForm
    list_display = ("name", "public_id", "environment", "agent", "status", "last_used_at", "expires_at")
    actions = ("rotate_selected", "revoke_selected")

    def has_change_permission(self, request: HttpRequest, obj: Any = None) -> bool:
        """The list and its actions; a key itself does not change."""
        return obj is None and super().has_change_permission(request, obj)

    def formfield_for_foreignkey(self, db_field: Any, request: HttpRequest, **kwargs: Any) -> Any:
        """Agents of this tenant."""
        if db_field.name == "agent":
            kwargs["queryset"] = rows_of(Agent, request.tenant.pk)  # type: ignore[attr-defined]
        return super().formfield_for_foreignkey(db_field, request, **kwargs)

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
        """The page that shows new keys once, beside Django's own."""
        issued = path("issued/", self.admin_site.admin_view(self.issued_view), name="tenants_apikey_issued")
        return [issued, *super().get_urls()]

    def response_add(self, request: HttpRequest, obj: ApiKey, post_url_continue: str | None = None) -> HttpResponse:
        """On to the page with the token."""
        return redirect("admin:tenants_apikey_issued")

    def issued_view(self, request: HttpRequest) -> HttpResponse:
        """The new keys, this once: showing them removes them from the session, so a reload shows and makes none."""
        issued = request.session.pop(ISSUED, [])
        context = {**self.admin_site.each_context(request), "title": "Copy the key now", "issued": issued}
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

    @admin.action(description="Revoke now", permissions=["add"])
    def revoke_selected(self, request: HttpRequest, queryset: QuerySet[ApiKey]) -> None:
        """End each selected key."""
        for key in queryset:
            keys.revoke(key, acting_member=request.member, now=timezone.now())  # type: ignore[attr-defined]
        self.message_user(request, "Revoked. Requests with these keys are refused from now on.", messages.SUCCESS)
