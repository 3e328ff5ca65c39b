"""Claims: a lease that says who is on a review. Opening a card claims nothing.

Source: reviewer-experience.md ("Queue mechanics"). Lock order: the member's own row, then the review; the member's row
makes a person's claims one after the other, so that no two of their tabs pass the limit together.
"""

from __future__ import annotations

import json
from datetime import datetime, timedelta
from uuid import UUID

from django.core.exceptions import PermissionDenied

from audit.record import Actor, Disclosure, EntryDraft, record
from audit.scope import as_tenant
from reviews.access import access_review_to_decide, find_review, is_own_request
from reviews.errors import AlreadyDecided, AlreadyGiven, ClaimedByOther, Expired, InvalidStep, TooManyClaims
from reviews.models import Review, TakeOver
from reviews.queue_rows import Wanted, offered
from reviews.routing import DECIDE, LEAD, reach_of
from reviews.states import State
from tenants.isolation import rows_of
from tenants.models import Member
from tenants.roles import permissions_of

LEASE = timedelta(minutes=5)
LEASE_WITHOUT_SCRIPT = timedelta(minutes=15)
IDLE_BEFORE_TAKE_OVER = timedelta(seconds=60)
CLAIMS_PER_MEMBER = 5
LONGEST_REASON = 200
# Rows at the top of the queue that turn out to be the member's own requests only when their context is read.
TRIES = 20


def member_actor(member: Member) -> Actor:
    """The member as the actor of an entry."""
    return Actor(type="member", id=str(member.pk))


def claim(wire_id: str, *, acting_member: Member, now: datetime, lease: timedelta = LEASE_WITHOUT_SCRIPT) -> Review:
    """Take or renew the lease; never past `expires_at`.

    Raises ClaimedByOther, TooManyClaims, AlreadyDecided, AlreadyGiven, Expired, OwnRequest, NotYourTeam, NotFound, PermissionDenied.
    """
    with as_tenant(acting_member.tenant_id):
        _lock_member(acting_member)
        review = lock_review(wire_id, acting_member)
        require_open(review, now=now)
        _require_undecided(review, acting_member)
        if review.is_claimed_by_other(acting_member, now=now):
            raise ClaimedByOther(claimed_by=review.claimed_by, claimed_until=review.claimed_until)
        return _hold(review, acting_member, now=now, lease=lease)


def take_over(
    wire_id: str, *, acting_member: Member, reason: str, now: datetime, lease: timedelta = LEASE_WITHOUT_SCRIPT
) -> Review:
    """Take another's lease, idle for a minute or by a lead; the reason is kept, and told to whoever held it.

    Raises ClaimedByOther while the lease is in use, InvalidStep without a reason, else as `claim`.
    """
    text = " ".join(reason.split())
    with as_tenant(acting_member.tenant_id):
        _lock_member(acting_member)
        review = lock_review(wire_id, acting_member)
        require_open(review, now=now)
        _require_undecided(review, acting_member)
        holder = review.claimed_by if review.is_claimed_by_other(acting_member, now=now) else None
        if holder is None:
            return _hold(review, acting_member, now=now, lease=lease)
        if not can_take_over(review, acting_member, now=now):
            raise ClaimedByOther(claimed_by=holder, claimed_until=review.claimed_until)
        if not text or len(text) > LONGEST_REASON:
            raise InvalidStep(
                errors={"reason": f"Say why, in at most {LONGEST_REASON} characters: the holder reads it."}
            )
        TakeOver.objects.create(
            tenant_id=review.tenant_id, review=review, from_member=holder, by=acting_member, reason=text, at=now
        )
        return _hold(review, acting_member, now=now, lease=lease, taken_from=holder, reason=text)


def can_take_over(review: Review, member: Member, *, now: datetime) -> bool:
    """Whether the member may take the lease from its holder now."""
    if LEAD in permissions_of(member.roles):
        return True
    return review.claim_used_at is None or now - review.claim_used_at >= IDLE_BEFORE_TAKE_OVER


def taken_from(review: Review, member: Member) -> TakeOver | None:
    """Who took the member's claim on this review and holds it now, with the reason; None when nobody did."""
    if review.claimed_by_id is None or review.claimed_by_id == member.pk:
        return None
    last = rows_of(TakeOver, review.tenant_id).filter(review=review).select_related("by__user").order_by("-id").first()
    if last is None or last.from_member_id != member.pk or last.by_id != review.claimed_by_id:
        return None
    return last


