"""Secrets of webhooks: made here, shown once, sealed with a key of this deployment, used to sign.

Source: Standard Webhooks 1.0.0 (`whsec_` and base64; `v1,` and base64 of HMAC-SHA256 over `id.timestamp.body`).
"""

from __future__ import annotations

import base64
import hashlib
import hmac
import secrets
from collections.abc import Sequence
from datetime import datetime
from typing import Final

from cryptography.fernet import Fernet, MultiFernet
from cryptography.hazmat.primitives.hashes import SHA256
from cryptography.hazmat.primitives.kdf.hkdf import HKDF
from django.conf import settings

PREFIX: Final = "whsec_"
SECRET_BYTES: Final = 32


def new_secret() -> str:
    """A fresh secret, as its receiver is given it."""
    return PREFIX + base64.b64encode(secrets.token_bytes(SECRET_BYTES)).decode()


def seal(secret: str) -> str:
    """The secret as the database keeps it."""
    return _vault().encrypt(secret.encode()).decode()


def unseal(sealed: str) -> str:
    """The secret again. Raises cryptography's InvalidToken when it was sealed elsewhere."""
    return _vault().decrypt(sealed.encode()).decode()


def signature(keys: Sequence[str], *, message_id: str, at: datetime, body: bytes) -> str:
    """The `webhook-signature` header: one signature for each secret, so that a receiver may hold the old or the new."""
    signed = b".".join((message_id.encode(), str(int(at.timestamp())).encode(), body))
    found = []
    for secret in keys:
        key = base64.b64decode(secret.removeprefix(PREFIX))
        found.append("v1," + base64.b64encode(hmac.new(key, signed, hashlib.sha256).digest()).decode())
    return " ".join(found)


def _vault() -> MultiFernet:
    keys = [settings.SECRET_KEY, *settings.SECRET_KEY_FALLBACKS]
    derived = [
        HKDF(algorithm=SHA256(), length=32, salt=None, info=b"guardsite webhook secrets").derive(str(key).encode())
        for key in keys
    ]
    return MultiFernet([Fernet(base64.urlsafe_b64encode(key)) for key in derived])
