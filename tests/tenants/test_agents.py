"""Agents are changed on the record, and their developer does not raise what they may take of the desk."""

from __future__ import annotations

from typing import Any

from audit.scope import as_tenant
from tenants.models import Agent
from tests.people import People
from tests.reviews.chain import bodies
from tests.tenants.test_admin import signed_in

AGENTS = "/admin/tenants/agent/"


def form(people: People, **fields: Any) -> dict[str, Any]:
    return {
        "slug": "refund-bot",
        "name": "refund-bot",
        "version": "2",
        "owner": str(people.devi.pk),
        "tags": "",
        "reviews_per_hour": "100000",
    } | fields


def agent_of(people: People) -> Agent:
    with as_tenant(people.tenant.pk):
        return Agent.objects.get()


def test_a_change_of_an_agent_is_an_entry(committed_people: People) -> None:
    people = committed_people
    url = f"{AGENTS}{people.agent.pk}/change/"
    assert signed_in(people.adam).post(url, form(people, owner=str(people.lena.pk))).status_code == 302
    assert agent_of(people).owner_id == people.lena.pk
    entry = bodies(people.tenant.pk)[-1]
    assert (entry["kind"], entry["agent"], entry["change"]) == ("agent.changed", "refund-bot", "saved")
    assert (entry["changed"], entry["owner"]) == (["version", "owner_id"], str(people.lena.pk))


def test_a_developer_does_not_raise_what_their_agent_may_take_of_the_desk(people: People) -> None:
    url = f"{AGENTS}{people.agent.pk}/change/"
    assert signed_in(people.devi).post(url, form(people, reviews_per_hour="999999")).status_code == 302
    after = agent_of(people)
    assert (after.version, after.reviews_per_hour) == ("2", 100_000)
    assert signed_in(people.adam).post(url, form(people, reviews_per_hour="12")).status_code == 302
    assert agent_of(people).reviews_per_hour == 12


def test_another_tenants_agent_does_not_change(people: People) -> None:
    url = f"{AGENTS}{people.agent.pk}/change/"
    assert signed_in(people.nia).post(url, form(people, name="mine")).status_code == 302
    assert agent_of(people).name == "refund-bot"
