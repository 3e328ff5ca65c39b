"""A first draft of a card template, from the action's schema and its last calls; an admin reads and changes it. Pure."""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from datetime import datetime
from typing import Any, Final

from audit.pointer import token
from reviews.cards.registry import FORMATTERS, chosen_formatter, humanised
from reviews.cards.text import is_hidden
from reviews.cards.types import Value
from reviews.template_calls import SampleCall, paths
from reviews.template_checks import LONGEST, LONGEST_LABEL, MOST_FACTS
from reviews.template_content import Content

MOST_SLOTS: Final = 3
MOST_POINTERS: Final = 100

# A key that a call brought becomes a label in the trusted frame once accepted: only plain names are proposed.
_PLAIN_KEY: Final = re.compile(r"[A-Za-z_][A-Za-z0-9_.-]{0,59}")
_MONEY_KEY: Final = re.compile(r"(?:^|_)(?:amount|price|total|fee|cost|balance|refund)(?:_|$)|_(?:cents|minor)$")
_MINOR_KEY: Final = re.compile(r"_(?:cents|minor)$|(?:^|_)minor_")
# What a sentence is about, before what identifies it.
_SAYS_MOST: Final = (
    "money",
    "number",
    "email",
    "person",
    "domain",
    "url",
    "date_time",
    "id",
    "enum",
    "text",
    "boolean",
)
_EXAMPLES: Final[Mapping[str, object]] = {"integer": 1, "number": 1.5, "boolean": True, "array": [], "object": {}}
_FORMATS: Final[Mapping[str, str]] = {
    "email": "a@example.com",
    "uri": "https://example.com/",
    "date": "2026-01-01",
    "date-time": "2026-01-01T00:00:00Z",
}


def known_pointers(schema: Mapping[str, Any] | None, calls: Sequence[SampleCall]) -> list[str]:
    """Where values stand in params, as schema and calls tell; the editor offers them."""
    found = dict.fromkeys(_schema_paths(schema, ""))
    for call in calls:
        found.update(dict.fromkeys(paths(call.params)))
    plain = [pointer for pointer in found if not any(is_hidden(char) for char in pointer) and len(pointer) <= LONGEST]
    return plain[:MOST_POINTERS]


def _schema_paths(schema: Mapping[str, Any] | None, pointer: str, depth: int = 3) -> list[str]:
    properties = schema.get("properties") if isinstance(schema, Mapping) else None
    if not isinstance(properties, dict) or not depth:
        return []
    found = []
    for key, below in properties.items():
        here = f"{pointer}/{token(str(key))}"
        found += [here, *_schema_paths(below if isinstance(below, dict) else None, here, depth - 1)]
    return found


def propose(
    *,
    title: str,
    undo_text: str,
    schema: Mapping[str, Any] | None,
    titles: Mapping[str, str],
    calls: Sequence[SampleCall],
    now: datetime,
) -> Content | None:
    """A draft that shows every top-level param; None where neither schema nor call names one.

    `title` is the action's, `titles` are those of an accepted tool definition. A param that some calls lack fills no slot.
    """
    keys = _keys(schema, calls)
    if not keys:
        return None
    facts: list[dict[str, Any]] = [
        _fact(key, schema=schema, titles=titles, calls=calls, siblings=keys, now=now) for key in keys[:MOST_FACTS]
    ]
    always = _always(schema, calls)
    # An amount is shown with its currency already.
    said = {fact["options"].get("currency_pointer") for fact in facts}
    able = [
        fact
        for fact in facts
        if fact["pointer"][1:] in always and fact["formatter"] in _SAYS_MOST and fact["pointer"] not in said
    ]
    able.sort(key=lambda fact: _SAYS_MOST.index(fact["formatter"]))
    slots = able[:MOST_SLOTS]
    for fact in slots:
        fact["slot"] = re.sub(r"\W", "_", fact["pointer"][1:], flags=re.ASCII).removesuffix("_cents")
        fact["emphasis"] = "key"
    words = re.sub(r"[{}]", "", title).strip().rstrip(".") or "run this"
    words = words[0].lower() + words[1:]
    named = ", ".join(f"{{{fact['slot']}}}" for fact in slots)
    sentence = f"{words}: {named}" if named else words
    return Content(
        sentence=sentence[:LONGEST] if len(sentence) <= LONGEST else words[:LONGEST],
        decisive=slots[0]["pointer"] if slots else "",
        facts=facts,
        undo="partly" if undo_text else "",
        undo_how=undo_text,
    )


def _keys(schema: Mapping[str, Any] | None, calls: Sequence[SampleCall]) -> list[str]:
    properties = (schema or {}).get("properties")
    found = dict.fromkeys(str(key) for key in properties) if isinstance(properties, dict) else {}
    for call in calls:
        found.update(dict.fromkeys(key for key in call.params if _PLAIN_KEY.fullmatch(key)))
    return [key for key in found if not any(is_hidden(char) for char in key)]


def _always(schema: Mapping[str, Any] | None, calls: Sequence[SampleCall]) -> set[str]:
    """The tokens of the params that every call has: those that the schema requires, and that no known call lacks."""
    required = (schema or {}).get("required")
    if isinstance(required, list):
        found = {str(key) for key in required}
    else:
        found = set(calls[0].params) if calls else set()
    for call in calls:
        found &= set(call.params)
    return {token(key) for key in found}


def _fact(
    key: str,
    *,
    schema: Mapping[str, Any] | None,
    titles: Mapping[str, str],
    calls: Sequence[SampleCall],
    siblings: Sequence[str],
    now: datetime,
) -> dict[str, Any]:
    properties = (schema or {}).get("properties")
    own = properties.get(key) if isinstance(properties, dict) else None
    own = own if isinstance(own, dict) else None
    call = next((call for call in calls if call.params.get(key) not in (None, "", [], {})), None)
    example = call.params[key] if call is not None else _example(own)
    pointer = f"/{token(key)}"
    value = Value(pointer=pointer, key=key, value=example, root=call.params if call else {}, now=now, schema=own)
    formatter = chosen_formatter(value)
    options: dict[str, Any] = {}
    is_number = isinstance(example, int | float) and not isinstance(example, bool)
    if formatter in ("number", "money") and is_number and _MONEY_KEY.search(key.casefold()):
        formatter = "money"
        options["minor"] = _MINOR_KEY.search(key.casefold()) is not None
        if "currency" in siblings:
            options["currency_pointer"] = "/currency"
    label = titles.get(key) or str((own or {}).get("title") or "") or humanised(key)
    return {
        "pointer": pointer,
        "label": label[:LONGEST_LABEL],
        # What has no formatter by name is read by its look, as it would be without a template.
        "formatter": formatter if formatter in FORMATTERS else "",
        "options": options,
        "slot": "",
        "emphasis": "normal",
        "amend": "no",
        "direction": "",
    }


def _example(schema: Mapping[str, Any] | None) -> object:
    if not schema:
        return ""
    values = schema.get("enum")
    if isinstance(values, list) and values:
        return values[0]
    kind = schema.get("type")
    return _EXAMPLES.get(str(kind), _FORMATS.get(str(schema.get("format")), ""))
