"""Error pages, each with what happened, what is safe, and what to do next."""

from __future__ import annotations

import sys

from django.db import InterfaceError, OperationalError
from django.http import HttpRequest, HttpResponse, JsonResponse
from django.shortcuts import render
from django.views.decorators.csrf import requires_csrf_token

from guardsite.who_may import needed_for


def _page(request: HttpRequest, template: str, status: int, code: str, **context: object) -> HttpResponse:
    if request.path.startswith("/v1/"):
        return problem(status=status, code=code, request_id=getattr(request, "id", ""))
    return render(request, template, context, status=status)


def problem(*, status: int, code: str, request_id: str, detail: str = "", **members: object) -> JsonResponse:
    """A problem document (RFC 9457) with our `code`; extra members are added as they are."""
    body: dict[str, object] = {"type": "about:blank", "title": code, "status": status, "code": code}
    if detail:
        body["detail"] = detail
    body["request_id"] = request_id
    body.update(members)
    return JsonResponse(body, status=status, content_type="application/problem+json")


def bad_request(request: HttpRequest, exception: Exception | None = None) -> HttpResponse:
    """400."""
    return _page(request, "400.html", 400, "malformed_request")


def permission_denied(request: HttpRequest, exception: Exception | None = None) -> HttpResponse:
    """403, with the role that it takes where that is known."""
    return _page(request, "403.html", 403, "forbidden", needed=needed_for(request, exception))


def page_not_found(request: HttpRequest, exception: Exception | None = None) -> HttpResponse:
    """404: absent and forbidden look alike."""
    return _page(request, "404.html", 404, "not_found")


def server_error(request: HttpRequest) -> HttpResponse:
    """500: nothing was decided, since every write is one transaction. 503 where the database does not answer."""
    # Django calls this while it handles the exception, so that one can tell the two apart.
    if isinstance(sys.exc_info()[1], OperationalError | InterfaceError):
        response = _page(request, "503.html", 503, "unavailable")
        response["Retry-After"] = "5"
        return response
    return _page(request, "500.html", 500, "internal")


@requires_csrf_token
def csrf_failure(request: HttpRequest, reason: str = "") -> HttpResponse:
    """403 for a form whose token is missing or old: says to reload, keeps nothing half-done."""
    return render(request, "403_csrf.html", {}, status=403)
