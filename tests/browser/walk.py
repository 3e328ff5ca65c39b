"""Every page of the site, found in the URLconf: the address, with real rows, and the person who sees it.

A route needs no line here unless it takes arguments (`ARGUMENTS`) or shows no page (`NOT_PAGES`): each is asked as every
person in turn until one gets a whole page. Routes that answer everybody's GET with a redirect or 405 are actions.
"""

from __future__ import annotations

import time
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from fnmatch import fnmatch
from typing import Any

from django.contrib import admin
from django.test import Client
from django.urls import Resolver404, resolve, reverse

from audit.scope import as_tenant
from tenants.models import Member
from tests.guards.test_house import OURS, views
from tests.people import People

# Who is asked first: the role that the part of the site is for.
FIRST = {"reviews:": "rita", "audit:": "otto", "admin:": "adam", "policy:": "adam"}
PEOPLE = ("adam", "rita", "lena", "otto", "devi")
NOBODY = ""

NOT_PAGES = {
    "api-1:*": "machines",
    "admin:jsi18n": "a script",
    "admin:autocomplete": "JSON for a widget",
    "admin:view_on_site": "a redirect that needs a content type",
    "admin:*password_change*": "changed under one's own name, not in the admin",
    "admin:login": "a redirect to the one sign-in page",
    "admin:<path:object_id>/": "an old address of the change page, a redirect",
    "admin:auth_*": "Django's groups; no role may open them",
    "admin:account_*": "allauth's own table; no role may open it",
    "admin:mfa_*": "allauth's own table; no role may open it",
    "admin:usersessions_*": "allauth's own table; no role may open it",
    "admin:socialaccount_*": "allauth's own table; no role may open it",
    "admin:(?P<url>.*)$": "what the admin does not have",
    "account_confirm_email": "a link in a mail; addresses are fixed here",
    "account_reset_password_from_key": "a link in a mail; tests of sign-in follow it",
    "account_confirm_login_code": "half way through signing in by code, which is switched off",
    "account_reauthenticate": "tests of sign-in ask for it when it is due",
    "mfa_authenticate": "half way through signing in; tests of sign-in stand there",
    "mfa_reauthenticate*": "asked for when it is due; tests of sign-in do",
    "mfa_*recovery_codes": "needs a second factor first; tests of sign-in have one",
    "mfa_deactivate_totp": "needs a second factor first; tests of sign-in have one",
    "mfa_edit_webauthn": "needs a passkey first; tests of sign-in make one",
    "mfa_remove_webauthn": "needs a passkey first; tests of sign-in make one",
    "mfa_login_webauthn": "JSON for a script",
    "reviews:follow": "a link in a mail, a redirect for whom it was sent to; tests of notices follow it",
    "reviews:replay_notice": "needs a notice that failed; tests of notices have one",
    "oidc_again": "needs an identity provider; tests of sign-in run one",
    "openid_connect_*": "needs an identity provider; tests of sign-in run one",
    "socialaccount_*": "needs an identity provider; tests of sign-in run one",
}


@dataclass
class World:
    """The people and the rows that pages are shown with: route argument → value, by the name of the route."""

    people: People
    # What a route's argument of that name is, where the route itself has no line in `arguments`.
    defaults: Mapping[str, Any] = field(default_factory=dict)
    arguments: dict[str, Mapping[str, Any]] = field(default_factory=dict)
    more: list[Visit] = field(default_factory=list)


@dataclass(frozen=True)
class Visit:
    """One page as one person sees it; `who` is empty for somebody who is not signed in. `opens` is a summary to press."""

    name: str
    path: str
    who: str
    opens: str = ""


def client_of(member: Member) -> Client:
    """A Django client with a session that this person could have, signed in this moment."""
    client = Client()
    client.force_login(member.user, backend="allauth.account.auth_backends.AuthenticationBackend")
    session = client.session
    session["account_authentication_methods"] = [{"method": "password", "at": time.time()}]
    session["account_authentication_methods_user"] = session["_auth_user_id"]
    session.save()
    return client


def clients_of(people: People) -> dict[str, Client]:
    """One client for each of the people and one for nobody."""
    return {name: client_of(getattr(people, name)) for name in PEOPLE} | {NOBODY: Client()}


def find_pages(world: World, clients: dict[str, Client]) -> tuple[list[Visit], list[str]]:
    """Every page with who sees it; and, as sentences, each route that nobody sees and no list explains."""
    found: list[Visit] = []
    unexplained: list[str] = []
    rows = admin_rows(world)
    for name, wanted in routes().items():
        if any(fnmatch(name, pattern) for pattern in NOT_PAGES):
            continue
        defaults = {key: world.defaults[key] for key in wanted if key in world.defaults}
        arguments = world.arguments.get(name) or rows.get(name) or defaults
        path = address(name, arguments)
        if path is None:
            if name not in rows:
                unexplained.append(f"{name} takes arguments: give them in furnish(), or say why it is no page")
            continue
        statuses: list[int] = []
        for who in ask_order(name):
            answer = clients[who].get(path)
            statuses.append(answer.status_code)
            if answer.status_code == 200:
                if is_page(answer):
                    found.append(Visit(name, path, who))
                break
        else:
            if not any(status in (301, 302, 405) for status in statuses):
                unexplained.append(f"{name} ({path}) answers everybody with {sorted(set(statuses))}")
    return found + world.more, unexplained


def routes() -> dict[str, set[str]]:
    """Every route's name with the names of its arguments."""
    found: dict[str, set[str]] = {}
    for name, item in views():
        found.setdefault(name, set(getattr(item.pattern, "converters", {})))
    return found


def ask_order(name: str) -> Iterator[str]:
    """Everybody, those whom the page is for first."""
    first = next((who for prefix, who in FIRST.items() if name.startswith(prefix)), "lena")
    yield first
    yield from (who for who in (*PEOPLE, NOBODY) if who != first)


def address(name: str, arguments: Mapping[str, Any]) -> str | None:
    """The path of the route; None if arguments are missing."""
    try:
        path = reverse(name, kwargs=dict(arguments))
        resolve(path)
    except (LookupError, ValueError, Resolver404):
        return None
    except Exception as error:
        if type(error).__name__ != "NoReverseMatch":
            raise
        return None
    return path


def is_page(answer: Any) -> bool:  # Any: Django's response with what its test client adds
    """Whether it is a whole HTML page: no part for htmx, no download."""
    if not answer.get("Content-Type", "").startswith("text/html") or answer.streaming:
        return False
    return b"<html" in answer.content


def admin_rows(world: World) -> dict[str, Mapping[str, Any]]:
    """For each admin page about one row: that row; empty where the tenant has none."""
    found: dict[str, Mapping[str, Any]] = {}
    with as_tenant(world.people.tenant.pk):
        for model, model_admin in admin.site._registry.items():
            opts = model._meta
            if opts.app_label not in OURS:
                continue
            row = model._default_manager.filter(tenant_id=world.people.tenant.pk).first()
            for kind in ("change", "history", "delete"):
                name = f"admin:{opts.app_label}_{opts.model_name}_{kind}"
                found[name] = {"object_id": row.pk} if row is not None else {}
            for pattern in model_admin.get_urls():
                wanted = set(getattr(pattern.pattern, "converters", {}))
                if row is not None and wanted in ({"pk"}, {"object_id"}):
                    found.setdefault(f"admin:{pattern.name}", dict.fromkeys(wanted, row.pk))
    return found


def stale() -> list[str]:
    """Lines of NOT_PAGES that match no route any more."""
    return [pattern for pattern in NOT_PAGES if not any(fnmatch(name, pattern) for name in routes())]
