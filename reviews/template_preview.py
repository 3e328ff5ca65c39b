"""A card template tried on real calls before it acts: every card in full, problems first, beside the active version."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime
from typing import Any
from uuid import UUID

from audit.pointer import MissingError, resolve
from audit.record import Actor, EntryDraft, record
from audit.scope import as_tenant
from reviews.card_of import desk_settings, fingerprint_key, principal_of
from reviews.cards.present import build_card
from reviews.cards.types import Card, CardInput, Caution, Role, Template
from reviews.template_calls import SampleCall, sample_calls
from reviews.template_cautions import UNCHECKED, AskedCall, cautions_of
from tenants.models import Member


@dataclass(frozen=True)
class Shown:
    """One call as the draft shows it, and as the active version does where that reads otherwise."""

    call: SampleCall
    card: Card
    before: Card | None = None
    problems: tuple[str, ...] = ()


@dataclass(frozen=True)
class Preview:
    """The calls that were tried: those with problems first, then newest first."""

    shown: tuple[Shown, ...] = ()
    has_active: bool = False
    may_open_log: bool = False

    @property
    def well(self) -> int:
        """How many read without a problem."""
        return sum(not one.problems for one in self.shown)

    @property
    def changed(self) -> int:
        """How many the active version shows otherwise."""
        return sum(one.before is not None for one in self.shown)

    @property
    def opened(self) -> list[str]:
        """The entries whose values were opened."""
        return [one.call.entry_uid for one in self.shown if one.call.entry_uid]


@dataclass(frozen=True)
class _Desk:
    """What cards of a tenant have in common."""

    tenant_id: UUID
    now: datetime
    schema: Mapping[str, Any] | None
    own_domains: frozenset[str] = field(default_factory=frozenset)


def preview(
    tenant_id: UUID,
    *,
    action_id: str,
    template: Template,
    active: Template | None,
    schema: Mapping[str, Any] | None,
    may_open_log: bool,
    now: datetime,
) -> Preview:
    """The template on the last 20 different calls of the action. Stores nothing; see `note_opened`."""
    calls = sample_calls(tenant_id, action_id, may_open_log=may_open_log)
    with as_tenant(tenant_id):
        domains = frozenset(name.casefold() for name in desk_settings(tenant_id).own_domains)
    desk = _Desk(tenant_id, now, schema, domains)
    shown = [_tried(desk, call, template, active) for call in calls]
    shown.sort(key=lambda one: not one.problems)
    return Preview(tuple(shown), has_active=active is not None, may_open_log=may_open_log)


def note_opened(tenant_id: UUID, *, action_id: str, found: Preview, acting_member: Member) -> None:
    """Put on record who saw values from the log; nothing where only held calls were shown."""
    if not found.opened:
        return
    fields = {"action_id": action_id, "calls": len(found.opened)}
    actor = Actor("member", str(acting_member.pk))
    with as_tenant(tenant_id):
        record(tenant_id, EntryDraft("card_template.previewed", fields, actor, refs=tuple(found.opened)))


def _tried(desk: _Desk, call: SampleCall, template: Template, active: Template | None) -> Shown:
    card, cautions = _card(desk, call, template)
    before = _card(desk, call, active)[0] if active is not None else None
    return Shown(
        call=call,
        card=card,
        before=before if before is not None and _as_read(before) != _as_read(card) else None,
        problems=tuple(_problems(card, template, call, cautions, schema=desk.schema)),
    )


def _card(desk: _Desk, call: SampleCall, template: Template) -> tuple[Card, tuple[Caution, ...]]:
    asked = AskedCall(action_id=call.action_id, params=call.params, user=call.user, agent=call.agent, now=call.at)
    cautions = cautions_of(template, asked, tenant_id=desk.tenant_id)
    card = build_card(
        CardInput(
            action_id=call.action_id,
            params=call.params,
            user_context=call.user,
            agent_name=call.agent_name,
            now=desk.now,
            on_behalf_of=principal_of(call.user),
            template=template,
            schema=desk.schema,
            own_domains=desk.own_domains,
            fingerprint_key=fingerprint_key(desk.tenant_id),
            template_cautions=cautions,
        )
    )
    return card, cautions


def _as_read(card: Card) -> object:
    """What a reviewer reads of a card; the digest of the template aside."""
    return (
        card.headline,
        card.facts,
        card.other_facts,
        [notice.sentence for notice in card.stands_out],
        (card.undo, card.undo_how),
    )


def _problems(
    card: Card, template: Template, call: SampleCall, cautions: Sequence[Caution], *, schema: Mapping[str, Any] | None
) -> list[str]:
    found = []
    if any(part.role is Role.ACTION for part in card.sentence):
        found.append("The sentence is the generic one: a slot has no value here.")
    found += [
        f"{item.label} ({item.pointer}) is not in this call."
        for item in template.facts
        if _is_missing(call.params, item.pointer) and not _is_optional(schema, item.pointer)
    ]
    wanted = {item.pointer: item.formatter.replace("_", " ") for item in template.facts if item.formatter}
    found += [
        f"{fact.label} could not be read as {wanted.get(fact.pointer, 'anything')}."
        for fact in card.facts
        if fact.formatter == "raw"
    ]
    if card.incomplete:
        found.append(f"{card.params_shown} of {card.params_total} parameters are shown: it could not be approved.")
    start = UNCHECKED.partition("{")[0]
    found += [one.sentence for one in cautions if one.sentence.startswith(start)]
    return found


def _is_missing(params: object, pointer: str) -> bool:
    try:
        resolve(params, pointer)
    except MissingError:
        return True
    return False


def _is_optional(schema: Mapping[str, Any] | None, pointer: str) -> bool:
    """Whether the schema knows the value and does not require it."""
    at: object = schema
    is_optional = False
    for step in pointer.split("/")[1:]:
        key = step.replace("~1", "/").replace("~0", "~")
        properties = at.get("properties") if isinstance(at, Mapping) else None
        if not isinstance(properties, Mapping) or key not in properties:
            return is_optional
        required = at.get("required") if isinstance(at, Mapping) else None
        is_optional = is_optional or not (isinstance(required, list) and key in required)
        at = properties[key]
    return is_optional
