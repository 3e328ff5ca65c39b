"""Saying of a released verdict that it was a mistake: a note under one's name for whoever reads it next.

It changes nothing of the verdict or of what ran. The receipt and the earlier verdicts of calls like it show it.
Source: reviewer-experience.md ("Pages").
"""

from __future__ import annotations

import json
from datetime import datetime
from typing import Final

from django.core.exceptions import PermissionDenied

from audit.record import Disclosure, EntryDraft, record
from audit.scope import as_tenant
from reviews.access import access_review_to_view
from reviews.claims import member_actor
from reviews.errors import FlaggedAlready, InvalidStep, NotReleased
from reviews.models import Review, Verdict, VerdictFlag
from reviews.states import State
from tenants.models import Member
from tenants.roles import permissions_of

LEAST_NOTE: Final = 10
MOST_NOTE: Final = 500
# Who decides, and who audits: both judge verdicts.
_ANY_OF: Final = frozenset({"reviews.decide_review", "audit.view_entry"})


def may_flag(member: Member) -> bool:
    """Whether the member may say so of any verdict."""
    return bool(_ANY_OF & permissions_of(member.roles))


def require_released(review: Review, *, now: datetime) -> Verdict:
    """The verdict that decided it. Raises NotReleased where there is none or it can still be taken back."""
    verdict = review.verdict
    if verdict is None or review.state_at(now) is not State.RELEASED:
        raise NotReleased
    return verdict


def flag(wire_id: str, *, acting_member: Member, note: str, now: datetime) -> VerdictFlag:
    """The flag, recorded. One stands per person.

    Raises InvalidStep (`errors`: field to sentence) for a note of under 10 or over 500 characters, NotReleased,
    FlaggedAlready, NotFound, PermissionDenied.
    """
    words = note.strip()
    if not LEAST_NOTE <= len(words) <= MOST_NOTE or "\x00" in words:
        raise InvalidStep(errors={"note": f"Say in {LEAST_NOTE} to {MOST_NOTE} characters what was wrong."})
    with as_tenant(acting_member.tenant_id):
        review = _locked(wire_id, acting_member)
        verdict = require_released(review, now=now)
        if _own(verdict, acting_member) is not None:
            raise FlaggedAlready
        row = VerdictFlag.objects.create(
            tenant_id=review.tenant_id, verdict=verdict, member=acting_member, note=words, flagged_at=now
        )
        _record("verdict.flagged", review, verdict, acting_member, note=words)
        return row


def withdraw(wire_id: str, *, acting_member: Member, now: datetime) -> None:
    """Take one's own flag back; it stays in the log. Without one nothing changes. Raises NotFound, PermissionDenied."""
    with as_tenant(acting_member.tenant_id):
        review = _locked(wire_id, acting_member)
        row = _own(review.verdict, acting_member) if review.verdict is not None else None
        if row is None:
            return
        row.withdrawn_at = now
        row.save(update_fields=["withdrawn_at"])
        _record("verdict.flag_withdrawn", review, row.verdict, acting_member)


def flags_of(verdict: Verdict | None) -> list[VerdictFlag]:
    """The flags that stand, oldest first."""
    if verdict is None:
        return []
    return list(
        VerdictFlag.objects.filter(tenant_id=verdict.tenant_id, verdict=verdict, withdrawn_at=None)
        .select_related("member__user")
        .order_by("flagged_at")
    )


def _locked(wire_id: str, member: Member) -> Review:
    if not may_flag(member):
        raise PermissionDenied
    review = access_review_to_view(member, wire_id)
    # Two flags of one person wait for each other.
    return Review.objects.select_for_update(no_key=True, of=("self",)).prefetch_related("verdicts").get(pk=review.pk)


def _own(verdict: Verdict, member: Member) -> VerdictFlag | None:
    return VerdictFlag.objects.filter(verdict=verdict, member=member, withdrawn_at=None).first()


def _record(kind: str, review: Review, verdict: Verdict, member: Member, *, note: str = "") -> None:
    record(
        review.tenant_id,
        EntryDraft(
            kind=kind,
            fields={"review": {"id": review.wire_id}, "action_id": review.action_id},
            actor=member_actor(member),
            refs=(verdict.entry_uid,),
            disclosures=(Disclosure("note", json.dumps(note, ensure_ascii=False)),) if note else (),
        ),
    )
