"""Taking a verdict back: while it is on hold, or while it waits for the second person. Source: reviewer-experience.md."""

from __future__ import annotations

from datetime import datetime, timedelta
from typing import Final

from audit.record import EntryDraft, record
from audit.scope import as_tenant
from reviews import grants
from reviews.access import access_review_to_view, is_own_request
from reviews.claims import member_actor
from reviews.errors import UndoTooLate
from reviews.grouping import undo_copies
from reviews.models import Review, Verdict
from reviews.resumes import cancel_delivery
from reviews.states import Event, State, next_state
from tenants.models import Member
from tenants.roles import permissions_of

# Undo ends this long before the release, so that it never races with the caller being told.
UNDO_MARGIN: Final = timedelta(seconds=1)


def undo(wire_id: str, *, acting_member: Member, now: datetime) -> Review:
    """Take the verdict back: the review is open again, or waits for a first approval again.

    A verdict on hold: whoever gave it, or a lead whose own request it is not.
    An approval that waits for a second one: whoever gave it, alone, and
    nobody else can tell. Raises UndoTooLate within a second of the release, or once another has decided.
    """
    with as_tenant(acting_member.tenant_id):
        review_id = access_review_to_view(acting_member, wire_id).pk
        review = (
            Review.objects.select_for_update(no_key=True, of=("self",))
            .select_related("agent")
            .prefetch_related("verdicts")
            .get(pk=review_id)
        )
        waiting = waiting_approval_of(review, acting_member, now=now)
        verdict = waiting or review.verdict
        if verdict is None or not (waiting or can_undo(review, verdict, acting_member, now=now)):
            raise UndoTooLate
        record(
            review.tenant_id,
            EntryDraft(
                kind="review.undone",
                fields={
                    "review": {"id": review.wire_id},
                    "action_id": review.action_id,
                    "verdict": verdict.kind,
                    "slot": verdict.slot,
                },
                actor=member_actor(acting_member),
                refs=(verdict.entry_uid,),
            ),
        )
        verdict.undone_at = now
        verdict.save(update_fields=["undone_at"])
        if waiting is not None:
            return review
        grants.void(verdict, now=now)
        cancel_delivery(verdict)
        state = next_state(review.state, Event.UNDO)
        assert state is not None  # can_undo said that it is on hold
        review.state = state
        review.version += 1
        review.release_at = review.ended_at = None
        review.save(update_fields=["state", "version", "release_at", "ended_at"])
        undo_copies(review, verdict, acting_member=acting_member, now=now)
        return review


def can_undo(review: Review, verdict: Verdict, member: Member, *, now: datetime) -> bool:
    """Whether the member may still take this deciding verdict back at `now`."""
    if review.state != State.ON_HOLD or review.release_at is None or review.release_at - now <= UNDO_MARGIN:
        return False
    if verdict.member_id == member.pk:
        return True
    # Who never decides a call does not make it wait again either.
    return "reviews.lead_queue" in permissions_of(member.roles) and not is_own_request(review, member)


def waiting_approval_of(review: Review, member: Member, *, now: datetime) -> Verdict | None:
    """The member's own approval that waits for another person's, if there is one."""
    if review.state_at(now) is not State.OPEN:
        return None
    return next((verdict for verdict in review.standing_verdicts if verdict.member_id == member.pk), None)
