"""Agents of a tenant, saved with an entry: who answers for one never decides its calls, so a change is on the record."""

from __future__ import annotations

import json
from collections.abc import Callable
from uuid import UUID

from audit.envelope import is_identifier
from audit.record import Actor, Disclosure, EntryDraft, record
from audit.scope import as_tenant
from tenants.errors import NotAllowed
from tenants.isolation import rows_of
from tenants.models import Agent, Member
from tenants.roles import permissions_of

CHANGE_AGENT = "tenants.change_apikey"
# How many reviews an agent may open is the desk's protection from it, not its developer's to raise.
CHANGE_LIMIT = "reviews.change_desk"

# Given a tenant and an agent's id: what stops its calls now, as a sentence; empty for nothing.
Stop = Callable[[UUID, str], str]

_stops: list[Stop] = []

_COLUMNS = ("slug", "name", "version", "owner_id", "tags", "reviews_per_hour")


def save_agent(acting_member: Member, agent: Agent) -> Agent:
    """Save a new or a changed agent of the member's tenant. Raises NotAllowed.

    A change of `reviews_per_hour` needs the right to set up the desk too.
    """
    tenant_id = acting_member.tenant_id
    granted = permissions_of(acting_member.roles)
    if not acting_member.is_active or CHANGE_AGENT not in granted:
        raise NotAllowed
    with as_tenant(tenant_id):
        before = rows_of(Agent, tenant_id).select_for_update(no_key=True, of=("self",)).filter(pk=agent.pk).first()
        blank = Agent()
        changed = [name for name in _COLUMNS if getattr(before or blank, name) != getattr(agent, name)]
        if "reviews_per_hour" in changed and CHANGE_LIMIT not in granted:
            raise NotAllowed
        agent.tenant_id = tenant_id
        agent.save()
        fields: dict[str, object] = {
            "agent": agent.slug,
            "change": "saved" if before else "created",
            "changed": changed,
        }
        if agent.owner_id:
            fields["owner"] = str(agent.owner_id)
        if "tags" in changed:
            fields["tags"] = list(agent.tags)
        if "version" in changed and is_identifier(agent.version):
            fields["version"] = agent.version
        if "reviews_per_hour" in changed and agent.reviews_per_hour is not None:
            fields["reviews_per_hour"] = agent.reviews_per_hour
        record(
            tenant_id,
            EntryDraft(
                kind="agent.changed",
                fields=fields,
                actor=Actor(type="member", id=str(acting_member.pk)),
                disclosures=(Disclosure("agent.name", json.dumps(agent.name, ensure_ascii=False)),),
            ),
        )
    return agent


def tell_stops_by(stop: Stop) -> None:
    """Adds what may stop an agent: pausing belongs to an app that this one does not know."""
    if stop not in _stops:
        _stops.append(stop)


def stops_of(agent: Agent) -> list[str]:
    """What stops the agent's calls now, a sentence each. Call inside `as_tenant()`."""
    return [said for said in (stop(agent.tenant_id, agent.slug) for stop in _stops) if said]
