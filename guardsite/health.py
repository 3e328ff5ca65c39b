"""/healthz and /readyz, answered before host and sign-in checks: a load balancer has neither name nor session.

`/healthz` says that the process answers and asks no database, or an outage would restart everything. `/readyz` is 503
without the database or with migrations missing; how far work lags stands in its body alone. Source: operations.md,
section 11.
"""

from __future__ import annotations

from collections.abc import Callable

from django.core.exceptions import ImproperlyConfigured
from django.db import DatabaseError, connections
from django.db.migrations.loader import MigrationLoader
from django.http import HttpRequest, HttpResponse, JsonResponse

GetResponse = Callable[[HttpRequest], HttpResponse]


class HealthMiddleware:
    """Answers the two paths itself and passes everything else on."""

    def __init__(self, get_response: GetResponse) -> None:
        self.get_response = get_response

    def __call__(self, request: HttpRequest) -> HttpResponse:
        """`{"status": "ok"}`, readiness, or the next middleware's answer."""
        if request.path_info == "/healthz":
            return _answer({"status": "ok"}, status=200)
        if request.path_info == "/readyz":
            problem = not_ready_because()
            if problem is not None:
                return _answer({"status": "not ready", "because": problem}, status=503)
            return _answer({"status": "ready"}, status=200)
        return self.get_response(request)


def _answer(body: dict[str, object], *, status: int) -> HttpResponse:
    response = JsonResponse(body, status=status)
    response["Cache-Control"] = "no-store"
    return response


_migrations_are_applied = False


def not_ready_because() -> str | None:
    """One sentence when this process cannot serve, else None.

    Once the migrations of this code were seen applied, only the database's answer is asked for: they do not go away.
    """
    global _migrations_are_applied
    connection = connections["default"]
    try:
        if not _migrations_are_applied:
            loader = MigrationLoader(connection)
            missing = set(loader.graph.nodes) - set(loader.applied_migrations or ())
            if missing:
                return f"{len(missing)} migrations are not applied. Run manage.py migrate."
            _migrations_are_applied = True
        with connection.cursor() as cursor:
            cursor.execute("SELECT 1")
    except (DatabaseError, ImproperlyConfigured) as error:
        return f"The database does not answer ({type(error).__name__})."
    return None
