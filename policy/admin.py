"""Django admin for the policy: edit the draft, publish it, roll back, flip. Saves through the write functions."""

from __future__ import annotations

from typing import Any
from uuid import UUID

from django.contrib import admin, messages
from django.core.exceptions import PermissionDenied
from django.db.models import BooleanField, ExpressionWrapper, Q, QuerySet, Value
from django.http import Http404, HttpRequest, HttpResponse
from django.shortcuts import redirect
from django.template.response import TemplateResponse
from django.urls import URLPattern, path, reverse
from django.utils import timezone
from django.utils.html import format_html

from audit.errors import DomainError
from policy import catalog, difference, drafts, modes, revisions, snapshot
from policy.defaults_in_words import defaults_of
from policy.errors import InvalidRule
from policy.forms import ActionForm, DefaultsForm, PublishForm, ReasonForm
from policy.models import Action, Mode, PolicyState, Revision, Rule
from policy.modes_in_words import ModesInWords, action_modes, mode_words
from tenants import stepup
from tenants.admin import TenantAdmin, column, mono
from tenants.errors import StepUpNeeded
from tenants.isolation import rows_of
from tenants.models import Member


def tenant_id_of(request: HttpRequest) -> UUID:
    """The tenant of the signed-in member."""
    tenant_id: UUID = request.tenant.pk  # type: ignore[attr-defined]  # set by TenantMiddleware
    return tenant_id


def member_of(request: HttpRequest) -> Member:
    """The signed-in member."""
    member: Member = request.member  # type: ignore[attr-defined]  # set by TenantMiddleware
    return member


def diff_in_words(before: str | None, after: str) -> difference.Overview:
    """The difference of two snapshots, for a page."""
    return difference.overview(difference.difference(snapshot.diff(before, after)))


def require_permission(request: HttpRequest, permission: str) -> None:
    """Raise PermissionDenied unless the member has it."""
    if not request.user.has_perm(permission):
        raise PermissionDenied


class DraftAdmin(TenantAdmin):
    """A part of the draft: who may change it may delete it."""

    def get_form(self, request: HttpRequest, obj: Any = None, change: bool = False, **kwargs: Any) -> Any:
        """The form, told whose rows it checks against."""
        form: Any = super().get_form(request, obj, change=change, **kwargs)  # made for this request alone
        form.tenant_id, form.acting = tenant_id_of(request), member_of(request)
        form.refusal = getattr(request, "guardsite_refusal", None)
        return form

    def changeform_view(
        self,
        request: HttpRequest,
        object_id: str | None = None,
        form_url: str = "",
        extra_context: dict[str, Any] | None = None,
    ) -> Any:
        """The form; what the write function refuses is an error of its field, and nothing that was typed is lost."""
        extra_context = {"saves_draft": True, **(extra_context or {})}
        try:
            return super().changeform_view(request, object_id, form_url, extra_context)
        except InvalidRule as refusal:
            request.guardsite_refusal = refusal  # type: ignore[attr-defined]  # read by get_form above
            return super().changeform_view(request, object_id, form_url, extra_context)

    def has_delete_permission(self, request: HttpRequest, obj: Any = None) -> bool:
        """Whoever edits the draft."""
        return request.user.has_perm("policy.change_rule")

    def history_also(self) -> str:
        """Edits of the draft alone read as if the thing never went live. Who may see a rule may see the revisions."""
        return format_html(
            'These are edits of the draft. What went live, and when, stands in <a href="{}">the revisions</a>.',
            reverse("admin:policy_revision_changelist"),
        )

    def delete_queryset(self, request: HttpRequest, queryset: QuerySet[Any]) -> None:
        """One by one, each with its entry."""
        for row in queryset:
            self.delete_model(request, row)


