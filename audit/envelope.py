"""What is hashed: body, envelope, row. Pure; the byte layout is `guardsite.audit.v1` and never changes.

The envelope is ASCII, six lines, each ended by LF: version, origin, seq, previous row hash, body hash, `recorded_us`.
The row hash is an RFC 6962 leaf hash, so the links of the chain are the leaves of the tree that checkpoints sign.
"""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from hashlib import sha256
from typing import Final

import orjson

from audit.canonical import MAX_INTEGER
from audit.errors import DomainError

ENVELOPE_VERSION: Final = "guardsite.audit.v1"
BODY_PREFIX: Final = b"guardsite.body.v1\n"
GENESIS_PREFIX: Final = b"guardsite.genesis.v1\n"
CALL_PREFIX: Final = b"guardsite.call.v1\n"
MAX_BODY_BYTES: Final = 64 * 1024
MAX_ORIGIN: Final = 128

_ORIGIN = re.compile(r"[a-z0-9.-]+(/[A-Za-z0-9._~-]+)+")
_IDENTIFIER = re.compile(r"[ !#-\[\]-~]{0,200}")


class BadBody(DomainError):
    """A body that may not be logged: a bug or unchecked input in the caller. `path` names the field, no value is shown."""

    code = "bad_audit_body"
    status = 500
    default_sentence = "This could not be written to the audit log, so nothing was done."

    def __init__(self, path: str, problem: str) -> None:
        super().__init__(path=path, problem=problem)
        self.path = path
        self.problem = problem

    def __str__(self) -> str:
        return f"audit body field {self.path or '(root)'}: {self.problem}"


def is_identifier(text: str) -> bool:
    """True for what a body may hold as a string: at most 200 printable ASCII characters, no quote, no backslash."""
    return _IDENTIFIER.fullmatch(text) is not None


def is_origin(text: str) -> bool:
    """True for a log's name, such as `guard.example/t/4f1c/e1`."""
    return len(text) <= MAX_ORIGIN and _ORIGIN.fullmatch(text) is not None


def body_bytes(fields: Mapping[str, object]) -> bytes:
    """Canonical bytes of a body. Raises BadBody for floats, long integers, and strings that are not identifiers.

    With only such values, `orjson` with sorted keys writes exactly what RFC 8785 asks for.
    """
    _check(fields, "")
    data = orjson.dumps(fields, option=orjson.OPT_SORT_KEYS)
    if len(data) > MAX_BODY_BYTES:
        raise BadBody("", "larger than 64 KiB")
    return data


def _check(value: object, path: str) -> None:
    if value is None or isinstance(value, bool):
        return
    if isinstance(value, str):
        if not is_identifier(value):
            raise BadBody(path, "not an identifier (printable ASCII, at most 200 characters, no quote or backslash)")
    elif type(value) is int:
        if abs(value) > MAX_INTEGER:
            raise BadBody(path, "an integer beyond 2^53 - 1")
    elif type(value) is dict or (isinstance(value, Mapping) and not path):
        for key, inner in value.items():
            if not isinstance(key, str) or not is_identifier(key):
                raise BadBody(path, "a key that is not an identifier")
            _check(inner, f"{path}/{key}")
    elif type(value) in (list, tuple):
        for index, inner in enumerate(value):  # type: ignore[arg-type]  # narrowed by type() above
            _check(inner, f"{path}/{index}")
    else:
        raise BadBody(path, f"a {type(value).__name__}, which a body cannot hold")


def body_hash(stored: bytes) -> bytes:
    """SHA-256 over the stored body, 32 bytes."""
    return sha256(BODY_PREFIX + stored).digest()


def genesis_hash(origin: str) -> bytes:
    """What stands as "previous row hash" in entry 0 of the log `origin`."""
    return sha256(GENESIS_PREFIX + origin.encode("ascii") + b"\n").digest()


def envelope(*, origin: str, seq: int, previous: bytes, body: bytes, recorded_us: int) -> bytes:
    """The six lines that a row hash covers. `previous` and `body` are 32-byte hashes."""
    return (f"{ENVELOPE_VERSION}\n{origin}\n{seq}\n{previous.hex()}\n{body.hex()}\n{recorded_us}\n").encode("ascii")


def row_hash(envelope_bytes: bytes) -> bytes:
    """SHA-256(0x00 ‖ envelope): the link of the chain and the leaf of the tree."""
    return sha256(b"\x00" + envelope_bytes).digest()


def call_digest(*, salt_hex: str, canonical_call: bytes) -> str:
    """The salted digest that names one call, 64 hex digits; the salt is the disclosure `call_salt`."""
    return sha256(CALL_PREFIX + salt_hex.encode("ascii") + b"\n" + canonical_call).hexdigest()


def chain(origin: str, previous: bytes, rows: Sequence[tuple[int, bytes, int]]) -> list[bytes]:
    """Row hashes of consecutive `(seq, body_hash, recorded_us)` after `previous`."""
    found = []
    for seq, body, recorded_us in rows:
        previous = row_hash(envelope(origin=origin, seq=seq, previous=previous, body=body, recorded_us=recorded_us))
        found.append(previous)
    return found
