"""Django admin for people, teams and agents, and what every admin of a tenant's rows shares; keys: `admin_keys`.

Saves through the write functions.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from django import forms
from django.contrib import admin
from django.contrib.admin.widgets import RelatedFieldWidgetWrapper
from django.db.models import Q, QuerySet
from django.http import HttpRequest, HttpResponse
from django.shortcuts import redirect
from django.template.response import TemplateResponse
from django.urls import reverse
from django.utils.html import format_html
from django.utils.http import urlencode

from tenants import agents, members, teams
from tenants.errors import InvalidMember
from tenants.isolation import rows_of
from tenants.members import check_new_member, check_roles
from tenants.models import Agent, Member, Team
from tenants.roles import ROLE_LABELS, Role


def mono(text: str) -> str:
    """An id in a list, told from the names beside it by its type."""
    return format_html('<span class="mono">{}</span>', text)


def column(description: str, value: Callable[[Any], Any], *, ordering: str | None = None) -> Callable[[Any], Any]:
    """A column of a list whose values need more than the row."""

    @admin.display(description=description, ordering=ordering)
    def shown(row: Any) -> Any:
        return value(row)

    shown.__name__ = f"column_{description.split(',')[0].split()[0].lower()}"
    return shown


class TenantAdmin(admin.ModelAdmin):  # type: ignore[type-arg]  # generic over several models
    """Shows and saves rows of the request's tenant alone.

    `never_added`, `never_changed` and `never_deleted`, where nobody may, say what to do instead; the page that refuses
    shows it. `about` says, on an empty list, what would stand there. `history` says which entries of the log are about
    a row: their kind (several with commas), the filter of the log that finds them, and the attribute of the row that it asks for.
    """

    never_added = never_changed = never_deleted = about = ""
    history: tuple[str, str, str] | None = None
    actions_on_top, actions_on_bottom = False, True
    show_facets = admin.ShowFacets.NEVER

    def formfield_for_dbfield(self, db_field: Any, request: HttpRequest, **kwargs: Any) -> Any:
        """Django's field, without the icons that open what it names: they are pale, and lose what was typed here."""
        field = super().formfield_for_dbfield(db_field, request, **kwargs)
        if field is not None and isinstance(field.widget, RelatedFieldWidgetWrapper):
            field.widget = field.widget.widget
        return field

    def get_action_choices(self, request: HttpRequest, default_choices: Any = (("", "choose"),)) -> Any:
        """What can be done with the ticked rows; the first choice is none."""
        return super().get_action_choices(request, list(default_choices))

    def history_view(self, request: HttpRequest, object_id: str, extra_context: Any = None) -> HttpResponse:
        """The row's entries in the log, where there are such, for who may read it."""
        page: HttpResponse = super().history_view(request, object_id, extra_context)
        if self.history and isinstance(page, TemplateResponse) and request.user.has_perm("audit.view_entry"):
            kind, name, attribute = self.history
            value = getattr((page.context_data or {})["object"], attribute)
            return redirect(f"{reverse('audit:list')}?{urlencode({'kind': kind, name: value})}")
        return page

    def history_also(self) -> str:
        """A further sentence on the page of a history, safe to show as it is: where else the thing's story stands."""
        return ""

    def get_queryset(self, request: HttpRequest) -> QuerySet[Any]:
        """The tenant's rows."""
        return rows_of(self.model, request.tenant.pk)  # type: ignore[attr-defined]

    def has_delete_permission(self, request: HttpRequest, obj: Any = None) -> bool:
        """Nobody: history refers to these rows."""
        return False

    def delete_consequence(self, obj: Any) -> str:
        """What stops working once `obj` is deleted and what stays, for the page that asks; the log is named there."""
        raise NotImplementedError("An admin that lets people delete says what it means.")

    def delete_warning(self, obj: Any) -> str:
        """What uses `obj` now and should not lose it unawares, for a notice on the same page; empty for nothing."""
        return ""

    def get_deleted_objects(self, objs: Any, request: HttpRequest) -> Any:
        """Each thing with consequence and warning instead of a tree of rows; who may and what hinders it as Django has it."""
        _, counts, perms_needed, protected = super().get_deleted_objects(objs, request)
        said = [(obj, self.delete_consequence(obj), self.delete_warning(obj)) for obj in objs]
        return said, counts, perms_needed, protected

    def render_delete_form(self, request: HttpRequest, context: dict[str, Any]) -> HttpResponse:
        """The question, by the name of the thing."""
        if not (context["protected"] or context["perms_lacking"]):
            context["title"] = f"Delete {context['object_name']} {context['object']}"
        return super().render_delete_form(request, context)


