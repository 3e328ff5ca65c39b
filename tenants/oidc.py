"""Sign-in through the company's identity provider (OpenID Connect): which token is believed, and whose account it opens.

A token opens the account of an active person with the same address, if the provider verified that address; the first
time it also binds the provider's subject to the person, and from then on both must agree. Nobody is ever created.
Sources: OpenID Connect Core 1.0 (ID Token Validation, UserInfo Response), Discovery 1.0 (Validation), RFC 7636.
"""

from __future__ import annotations

import hmac
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from typing import Any, Final

import jwt
from allauth.socialaccount import app_settings
from allauth.socialaccount.models import SocialAccount, SocialLogin
from allauth.socialaccount.providers.oauth2.client import OAuth2Error
from allauth.socialaccount.providers.openid_connect.views import OpenIDConnectOAuth2Adapter
from django.http import HttpRequest

from tenants.models import User

# Asymmetric ones alone: with a shared secret, whoever knows the client secret could sign.
_ALGORITHMS: Final = ["RS256", "RS384", "RS512", "PS256", "PS384", "PS512", "ES256", "ES384", "ES512", "EdDSA"]
_CLOCKS_DIFFER: Final = 60  # seconds
# How recently the provider must have asked the person, where a fresh proof is wanted.
_ASKED_WITHIN: Final = timedelta(minutes=2)


class NotMatched(Exception):
    """The token is good but opens no account. `reason` is one of unverified, unknown, other_account, other_person, stale."""

    def __init__(self, reason: str, *, email: str = "") -> None:
        super().__init__(reason)
        self.reason = reason
        self.email = email


@dataclass(frozen=True, slots=True)
class Claims:
    """What the provider says of whoever signed in; `auth_at` is when it last asked them, aware UTC."""

    subject: str
    email: str
    is_email_verified: bool
    auth_at: datetime | None


def _app() -> dict[str, Any] | None:
    apps = app_settings.PROVIDERS.get("openid_connect", {}).get("APPS", [])
    return apps[0] if apps else None


def is_on() -> bool:
    """Whether this installation has an identity provider."""
    return _app() is not None


def name() -> str:
    """What the installation calls its identity provider; empty without one."""
    app = _app()
    return str(app["name"]) if app else ""


def provider_id() -> str:
    """The provider's name in addresses and rows; empty without one."""
    app = _app()
    return str(app["provider_id"]) if app else ""


def is_linked(user: User) -> bool:
    """Whether the person has signed in through the provider before."""
    return is_on() and SocialAccount.objects.filter(user_id=user.pk, provider=provider_id()).exists()


