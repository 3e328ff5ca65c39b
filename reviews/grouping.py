"""What a verdict does to the waiting copies of its call, and how it is taken back.

One approval runs one call: the other copies are superseded, unless the reviewer raises the count. A denial covers all.
Source: reviewer-experience.md ("Queue mechanics"). See `copies.py` for how reviews become copies.
"""

from __future__ import annotations

from datetime import datetime

from django.db.models import Q

from audit.record import EntryDraft, record
from reviews import grants
from reviews.claims import member_actor
from reviews.copies import lock_copies, waiting_copies
from reviews.endings import end
from reviews.errors import InvalidVerdict
from reviews.models import ResumeDelivery, Review, Verdict
from reviews.resumes import cancel_delivery, enqueue
from reviews.states import Event, State, VerdictKind
from reviews.verdict_entries import record_verdict
from tenants.models import Member
from tenants.stepup import Evidence

# How the verdict of a copy was given: by that of its leader.
VIA_COPY = "copy"


def check_count(review: Review, verdict_kind: str, count: int, *, now: datetime) -> None:
    """Raise InvalidVerdict unless `count` of the waiting calls may run by one verdict of this kind."""
    if count == 1:
        return
    waits = 1 + waiting_copies(review, now=now).filter(approvals_needed=1).count()
    if verdict_kind != VerdictKind.APPROVE or review.approvals_needed > 1:
        raise InvalidVerdict(errors={"count": "Only one call can run by this verdict."})
    if not 1 <= count <= waits:
        raise InvalidVerdict(errors={"count": f"Choose between 1 and {waits}: so many of these calls still wait."})


def settle_copies(review: Review, verdict: Verdict, *, acting_member: Member, count: int, now: datetime) -> int:
    """End the waiting copies of a review that was just decided; how many there were.

    Call in the verdict's transaction, with the review locked. A denial denies each; an approval approves `count` - 1
    more, oldest first, and supersedes the rest. Each copy has its own verdict or duplicate_of, entry and delivery, and
    can be undone as long as the verdict can. Raises InvalidVerdict for a count that does not fit.
    """
    check_count(review, verdict.kind, count, now=now)
    copies = list(lock_copies(waiting_copies(review, now=now)).prefetch_related("verdicts"))
    if verdict.kind == VerdictKind.DENY:
        more = copies
    else:
        # A copy that somebody amended by its own address may want two people by now: one verdict is not enough for it.
        more = [copy for copy in copies if copy.approvals_needed == 1][: count - 1]
    for copy in copies:
        if copy in more:
            _decide(copy, verdict, acting_member=acting_member, now=now)
        else:
            _supersede(copy, review, verdict, acting_member=acting_member, now=now)
    return len(copies)


def undo_copies(review: Review, verdict: Verdict, *, acting_member: Member, now: datetime) -> int:
    """Reopen what a verdict that is taken back did to the copies; how many. In the undo's transaction, review locked.

    A copy whose own verdict is taken back stands for itself from then on.
    """
    if review.copy_of_id is not None:
        review.copy_of = None
        review.save(update_fields=["copy_of"])
    settled = Review.objects.of_tenant(review.tenant_id).filter(copy_of=review, release_at=verdict.release_at)
    copies = list(
        lock_copies(settled.filter(Q(state=State.ON_HOLD) | Q(state=State.SUPERSEDED))).prefetch_related("verdicts")
    )
    reopened = 0
    for copy in copies:
        own = copy.verdict
        if own is not None:
            if own.via != VIA_COPY or own.created_at != verdict.created_at:
                continue
            own.undone_at = now
            own.save(update_fields=["undone_at"])
            grants.void(own, now=now)
            cancel_delivery(own)
        else:
            _cancel_told(copy)
        copy.state = State.OPEN
        copy.version += 1
        copy.duplicate_of = None
        copy.release_at = copy.ended_at = None
        copy.save(update_fields=["state", "version", "duplicate_of", "release_at", "ended_at"])
        _record("review.undone", copy, review, acting_member, verdict)
        reopened += 1
    return reopened


def _decide(copy: Review, given: Verdict, *, acting_member: Member, now: datetime) -> None:
    earlier = clear_verdicts(copy, now=now)
    verdict = Verdict(
        tenant_id=copy.tenant_id,
        review=copy,
        member=acting_member,
        kind=given.kind,
        code=given.code,
        message=given.message,
        note=given.note,
        seen_version=copy.version,
        call_digest=copy.call_digest,
        created_at=now,
        release_at=given.release_at,
        via=VIA_COPY,
        auth_method=given.auth_method,
        auth_at=given.auth_at,
        template_digest=given.template_digest,
    )
    grant = grants.build(copy, verdict) if verdict.kind != VerdictKind.DENY else None
    evidence = Evidence(given.auth_method, given.auth_at) if given.auth_at is not None else None
    verdict.entry_uid = record_verdict(
        copy, verdict, is_final=True, grant=grant, amendment=None, cleared=earlier, evidence=evidence, now=now
    ).uid
    verdict.save(force_insert=True)
    if grant is not None:
        grant.save(force_insert=True)
    end(copy, Event.DECIDE, release_at=given.release_at, first_at=now, now=now)
    enqueue(copy, cause=verdict.kind[:12], verdict=verdict, due_at=given.release_at)


def clear_verdicts(review: Review, *, now: datetime) -> tuple[Verdict, ...]:
    """End the approvals that stand on a locked review, because its call is another now or decided otherwise."""
    earlier = tuple(review.standing_verdicts)
    for verdict in earlier:
        verdict.cleared_at = now
        verdict.save(update_fields=["cleared_at"])
    return earlier


def _supersede(copy: Review, leader: Review, given: Verdict, *, acting_member: Member, now: datetime) -> None:
    copy.duplicate_of = leader
    _record("review.superseded", copy, leader, acting_member, given)
    end(copy, Event.SUPERSEDE, release_at=given.release_at, first_at=now, now=now)
    # Not before the hold ends: until then the caller hears nothing, and the copy can wait again.
    enqueue(copy, cause="superseded", verdict=None, due_at=given.release_at)


def _cancel_told(copy: Review) -> None:
    ResumeDelivery.objects.filter(review=copy, cause="superseded", state=ResumeDelivery.State.WAITING).update(
        state=ResumeDelivery.State.CANCELLED
    )


def _record(kind: str, copy: Review, leader: Review, acting_member: Member, verdict: Verdict) -> None:
    record(
        copy.tenant_id,
        EntryDraft(
            kind=kind,
            fields={
                "review": {"id": copy.wire_id},
                "action_id": copy.action_id,
                "copy_of": leader.wire_id,
                "verdict": verdict.kind,
            },
            actor=member_actor(acting_member),
            refs=(copy.entry_uid, verdict.entry_uid),
        ),
    )
