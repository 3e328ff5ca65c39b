"""Teams: owners make them, leads see them, nobody else and no other tenant does."""

from __future__ import annotations

from typing import Any
from uuid import UUID

import pytest

from audit.scope import as_tenant
from tenants import teams
from tenants.errors import InvalidTeam, NotAllowed
from tenants.models import Member, Team, TeamMembership
from tests.people import People
from tests.reviews.chain import bodies
from tests.tenants.test_admin import signed_in

TEAMS = "/admin/tenants/team/"


def save(people: People, *members: Member, acting: Member | None = None, **fields: Any) -> Team:
    given = {"slug": "finance", "name": "Finance", "members": [member.pk for member in members], **fields}
    return teams.save_team(acting or people.adam, **given)


def names(people: People, slug: str = "finance") -> list[str]:
    with as_tenant(people.tenant.pk):
        return [member.display_name for member in teams.members_of(people.tenant.pk, slug)]


def test_a_change_of_a_team_is_an_entry_with_who_came_and_went(committed_people: People) -> None:
    people = committed_people
    team = save(people, people.rita, people.lena)
    save(people, people.lena, people.adam, team_id=team.pk, name="Money")
    assert names(people) == ["Adam Abara", "Lena Lind"]
    with as_tenant(people.tenant.pk):
        assert teams.teams_of(people.adam) == ["finance"]
        assert teams.teams_of(people.rita) == []
    teams.delete_team(people.adam, team.pk)
    assert names(people) == []
    found = [body for body in bodies(people.tenant.pk) if body["kind"] == "team.changed"]
    assert [body["change"] for body in found] == ["created", "saved", "deleted"]
    assert found[1]["added"] == [str(people.adam.pk)]
    assert found[1]["removed"] == [str(people.rita.pk)]
    assert found[2]["removed"] == sorted(map(str, (people.adam.pk, people.lena.pk)))
    assert {body["actor"]["id"] for body in found} == {str(people.adam.pk)}


@pytest.mark.parametrize("who", ["rita", "lena", "otto", "devi"])
def test_only_owners_change_teams(people: People, who: str) -> None:
    member = getattr(people, who)
    with pytest.raises(NotAllowed):
        save(people, people.rita, acting=member)
    team = save(people, people.rita)
    with pytest.raises(NotAllowed):
        save(people, member, acting=member, team_id=team.pk)
    with pytest.raises(NotAllowed):
        teams.delete_team(member, team.pk)
    assert names(people) == ["Rita Reyes"]


def test_another_tenants_team_and_people_are_not_there(people: People) -> None:
    team = save(people, people.rita)
    with pytest.raises(InvalidTeam, match="no member"):
        save(people, people.nia, team_id=team.pk)
    for attempt in (
        lambda: save(people, people.nia, acting=people.nia, team_id=team.pk),
        lambda: teams.delete_team(people.nia, team.pk),
    ):
        with pytest.raises(InvalidTeam, match="no such team"):
            attempt()
    nia = signed_in(people.nia)
    assert b"Finance" not in nia.get(TEAMS).content
    # Django admin's own answer to a row that is not there: back to the index, with a sentence.
    answer: Any = nia.get(f"{TEAMS}{team.pk}/change/")
    assert (answer.status_code, answer["Location"]) == (302, "/admin/")
    with as_tenant(people.other_tenant.pk):
        assert not Team.objects.exists()
        assert not TeamMembership.objects.exists()


@pytest.mark.parametrize(
    ("fields", "field"),
    [
        ({"name": "  "}, "name"),
        ({"name": "x" * 81}, "name"),
        ({"slug": "fi nance"}, "slug"),
        ({"slug": "x" * 61}, "slug"),
        ({"slug": "taken"}, "slug"),
        ({"members": [UUID(int=1)]}, "members"),
    ],
)
def test_a_mistake_is_refused_at_its_field(people: People, fields: dict[str, Any], field: str) -> None:
    save(people, slug="taken")
    with pytest.raises(InvalidTeam) as refusal:
        save(people, **fields)
    assert refusal.value.details["field"] == field


def test_an_owner_makes_a_team_in_the_admin_and_its_id_stays(people: People) -> None:
    adam = signed_in(people.adam)
    form = {"name": "Finance", "slug": "finance", "people": [str(people.rita.pk), str(people.lena.pk)]}
    answer: Any = adam.post(f"{TEAMS}add/", form)
    assert answer.status_code == 302
    with as_tenant(people.tenant.pk):
        team = Team.objects.get()
    answer = adam.post(f"{TEAMS}{team.pk}/change/", {"name": "Money", "slug": "other", "people": [str(people.lena.pk)]})
    assert answer.status_code == 302
    with as_tenant(people.tenant.pk):
        team.refresh_from_db()
    assert (team.slug, team.name) == ("finance", "Money")
    assert names(people) == ["Lena Lind"]
    refused: Any = adam.post(f"{TEAMS}add/", form)
    assert b"Another team has this id." in refused.content
    assert b"Nia" not in refused.content
    answer = adam.post(f"{TEAMS}add/", {**form, "slug": "b", "people": [str(people.nia.pk)]})
    assert answer.status_code == 200
    assert adam.post(f"{TEAMS}{team.pk}/delete/", {"post": "yes"}).status_code == 302
    with as_tenant(people.tenant.pk):
        assert not Team.objects.exists()


def test_a_lead_sees_who_is_in_a_team_and_changes_nothing(people: People) -> None:
    team = save(people, people.rita)
    lena = signed_in(people.lena)
    page = lena.get(f"{TEAMS}{team.pk}/change/")
    assert b"Rita Reyes" in page.content
    assert b'name="people"' not in page.content
    assert lena.post(f"{TEAMS}{team.pk}/change/", {"name": "Mine", "people": []}).status_code == 403
    assert lena.post(f"{TEAMS}add/", {"name": "Mine", "slug": "mine"}).status_code == 403
    assert signed_in(people.rita).get(TEAMS, follow=True).status_code == 403


def test_somebody_who_left_is_in_no_team(people: People) -> None:
    save(people, people.rita, people.lena)
    with as_tenant(people.tenant.pk):
        Member.objects.filter(pk=people.rita.pk).update(is_active=False)
    assert names(people) == ["Lena Lind"]
