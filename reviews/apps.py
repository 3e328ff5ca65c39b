"""The reviews app: intake of calls, the queue, verdicts, resuming."""

from __future__ import annotations

from django.apps import AppConfig


class ReviewsConfig(AppConfig):
    """Who decides."""

    name = "reviews"
    default_auto_field = "django.db.models.BigAutoField"

    def ready(self) -> None:
        """Register the kinds of entries that this app records."""
        from reviews import kinds

        kinds.register_all()
