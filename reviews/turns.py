"""The turn that a held call belongs to: which of the calls that were asked together ran, were refused or wait."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Final

from reviews.models import Execution, IdempotencyKey, Review
from reviews.states import PENDING_STATES

# Keys of one batch are inserted by one statement; other statements may take numbers in between.
_STRAY: Final = 50


@dataclass(frozen=True, slots=True)
class Turn:
    """The place of the call and those of the others, by what became of them."""

    index: int
    count: int
    ran: tuple[int, ...] = ()
    failed: tuple[int, ...] = ()
    refused: tuple[int, ...] = ()
    waiting: tuple[int, ...] = ()

    @property
    def sentence(self) -> str:
        """`Call 3 of 4 in this turn; 1, 2 and 4 already ran.`"""
        parts = [
            f"{_listed(found)} {words[len(found) > 1]}"
            for found, words in (
                (self.ran, ("already ran", "already ran")),
                (self.failed, ("ran and failed", "ran and failed")),
                (self.refused, ("was denied", "were denied")),
                (self.waiting, ("waits for a verdict too", "wait for a verdict too")),
            )
            if found
        ]
        return f"Call {self.index} of {self.count} in this turn{'; ' + '; '.join(parts) if parts else ''}."


def _listed(numbers: Sequence[int]) -> str:
    *most, last = [str(number) for number in numbers]
    return f"{', '.join(most)} and {last}" if most else last


def turn_of(review: Review, *, now: datetime) -> Turn | None:
    """The turn of a call that was asked with others; None for a call on its own. At most four queries.

    Where a call of the batch met an answer given before, places are not known, and only this call's own is told.
    """
    if review.call_count < 2:
        return None
    plain = Turn(review.call_index, review.call_count)
    own = IdempotencyKey.objects.filter(tenant_id=review.tenant_id, call_id=review.call_id).first()
    if own is None:
        return plain
    reach = review.call_count + _STRAY
    # Ids of calls are made in the order of the batch, and sort by time.
    keys = list(
        IdempotencyKey.objects.filter(
            tenant_id=review.tenant_id,
            agent_id=review.agent_id,
            pk__range=(own.pk - reach, own.pk + reach),
            created_at=own.created_at,
        )
        .select_related("review")
        .order_by("call_id")
    )
    if len(keys) != review.call_count:
        return plain
    executions = {
        execution.call_id: execution.state
        for execution in Execution.objects.filter(tenant_id=review.tenant_id, call_id__in=[key.call_id for key in keys])
    }
    found: dict[str, list[int]] = {"ran": [], "failed": [], "refused": [], "waiting": []}
    for place, key in enumerate(keys, start=1):
        if key.call_id == review.call_id:
            continue
        state = executions.get(key.call_id)
        if state == Execution.State.SUCCEEDED:
            found["ran"].append(place)
        elif state == Execution.State.FAILED:
            found["failed"].append(place)
        elif key.decision == "deny":
            found["refused"].append(place)
        elif key.review is not None and key.review.state_at(now) in PENDING_STATES:
            found["waiting"].append(place)
    return Turn(review.call_index, review.call_count, **{name: tuple(places) for name, places in found.items()})
