"""A call with changes: only where the card template allows, within the schema, and asked of policy again.

Everything is checked here on the whole of the new params, whatever form or program sent them.
Source: reviewer-experience.md section 4.
"""

from __future__ import annotations

import copy
import json
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field, replace
from datetime import datetime
from decimal import Decimal
from typing import Any, Final

from audit.canonical import NotCanonical, canonical
from audit.envelope import call_digest
from audit.pointer import MissingError, resolve
from policy.evaluate import RuleHit, Ruling
from reviews.amend_fields import AmendField, Chip, Kind, NotThisError, check_change, fields_of, shown_number
from reviews.asked import active_template, asked_call, card_asked, schema_of, with_params
from reviews.card_of import card_of
from reviews.cards.types import Card, Fact, Template
from reviews.content import CallContent, content_key
from reviews.errors import InvalidAmendment
from reviews.models import Review
from reviews.rulings import Judge, judge_for
from reviews.schemas import schema_errors
from reviews.wire import MAX_PARAMS_BYTES

_HALVINGS: Final = 60


@dataclass(frozen=True)
class Change:
    """One value that changes, before and after as the card writes it."""

    label: str
    before: str
    after: str


@dataclass(frozen=True)
class Amendment:
    """Changes that may be approved: the new call, its digest and card, and what policy says of it.

    `new_rules` are those that hold the amended call and did not hold the one that was asked.
    """

    params: Mapping[str, Any] = field(repr=False)
    params_text: str = field(repr=False)
    digest: str
    content_key: str
    changes: tuple[Change, ...]
    card: Card
    ruling: Ruling
    tier: int
    fits_schema: bool
    new_rules: tuple[RuleHit, ...] = ()


@dataclass(frozen=True)
class Basis:
    """What may be amended: the call that waits, its card and its inputs."""

    params: dict[str, Any]
    digest: str
    card: Card
    schema: Mapping[str, object] | None
    fields: tuple[AmendField, ...]


def basis_of(review: Review, *, template: Template | None, now: datetime) -> Basis:
    """The call that waits with its inputs, without chips. Call inside the tenant's transaction."""
    asked = asked_call(review)
    schema = schema_of(review)
    card = card_asked(review, template=template, schema=schema, now=now)
    params: dict[str, Any] = json.loads(asked.params_text)
    return Basis(params, asked.digest, card, schema, fields_of(card, params=params, schema=schema))


def can_amend(card: Card, *, params_text: str) -> bool:
    """Whether the template releases any value of this call."""
    return bool(fields_of(card, params=json.loads(params_text), schema=None))


def with_chips(review: Review, basis: Basis, *, now: datetime) -> tuple[AmendField, ...]:
    """The inputs with values to press: those a rule suggests, the schema's bound, the limit up to which policy allows."""
    judge = judge_for(review, now=now)
    return tuple(replace(one, chips=_chips(one, review, basis, judge)) for one in basis.fields)


def applied(basis: Basis, values: Mapping[str, Any]) -> dict[str, Any]:
    """The params with these values in place, by pointer."""
    params = copy.deepcopy(basis.params)
    for pointer, value in values.items():
        _put(params, pointer, value)
    return params


