"""Files within a value: size, type and digest, never the content as an image. Source: reviewer-experience.md section 3."""

from __future__ import annotations

import base64
import binascii
import hashlib
import re
from typing import Final
from urllib.parse import unquote_to_bytes

from audit.pointer import MissingError, resolve
from reviews.cards.formatters.base import WrongKindError, distinct, want
from reviews.cards.formatters.numbers import size_text
from reviews.cards.text import flat, reveal, text_cautions
from reviews.cards.types import Caution, Part, Rendered, Role, Severity, Value

BINARY_OPTIONS: Final = {
    "type": "The media type that is expected, such as image/png",
    "type_pointer": "Where the call names the media type",
}

_DATA_URI: Final = re.compile(r"data:([^,;]*)((?:;[^,;]*)*),(.*)", re.IGNORECASE | re.DOTALL)
_BASE64: Final = re.compile(r"[A-Za-z0-9+/_-]+={0,2}")
# What a file begins with, and how it is called (IANA media types); first match counts.
_MAGIC: Final = (
    (b"\x89PNG\r\n\x1a\n", "image/png"), (b"\xff\xd8\xff", "image/jpeg"), (b"GIF87a", "image/gif"),
    (b"GIF89a", "image/gif"), (b"%PDF-", "application/pdf"), (b"PK\x03\x04", "application/zip"),
    (b"\x1f\x8b", "application/gzip"), (b"BZh", "application/x-bzip2"), (b"\xfd7zXZ\x00", "application/x-xz"),
    (b"7z\xbc\xaf\x27\x1c", "application/x-7z-compressed"), (b"Rar!\x1a\x07", "application/vnd.rar"),
    (b"\x7fELF", "application/x-executable"), (b"MZ", "application/x-msdownload"),
    (b"\xcf\xfa\xed\xfe", "application/x-mach-binary"), (b"\xca\xfe\xba\xbe", "application/x-mach-binary"),
    (b"#!", "text/x-shellscript"), (b"\xd0\xcf\x11\xe0\xa1\xb1\x1a\xe1", "application/x-ole-storage"),
    (b"BM", "image/bmp"), (b"II*\x00", "image/tiff"), (b"MM\x00*", "image/tiff"), (b"OggS", "audio/ogg"),
    (b"ID3", "audio/mpeg"), (b"SQLite format 3\x00", "application/vnd.sqlite3"), (b"\x00asm", "application/wasm"),
)  # fmt: skip
_ARCHIVES: Final = frozenset(
    ["application/zip", "application/gzip", "application/x-bzip2", "application/x-xz", "application/x-7z-compressed",
     "application/vnd.rar"]
)  # fmt: skip
_PROGRAMS: Final = frozenset(
    ["application/x-executable", "application/x-msdownload", "application/x-mach-binary", "text/x-shellscript",
     "application/wasm"]
)  # fmt: skip
# Formats that are an archive inside: an honest declaration differs from the first bytes.
_WITHIN_ZIP: Final = re.compile(
    r"application/(?:vnd\.(?:openxmlformats|oasis)|epub|java-archive|vnd\.android|x-zip)|.*\+zip$"
)
_SVG: Final = re.compile(
    rb"\A\s*(?:<\?xml[^>]*>\s*)?(?>(?><!--.*?-->)\s*|<!DOCTYPE[^>]*>\s*)*+<svg[\s>]", re.IGNORECASE | re.DOTALL
)
_HTML: Final = re.compile(
    rb"\A\s*(?>(?><!--.*?-->)\s*)*+<(?:!doctype\s+html|html|script|body|head|iframe)\b", re.IGNORECASE | re.DOTALL
)


