"""What the log says of people, teams, agents and keys: who did what, by names."""

from __future__ import annotations

from datetime import timedelta
from typing import Any

import pytest
from django.utils import timezone

from audit import browse
from audit.kinds import EntryView, sentence_of
from audit.scope import as_tenant
from tenants import agents, keys, members, teams
from tenants.models import Agent
from tests.people import People


def newest(people: People, count: int = 1, *, kind: str) -> list[str]:
    """The newest sentences of a kind, oldest first."""
    with as_tenant(people.tenant.pk, using=browse.READER):
        rows = browse.page(people.tenant.pk, equal={"kind": kind}).rows
    return [row.sentence for row in reversed(rows[:count])]


def test_entries_about_members_name_both_people_and_the_roles(committed_people: People) -> None:
    people = committed_people
    added = members.add_member(
        people.tenant, email="mina@demo.example", name="Mina", roles=["lead", "reviewer"], acting_member=people.adam
    )
    for roles, is_active in ((["auditor"], True), (["auditor"], False), (["auditor"], True), (["auditor"], True)):
        members.change_roles(added, roles=roles, is_active=is_active, acting_member=people.adam)
    assert newest(people, 4, kind="member.changed") == [
        "Adam Abara added Mina as reviewer and lead.",
        "Adam Abara changed the roles of Mina from reviewer and lead to auditor.",
        "Adam Abara deactivated Mina.",
        "Adam Abara reactivated Mina.",
    ]


def test_a_member_whom_no_member_added_was_added_by_set_up(committed_people: People) -> None:
    assert "Set-up added Rita Reyes as reviewer." in newest(committed_people, 50, kind="member.changed")


def test_entries_about_teams_name_who_came_and_went(committed_people: People) -> None:
    people = committed_people
    team = teams.save_team(people.adam, slug="finance", name="Money", members=[people.rita.pk, people.lena.pk])
    teams.save_team(
        people.adam, slug="finance", name="Money", members=[people.lena.pk, people.otto.pk], team_id=team.pk
    )
    assert newest(people, 2, kind="team.changed") == [
        "Adam Abara made team Money (finance) with Lena Lind and Rita Reyes.",
        "Adam Abara changed team Money (finance): added Otto Olsen and removed Rita Reyes.",
    ]
    teams.delete_team(people.adam, team.pk)
    assert newest(people, kind="team.changed") == [
        "Adam Abara deleted team finance; in it were Lena Lind and Otto Olsen."
    ]


def test_entries_about_agents_say_what_they_became(committed_people: People) -> None:
    people = committed_people
    agent = agents.save_agent(people.devi, Agent(slug="mail-bot", name="Mail bot", owner=people.devi))
    agent.owner, agent.version, agent.tags, agent.reviews_per_hour = people.lena, "2.1", ["mail"], 20
    agents.save_agent(people.adam, agent)
    assert newest(people, 2, kind="agent.changed") == [
        "Devi Das added agent Mail bot (mail-bot); Devi Das answers for it.",
        (
            "Adam Abara changed agent Mail bot (mail-bot): version: 2.1; Lena Lind answers for it now; tags: mail; "
            "reviews per hour: 20."
        ),
    ]


def test_a_version_that_is_no_identifier_does_not_stop_the_change(committed_people: People) -> None:
    people = committed_people
    people.agent.version = 'the "nightly" ü'
    agents.save_agent(people.adam, people.agent)
    assert newest(people, kind="agent.changed") == ["Adam Abara changed agent refund-bot: version."]


def test_entries_about_keys_name_the_key_its_agent_and_its_end(committed_people: People) -> None:
    people = committed_people
    now = timezone.now().replace(second=0, microsecond=0)
    first = keys.issue(
        people.tenant.pk,
        name="production",
        agent=people.agent,
        acting_member=people.devi,
        expires_at=now + timedelta(90),
    ).key
    second = keys.rotate(first, acting_member=people.adam, now=now).key
    keys.revoke(second, acting_member=people.adam, now=now)
    keys.issue(people.tenant.pk, name="gate", agent=None, scopes=("evaluate",), environment="test", acting_member=None)
    made, replaced, rotated, revoked, gateway = newest(people, 5, kind="apikey.changed")
    assert made == (
        f"Devi Das made API key {first} for refund-bot: evaluate, reviews, live, "
        f"until {now + timedelta(90):%Y-%m-%d %H:%M} UTC."
    )
    assert replaced.startswith(f"Adam Abara made API key {second} for refund-bot in place of {first}: ")
    assert rotated == f"Adam Abara rotated API key {first}: it works until {now + timedelta(1):%Y-%m-%d %H:%M} UTC."
    assert revoked == f"Adam Abara revoked API key {second}."
    assert gateway.startswith("Set-up made API key gate (gsk_test_")
    assert gateway.endswith(" for a gateway: evaluate, test, without an end.")


@pytest.mark.parametrize(
    ("kind", "body", "sentence"),
    [
        (
            "member.changed",
            {"member": "m1", "change": "deactivated, roles lead"},
            "Adam changed the membership of Rita: deactivated, roles lead.",
        ),
        (
            "apikey.changed",
            {"key": "ab12", "change": "issued", "scopes": ["evaluate"]},
            "Adam made API key ab12: evaluate.",
        ),
        ("apikey.changed", {"key": "ab12", "change": "rotated"}, "Adam rotated API key ab12."),
        (
            "agent.changed",
            {"agent": "mail-bot", "change": "saved", "changed": ["version", "tags"]},
            "Adam changed agent mail-bot: version; tags.",
        ),
    ],
)
def test_an_entry_from_before_these_fields_still_reads(kind: str, body: dict[str, Any], sentence: str) -> None:
    view = EntryView(1, "e", kind, body, timezone.now(), "Adam", names={("member", "m1"): "Rita"})
    assert sentence_of(view) == sentence
