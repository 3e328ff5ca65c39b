"""Whether a choice climbed its whole ladder: reason, words, folds, decisive value, sign-in. Writes nothing."""

from __future__ import annotations

from datetime import datetime, timedelta
from typing import Final
from uuid import UUID

from reviews.amendments import Amendment
from reviews.asked import card_asked, folds_of, last_word, schema_of
from reviews.cards import typing as typed_values
from reviews.cards.types import Card, Fact, Template
from reviews.choices import MAX_MESSAGE, MAX_NOTE, Choice
from reviews.errors import InvalidVerdict
from reviews.ladder import LEAST_NOTE, Step, steps, takes
from reviews.models import DeskSettings, Review
from reviews.states import VerdictKind
from reviews.verdict_words import CODES
from tenants.isolation import rows_of
from tenants.stepup import Evidence, require_fresh

_KINDS: Final = frozenset(CODES)


def check_choice(
    choice: Choice,
    *,
    review: Review,
    tier: int,
    via: str,
    template: Template | None,
    amendment: Amendment | None,
    now: datetime,
) -> None:
    """Raise InvalidVerdict (`errors`: field to sentence) for a choice that leaves out a step of its ladder."""
    if choice.kind not in _KINDS or (choice.kind == VerdictKind.APPROVE_WITH_AMENDMENTS) != (amendment is not None):
        raise InvalidVerdict(errors={"kind": "Choose approve, approve with changes or deny."})
    if steps(choice.kind, tier, via=via) is None:
        raise InvalidVerdict(errors={"kind": f"At tier {tier} this is approved on its card alone."})
    errors = _plain_errors(choice, tier=tier, via=via)
    if choice.kind != VerdictKind.DENY:
        card = (
            amendment.card
            if amendment is not None
            else card_asked(review, template=template, schema=schema_of(review), now=now)
        )
        if card.incomplete:
            errors["kind"] = "Some values of this call are on no line of the card, so it cannot be approved."
        if takes(Step.OPEN_FOLDS, kind=choice.kind, tier=tier, via=via):
            unopened = [fold for fold in folds_of(card) if fold.key not in choice.seen]
            if unopened:
                errors["seen"] = f"Open every fold first: {len(unopened)} of them are still closed."
        if takes(Step.TYPE_VALUE, kind=choice.kind, tier=tier, via=via):
            errors |= _value_errors(choice, card)
    if errors:
        raise InvalidVerdict(errors=errors)


def require_evidence(
    evidence: Evidence | None, *, kind: str, tier: int, via: str, tenant_id: UUID, now: datetime
) -> Evidence | None:
    """The proof of who decides, kept with the verdict. Raises StepUpNeeded where the ladder wants a newer one."""
    if takes(Step.STEP_UP, kind=kind, tier=tier, via=via):
        return require_fresh(evidence, now=now, within=fresh_for_verdict(tenant_id))
    return evidence


def fresh_for_verdict(tenant_id: UUID) -> timedelta:
    """How old a sign-in may be to approve at tiers 3 and 4, as the tenant has set it."""
    settings = rows_of(DeskSettings, tenant_id).first() or DeskSettings()
    return timedelta(minutes=settings.stepup_minutes)


def decisive_fact(card: Card) -> Fact | None:
    """The fact whose value is typed: None where the template names none or its value is hidden."""
    fact = card.decisive_fact
    return fact if fact is not None and not fact.is_hidden and fact.inspected else None


def is_decisive_value(typed: str, *, card: Card, locale: str) -> bool:
    """Whether this is the decisive value, or the last word of the action where the call has none."""
    fact = decisive_fact(card)
    if fact is None:
        return typed.strip().casefold() == last_word(card.action_id).casefold()
    return typed_values.accepts(fact, typed, locale=locale)


def _value_errors(choice: Choice, card: Card) -> dict[str, str]:
    if not choice.typed.strip():
        return {"typed": "Type the value that this is about."}
    if not is_decisive_value(choice.typed, card=card, locale=choice.locale):
        return {"typed": "This is not the value on the card. Read it again, then type it."}
    # What is picked is written as the page writes it.
    if choice.picked and not is_decisive_value(choice.picked, card=card, locale="en"):
        return {
            "typed": "You typed one value and picked another. Read the card again, then pick the one that you typed."
        }
    return {}


def _plain_errors(choice: Choice, *, tier: int, via: str) -> dict[str, str]:
    errors: dict[str, str] = {}
    if choice.code not in CODES[VerdictKind(choice.kind)]:
        errors["code"] = "Choose a reason."
    if len(choice.message) > MAX_MESSAGE:
        errors["message"] = f"Keep the message to the agent within {MAX_MESSAGE} characters."
    if len(choice.note) > MAX_NOTE:
        errors["note"] = f"Keep the note within {MAX_NOTE} characters."
    elif takes(Step.NOTE, kind=choice.kind, tier=tier, via=via) and len(choice.note.strip()) < LEAST_NOTE:
        errors["note"] = f"At tier {tier}, say in {LEAST_NOTE} characters or more why this is right."
    return errors