@admin.register(Action)
class ActionAdmin(DraftAdmin):
    """Mapped actions, and those that were called and are not mapped."""

    form = ActionForm
    about = "An action is something that agents may ask for, such as email.send. Mapped, it gets a name and a schema."
    search_fields = ("action_id", "title")
    search_help_text = "Id, or words of the title"
    history = ("action.changed", "action_id", "action_id")

    def get_list_display(self, request: HttpRequest) -> list[Any]:
        """The columns; the modes are read once for the page."""
        return ["title", "id_of", "floor", column("Mode", ModesInWords(tenant_id_of(request)).of_action)]

    def get_fields(self, request: HttpRequest, obj: Action | None = None) -> Any:
        """Mode and its reason only for a new action where the tenant enforces."""
        fields = ["action_id", "title", "schema", "tier_floor", "undo_text"]
        if obj is not None:
            fields.append("mode_now")
        elif rows_of(PolicyState, tenant_id_of(request)).get().default_mode == Mode.ENFORCE:
            fields += ["mode", "mode_reason"]
        return fields

    def get_readonly_fields(self, request: HttpRequest, obj: Action | None = None) -> tuple[str, ...]:
        """The id is what agents say."""
        return ("action_id", "mode_now") if obj else ()

    @admin.display(description="Mode")
    def mode_now(self, action: Action) -> str:
        """What it does now, whose mode that is, and where it is set."""
        state = rows_of(PolicyState, action.tenant_id).get()
        words = (
            f"{mode_words(action.mode_override, action.percent)}, this action alone"
            if action.mode_override
            else f"{mode_words(state.default_mode, state.percent)}, as every action without a mode of its own"
        )
        address = reverse("admin:policy_policystate_changelist")
        return format_html('{}. Set under <a href="{}">Mode and defaults</a>.', words.capitalize(), address)

    @admin.display(description="Id", ordering="action_id")
    def id_of(self, action: Action) -> str:
        """As agents and rules name it."""
        return mono(action.action_id)

    @admin.display(description="Tier floor", ordering="tier_floor")
    def floor(self, action: Action) -> str:
        """The least tier, or that there is none."""
        return str(action.tier_floor or "none")

    def changelist_view(self, request: HttpRequest, extra_context: Any = None) -> HttpResponse:
        """The list, with the actions that nobody mapped."""
        unmapped = catalog.unmapped_actions(tenant_id_of(request))
        return super().changelist_view(request, {**(extra_context or {}), "unmapped": unmapped})

    def save_model(self, request: HttpRequest, obj: Action, form: ActionForm, change: bool) -> None:
        """Map or change the action."""
        data = form.cleaned_data
        drafts.save_action(
            tenant_id_of(request),
            acting=member_of(request),
            action=obj,
            mode=data.get("mode") or None,
            reason=data.get("mode_reason", ""),
        )

    def delete_consequence(self, obj: Action) -> str:
        """Unmapped once published; a mode of its own stands in the way."""
        if obj.mode_override:
            return "This action has a mode of its own. Return it to the tenant's mode first: until then it stays."
        return (
            "The action, its schema and its tier floor are removed from the draft. What is live stays until the next "
            "publish. From then on calls of it get what the defaults say of actions that nobody listed. Rules and cards "
            "for it stay."
        )

    def delete_model(self, request: HttpRequest, obj: Action) -> None:
        """Unmap it in the draft."""
        drafts.delete_action(tenant_id_of(request), acting=member_of(request), action=obj)