def propose(review: Review, params: Mapping[str, Any], *, template: Template | None = None, now: datetime) -> Amendment:
    """The amendment to these params, checked: fields, schema, policy. Call inside the tenant's transaction.

    Raises InvalidAmendment (`errors`: pointer to sentence) for no change, a change of what is locked or in the unsafe
    direction, what does not fit the schema, and what policy denies, with the highest value that it takes where one can
    be found.
    """
    template = template if template is not None else active_template(review)
    basis = basis_of(review, template=template, now=now)
    try:
        params_text = canonical(dict(params)).decode()
    except NotCanonical:
        raise InvalidAmendment("This value has no exact form in JSON. Nothing was sent.", errors={}) from None
    if len(params_text.encode()) > MAX_PARAMS_BYTES:
        raise InvalidAmendment("The amended call is too large. Nothing was sent.", errors={})
    changed = _changed(basis, json.loads(params_text))
    errors = schema_errors(basis.schema, params)
    if errors:
        raise InvalidAmendment("This does not fit the schema of the action. Nothing was sent.", errors=errors)
    content = CallContent.of(review.action_id, params, json.loads(review.user_context_text))
    digest = call_digest(salt_hex=review.call_salt, canonical_call=content.whole)
    card = card_of(with_params(review, params_text, digest=digest), template, now=now, schema=basis.schema)
    judge = judge_for(review, now=now)
    ruling = judge(params)
    if ruling.failed:
        raise InvalidAmendment("Policy could not be asked about this change. Nothing was sent; try again.", errors={})
    if ruling.effect == "deny":
        raise _denied(basis, changed, params, card, ruling, judge)
    held_by = {str(hit.get("rule_id")) for hit in review.hits}
    return Amendment(
        params=json.loads(params_text),
        params_text=params_text,
        digest=digest,
        content_key=content_key(content, tenant_id=review.tenant_id, agent_id=review.agent_id),
        changes=_changes(basis, changed, card),
        card=card,
        ruling=ruling,
        tier=max(review.tier, ruling.tier if ruling.effect == "review" else 0),
        fits_schema=basis.schema is not None,
        new_rules=tuple(hit for hit in ruling.matched if hit.effect == "review" and hit.rule_id not in held_by),
    )


def differences(review: Review, params_text: str, *, after: Card, now: datetime) -> tuple[Change, ...]:
    """What an approved amendment changed of the call that was asked, fact by fact; `after` is the amended card."""
    before = card_of(review, active_template(review), now=now, schema=schema_of(review))
    named = {fact.pointer: fact for fact in (*before.facts, *before.other_facts)}
    return tuple(
        Change(label=fact.label, before=_listed(named[fact.pointer]), after=_listed(fact))
        for fact in (*after.facts, *after.other_facts)
        if fact.pointer in named and not fact.is_default and _differs(review.params_text, params_text, fact.pointer)
    )


def _differs(before_text: str, after_text: str, pointer: str) -> bool:
    values = []
    for text in (before_text, after_text):
        try:
            values.append(canonical(resolve(json.loads(text), pointer)))
        except MissingError:
            values.append(b"")
    return values[0] != values[1]


def _listed(fact: Fact) -> str:
    """The value as one line; of a list its entries."""
    if not fact.children:
        return fact.text
    return f"{len(fact.children)}: {', '.join(child.short for child in fact.children)}"


def _changed(basis: Basis, params: dict[str, Any]) -> tuple[AmendField, ...]:
    """The fields that differ, when nothing else does. Raises InvalidAmendment."""
    errors: dict[str, str] = {}
    changed: list[AmendField] = []
    allowed = copy.deepcopy(basis.params)
    for one in basis.fields:
        try:
            value = resolve(params, one.pointer)
        except MissingError:
            errors[one.pointer] = "This value cannot be left out."
            continue
        if canonical(value) == canonical(one.value) and type(value) is type(one.value):
            continue
        try:
            check_change(one, value)
        except NotThisError as error:
            errors[one.pointer] = str(error)
            continue
        changed.append(one)
        _put(allowed, one.pointer, value)
    if errors:
        raise InvalidAmendment(errors=errors)
    if canonical(allowed) != canonical(params):
        raise InvalidAmendment(
            "Something was changed that the card template keeps locked. Nothing was sent.", errors={}
        )
    if not changed:
        raise InvalidAmendment("Nothing is changed yet. Change a value, or approve the call as it is.", errors={})
    return tuple(changed)


def _changes(basis: Basis, changed: tuple[AmendField, ...], card: Card) -> tuple[Change, ...]:
    before = {fact.pointer: fact for fact in basis.card.facts}
    after = {fact.pointer: fact for fact in card.facts}
    return tuple(
        Change(label=one.label, before=_listed(before[one.pointer]), after=_listed(after[one.pointer]))
        for one in changed
    )