class CompanyAdapter(OpenIDConnectOAuth2Adapter):  # type: ignore[misc]  # allauth ships no types
    """allauth's client, which here always checks the signature, the issuer, the nonce and the subject."""

    # Set by the callback view from the state that belongs to this browser.
    expected_nonce: str | None = None

    @property
    def openid_config(self) -> dict[str, Any]:
        """The provider's description of itself, if it is about the issuer that was configured. Raises OAuth2Error."""
        config: dict[str, Any] = super().openid_config
        if config.get("issuer") != self.get_provider().app.settings["issuer"]:
            raise OAuth2Error("the discovery document names another issuer")
        if not {"authorization_endpoint", "token_endpoint", "jwks_uri"} <= config.keys():
            raise OAuth2Error("the discovery document is not complete")
        return config

    def complete_login(self, request: HttpRequest, app: Any, token: Any, **kwargs: Any) -> SocialLogin:
        """The login that the token answer stands for. Raises OAuth2Error for anything not to be believed."""
        claims = self._verified_claims(app, str(kwargs["response"].get("id_token") or ""))
        if "email" not in claims and self.openid_config.get("userinfo_endpoint"):
            said = self._fetch_user_info(token.token)
            if said.get("sub") != claims["sub"]:
                raise OAuth2Error("userinfo is about another subject")
            claims = claims | {key: said[key] for key in ("email", "email_verified") if key in said}
        # Only what is used is kept: the row that allauth saves holds these.
        kept = ("iss", "sub", "email", "email_verified", "auth_time")
        data = {"id_token": {key: claims[key] for key in kept if key in claims}}
        return self.get_provider().sociallogin_from_response(request, data)

    def _verified_claims(self, app: Any, token: str) -> dict[str, Any]:
        with _session() as session:
            answer = session.get(self.openid_config["jwks_uri"])
            answer.raise_for_status()
            key_set = answer.json()
        try:
            claims: dict[str, Any] = jwt.decode(
                token,
                _key_for(token, key_set),
                algorithms=_ALGORITHMS,
                audience=app.client_id,
                issuer=app.settings["issuer"],
                leeway=_CLOCKS_DIFFER,
                options={"require": ["iss", "sub", "aud", "exp", "iat"]},
            )
        except jwt.PyJWTError as error:
            raise OAuth2Error(f"the id token is not valid: {type(error).__name__}") from error
        audiences = claims["aud"] if isinstance(claims["aud"], list) else [claims["aud"]]
        if (len(audiences) > 1 or "azp" in claims) and claims.get("azp") != app.client_id:
            raise OAuth2Error("the id token was made for another client")
        nonce = claims.get("nonce")
        if not self.expected_nonce or not isinstance(nonce, str):
            raise OAuth2Error("the id token has no nonce")
        if not hmac.compare_digest(nonce.encode(), self.expected_nonce.encode()):
            raise OAuth2Error("the id token answers another request")
        return claims


def _session() -> Any:
    from allauth.socialaccount.adapter import get_adapter

    return get_adapter().get_requests_session()


def _key_for(token: str, key_set: dict[str, Any]) -> jwt.PyJWK:
    key_id = jwt.get_unverified_header(token).get("kid")
    keys = [key for key in jwt.PyJWKSet.from_dict(key_set).keys if key.public_key_use in (None, "sig")]
    if key_id is not None:
        keys = [key for key in keys if key.key_id == key_id]
    if len(keys) != 1:
        raise jwt.InvalidKeyError("no key of the provider fits")
    return keys[0]


def claims_of(login: SocialLogin) -> Claims:
    """The verified claims behind a login."""
    said = login.account.extra_data["id_token"]
    auth_time = said.get("auth_time")
    return Claims(
        subject=str(login.account.uid),
        email=str(said.get("email") or ""),
        is_email_verified=said.get("email_verified") is True,
        auth_at=datetime.fromtimestamp(auth_time, UTC) if isinstance(auth_time, int) else None,
    )


def person_behind(claims: Claims) -> User:
    """The one account that the claims open. Raises NotMatched, and then nothing was changed."""
    if not claims.email or not claims.is_email_verified:
        raise NotMatched("unverified", email=claims.email)
    linked = SocialAccount.objects.select_related("user").filter(provider=provider_id(), uid=claims.subject).first()
    user = linked.user if linked else _by_address(claims.email)
    if user is None or not user.is_active or not _same_address(user.email, claims.email):
        raise NotMatched("unknown", email=claims.email)
    if linked is None and is_linked(user):
        # An address given to somebody else at the provider, or a second account that claims it.
        raise NotMatched("other_account", email=claims.email)
    return user


def require_asked(claims: Claims, *, now: datetime) -> None:
    """Raises NotMatched where the provider did not ask the person just now."""
    if claims.auth_at is None or not timedelta(seconds=-_CLOCKS_DIFFER) <= now - claims.auth_at <= _ASKED_WITHIN:
        raise NotMatched("stale", email=claims.email)


def _by_address(email: str) -> User | None:
    return next((user for user in User.objects.filter(email__iexact=email) if _same_address(user.email, email)), None)


def _same_address(one: str, other: str) -> bool:
    # Upper-casing in the database makes equal what is not (U+017F, U+212A): beyond ASCII, only the same is the same.
    return one == other or (one.isascii() and other.isascii() and one.lower() == other.lower())
