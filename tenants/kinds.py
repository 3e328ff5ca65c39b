"""The kinds of entries that this app records, each with its sentence."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from uuid import UUID

from audit.kinds import EntryView, name_actors_by, register
from audit.scope import as_tenant


def _member_changed(entry: EntryView) -> str:
    return f"Membership {entry.text('member')}: {entry.text('change')}."


def _apikey_changed(entry: EntryView) -> str:
    return f"API key {entry.text('key')}: {entry.text('change')}."


def _names(tenant_id: UUID, actors: Iterable[tuple[str, str]]) -> Mapping[tuple[str, str], str]:
    """Names of members and agents for sentences; ids that are not this tenant's stay ids."""
    from tenants.isolation import rows_of
    from tenants.models import Agent, Member

    names: dict[tuple[str, str], str] = {}
    members = {actor_id for kind, actor_id in actors if kind == "member"}
    agents = {actor_id for kind, actor_id in actors if kind == "agent"}
    with as_tenant(tenant_id):
        if members:
            for member in rows_of(Member, tenant_id).select_related("user").filter(pk__in=_uuids(members)):
                names["member", str(member.pk)] = member.display_name
        if agents:
            for agent in rows_of(Agent, tenant_id).filter(slug__in=agents):
                names["agent", agent.slug] = agent.name
    return names


def _uuids(texts: Iterable[str]) -> list[UUID]:
    found = []
    for text in texts:
        try:
            found.append(UUID(text))
        except ValueError:
            continue
    return found


def register_all() -> None:
    """Register them; called once, from AppConfig.ready."""
    name_actors_by(_names)
    register("member.changed", sentence=_member_changed, label="Member changed")
    register("apikey.changed", sentence=_apikey_changed, label="API key changed")
