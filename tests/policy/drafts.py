"""Draft rules and actions, saved through the real write functions."""

from __future__ import annotations

import json
from typing import Any

from audit.models import Entry
from audit.scope import as_tenant
from policy.drafts import save_action, save_rule
from policy.models import Action, Rule
from tests.people import People

REFUND_TESTS = [
    {"name": "large", "context": {"params": {"amount_cents": 60_000}}, "expect": "match"},
    {"name": "small", "context": {"params": {"amount_cents": 100}}, "expect": "no match"},
    {"name": "no amount", "context": {"params": {}}, "expect": "error"},
]


def a_draft_rule(people: People, **fields: Any) -> Rule:
    """A review rule over refunds, saved by Adam."""
    given = {
        "slug": "refund-cap",
        "name": "Refund cap",
        "scope_actions": ["billing.refund*"],
        "condition": "params.amount_cents > 50000",
        "effect": "review",
        "reason": "Refunds above USD 500.00 need a person.",
        "tests": REFUND_TESTS,
        **fields,
    }
    return save_rule(people.tenant.pk, acting=people.adam, rule=Rule(**given))


def an_action(people: People, action_id: str = "billing.refund", **fields: Any) -> Action:
    """A mapped action, saved by Adam."""
    given = {"title": "Refund an invoice", **fields}
    return save_action(people.tenant.pk, acting=people.adam, action=Action(action_id=action_id, **given))


def entries(people: People, kind: str) -> list[dict[str, Any]]:
    """The bodies of the tenant's committed entries of a kind, oldest first, as the log's reader sees them."""
    with as_tenant(people.tenant.pk, using="audit_reader"):
        found = Entry.objects.using("audit_reader").filter(kind=kind).order_by("id")
        return [json.loads(entry.body) for entry in found]
