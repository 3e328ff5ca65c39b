"""Lists and nested values, as facts within a fact. Source: reviewer-experience.md section 3, "list" and "nested"."""

from __future__ import annotations

import json
from collections.abc import Iterable, Mapping
from typing import Final

from audit.pointer import token
from reviews.cards.formatters.base import WrongKindError, changes_since, counted, distinct, want
from reviews.cards.names import skeleton
from reviews.cards.text import flat, is_hidden
from reviews.cards.types import ABSENT, Caution, Inner, Part, Rendered, Role, Severity, Value, type_names

LIST_OPTIONS: Final = {
    "long": "Warn above this many entries (default 100)",
    "item_formatter": "Formatter of each entry (default: by its look)",
}
LIST_OPEN: Final = 10
LONG_LIST: Final = 100


def listed(value: Value) -> Rendered:
    """A list: how many entries, each a fact of its own; repeats, length, and what changed since the call before."""
    items = want(value.value, list)
    if not items:
        return _empty(value)
    named = value.options.get("item_formatter")
    inner = tuple(
        Inner(
            # An entry is read as its list's key suggests: `recipients` holds addresses.
            _member(value, str(index), item, key=value.key.removesuffix("s"), schema=_items_schema(value.schema)),
            label=str(index + 1),
            formatter=named if isinstance(named, str) else "",
        )
        for index, item in enumerate(items)
    )
    cautions = []
    long = value.options.get("long")
    if len(items) > (long if isinstance(long, int) else LONG_LIST):
        cautions.append(Caution("long_list", Severity.CAUTION, {"count": f"{len(items):,}"}))
    texts = [item if isinstance(item, str) else json.dumps(item, sort_keys=True) for item in items]
    if repeats := len(texts) - len(set(texts)):
        cautions.append(Caution("duplicates", Severity.INFO, {"count": f"{repeats:,}"}))
    cautions.extend(changes_since(value, (str(item) for item in items)))
    noun = "entry" if len(items) == 1 else "entries"
    return Rendered(
        (Part(f"{len(items):,} {noun}", Role.QUIET),),
        frozenset(),
        cautions=distinct(cautions),
        inner=inner,
        more_label=f"show all {len(items):,}" if len(items) > LIST_OPEN else "",
        exact=str(len(items)),
        unit=noun,
    )


def nested(value: Value) -> Rendered:
    """An object as an indented tree: each member with its key and its type; a list as `listed`."""
    item = value.value
    if isinstance(item, list):
        return listed(value)
    members = want(item, dict)
    if not members:
        return _empty(value)
    last = value.last if isinstance(value.last, dict) else {}
    inner = tuple(
        Inner(
            _member(value, key, member, key=key, schema=_property_schema(value.schema, key), last=last.get(key, ABSENT))
        )
        for key, member in members.items()
    )
    return Rendered(
        (Part(counted(len(members), "value"), Role.QUIET),),
        frozenset(),
        inner=inner,
        more_label=f"show all {len(members):,}" if len(members) > LIST_OPEN else "",
        exact=str(len(members)),
        unit="values",
    )


def _empty(value: Value) -> Rendered:
    if not isinstance(value.value, list | dict):
        raise WrongKindError("nested")
    return Rendered(
        (Part(f"empty {type_names[type(value.value)]}", Role.QUIET),), frozenset([value.pointer]), exact="0"
    )


def _member(
    value: Value,
    step: str,
    item: object,
    *,
    key: str,
    schema: Mapping[str, object] | None,
    last: object = ABSENT,
) -> Value:
    return Value(
        pointer=f"{value.pointer}/{token(step)}",
        key=key,
        value=item,
        root=value.root,
        now=value.now,
        schema=schema,
        known=value.known,
        last=last,
    )


def _items_schema(schema: Mapping[str, object] | None) -> Mapping[str, object] | None:
    found = (schema or {}).get("items")
    return found if isinstance(found, dict) else None


def _property_schema(schema: Mapping[str, object] | None, key: str) -> Mapping[str, object] | None:
    properties = (schema or {}).get("properties")
    found = properties.get(key) if isinstance(properties, dict) else None
    return found if isinstance(found, dict) else None


def lookalike_keys(keys: Iterable[str]) -> dict[str, Caution]:
    """The keys that a reader could take for another key of the same object, each with its caution."""
    seen: dict[str, list[str]] = {}
    for key in keys:
        visible = "".join(char for char in key if not is_hidden(char)) if not key.isascii() else key
        seen.setdefault(skeleton(visible), []).append(key)
    return {
        key: Caution("lookalike_key", Severity.DANGER, {"other": flat(next(other for other in group if other != key))})
        for group in seen.values()
        if len(group) > 1
        for key in group
    }