# Few words of what `tenants.roles` grants, for whoever gives a role.
ROLE_WORDS = {
    Role.OWNER: "does everything here, and alone publishes and manages people",
    Role.POLICY_AUTHOR: "writes rules and cards; an owner publishes them",
    Role.REVIEWER: "decides calls",
    Role.LEAD: "decides calls, runs the desk, reads the log",
    Role.AUDITOR: "reads all of it and exports the log; decides nothing",
    Role.DEVELOPER: "sets up agents and their keys; reads rules",
}


class MemberForm(forms.ModelForm):  # type: ignore[type-arg]  # not generic at run time
    """Roles as checkboxes; e-mail and name only when adding."""

    email = forms.EmailField(required=False, label="E-mail")
    name = forms.CharField(max_length=120, required=False)
    password = forms.CharField(
        widget=forms.PasswordInput(render_value=False, attrs={"autocomplete": "new-password"}),
        required=False,
        help_text="For a new person: at least 12 characters. Ask them to change it under their name, Change password.",
    )
    roles = forms.MultipleChoiceField(
        choices=[(role.value, f"{ROLE_LABELS[role]}: {ROLE_WORDS[role]}") for role in Role],
        widget=forms.CheckboxSelectMultiple,
    )

    class Meta:
        model = Member
        fields = ("roles", "is_active")
        labels = {"is_active": "Active"}  # noqa: RUF012  # Django reads it once

    acting_member: Member

    def __init__(self, *args: Any, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        for name in self.fields.keys() & {"email", "name", "password"}:
            self.fields[name].required = self.instance._state.adding  # noqa: SLF001  # Django documents it

    def clean(self) -> dict[str, Any]:
        """Every refusal of the write functions, at its field."""
        data = super().clean() or {}
        is_new = self.instance._state.adding  # noqa: SLF001  # as above
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
    list_select_related = ("user",)
    ordering = ("user__name",)
    history = ("member.changed", "about", "pk")
    never_deleted = "Take away the tick at Active instead: the log keeps who decided what."

    def get_fields(self, request: HttpRequest, obj: Member | None = None) -> Any:
        """A person's own data is theirs: an owner changes roles only."""
        return ["email", "roles", "is_active"] if obj else ["email", "name", "password", "roles"]

    def get_readonly_fields(self, request: HttpRequest, obj: Member | None = None) -> tuple[str, ...]:
        """Nobody changes their address here, or another's."""
        return ("email",) if obj else ()

    def get_list_display(self, request: HttpRequest) -> list[Any]:
        """The columns; one's own row says so."""
        me: Member = request.member  # type: ignore[attr-defined]

        def name(member: Member) -> str:
            if member != me:
                return member.display_name
            return format_html('{} <span class="quiet">(you)</span>', member.display_name)

        return [column("Name", name, ordering="user__name"), "email", "roles_in_words", "active"]

    def change_view(
        self, request: HttpRequest, object_id: str, form_url: str = "", extra_context: Any = None
    ) -> HttpResponse:
        """The member; whether it is oneself, and the only owner."""
        member = self.get_object(request, object_id)
        extra = dict(extra_context or {})
        if member is not None:
            me: Member = request.member  # type: ignore[attr-defined]
            extra |= {"is_me": member == me, "is_only_owner": members.is_only_owner(member)}
        return super().change_view(request, object_id, form_url, extra)

    def get_form(self, request: HttpRequest, obj: Member | None = None, change: bool = False, **kwargs: Any) -> Any:
        """The form, which knows whose tenant it is for."""
        form = super().get_form(request, obj, change, **kwargs)
        form.acting_member = request.member  # type: ignore[attr-defined]
        return form

    @admin.display(description="Active", ordering="is_active")
    def active(self, member: Member) -> str:
        """Whether they may sign in here."""
        return "Yes" if member.is_active else "No"

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


class AgentForm(forms.ModelForm):  # type: ignore[type-arg]  # not generic at run time
    """An agent; its words hold where the id is only shown, too."""

    class Meta:
        model = Agent
        fields = ("slug", "name", "version", "owner", "tags", "reviews_per_hour")
        labels = {"slug": "Id"}  # noqa: RUF012  # Django reads it once
        help_texts = {  # noqa: RUF012
            "slug": "Rules name it as agent.id, so it stays as it is once the agent is added.",
            "version": "Rules read it as agent.version.",
            "tags": "Separated by commas. Rules read them as agent.tags.",
        }


@admin.register(Agent)
class AgentAdmin(TenantAdmin):
    """Agents that ask."""

    form = AgentForm
    list_display = ("name", "id_of", "version", "owner")
    list_select_related = ("owner__user",)
    ordering = ("name",)
    fields = AgentForm.Meta.fields
    history = ("agent.changed", "about", "slug")
    never_deleted = "Revoke its keys under API keys, or pause it under Agents: the log keeps what it asked."

    @admin.display(description="Id", ordering="slug")
    def id_of(self, agent: Agent) -> str:
        """As rules name it."""
        return mono(agent.slug)

    def formfield_for_foreignkey(self, db_field: Any, request: HttpRequest, **kwargs: Any) -> Any:
        """Owners are members of this tenant."""
        if db_field.name == "owner":
            kwargs["queryset"] = rows_of(Member, request.tenant.pk).select_related("user")  # type: ignore[attr-defined]
        return super().formfield_for_foreignkey(db_field, request, **kwargs)

    def change_view(
        self, request: HttpRequest, object_id: str, form_url: str = "", extra_context: Any = None
    ) -> HttpResponse:
        """The agent, with what stops it and the ways to its keys and to pausing it."""
        agent = self.get_object(request, object_id)
        extra = {"stops": agents.stops_of(agent) if agent else [], **(extra_context or {})}
        return super().change_view(request, object_id, form_url, extra)

    def save_model(self, request: HttpRequest, obj: Agent, form: Any, change: bool) -> None:
        """Save through `tenants.agents`."""
        agents.save_agent(request.member, obj)  # type: ignore[attr-defined]

    def get_readonly_fields(self, request: HttpRequest, obj: Agent | None = None) -> tuple[str, ...]:
        """Rules name the id; who may not set up the desk does not say how much of it an agent may take."""
        limited = () if request.user.has_perm(agents.CHANGE_LIMIT) else ("reviews_per_hour",)
        return ("slug", *limited) if obj else limited


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
    list_display = ("name", "id_of", "who")
    history = ("team.changed", "about", "slug")

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

    @admin.display(description="Id", ordering="slug")
    def id_of(self, team: Team) -> str:
        """As rules name it."""
        return mono(team.slug)

    @admin.display(description="Members")
    def who(self, team: Team) -> str:
        """Their names."""
        return ", ".join(sorted(member.display_name for member in team.members.all())) or "nobody yet"

    def has_delete_permission(self, request: HttpRequest, obj: Any = None) -> bool:
        """Whoever changes teams: the log keeps who was in one."""
        return self.has_change_permission(request, obj)

    def delete_consequence(self, obj: Team) -> str:
        """Routing falls back to everybody; see `reviews/routing.py`."""
        people = len(obj.members.all())
        stay = f"Its {people} members stay members." if people != 1 else "Its one member stays a member."
        return (
            f"Calls that rules route to {obj.slug} can then be decided by everybody who reviews, waiting ones too, and "
            f"notices for the team reach nobody. {stay if people else ''}"
        ).rstrip()

    def delete_warning(self, obj: Team) -> str:
        """How many rules and waiting calls name it."""
        uses = teams.uses_of(obj.tenant_id, obj.slug)
        return f"{obj.name} is in use: {' and '.join(uses)}." if uses else ""

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


# It builds on TenantAdmin, so it comes last.
from tenants import admin_keys  # noqa: E402, F401