@admin.register(Revision)
class RevisionAdmin(TenantAdmin):
    """Published revisions: read, compared, rolled back to. Nobody changes one."""

    never_added = "Publishing the draft makes the next one."
    never_changed = "What was published stays as it was. Change the draft and publish a new one."
    never_deleted = "Each stays on the record. Publish a new one, or roll back to an earlier one."
    history = ("revision.published", "about", "pk")
    list_display = ("number", "is_live", "published_at", "published_by_name", "reason", "short_hash")
    fields = ("number", "sha256", "published_at", "published_by_name", "reason", "notes")
    readonly_fields = fields

    def has_add_permission(self, request: HttpRequest) -> bool:
        """Publishing makes revisions."""
        return False

    def has_change_permission(self, request: HttpRequest, obj: Any = None) -> bool:
        """Never."""
        return False

    def get_queryset(self, request: HttpRequest) -> QuerySet[Any]:
        """The tenant's revisions; the list does not read their text."""
        live_id = rows_of(PolicyState, tenant_id_of(request)).values_list("live_id", flat=True).first()
        live = ExpressionWrapper(Q(pk=live_id), output_field=BooleanField()) if live_id else Value(False)
        revisions_here: QuerySet[Any] = super().get_queryset(request).annotate(live_now=live)
        return revisions_here

    @admin.display(description="Live", boolean=True)
    def is_live(self, revision: Any) -> bool:
        """Whether it decides now."""
        return bool(revision.live_now)

    @admin.display(description="SHA-256")
    def short_hash(self, revision: Revision) -> str:
        """The first 12 digits."""
        return revision.sha256[:12]

    def get_urls(self) -> list[URLPattern]:
        """Publish and roll back, before the catch-all of the detail page."""
        view = self.admin_site.admin_view
        return [
            path("publish/", view(self.publish_view), name="policy_revision_publish"),
            path("<uuid:pk>/rollback/", view(self.roll_back_view), name="policy_revision_rollback"),
            *super().get_urls(),
        ]

    def change_view(
        self, request: HttpRequest, object_id: str, form_url: str = "", extra_context: Any = None
    ) -> HttpResponse:
        """The revision with its difference from the one before."""
        revision = self.get_object(request, object_id)
        extra = dict(extra_context or {})
        if revision is not None:
            previous = rows_of(Revision, tenant_id_of(request)).filter(number__lt=revision.number).first()
            extra |= {
                "changes": diff_in_words(previous.snapshot if previous else None, revision.snapshot),
                "previous": previous,
                "is_live": revision.live_now,
                "live": rows_of(PolicyState, tenant_id_of(request)).select_related("live").get().live,
                "title": str(revision),
                "subtitle": None,
            }
        return super().change_view(request, object_id, form_url, extra)

    def publish_view(self, request: HttpRequest) -> HttpResponse:
        """The difference, the problems, a reason, the button."""
        require_permission(request, revisions.PUBLISH)
        tenant_id = tenant_id_of(request)
        content, sha256 = revisions.draft_snapshot(tenant_id)
        now = timezone.now()
        kept = None if request.method == "POST" else stepup.kept_draft(request, now=now)
        form = PublishForm(
            request.POST if request.method == "POST" else None,
            # The difference below is the draft of now: a hash that was kept would vouch for another.
            initial={**(kept.dict() if kept else {}), "sha256": sha256},
        )
        refusal = None
        problems = revisions.draft_problems(tenant_id)
        if not any(problem.sentence == revisions.UNTESTED for problem in problems):
            del form.fields["accept_untested"]
        if form.is_valid():
            try:
                revision = revisions.publish(
                    tenant_id,
                    acting=member_of(request),
                    reason=form.cleaned_data["reason"],
                    evidence=stepup.evidence_of(request),
                    accept_untested=form.cleaned_data.get("accept_untested", False),
                    expected_sha256=form.cleaned_data["sha256"],
                    now=now,
                )
            except StepUpNeeded:
                return stepup.ask_again(request, now=now)
            except DomainError as error:
                refusal = error
                # The next try is for the draft that this page shows; what was typed stays.
                form = PublishForm(initial={**form.cleaned_data, "sha256": sha256})
            else:
                self.message_user(request, f"Revision {revision.number} is live.", messages.SUCCESS)
                return redirect("admin:policy_revision_change", revision.pk)
        live = rows_of(PolicyState, tenant_id).select_related("live").get().live
        rules = dict(rows_of(Rule, tenant_id).values_list("slug", "pk"))
        context = {
            "title": "Publish the draft",
            "form": form,
            "live": live,
            "changes": diff_in_words(live.snapshot if live else None, content),
            "problems": [(problem, rules.get(problem.rule_id)) for problem in problems],
            "notices": [(notice, rules.get(notice.rule_id)) for notice in drafts.draft_notices(tenant_id)],
            "refusal": refusal,
        }
        return self._page(request, "admin/policy/revision/publish.html", context, form, refusal)

    def roll_back_view(self, request: HttpRequest, pk: UUID) -> HttpResponse:
        """What changes back, a reason, the button."""
        require_permission(request, revisions.PUBLISH)
        tenant_id = tenant_id_of(request)
        revision = rows_of(Revision, tenant_id).filter(pk=pk).first()
        if revision is None:
            raise Http404
        now = timezone.now()
        kept = None if request.method == "POST" else stepup.kept_draft(request, now=now)
        form = ReasonForm(request.POST if request.method == "POST" else None, initial=kept.dict() if kept else None)
        refusal = None
        if form.is_valid():
            try:
                revisions.roll_back(
                    tenant_id,
                    acting=member_of(request),
                    number=revision.number,
                    reason=form.cleaned_data["reason"],
                    evidence=stepup.evidence_of(request),
                    now=now,
                )
            except StepUpNeeded:
                return stepup.ask_again(request, now=now)
            except DomainError as error:
                refusal = error
            else:
                self.message_user(request, f"Revision {revision.number} is live again.", messages.SUCCESS)
                return redirect("admin:policy_revision_changelist")
        live = rows_of(PolicyState, tenant_id).select_related("live").get().live
        context = {
            "title": f"Roll back to revision {revision.number}",
            "form": form,
            "live": live,
            "revision": revision,
            "changes": diff_in_words(live.snapshot if live else None, revision.snapshot),
            "refusal": refusal,
        }
        return self._page(request, "admin/policy/revision/rollback.html", context, form, refusal)

    def _page(
        self, request: HttpRequest, template: str, context: dict[str, Any], form: Any, refusal: DomainError | None
    ) -> HttpResponse:
        context = {**self.admin_site.each_context(request), "opts": self.opts, **context}
        status = refusal.status if refusal else 422 if form.is_bound and not form.is_valid() else 200
        return TemplateResponse(request, template, context, status=status)


