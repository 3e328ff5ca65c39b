"""Django admin for rules: the list with what each rule did, and the editor with builder, tests and real calls."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from django.contrib import admin, messages
from django.http import HttpRequest, HttpResponse, HttpResponseRedirect
from django.urls import reverse
from django.utils import timezone
from django.utils.html import format_html, format_html_join
from django.utils.safestring import mark_safe

from audit.record import EntryDraft, record
from policy import drafts, revisions, snapshot
from policy.acting import actor
from policy.admin import DraftAdmin, member_of, tenant_id_of
from policy.explain import reads_as
from policy.models import PolicyState, Rule
from policy.modes_in_words import ModesInWords
from policy.names import Names, named
from policy.rule_form import RuleForm
from policy.usage import Usage, rule_usage
from tenants.admin import column
from tenants.isolation import rows_of

# Under so many verdicts a rate says nothing. Source: reviewer-experience.md section 9.
LEAST_FOR_A_RATE = 20


@admin.register(Rule)
class RuleAdmin(DraftAdmin):
    """The rules of the draft."""

    form = RuleForm
    about = "A rule says which calls are allowed, denied or held for a person. Without one, the defaults decide."
    search_fields = ("name", "slug", "condition", "scope_actions", "effect", "mode")
    search_help_text = "Name, action, words of the condition, or the effect"
    history = ("rule.changed", "rule", "slug")
    fieldsets = (
        ("Rule", {"fields": ("name", "scope_actions")}),
        ("When", {"fields": ("condition",)}),
        ("Then", {"fields": ("effect", "reason", "note")}),
        (
            "Review: tier, team, times",
            {
                "fields": (
                    *("tier", "team", "quorum", "due_in_seconds", "escalate_to", "expires_in_seconds"),
                    *("calendar", "out_of_hours", "hold_seconds", "suggest"),
                ),
                "classes": ("collapse",),
            },
        ),
        ("Tests", {"fields": ("tests",)}),
        (
            "More: id, mode, errors, order",
            {"fields": ("slug", "mode", "rollout", "on_error", "suppresses", "priority"), "classes": ("collapse",)},
        ),
    )

    def get_readonly_fields(self, request: HttpRequest, obj: Rule | None = None) -> tuple[str, ...]:
        """The id is stable."""
        return ("slug",) if obj else ()

    def get_form(self, request: HttpRequest, obj: Any = None, change: bool = False, **kwargs: Any) -> Any:
        """The form, told whether the member may see what calls carried."""
        form: Any = super().get_form(request, obj, change=change, **kwargs)
        form.may_see_values = request.user.has_perm("audit.read_disclosure")
        return form

    # The list.

    def get_list_display(self, request: HttpRequest) -> list[Any]:
        """The columns; the figures come from the log, read once for the page."""
        usage, names = _usage_of(request), Names(tenant_id_of(request))
        modes = ModesInWords(tenant_id_of(request))
        return [
            "name",
            column("Actions", lambda rule: _scope(rule, names), ordering="scope_actions"),
            "does",
            column("Mode", modes.of_rule, ordering="mode"),
            "in_words",
            column("Matches, 30 days", lambda rule: _matches(usage.get(rule.slug))),
            column("Approved", lambda rule: _approved(usage.get(rule.slug))),
            column("Failed", lambda rule: usage[rule.slug].errors if rule.slug in usage else 0),
        ]

    def get_sortable_by(self, request: HttpRequest) -> Any:
        """Whatever has an order: None, as the columns are others each time they are asked for."""
        return None

    @admin.display(description="Effect", ordering="effect")
    def does(self, rule: Rule) -> str:
        """The effect; of a hold its tier, too."""
        return f"{rule.effect}, tier {rule.tier}" if rule.effect == "review" and rule.tier else rule.effect

    @admin.display(description="When")
    def in_words(self, rule: Rule) -> str:
        """The condition in words; the column's name makes it a sentence."""
        return reads_as(rule.condition)

    def changelist_view(self, request: HttpRequest, extra_context: Any = None) -> HttpResponse:
        """The list, below what is live, what the draft changes, and the rules that fail."""
        tenant_id = tenant_id_of(request)
        extra = dict(extra_context or {})
        if self.has_view_permission(request):
            live = rows_of(PolicyState, tenant_id).select_related("live").get().live
            content, _ = revisions.draft_snapshot(tenant_id)
            changes = snapshot.diff(live.snapshot if live else None, content)
            names = dict(rows_of(Rule, tenant_id).values_list("slug", "name"))
            extra |= {
                "live": live,
                "changed": list(dict.fromkeys(change.what for change in changes)),
                "failing": [
                    {"id": rule_id, "name": names.get(rule_id, rule_id), "usage": usage}
                    for rule_id, usage in sorted(_usage_of(request).items())
                    if usage.errors
                ],
                "tuning": [
                    {"name": names[rule_id], "usage": usage}
                    for rule_id, usage in sorted(_usage_of(request).items())
                    if rule_id in names and (usage.is_nearly_always_approved or usage.is_often_severe)
                ],
            }
        return super().changelist_view(request, {"title": "Rules of the draft", **extra})

    # The editor.

    def get_changeform_initial_data(self, request: HttpRequest) -> dict[str, Any]:
        """`?scope_actions=` names the actions of a new rule, `?field=…&at_least=…` its first row. Most hold a call for a person."""
        initial: dict[str, Any] = super().get_changeform_initial_data(request)
        return {"effect": "review", **initial}

    def render_change_form(self, request: HttpRequest, context: Any, *args: Any, **kwargs: Any) -> HttpResponse:
        """Show what a check found; a check that found no mistake is no error."""
        form = context["adminform"].form
        if isinstance(form, RuleForm):
            context["rule_form"] = form if form.builder else None
            if form.is_bound and form.is_check_only:
                form.errors.pop("__all__", None)
                context["check"] = form
                if not form.errors:
                    context["errors"] = None
                self._note_what_was_seen(request, form)
        return super().render_change_form(request, context, *args, **kwargs)

    def _note_what_was_seen(self, request: HttpRequest, form: RuleForm) -> None:
        """Reasons show what calls carried: who looked is on the record."""
        if form.preview is None or not form.may_see_values or not form.preview.calls:
            return
        fields = {
            "rule": {"id": form.data.get("slug") or form.instance.slug or "draft"},
            "calls": len(form.preview.calls),
        }
        refs = [tried.uid for tried in form.preview.calls]
        record(tenant_id_of(request), EntryDraft("rule.tried", fields, actor(member_of(request)), refs=refs))

    def save_model(self, request: HttpRequest, obj: Rule, form: RuleForm, change: bool) -> None:
        """Save the draft rule; say what is worth a second look."""
        drafts.save_rule(tenant_id_of(request), acting=member_of(request), rule=obj)
        for notice in form.notices:
            self.message_user(request, f"{obj.name}: {notice}", messages.WARNING)
        for finding in form.warnings:
            self.message_user(request, f"{obj.name}: {finding}", messages.WARNING)
        for result in form.failed_tests:
            sentence = f"{obj.name}, test {result.name}: expected {result.expected}, got {result.actual}."
            self.message_user(request, sentence, messages.WARNING)
        if not change and obj.mode == Rule.RuleMode.OBSERVE and not form.data.get("mode"):
            sentence = "starts in observe, as an action in its scope enforces already. Its mode is under More."
            self.message_user(request, f"{obj.name} {sentence}", messages.INFO)
        self.message_user(request, "This is the draft. It acts once it is published.", messages.INFO)

    def response_add(self, request: HttpRequest, obj: Rule, post_url_continue: str | None = None) -> HttpResponse:
        """On to publishing, where that was asked for."""
        return _to_publish(request) or super().response_add(request, obj, post_url_continue)

    def response_change(self, request: HttpRequest, obj: Rule) -> HttpResponse:
        """On to publishing, where that was asked for."""
        return _to_publish(request) or super().response_change(request, obj)

    def delete_consequence(self, obj: Rule) -> str:
        """The live revision goes on."""
        return (
            "The rule and its tests are removed from the draft. What is live stays until the next publish. From then on "
            "a call that no other rule matches gets what the defaults say. Reviews that it holds stay in the queue."
        )

    def delete_model(self, request: HttpRequest, obj: Rule) -> None:
        """Delete from the draft."""
        drafts.delete_rule(tenant_id_of(request), acting=member_of(request), rule=obj)


