"""What looks like a secret, and how it is masked: by what the schema says, by the name of the key, by the look of the value.

Nothing that is masked here may reach a page, an e-mail or an export. Source: reviewer-experience.md section 3, "secret".
"""

from __future__ import annotations

import hashlib
import hmac
import re
from collections.abc import Mapping
from typing import Final

from audit.pointer import token

DOTS: Final = "\u2022" * 8
# A tail helps to tell keys apart; of a short secret it would give too much away.
TAIL_FROM: Final = 16

_KEY: Final = re.compile(
    r"passw(?:or)?d|passphrase|secret|(?:api|access|private|auth|signing|encryption)_?-?(?:key|token)|^token$|[_-]token$"
    r"|authorization|credential|^pin$|cvv|cvc|^otp$|session_?id|cookie"
)
# Every form ends, or fails, within one run of its own letters: an agent must not be able to make the search slow.
# Forms that their makers publish; then what an HTTP header or an address would carry.
_VALUE: Final = re.compile(
    r"(?:sk|pk|rk)_(?:live|test)_\w{8,}|whsec_\w{16,}"  # Stripe
    r"|gh[pousr]_\w{20,}|github_pat_\w{22,}|glpat-[\w-]{16,}"  # GitHub, GitLab
    r"|(?:AKIA|ASIA)[0-9A-Z]{16}|(?:aws_secret_access_key|AWS_SECRET_ACCESS_KEY)\s*[=:]\s*[\"']?[A-Za-z0-9/+]{40}"  # AWS
    r"|xox[abeoprs]-[A-Za-z0-9-]{10,}|https://hooks\.slack\.com/services/[A-Za-z0-9/]{20,}"  # Slack
    r"|AIza[\w-]{35}|ya29\.[\w-]{20,}|GOCSPX-[\w-]{20,}"  # Google
    r"|sk-(?:ant-|proj-)?[A-Za-z0-9_-]{20,}|npm_[A-Za-z0-9]{30,}|pypi-[\w-]{40,}|SG\.[\w-]{16,}\.[\w-]{16,}"  # other makers
    r"|gsk_(?:live|test)_\w+_\w{16,}"  # guardsite's own
    r"|-----BEGIN [A-Z ]{0,20}PRIVATE KEY-----"
    r"(?:(?:\s{0,2}[A-Za-z-]{1,20}:[^\n]{0,200}\n){0,4}[A-Za-z0-9+/=\s]*+-----END [A-Z ]{0,20}PRIVATE KEY-----)?"
    r"|(?<![\w-])eyJ[\w-]{10,}\.eyJ[\w-]{10,}\.[\w-]*"  # JSON Web Token
    r"|(?<=[Bb]earer )[A-Za-z0-9._~+/-]{20,}=*|(?<=[Bb]asic )[A-Za-z0-9+/]{16,}=*"
)


def is_declared_secret(schema: Mapping[str, object] | None) -> bool:
    """Whether the schema says that a value must not be shown."""
    return schema is not None and (
        schema.get("format") == "password" or schema.get("writeOnly") is True or schema.get("x-secret") is True
    )


def is_secret_key(key: str) -> bool:
    """Whether the name of a key promises a secret."""
    snake = re.sub(r"(?<=[a-z0-9])(?=[A-Z])", "_", key)
    return _KEY.search(snake.casefold()) is not None


def is_secret(written: str) -> bool:
    """Whether all of the text is a secret by its look."""
    return _VALUE.fullmatch(written.strip()) is not None


def holds_secret(written: str) -> bool:
    """Whether a secret stands in the text."""
    return _VALUE.search(written) is not None


def mask_text(written: str) -> str:
    """The text with each secret in it as dots; without spaces, so that an address stays one."""
    return _VALUE.sub(lambda match: mask(match.group()), written)


def mask(secret: str) -> str:
    """Dots, and the last 4 characters of 16 and more; of a key in PEM its length, for a long text may hide behind its dots."""
    if secret.startswith("-----"):
        return f"{DOTS}[private key, {len(secret):,} characters]"
    return DOTS + (secret[-4:] if len(secret) >= TAIL_FROM else "")


def fingerprint(secret: str, *, key: bytes) -> str:
    """8 hex digits by which equal secrets can be told without their value; empty without a key (HMAC-SHA256, RFC 2104).

    Keyed, because a digest alone of a short secret can be guessed.
    """
    if not key:
        return ""
    return hmac.new(key, secret.encode("utf-8", "surrogatepass"), hashlib.sha256).hexdigest()[:8]


def mask_document(document: object, pointer: str = "", *, key: str = "") -> tuple[object, frozenset[str]]:
    """A copy of a JSON value without its secrets, and the pointers of what was masked. Keys are masked too."""
    if isinstance(document, dict):
        copy: dict[str, object] = {}
        hidden: frozenset[str] = frozenset()
        for name, item in document.items():
            copy[mask_text(name)], found = mask_document(item, f"{pointer}/{token(name)}", key=name)
            hidden |= found
        return copy, hidden
    if isinstance(document, list):
        members = [mask_document(item, f"{pointer}/{index}", key=key) for index, item in enumerate(document)]
        return [item for item, _ in members], frozenset().union(*(found for _, found in members))
    if isinstance(document, str) and document and is_secret_key(key):
        return mask(document), frozenset([pointer])
    if isinstance(document, str) and holds_secret(document):
        return mask_text(document), frozenset([pointer])
    return document, frozenset()
