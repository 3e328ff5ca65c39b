"""The kinds of entries that this app records, each with its sentence."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from datetime import UTC, datetime
from uuid import UUID

from django.db.models import Q

from audit.kinds import EntryView, find_actors_by, name_actors_by, register
from audit.scope import as_tenant
from tenants.roles import ROLE_LABELS, Role


def _member_changed(entry: EntryView) -> str:
    who, change = entry.name("member", entry.text("member")), entry.text("change")
    roles, before = _roles(entry.get("roles")), _roles(entry.get("before"))
    if change == "added":
        return f"{entry.actor_name} added {who} as {roles}."
    if change not in {"changed", "deactivated", "reactivated"}:  # entries whose roles have no field of their own
        return f"{entry.actor_name} changed the membership of {who}: {change}."
    moved = f"the roles of {who} from {before} to {roles}" if roles != before else ""
    if change == "changed":
        return f"{entry.actor_name} changed {moved}."
    return f"{entry.actor_name} {change} {who}{f' and changed {moved}' if moved else ''}."


def _roles(found: Iterable[str] | None) -> str:
    return _listed([ROLE_LABELS[Role(role)].lower() if role in set(Role) else role for role in found or ()])


def _apikey_changed(entry: EntryView) -> str:
    key, change = entry.name("key", entry.text("key")), entry.text("change")
    if change == "revoked":
        return f"{entry.actor_name} revoked API key {key}."
    ends = entry.get("expires_at_s")
    until = f"until {datetime.fromtimestamp(ends, UTC):%Y-%m-%d %H:%M} UTC" if ends else "without an end"
    if change == "rotated":
        return f"{entry.actor_name} rotated API key {key}{f': it works {until}' if ends else ''}."
    agent = entry.get("agent")
    owner = "" if agent is None else f" for {_agent(entry) if agent else 'a gateway'}"
    old = f" in place of {entry.name('key', entry.text('replaces'))}" if entry.get("replaces") else ""
    # An entry without an agent's field says nothing of the key's end either.
    terms = [*(entry.get("scopes") or ()), *([] if agent is None else [entry.text("environment"), until])]
    return f"{entry.actor_name} made API key {key}{owner}{old}: {', '.join(terms)}."


def _agent(entry: EntryView) -> str:
    return _with_id(entry.name("agent", entry.text("agent")), entry.text("agent"))


def _with_id(name: str, slug: str) -> str:
    return name if name == slug else f"{name} ({slug})"


def _listed(names: Sequence[str]) -> str:
    return f"{', '.join(names[:-1])} and {names[-1]}" if len(names) > 1 else "".join(names)


FACTORS = {"webauthn": "a passkey", "totp": "an authenticator app", "recovery_codes": "recovery codes"}
METHODS = {
    "password": "the password",
    "totp": "a code from the authenticator app",
    "recovery_codes": "a recovery code",
    "webauthn": "a passkey",
    "socialaccount": "the identity provider",
}


def _whose(entry: EntryView) -> str:
    member = entry.text("member")
    return "their" if entry.text("actor.id") == member else f"{entry.name('member', member)}'s"


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
    team = _with_id(entry.name("team", entry.text("team")), entry.text("team"))
    added, removed = (
        _listed(sorted(entry.name("member", member) for member in entry.get(word) or ()))
        for word in ("added", "removed")
    )
    change = entry.text("change")
    if change == "created":
        return f"{entry.actor_name} made team {team}{f' with {added}' if added else ''}."
    if change == "deleted":
        return f"{entry.actor_name} deleted team {team}{f'; in it were {removed}' if removed else ''}."
    moved = [f"{word} {who}" for word, who in (("added", added), ("removed", removed)) if who]
    return f"{entry.actor_name} changed team {team}{f': {_listed(moved)}' if moved else ''}."


def _agent_changed(entry: EntryView) -> str:
    owner = entry.name("member", entry.text("owner")) if entry.get("owner") else "nobody"
    if entry.text("change") == "created":
        return f"{entry.actor_name} added agent {_agent(entry)}; {owner} answers for it."
    said = {
        "owner_id": f"{owner} answers for it now",
        "reviews_per_hour": f"reviews per hour: {entry.text('reviews_per_hour', 'as the desk')}",
        "version": f"version: {entry.text('version')}" if entry.get("version") else "version",
        "tags": f"tags: {', '.join(entry.get('tags') or ()) or 'none'}" if entry.get("tags") is not None else "tags",
    }
    what = "; ".join(said.get(name, name) for name in entry.get("changed") or ())
    return f"{entry.actor_name} changed agent {_agent(entry)}{f': {what}' if what else ''}."


# What has no member behind it, as sentences name it.
_SYSTEMS = {"setup": "Set-up", "operator": "The operator"}


def _names(tenant_id: UUID, actors: Iterable[tuple[str, str]]) -> Mapping[tuple[str, str], str]:
    """Names of members, agents, teams and keys for sentences; ids that are not this tenant's stay ids."""
    from tenants.isolation import rows_of
    from tenants.models import Agent, ApiKey, Member, Team

    names = {("system", system): name for system, name in _SYSTEMS.items()}
    wanted = {kind: {id_ for its_kind, id_ in actors if its_kind == kind} for kind, _ in actors}
    with as_tenant(tenant_id):
        if members := wanted.get("member"):
            for member in rows_of(Member, tenant_id).select_related("user").filter(pk__in=_uuids(members)):
                names["member", str(member.pk)] = member.display_name
        if agents := wanted.get("agent"):
            for agent in rows_of(Agent, tenant_id).filter(slug__in=agents):
                names["agent", agent.slug] = agent.name
        if teams := wanted.get("team"):
            for team in rows_of(Team, tenant_id).filter(slug__in=teams):
                names["team", team.slug] = team.name
        if keys := wanted.get("key"):
            for key in rows_of(ApiKey, tenant_id).filter(public_id__in=keys):
                names["key", key.public_id] = str(key)
    return names


