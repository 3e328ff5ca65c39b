"""The tenants app: who may do what, and whose rows these are."""

from __future__ import annotations

from django.apps import AppConfig


class TenantsConfig(AppConfig):
    """Tenants, members, agents, keys."""

    name = "tenants"
    default_auto_field = "django.db.models.BigAutoField"

    def ready(self) -> None:
        """Register the kinds of entries that this app records; listen to sign-ins and to changes of factors."""
        from tenants import account_log, kinds, sessions

        kinds.register_all()
        account_log.listen()
        sessions.listen()
