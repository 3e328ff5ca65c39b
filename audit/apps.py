"""The audit app: the ground that every other app records on."""

from __future__ import annotations

from django.apps import AppConfig


class AuditConfig(AppConfig):
    """Entries, sealing, checkpoints, export, verification."""

    name = "audit"
    default_auto_field = "django.db.models.BigAutoField"

    def ready(self) -> None:
        """Register this app's own kinds of entries."""
        from audit import kinds

        kinds.register_own()
