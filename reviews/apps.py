"""The reviews app: intake of calls, the queue, verdicts, resuming."""

from __future__ import annotations

from django.apps import AppConfig


class ReviewsConfig(AppConfig):
    """Who decides."""

    name = "reviews"
    default_auto_field = "django.db.models.BigAutoField"

    def ready(self) -> None:
        """Register the kinds of entries that this app records, and which of them wait to be read; what waits for a team."""
        from audit.kinds import withhold_by
        from reviews import blindness, kinds, routing
        from tenants.teams import count_uses_by

        kinds.register_all()
        withhold_by(blindness.first_verdicts)
        count_uses_by(routing.waiting_for_team)
