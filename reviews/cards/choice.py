"""Which formatter reads a value that no template names: secret first, then what schema, key and look suggest."""

from __future__ import annotations

import re
from collections.abc import Mapping
from typing import Final

from audit.secrets import is_declared_secret, is_secret, is_secret_key
from reviews.cards.types import Value

_EMAIL_KEY: Final = re.compile(r"e-?mail|recipients?$|^(?:to|cc|bcc|from|sender|participants|attendees|reply_to)$")
_DATE_KEY: Final = re.compile(r"date|time|_at$|day$|^(?:start|end|due|until|since|when)$")
_ID_KEY: Final = re.compile(r"(?:^|_)(?:id|ids|uuid|iban|ref|reference|sku|number)$")
_ID_VALUE: Final = re.compile(
    r"[a-z]{2,8}_[A-Za-z0-9]{2,}|[0-9a-f]{8}(?:-[0-9a-f]{4}){3}-[0-9a-f]{12}|[A-Z]{2}\d{2}[A-Z0-9]{11,30}"
)
_DATE_VALUE: Final = re.compile(r"\d{4}-\d{2}-\d{2}(?:[T ]\d{2}:\d{2}.*)?")
_URL_VALUE: Final = re.compile(r"(?:https?:|wss?://|ftp://|file://|www\.)", re.IGNORECASE)
_URL_KEY: Final = re.compile(r"ur[li]|link|href|endpoint|webhook|callback|website|homepage")
_RUNNING_VALUE: Final = re.compile(r"[\x00-\x20]*(?:javascript|vbscript|blob):", re.IGNORECASE)
_DOMAIN_KEY: Final = re.compile(r"(?:^|_)(?:domain|hostname|host|fqdn)$")
_SQL_KEY: Final = re.compile(r"sql|(?:^|_)(?:query|statement)$")
_SQL_VALUE: Final = re.compile(
    r"\s*(?>--[^\n]*\n\s*|/\*(?>.*?\*/)\s*)*+(?:select|insert|update|delete|with|create|drop|alter|truncate|merge|grant|revoke"
    r"|explain|copy|call|do|begin|exec(?:ute)?|set|replace|vacuum)\b",
    re.IGNORECASE | re.DOTALL,
)
_SHELL_KEY: Final = re.compile(r"^(?:command|cmd|shell|bash|argv|command_?line|shell_command|bash_command)$")
_CODE_KEY: Final = re.compile(r"(?:^|_)(?:code|script|python|javascript|source|program)$")
_DIFF_VALUE: Final = re.compile(r"diff --git |--- [^\n]*\n\+\+\+ |@@ -\d+(?:,\d+)? \+\d+")
_HTML_VALUE: Final = re.compile(
    r"\s*<(?:!doctype|html|head|body|div|p|table|form|script|style|svg|iframe|img|a|button|input)\b", re.IGNORECASE
)
_MARKDOWN_KEY: Final = re.compile(r"markdown|(?:^|_)(?:md|readme)$")
_BINARY_KEY: Final = re.compile(r"base64|b64|content|data|file|image|attachment|blob|bytes|payload|photo|document")
_BINARY_VALUE: Final = re.compile(r"[A-Za-z0-9+/\r\n]{120,}={0,2}\s*")
_FORMATS: Final = {
    "email": "email", "idn-email": "email", "uri": "url", "iri": "url", "date-time": "date_time", "date": "date_time",
    "hostname": "domain", "idn-hostname": "domain", "duration": "duration", "byte": "binary", "binary": "binary",
    "uuid": "id",
}  # fmt: skip
_MEDIA: Final = {"text/html": "html", "text/markdown": "markdown", "application/sql": "sql", "text/x-diff": "diff"}


def chosen_formatter(value: Value) -> str:
    """The name of the formatter; one that cannot read the value after all gives the raw value."""
    item, key = value.value, value.key.casefold()
    if isinstance(item, dict):
        return "nested"
    if isinstance(item, list):
        if _is_address_list(item, key):
            return "email"
        return "shell" if item and _SHELL_KEY.search(key) and all(isinstance(word, str) for word in item) else "nested"
    if item is None:
        return "null"
    if isinstance(item, bool):
        return "boolean"
    if isinstance(item, int | float):
        return _for_number(item, key, value.schema)
    written = str(item)
    if is_declared_secret(value.schema) or is_secret_key(value.key) or is_secret(written):
        return "secret"
    return _for_schema(value.schema) or _for_text(written, key)


def _for_number(item: int | float, key: str, schema: Mapping[str, object] | None) -> str:
    if schema and (isinstance(schema.get("enum"), list) or _has_constants(schema)):
        return "enum"
    if isinstance(item, int) and _ID_KEY.search(key) and not key.endswith("number"):
        return "id"
    if key.endswith("_bytes") or key == "bytes":
        return "bytes"
    if re.search(r"percent(?:age)?$|_pct$", key):
        return "percent"
    if re.search(r"_(?:ms|millis|milliseconds|seconds|secs|minutes|mins|hours)$", key):
        return "duration"
    return "number"


def _for_schema(schema: Mapping[str, object] | None) -> str:
    if not schema:
        return ""
    if isinstance(schema.get("enum"), list) or _has_constants(schema):
        return "enum"
    if schema.get("contentEncoding") == "base64":
        return "binary"
    return _MEDIA.get(str(schema.get("contentMediaType")), "") or _FORMATS.get(str(schema.get("format")), "")


def _has_constants(schema: Mapping[str, object]) -> bool:
    found = schema.get("oneOf") or schema.get("anyOf")
    return isinstance(found, list) and any(isinstance(option, dict) and "const" in option for option in found)


def _for_text(written: str, key: str) -> str:
    if "@" in written and _EMAIL_KEY.search(key):
        return "email"
    if written[:5].lower() == "data:" and "," in written:
        return "binary"
    # A browser drops line breaks and tabs before it reads the scheme.
    if _RUNNING_VALUE.match(re.sub(r"[\t\r\n]", "", written[:64])):
        return "url"
    if _URL_VALUE.match(written) and (_URL_KEY.search(key) or len(written.split()) == 1):
        return "url"
    if _DATE_VALUE.fullmatch(written) and (_DATE_KEY.search(key) or "T" in written):
        return "date_time"
    if _SHELL_KEY.search(key) and written.strip():
        return "shell"
    if _SQL_KEY.search(key) and _SQL_VALUE.match(written):
        return "sql"
    if _DIFF_VALUE.match(written):
        return "diff"
    if "html" in key or _HTML_VALUE.match(written):
        return "html"
    if _MARKDOWN_KEY.search(key):
        return "markdown"
    if _CODE_KEY.search(key) and "\n" in written:
        return "code"
    if len(written) >= 120 and _BINARY_KEY.search(key) and _BINARY_VALUE.fullmatch(written):
        return "binary"
    if _DOMAIN_KEY.search(key) and "." in written and " " not in written:
        return "domain"
    if (_ID_KEY.search(key) and " " not in written and len(written) <= 64) or _ID_VALUE.fullmatch(written):
        return "id"
    return "text"


def _is_address_list(items: list[object], key: str) -> bool:
    return bool(items) and bool(_EMAIL_KEY.search(key)) and all(isinstance(item, str) and "@" in item for item in items)
