"""How earlier calls like this one were decided. From tier 2 on, that somebody looked is on the record.

What others decided pulls a reader towards the same verdict, so it stands one click away, never on the card, and holds
nothing of the review itself.
"""

from __future__ import annotations

import json
from dataclasses import dataclass
from datetime import datetime
from typing import Final

from audit.pointer import MissingError, resolve
from audit.record import EntryDraft, record
from audit.scope import as_tenant
from reviews.access import access_review_to_view
from reviews.card_of import active_templates, card_of
from reviews.cards.types import Card
from reviews.claims import member_actor
from reviews.models import Execution, Review, Verdict
from reviews.states import State
from tenants.models import Member

RECORDED_FROM_TIER: Final = 2
LOOK_AT: Final = 200
MOST_SHOWN: Final = 10


@dataclass(frozen=True)
class Precedent:
    """An earlier review and its final verdict. `shared` counts the values named for comparison that are the same."""

    review: Review
    card: Card
    verdict: Verdict
    execution: Execution | None
    shared: int

    @property
    def is_flagged(self) -> bool:
        """Whether somebody called its verdict a mistake since. Uses a prefetch."""
        return any(flag.withdrawn_at is None for flag in self.verdict.flags.all())


def is_recorded(review: Review) -> bool:
    """Whether looking leaves an entry."""
    return review.tier >= RECORDED_FROM_TIER


def read_precedents(wire_id: str, *, acting_member: Member, now: datetime) -> list[Precedent]:
    """The nearest earlier reviews with their verdicts, most alike first; recorded from tier 2 on.

    Raises NotFound, PermissionDenied.
    """
    with as_tenant(acting_member.tenant_id):
        review = access_review_to_view(acting_member, wire_id)
        found = _nearest(review, now=now)
        if is_recorded(review):
            record(
                review.tenant_id,
                EntryDraft(
                    kind="review.precedents_read",
                    fields={
                        "review": {"id": review.wire_id},
                        "action_id": review.action_id,
                        "tier": review.tier,
                        "shown": [one.review.wire_id for one in found],
                    },
                    actor=member_actor(acting_member),
                    refs=(review.entry_uid,),
                ),
            )
    return found


def _nearest(review: Review, *, now: datetime) -> list[Precedent]:
    template = active_templates([review.action_id], tenant_id=review.tenant_id).get(review.action_id)
    pointers = template.compare_on if template else ()
    wanted = _values(review.params_text, pointers)
    rows = list(
        Review.objects.of_tenant(review.tenant_id)
        .filter(
            action_id=review.action_id,
            state__in=(State.ON_HOLD, State.RELEASED),
            created_at__lte=review.created_at,
            pk__lt=review.pk,
        )
        .select_related("agent")
        .prefetch_related("verdicts__member__user", "verdicts__flags", "grants__execution")
        .order_by("-created_at")[:LOOK_AT]
    )
    shared = {
        row.pk: sum(_values(row.params_text, pointers).get(pointer) == value for pointer, value in wanted.items())
        + (row.content_key == review.content_key)
        for row in rows
    }
    # The sort is stable: of equally near ones the newest stay first.
    rows.sort(key=lambda row: -shared[row.pk])
    return [
        Precedent(
            review=row,
            card=card_of(row, template, now=now),
            verdict=verdict,
            execution=_execution(row),
            shared=shared[row.pk],
        )
        for row in rows[:MOST_SHOWN]
        if (verdict := row.verdict) is not None
    ]


def _values(params_text: str, pointers: tuple[str, ...]) -> dict[str, object]:
    params = json.loads(params_text)
    found: dict[str, object] = {}
    for pointer in pointers:
        try:
            found[pointer] = resolve(params, pointer)
        except MissingError:
            continue
    return found


def _execution(review: Review) -> Execution | None:
    grant = next((grant for grant in review.grants.all() if grant.voided_at is None), None)
    return getattr(grant, "execution", None) if grant else None
