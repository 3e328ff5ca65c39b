"""Who may decide which review: teams, the person it is assigned to, and leads. Reading is not routed.

Source: reviewer-experience.md ("Queue mechanics"), product.md R-08. A team that does not exist, or in which nobody can
decide, routes nothing: a review must never wait for people who are not there.
"""

from __future__ import annotations

from dataclasses import dataclass
from uuid import UUID

from django.db.models import Exists, OuterRef, Q

from reviews.models import Review, Verdict
from reviews.states import State
from tenants.isolation import rows_of
from tenants.models import Member, Team, TeamMembership
from tenants.roles import PERMISSIONS, permissions_of

DECIDE = "reviews.decide_review"
LEAD = "reviews.lead_queue"
_DECIDING_ROLES = [role.value for role, granted in PERMISSIONS.items() if DECIDE in granted]


@dataclass(frozen=True)
class Reach:
    """Which reviews one member may decide as far as routing goes; read once, asked for every row."""

    member_id: UUID
    is_lead: bool
    own_teams: frozenset[str]
    staffed_teams: frozenset[str]

    def covers(self, review: Review) -> bool:
        """Whether the review is routed to the member. Costs no query."""
        return self.is_lead or self.is_own(review)

    def is_own(self, review: Review) -> bool:
        """Whether it is for the member themselves, their team or everybody, and not theirs as a lead alone."""
        if review.assigned_to_id is not None:
            return review.assigned_to_id == self.member_id
        return review.team in self.own_teams or review.team not in self.staffed_teams

    def condition(self) -> Q:
        """The same, as a condition on rows."""
        if self.is_lead:
            return Q()
        routed = Q(team__in=self.own_teams) | ~Q(team__in=self.staffed_teams)
        return Q(assigned_to_id=self.member_id) | Q(assigned_to=None) & routed


def reach_of(member: Member) -> Reach:
    """The member's reach; one query."""
    staffed: set[str] = set()
    own: set[str] = set()
    rows = (
        rows_of(TeamMembership, member.tenant_id)
        .filter(member__is_active=True, member__roles__overlap=_DECIDING_ROLES)
        .values_list("team__slug", "member_id")
    )
    for slug, member_id in rows:
        staffed.add(slug)
        if member_id == member.pk:
            own.add(slug)
    return Reach(
        member_id=member.pk,
        is_lead=LEAD in permissions_of(member.roles),
        own_teams=frozenset(own),
        staffed_teams=frozenset(staffed),
    )


def may_decide(member: Member, review: Review) -> bool:
    """Whether the review is routed to the member: everybody who decides, where it names no staffed team or person."""
    if not review.team and review.assigned_to_id is None:
        return True
    return reach_of(member).covers(review)


def routed_to(review: Review) -> str:
    """Whom the review is routed to, in words: a person's name, a team's name or its id; empty for everybody."""
    if review.assigned_to is not None:
        return review.assigned_to.display_name
    if not review.team:
        return ""
    name = rows_of(Team, review.tenant_id).filter(slug=review.team).values_list("name", flat=True).first()
    return name or review.team


def waiting_for_team(tenant_id: UUID, slug: str) -> str:
    """How many open reviews are routed to the team, in words; empty for none."""
    count = rows_of(Review, tenant_id).filter(team=slug, state=State.OPEN).count()
    return f"{count} waiting call{'' if count == 1 else 's'}" if count else ""


def people_who_decide(tenant_id: UUID) -> list[Member]:
    """Active members who may decide reviews, by name."""
    return list(
        rows_of(Member, tenant_id)
        .filter(is_active=True, roles__overlap=_DECIDING_ROLES)
        .select_related("user")
        .order_by("user__name", "pk")
    )


def approved_by(member: Member) -> Exists:
    """Whether the member's own approval of the row stands already and another person's is missing."""
    return Exists(
        Verdict.objects.filter(review=OuterRef("pk"), member=member, undone_at=None, cleared_at=None).values("pk")
    )
