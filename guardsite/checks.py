"""System checks: settings that would start but be wrong, each with a stable id."""

from __future__ import annotations

from collections.abc import Sequence
from ipaddress import ip_address
from typing import Any
from urllib.parse import urlsplit

from django.apps import AppConfig
from django.conf import settings
from django.core import checks
from django.core.checks import CheckMessage, Tags, register
from django.db import connections

from guardsite.broker import connection_count

MOST_CONNECTIONS = 80


@register(Tags.security)
def check_site_url(_app_configs: Sequence[AppConfig] | None = None, **_kwargs: Any) -> list[CheckMessage]:
    """guardsite.E001: the public URL is an IP address other than loopback; W001: it is not https.

    Any: Django's signature for checks.
    """
    parts = urlsplit(settings.GUARDSITE_URL)
    host = parts.hostname or ""
    try:
        address = ip_address(host)
    except ValueError:
        is_loopback = host == "localhost" or host.endswith(".localhost")
    else:
        is_loopback = address.is_loopback
        if not is_loopback:
            hint = "Give GUARDSITE_URL a host name: browsers make no passkey for an IP address."
            return [checks.Error("GUARDSITE_URL is an IP address.", hint=hint, id="guardsite.E001")]
    if parts.scheme != "https" and not is_loopback:
        hint = "Put TLS in front and name it in GUARDSITE_URL; cookies are then marked secure."
        return [checks.Warning("GUARDSITE_URL is not https.", hint=hint, id="guardsite.W001")]
    return []


@register(Tags.security)
def check_style_page(_app_configs: Sequence[AppConfig] | None = None, **_kwargs: Any) -> list[CheckMessage]:
    """guardsite.W003: the style page is on where others can reach the site. Any: Django's signature for checks."""
    if not settings.GUARDSITE_STYLE_PAGE or urlsplit(settings.GUARDSITE_URL).hostname in (
        "localhost",
        "127.0.0.1",
        "::1",
    ):
        return []
    hint = "Unset GUARDSITE_STYLE_PAGE: each look at it makes a hundred rows and takes them back."
    return [checks.Warning("The style page is on.", hint=hint, id="guardsite.W003")]


@register(Tags.database)
def check_connection_count(
    _app_configs: Sequence[AppConfig] | None = None, databases: Sequence[str] | None = None, **_kwargs: Any
) -> list[CheckMessage]:
    """guardsite.W002: less than a fifth of the server's `max_connections` is free.

    Runs with `check --database default`. Any: Django's signature for checks.
    """
    if "default" not in (databases or ()):
        return []
    with connections["default"].cursor() as cursor:
        cursor.execute("SELECT count(*), current_setting('max_connections')::int FROM pg_stat_activity")
        used, most = cursor.fetchone() or (0, 0)
    wanted = used + connection_count(settings.CELERY_BROKER_TRANSPORT_OPTIONS)
    if wanted * 100 > most * MOST_CONNECTIONS:
        hint = "Raise max_connections, lower GUARDSITE_DB_POOL, or put PgBouncer in between."
        return [checks.Warning(f"{wanted} of {most} database connections are used.", hint=hint, id="guardsite.W002")]
    return []
