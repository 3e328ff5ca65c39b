"""What every answer carries: a request id, a content security policy, and no unseen redirect to sign-in."""

from __future__ import annotations

import logging
import time
from collections.abc import Callable

from django.conf import settings
from django.http import HttpRequest, HttpResponse, HttpResponseRedirect
from django.shortcuts import render, resolve_url

from audit.ids import uuid7

GetResponse = Callable[[HttpRequest], HttpResponse]

# README decision 8. `data:` is for allauth's TOTP code.
CONTENT_SECURITY_POLICY = (
    "default-src 'self'; object-src 'none'; base-uri 'none'; form-action 'self'; frame-ancestors 'none'; "
    "img-src 'self' data:"
)

log = logging.getLogger("guardsite.request")


class RequestLogMiddleware:
    """One line per request: method, route name, status, milliseconds, request id; never a query string or a body."""

    def __init__(self, get_response: GetResponse) -> None:
        self.get_response = get_response

    def __call__(self, request: HttpRequest) -> HttpResponse:
        """Answer, with `X-Request-ID` set."""
        request.id = uuid7().hex  # type: ignore[attr-defined]  # read by problem documents and logs
        started = time.monotonic()
        response = self.get_response(request)
        response["X-Request-ID"] = request.id  # type: ignore[attr-defined]
        match = request.resolver_match
        log.info(
            "request",
            extra={
                "request_id": request.id,  # type: ignore[attr-defined]
                "method": request.method,
                "route": match.view_name if match else "-",
                "status": response.status_code,
                "ms": round((time.monotonic() - started) * 1000, 1),
            },
        )
        return response


class ContentSecurityPolicyMiddleware:
    """Sets the one policy on every page; nothing inline, nothing evaluated, no framing."""

    def __init__(self, get_response: GetResponse) -> None:
        self.get_response = get_response

    def __call__(self, request: HttpRequest) -> HttpResponse:
        """Answer with the policy's header."""
        response = self.get_response(request)
        response["Content-Security-Policy"] = CONTENT_SECURITY_POLICY
        return response


# What a person may have typed into a verdict; shown back when their session ended meanwhile.
TYPED_FIELDS = ("message", "note", "typed", "text")
# The inputs of an amendment are named after the places of their values.
TYPED_PREFIX = "to:"


class SignedOutMiddleware:
    """Answers 401 where the redirect to sign-in would lose something.

    htmx would paint the sign-in form into the card; a form that was sent without a session would lose what was typed.
    """

    def __init__(self, get_response: GetResponse) -> None:
        self.get_response = get_response

    def __call__(self, request: HttpRequest) -> HttpResponse:
        """Answer; a lost session is 401 with a link, and with the draft where there is one."""
        response = self.get_response(request)
        if not isinstance(response, HttpResponseRedirect):
            return response
        if not response.url.startswith(resolve_url(settings.LOGIN_URL)) or request.path.startswith("/accounts/"):
            return response
        if request.headers.get("HX-Request") == "true":
            return render(request, "401.html", {"next": request.headers.get("HX-Current-URL", "/")}, status=401)
        if request.method == "POST":
            typed = {
                name: value
                for name, value in request.POST.items()
                if value and (name in TYPED_FIELDS or name.startswith(TYPED_PREFIX))
            }
            # Actions answer a GET with the page that they belong to.
            return render(request, "signed_out.html", {"next": request.path, "typed": typed}, status=401)
        return response
