"""What happened to a review, from the log, without a trace of a first verdict for whoever may still give the second."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Final

from audit import browse
from audit.scope import as_tenant
from reviews.models import Review
from tenants.models import Member

# What a second reviewer may read before their own verdict. A claim that ended without a word would betray who was here
# first, so of claims only one's own are told; every kind that nobody thought of is left out.
BLIND_KINDS: Final = frozenset(
    {"call.evaluated", "review.escalated", "review.question_asked", "review.question_answered", "review.cancelled"}
)
OWN_KINDS: Final = frozenset({"review.claimed", "review.released", "review.snoozed", "review.precedents_read"})


@dataclass(frozen=True, slots=True)
class Moment:
    """One line of the history: when, and the entry's own sentence."""

    at: datetime
    sentence: str
    uid: str


def timeline(review: Review, *, member: Member, is_blind: bool) -> Sequence[Moment]:
    """The newest 50 entries that name the review, oldest first; while `is_blind`, what gives no verdict away.

    Reads as the auditor's role; the call's own entry comes first, which names the review it was held for.
    """
    with as_tenant(review.tenant_id, using=browse.READER):
        rows = browse.page(review.tenant_id, equal={"review": review.wire_id}).rows
    return [
        Moment(at=row.at, sentence=row.sentence, uid=row.uid)
        for row in reversed(rows)
        if not is_blind or _is_harmless(row, member)
    ]


def _is_harmless(row: browse.Row, member: Member) -> bool:
    if row.kind in BLIND_KINDS:
        return True
    return row.kind in OWN_KINDS and row.actor_name == member.display_name