def take_next(
    *, acting_member: Member, wanted: Wanted, now: datetime, lease: timedelta = LEASE_WITHOUT_SCRIPT
) -> Review | None:
    """Claim the most urgent review that is free and the member's to decide; None when there is none.

    By `due_at`, then tier, then age. The row is found and locked in one statement that skips rows others have locked,
    so two people who ask at once never get the same one. Raises TooManyClaims, PermissionDenied.
    """
    if DECIDE not in permissions_of(acting_member.roles):
        raise PermissionDenied
    with as_tenant(acting_member.tenant_id):
        _lock_member(acting_member)
        _require_room(acting_member, now=now)
        free = offered(acting_member, reach_of(acting_member), wanted, now=now)
        passed: list[UUID] = []
        for _ in range(TRIES):
            review = (
                free.exclude(pk__in=passed)
                .select_for_update(no_key=True, of=("self",), skip_locked=True)
                .order_by("due_at", "-tier", "created_at", "id")
                .first()
            )
            if review is None:
                return None
            if not is_own_request(review, acting_member):
                return _hold(review, acting_member, now=now, lease=lease)
            passed.append(review.pk)
    return None


def release(wire_id: str, *, acting_member: Member, now: datetime) -> Review:
    """Give one's own lease back; without one nothing changes, whatever became of the review.

    Raises NotFound, PermissionDenied.
    """
    if DECIDE not in permissions_of(acting_member.roles):
        raise PermissionDenied
    with as_tenant(acting_member.tenant_id):
        review = _locked(find_review(acting_member.tenant_id, wire_id))
        let_go(review, acting_member)
        return review


def let_go(review: Review, member: Member) -> bool:
    """Whether the member held a lease on the locked review, which is now free; with its entry."""
    if review.claimed_by_id != member.pk:
        return False
    _clear(review)
    _record(review, "review.released", member)
    return True


def clear_claim(review: Review) -> None:
    """End whoever's lease on the locked review; what ends it has its own entry."""
    if review.claimed_by_id is not None:
        _clear(review)


def require_open(review: Review, *, now: datetime) -> None:
    """Raise AlreadyDecided or Expired unless the review still waits for a verdict."""
    state = review.state_at(now)
    if state is State.EXPIRED:
        raise Expired
    if state is not State.OPEN:
        raise AlreadyDecided


def _require_undecided(review: Review, member: Member) -> None:
    """Raise AlreadyGiven for whoever approved first: a lease of theirs would keep the second person out."""
    if review.approvals_needed > 1 and any(one.member_id == member.pk for one in review.standing_verdicts):
        raise AlreadyGiven


def lock_review(wire_id: str, member: Member) -> Review:
    """The review, locked, for somebody who may decide it. Raises as `access_review_to_decide`."""
    return _locked(access_review_to_decide(member, wire_id))


def _locked(review: Review) -> Review:
    return (
        Review.objects.select_for_update(no_key=True, of=("self",))
        .select_related("agent", "claimed_by__user", "assigned_to__user")
        .get(pk=review.pk)
    )


def _lock_member(member: Member) -> None:
    Member.objects.select_for_update(no_key=True, of=("self",)).only("pk").get(pk=member.pk)


def _require_room(member: Member, *, now: datetime) -> None:
    mine = Review.objects.of_tenant(member.tenant_id).claimed_by_member(member, now=now)
    if mine.filter(state=State.OPEN, expires_at__gt=now).count() >= CLAIMS_PER_MEMBER:
        raise TooManyClaims


def _hold(
    review: Review,
    member: Member,
    *,
    now: datetime,
    lease: timedelta,
    taken_from: Member | None = None,
    reason: str = "",
) -> Review:
    renewed = review.claimed_by_id == member.pk and review.claimed_until is not None and now < review.claimed_until
    if not renewed:
        _require_room(member, now=now)
    review.claimed_by = member
    review.claimed_until = min(now + lease, review.expires_at)
    review.claim_used_at = now
    review.first_claimed_at = review.first_claimed_at or now
    review.save(update_fields=["claimed_by", "claimed_until", "claim_used_at", "first_claimed_at"])
    if not renewed:
        _record(review, "review.claimed", member, taken_from=taken_from, reason=reason)
    return review


def _clear(review: Review) -> None:
    review.claimed_by = None
    review.claimed_until = review.claim_used_at = None
    review.save(update_fields=["claimed_by", "claimed_until", "claim_used_at"])


def _record(review: Review, kind: str, member: Member, *, taken_from: Member | None = None, reason: str = "") -> None:
    fields: dict[str, object] = {"review": {"id": review.wire_id}, "action_id": review.action_id}
    if kind == "review.claimed":
        fields["taken_over"] = taken_from is not None
    if taken_from is not None:
        fields["from_member"] = str(taken_from.pk)
    record(
        review.tenant_id,
        EntryDraft(
            kind=kind,
            fields=fields,
            actor=member_actor(member),
            refs=(review.entry_uid,),
            disclosures=(Disclosure("reason", json.dumps(reason, ensure_ascii=False)),) if reason else (),
        ),
    )
