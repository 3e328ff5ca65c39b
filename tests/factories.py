"""Life cycles of reviews, walked through the real write functions."""

from __future__ import annotations

from datetime import UTC, datetime
from typing import Any
from uuid import uuid4

from audit.scope import as_tenant
from policy import drafts, live, modes, revisions
from policy.models import Action, Rule
from reviews import claims, intake, verdicts
from reviews.access import find_review
from reviews.models import Review, Verdict
from reviews.wire import EvaluateIn, validate
from tenants.stepup import Evidence
from tests.people import People, proof

REFUND = "billing.refund"
SMALL = {"invoice_id": "in_88", "amount_cents": 1900, "currency": "USD"}
LARGE = {"invoice_id": "in_88", "amount_cents": 62000, "currency": "USD"}


def refund_rule(**changes: Any) -> Rule:
    """Review of refunds above USD 500, no hold."""
    fields: dict[str, Any] = {
        "slug": "refund-over-limit",
        "name": "Refund above USD 500",
        "scope_actions": [REFUND],
        "condition": "params.amount_cents > 50000",
        "effect": "review",
        "reason": "Refunds above USD 500.00 need a person.",
        "tier": 2,
        "hold_seconds": 0,
        "tests": [
            {"name": "large", "context": {"params": LARGE}, "expect": "match"},
            {"name": "small", "context": {"params": SMALL}, "expect": "no match"},
        ],
    }
    return Rule(**(fields | changes))


def deny_rule(**changes: Any) -> Rule:
    """Denial of refunds on the free plan."""
    return refund_rule(
        **{
            "slug": "refund-free-plan",
            "name": "No refunds on the free plan",
            "condition": "has(user.plan) && user.plan == 'free'",
            "effect": "deny",
            "reason": "Customers on the free plan have nothing to refund.",
            "tests": [
                {"name": "free", "context": {"user": {"plan": "free"}}, "expect": "match"},
                {"name": "paid", "context": {"user": {"plan": "pro"}}, "expect": "no match"},
            ],
        }
        | changes
    )


def enforce_refunds(people: People, *rules: Rule, mode: str = "enforce") -> None:
    """Map the refund action, publish the rules (by default both of the above) and set the tenant's mode."""
    with as_tenant(people.tenant.pk):
        drafts.save_action(
            people.tenant.pk, acting=people.adam, action=Action(action_id=REFUND, title="Refund an invoice")
        )
        for rule in rules or (refund_rule(), deny_rule()):
            drafts.save_rule(people.tenant.pk, acting=people.adam, rule=rule)
        revisions.publish(people.tenant.pk, acting=people.adam, reason="Rules of this test.", evidence=proof())
        if mode == "enforce":
            modes.set_tenant_mode(
                people.tenant.pk, acting=people.adam, mode=mode, evidence=proof(), reason="This test enforces."
            )
    live.forget(people.tenant.pk)


def call(**members: Any) -> dict[str, Any]:
    """The JSON of an evaluate request: a small refund unless told otherwise."""
    return {
        "idempotency_key": uuid4().hex,
        "action_id": REFUND,
        "params": SMALL,
        "user_context": {"user_id": "u_9", "plan": "pro"},
        "run_id": "run_7",
    } | members


def ask(people: People, *, now: datetime | None = None, **members: Any) -> Any:
    """The answer of the gate to one call of the agent."""
    request = validate(EvaluateIn, call(**members))
    return intake.take(people.caller, [(request, people.agent)], now=now or datetime.now(UTC))[0]


def held_review(people: People, *, now: datetime | None = None, **members: Any) -> Review:
    """An open review of a large refund, in a run of its own: nothing else is a copy of it."""
    own = {"params": LARGE, "repeat": "new", "run_id": f"run_{uuid4().hex[:12]}"}
    answer = ask(people, now=now, **own | members)
    assert answer["decision"] == "review", answer
    return get(people, answer["review_id"])


def get(people: People, wire_id: str) -> Review:
    """The review as the database has it now."""
    with as_tenant(people.tenant.pk):
        return find_review(people.tenant.pk, wire_id)


def claimed_review(people: People, *, now: datetime | None = None) -> Review:
    """A review that Rita holds."""
    review = held_review(people, now=now)
    return claims.claim(review.wire_id, acting_member=people.rita, now=now or datetime.now(UTC))


def decide(
    people: People, review: Review, kind: str = "approve", *, now: datetime | None = None, **changes: Any
) -> Verdict:
    """Rita's verdict on what she sees."""
    code = "looks_right" if kind == "approve" else "wrong_amount"
    arguments: dict[str, Any] = {
        "acting_member": people.rita,
        "choice": verdicts.Choice(kind=kind, code=code, message="", note="Checked with the customer."),
        "seen_version": review.version,
        "seen_digest": review.call_digest,
        "now": now or datetime.now(UTC),
    }
    arguments["evidence"] = Evidence("password", arguments["now"])
    return verdicts.decide(review.wire_id, **(arguments | changes))
