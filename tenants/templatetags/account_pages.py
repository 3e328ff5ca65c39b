"""What pages about signing in ask for: factors of the person, the identity provider, options of a passkey."""

from __future__ import annotations

import json
from dataclasses import dataclass
from typing import Any
from urllib.parse import urlsplit

from allauth.mfa.models import Authenticator
from django import template
from django.core.serializers.json import DjangoJSONEncoder
from django.http import HttpRequest
from django.urls import Resolver404, resolve, reverse
from django.utils.http import url_has_allowed_host_and_scheme
from django.utils.translation import gettext_lazy as _

from tenants import oidc, stepup

# What somebody is asked for again, by the page that they come back to. A page where several things are done names none.
_STEPS = {
    "mfa_activate_totp": _("set up an authenticator app"),
    "mfa_deactivate_totp": _("remove the authenticator app"),
    "mfa_add_webauthn": _("add a passkey"),
    "mfa_edit_webauthn": _("rename a passkey"),
    "mfa_remove_webauthn": _("remove a passkey"),
    "mfa_view_recovery_codes": _("see the recovery codes"),
    "mfa_generate_recovery_codes": _("make new recovery codes"),
    "account_set_password": _("set a password"),
    "admin:policy_revision_publish": _("publish the draft"),
    "admin:policy_revision_rollback": _("roll back"),
    "policy:flip": _("change the mode"),
}

register = template.Library()


@dataclass(frozen=True, slots=True)
class Factors:
    """Which second factors a person has; recovery codes are none by themselves."""

    passkey_count: int
    has_app: bool

    @property
    def has_passkey(self) -> bool:
        """Whether there is a passkey."""
        return self.passkey_count > 0

    @property
    def count(self) -> int:
        """How many there are."""
        return self.passkey_count + int(self.has_app)


@dataclass(frozen=True, slots=True)
class Provider:
    """The identity provider: its id in addresses and its name; both empty without one."""

    id: str
    name: str


@dataclass(frozen=True, slots=True)
class AskedAgain:
    """What somebody must prove who they are for: the step in words or empty, whether they typed something, the way out."""

    step: str
    keeps_typed: bool
    cancel_url: str


@register.filter
def as_json(value: Any) -> str:
    """JSON as text, for an attribute; the template escapes it. Any: allauth's options of a passkey."""
    return json.dumps(value, cls=DjangoJSONEncoder)


@register.simple_tag(takes_context=True)
def factors(context: dict[str, Any]) -> Factors:
    """The second factors of whoever is signed in."""
    return _factors_of(context["request"].user)


@register.simple_tag(takes_context=True)
def factors_of_login(context: dict[str, Any]) -> Factors:
    """The second factors of whoever has given a password and not yet the second step."""
    return _factors_of(context["view"].stage.login.user)


@register.simple_tag(takes_context=True)
def asked_again(context: dict[str, Any]) -> AskedAgain:
    """Why this person is asked again, by the page that they come back to."""
    request: HttpRequest = context["request"]
    overview = reverse("mfa_index")
    back_to = request.POST.get("next") or request.GET.get("next") or ""
    if not back_to.startswith("/") or not url_has_allowed_host_and_scheme(back_to, None):
        return AskedAgain("", keeps_typed=False, cancel_url=overview)
    path = urlsplit(back_to).path
    try:
        step = str(_STEPS.get(resolve(path).view_name, ""))
    except Resolver404:
        step = ""
    # A page about one's own sign-in would ask again at once.
    is_own = path.startswith(reverse("account_login").removesuffix("login/"))
    return AskedAgain(
        step,
        keeps_typed=stepup.keeps_draft(request, came_back_to=back_to),
        cancel_url=overview if is_own else back_to,
    )


@register.simple_tag
def identity_provider() -> Provider:
    """The identity provider of this installation."""
    return Provider(oidc.provider_id(), oidc.name())


def _factors_of(user: Any) -> Factors:
    types = list(Authenticator.objects.filter(user_id=user.pk).values_list("type", flat=True))
    return Factors(types.count(Authenticator.Type.WEBAUTHN), Authenticator.Type.TOTP in types)
