"""Django admin for card templates: how calls of an action read."""

from __future__ import annotations

from typing import Any

from django.contrib import admin
from django.db.models import QuerySet
from django.http import HttpRequest

from reviews import card_templates
from reviews.models import CardTemplate
from tenants.isolation import rows_of


@admin.register(CardTemplate)
class CardTemplateAdmin(admin.ModelAdmin):  # type: ignore[type-arg]  # not generic at run time
    """Versions are kept: saving makes a new one and activates it."""

    list_display = ("action_id", "version", "status", "sentence", "created_at")
    list_filter = ("status",)
    fields = ("action_id", "sentence", "decisive", "facts")

    def get_queryset(self, request: HttpRequest) -> QuerySet[CardTemplate]:
        """The tenant's templates."""
        return rows_of(CardTemplate, request.tenant.pk)  # type: ignore[attr-defined]

    def has_change_permission(self, request: HttpRequest, obj: CardTemplate | None = None) -> bool:
        """An old version does not change; a new one replaces it."""
        return obj is None and super().has_change_permission(request, obj)

    def has_delete_permission(self, request: HttpRequest, obj: Any = None) -> bool:
        """Nobody: verdicts refer to what was shown."""
        return False

    def save_model(self, request: HttpRequest, obj: CardTemplate, form: Any, change: bool) -> None:
        """Activate a new version."""
        saved = card_templates.activate(
            request.tenant.pk,  # type: ignore[attr-defined]
            action_id=obj.action_id,
            sentence=obj.sentence,
            decisive=obj.decisive,
            facts=obj.facts,
            acting_member=request.member,  # type: ignore[attr-defined]
        )
        obj.pk, obj.version, obj.tenant_id = saved.pk, saved.version, saved.tenant_id
