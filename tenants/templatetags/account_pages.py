"""What pages about signing in ask for: factors of the person, the identity provider, options of a passkey."""

from __future__ import annotations

import json
from dataclasses import dataclass
from typing import Any

from allauth.mfa.models import Authenticator
from django import template
from django.core.serializers.json import DjangoJSONEncoder

from tenants import oidc

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


@register.simple_tag
def identity_provider() -> Provider:
    """The identity provider of this installation."""
    return Provider(oidc.provider_id(), oidc.name())


def _factors_of(user: Any) -> Factors:
    types = list(Authenticator.objects.filter(user_id=user.pk).values_list("type", flat=True))
    return Factors(types.count(Authenticator.Type.WEBAUTHN), Authenticator.Type.TOTP in types)
