"""Reviews as their callers read them: the plain view and the long poll give the same answer."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import datetime
from typing import Any
from uuid import UUID

from audit.ids import parse_wire_id
from audit.scope import as_tenant
from reviews import answers
from reviews.callers import note_seen
from reviews.errors import InvalidRequest, NotFound
from reviews.models import Review
from reviews.states import State, VerdictKind
from tenants.keys import Caller

MOST_REVIEWS = 100
OWED_PAGE = 50


def review_ids(wire_ids: Sequence[str]) -> list[UUID]:
    """The ids behind wire ids. Raises NotFound for a malformed one, InvalidRequest for more than 100."""
    if len(wire_ids) > MOST_REVIEWS:
        raise InvalidRequest(errors=[{"path": "/id", "code": "too_many"}])
    ids = []
    for text in wire_ids:
        review_id = parse_wire_id("rv", text)
        if review_id is None:
            raise NotFound
        ids.append(review_id)
    return ids


def load_reviews(caller: Caller, wire_ids: Sequence[str], *, now: datetime) -> list[Review]:
    """The caller's reviews in the order asked; notes that the caller was seen. Raises NotFound if one is not its own."""
    ids = review_ids(wire_ids)
    with as_tenant(caller.tenant_id):
        reviews = Review.objects.of_tenant(caller.tenant_id).prefetch_related(
            "verdicts", "grants__execution", "questions"
        )
        if caller.agent is not None:
            reviews = reviews.filter(agent=caller.agent)
        found = {review.pk: review for review in reviews.filter(pk__in=ids)}
        if any(review_id not in found for review_id in ids):
            raise NotFound
        note_seen(caller.tenant_id, ids, now=now)
    return [found[review_id] for review_id in ids]


def read_reviews(caller: Caller, wire_ids: Sequence[str], *, now: datetime) -> list[dict[str, Any]]:
    """The caller's reviews as JSON members, in the order asked."""
    return [answers.reviewed(review, now=now) for review in load_reviews(caller, wire_ids, now=now)]


def owed_reviews(caller: Caller, *, after: str | None, now: datetime) -> dict[str, Any]:
    """Approved, with a usable grant that nobody spent: what this agent still owes; oldest first, a page at a time."""
    with as_tenant(caller.tenant_id):
        reviews = (
            Review.objects.of_tenant(caller.tenant_id)
            .filter(
                state__in=(State.ON_HOLD, State.RELEASED),
                release_at__lte=now,
                verdicts__kind__in=(VerdictKind.APPROVE, VerdictKind.APPROVE_WITH_AMENDMENTS),
                verdicts__undone_at=None,
                grants__used_at=None,
                grants__voided_at=None,
                grants__expires_at__gt=now,
            )
            .prefetch_related("verdicts", "grants__execution")
            .order_by("pk")
        )
        if caller.agent is not None:
            reviews = reviews.filter(agent=caller.agent)
        if after:
            reviews = reviews.filter(pk__gt=review_ids([after])[0])
        page = list(reviews[: OWED_PAGE + 1])
    return {
        "reviews": [answers.reviewed(review, now=now) for review in page[:OWED_PAGE]],
        "next": page[OWED_PAGE - 1].wire_id if len(page) > OWED_PAGE else None,
    }
