"""How a review ends by a verdict: the columns that say so, for the call itself and for its copies."""

from __future__ import annotations

from datetime import datetime

from reviews.models import Review
from reviews.states import Event, next_state


def end(review: Review, event: Event, *, release_at: datetime, first_at: datetime, now: datetime) -> None:
    """Write down that a locked, waiting review has ended; the claim goes with it.

    `first_at` is when somebody first took it in hand, where no claim has said so. Entry and delivery are the caller's.
    """
    state = next_state(review.state, event)
    assert state is not None  # it was locked while it waited
    review.state = state
    review.version += 1
    review.release_at = release_at
    review.ended_at = now
    review.breached = review.breached or now > review.due_at
    review.first_claimed_at = review.first_claimed_at or first_at
    review.claimed_by = None
    review.claimed_until = review.claim_used_at = None
    review.save(
        update_fields=[
            "state",
            "version",
            "release_at",
            "ended_at",
            "breached",
            "first_claimed_at",
            "claimed_by",
            "claimed_until",
            "claim_used_at",
            "duplicate_of",
        ]
    )
