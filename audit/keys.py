"""The deployment's Ed25519 key that signs checkpoints, and its public half. The database never sees either.

Settings: `AUDIT_NOTARY_KEY()` gives the private key (PKCS#8 PEM, or the path of such a file) where the notary runs;
`AUDIT_NOTARY_PUBLIC_KEY`, base64 of 32 bytes, is enough for pages that only verify.
"""

from __future__ import annotations

import base64
import binascii
import os
from pathlib import Path

from cryptography.exceptions import UnsupportedAlgorithm
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey
from cryptography.hazmat.primitives.serialization import (
    Encoding,
    NoEncryption,
    PrivateFormat,
    load_pem_private_key,
)
from django.conf import settings
from django.core.exceptions import ImproperlyConfigured

from audit.note import VerifierKey, public_bytes


class KeyUnusable(ImproperlyConfigured):
    """There is no usable key here; the text says which setting and never shows a key."""


def private_key() -> Ed25519PrivateKey:
    """The signing key. Raises ImproperlyConfigured where this process has none."""
    value: str = settings.AUDIT_NOTARY_KEY()
    data = value.encode() if value.lstrip().startswith("-----BEGIN") else _read(Path(value))
    try:
        key = load_pem_private_key(data, password=None)
    except (ValueError, TypeError, UnsupportedAlgorithm):
        raise KeyUnusable("AUDIT_NOTARY_KEY is not an unencrypted PKCS#8 key in PEM.") from None
    if not isinstance(key, Ed25519PrivateKey):
        raise KeyUnusable("AUDIT_NOTARY_KEY is not an Ed25519 key.")
    return key


def _read(path: Path) -> bytes:
    try:
        return path.read_bytes()
    except (OSError, ValueError):
        raise KeyUnusable("AUDIT_NOTARY_KEY names a file that cannot be read.") from None


def public_key() -> bytes | None:
    """The 32 public bytes: as set, else of the private key, else None: then nothing here can judge a signature."""
    text: str | None = settings.AUDIT_NOTARY_PUBLIC_KEY
    if text is not None:
        try:
            data = base64.b64decode(text, validate=True)
        except (binascii.Error, ValueError):
            data = b""
        if len(data) != 32:
            raise KeyUnusable("AUDIT_NOTARY_PUBLIC_KEY is not base64 of 32 bytes.")
        return data
    try:
        return public_bytes(private_key())
    except ImproperlyConfigured:
        return None


def vkey(origin: str) -> VerifierKey | None:
    """What to pin for the log `origin`, or None where the public key is not known here."""
    public = public_key()
    return VerifierKey(origin, public) if public is not None else None


def make_key_file(path: Path) -> bytes:
    """Writes a new private key, mode 0600, and returns its public bytes. Raises FileExistsError: a key is never replaced."""
    key = Ed25519PrivateKey.generate()
    data = key.private_bytes(Encoding.PEM, PrivateFormat.PKCS8, NoEncryption())
    descriptor = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600)
    with os.fdopen(descriptor, "wb") as file:
        file.write(data)
        file.flush()
        os.fsync(file.fileno())
    return public_bytes(key)
