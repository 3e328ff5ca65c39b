"""How loudly each card warns, kept beside the call so that the queue can be narrowed by it.

A worker looks at new calls, not the web process that answers the agent: the card of a large call takes seconds, and
what it warns of beside earlier calls takes queries that no row of a list can afford. Until then nothing is known, and
what is not known counts as warned of: the filter then shows too much, never too little.
"""

from __future__ import annotations

import logging
import time
from datetime import datetime
from typing import Final
from uuid import UUID

from django.db import connection
from django.db.models import Q

from audit.scope import as_tenant
from reviews.cards.types import Card, Severity
from reviews.models import Review
from reviews.row_cards import row_cards
from reviews.states import State

log = logging.getLogger("guardsite.cards")

# A sweep is short: what it does not reach is left to the next.
SWEEP_SECONDS: Final = 5.0
_AT_ONCE: Final = 20


def at_least(level: Review.Warned) -> Q:
    """Reviews whose card warns this loudly, and those that nobody looked at yet."""
    return Q(warned=None) | Q(warned__gte=level)


def look_over(*, now: datetime) -> int:
    """Keep how loudly the cards of new calls warn; how many were looked at."""
    ends_at = time.monotonic() + SWEEP_SECONDS
    looked = 0
    for tenant_id in _new_tenants():
        while time.monotonic() < ends_at and (found := _look_over_some(tenant_id, now=now)):
            looked += found
    return looked


def _look_over_some(tenant_id: UUID, *, now: datetime) -> int:
    with as_tenant(tenant_id):
        new = list(
            Review.objects.of_tenant(tenant_id)
            .filter(state=State.OPEN, warned=None)
            .select_related("agent")
            .order_by("id")[:_AT_ONCE]
        )
        levels: dict[Review.Warned, list[UUID]] = {}
        for review in new:
            levels.setdefault(_level(review, now=now), []).append(review.pk)
        for level, ids in levels.items():
            Review.objects.of_tenant(tenant_id).filter(pk__in=ids).update(warned=level)
        return len(new)


def _level(review: Review, *, now: datetime) -> Review.Warned:
    try:
        (card,) = row_cards([review], tenant_id=review.tenant_id, now=now, with_history=True)
    except Exception:  # one card that cannot be made must not leave all later ones unlooked at
        log.exception("card_not_made", extra={"review": review.wire_id, "action": review.action_id})
        return Review.Warned.DANGER
    return loudest(card)


def loudest(card: Card) -> Review.Warned:
    """The strongest of what stands out on the card."""
    severities = {notice.caution.severity for notice in card.stands_out}
    if card.incomplete or Severity.DANGER in severities:
        return Review.Warned.DANGER
    return Review.Warned.CAUTION if Severity.CAUTION in severities else Review.Warned.NOTHING


def _new_tenants() -> list[UUID]:
    """Answered by a SECURITY DEFINER function (migration 0014): no tenant is set yet, and only ids come back."""
    with connection.cursor() as cursor:
        cursor.execute("SELECT reviews_unlooked_tenants()")
        return [row[0] for row in cursor.fetchall()]
