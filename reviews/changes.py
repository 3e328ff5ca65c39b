"""What differs between a call and an earlier one: the same formatters on both sides, equal values left out. Pure."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Mapping
from dataclasses import dataclass
from datetime import datetime
from typing import Final

from audit.pointer import MissingError, resolve, token
from reviews.cards.choice import chosen_formatter
from reviews.cards.registry import fact_for
from reviews.cards.types import Card, Fact, LabelSource, Provenance, Template, Value

MOST: Final = 30


@dataclass(frozen=True, slots=True)
class Change:
    """One place of the params that differs. `before` is None where it is new, `after` where it was left out now."""

    label: str
    label_source: LabelSource
    before: Fact | None
    after: Fact | None


def changes(
    card: Card,
    *,
    params: object,
    last_params: object,
    now: datetime,
    template: Template | None = None,
    schema: Mapping[str, object] | None = None,
) -> tuple[Change, ...]:
    """What differs in the params, in the order of the card; what only the earlier call had comes last. At most 30."""
    facts = [fact for fact in (*card.facts, *card.other_facts) if not fact.is_default]
    options = {fact.pointer: fact.options for fact in template.facts} if template else {}
    properties = (schema or {}).get("properties")

    def before(fact: Fact, value: object) -> Fact:
        """The earlier value as the card reads this one; what looks like a secret on either side is one on both."""
        key = fact.pointer.rpartition("/")[2].replace("~1", "/").replace("~0", "~")
        own = properties.get(key) if isinstance(properties, dict) and fact.pointer.count("/") == 1 else None
        wanted = Value(
            pointer=fact.pointer,
            key=key,
            value=value,
            root=last_params,
            now=now,
            options=options.get(fact.pointer, {}),
            schema=own if isinstance(own, dict) else None,
        )
        formatter = "" if fact.formatter == "raw" else fact.formatter
        if fact.is_hidden or chosen_formatter(wanted) == "secret":
            formatter = "secret"
        return fact_for(
            wanted,
            provenance=fact.provenance,
            label=fact.label,
            label_source=fact.label_source,
            formatter=formatter,
        )

    return (*_altered(facts, params, last_params, before), *_gone(params, last_params, now=now))[:MOST]


def _altered(
    facts: Iterable[Fact], params: object, last_params: object, before: Callable[[Fact, object], Fact]
) -> Iterator[Change]:
    for fact in facts:
        try:
            value = resolve(params, fact.pointer)
        except MissingError:
            continue
        try:
            earlier = resolve(last_params, fact.pointer)
        except MissingError:
            yield Change(fact.label, fact.label_source, None, fact)
            continue
        if _same(value, earlier):
            continue
        yield Change(fact.label, fact.label_source, before(fact, earlier), fact)


def _gone(params: object, last_params: object, *, now: datetime) -> Iterator[Change]:
    if not isinstance(last_params, dict):
        return
    for key, value in last_params.items():
        if isinstance(params, dict) and key in params:
            continue
        pointer = f"/{token(key)}"
        fact = fact_for(
            Value(pointer=pointer, key=key, value=value, root=last_params, now=now), provenance=Provenance.AGENT
        )
        yield Change(fact.label, fact.label_source, fact, None)


def _same(one: object, other: object) -> bool:
    """Equal as JSON: 1 is not true, and 1 is not 1.0 where a caller would care."""
    if type(one) is not type(other):
        return False
    if isinstance(one, dict) and isinstance(other, dict):
        return one.keys() == other.keys() and all(_same(one[key], other[key]) for key in one)
    if isinstance(one, list) and isinstance(other, list):
        return len(one) == len(other) and all(_same(*pair) for pair in zip(one, other, strict=True))
    return one == other