def binary(value: Value) -> Rendered:
    """Size, declared and sniffed type, SHA-256; text within is shown as text, all else as it was sent, in a fold."""
    written = want(value.value, str)
    content, declared = decode(written)
    named = _declared(value) or declared
    sniffed = sniff(content)
    cautions: list[Caution] = []
    if named and not _agree(named, sniffed):
        args = {"declared": flat(named), "sniffed": sniffed}
        cautions.append(Caution("type_mismatch", Severity.DANGER, args))
    kinds = {sniffed, named}
    for code, severity, names in (
        ("svg", Severity.DANGER, {"image/svg+xml"}),
        ("pdf", Severity.CAUTION, {"application/pdf"}),
        ("executable_data", Severity.DANGER, _PROGRAMS),
        ("archive", Severity.CAUTION, _ARCHIVES),
        ("script", Severity.DANGER, {"text/html"}),
    ):
        if kinds & names:
            cautions.append(Caution(code, severity))
    digest = hashlib.sha256(content).hexdigest()
    parts = [Part(size_text(len(content)), Role.STRONG), Part(f", {sniffed}", Role.STRONG)]
    if named and named != sniffed:
        parts.append(Part(f", declared as {flat(named)}", Role.QUIET))
    parts.extend((Part(", SHA-256 ", Role.QUIET), Part(digest, Role.MONO)))
    more, label = _fold(written, content, cautions)
    short = f"{size_text(len(content))}, {sniffed}"
    return Rendered(tuple(parts), frozenset([value.pointer]), cautions=distinct(cautions), more=more, more_label=label,
                    short=short, exact=digest, can_copy=True)  # fmt: skip


def decode(written: str) -> tuple[bytes, str]:
    """The bytes of a data: URI or of base64 text, and the type that the URI declares. Raises WrongKindError."""
    found = _DATA_URI.fullmatch(written.strip())
    if found:
        declared, parameters, body = found.groups()
        if ";base64" in parameters.casefold():
            return _from_base64(
                unquote_to_bytes(body).decode("ascii", "replace")
            ), declared.strip().casefold() or "text/plain"
        return unquote_to_bytes(body), declared.strip().casefold() or "text/plain"
    return _from_base64(written), ""


def _from_base64(written: str) -> bytes:
    plain = re.sub(r"[ \t\r\n]", "", written)
    if not plain or not _BASE64.fullmatch(plain):
        raise WrongKindError("base64")
    standard = plain.rstrip("=").replace("-", "+").replace("_", "/")
    try:
        return base64.b64decode(standard + "=" * (-len(standard) % 4), validate=True)
    except binascii.Error:
        raise WrongKindError("base64") from None


def sniff(content: bytes) -> str:
    """The media type that the first bytes tell; `text/plain` for readable text, `application/octet-stream` otherwise."""
    for magic, name in _MAGIC:
        if content.startswith(magic):
            return name
    if content[:4] == b"RIFF" and content[8:12] == b"WEBP":
        return "image/webp"
    if content[4:8] == b"ftyp":
        return "image/heic" if content[8:12] in (b"heic", b"heix", b"mif1") else "video/mp4"
    head = content[:4096]
    if _SVG.match(head):
        return "image/svg+xml"
    if _HTML.match(head):
        return "text/html"
    return "text/plain" if _as_text(content) is not None else "application/octet-stream"


def _declared(value: Value) -> str:
    pointer = value.options.get("type_pointer")
    if isinstance(pointer, str):
        try:
            named = resolve(value.root, pointer)
        except MissingError:
            named = None
        if isinstance(named, str):
            return named.partition(";")[0].strip().casefold()
    named = value.options.get("type") or (value.schema or {}).get("contentMediaType")
    return named.partition(";")[0].strip().casefold() if isinstance(named, str) else ""


def _agree(named: str, sniffed: str) -> bool:
    if named == sniffed or named in ("application/octet-stream", ""):
        return True
    if sniffed == "application/zip":
        return bool(_WITHIN_ZIP.match(named))
    if sniffed == "text/plain":
        text_like = ("json", "xml", "yaml", "csv", "javascript", "x-sh", "toml", "sql", "x-pem-file", "markdown")
        return (named.startswith("text/") and named != "text/html") or named.rpartition("/")[2].endswith(text_like)
    if sniffed == "image/jpeg":
        return named == "image/jpg"
    # Nothing in the first bytes speaks for or against a format without magic.
    return sniffed == "application/octet-stream" and not named.startswith(("image/", "text/", "application/pdf"))


def _as_text(content: bytes) -> str | None:
    try:
        text = content.decode("utf-8")
    except UnicodeDecodeError:
        return None
    odd = sum(1 for char in text if ord(char) < 32 and char not in "\t\n\r")
    return text if text and odd * 50 <= len(text) else None


def _fold(written: str, content: bytes, cautions: list[Caution]) -> tuple[tuple[Part, ...], str]:
    text = _as_text(content)
    if text is None:
        return (Part(flat(written), Role.MONO),), f"show the {len(written):,} characters as sent"
    seen = reveal(text)
    cautions.extend(text_cautions(text, seen))
    return seen.parts, f"show the text within ({len(text):,} characters)"
