"""Putting a review off, for oneself alone: for at most half of the time that is left. Skipping is a short one.

Source: reviewer-experience.md ("Queue mechanics"). A snoozed review waits on for everybody else, and comes back by itself.
"""

from __future__ import annotations

from datetime import datetime, timedelta
from typing import Final

from django.db import models

from audit.record import EntryDraft, record
from audit.scope import as_tenant
from reviews.access import access_review_to_view
from reviews.claims import let_go, lock_review, member_actor, require_open
from reviews.errors import ClaimedByOther, InvalidStep
from reviews.models import Review, Snooze
from tenants.models import Member

LENGTHS: Final = (5, 15, 30, 60, 240)  # minutes offered
SKIPPED_FOR: Final = timedelta(minutes=10)
SHORTEST: Final = timedelta(minutes=1)


class SkipCode(models.TextChoices):
    """Why somebody passes a review on that they had taken."""

    UNSURE = "unsure", "Unsure"
    NEEDS_EXPERT = "needs_expert", "Needs somebody who knows this"
    CONFLICT = "conflict", "Conflict of interest"
    LATER = "later", "Not now"


def longest_snooze(review: Review, *, now: datetime) -> timedelta:
    """Half of the time left until it is due; until it expires, once it is overdue. Zero where that is under a minute."""
    ends = review.due_at if review.due_at > now else review.expires_at
    half = (ends - now) / 2
    return half if half >= SHORTEST else timedelta(0)


def lengths_for(review: Review, *, now: datetime) -> list[int]:
    """The minutes that may be chosen now; the half itself where even the shortest is too long."""
    longest = longest_snooze(review, now=now)
    fits = [minutes for minutes in LENGTHS if timedelta(minutes=minutes) <= longest]
    return fits or ([int(longest.total_seconds() // 60)] if longest else [])


def snooze(wire_id: str, *, acting_member: Member, minutes: int, now: datetime) -> Snooze:
    """Put the review off for the member, and give back their claim on it.

    Raises InvalidStep for longer than half of the time left, else as `claims.claim`.
    """
    with as_tenant(acting_member.tenant_id):
        review = lock_review(wire_id, acting_member)
        require_open(review, now=now)
        asked = timedelta(minutes=minutes)
        if not SHORTEST <= asked <= longest_snooze(review, now=now):
            most = int(longest_snooze(review, now=now).total_seconds() // 60)
            sentence = f"Choose at most {most} min: half of the time that is left." if most else "It is due too soon."
            raise InvalidStep(errors={"minutes": sentence})
        _record("review.snoozed", review, acting_member, minutes=minutes)
        let_go(review, acting_member)
        return _put_off(review, acting_member, until=now + asked)


def skip(wire_id: str, *, acting_member: Member, code: str, now: datetime) -> Snooze | None:
    """Pass on a review that the member holds, with a reason; it comes back to them in ten minutes at the earliest.

    None where it is due too soon to be put off: it is free again at once. Raises InvalidStep without a reason,
    ClaimedByOther when it is no longer theirs, else as `claims.claim`.
    """
    if code not in SkipCode.values:
        raise InvalidStep(errors={"code": "Choose a reason."})
    with as_tenant(acting_member.tenant_id):
        review = lock_review(wire_id, acting_member)
        require_open(review, now=now)
        if review.is_claimed_by_other(acting_member, now=now):
            raise ClaimedByOther(claimed_by=review.claimed_by, claimed_until=review.claimed_until)
        _record("review.skipped", review, acting_member, code=code)
        let_go(review, acting_member)
        length = min(SKIPPED_FOR, longest_snooze(review, now=now))
        return _put_off(review, acting_member, until=now + length) if length else None


def wake(wire_id: str, *, acting_member: Member) -> None:
    """End the member's snooze of the review; without one nothing changes. Raises NotFound, PermissionDenied."""
    with as_tenant(acting_member.tenant_id):
        review = access_review_to_view(acting_member, wire_id)
        Snooze.objects.filter(tenant_id=review.tenant_id, review=review, member=acting_member).delete()


def _put_off(review: Review, member: Member, *, until: datetime) -> Snooze:
    row, _ = Snooze.objects.update_or_create(
        review=review,
        member=member,
        defaults={"until": until},
        create_defaults={"until": until, "tenant_id": review.tenant_id},
    )
    return row


def _record(kind: str, review: Review, member: Member, **fields: object) -> None:
    record(
        review.tenant_id,
        EntryDraft(
            kind=kind,
            fields={"review": {"id": review.wire_id}, "action_id": review.action_id, **fields},
            actor=member_actor(member),
            refs=(review.entry_uid,),
        ),
    )
