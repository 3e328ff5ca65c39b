"""What people call the actions, agents, rules and teams that the log and the rules know by id."""

from __future__ import annotations

from collections.abc import Mapping
from functools import cached_property
from uuid import UUID

from django.utils.html import format_html
from django.utils.safestring import SafeString

from policy.models import Action, Rule
from tenants.isolation import rows_of
from tenants.models import Agent, Team


class Names:
    """A tenant's names by id, each kind read when it is first asked for. What is gone has its id alone."""

    def __init__(self, tenant_id: UUID) -> None:
        self._tenant_id = tenant_id

    @cached_property
    def action(self) -> Mapping[str, str]:
        """Titles of the mapped actions."""
        return dict(rows_of(Action, self._tenant_id).values_list("action_id", "title"))

    @cached_property
    def agent(self) -> Mapping[str, str]:
        """Names of the agents."""
        return dict(rows_of(Agent, self._tenant_id).values_list("slug", "name"))

    @cached_property
    def rule(self) -> Mapping[str, str]:
        """Names of the draft's rules."""
        return dict(rows_of(Rule, self._tenant_id).values_list("slug", "name"))

    @cached_property
    def team(self) -> Mapping[str, str]:
        """Names of the teams."""
        return dict(rows_of(Team, self._tenant_id).values_list("slug", "name"))


def named(name: str, slug: str) -> SafeString:
    """The name first, then the id as such; the id alone where there is no name."""
    if not name or name == slug:
        return format_html('<span class="mono"><bdi>{}</bdi></span>', slug)
    return format_html('<bdi>{}</bdi> <span class="mono quiet"><bdi>{}</bdi></span>', name, slug)
