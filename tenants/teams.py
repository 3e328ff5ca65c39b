"""Teams: whom rules route calls to. Made, changed and deleted with an entry each."""

from __future__ import annotations

import json
import re
from collections.abc import Callable, Iterable
from uuid import UUID

from audit.record import Actor, Disclosure, EntryDraft, record
from audit.scope import as_tenant
from tenants.errors import InvalidTeam, NotAllowed
from tenants.isolation import rows_of
from tenants.models import Member, Team, TeamMembership
from tenants.roles import permissions_of

CHANGE_TEAM = "tenants.change_member"
MAX_TEAMS = 200

# Given a tenant and a team's id: what names the team, such as "2 rules"; empty for nothing.
Use = Callable[[UUID, str], str]

_uses: list[Use] = []

_SLUG = re.compile(r"[-a-zA-Z0-9_]{1,60}")


def teams_of(member: Member) -> list[str]:
    """The ids of the teams that the member is in, by id. Call inside `as_tenant()`."""
    rows = rows_of(TeamMembership, member.tenant_id).filter(member=member)
    return list(rows.order_by("team__slug").values_list("team__slug", flat=True))


def members_of(tenant_id: UUID, slug: str) -> list[Member]:
    """The active members of a team, by name; none where nobody made it. Call inside `as_tenant()`."""
    rows = rows_of(Member, tenant_id).filter(is_active=True, team_memberships__team__slug=slug)
    return sorted(rows.select_related("user"), key=lambda member: member.display_name.casefold())


def save_team(
    acting_member: Member, *, slug: str, name: str, members: Iterable[UUID], team_id: UUID | None = None
) -> Team:
    """Make a team, or with `team_id` change its name and who is in it; the id it is made with stays.

    Raises NotAllowed, InvalidTeam with the `field` it belongs to. Members of another tenant are no members here.
    """
    tenant_id = acting_member.tenant_id
    _require(acting_member)
    wanted = set(members)
    with as_tenant(tenant_id):
        teams = rows_of(Team, tenant_id).select_for_update(no_key=True, of=("self",))
        if not name.strip() or len(name.strip()) > 80:
            raise InvalidTeam("A name has 1 to 80 characters.", field="name")
        known = set(rows_of(Member, tenant_id).filter(pk__in=wanted).values_list("pk", flat=True))
        if known != wanted:
            raise InvalidTeam("Somebody here is no member.", field="members")
        if team_id is None:
            if not _SLUG.fullmatch(slug):
                raise InvalidTeam("An id has 1 to 60 letters, digits, - and _.", field="slug")
            if teams.filter(slug=slug).exists():
                raise InvalidTeam("Another team has this id.", field="slug")
            if teams.count() >= MAX_TEAMS:
                raise InvalidTeam(f"There are at most {MAX_TEAMS} teams.", field="slug")
            team = Team.objects.create(tenant_id=tenant_id, slug=slug, name=name.strip())
            change = "created"
        else:
            found = teams.filter(pk=team_id).first()
            if found is None:
                raise InvalidTeam("There is no such team.", field="slug")
            team, change = found, "saved"
            team.name = name.strip()
            team.save(update_fields=["name"])
        before = set(rows_of(TeamMembership, tenant_id).filter(team=team).values_list("member_id", flat=True))
        rows_of(TeamMembership, tenant_id).filter(team=team, member_id__in=before - wanted).delete()
        TeamMembership.objects.bulk_create(
            TeamMembership(tenant_id=tenant_id, team=team, member_id=pk) for pk in sorted(wanted - before)
        )
        _record(team, acting_member, change, added=wanted - before, removed=before - wanted)
    return team


def delete_team(acting_member: Member, team_id: UUID) -> None:
    """Delete a team: calls routed to its id wait in the queue of everybody. Raises NotAllowed, InvalidTeam."""
    tenant_id = acting_member.tenant_id
    _require(acting_member)
    with as_tenant(tenant_id):
        team = rows_of(Team, tenant_id).select_for_update(no_key=True, of=("self",)).filter(pk=team_id).first()
        if team is None:
            raise InvalidTeam("There is no such team.", field="slug")
        removed = set(rows_of(TeamMembership, tenant_id).filter(team=team).values_list("member_id", flat=True))
        _record(team, acting_member, "deleted", added=set(), removed=removed)
        team.delete()


def count_uses_by(use: Use) -> None:
    """Adds what routes to teams: rules and waiting calls belong to apps that this one does not know."""
    if use not in _uses:
        _uses.append(use)


def uses_of(tenant_id: UUID, slug: str) -> list[str]:
    """What names the team now, each with its count. Call inside `as_tenant()`."""
    return [words for words in (use(tenant_id, slug) for use in _uses) if words]


def _require(acting_member: Member) -> None:
    if not acting_member.is_active or CHANGE_TEAM not in permissions_of(acting_member.roles):
        raise NotAllowed


def _record(team: Team, acting_member: Member, change: str, *, added: set[UUID], removed: set[UUID]) -> None:
    record(
        team.tenant_id,
        EntryDraft(
            kind="team.changed",
            fields={
                "team": team.slug,
                "change": change,
                "added": sorted(map(str, added)),
                "removed": sorted(map(str, removed)),
            },
            actor=Actor(type="member", id=str(acting_member.pk)),
            disclosures=(Disclosure("team.name", json.dumps(team.name, ensure_ascii=False)),),
        ),
    )
