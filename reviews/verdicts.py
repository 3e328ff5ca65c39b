"""The write path of a verdict. Source: house-style.md section 4, reviewer-experience.md sections 2, 4 and 5."""

from __future__ import annotations

import json
from datetime import datetime, timedelta

from audit.scope import as_tenant
from reviews import amendments, drafts, grants
from reviews.access import access_review_to_decide
from reviews.amendments import Amendment
from reviews.asked import Asked, active_template, asked_call
from reviews.choices import MAX_MESSAGE, MAX_NOTE, Choice
from reviews.claims import require_open
from reviews.endings import end
from reviews.errors import AlreadyDecided, AlreadyGiven, ClaimedByOther, FormSpent, Stale
from reviews.friction import check_choice, require_evidence
from reviews.grouping import clear_verdicts, settle_copies
from reviews.ladder import TWO_PEOPLE_TIER, Via
from reviews.models import Review, Verdict
from reviews.resumes import enqueue
from reviews.states import Event, State, VerdictKind
from reviews.undoing import can_undo, undo
from reviews.verdict_entries import record_verdict
from reviews.verdict_words import APPROVE_CODES, DENY_CODES
from tenants.models import Member
from tenants.stepup import Evidence

__all__ = ["APPROVE_CODES", "DENY_CODES", "MAX_MESSAGE", "MAX_NOTE", "Choice", "can_undo", "decide", "undo"]

MAX_HOLD_SECONDS = 60
TEMPLATE_CHANGED = (
    "The card template of this action was replaced while you were reading, so nothing of yours was sent. "
    "The card now reads as the new one says: read it again, then decide. Your draft is kept."
)


def decide(
    wire_id: str,
    *,
    acting_member: Member,
    choice: Choice,
    seen_version: int,
    seen_digest: str,
    now: datetime,
    evidence: Evidence | None = None,
    seen_template: str | None = None,
    idempotency_key: str = "",
    via: str = Via.WEB,
    count: int = 1,
) -> Verdict:
    """The verdict with its entry, in one transaction in which the review stays locked.

    The one that decides (a denial; the last approval that the review needs) brings the state, the grant and the resume
    delivery along; an approval before the last changes no column that another person, or the agent, can see.
    The same form sent again gives the stored verdict. `count` says how many of the waiting copies may run.

    Raises AlreadyDecided, AlreadyGiven, Expired, Stale (version, digest or card template are not those on the screen),
    FormSpent, ClaimedByOther, InvalidVerdict (`errors`: field to sentence), InvalidAmendment, StepUpNeeded, OwnRequest,
    NotFound, PermissionDenied.
    """
    with as_tenant(acting_member.tenant_id):
        review = _locked(wire_id, acting_member)
        sent_before = _sent_before(review, acting_member, choice, idempotency_key)
        if sent_before is not None:
            return sent_before
        require_open(review, now=now)
        asked = asked_call(review)
        template = active_template(review)
        if review.version != seen_version or asked.digest != seen_digest:
            raise Stale
        if seen_template is not None and seen_template != (template.digest if template else ""):
            raise Stale(TEMPLATE_CHANGED)
        if any(verdict.member_id == acting_member.pk for verdict in review.standing_verdicts):
            raise AlreadyGiven
        if review.is_claimed_by_other(acting_member, now=now):
            raise ClaimedByOther(claimed_by=review.claimed_by, claimed_until=review.claimed_until)
        amendment = None
        if choice.kind == VerdictKind.APPROVE_WITH_AMENDMENTS and choice.params is not None:
            amendment = amendments.propose(review, choice.params, template=template, now=now)
        tier = max(review.tier, amendment.tier) if amendment else review.tier
        check_choice(choice, review=review, tier=tier, via=via, template=template, amendment=amendment, now=now)
        proof = require_evidence(evidence, kind=choice.kind, tier=tier, via=via, tenant_id=review.tenant_id, now=now)
        verdict = _new_verdict(
            review, acting_member, choice, asked=asked, amendment=amendment, seen_version=seen_version, now=now
        )
        verdict.via = via
        verdict.idempotency_key = idempotency_key
        verdict.template_digest = template.digest if template else ""
        if proof is not None:
            verdict.auth_method, verdict.auth_at = proof.method[:20], proof.at
        _raise_tier(review, tier, amendment)
        cleared = clear_verdicts(review, now=now) if amendment else ()
        standing = review.standing_verdicts
        # The last slot is the verdict that decides; one that was taken back leaves its slot empty.
        verdict.slot = 1 + max((one.slot for one in standing), default=0)
        is_final = choice.kind == VerdictKind.DENY or 1 + len(standing) >= review.approvals_needed
        # After the second of several nothing is held back: in a hold one could read the first verdict, and decide anew.
        if is_final and tier < TWO_PEOPLE_TIER and review.approvals_needed < 2:
            # A deadline that is near shortens the hold: a verdict in time is never lost to its own hold.
            hold = timedelta(seconds=min(review.hold_seconds, MAX_HOLD_SECONDS))
            verdict.release_at = now + min(hold, review.expires_at - now)
        grant = grants.build(review, verdict) if is_final and choice.kind != VerdictKind.DENY else None
        verdict.entry_uid = record_verdict(
            review,
            verdict,
            is_final=is_final,
            grant=grant,
            amendment=amendment,
            cleared=cleared,
            evidence=proof,
            now=now,
        ).uid
        verdict.save(force_insert=True)
        if grant is not None:
            grant.save(force_insert=True)
        if is_final:
            _end(review, verdict, now=now)
            settle_copies(review, verdict, acting_member=acting_member, count=count, now=now)
        else:
            _wait_for_another(review, acting_member)
        drafts.clear(review, acting_member)
        return verdict