@admin.register(PolicyState)
class PolicyStateAdmin(TenantAdmin):
    """Mode of the tenant and of each action, and the defaults."""

    never_added = never_deleted = "They are there from the start. Change them instead."
    form = DefaultsForm
    fields = DefaultsForm.Meta.fields

    def has_add_permission(self, request: HttpRequest) -> bool:
        """One row, made with the tenant."""
        return False

    def has_change_permission(self, request: HttpRequest, obj: Any = None) -> bool:
        """Whoever publishes: the defaults are part of what is published."""
        return request.user.has_perm(revisions.PUBLISH)

    def get_urls(self) -> list[URLPattern]:
        """The flip, before the catch-all of the detail page."""
        view = self.admin_site.admin_view(self.flip_view)
        return [path("flip/", view, name="policy_policystate_flip"), *super().get_urls()]

    def changelist_view(self, request: HttpRequest, extra_context: Any = None) -> HttpResponse:
        """One page instead of a list of one."""
        if not self.has_view_permission(request):
            raise PermissionDenied
        tenant_id = tenant_id_of(request)
        state = rows_of(PolicyState, tenant_id).select_related("live").get()
        actions = action_modes(tenant_id)
        context = {
            **self.admin_site.each_context(request),
            "opts": self.opts,
            "title": "Mode and defaults",
            "state": state,
            "mode": mode_words(state.default_mode, state.percent),
            "own": [row for row in actions if row.mode],
            "inherited": [row for row in actions if not row.mode],
            "defaults": defaults_of(state),
        }
        return TemplateResponse(request, "admin/policy/policystate/overview.html", context)

    def save_model(self, request: HttpRequest, obj: PolicyState, form: Any, change: bool) -> None:
        """Save the defaults."""
        drafts.save_defaults(tenant_id_of(request), acting=member_of(request), state=obj)

    def flip_view(self, request: HttpRequest) -> HttpResponse:
        """The flip has a page of its own, with the readiness report beside it."""
        require_permission(request, modes.CHANGE_MODE)
        return redirect(f"{reverse('policy:flip')}?{request.GET.urlencode()}".rstrip("?"))


# Each registers its own models and builds on DraftAdmin, so they come last.
from policy import admin_lists, admin_packs, admin_rules  # noqa: E402, F401
