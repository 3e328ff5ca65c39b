"""The cards of many reviews at once, for rows, bulk forms and the filter of the queue. Reads only."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import datetime
from uuid import UUID

from policy.models import Action
from reviews.card_of import active_templates, card_of, desk_settings
from reviews.cards.types import Card
from reviews.comparison import around
from reviews.models import Review
from reviews.template_cautions import template_cautions
from tenants.isolation import rows_of


def row_cards(
    reviews: Sequence[Review], *, tenant_id: UUID, now: datetime, zone: str = "UTC", with_history: bool = False
) -> list[Card]:
    """A card for each, in order; four queries at most, whatever their number, with `agent` fetched. Times in `zone`.

    With history each is compared with earlier calls too, as its own page does: some six queries more for each.
    """
    actions = {review.action_id for review in reviews}
    if not actions:
        return []
    templates = active_templates(actions, tenant_id=tenant_id)
    schemas = dict(rows_of(Action, tenant_id).filter(action_id__in=actions).values_list("action_id", "schema"))
    own_domains = frozenset(domain.casefold() for domain in desk_settings(tenant_id).own_domains)
    found = []
    for review in reviews:
        template = templates.get(review.action_id)
        schema = schemas.get(review.action_id)
        past = around(review, template=template, zone=zone, now=now) if with_history else None
        found.append(
            card_of(
                review,
                template,
                now=now,
                schema=schema if isinstance(schema, dict) else None,
                own_domains=own_domains,
                known_addresses=past.known_addresses if past else None,
                zone=zone,
                findings=past.findings if past else (),
                template_cautions=template_cautions(template, review) if template else (),
            )
        )
    return found
