"""Actions whose calls read generically, as they have no active card template. Reads only."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import timedelta
from typing import Final
from uuid import UUID

from django.db.models import Count
from django.utils import timezone

from policy.models import Action
from reviews.models import CardTemplate, Review
from tenants.isolation import rows_of

DAYS: Final = 30
_ACTIONS_LOOKED_AT: Final = 2_000


@dataclass(frozen=True, slots=True)
class Missing:
    """An action without an active template: how many of its calls were held in 30 days, and its newest draft."""

    action_id: str
    held: int
    draft_id: UUID | None = None


def without_template(tenant_id: UUID) -> list[Missing]:
    """The mapped actions and those with held calls that have none, the busiest first. Three queries."""
    since = timezone.now() - timedelta(days=DAYS)
    held = dict(
        Review.objects.of_tenant(tenant_id)
        .filter(created_at__gte=since)
        .order_by()
        .values_list("action_id")
        .annotate(count=Count("pk"))[:_ACTIONS_LOOKED_AT]
    )
    mapped = rows_of(Action, tenant_id).values_list("action_id", flat=True)[:_ACTIONS_LOOKED_AT]
    active: set[str] = set()
    drafts: dict[str, UUID] = {}
    rows = rows_of(CardTemplate, tenant_id).exclude(status=CardTemplate.Status.RETIRED).order_by("version")
    for pk, action_id, status in rows.values_list("pk", "action_id", "status"):
        if status == CardTemplate.Status.ACTIVE:
            active.add(action_id)
        else:
            drafts[action_id] = pk
    found = [
        Missing(action_id, held.get(action_id, 0), drafts.get(action_id)) for action_id in {*held, *mapped} - active
    ]
    return sorted(found, key=lambda one: (-one.held, one.action_id))
