"""The identity provider that the environment names, as allauth's settings; nothing when none is named."""

from __future__ import annotations

from ipaddress import ip_address
from typing import Any, Final
from urllib.parse import urlsplit

from guardsite import env

# The one provider's name in addresses and rows: /accounts/oidc/company/login/callback/.
PROVIDER_ID: Final = "company"


def oidc_settings() -> dict[str, Any]:
    """SOCIALACCOUNT_PROVIDERS for GUARDSITE_OIDC_ISSUER, _CLIENT_ID, _CLIENT_SECRET and _NAME; empty without an issuer.

    Raises BadEnvironment for an issuer that is not https (http only on loopback), or one without id and secret.
    Any: allauth's own shape.
    """
    issuer = env.optional("GUARDSITE_OIDC_ISSUER")
    if issuer is None:
        return {}
    _check_issuer(issuer)
    app = {
        "provider_id": PROVIDER_ID,
        "name": env.text("GUARDSITE_OIDC_NAME", "your company account"),
        "client_id": env.text("GUARDSITE_OIDC_CLIENT_ID"),
        "secret": env.text("GUARDSITE_OIDC_CLIENT_SECRET"),
        "settings": {"server_url": issuer.rstrip("/"), "issuer": issuer},
    }
    return {"openid_connect": {"OAUTH_PKCE_ENABLED": True, "APPS": [app]}}


def _check_issuer(issuer: str) -> None:
    try:
        parts = urlsplit(issuer)
        host = parts.hostname or ""
    except ValueError:
        raise env.BadEnvironment("GUARDSITE_OIDC_ISSUER is not a URL.") from None
    if parts.query or parts.fragment or not host:
        raise env.BadEnvironment("GUARDSITE_OIDC_ISSUER must be a URL with a host, without query and fragment.")
    if parts.scheme != "https" and not (parts.scheme == "http" and _is_loopback(host)):
        raise env.BadEnvironment("GUARDSITE_OIDC_ISSUER must start with https://.")


def _is_loopback(host: str) -> bool:
    try:
        return ip_address(host).is_loopback
    except ValueError:
        return host == "localhost"
