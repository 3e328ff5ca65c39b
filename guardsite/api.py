"""The `/v1` API: key authentication, problem documents, and the one visible exemption from sign-in."""

from __future__ import annotations

import logging
from collections.abc import Callable
from functools import wraps

from django.db import InterfaceError, OperationalError
from django.http import HttpRequest, HttpResponse, HttpResponseNotAllowed
from django.urls import URLPattern
from django.views.decorators.csrf import csrf_exempt
from ninja import NinjaAPI
from ninja.errors import AuthenticationError, ValidationError
from ninja.security import HttpBearer

from audit.errors import DomainError
from guardsite.errors import problem
from reviews.api import API_REVISION, REVISION_HEADER, problem_members, router
from reviews.errors import Unavailable
from tenants.errors import KeyInvalid
from tenants.keys import Caller, authenticate

RETRY_AFTER_SECONDS = 2
log = logging.getLogger("guardsite.api")


class KeyAuth(HttpBearer):
    """`Authorization: Bearer gsk_…`."""

    def authenticate(self, request: HttpRequest, token: str) -> Caller:
        """The caller. Raises KeyInvalid."""
        return authenticate(token)


api = NinjaAPI(title="guardsite", version="1", auth=KeyAuth(), docs_url=None, openapi_url=None)
api.add_router("", router)


def error_response(error: DomainError, *, request_id: str) -> HttpResponse:
    """A refusal as a problem document; `Retry-After` where asking again makes sense."""
    members = problem_members(error)
    response = problem(
        status=error.status,
        code=error.code,
        detail=error.sentence,
        request_id=request_id,
        **({"errors": members["errors"]} if "errors" in members else {}),
    )
    if error.status in {429, 503}:
        response["Retry-After"] = str(error.details.get("retry_after", RETRY_AFTER_SECONDS))
    if error.status == 401:
        response["WWW-Authenticate"] = "Bearer"
    response[REVISION_HEADER] = str(API_REVISION)
    return response


@api.exception_handler(DomainError)
def _refused(request: HttpRequest, error: DomainError) -> HttpResponse:
    return error_response(error, request_id=getattr(request, "id", ""))


@api.exception_handler(AuthenticationError)
def _no_key(request: HttpRequest, error: AuthenticationError) -> HttpResponse:
    return error_response(KeyInvalid(), request_id=getattr(request, "id", ""))


@api.exception_handler(ValidationError)
def _invalid(request: HttpRequest, error: ValidationError) -> HttpResponse:
    places = [{"path": "".join(f"/{part}" for part in item["loc"]), "code": item["type"]} for item in error.errors]
    return problem(status=422, code="invalid_request", request_id=getattr(request, "id", ""), errors=places)


@api.exception_handler(OperationalError)
@api.exception_handler(InterfaceError)
def _database_gone(request: HttpRequest, error: Exception) -> HttpResponse:
    log.error("database unavailable", extra={"error": type(error).__name__, "request_id": getattr(request, "id", "")})
    return error_response(Unavailable(), request_id=getattr(request, "id", ""))


def _with_problems(view: Callable[..., HttpResponse]) -> Callable[..., HttpResponse]:
    """ninja's own 405 is plain text; on the wire every refusal is a problem document."""

    @csrf_exempt  # keys, not cookies: ninja's views are exempt as well
    @wraps(view)
    def answer(request: HttpRequest, *args: object, **kwargs: object) -> HttpResponse:
        response = view(request, *args, **kwargs)
        if isinstance(response, HttpResponseNotAllowed):
            allowed = response["Allow"]
            response = problem(
                status=405,
                code="method_not_allowed",
                detail=f"This address takes {allowed}.",
                request_id=getattr(request, "id", ""),
            )
            response["Allow"] = allowed
            response[REVISION_HEADER] = str(API_REVISION)
        return response

    return answer


urls = api.urls
# LoginRequiredMiddleware covers every view; `/v1` answers to keys instead. This loop is the exemption.
for _pattern in urls[0]:
    assert isinstance(_pattern, URLPattern)
    _pattern.callback = _with_problems(_pattern.callback)
    _pattern.callback.login_required = False  # type: ignore[attr-defined]
