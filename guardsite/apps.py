"""App configs of the site itself."""

from __future__ import annotations

from django.apps import AppConfig
from django.contrib.admin.apps import AdminConfig


class SiteConfig(AppConfig):
    """The site: commands, checks, edges. It has no models."""

    name = "guardsite"

    def ready(self) -> None:
        """Register the system checks; load the Celery app, so that every process sends tasks where they are routed."""
        from guardsite import celery, checks  # noqa: F401


class GuardsiteAdminConfig(AdminConfig):
    """Django admin, opened by role instead of by `is_staff`."""

    default_site = "guardsite.admin.GuardsiteAdminSite"
