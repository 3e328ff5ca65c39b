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


FACTORS = {"webauthn": "a passkey", "totp": "an authenticator app", "recovery_codes": "recovery codes"}
METHODS = {
    "password": "the password",
    "totp": "a code from the authenticator app",
    "recovery_codes": "a recovery code",
    "webauthn": "a passkey",
    "socialaccount": "the identity provider",
}


def _whose(entry: EntryView) -> str:
    return "their" if entry.text("actor.id") == entry.text("member") else f"member {entry.text('member')}'s"


def _factor_added(entry: EntryView) -> str:
    return f"{entry.actor_name} added {FACTORS.get(entry.text('factor'), 'a factor')} to {_whose(entry)} sign-in."


def _factor_removed(entry: EntryView) -> str:
    return f"{entry.actor_name} removed {FACTORS.get(entry.text('factor'), 'a factor')} from {_whose(entry)} sign-in."


def _session_ended(entry: EntryView) -> str:
    count = entry.get("count")
    return f"{entry.actor_name} ended {count} of {_whose(entry)} sessions."


def _password_changed(entry: EntryView) -> str:
    return f"{entry.actor_name} changed their password."


def _provider_linked(entry: EntryView) -> str:
    return f"{entry.actor_name} signed in through the identity provider for the first time; the two accounts are tied."


def _stepped_up(entry: EntryView) -> str:
    return f"{entry.actor_name} proved again who they are, by {METHODS.get(entry.text('method'), 'another way')}."


def _step_up_failed(entry: EntryView) -> str:
    return (
        f"{entry.actor_name} was asked who they are and failed with {METHODS.get(entry.text('method'), 'another way')}."
    )


def _team_changed(entry: EntryView) -> str:
    moved = [f"{len(entry.get(word) or [])} {word}" for word in ("added", "removed") if entry.get(word)]
    people = f" ({', '.join(moved)})" if moved else ""
    return f"{entry.actor_name}: team {entry.text('team')} {entry.text('change')}{people}."


def _agent_changed(entry: EntryView) -> str:
    names = {"owner_id": "owner", "reviews_per_hour": "reviews per hour"}
    what = ", ".join(names.get(name, name) for name in entry.get("changed") or ())
    return f"{entry.actor_name}: agent {entry.text('agent')} {entry.text('change')}{f' ({what})' if what else ''}."


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
    register("member.changed", sentence=_member_changed, label="Member changed", about="member")
    register("apikey.changed", sentence=_apikey_changed, label="API key changed", about="key")
    register("agent.changed", sentence=_agent_changed, label="Agent changed", about="agent")
    register("team.changed", sentence=_team_changed, label="Team changed", about="team")
    register("member.factor_added", sentence=_factor_added, label="Second factor added")
    register("member.factor_removed", sentence=_factor_removed, label="Second factor removed")
    register("member.session_ended", sentence=_session_ended, label="Sessions ended")
    register("member.password_changed", sentence=_password_changed, label="Password changed")
    register("member.provider_linked", sentence=_provider_linked, label="Identity provider linked")
    register("member.stepped_up", sentence=_stepped_up, label="Asked again: proved")
    register("member.step_up_failed", sentence=_step_up_failed, label="Asked again: failed")
