"""Claims: a lease that says who is on a review. Opening a card claims nothing."""

from __future__ import annotations

from datetime import datetime, timedelta

from audit.record import Actor, EntryDraft, record
from audit.scope import as_tenant
from reviews.access import access_review_to_decide
from reviews.errors import AlreadyDecided, ClaimedByOther, Expired, TooManyClaims
from reviews.models import Review
from reviews.states import State
from tenants.models import Member
from tenants.roles import permissions_of

LEASE = timedelta(minutes=5)
LEASE_WITHOUT_SCRIPT = timedelta(minutes=15)
IDLE_BEFORE_TAKE_OVER = timedelta(seconds=60)
CLAIMS_PER_MEMBER = 5


def member_actor(member: Member) -> Actor:
    """The member as the actor of an entry."""
    return Actor(type="member", id=str(member.pk))


def claim(wire_id: str, *, acting_member: Member, now: datetime, lease: timedelta = LEASE_WITHOUT_SCRIPT) -> Review:
    """Take or renew the lease; never past `expires_at`.

    Raises ClaimedByOther, TooManyClaims, AlreadyDecided, Expired, OwnRequest, NotFound, PermissionDenied.
    """
    return _take(wire_id, acting_member=acting_member, now=now, lease=lease, take_over=False)


def take_over(wire_id: str, *, acting_member: Member, now: datetime, lease: timedelta = LEASE_WITHOUT_SCRIPT) -> Review:
    """Take another's lease, idle for a minute or by a lead. Raises ClaimedByOther while it is in use, else as `claim`."""
    return _take(wire_id, acting_member=acting_member, now=now, lease=lease, take_over=True)


def can_take_over(review: Review, member: Member, *, now: datetime) -> bool:
    """Whether the member may take the lease from its holder now."""
    if "reviews.lead_queue" in permissions_of(member.roles):
        return True
    return review.claim_used_at is None or now - review.claim_used_at >= IDLE_BEFORE_TAKE_OVER


def release(wire_id: str, *, acting_member: Member, now: datetime) -> Review:
    """Give one's own lease back; without one nothing changes."""
    with as_tenant(acting_member.tenant_id):
        review = _lock(wire_id, acting_member)
        if review.claimed_by_id != acting_member.pk:
            return review
        review.claimed_by = None
        review.claimed_until = review.claim_used_at = None
        review.save(update_fields=["claimed_by", "claimed_until", "claim_used_at"])
        _record(review, "review.released", acting_member)
        return review


def _take(wire_id: str, *, acting_member: Member, now: datetime, lease: timedelta, take_over: bool) -> Review:
    with as_tenant(acting_member.tenant_id):
        review = _lock(wire_id, acting_member)
        require_open(review, now=now)
        held_by_other = review.is_claimed_by_other(acting_member, now=now)
        if held_by_other and not (take_over and can_take_over(review, acting_member, now=now)):
            raise ClaimedByOther(claimed_by=review.claimed_by, claimed_until=review.claimed_until)
        renewed = review.claimed_by_id == acting_member.pk and review.claimed_until and now < review.claimed_until
        if not renewed:
            mine = Review.objects.of_tenant(acting_member.tenant_id).claimed_by_member(acting_member, now=now)
            if mine.filter(state=State.OPEN, expires_at__gt=now).count() >= CLAIMS_PER_MEMBER:
                raise TooManyClaims
        review.claimed_by = acting_member
        review.claimed_until = min(now + lease, review.expires_at)
        review.claim_used_at = now
        review.first_claimed_at = review.first_claimed_at or now
        review.save(update_fields=["claimed_by", "claimed_until", "claim_used_at", "first_claimed_at"])
        if not renewed:
            _record(review, "review.claimed", acting_member, taken_over=held_by_other)
        return review


def require_open(review: Review, *, now: datetime) -> None:
    """Raise AlreadyDecided or Expired unless the review still waits for a verdict."""
    state = review.state_at(now)
    if state is State.EXPIRED:
        raise Expired
    if state is not State.OPEN:
        raise AlreadyDecided


def _lock(wire_id: str, member: Member) -> Review:
    """The review, locked, for somebody who may decide it."""
    review_id = access_review_to_decide(member, wire_id).pk
    return (
        Review.objects.select_for_update(no_key=True, of=("self",))
        .select_related("agent", "claimed_by__user")
        .get(pk=review_id)
    )


def _record(review: Review, kind: str, member: Member, **fields: object) -> None:
    record(
        review.tenant_id,
        EntryDraft(
            kind=kind,
            fields={"review": {"id": review.wire_id}, "action_id": review.action_id, **fields},
            actor=member_actor(member),
            refs=(review.entry_uid,),
        ),
    )
