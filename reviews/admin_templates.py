"""Django admin for card templates: the list with what has none, the editor with its preview, activation with its diff."""

from __future__ import annotations

from collections.abc import Callable, Mapping
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
from django.utils.decorators import method_decorator
from django.views.decorators.csrf import csrf_protect

from audit.errors import DomainError
from policy.admin import member_of, tenant_id_of
from policy.catalog import unmapped_actions
from policy.models import Action
from policy.tools import labels_for
from reviews import card_templates, template_forms, template_preview
from reviews.card_of import desk_settings, read_template
from reviews.cards.present import template_from
from reviews.cards.types import Template
from reviews.errors import InvalidTemplate
from reviews.models import CardTemplate
from reviews.template_calls import SampleCall, known_schema, sample_calls
from reviews.template_checks import MOST_CAUTIONS, MOST_FACTS, MOST_LINKS, Mistake
from reviews.template_content import Content, differences
from reviews.template_forms import Editor
from reviews.template_options import all_options
from reviews.template_proposals import known_pointers, propose
from reviews.templates_missing import Missing, without_template
from tenants.admin import TenantAdmin
from tenants.isolation import rows_of

# Buttons of the editor that shape the page and check nothing.
_SHAPES = ("_add", "_up")


@dataclass(frozen=True)
class _Known:
    """What is known of an action beside its template."""

    title: str
    undo_text: str
    schema: dict[str, Any] | None
    titles: Mapping[str, str]
    calls: list[SampleCall]