def _to_publish(request: HttpRequest) -> HttpResponse | None:
    wanted = "_publish" in request.POST and request.user.has_perm(revisions.PUBLISH)
    return HttpResponseRedirect(reverse("admin:policy_revision_publish")) if wanted else None


def _usage_of(request: HttpRequest) -> Mapping[str, Usage]:
    """The figures of the request's tenant, read once for each request."""
    found: Mapping[str, Usage] | None = getattr(request, "guardsite_usage", None)
    if found is None:
        found = rule_usage(tenant_id_of(request), now=timezone.now())
        request.guardsite_usage = found  # type: ignore[attr-defined]  # this function's own
    return found


def _scope(rule: Rule, names: Names) -> str:
    """What it is about: actions by their names, patterns as they are."""
    return format_html_join(
        mark_safe("<br>"), "{}", ((named(names.action.get(glob, ""), glob),) for glob in rule.scope_actions)
    )


def _matches(usage: Usage | None) -> str:
    if usage is None:
        return "0"
    return f"{usage.matched}, and {usage.observed} observed" if usage.observed else str(usage.matched)


def _approved(usage: Usage | None) -> str:
    if usage is None or usage.approval_percent is None:
        return "no verdict"
    if usage.decided < LEAST_FOR_A_RATE:
        return f"{usage.approved} of {usage.decided}"
    return format_html("{} %, {} of {}", usage.approval_percent, usage.approved, usage.decided)