def _called(tenant_id: UUID, words: str) -> list[str]:
    """The ids of the members, agents and systems of this name, address or id, written large or small."""
    from tenants.isolation import rows_of
    from tenants.models import Agent, Member

    by_name = Q(user__name__iexact=words) | Q(user__email__iexact=words) | Q(pk__in=_uuids([words]))
    with as_tenant(tenant_id):
        members = [str(pk) for pk in rows_of(Member, tenant_id).filter(by_name).values_list("pk", flat=True)]
        agents = rows_of(Agent, tenant_id).filter(Q(name__iexact=words) | Q(slug__iexact=words))
        systems = [id_ for id_, name in _SYSTEMS.items() if name.lower() == words.lower()]
        return [*members, *agents.values_list("slug", flat=True), *systems]


def _uuids(texts: Iterable[str]) -> list[UUID]:
    found = []
    for text in texts:
        try:
            found.append(UUID(text))
        except ValueError:
            continue
    return found


# What stands in an entry that its sentence names.
_MEMBER = {"member": "member"}
_KEY = {"key": "key", "replaces": "key", "agent": "agent"}
_AGENT = {"agent": "agent", "owner": "member"}
_TEAM = {"team": "team", "added": "member", "removed": "member"}


def register_all() -> None:
    """Register them; called once, from AppConfig.ready."""
    name_actors_by(_names)
    find_actors_by(_called)
    register(
        "member.changed", sentence=_member_changed, label="Member changed", version=2, about="member", names=_MEMBER
    )
    register("apikey.changed", sentence=_apikey_changed, label="API key changed", version=2, about="key", names=_KEY)
    register("agent.changed", sentence=_agent_changed, label="Agent changed", version=2, about="agent", names=_AGENT)
    register("team.changed", sentence=_team_changed, label="Team changed", about="team", names=_TEAM)
    register("member.factor_added", sentence=_factor_added, label="Second factor added", names=_MEMBER)
    register("member.factor_removed", sentence=_factor_removed, label="Second factor removed", names=_MEMBER)
    register("member.session_ended", sentence=_session_ended, label="Sessions ended", names=_MEMBER)
    register("member.password_changed", sentence=_password_changed, label="Password changed")
    register("member.provider_linked", sentence=_provider_linked, label="Identity provider linked")
    register("member.stepped_up", sentence=_stepped_up, label="Asked again: proved")
    register("member.step_up_failed", sentence=_step_up_failed, label="Asked again: failed")
