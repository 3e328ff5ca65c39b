"""Showing the value behind the dots, once, to somebody who may, and who has just said who they are."""

from __future__ import annotations

import json
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Final

from django.core.exceptions import PermissionDenied

from audit.pointer import resolve
from audit.record import Disclosure, EntryDraft, record
from audit.scope import as_tenant
from reviews.access import access_review_to_view
from reviews.asked import active_template, as_asked, schema_of
from reviews.card_of import card_of
from reviews.cards.text import reveal
from reviews.cards.types import Card, Fact, Part
from reviews.claims import member_actor
from reviews.errors import NotFound
from reviews.models import Review
from tenants.models import Member
from tenants.roles import permissions_of
from tenants.stepup import Evidence, require_fresh

FRESH: Final = timedelta(minutes=5)
DOCUMENTS: Final = ("params", "user_context")
NEEDED: Final = "audit.read_disclosure"


@dataclass(frozen=True)
class Revealed:
    """A secret in parts, with the characters in it that hide made visible. For one answer; never stored."""

    review: Review
    label: str
    parts: tuple[Part, ...]


def reveal_secret(
    wire_id: str, *, document: str, pointer: str, acting_member: Member, evidence: Evidence | None, now: datetime
) -> Revealed:
    """The value at a place that the card masks, after an entry that says who opened it.

    `document` is "params" or "user_context". Raises PermissionDenied, NotFound (also for a place that is no secret),
    StepUpNeeded for a sign-in older than 5 minutes.
    """
    if NEEDED not in permissions_of(acting_member.roles):
        raise PermissionDenied
    with as_tenant(acting_member.tenant_id):
        review = as_asked(access_review_to_view(acting_member, wire_id))
        if document not in DOCUMENTS:
            raise NotFound
        fact = _hidden_fact(_card(review, now=now), document, pointer)
        # After the place is known to exist, so that nobody signs in again for nothing.
        proof = require_fresh(evidence, now=now, within=FRESH)
        text = review.params_text if document == "params" else review.user_context_text
        value = resolve(json.loads(text), pointer)
        record(
            review.tenant_id,
            EntryDraft(
                kind="review.secret_revealed",
                fields={
                    "review": {"id": review.wire_id},
                    "action_id": review.action_id,
                    "document": document,
                    "auth": proof.as_fields(now),
                },
                actor=member_actor(acting_member),
                refs=(review.entry_uid,),
                # A key is the agent's choice, so the place is erasable like everything it chose.
                disclosures=(Disclosure("pointer", json.dumps(pointer, ensure_ascii=False)),),
            ),
        )
    written = value if isinstance(value, str) else json.dumps(value, ensure_ascii=False, indent=2)
    return Revealed(review=review, label=fact.label, parts=reveal(written).parts)


def _card(review: Review, *, now: datetime) -> Card:
    # With the schema: it may be what declares the value a secret.
    return card_of(review, active_template(review), now=now, schema=schema_of(review))


def _hidden_fact(card: Card, document: str, pointer: str) -> Fact:
    facts = (*card.facts, *card.other_facts) if document == "params" else card.context_facts
    for fact in _all(facts):
        if fact.is_hidden and fact.pointer == pointer:
            return fact
    raise NotFound


def _all(facts: Iterable[Fact]) -> Iterator[Fact]:
    for fact in facts:
        yield fact
        yield from _all(fact.children)
