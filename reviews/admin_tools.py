"""Django admin for tool definitions: what providers say, beside what was accepted, with everything hidden revealed.

Stands here and not beside the model: revealing is the cards' business, which `policy` does not know.
"""

from __future__ import annotations

import json
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any
from uuid import UUID

from django.contrib import admin, messages
from django.core.exceptions import PermissionDenied
from django.db.models import QuerySet
from django.http import Http404, HttpRequest, HttpResponse, HttpResponseNotAllowed
from django.shortcuts import redirect
from django.template.response import TemplateResponse
from django.urls import URLPattern, path
from django.utils import timezone

from audit.errors import DomainError
from policy import tool_offers
from policy.admin import member_of, tenant_id_of
from policy.models import Action, ToolDefinition
from policy.tools import described
from reviews.cards.text import claims_approval
from reviews.word_diff import Piece, hidden_count, word_diff
from tenants import stepup
from tenants.admin import TenantAdmin
from tenants.errors import StepUpNeeded
from tenants.isolation import rows_of


@dataclass(frozen=True, slots=True)
class Section:
    """One member of a definition, as a difference to the accepted one where there is one."""

    name: str
    pieces: tuple[Piece, ...]
    is_code: bool = False


@admin.register(ToolDefinition)
class ToolDefinitionAdmin(TenantAdmin):
    """Definitions that wait, the accepted ones, and those before them. Agents offer; nobody edits."""

    never_added = "Agents send them. Accept what waits in the list."
    about = (
        "Agents offer the definitions of their tools with PUT /v1/tools. What an owner accepts is pinned and trusted."
    )
    list_display = ("action_id", "state_in_words", "is_current", "short_hash", "agent", "first_seen_at", "last_seen_at")
    list_filter = ("state",)
    search_fields = ("action_id", "sha256")
    search_help_text = "Action, or the start of the SHA-256"
    list_select_related = ("agent",)

    def has_add_permission(self, request: HttpRequest) -> bool:
        """Agents offer definitions, by `PUT /v1/tools`."""
        return False

    def get_queryset(self, request: HttpRequest) -> QuerySet[Any]:
        """The tenant's definitions; the list does not read their text."""
        return super().get_queryset(request).defer("definition_text")

    @admin.display(description="State", ordering="state")
    def state_in_words(self, row: ToolDefinition) -> str:
        """What became of it."""
        if row.state == ToolDefinition.State.OFFERED:
            return "Read, not accepted" if row.decided_at else "Waits for an owner"
        return str(row.get_state_display())

    @admin.display(description="SHA-256")
    def short_hash(self, row: ToolDefinition) -> str:
        """The first 12 digits."""
        return row.sha256[:12]

    def changelist_view(self, request: HttpRequest, extra_context: Any = None) -> HttpResponse:
        """The list, below what drifted and what waits."""
        tenant_id = tenant_id_of(request)
        rows = rows_of(ToolDefinition, tenant_id).defer("definition_text")
        accepted = set(rows.filter(state=ToolDefinition.State.ACCEPTED).values_list("action_id", flat=True))
        current = list(rows.filter(is_current=True, state__in=("offered", "replaced")))
        extra = {
            "title": "Tool definitions",
            "drifted": [row for row in current if row.action_id in accepted],
            "waiting": [row for row in current if row.action_id not in accepted and row.decided_at is None],
            **(extra_context or {}),
        }
        return super().changelist_view(request, extra)

    def get_urls(self) -> list[URLPattern]:
        """What can be done with a definition, before the catch-all of the detail page."""
        view = self.admin_site.admin_view
        steps = {"accept": self.accept_view, "dismiss": self.dismiss_view, "schema": self.schema_view}
        return [
            *(
                path(f"<uuid:pk>/{name}/", view(step), name=f"policy_tooldefinition_{name}")
                for name, step in steps.items()
            ),
            *super().get_urls(),
        ]

    def changeform_view(
        self,
        request: HttpRequest,
        object_id: str | None = None,
        form_url: str = "",
        extra_context: dict[str, Any] | None = None,
    ) -> Any:
        """One definition, with what differs from the accepted one and what can be done."""
        if object_id is None or request.method not in ("GET", "HEAD") or not self.has_view_permission(request):
            raise PermissionDenied
        return self._definition_page(request, self._row(request, object_id))

    def accept_view(self, request: HttpRequest, pk: UUID) -> HttpResponse:
        """Pin it: after a fresh sign-in, by who may publish."""
        row = self._row(request, pk)
        if not request.user.has_perm(tool_offers.ACCEPT):
            raise PermissionDenied
        if request.method != "POST":
            # Where the sign-in page leads back to.
            return redirect("admin:policy_tooldefinition_change", row.pk)
        now = timezone.now()
        try:
            tool_offers.accept(
                tenant_id_of(request),
                definition_id=row.pk,
                acting=member_of(request),
                evidence=stepup.evidence_of(request),
                now=now,
            )
        except StepUpNeeded:
            return stepup.ask_again(request, now=now)
        except DomainError as error:
            return self._definition_page(request, self._row(request, pk), refusal=error)
        self.message_user(
            request, f"The definition of {row.action_id} is accepted: cards use its words.", messages.SUCCESS
        )
        return redirect("admin:policy_tooldefinition_change", row.pk)

    def dismiss_view(self, request: HttpRequest, pk: UUID) -> HttpResponse:
        """Say that it was read and is not accepted."""
        row = self._row(request, pk)
        if not request.user.has_perm(tool_offers.DISMISS):
            raise PermissionDenied
        if request.method != "POST":
            return HttpResponseNotAllowed(["POST"])
        try:
            tool_offers.dismiss(
                tenant_id_of(request), definition_id=row.pk, acting=member_of(request), now=timezone.now()
            )
        except DomainError as error:
            return self._definition_page(request, self._row(request, pk), refusal=error)
        self.message_user(request, f"Noted: this definition of {row.action_id} is not accepted.", messages.SUCCESS)
        return redirect("admin:policy_tooldefinition_changelist")

    def schema_view(self, request: HttpRequest, pk: UUID) -> HttpResponse:
        """Take its schema into the action, which has none."""
        row = self._row(request, pk)
        if not request.user.has_perm(tool_offers.DISMISS):
            raise PermissionDenied
        if request.method != "POST":
            return HttpResponseNotAllowed(["POST"])
        try:
            action = tool_offers.take_schema(tenant_id_of(request), definition_id=row.pk, acting=member_of(request))
        except DomainError as error:
            return self._definition_page(request, self._row(request, pk), refusal=error)
        self.message_user(request, f"{action} has the schema of its tool, in the draft.", messages.SUCCESS)
        return redirect("admin:policy_action_change", action.pk)

    def _row(self, request: HttpRequest, pk: object) -> ToolDefinition:
        """The tenant's definition; absent and another tenant's look alike."""
        try:
            wanted = pk if isinstance(pk, UUID) else UUID(str(pk))
        except ValueError:
            raise Http404 from None
        row = rows_of(ToolDefinition, tenant_id_of(request)).select_related("agent").filter(pk=wanted).first()
        if row is None:
            raise Http404
        return row

    def _definition_page(
        self, request: HttpRequest, row: ToolDefinition, *, refusal: DomainError | None = None
    ) -> HttpResponse:
        tenant_id = tenant_id_of(request)
        accepted = (
            rows_of(ToolDefinition, tenant_id)
            .filter(action_id=row.action_id, state=ToolDefinition.State.ACCEPTED)
            .exclude(pk=row.pk)
            .first()
        )
        words = described(row)
        action = rows_of(Action, tenant_id).filter(action_id=row.action_id).first()
        is_open = row.state != ToolDefinition.State.ACCEPTED
        context = {
            **self.admin_site.each_context(request),
            "opts": self.opts,
            "title": f"Tool definition of {row.action_id}",
            "row": row,
            "state": self.state_in_words(row),
            "accepted": accepted,
            "sections": list(_sections(row, accepted)),
            "hidden": hidden_count(row.definition_text),
            "claims_approval": claims_approval(f"{words.title}\n{words.description}"),
            "may_accept": is_open and request.user.has_perm(tool_offers.ACCEPT),
            "may_dismiss": row.state == ToolDefinition.State.OFFERED
            and row.decided_at is None
            and request.user.has_perm(tool_offers.DISMISS),
            "may_take_schema": not is_open
            and words.input_schema is not None
            and action is not None
            and action.schema is None
            and request.user.has_perm(tool_offers.DISMISS),
            "action": action,
            "refusal": refusal,
        }
        status = refusal.status if refusal else 200
        return TemplateResponse(request, "admin/policy/tooldefinition/definition.html", context, status=status)


_NAMES = {
    "title": "Title",
    "description": "Description",
    "annotations": "Hints",
    "input_schema": "Schema of its parameters",
}


def _sections(row: ToolDefinition, accepted: ToolDefinition | None) -> Iterator[Section]:
    """The members of a definition in the order that people read them; those that neither has are left out."""
    after: dict[str, Any] = json.loads(row.definition_text)
    before: dict[str, Any] = json.loads(accepted.definition_text) if accepted is not None else after
    for name, label in _NAMES.items():
        if name in before or name in after:
            yield Section(
                label,
                word_diff(_text(before.get(name)), _text(after.get(name))),
                is_code=name in ("annotations", "input_schema"),
            )


def _text(value: object) -> str:
    if value is None or isinstance(value, str):
        return value or ""
    return json.dumps(value, ensure_ascii=False, indent=2, sort_keys=True)
