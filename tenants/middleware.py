"""Each signed-in page runs in one transaction that sees one tenant's rows."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any
from uuid import UUID

from allauth.core.exceptions import ReauthenticationRequired
from django.http import HttpRequest, HttpResponse, HttpResponseRedirect
from django.shortcuts import render

from audit.errors import DomainError
from audit.scope import as_tenant
from tenants import stepup
from tenants.isolation import as_user
from tenants.models import Member, User

SESSION_KEY = "tenant_id"
# allauth runs its own flows and touches no tenant row; /v1 is a machine's door and opens its own scope.
OUTSIDE = ("/accounts/", "/v1/")


class TenantMiddleware:
    """Sets `request.member` and `request.tenant`, and runs the view inside `as_tenant`.

    The whole request is one transaction: it rolls back on any exception, and a DomainError becomes its page
    after the rollback. Write functions nest inside as savepoints.
    """

    def __init__(self, get_response: Callable[[HttpRequest], HttpResponse]) -> None:
        self.get_response = get_response

    def __call__(self, request: HttpRequest) -> HttpResponse:
        """Find the membership, then go on."""
        member: Member | None = None
        memberships: list[Member] = []
        if isinstance(request.user, User) and request.user.is_authenticated and not request.path.startswith("/v1/"):
            memberships = memberships_of(request.user)
            member = chosen_of(memberships, request.session.get(SESSION_KEY))
            request.user.current_member = member
        request.member = member  # type: ignore[attr-defined]
        request.memberships = memberships  # type: ignore[attr-defined]  # the header's switch
        request.tenant = member.tenant if member else None  # type: ignore[attr-defined]
        return self.get_response(request)

    def process_view(
        self, request: HttpRequest, view: Callable[..., Any], args: tuple[Any, ...], kwargs: dict[str, Any]
    ) -> HttpResponse | None:
        """Run the view in its tenant's transaction; leave sign-in pages and the wire alone."""
        member: Member | None = request.member  # type: ignore[attr-defined]
        if request.path.startswith(OUTSIDE) or not request.user.is_authenticated:
            return None
        if member is None:
            return render(request, "no_membership.html", status=403)
        try:
            with as_tenant(member.tenant_id):
                response: HttpResponse = view(request, *args, **kwargs)
                # Lazy templates query while they render: that too belongs inside.
                if hasattr(response, "render") and callable(response.render):
                    response = response.render()
                return response
        except DomainError as error:
            response = render(request, "domain_error.html", {"error": error}, status=error.status)
            if request.headers.get("HX-Request") == "true":
                # A notice beside the page, never in place of a card that somebody has typed into.
                response["HX-Retarget"], response["HX-Reswap"] = "#site-alert", "innerHTML"
            return response


class ReauthenticationMiddleware:
    """Sends whom allauth wants to ask again to the best page for it, and back with a GET.

    Stands behind allauth's own, which would keep the POST and run it unseen after the password.
    """

    def __init__(self, get_response: Callable[[HttpRequest], HttpResponse]) -> None:
        self.get_response = get_response

    def __call__(self, request: HttpRequest) -> HttpResponse:
        """Nothing on the way in."""
        return self.get_response(request)

    def process_exception(self, request: HttpRequest, exception: Exception) -> HttpResponse | None:
        """A redirect where allauth raised for a fresh proof; None for anything else."""
        if not isinstance(exception, ReauthenticationRequired) or not request.user.is_authenticated:
            return None
        return HttpResponseRedirect(stepup.page_that_asks(request, back_to=request.get_full_path()))


def memberships_of(user: User) -> list[Member]:
    """The person's active memberships with their tenants, the oldest first."""
    with as_user(user.pk):
        return list(
            Member.objects.select_related("tenant", "user").filter(user=user, is_active=True).order_by("created_at")
        )


def chosen_of(memberships: list[Member], tenant_id: str | None) -> Member | None:
    """The membership to act under: the one chosen in this session, else the oldest; None without any."""
    if tenant_id is not None:
        for member in memberships:
            if member.tenant_id == UUID(tenant_id):
                return member
    return memberships[0] if memberships else None
