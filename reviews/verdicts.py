"""The write path of a verdict, and its undo. Source: house-style.md section 4, reviewer-experience.md sections 2 and 5."""

from __future__ import annotations

import json
from dataclasses import dataclass
from datetime import datetime, timedelta

from audit.record import Disclosure, EntryDraft, Recorded, record
from audit.scope import as_tenant
from reviews import grants
from reviews.access import access_review_to_decide, access_review_to_view
from reviews.claims import member_actor, require_open
from reviews.errors import AlreadyDecided, ClaimedByOther, InvalidVerdict, Stale, UndoTooLate
from reviews.models import Review, Verdict
from reviews.resumes import cancel_delivery, enqueue
from reviews.states import Event, State, VerdictKind, next_state
from tenants.models import Member
from tenants.roles import permissions_of

# Undo ends this long before the release, so that it never races with the caller being told.
UNDO_MARGIN = timedelta(seconds=1)
MAX_HOLD_SECONDS = 60
MAX_MESSAGE = 500
MAX_NOTE = 4000
LEAST_NOTE_FROM_TIER_3 = 10

APPROVE_CODES = (Verdict.Code.LOOKS_RIGHT, Verdict.Code.EXPECTED, Verdict.Code.CHECKED, Verdict.Code.OTHER)
DENY_CODES = (
    Verdict.Code.WRONG_AMOUNT,
    Verdict.Code.WRONG_TARGET,
    Verdict.Code.NOT_AUTHORISED,
    Verdict.Code.OTHER_APPROACH,
    Verdict.Code.SUSPICIOUS,
    Verdict.Code.OTHER,
)


@dataclass(frozen=True)
class Choice:
    """What the reviewer filled in."""

    kind: str
    code: str
    message: str = ""
    note: str = ""


def decide(
    wire_id: str, *, acting_member: Member, choice: Choice, seen_version: int, seen_digest: str, now: datetime
) -> Verdict:
    """The verdict, with its entry, its grant and its resume delivery in one transaction; the review stays locked for it.

    Raises AlreadyDecided, Expired, Stale (version or digest are not those on the reviewer's screen), ClaimedByOther,
    InvalidVerdict (`errors`: field → sentence), OwnRequest, NotFound, PermissionDenied.
    """
    with as_tenant(acting_member.tenant_id):
        review_id = access_review_to_decide(acting_member, wire_id).pk
        review = (
            Review.objects.select_for_update(no_key=True, of=("self",))
            .select_related("agent", "claimed_by__user")
            .get(pk=review_id)
        )
        require_open(review, now=now)
        state = next_state(review.state, Event.DECIDE)
        if state is None:
            raise AlreadyDecided
        if review.version != seen_version or review.call_digest != seen_digest:
            raise Stale
        if review.is_claimed_by_other(acting_member, now=now):
            raise ClaimedByOther(claimed_by=review.claimed_by, claimed_until=review.claimed_until)
        _check(choice, tier=review.tier)
        # A deadline that is near shortens the hold: a verdict in time is never lost to its own hold.
        hold = min(timedelta(seconds=min(review.hold_seconds, MAX_HOLD_SECONDS)), review.expires_at - now)
        verdict = Verdict(
            tenant_id=review.tenant_id,
            review=review,
            member=acting_member,
            kind=choice.kind,
            code=choice.code,
            message=choice.message,
            note=choice.note,
            seen_version=seen_version,
            call_digest=seen_digest,
            created_at=now,
            release_at=now + hold,
        )
        grant = grants.build(review, verdict) if choice.kind == VerdictKind.APPROVE else None
        verdict.entry_uid = _record_verdict(review, verdict, grant_id=grant.wire_id if grant else None).uid
        verdict.save(force_insert=True)
        if grant is not None:
            grant.save(force_insert=True)
        review.state = state
        review.version += 1
        review.release_at = verdict.release_at
        review.ended_at = now
        review.breached = now > review.due_at
        review.first_claimed_at = review.first_claimed_at or now
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
            ]
        )
        enqueue(review, cause=choice.kind[:12], verdict=verdict, due_at=verdict.release_at)
        return verdict


