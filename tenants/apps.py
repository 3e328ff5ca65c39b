"""The tenants app: who may do what, and whose rows these are."""

from __future__ import annotations

from django.apps import AppConfig


class TenantsConfig(AppConfig):
    """Tenants, members, agents, keys."""

    name = "tenants"
    default_auto_field = "django.db.models.BigAutoField"

    def ready(self) -> None:
        """Register the kinds of entries that this app records and whose history they are; listen to sign-ins and to changes of factors."""
        from audit.subjects import find_subjects_by
        from tenants import account_log, histories, kinds, sessions

        kinds.register_all()
        find_subjects_by(histories.find_row)
        account_log.listen()
        sessions.listen()
