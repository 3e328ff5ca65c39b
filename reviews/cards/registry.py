"""Which formatter reads a value, and what happens when it cannot.

A template names the formatter; else the schema, the key and the look of the value choose one. Whatever happens, the
value is on the card: a formatter that raises gives the raw value and *Not inspected*.
"""

from __future__ import annotations

import json
import re
from collections.abc import Callable, Mapping
from typing import Final

from reviews.cards import formatters
from reviews.cards.pointer import leaves, token
from reviews.cards.text import flat, is_hidden, reveal
from reviews.cards.types import (
    Caution,
    Fact,
    LabelSource,
    Part,
    Provenance,
    Rendered,
    Role,
    Severity,
    Value,
    type_names,
)

Formatter = Callable[[Value], Rendered]

FORMATTERS: Final[dict[str, Formatter]] = {
    "money": formatters.money,
    "number": formatters.number,
    "boolean": formatters.boolean,
    "null": formatters.null,
    "enum": formatters.enum,
    "text": formatters.text,
    "id": formatters.identifier,
    "date_time": formatters.date_time,
    "datetime": formatters.date_time,
    "email": formatters.email,
    "url": formatters.url,
    "secret": formatters.secret,
}

_ACRONYMS: Final = frozenset(["id", "url", "uri", "iban", "bic", "ip", "sku", "sql", "vat", "api", "html"])

LIST_OPEN: Final = 10
LONG_LIST: Final = 100

_EMAIL_KEY: Final = re.compile(r"e-?mail|recipients?$|^(?:to|cc|bcc|from|sender|participants|attendees|reply_to)$")
_DATE_KEY: Final = re.compile(r"date|time|_at$|day$|^(?:start|end|due|until|since|when)$")
_ID_KEY: Final = re.compile(r"(?:^|_)(?:id|ids|uuid|iban|ref|reference|sku|number)$")
_SECRET_KEY: Final = re.compile(
    r"passw(?:or)?d|passphrase|secret|(?:api|access|private|auth)_?(?:key|token)|^token$|_token$|authorization|credential|^pin$|cvv"
)
_SECRET_VALUE: Final = re.compile(
    r"(?:sk|pk|rk)_(?:live|test)_\w{8,}|gh[pousr]_\w{20,}|AKIA[0-9A-Z]{16}|xox[abp]-\S{10,}|gsk_(?:live|test)_\w+_\w{16,}"
    r"|-----BEGIN [A-Z ]*PRIVATE KEY-----|eyJ[\w-]{10,}\.eyJ[\w-]{10,}\."
)
_ID_VALUE: Final = re.compile(
    r"[a-z]{2,8}_[A-Za-z0-9]{2,}|[0-9a-f]{8}(?:-[0-9a-f]{4}){3}-[0-9a-f]{12}|[A-Z]{2}\d{2}[A-Z0-9]{11,30}"
)
_DATE_VALUE: Final = re.compile(r"\d{4}-\d{2}-\d{2}(?:[T ]\d{2}:\d{2}.*)?")


def humanised(key: str) -> str:
    """`amount_cents` as "Amount cents": the unit stays. Hidden characters in a key are revealed."""
    if not key:
        return "(empty name)"
    if any(is_hidden(char) for char in key):
        return flat(key)
    words = re.sub(r"[_\-.\s]+", " ", re.sub(r"(?<=[a-z0-9])(?=[A-Z])", " ", key)).strip()
    if not words:
        return key
    words = " ".join(word.upper() if word.casefold() in _ACRONYMS else word for word in words.split(" "))
    return words[0].upper() + words[1:]


def chosen_formatter(value: Value) -> str:
    """The formatter for a value that no template names: secret first, then type, then what key and look suggest."""
    item, key = value.value, value.key.casefold()
    if isinstance(item, dict | list) and not (isinstance(item, list) and _is_address_list(item, key)):
        return "nested"
    if isinstance(item, list):
        return "email"
    if item is None:
        return "null"
    if isinstance(item, bool):
        return "boolean"
    if isinstance(item, int | float):
        return "id" if isinstance(item, int) and _ID_KEY.search(key) and not key.endswith("number") else "number"
    written = str(item)
    if formatters.is_declared_secret(value.schema) or _SECRET_KEY.search(key) or _SECRET_VALUE.search(written):
        return "secret"
    if value.schema and isinstance(value.schema.get("enum"), list):
        return "enum"
    if "@" in written and _EMAIL_KEY.search(key):
        return "email"
    if re.match(r"(?:https?|ftp|ws|wss|file)://|www\.", written, re.IGNORECASE):
        return "url"
    if _DATE_VALUE.fullmatch(written) and (_DATE_KEY.search(key) or "T" in written):
        return "date_time"
    if (_ID_KEY.search(key) and " " not in written and len(written) <= 64) or _ID_VALUE.fullmatch(written):
        return "id"
    return "text"


