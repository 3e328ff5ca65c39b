"""The people of every test: Rita reviews, Lena leads, Adam owns, Otto audits, Devi writes agents; Nia is elsewhere."""

from __future__ import annotations

from dataclasses import dataclass

from django.utils import timezone

from policy.setup import open_policy
from tenants.keys import Caller, authenticate, issue
from tenants.members import add_member, open_tenant
from tenants.models import Agent, Member, Tenant
from tenants.stepup import Evidence

PASSWORD = "correct horse battery"  # of tests only


def proof() -> Evidence:
    """A sign-in of this moment."""
    return Evidence("password", timezone.now())


@dataclass
class People:
    """A tenant with one person per role, an agent with a key, and a second tenant with Nia."""

    tenant: Tenant
    rita: Member
    lena: Member
    adam: Member
    otto: Member
    devi: Member
    agent: Agent
    token: str
    other_tenant: Tenant
    nia: Member
    other_token: str

    @property
    def caller(self) -> Caller:
        """The agent behind its key."""
        return authenticate(self.token)

    @property
    def other_caller(self) -> Caller:
        """The other tenant's agent."""
        return authenticate(self.other_token)


def make_people(house: str = "demo") -> People:
    """Everybody, made through the real write functions; another `house` has room beside the first in one database."""
    from audit.scope import as_tenant

    tenant = open_tenant(house.capitalize(), slug=house)
    open_policy(tenant.pk)
    members = {
        name: add_member(tenant, email=f"{name}@{house}.example", name=full, roles=[role], password=PASSWORD)
        for name, full, role in (
            ("rita", "Rita Reyes", "reviewer"),
            ("lena", "Lena Lind", "lead"),
            ("adam", "Adam Abara", "owner"),
            ("otto", "Otto Olsen", "auditor"),
            ("devi", "Devi Das", "developer"),
        )
    }
    with as_tenant(tenant.pk):
        agent = Agent.objects.create(
            tenant=tenant,
            slug="refund-bot",
            name="refund-bot",
            owner=members["devi"],
            reviews_per_hour=100_000,  # floods have tests of their own
        )
    token = issue(
        tenant.pk, name="test key", agent=agent, scopes=("evaluate", "reviews"), acting_member=members["adam"]
    ).token
    elsewhere = "elsewhere" if house == "demo" else f"not-{house}"
    other = open_tenant(elsewhere.capitalize(), slug=elsewhere)
    open_policy(other.pk)
    nia = add_member(other, email=f"nia@{elsewhere}.example", name="Nia Novak", roles=["owner"], password=PASSWORD)
    with as_tenant(other.pk):
        other_agent = Agent.objects.create(tenant=other, slug="other-bot", name="other-bot")
    other_token = issue(other.pk, name="other key", agent=other_agent, acting_member=nia).token
    return People(
        tenant=tenant,
        agent=agent,
        token=token,
        other_tenant=other,
        nia=nia,
        other_token=other_token,
        **members,
    )
