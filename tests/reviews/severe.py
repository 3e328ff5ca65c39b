"""Reviews that take more than a click: refunds at tiers 3 and 4 with a card template whose amount is decisive."""

from __future__ import annotations

from datetime import datetime
from typing import Any

from audit.scope import as_tenant
from policy.models import Rule
from reviews import card_templates
from reviews.asked import asked_call
from reviews.choices import Choice
from reviews.models import Review
from tests.factories import enforce_refunds, refund_rule
from tests.people import People

LONG_WHY = "\n".join(f"Line {number} of what the customer wrote." for number in range(40))
SEVERE = {"invoice_id": "in_88", "amount_cents": 62000, "currency": "USD", "why": LONG_WHY}
WHY_FOLD = "agent:/why"


def severe_desk(people: People, *rules: Rule, tier: int = 3, hold_seconds: int = 0) -> None:
    """Refunds above USD 500 at this tier, read by a template that lets the amount be lowered and the reason be cut."""
    enforce_refunds(people, *(rules or (refund_rule(tier=tier, hold_seconds=hold_seconds),)))
    with as_tenant(people.tenant.pk):
        card_templates.activate(
            people.tenant.pk,
            acting_member=people.adam,
            action_id="billing.refund",
            sentence="refund {amount} for invoice {invoice}",
            decisive="/amount_cents",
            facts=[
                {
                    "pointer": "/amount_cents",
                    "label": "Amount",
                    "formatter": "money",
                    "slot": "amount",
                    "amend": "narrow",
                    "direction": "down",
                },
                {"pointer": "/invoice_id", "label": "Invoice", "formatter": "id", "slot": "invoice"},
                {"pointer": "/why", "label": "Why", "formatter": "text", "amend": "free"},
                {"pointer": "/lines", "label": "Lines", "formatter": "nested", "amend": "narrow"},
            ],
        )


def severe_choice(**changes: Any) -> Choice:
    """An approval that climbs the whole ladder of `SEVERE`."""
    fields: dict[str, Any] = {
        "kind": "approve",
        "code": "looks_right",
        "note": "Checked with the customer.",
        "typed": "620",
        "seen": frozenset({WHY_FOLD}),
    }
    return Choice(**(fields | changes))


def seen_of(review: Review, **changes: Any) -> dict[str, Any]:
    """What a reviewer who reads the card now sends along: version and digest of what is on it."""
    return {"seen_version": review.version, "seen_digest": asked_call(review).digest} | changes


def at(moment: datetime) -> dict[str, Any]:
    """A verdict given, and proven, at this moment."""
    from tenants.stepup import Evidence

    return {"now": moment, "evidence": Evidence("password", moment)}
