"""How much friction a verdict has, step by step, by its kind, its tier and its channel. Pure.

A denial never takes more steps or sign-ins than an approval of the same call. Source: reviewer-experience.md section 2.
"""

from __future__ import annotations

from enum import StrEnum
from typing import Final

from reviews.states import VerdictKind

# From this tier on an approval wants the folds opened, the value typed, words and a fresh sign-in.
SEVERE_TIER: Final = 3
# From this tier on two people decide, and nothing is held back after the second.
TWO_PEOPLE_TIER: Final = 4
LEAST_NOTE: Final = 10


class Via(StrEnum):
    """Where a verdict comes from."""

    WEB = "web"
    BULK = "bulk"


class Step(StrEnum):
    """One thing that a person does on the way to a verdict. Message and note are optional unless a step says so."""

    OPEN_CARD = "open_card"
    SELECT = "select"
    CHANGE = "change"
    READ_DIFFERENCE = "read_difference"
    OPEN_FOLDS = "open_folds"
    TYPE_VALUE = "type_value"
    TYPE_COUNT = "type_count"
    CODE = "code"
    NOTE = "note"
    STEP_UP = "step_up"
    COMMIT = "commit"


_SEVERE: Final = (Step.OPEN_FOLDS, Step.TYPE_VALUE, Step.CODE, Step.NOTE, Step.STEP_UP)


def steps(kind: str, tier: int, *, via: str = Via.WEB) -> tuple[Step, ...] | None:
    """What the verdict takes, in order; None where this channel never gives it.

    At tier 1 each button of the open card is a whole verdict: the one that denies carries its reason. A list row, a
    chat and the API decide nothing; the bulk form approves tier 1 alone and denies anything.
    """
    is_denial = kind == VerdictKind.DENY
    if via == Via.BULK:
        if is_denial:
            return (Step.SELECT, Step.CODE, Step.COMMIT)
        return (Step.SELECT, Step.TYPE_COUNT, Step.COMMIT) if kind == VerdictKind.APPROVE and tier == 1 else None
    if via != Via.WEB:
        return None
    if kind == VerdictKind.APPROVE_WITH_AMENDMENTS:
        rest = _SEVERE if tier >= SEVERE_TIER else (Step.CODE,)
        return (Step.OPEN_CARD, Step.CHANGE, Step.READ_DIFFERENCE, *rest, Step.COMMIT)
    if tier <= 1:
        return (Step.OPEN_CARD, Step.COMMIT)
    if is_denial or tier < SEVERE_TIER:
        return (Step.OPEN_CARD, Step.CODE, Step.COMMIT)
    return (Step.OPEN_CARD, *_SEVERE, Step.COMMIT)


def takes(step: Step, *, kind: str, tier: int, via: str = Via.WEB) -> bool:
    """Whether the verdict has this step on its way."""
    return step in (steps(kind, tier, via=via) or ())
