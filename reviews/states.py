"""What a review can become, and what the wire calls it. Pure."""

from __future__ import annotations

from datetime import datetime
from enum import StrEnum


class State(StrEnum):
    """Where a review stands. A claim is no state."""

    OPEN = "open"
    ON_HOLD = "on_hold"
    RELEASED = "released"
    EXPIRED = "expired"
    CANCELLED = "cancelled"
    SUPERSEDED = "superseded"


class VerdictKind(StrEnum):
    """What a reviewer chose."""

    APPROVE = "approve"
    APPROVE_WITH_AMENDMENTS = "approve_with_amendments"
    DENY = "deny"


class Event(StrEnum):
    """What can happen to a review."""

    DECIDE = "decide"
    UNDO = "undo"
    RELEASE = "release"
    EXPIRE = "expire"
    CANCEL = "cancel"
    SUPERSEDE = "supersede"


TRANSITIONS: dict[tuple[State, Event], State] = {
    (State.OPEN, Event.DECIDE): State.ON_HOLD,
    (State.OPEN, Event.EXPIRE): State.EXPIRED,
    (State.OPEN, Event.CANCEL): State.CANCELLED,
    (State.OPEN, Event.SUPERSEDE): State.SUPERSEDED,
    (State.ON_HOLD, Event.UNDO): State.OPEN,
    (State.ON_HOLD, Event.RELEASE): State.RELEASED,
}

PENDING_STATES = (State.OPEN, State.ON_HOLD)


def next_state(state: str, event: Event) -> State | None:
    """The state after the event, or None where it cannot happen."""
    return TRANSITIONS.get((State(state), event))


def effective_state(state: str, *, release_at: datetime | None, expires_at: datetime, now: datetime) -> State:
    """The state that counts at `now`.

    A hold and a time limit end by the clock, not by a process: a verdict whose `release_at` has passed is released, and
    an undecided review past `expires_at` is expired, whether or not a worker has got round to writing it down.
    """
    current = State(state)
    if current is State.ON_HOLD and release_at is not None and release_at <= now:
        return State.RELEASED
    if current is State.OPEN and expires_at <= now:
        return State.EXPIRED
    return current


def wire_state(state: State, *, verdict: str | None) -> str:
    """The word for a state in `/v1`: pending, approved, denied, expired, withdrawn, superseded."""
    if state in PENDING_STATES:
        return "pending"
    if state is State.RELEASED:
        return "denied" if verdict == VerdictKind.DENY else "approved"
    return {State.EXPIRED: "expired", State.CANCELLED: "withdrawn", State.SUPERSEDED: "superseded"}[state]