def _is_address_list(items: list[object], key: str) -> bool:
    return bool(items) and bool(_EMAIL_KEY.search(key)) and all(isinstance(item, str) and "@" in item for item in items)


def fact_for(
    value: Value,
    *,
    provenance: Provenance,
    label: str = "",
    label_source: LabelSource = LabelSource.KEY,
    formatter: str = "",
    emphasis: str = "normal",
    amend: str = "no",
) -> Fact:
    """The fact for one value, whatever it is. Never raises, never blank."""
    name = formatter or chosen_formatter(value)
    is_hidden = name == "secret"
    try:
        rendered = nested(value, provenance=provenance) if name in ("nested", "list") else FORMATTERS[name](value)
        if not rendered.parts and not rendered.children:
            raise formatters.WrongKindError("blank")
    except Exception:  # a formatter's own mistake must not hide the value either
        rendered, name = raw(value, secret=is_hidden), "raw"
    # A secret that nobody declared: masked all the same, and said.
    cautions = rendered.cautions
    if is_hidden and not formatter and not formatters.is_declared_secret(value.schema):
        cautions = (*cautions, Caution("unexpected_secret", Severity.CAUTION))
    return Fact(
        pointer=value.pointer,
        label=label or humanised(value.key),
        label_source=label_source,
        parts=rendered.parts,
        raw=rendered.raw,
        cautions=(*cautions, *key_cautions(value.key)),
        provenance=provenance,
        inspected=rendered.inspected,
        covers=rendered.covers,
        formatter=name,
        emphasis=emphasis,
        amend=amend,
        more=rendered.more,
        more_label=rendered.more_label,
        children=rendered.children,
        is_hidden=is_hidden,
        brief=rendered.short,
    )


def key_cautions(key: str) -> tuple[Caution, ...]:
    """Keys are the agent's words too."""
    return reveal(key).cautions


def raw(value: Value, *, secret: bool = False) -> Rendered:
    """The value as JSON, marked as not inspected; a value that should have been a secret shows only its type."""
    covers = frozenset(leaves(value.value, value.pointer))
    cautions = (Caution("not_inspected"),)
    if secret:
        kind = type_names.get(type(value.value), "none")
        return Rendered((Part(f"a hidden {kind}", Role.QUIET),), covers, cautions=cautions, inspected=False)
    written = json.dumps(value.value, ensure_ascii=False, indent=2)
    seen = reveal(written)
    return Rendered(seen.parts, covers, cautions=(*cautions, *seen.cautions), inspected=False)


def nested(value: Value, *, provenance: Provenance) -> Rendered:
    """A list or object as children, each with its own formatter, key and type. Empty ones say so."""
    item = value.value
    if isinstance(item, dict):
        members: list[tuple[str, object]] = list(item.items())
        noun = "value"
    elif isinstance(item, list):
        members = [(str(index), member) for index, member in enumerate(item)]
        noun = "entry"
    else:
        raise formatters.WrongKindError("nested")
    if not members:
        return Rendered((Part(f"empty {type_names[type(item)]}", Role.QUIET),), frozenset([value.pointer]))
    children = []
    for key, member in members:
        child = Value(
            pointer=f"{value.pointer}/{token(key)}",
            # An entry of a list is read as its list's key suggests: `recipients` holds addresses.
            key=value.key.removesuffix("s") if isinstance(item, list) else key,
            value=member,
            root=value.root,
            now=value.now,
            schema=_member_schema(value.schema, key, is_list=isinstance(item, list)),
        )
        label = str(int(key) + 1) if isinstance(item, list) else ""
        children.append(fact_for(child, provenance=provenance, label=label))
    cautions = []
    if isinstance(item, list):
        if len(item) > LONG_LIST:
            cautions.append(Caution("long_list", Severity.CAUTION, {"count": f"{len(item):,}"}))
        texts = [json.dumps(member, sort_keys=True) for member in item]
        if repeats := len(texts) - len(set(texts)):
            cautions.append(Caution("duplicates", Severity.INFO, {"count": f"{repeats:,}"}))
    plural = noun if len(members) == 1 else {"value": "values", "entry": "entries"}[noun]
    return Rendered(
        (Part(f"{len(members):,} {plural}", Role.QUIET),),
        frozenset().union(*(child.covers for child in children)),
        cautions=tuple(cautions),
        children=tuple(children),
        more_label=f"show all {len(members):,}" if len(members) > LIST_OPEN else "",
    )


def _member_schema(schema: Mapping[str, object] | None, key: str, *, is_list: bool) -> Mapping[str, object] | None:
    if not schema:
        return None
    found = schema.get("items") if is_list else None
    if not is_list:
        properties = schema.get("properties")
        found = properties.get(key) if isinstance(properties, dict) else None
    return found if isinstance(found, dict) else None
