"""Handing a review on to a team or a person who can decide it better, with a reason. It starts nothing over.

Source: reviewer-experience.md ("Queue mechanics"). The deadline stays, the claim ends, the copies go along.
"""

from __future__ import annotations

import json
from datetime import datetime

from audit.record import Disclosure, EntryDraft, record
from audit.scope import as_tenant
from reviews.access import is_own_request
from reviews.claims import clear_claim, lock_review, member_actor, require_open
from reviews.copies import waiting_copies
from reviews.errors import AlreadyDecided, ClaimedByOther, InvalidStep
from reviews.models import Escalation, Review
from reviews.routing import LEAD, people_who_decide, reach_of
from tenants.isolation import rows_of
from tenants.models import Member, Team
from tenants.roles import permissions_of

LONGEST_NOTE = 500
# The clock has its own reason; nobody else gives it.
CODES = tuple(code for code in Escalation.Code if code != Escalation.Code.OVERDUE)


def teams_to(member: Member) -> list[Team]:
    """The teams a review can be handed to: those in which somebody can decide, by name."""
    staffed = reach_of(member).staffed_teams
    return list(rows_of(Team, member.tenant_id).filter(slug__in=staffed).order_by("name"))


def hand_on(
    wire_id: str,
    *,
    acting_member: Member,
    to_team: str = "",
    to_member: str = "",
    code: str,
    note: str = "",
    now: datetime,
) -> Escalation:
    """Route the review to a team (by its id) or to a person (by the member's id), and end the claim on it.

    Raises InvalidStep (`errors`: to, code, note), ClaimedByOther while another holds it and the member does not lead,
    AlreadyDecided for one's own approval that waits for a second person, else as `claims.claim`.
    """
    with as_tenant(acting_member.tenant_id):
        review = lock_review(wire_id, acting_member)
        require_open(review, now=now)
        # Whoever approved already does not choose who is second.
        if any(verdict.member_id == acting_member.pk for verdict in review.standing_verdicts):
            raise AlreadyDecided(
                "You have approved this already. Someone else decides now, and hands it on if need be."
            )
        if review.is_claimed_by_other(acting_member, now=now) and LEAD not in permissions_of(acting_member.roles):
            raise ClaimedByOther(claimed_by=review.claimed_by, claimed_until=review.claimed_until)
        team, person = _target(review, acting_member, to_team=to_team, to_member=to_member)
        _check(code, note)
        step = Escalation.objects.create(
            tenant_id=review.tenant_id,
            review=review,
            by=acting_member,
            to_team=team.slug if team else "",
            to_member=person,
            from_team=review.team,
            code=code,
            note=note.strip(),
            at=now,
        )
        if team is not None:
            review.team = team.slug
        review.assigned_to = person
        review.save(update_fields=["team", "assigned_to"])
        waiting_copies(review, now=now).update(team=review.team, assigned_to=person)
        clear_claim(review)
        _record(review, step, acting_member)
        return step


def _target(review: Review, member: Member, *, to_team: str, to_member: str) -> tuple[Team | None, Member | None]:
    if bool(to_team) == bool(to_member):
        raise InvalidStep(errors={"to": "Choose a team or a person."})
    if to_team:
        team = next((team for team in teams_to(member) if team.slug == to_team), None)
        if team is None:
            raise InvalidStep(errors={"to": "Nobody in that team can decide reviews."})
        if team.slug == review.team and review.assigned_to_id is None:
            raise InvalidStep(errors={"to": f"It is with {team.name} already."})
        return team, None
    person = next((one for one in people_who_decide(review.tenant_id) if str(one.pk) == to_member), None)
    if person is None:
        raise InvalidStep(errors={"to": "That person cannot decide reviews."})
    if is_own_request(review, person):
        raise InvalidStep(errors={"to": f"{person.display_name} asked for this or answers for the agent."})
    if person.pk == member.pk:
        raise InvalidStep(errors={"to": "That is you. Claim it to decide it."})
    return None, person


def _check(code: str, note: str) -> None:
    if code not in CODES:
        raise InvalidStep(errors={"code": "Choose a reason."})
    if len(note.strip()) > LONGEST_NOTE:
        raise InvalidStep(errors={"note": f"Keep the note within {LONGEST_NOTE} characters."})
    if code == Escalation.Code.OTHER and not note.strip():
        raise InvalidStep(errors={"note": "Say why, in a few words."})


def _record(review: Review, step: Escalation, member: Member) -> None:
    fields: dict[str, object] = {"review": {"id": review.wire_id}, "action_id": review.action_id, "code": step.code}
    if step.to_team:
        fields["to_team"] = step.to_team
    if step.to_member is not None:
        fields["to_member"] = str(step.to_member.pk)
    if step.from_team:
        fields["from_team"] = step.from_team
    record(
        review.tenant_id,
        EntryDraft(
            kind="review.escalated",
            fields=fields,
            actor=member_actor(member),
            refs=(review.entry_uid,),
            disclosures=(Disclosure("note", json.dumps(step.note, ensure_ascii=False)),) if step.note else (),
        ),
    )
