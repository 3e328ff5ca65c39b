"""Which places of a call's params are compared with earlier calls, and how a value there is read. Pure."""

from __future__ import annotations

import json
import re
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass
from datetime import datetime
from decimal import Decimal
from email.utils import getaddresses
from typing import Final

from audit.pointer import MissingError, resolve, token
from reviews.cards.choice import chosen_formatter
from reviews.cards.registry import fact_for
from reviews.cards.types import FactTemplate, Provenance, Template, Value
from reviews.history import Amount, amount_from

MOST_TARGETS: Final = 3
MOST_AMOUNTS: Final = 2

_NUMBERS: Final = ("money", "number")
_TARGETS: Final = ("email", "id", "person", "domain", "url")
_COUNTED_KEY: Final = re.compile(r"amount|total|price|cost|fee|sum$|quantity|qty|balance", re.IGNORECASE)
_MINOR_KEY: Final = re.compile(r"cents|minor", re.IGNORECASE)


@dataclass(frozen=True)
class Places:
    """Which places of the params are compared, and how the values there are read: as the card reads them."""

    targets: tuple[str, ...]
    amounts: tuple[tuple[str, FactTemplate | None], ...]
    labels: Mapping[str, str]
    addresses: tuple[str, ...]
    is_declared: bool
    now: datetime

    @classmethod
    def of(cls, params: object, template: Template | None, *, now: datetime) -> Places:
        """The places that the template names; without one those whose key and look tell what they are."""
        declared = {fact.pointer: fact for fact in template.facts} if template else {}
        chosen = dict(_chosen(params, declared, now=now))
        named = tuple(template.compare_on) if template else ()
        targets = named or tuple(pointer for kind in _TARGETS for pointer, name in chosen.items() if name == kind)
        return cls(
            targets=targets[:MOST_TARGETS],
            amounts=tuple((pointer, declared.get(pointer)) for pointer in _amount_pointers(chosen, declared, template))[
                :MOST_AMOUNTS
            ],
            labels={pointer: fact.label for pointer, fact in declared.items()},
            addresses=tuple(pointer for pointer, name in chosen.items() if name == "email"),
            is_declared=bool(named),
            now=now,
        )

    def targets_in(self, params: object) -> dict[str, str]:
        """What the call is aimed at, by pointer, as JSON that equal values share."""
        found = {pointer: _at(params, pointer) for pointer in self.targets}
        return {
            pointer: json.dumps(value, sort_keys=True)
            for pointer, value in found.items()
            if value not in (None, "", [], {})
        }

    def amounts_in(self, params: object) -> dict[str, Amount]:
        """The numbers of the call, by pointer; what guardsite cannot read as one is left out."""
        found = {pointer: self._amount(params, pointer, declared) for pointer, declared in self.amounts}
        return {pointer: amount for pointer, amount in found.items() if amount is not None}

    def addresses_in(self, calls: Iterable[object]) -> frozenset[str]:
        """Every address in the params of these calls, casefolded."""
        found: set[str] = set()
        for params in calls:
            for pointer in self.addresses:
                value = _at(params, pointer)
                written = [value] if isinstance(value, str) else value if isinstance(value, list) else []
                texts = [item for item in written if isinstance(item, str)]
                found.update(address.casefold() for _, address in getaddresses(texts) if "@" in address)
        return frozenset(found)

    def _amount(self, params: object, pointer: str, declared: FactTemplate | None) -> Amount | None:
        value = _at(params, pointer)
        if value is None or isinstance(value, bool):
            return None
        if declared is not None and declared.formatter:
            fact = fact_for(
                _value(pointer, value, params, declared, now=self.now),
                provenance=Provenance.AGENT,
                formatter=declared.formatter,
            )
            return amount_from(fact.exact, fact.unit) if fact.inspected else None
        # Without a template nobody says what the number counts: equal currencies are compared, none is claimed.
        currency = _at(params, "/currency")
        unit = currency if isinstance(currency, str) else ""
        if not isinstance(value, int | float):
            return amount_from(str(value), unit)
        amount = amount_from(format(Decimal(str(value)), "f"), unit)
        if amount is not None and unit and _MINOR_KEY.search(pointer):
            return Amount(amount.number, unit, is_minor=True)
        return amount


def _chosen(params: object, declared: Mapping[str, FactTemplate], *, now: datetime) -> Iterator[tuple[str, str]]:
    """The formatter of each declared place and of each other top-level member."""
    for pointer, fact in declared.items():
        value = _at(params, pointer)
        if value is not None:
            yield pointer, fact.formatter or chosen_formatter(_value(pointer, value, params, fact, now=now))
    if isinstance(params, dict):
        for key, value in params.items():
            pointer = f"/{token(key)}"
            if pointer not in declared:
                yield pointer, chosen_formatter(_value(pointer, value, params, None, now=now))


def _amount_pointers(
    chosen: Mapping[str, str], declared: Mapping[str, FactTemplate], template: Template | None
) -> list[str]:
    """Places of numbers, the decisive one first; of undeclared ones those whose key says that they count something."""
    decisive = template.decisive if template else ""
    found = [
        pointer
        for pointer, name in chosen.items()
        if name in _NUMBERS and (pointer in declared or _COUNTED_KEY.search(pointer))
    ]
    return sorted(found, key=lambda pointer: (pointer != decisive, pointer not in declared))


def _value(pointer: str, value: object, root: object, declared: FactTemplate | None, *, now: datetime) -> Value:
    key = pointer.rpartition("/")[2].replace("~1", "/").replace("~0", "~")
    return Value(
        pointer=pointer, key=key, value=value, root=root, now=now, options=declared.options if declared else {}
    )


def _at(params: object, pointer: str) -> object | None:
    try:
        return resolve(params, pointer)
    except MissingError:
        return None
