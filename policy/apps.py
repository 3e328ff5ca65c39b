"""App config: registers the kinds of entries."""

from __future__ import annotations

from django.apps import AppConfig


class PolicyConfig(AppConfig):
    """What may run."""

    name = "policy"

    def ready(self) -> None:
        """Make our entries recordable and readable, and our own judge choosable; say what uses a team and stops an agent."""
        from policy import freezes, judges
        from policy.drafts import rules_for_team
        from policy.injection import InjectionPatterns
        from policy.kinds import register_all
        from tenants.agents import tell_stops_by
        from tenants.teams import count_uses_by

        register_all()
        count_uses_by(rules_for_team)
        tell_stops_by(freezes.stop_of_agent)
        judges.register(InjectionPatterns())