def _denied(
    basis: Basis, changed: tuple[AmendField, ...], params: Mapping[str, Any], card: Card, ruling: Ruling, judge: Judge
) -> InvalidAmendment:
    by = ruling.primary.name if ruling.primary else "a freeze" if ruling.frozen_by else "policy"
    facts = {fact.pointer: fact for fact in card.facts}
    one = changed[0]
    what = facts[one.pointer].short if one.pointer in facts else "This"
    sentence = f"{what} would be denied by {by}."
    if len(changed) == 1 and one.kind is Kind.NUMBER and ruling.frozen_by is None:
        highest = _highest(one, asked=resolve(params, one.pointer), takes=_takes(basis, one, judge, "allow", "review"))
        if highest is not None:
            sentence += f" The highest you can approve is {_with_unit(one, highest)}."
    return InvalidAmendment(f"{sentence} Nothing was sent.", errors={one.pointer: sentence})


def _takes(basis: Basis, one: AmendField, judge: Judge, *effects: str) -> Callable[[int], bool]:
    """Whether policy gives one of these effects to the call with this value in the field."""

    def takes(value: int) -> bool:
        ruling = judge(applied(basis, {one.pointer: value}))
        return ruling.effect in effects and not ruling.failed

    return takes


def _highest(one: AmendField, *, asked: object, takes: Callable[[int], bool]) -> int | None:
    """The highest whole value below `asked` that policy takes, by halving; None where there is none to be found.

    Halving supposes that policy takes less rather than more; what it finds is asked of policy itself, and so true.
    """
    if not isinstance(asked, int) or isinstance(asked, bool) or one.direction == "up":
        return None
    low = max(0, _bound(one, "minimum") or 0)
    if asked <= low or takes(asked) or not takes(low):
        return None
    high = asked
    for _ in range(_HALVINGS):
        if high - low <= 1:
            break
        middle = (low + high) // 2
        low, high = (middle, high) if takes(middle) else (low, middle)
    return low


def _chips(one: AmendField, review: Review, basis: Basis, judge: Judge) -> tuple[Chip, ...]:
    if one.kind is not Kind.NUMBER:
        return ()
    wanted: list[tuple[object, str]] = [
        (item.get("value"), f"suggested by {item.get('rule') or 'a rule'}")
        for item in review.suggestions
        if isinstance(item, dict) and item.get("pointer") == one.pointer
    ]
    maximum = _bound(one, "maximum")
    if maximum is not None:
        wanted.append((maximum, "the most that the schema takes"))
    limit = _highest(one, asked=one.value, takes=_takes(basis, one, judge, "allow"))
    if limit:
        wanted.append((limit, "the limit up to which policy asks nobody"))
    chips: dict[str, Chip] = {}
    for value, why in wanted:
        if not isinstance(value, int | float) or type(value) is not type(one.value) or value == one.value:
            continue
        try:
            check_change(one, value)
        except NotThisError:
            continue
        verb = "Raise" if value > one.value else "Lower"
        text = shown_number(value, one.scale)
        chips.setdefault(text, Chip(text, f"{verb} to {_with_unit(one, value)}", why))
    return tuple(chips.values())


def _bound(one: AmendField, name: str) -> int | None:
    bound = (one.schema or {}).get(name)
    return bound if isinstance(bound, int) and not isinstance(bound, bool) else None


def _with_unit(one: AmendField, value: int | float) -> str:
    number = f"{Decimal(value).scaleb(-one.scale):,.{one.scale}f}" if isinstance(value, int) else repr(value)
    return f"{one.unit} {number}".strip()


def _put(document: Any, pointer: str, value: Any) -> None:
    """Replace the value at a pointer that leads somewhere."""
    *way, last = [step.replace("~1", "/").replace("~0", "~") for step in pointer.split("/")[1:]]
    for step in way:
        document = document[int(step)] if isinstance(document, list) else document[step]
    if isinstance(document, list):
        document[int(last)] = value
    else:
        document[last] = value
