"""Signed checkpoints in the C2SP forms signed-note and tlog-checkpoint, and verifier keys. Pure.

A checkpoint's text is three lines: origin, size, base64(root). A signature line is `— origin base64(key id ‖ signature)`.
The key's name is the origin, so that pinning a vkey pins one log.
"""

from __future__ import annotations

import base64
import binascii
import re
from dataclasses import dataclass
from hashlib import sha256

from cryptography.exceptions import InvalidSignature
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey, Ed25519PublicKey
from cryptography.hazmat.primitives.serialization import Encoding, PublicFormat

from audit.envelope import is_origin

_ALGORITHM = b"\x01"
_SIZE = re.compile(r"0|[1-9][0-9]{0,18}")
_VKEY = re.compile(r"([^+\s]+)\+([0-9a-f]{8})\+([A-Za-z0-9+/=]+)")
_MAX_SIGNATURES = 16


class NoteError(ValueError):
    """A note, checkpoint or key that is malformed or not signed by the given key."""


@dataclass(frozen=True, slots=True)
class Checkpoint:
    """A signed head: the tree of `size` leaves of the log `origin` has this root."""

    origin: str
    size: int
    root: bytes

    def text(self) -> str:
        """The three signed lines."""
        return f"{self.origin}\n{self.size}\n{base64.b64encode(self.root).decode()}\n"


@dataclass(frozen=True, slots=True)
class VerifierKey:
    """A name and an Ed25519 public key: who may sign the log of that name."""

    name: str
    public: bytes

    @property
    def key_id(self) -> bytes:
        """First four bytes of SHA-256(name ‖ LF ‖ 0x01 ‖ public key)."""
        return sha256(self.name.encode() + b"\n" + _ALGORITHM + self.public).digest()[:4]

    def __str__(self) -> str:
        return f"{self.name}+{self.key_id.hex()}+{base64.b64encode(_ALGORITHM + self.public).decode()}"


def parse_vkey(text: str) -> VerifierKey:
    """The key of `name+hash+base64`. Raises NoteError, also when the hash does not belong to name and key."""
    found = _VKEY.fullmatch(text.strip())
    if not found:
        raise NoteError("not a verifier key")
    data = _base64(found[3])
    if len(data) != 33 or data[:1] != _ALGORITHM:
        raise NoteError("not an Ed25519 verifier key")
    key = VerifierKey(found[1], data[1:])
    if key.key_id.hex() != found[2]:
        raise NoteError("the key id does not belong to this name and key")
    return key


def public_bytes(private: Ed25519PrivateKey) -> bytes:
    """The 32 bytes of the public half."""
    return private.public_key().public_bytes(Encoding.Raw, PublicFormat.Raw)


def sign_checkpoint(checkpoint: Checkpoint, private: Ed25519PrivateKey) -> str:
    """The checkpoint as a signed note."""
    key = VerifierKey(checkpoint.origin, public_bytes(private))
    text = checkpoint.text()
    signature = base64.b64encode(key.key_id + private.sign(text.encode())).decode()
    return f"{text}\n\u2014 {checkpoint.origin} {signature}\n"


def open_checkpoint(note: str, key: VerifierKey) -> Checkpoint:
    """The checkpoint that `key` signed. Raises NoteError unless the note is well formed, signed by `key` and of its log."""
    text, signatures = _split(note)
    checkpoint = parse_checkpoint_text(text)
    if checkpoint.origin != key.name:
        raise NoteError("the checkpoint is of another log")
    mine = [data for name, key_id, data in signatures if name == key.name and key_id == key.key_id]
    if not mine:
        raise NoteError("not signed by this key")
    for data in mine:
        try:
            Ed25519PublicKey.from_public_bytes(key.public).verify(data, text.encode())
        except (InvalidSignature, ValueError):
            raise NoteError("the signature is wrong") from None
    return checkpoint


def parse_checkpoint_text(text: str) -> Checkpoint:
    """The checkpoint of three unsigned lines. Raises NoteError; extension lines are refused."""
    lines = text.split("\n")
    if len(lines) != 4 or lines[3] != "":
        raise NoteError("a checkpoint has three lines")
    if not is_origin(lines[0]):
        raise NoteError("not an origin")
    if not _SIZE.fullmatch(lines[1]):
        raise NoteError("not a tree size")
    root = _base64(lines[2])
    if len(root) != 32:
        raise NoteError("the root is not 32 bytes")
    return Checkpoint(lines[0], int(lines[1]), root)


def _split(note: str) -> tuple[str, list[tuple[str, bytes, bytes]]]:
    """The signed text, and (name, key id, signature) of each signature line."""
    if any(char < " " and char != "\n" for char in note):
        raise NoteError("a control character in the note")
    text, blank, block = note.rpartition("\n\n")
    if not blank or not block.endswith("\n"):
        raise NoteError("not a signed note")
    lines = block[:-1].split("\n")
    if len(lines) > _MAX_SIGNATURES:
        raise NoteError("too many signatures")
    found = []
    for line in lines:
        dash, _, rest = line.partition(" ")
        name, _, encoded = rest.partition(" ")
        data = _base64(encoded)
        if dash != "\u2014" or not name or "+" in name or len(data) < 5:
            raise NoteError("a malformed signature line")
        found.append((name, data[:4], data[4:]))
    return text + "\n", found


def _base64(text: str) -> bytes:
    """Standard base64, only in the one form an encoder writes."""
    try:
        data = base64.b64decode(text, validate=True)
    except (binascii.Error, ValueError):
        raise NoteError("not base64") from None
    if base64.b64encode(data).decode() != text:
        raise NoteError("not canonical base64")
    return data
