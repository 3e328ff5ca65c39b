"""Card templates: activate a version for an action."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any
from uuid import UUID

from django.db.models import Max

from audit.record import Actor, EntryDraft, record
from audit.scope import as_tenant
from reviews.models import CardTemplate
from tenants.isolation import rows_of
from tenants.models import Member


def activate(
    tenant_id: UUID,
    *,
    action_id: str,
    sentence: str,
    decisive: str = "",
    facts: Sequence[dict[str, Any]] = (),
    acting_member: Member | None = None,
) -> CardTemplate:
    """A new active version for the action; the one before is retired. Recorded."""
    with as_tenant(tenant_id):
        versions = rows_of(CardTemplate, tenant_id).filter(action_id=action_id)
        newest = versions.aggregate(newest=Max("version"))["newest"] or 0
        versions.filter(status=CardTemplate.Status.ACTIVE).update(status=CardTemplate.Status.RETIRED)
        template = CardTemplate.objects.create(
            tenant_id=tenant_id,
            action_id=action_id,
            version=newest + 1,
            status=CardTemplate.Status.ACTIVE,
            sentence=sentence,
            decisive=decisive,
            facts=list(facts),
        )
        actor = Actor(type="member", id=str(acting_member.pk)) if acting_member else Actor(type="system", id="setup")
        record(
            tenant_id,
            EntryDraft(
                kind="card_template.activated",
                fields={"action_id": action_id, "version": template.version},
                actor=actor,
            ),
        )
    return template
