"""The call that waits for a verdict: as it was asked, or as a first person of two amended it.

A second person decides the amended call without seeing who amended it, so everything that a verdict is bound to (the
params, the digest, the decisive value, the folds) is read here and nowhere else.
"""

from __future__ import annotations

import copy
import re
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass
from datetime import datetime
from typing import Final

from policy.models import Action
from policy.tools import labels_for
from reviews.card_of import active_templates, card_of
from reviews.cards.types import Card, Fact, Template
from reviews.models import Review, Verdict

LIST_OPEN: Final = 10


@dataclass(frozen=True)
class Asked:
    """What a verdict on the review decides. `amendment` is the standing verdict that changed it, if one did."""

    params_text: str
    digest: str
    content_key: str
    amendment: Verdict | None = None


@dataclass(frozen=True)
class Fold:
    """A part of the call that the card keeps folded: its key in the form and its label."""

    key: str
    label: str


def asked_call(review: Review) -> Asked:
    """The call as it would run if approved now. Uses the prefetched verdicts when there are some."""
    amendment = next((verdict for verdict in reversed(review.standing_verdicts) if verdict.amended_params_text), None)
    if amendment is None:
        return Asked(review.params_text, review.call_digest, review.content_key)
    return Asked(
        amendment.amended_params_text, amendment.amended_digest, amendment.amended_content_key, amendment=amendment
    )


def as_asked(review: Review) -> Review:
    """The review as it reads while it waits: an unsaved copy with the amended call in place, else the review itself."""
    asked = asked_call(review)
    return review if asked.amendment is None else with_params(review, asked.params_text, digest=asked.digest)


def with_params(review: Review, params_text: str, *, digest: str) -> Review:
    """An unsaved copy of the review with other params, for a card to be made of."""
    shown = copy.copy(review)
    shown.params_text, shown.call_digest = params_text, digest
    return shown


def active_template(review: Review) -> Template | None:
    """The active card template of the review's action."""
    return active_templates([review.action_id], tenant_id=review.tenant_id).get(review.action_id)


def schema_of(review: Review) -> Mapping[str, object] | None:
    """The JSON schema that an admin accepted for the params: the action's own, else the pinned tool's."""
    action = Action.objects.filter(tenant_id=review.tenant_id, action_id=review.action_id).first()
    if action is not None and isinstance(action.schema, dict):
        return action.schema
    labels = labels_for(review.tenant_id, [review.action_id]).get(review.action_id)
    return labels.accepted.input_schema if labels and labels.accepted else None


def card_asked(
    review: Review, *, template: Template | None, schema: Mapping[str, object] | None, now: datetime
) -> Card:
    """The card of the call that waits, without history: what verdicts compare."""
    return card_of(as_asked(review), template, now=now, schema=schema)


def fold_key(fact: Fact) -> str:
    """How the form and the page name the fold of a fact."""
    return f"{fact.provenance}:{fact.pointer}"


def folds_of(card: Card) -> tuple[Fold, ...]:
    """Every fold that keeps a part of the call out of sight, in the order of the card."""
    return tuple(
        Fold(fold_key(fact), fact.label) for fact in _all((*card.facts, *card.other_facts, *card.context_facts))
        if fact.more or len(fact.children) > LIST_OPEN or fact.emphasis == "fold"
    )  # fmt: skip


def _all(facts: Iterable[Fact]) -> Iterator[Fact]:
    for fact in facts:
        yield fact
        yield from _all(fact.children)


def last_word(action_id: str) -> str:
    """What is typed where a call has no decisive value: the last part of the action, `refund` of `billing.refund`."""
    return re.split(r"[.:/]", action_id)[-1] or action_id