@admin.register(CardTemplate)
class CardTemplateAdmin(TenantAdmin):
    """How calls of an action read on the card: drafts, the active version, and those before it."""

    history = ("card_template.activated,card_template.retired", "action_id", "action_id")
    never_deleted = "A draft is discarded and an active version retired, each on its own page."
    list_display = ("action_id", "version_number", "status_in_words", "sentence", "created_by", "activated_at")
    list_filter = ("status",)
    search_fields = ("action_id", "sentence")
    search_help_text = "Action, or words of the sentence"
    ordering = ("action_id", "-version")
    list_select_related = ("created_by__user",)

    def get_queryset(self, request: HttpRequest) -> QuerySet[CardTemplate]:
        """The tenant's versions."""
        found: QuerySet[CardTemplate] = super().get_queryset(request)
        return found

    @admin.display(description="Version")
    def version_number(self, template: CardTemplate) -> int:
        """The newest first within each action, whatever else the list is sorted by."""
        return template.version

    @admin.display(description="State", ordering="status")
    def status_in_words(self, template: CardTemplate) -> str:
        """Draft, active or retired."""
        return str(template.get_status_display()).capitalize()

    def get_urls(self) -> list[URLPattern]:
        """What can be done with a version, before the catch-all of the detail page."""
        view = self.admin_site.admin_view
        steps = {
            "activate": self.activate_view,
            "retire": self.retire_view,
            "copy": self.copy_view,
            "discard": self.discard_view,
        }
        return [
            *(
                path(f"<uuid:pk>/{name}/", view(step), name=f"reviews_cardtemplate_{name}")
                for name, step in steps.items()
            ),
            *super().get_urls(),
        ]

    def changelist_view(self, request: HttpRequest, extra_context: Any = None) -> HttpResponse:
        """The list, below the actions that have no template."""
        missing: list[Missing] = []
        if self.has_add_permission(request):
            missing = without_template(tenant_id_of(request))
        extra = {"title": "Card templates", "missing": missing, **(extra_context or {})}
        return super().changelist_view(request, extra)

    @method_decorator(csrf_protect)
    def changeform_view(
        self,
        request: HttpRequest,
        object_id: str | None = None,
        form_url: str = "",
        extra_context: dict[str, Any] | None = None,
    ) -> Any:
        """The editor of a new template or a draft; a version that was active is shown."""
        row = self._row(request, object_id) if object_id is not None else None
        if not self.has_view_permission(request, row) or (row is None and not self.has_add_permission(request)):
            raise PermissionDenied
        if row is not None and (row.status != CardTemplate.Status.DRAFT or not self.has_change_permission(request)):
            if request.method == "POST":
                raise PermissionDenied
            return self._version_page(request, row)
        if request.method == "POST":
            return self._posted(request, row)
        if row is not None:
            editor = template_forms.stored(Content.of(row), action_id=row.action_id, digest=row.digest)
        else:
            editor = self._new(request)
        return self._editor_page(request, row, editor)

    # The editor.

    def _new(self, request: HttpRequest) -> Editor:
        """An empty page, or one drafted from the action's schema and calls where `?action_id=…&propose=1` asks."""
        action_id = request.GET.get("action_id", "")[:128]
        if not action_id or "propose" not in request.GET:
            return template_forms.stored(None, action_id=action_id)
        known = self._known(request, action_id)
        content = _proposal(known)
        editor = template_forms.stored(content, action_id=action_id)
        editor.notices.append(
            "Drafted from what is known of this action. Read each label: it will stand as yours."
            if content is not None
            else "Neither a schema nor a call of this action is known yet, so there is nothing to draft from."
        )
        return editor

    def _posted(self, request: HttpRequest, row: CardTemplate | None) -> HttpResponse:
        editor = template_forms.posted(request.POST)
        action_id = row.action_id if row is not None else editor.text("action_id")
        if "_propose" in request.POST:
            return self._proposed(request, row, editor, action_id)
        if any(name in request.POST for name in _SHAPES):
            return self._editor_page(request, row, editor)
        content, mistakes = editor.read()
        mistakes += card_templates.problems(tenant_id_of(request), action_id=action_id, content=content)
        if mistakes or "_preview" in request.POST:
            editor.show(mistakes)
            found = self._preview(request, action_id, _template_of(content))
            return self._editor_page(request, row, editor, found=found, status=422 if mistakes else 200)
        try:
            saved = card_templates.save_draft(
                tenant_id_of(request),
                action_id=action_id,
                content=content,
                acting_member=member_of(request),
                template_id=row.pk if row is not None else None,
                seen_digest=editor.text("seen_digest"),
            )
        except InvalidTemplate as error:
            editor.show([one for one in error.mistakes if isinstance(one, Mistake)])
            return self._editor_page(request, row, editor, status=error.status)
        except DomainError as error:
            return self._editor_page(request, row, editor, refusal=error, status=error.status)
        if "_activate" in request.POST:
            return redirect("admin:reviews_cardtemplate_activate", saved.pk)
        self.message_user(request, f"{saved} is saved as a draft. Cards change once it is active.", messages.SUCCESS)
        return redirect("admin:reviews_cardtemplate_change", saved.pk)

    def _proposed(self, request: HttpRequest, row: CardTemplate | None, editor: Editor, action_id: str) -> HttpResponse:
        content = _proposal(self._known(request, action_id))
        if content is None:
            editor.notices.append("Neither a schema nor a call of this action is known yet. Your page is unchanged.")
            return self._editor_page(request, row, editor)
        drafted = template_forms.stored(content, action_id=action_id, digest=editor.text("seen_digest"))
        drafted.notices.append("Drafted from what is known of this action. Read each label: it will stand as yours.")
        return self._editor_page(request, row, drafted)

    def _known(self, request: HttpRequest, action_id: str) -> _Known:
        tenant_id = tenant_id_of(request)
        action = rows_of(Action, tenant_id).filter(action_id=action_id).first()
        tool = labels_for(tenant_id, [action_id]).get(action_id)
        return _Known(
            title=action.title if action is not None else action_id.rpartition(".")[2].replace("_", " "),
            undo_text=action.undo_text if action is not None else "",
            schema=known_schema(tenant_id, action_id),
            titles=tool.accepted.property_titles if tool is not None and tool.accepted is not None else {},
            # What was not held is opened for a preview alone, on the record.
            calls=sample_calls(tenant_id, action_id, may_open_log=False),
        )

    def _preview(self, request: HttpRequest, action_id: str, template: Template) -> template_preview.Preview | None:
        if not action_id:
            return None
        tenant_id = tenant_id_of(request)
        active = card_templates.active_row(tenant_id, action_id)
        hosts = desk_settings(tenant_id).link_hosts
        found = template_preview.preview(
            tenant_id,
            action_id=action_id,
            template=template,
            active=read_template(active, link_hosts=hosts) if active is not None else None,
            schema=known_schema(tenant_id, action_id),
            may_open_log=request.user.has_perm("audit.read_disclosure"),
            now=timezone.now(),
        )
        template_preview.note_opened(tenant_id, action_id=action_id, found=found, acting_member=member_of(request))
        return found

    def _editor_page(
        self,
        request: HttpRequest,
        row: CardTemplate | None,
        editor: Editor,
        *,
        found: template_preview.Preview | None = None,
        refusal: DomainError | None = None,
        status: int = 200,
    ) -> HttpResponse:
        tenant_id = tenant_id_of(request)
        action_id = row.action_id if row is not None else editor.text("action_id")
        calls = sample_calls(tenant_id, action_id, may_open_log=False) if action_id else []
        context = {
            "title": f"Draft: {row}" if row is not None else "New card template",
            "row": row,
            "editor": editor,
            "found": found,
            "refusal": refusal,
            "action_id": action_id,
            "pointers": known_pointers(known_schema(tenant_id, action_id) if action_id else None, calls),
            "actions": _known_actions(tenant_id),
            "options": all_options(),
            "link_hosts": desk_settings(tenant_id).link_hosts,
            "full": {
                "facts": len(editor.facts) >= MOST_FACTS,
                "cautions": len(editor.cautions) >= MOST_CAUTIONS,
                "links": len(editor.links) >= MOST_LINKS,
            },
        }
        return self._page(request, "editor", context, status=status)

    def _version_page(self, request: HttpRequest, row: CardTemplate) -> HttpResponse:
        context = {
            "title": str(row),
            "row": row,
            **_whole(Content.of(row)),
            "may_change": self.has_change_permission(request),
        }
        return self._page(request, "version", context)

    # What can be done with a version.

    def activate_view(self, request: HttpRequest, pk: UUID) -> HttpResponse:
        """What changes for the cards, how they read then, and the button."""
        row = self._row_to_change(request, pk)
        tenant_id = tenant_id_of(request)
        refusal: DomainError | None = None
        if request.method == "POST":
            try:
                card_templates.activate_draft(
                    tenant_id,
                    template_id=pk,
                    seen_digest=request.POST.get("seen_digest", ""),
                    acting_member=member_of(request),
                    now=timezone.now(),
                )
            except DomainError as error:
                refusal = error
                row = self._row_to_change(request, pk)
            else:
                self.message_user(request, f"{row} is active: cards read by it from now on.", messages.SUCCESS)
                return redirect("admin:reviews_cardtemplate_changelist")
        if row.status != CardTemplate.Status.DRAFT:
            return redirect("admin:reviews_cardtemplate_change", row.pk)
        active = card_templates.active_row(tenant_id, row.action_id)
        content = Content.of(row)
        context = {
            "title": f"Activate {row}",
            "row": row,
            "active": active,
            "parts": differences(Content.of(active), content) if active is not None else [],
            **_whole(content),
            "found": self._preview(request, row.action_id, _template_of(content)),
            "refusal": refusal,
        }
        return self._page(request, "activate", context, status=refusal.status if refusal else 200)

    def retire_view(self, request: HttpRequest, pk: UUID) -> HttpResponse:
        """What retiring means, and the button."""
        row = self._row_to_change(request, pk)
        refusal: DomainError | None = None
        if request.method == "POST":
            refusal = _refusal_of(card_templates.retire, request, pk)
            if refusal is None:
                self.message_user(request, f"{row} is retired: its calls read generically.", messages.SUCCESS)
                return redirect("admin:reviews_cardtemplate_changelist")
        context = {"title": f"Retire {row}", "row": row, "refusal": refusal}
        return self._page(request, "retire", context, status=refusal.status if refusal else 200)

    def copy_view(self, request: HttpRequest, pk: UUID) -> HttpResponse:
        """A draft that says what this version says."""
        row = self._row_to_change(request, pk)
        if request.method != "POST":
            return HttpResponseNotAllowed(["POST"])
        draft = card_templates.copy_to_draft(
            tenant_id_of(request), template_id=row.pk, acting_member=member_of(request)
        )
        self.message_user(request, f"{draft} is a draft with what version {row.version} says.", messages.SUCCESS)
        return redirect("admin:reviews_cardtemplate_change", draft.pk)

    def discard_view(self, request: HttpRequest, pk: UUID) -> HttpResponse:
        """What discarding a draft means, and the button."""
        row = self._row_to_change(request, pk)
        refusal: DomainError | None = None
        if request.method == "POST":
            refusal = _refusal_of(card_templates.discard_draft, request, pk)
            if refusal is None:
                self.message_user(request, f"{row} is discarded.", messages.SUCCESS)
                return redirect("admin:reviews_cardtemplate_changelist")
        elif row.status != CardTemplate.Status.DRAFT:
            return redirect("admin:reviews_cardtemplate_change", row.pk)
        context = {
            "title": f"Discard draft {row}",
            "row": row,
            "active": card_templates.active_row(tenant_id_of(request), row.action_id),
            "refusal": refusal,
        }
        return self._page(request, "discard", context, status=refusal.status if refusal else 200)

    def _row(self, request: HttpRequest, pk: object) -> CardTemplate:
        """The tenant's version; absent and another tenant's look alike."""
        try:
            wanted = pk if isinstance(pk, UUID) else UUID(str(pk))
        except ValueError:
            raise Http404 from None
        row = self.get_queryset(request).filter(pk=wanted).first()
        if row is None:
            raise Http404
        return row

    def _row_to_change(self, request: HttpRequest, pk: UUID) -> CardTemplate:
        row = self._row(request, pk)
        if not self.has_change_permission(request, row):
            raise PermissionDenied
        return row

    def _page(self, request: HttpRequest, name: str, context: dict[str, Any], *, status: int = 200) -> HttpResponse:
        whole = {**self.admin_site.each_context(request), "opts": self.opts, **context}
        response = TemplateResponse(request, f"admin/reviews/cardtemplate/{name}.html", whole, status=status)
        # Calls carry what people may not keep.
        response["Cache-Control"] = "no-store"
        return response


def _proposal(known: _Known) -> Content | None:
    return propose(
        title=known.title,
        undo_text=known.undo_text,
        schema=known.schema,
        titles=known.titles,
        calls=known.calls,
        now=timezone.now(),
    )


def _refusal_of(step: Callable[..., object], request: HttpRequest, pk: UUID) -> DomainError | None:
    """Take the step with this template; why it was refused, or None where it was taken."""
    try:
        step(tenant_id_of(request), template_id=pk, acting_member=member_of(request))
    except DomainError as error:
        return error
    return None


def _known_actions(tenant_id: UUID) -> list[str]:
    """What a template may be for: the mapped actions, and those that were called and are not mapped."""
    mapped = rows_of(Action, tenant_id).values_list("action_id", flat=True)
    return sorted({*mapped, *(unmapped.action_id for unmapped in unmapped_actions(tenant_id))})


def _whole(content: Content) -> dict[str, Any]:
    """All that a template says, for whole.html."""
    return {"content": content, "facts": template_forms.facts_in_words(content)}


def _template_of(content: Content) -> Template:
    """The content as cards read it; links lead nowhere in a preview."""
    columns = content.columns()
    return template_from(**{**columns, "links": ()})
