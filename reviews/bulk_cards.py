"""Cards as a bulk form needs them: what would be shown of each value, and whether anything about the call is unusual."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime
from typing import Final
from uuid import UUID

from reviews.asked import as_asked
from reviews.cards.types import Card, Fact, Severity
from reviews.models import Review
from reviews.row_cards import row_cards

# A value that is longer than this is read on its card, not beside others.
LONGEST_VALUE: Final = 160
_SEVERE: Final = (Severity.CAUTION, Severity.DANGER)


@dataclass(frozen=True)
class BulkCard:
    """One call on a bulk form. `raw`, `labels` and `shown` are by pointer: the value as sent, its label, its words."""

    wish: str
    template_digest: str
    raw: Mapping[str, object] = field(repr=False)
    labels: Mapping[str, str]
    shown: Mapping[str, str]
    unusual: str = ""

    @classmethod
    def unread(cls, review: Review) -> BulkCard:
        """The card of a call that is left out without a look at its values."""
        return cls(wish=review.action_id, template_digest="", raw={}, labels={}, shown={})


def cards_of(
    reviews: Sequence[Review], *, tenant_id: UUID, now: datetime, with_history: bool = True
) -> dict[UUID, BulkCard]:
    """The cards by review; with history, each is compared with earlier calls as its own page does."""
    shown = [as_asked(review) for review in reviews]
    cards = row_cards(shown, tenant_id=tenant_id, now=now, with_history=with_history)
    return {asked.pk: _read(asked, card) for asked, card in zip(shown, cards, strict=True)}


def _read(review: Review, card: Card) -> BulkCard:
    raw: dict[str, object] = {}
    for root, text in (("", review.params_text), ("context:", review.user_context_text)):
        raw |= {f"{root}/{key.replace('~', '~0').replace('/', '~1')}": value for key, value in json.loads(text).items()}
    facts = {fact.pointer: fact for fact in (*card.facts, *card.other_facts)}
    facts |= {f"context:{fact.pointer}": fact for fact in card.context_facts}
    labels = {key: facts[key].label if key in facts else key for key in raw}
    shown = {key: _words(facts.get(key), value) for key, value in raw.items()}
    return BulkCard(
        wish=card.wish,
        template_digest=card.template_digest,
        raw=raw,
        labels=labels,
        shown=shown,
        unusual=_unusual(card),
    )


def _words(fact: Fact | None, value: object) -> str:
    if fact is not None and (fact.is_hidden or fact.hides):
        return "masked"
    text = fact.text if fact is not None and fact.parts else json.dumps(value, ensure_ascii=False)
    return text if len(text) <= LONGEST_VALUE else text[:LONGEST_VALUE] + "…"


def _unusual(card: Card) -> str:
    """Why this call is to be read by itself; empty for a plain one."""
    if card.incomplete:
        return "Some of its values are on no line of the card."
    notice = next((one for one in card.stands_out if one.caution.severity in _SEVERE), None)
    if notice is not None:
        return notice.sentence
    for fact in (*card.facts, *card.other_facts, *card.context_facts):
        if not _is_plain(fact):
            return f"{fact.label}: read it on its card."
    return ""


def _is_plain(fact: Fact) -> bool:
    if not fact.inspected or fact.is_hidden or fact.more or len(fact.text) > LONGEST_VALUE:
        return False
    return not any(one.severity in _SEVERE for one in fact.cautions) and all(
        _is_plain(child) for child in fact.children
    )