def undo(wire_id: str, *, acting_member: Member, now: datetime) -> Review:
    """Take the verdict back while it is on hold: the review is open again.

    Only whoever decided, or a lead. Raises UndoTooLate within a second of the release or after it.
    """
    with as_tenant(acting_member.tenant_id):
        review_id = access_review_to_view(acting_member, wire_id).pk
        review = Review.objects.select_for_update(no_key=True, of=("self",)).select_related("agent").get(pk=review_id)
        verdict = review.verdict
        state = next_state(review.state, Event.UNDO)
        if state is None or verdict is None or not can_undo(review, verdict, acting_member, now=now):
            raise UndoTooLate
        record(
            review.tenant_id,
            EntryDraft(
                kind="review.undone",
                fields={"review": {"id": review.wire_id}, "action_id": review.action_id, "verdict": verdict.kind},
                actor=member_actor(acting_member),
                refs=(verdict.entry_uid,),
            ),
        )
        verdict.undone_at = now
        verdict.save(update_fields=["undone_at"])
        grants.void(verdict, now=now)
        cancel_delivery(verdict)
        review.state = state
        review.version += 1
        review.release_at = review.ended_at = None
        review.save(update_fields=["state", "version", "release_at", "ended_at"])
        return review


def can_undo(review: Review, verdict: Verdict, member: Member, *, now: datetime) -> bool:
    """Whether the member may still take this verdict back at `now`."""
    if review.state != State.ON_HOLD or review.release_at is None or review.release_at - now <= UNDO_MARGIN:
        return False
    return verdict.member_id == member.pk or "reviews.lead_queue" in permissions_of(member.roles)


def _check(choice: Choice, *, tier: int) -> None:
    errors: dict[str, str] = {}
    codes = {VerdictKind.APPROVE: APPROVE_CODES, VerdictKind.DENY: DENY_CODES}.get(VerdictKind(choice.kind))
    if codes is None:
        errors["kind"] = "Choose approve or deny."
    elif choice.code not in codes:
        errors["code"] = "Choose a reason."
    if len(choice.message) > MAX_MESSAGE:
        errors["message"] = f"Keep the message to the agent within {MAX_MESSAGE} characters."
    if len(choice.note) > MAX_NOTE:
        errors["note"] = f"Keep the note within {MAX_NOTE} characters."
    elif tier >= 3 and choice.kind == VerdictKind.APPROVE and len(choice.note.strip()) < LEAST_NOTE_FROM_TIER_3:
        errors["note"] = f"At tier {tier}, say in {LEAST_NOTE_FROM_TIER_3} characters or more why this is right."
    if errors:
        raise InvalidVerdict(errors=errors)


def _record_verdict(review: Review, verdict: Verdict, *, grant_id: str | None) -> Recorded:
    fields: dict[str, object] = {
        "review": {"id": review.wire_id},
        "action_id": review.action_id,
        "verdict": verdict.kind,
        "code": verdict.code,
        "tier": review.tier,
        "call_digest": verdict.call_digest,
        "version": verdict.seen_version,
        "release_at_us": int(verdict.release_at.timestamp() * 1_000_000),
    }
    if review.rule_id:
        fields["rule"] = {"id": review.rule_id}
    if review.revision_id:
        fields["revision"] = {"id": review.revision_id, "sha256": review.revision_sha256}
    if grant_id is not None:
        fields["grant"] = {"id": grant_id}
    user = verdict.member.user
    disclosures = [
        Disclosure("reviewer.name", json.dumps(user.name, ensure_ascii=False)),
        Disclosure("reviewer.email", json.dumps(user.email, ensure_ascii=False)),
    ]
    if verdict.message:
        disclosures.append(Disclosure("message", json.dumps(verdict.message, ensure_ascii=False)))
    if verdict.note:
        disclosures.append(Disclosure("note", json.dumps(verdict.note, ensure_ascii=False)))
    return record(
        review.tenant_id,
        EntryDraft(
            kind="review.decided",
            fields=fields,
            actor=member_actor(verdict.member),
            refs=(review.entry_uid,),
            disclosures=tuple(disclosures),
        ),
    )