def _locked(wire_id: str, member: Member) -> Review:
    """The review, locked, for somebody who may decide it; its verdicts as they are under the lock."""
    review_id = access_review_to_decide(member, wire_id).pk
    return (
        Review.objects.select_for_update(no_key=True, of=("self",))
        .select_related("agent", "claimed_by__user")
        .prefetch_related("verdicts")
        .get(pk=review_id)
    )


def _sent_before(review: Review, member: Member, choice: Choice, key: str) -> Verdict | None:
    """The verdict that this very form gave before.

    Raises FormSpent when that was taken back since, AlreadyDecided or AlreadyGiven when the form says something else now.
    """
    earlier = next(
        (one for one in review.verdicts.all() if key and one.idempotency_key == key and one.member_id == member.pk),
        None,
    )
    if earlier is None:
        return None
    if not earlier.stands:
        raise FormSpent
    said = (earlier.code, earlier.message, earlier.note)
    is_other = (earlier.kind == VerdictKind.DENY) != (choice.kind == VerdictKind.DENY) or (
        choice.params is not None and json.loads(earlier.amended_params_text or "null") != choice.params
    )
    if is_other or said != (choice.code, choice.message, choice.note):
        raise AlreadyGiven if review.state == State.OPEN else AlreadyDecided
    return earlier


def _new_verdict(
    review: Review,
    member: Member,
    choice: Choice,
    *,
    asked: Asked,
    amendment: Amendment | None,
    seen_version: int,
    now: datetime,
) -> Verdict:
    verdict = Verdict(
        tenant_id=review.tenant_id,
        review=review,
        member=member,
        kind=choice.kind,
        code=choice.code,
        message=choice.message,
        note=choice.note,
        seen_version=seen_version,
        call_digest=asked.digest,
        created_at=now,
        release_at=now,
    )
    if amendment is not None:
        verdict.amended_params_text = amendment.params_text
        verdict.amended_digest = amendment.digest
        verdict.amended_content_key = amendment.content_key
    elif asked.amendment is not None and choice.kind == VerdictKind.APPROVE:
        # The second of two approves the call that the first amended: that is what runs.
        verdict.kind = VerdictKind.APPROVE_WITH_AMENDMENTS
        verdict.amended_params_text = asked.params_text
        verdict.amended_digest = asked.digest
        verdict.amended_content_key = asked.content_key
    return verdict


def _raise_tier(review: Review, tier: int, amendment: Amendment | None) -> None:
    """Keep the higher tier that policy gives the amended call: the second person meets it too."""
    if amendment is None or tier <= review.tier:
        return
    review.tier = tier
    if tier >= TWO_PEOPLE_TIER:
        review.approvals_needed = max(2, review.approvals_needed)
    review.save(update_fields=["tier", "approvals_needed"])


def _end(review: Review, verdict: Verdict, *, now: datetime) -> None:
    first_at = min((one.created_at for one in review.standing_verdicts), default=now)
    end(review, Event.DECIDE, release_at=verdict.release_at, first_at=first_at, now=now)
    enqueue(review, cause=verdict.kind[:12], verdict=verdict, due_at=verdict.release_at)


def _wait_for_another(review: Review, member: Member) -> None:
    """Give the claim back, as anybody may at any time; nothing else about the review may tell that one has approved."""
    if review.claimed_by_id == member.pk:
        review.claimed_by = None
        review.claimed_until = review.claim_used_at = None
        review.save(update_fields=["claimed_by", "claimed_until", "claim_used_at"])
