"""From a call to its facts: which value, under which label, read by which formatter, and what stands beside it."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import replace
from typing import Final
from urllib.parse import quote, urlsplit

from audit.pointer import MissingError, leaves, resolve, token
from reviews.cards.formatters.lists import lookalike_keys
from reviews.cards.registry import fact_for
from reviews.cards.text import flat, middle, reveal
from reviews.cards.types import (
    ABSENT,
    CardInput,
    Fact,
    FactTemplate,
    Known,
    LabelSource,
    Link,
    Part,
    Provenance,
    Role,
    Value,
)

_LABEL_LENGTH: Final = 80
_LINKED_LENGTH: Final = 200
# Who a call is made for, by the names that applications use.
_REQUESTER_KEYS: Final = ("name", "user_name", "display_name", "email", "user_email", "user_id", "id")


def known_of(call: CardInput) -> Known:
    """What formatters may know beside the call itself."""
    context = call.user_context if isinstance(call.user_context, dict) else {}
    names = [call.on_behalf_of, *(context[key] for key in _REQUESTER_KEYS if isinstance(context.get(key), str))]
    return Known(
        own_domains=call.own_domains,
        known_addresses=call.known_addresses,
        zone=call.zone,
        fingerprint_key=call.fingerprint_key,
        requester=frozenset(name.strip().casefold() for name in names if name.strip()),
        context=call.user_context,
    )


def declared_facts(call: CardInput, known: Known) -> Iterator[Fact]:
    """The facts of the template, in its order; one whose value is absent shows the schema's default, if there is one."""
    for item in call.template.facts if call.template else ():
        try:
            found = resolve(call.params, item.pointer)
        except MissingError:
            default = _default_at(call, item.pointer)
            if default is not ABSENT:
                yield _default_fact(call, item.pointer, default, known, declared=item)
            continue
        yield fact_for(
            _value(item.pointer, found, call, known, declared=item),
            provenance=Provenance.AGENT,
            label=item.label,
            label_source=LabelSource.TEMPLATE,
            formatter=item.formatter,
            emphasis=item.emphasis,
            amend=item.amend,
            direction=item.direction,
            link=_link(call, item.pointer, found),
        )


def fact_with(call: CardInput, known: Known, pointer: str, item: object) -> Fact | None:
    """The template's fact of this pointer as if the call held another value there; None where it declares none."""
    declared = next((one for one in (call.template.facts if call.template else ()) if one.pointer == pointer), None)
    if declared is None:
        return None
    return fact_for(
        _value(pointer, item, call, known, declared=declared),
        provenance=Provenance.CHECKED,
        label=declared.label,
        label_source=LabelSource.TEMPLATE,
        formatter=declared.formatter,
    )


def other_facts(call: CardInput, known: Known, declared: tuple[Fact, ...]) -> Iterator[Fact]:
    """What no fact of the template covers; then the flags that the call leaves out and the schema has a default for."""
    if not isinstance(call.params, dict):
        if call.params is not None:
            yield fact_for(_value("", call.params, call, known), provenance=Provenance.AGENT, label="Value", link=None)
        return
    covered = covered_by(declared)
    twins = lookalike_keys(call.params)
    for key, item in call.params.items():
        pointer = f"/{token(key)}"
        if not all(leaf in covered for leaf in leaves(item, pointer)):
            label, source, claim = _label(call, key)
            yield fact_for(
                _value(pointer, item, call, known),
                provenance=Provenance.AGENT,
                label=label,
                label_source=source,
                claim=claim,
                link=_link(call, pointer, item),
                cautions=(twins[key],) if key in twins else (),
            )
    shown = {fact.pointer for fact in declared}
    for key in _properties(call):
        pointer = f"/{token(key)}"
        default = ABSENT if key in call.params or pointer in shown else _default_at(call, pointer)
        if default is not ABSENT:
            yield _default_fact(call, pointer, default, known)


def context_facts(call: CardInput, known: Known) -> Iterator[Fact]:
    """The user context, member by member: the application's word."""
    if isinstance(call.user_context, dict):
        twins = lookalike_keys(call.user_context)
        for key, item in call.user_context.items():
            value = Value(f"/{token(key)}", key, item, call.user_context, call.now, known=known)
            cautions = (twins[key],) if key in twins else ()
            yield fact_for(value, provenance=Provenance.APPLICATION, cautions=cautions)
    elif call.user_context is not None:
        # Intake takes objects only; a card still shows whatever it is given.
        value = Value("", "", call.user_context, call.user_context, call.now, known=known)
        yield fact_for(value, provenance=Provenance.APPLICATION, label="Value")


