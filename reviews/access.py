"""The only ways to a review: by its address, in one's own tenant."""

from __future__ import annotations

import json
from uuid import UUID

from django.core.exceptions import PermissionDenied

from audit.ids import parse_wire_id
from reviews.errors import NotFound, NotYourTeam, OwnRequest
from reviews.models import Review
from reviews.routing import may_decide, routed_to
from tenants.models import Member
from tenants.roles import permissions_of


def find_review(tenant_id: UUID, wire_id: str) -> Review:
    """The tenant's review with this wire id. Raises NotFound, also for another tenant's."""
    review_id = parse_wire_id("rv", wire_id)
    review = (
        Review.objects.of_tenant(tenant_id)
        .select_related("agent__owner__user", "claimed_by__user", "assigned_to__user")
        .prefetch_related("verdicts__member__user", "deliveries", "grants__execution")
        .filter(pk=review_id)
        .first()
        if review_id
        else None
    )
    if review is None:
        raise NotFound
    return review


def access_review_to_view(member: Member, wire_id: str) -> Review:
    """The review, for somebody who may read the desk. Raises PermissionDenied, NotFound."""
    if "reviews.view_review" not in permissions_of(member.roles):
        raise PermissionDenied
    return find_review(member.tenant_id, wire_id)


def access_review_to_decide(member: Member, wire_id: str) -> Review:
    """The review, for somebody who may decide it. Raises PermissionDenied, NotFound, OwnRequest, NotYourTeam."""
    if "reviews.decide_review" not in permissions_of(member.roles):
        raise PermissionDenied
    review = find_review(member.tenant_id, wire_id)
    if is_own_request(review, member):
        raise OwnRequest
    if not may_decide(member, review):
        whom = routed_to(review)
        raise NotYourTeam(f"This is for {whom}. {whom} and leads decide it; you can read it.")
    return review


def is_own_request(review: Review, member: Member) -> bool:
    """Whether the member answers for the agent or is the person the call is made for: they never decide it."""
    return is_owner(review, member) or is_requester(review, member)


def is_owner(review: Review, member: Member) -> bool:
    """Whether the member answers for the agent."""
    return review.agent.owner_id is not None and review.agent.owner_id == member.pk


def is_requester(review: Review, member: Member) -> bool:
    """Whether the application says that the call is made for the member."""
    context = json.loads(review.user_context_text)
    claimed = {str(context.get(name, "")).casefold() for name in ("user_id", "email", "user_email")}
    return bool(claimed & {member.user.email.casefold(), str(member.pk)})
