"""How allauth behaves here: no sign-up, step-up in our order, secrets of factors encrypted, one identity provider."""

from __future__ import annotations

import base64
import io
from typing import Any, ClassVar, Final
from urllib.parse import urlsplit

from allauth.account.adapter import DefaultAccountAdapter
from allauth.account.internal.flows.login import record_authentication
from allauth.core.exceptions import ImmediateHttpResponse
from allauth.mfa.adapter import DefaultMFAAdapter
from allauth.mfa.models import Authenticator
from allauth.socialaccount.adapter import DefaultSocialAccountAdapter, _build_apps_from_settings
from allauth.socialaccount.models import SocialLogin
from allauth.socialaccount.providers.base.constants import AuthProcess
from cryptography.fernet import Fernet, MultiFernet
from cryptography.hazmat.primitives.hashes import SHA256
from cryptography.hazmat.primitives.kdf.hkdf import HKDF
from django.conf import settings
from django.core.exceptions import PermissionDenied
from django.db import transaction
from django.http import Http404, HttpRequest
from django.shortcuts import render
from django.utils import timezone
from django.utils.translation import gettext_lazy as _

from tenants import account_log, oidc, stepup
from tenants.models import User


class ClosedAccountAdapter(DefaultAccountAdapter):  # type: ignore[misc]  # allauth ships no types
    """allauth's adapter with the door to sign-up closed."""

    error_messages: ClassVar[dict[str, Any]] = {
        **DefaultAccountAdapter.error_messages,
        "email_password_mismatch": _("That email and password do not match."),
    }

    def is_open_for_signup(self, request: HttpRequest) -> bool:
        """Never: an owner adds members."""
        return False

    def populate_username(self, request: HttpRequest, user: Any) -> None:
        """Nothing: people sign in by e-mail address."""

    def get_reauthentication_methods(self, user: Any) -> list[dict[str, Any]]:
        """The pages that ask this person again, best first."""
        return stepup.ways_to_prove(user, strong=stepup.wants_strong(self.request))

    def format_email_subject(self, subject: str) -> str:
        """The subject with our name in front; allauth would take the host's from the request."""
        return f"[guardsite] {subject}"

    def get_client_ip(self, request: HttpRequest) -> str:
        """The address that uvicorn or its trusted proxy gives; one name for all on a socket without addresses."""
        try:
            return str(super().get_client_ip(request))
        except PermissionDenied:
            return "0.0.0.0"  # noqa: S104  (a name in a log, nothing listens)


_PREFIX: Final = "enc1:"


class FactorAdapter(DefaultMFAAdapter):  # type: ignore[misc]  # allauth ships no types
    """Second factors: secrets encrypted at rest, and named after the site's own host, whatever host was asked for."""

    def encrypt(self, text: str) -> str:
        """The secret of a factor as it is stored: a table alone opens no account."""
        return _PREFIX + _vault().encrypt(text.encode()).decode()

    def decrypt(self, encrypted_text: str) -> str:
        """The secret behind a stored text. Raises InvalidToken when GUARDSITE_SECRET_KEY is another one."""
        if not encrypted_text.startswith(_PREFIX):
            return encrypted_text  # stored by a version that did not encrypt
        return _vault().decrypt(encrypted_text.removeprefix(_PREFIX).encode()).decode()

    def get_totp_issuer(self) -> str:
        """How the authenticator app calls this site."""
        return f"guardsite {_host()}"

    def build_totp_svg(self, url: str) -> str:
        """The code as black on white: a dark page must not hide it."""
        import qrcode  # type: ignore[import-untyped]  # here: slow to load, and wanted on one page
        from qrcode.image.svg import SvgPathFillImage  # type: ignore[import-untyped]

        buffer = io.BytesIO()
        qrcode.make(url, image_factory=SvgPathFillImage).save(buffer)
        return buffer.getvalue().decode()

    def get_public_key_credential_rp_entity(self) -> dict[str, str]:
        """The site that passkeys belong to: GUARDSITE_URL's host."""
        return {"id": _host(), "name": "guardsite"}

    def generate_authenticator_name(self, user: Any, type: Any) -> str:  # noqa: A002  (allauth's name)
        """What a new passkey is called until its owner names it."""
        count = Authenticator.objects.filter(user_id=user.pk, type=type).count()
        return _("Passkey %(number)d") % {"number": count + 1}


def _host() -> str:
    return str(urlsplit(settings.GUARDSITE_URL).hostname)


def _vault() -> MultiFernet:
    keys = [settings.SECRET_KEY, *settings.SECRET_KEY_FALLBACKS]
    derived = [
        HKDF(algorithm=SHA256(), length=32, salt=None, info=b"guardsite second factors").derive(str(key).encode())
        for key in keys
    ]
    return MultiFernet([Fernet(base64.urlsafe_b64encode(key)) for key in derived])


class ProviderAdapter(DefaultSocialAccountAdapter):  # type: ignore[misc]  # allauth ships no types
    """The identity provider of the environment opens accounts that exist; it makes none and joins none by a claim."""

    def list_apps(self, request: HttpRequest, provider: Any = None, client_id: Any = None) -> list[Any]:
        """The provider of the settings alone: a row in the database must not add one."""
        found = _build_apps_from_settings(provider=provider, client_id=client_id)
        return [app for apps in found.values() for app in apps]

    def is_open_for_signup(self, request: HttpRequest, sociallogin: SocialLogin) -> bool:
        """Never: an owner adds members."""
        return False

    def can_authenticate_by_email(self, login: SocialLogin, email: str) -> bool:
        """Never by allauth, which would take the person's password away; `oidc.person_behind` decides."""
        return False

    def pre_social_login(self, request: HttpRequest, sociallogin: SocialLogin) -> None:
        """Bind the login to the one account it opens, or answer with the page that says why it opens none."""
        claims = oidc.claims_of(sociallogin)
        try:
            person = oidc.person_behind(claims)
            if sociallogin.state.get("process") == AuthProcess.REDIRECT:
                _prove_again(request, sociallogin, person, claims)
                return
        except oidc.NotMatched as refusal:
            context = {"reason": refusal.reason, "email": refusal.email, "provider_name": oidc.name()}
            raise ImmediateHttpResponse(render(request, "socialaccount/refused.html", context, status=403)) from refusal
        if sociallogin.state.get("process") != AuthProcess.LOGIN:
            raise Http404
        if not sociallogin.is_existing:
            with transaction.atomic():
                sociallogin.connect(request, person)
                account_log.record_for_person(person, kind="member.provider_linked", fields={})


def _prove_again(request: HttpRequest, login: SocialLogin, person: User, claims: oidc.Claims) -> None:
    if not request.user.is_authenticated or request.user.pk != person.pk or not oidc.is_linked(person):
        raise oidc.NotMatched("other_person", email=claims.email)
    oidc.require_asked(claims, now=timezone.now())
    record_authentication(
        request, person, "socialaccount", provider=login.account.provider, uid=login.account.uid, reauthenticated=True
    )