def covered_by(facts: tuple[Fact, ...]) -> frozenset[str]:
    """The leaves that these facts show."""
    return frozenset[str]().union(*(fact.covers for fact in facts))


def _value(pointer: str, item: object, call: CardInput, known: Known, *, declared: FactTemplate | None = None) -> Value:
    key = _key_of(pointer)
    last: object = ABSENT
    if call.last_params is not None:
        try:
            last = resolve(call.last_params, pointer)
        except MissingError:
            last = ABSENT
    return Value(
        pointer=pointer,
        key=key,
        value=item,
        root=call.params,
        now=call.now,
        options=declared.options if declared else {},
        schema=_schema_at(call, pointer),
        known=known,
        last=last,
    )


def _key_of(pointer: str) -> str:
    return pointer.rpartition("/")[2].replace("~1", "/").replace("~0", "~")


def _properties(call: CardInput) -> Mapping[str, object]:
    found = (call.schema or {}).get("properties")
    return found if isinstance(found, dict) else {}


def _schema_at(call: CardInput, pointer: str) -> Mapping[str, object] | None:
    """The schema of the value at a pointer, as far as `properties` and `items` lead there."""
    schema: object = call.schema
    for step in pointer.split("/")[1:]:
        if not isinstance(schema, dict):
            return None
        properties, key = schema.get("properties"), step.replace("~1", "/").replace("~0", "~")
        if isinstance(properties, dict) and key in properties:
            schema = properties[key]
        else:
            schema = schema.get("items") if step.isdigit() else None
    return schema if isinstance(schema, dict) and pointer else None


def _default_at(call: CardInput, pointer: str) -> object:
    schema = _schema_at(call, pointer)
    return schema["default"] if schema and "default" in schema else ABSENT


def _default_fact(
    call: CardInput, pointer: str, default: object, known: Known, *, declared: FactTemplate | None = None
) -> Fact:
    """What holds where the call says nothing: nobody's word but the schema's, and no leaf of the call."""
    label, source, claim = (declared.label, LabelSource.TEMPLATE, "") if declared else _label(call, _key_of(pointer))
    fact = fact_for(
        _value(pointer, default, call, known, declared=declared),
        provenance=Provenance.APPLICATION,
        label=label,
        label_source=source,
        formatter=declared.formatter if declared else "",
        claim=claim,
    )
    parts = (*fact.parts, Part(" "), Part("default", Role.CHIP))
    return replace(fact, parts=parts, covers=frozenset(), is_default=True)


def _label(call: CardInput, key: str) -> tuple[str, LabelSource, str]:
    """The label of a top-level param, its source, and what an unaccepted tool definition calls it.

    An empty label is made from the key: only an accepted definition or schema may name a value in its place.
    """
    titled = call.tool.property_titles.get(key, "") if call.tool else ""
    if titled and call.tool and call.tool.is_accepted:
        return _label_text(titled), LabelSource.TOOL, ""
    claim = f'Provider says: "{_label_text(titled)}" (not verified)' if titled else ""
    if claim:
        return "", LabelSource.CLAIM, claim
    schema = _properties(call).get(key)
    title = schema.get("title") if isinstance(schema, dict) else None
    if isinstance(title, str) and title.strip():
        return _label_text(title), LabelSource.SCHEMA, ""
    return "", LabelSource.KEY, ""


def _label_text(text: str) -> str:
    return middle(flat(text.strip()), limit=_LABEL_LENGTH)


def _link(call: CardInput, pointer: str, item: object) -> Link | None:
    """The template's link for a value; None unless it leads, whatever the value is, to a page of the allowed host."""
    if isinstance(item, bool) or not isinstance(item, str | int):
        return None
    written = str(item)
    if not written.strip(".") or len(written) > _LINKED_LENGTH or reveal(written).hidden_count:
        return None
    for link in call.template.links if call.template else ():
        base = f"https://{link.host}/"
        if link.pointer == pointer and link.url.count("{value}") == 1 and link.url.startswith(base):
            url = link.url.replace("{value}", quote(written, safe=""))
            split = urlsplit(url)
            if split.scheme == "https" and split.netloc == link.host and "\\" not in url:
                return Link(url=url, host=link.host)
    return None
