"""Erasable values: what RFC 9901 calls disclosures. Pure.

The body lists digests; salt and value live apart, so both can go and every hash still holds.
"""

from __future__ import annotations

import base64
import binascii
import json
import secrets
from dataclasses import dataclass
from hashlib import sha256
from typing import Any, Final

from audit.canonical import NotCanonical, parse_with_raw

SD_ALG: Final = "sha-256"
MAX_BYTES: Final = 1024 * 1024
_MAX_DEPTH: Final = 40  # the array itself and what strict intake lets through


class DisclosureError(ValueError):
    """A disclosure that is not `[salt, name, value]` in base64url."""


@dataclass(frozen=True, slots=True)
class SealedValue:
    """One disclosure: its JSON array as text, and the digest that the body commits to."""

    text: str
    digest: str

    @property
    def encoded(self) -> str:
        """Unpadded base64url of the text, as bundles carry it."""
        return encode(self.text.encode())


@dataclass(frozen=True, slots=True)
class OpenedValue:
    """What a disclosure says: its name, its value, and the value's exact text."""

    name: str
    value: Any  # JSON
    value_json: str


def seal_value(name: str, value_json: str, *, salt: bytes | None = None) -> SealedValue:
    """A disclosure of `name`, with the JSON text spliced in as it is, and a fresh 128-bit salt."""
    salt_text = encode(secrets.token_bytes(16) if salt is None else salt)
    text = f'["{salt_text}", {json.dumps(name, ensure_ascii=False)}, {value_json}]'
    return SealedValue(text, digest_of(encode(text.encode())))


def digest_of(encoded: str) -> str:
    """base64url(SHA-256(the ASCII characters of the encoded disclosure))."""
    return encode(sha256(encoded.encode("ascii")).digest())


def open_value(text: bytes) -> OpenedValue:
    """Name and value of a disclosure's text. Raises DisclosureError."""
    try:
        parsed = parse_with_raw(text, max_bytes=2 * MAX_BYTES, max_depth=_MAX_DEPTH, raw_depth=1)
    except NotCanonical as error:
        raise DisclosureError(error.sentence) from None
    array = parsed.value
    if not isinstance(array, list) or len(array) != 3 or not all(isinstance(item, str) for item in array[:2]):
        raise DisclosureError("a disclosure is an array of salt, name and value")
    return OpenedValue(array[1], array[2], parsed.raw["/2"])


def encode(data: bytes) -> str:
    """Unpadded base64url."""
    return base64.urlsafe_b64encode(data).rstrip(b"=").decode()


def decode(text: str) -> bytes:
    """The bytes of unpadded base64url; only the form an encoder writes. Raises DisclosureError."""
    try:
        data = base64.b64decode(text + "=" * (-len(text) % 4), altchars=b"-_", validate=True)
    except (binascii.Error, ValueError):
        raise DisclosureError("not base64url") from None
    if encode(data) != text:
        raise DisclosureError("not canonical base64url")
    return data
