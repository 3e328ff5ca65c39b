"""What a rule made from a decided call begins with: the call's action, and the number that the verdict hung on. Pure."""

from __future__ import annotations

import json
from urllib.parse import urlencode

from audit.pointer import MissingError, resolve
from reviews.cards.types import Card


def rule_query(card: Card, *, params_text: str) -> str:
    """The query with which the rule editor opens: actions, and a row where the decisive value is a number.

    No text of the call goes into an address, which logs and histories keep: it may name a customer.
    """
    fields = {"scope_actions": card.action_id}
    fact = card.decisive_fact
    steps = fact.pointer.split("/")[1:] if fact is not None and not fact.is_hidden else []
    if fact is not None and steps and all(step.isidentifier() and step.isascii() for step in steps):
        try:
            value = resolve(json.loads(params_text), fact.pointer)
        except MissingError:
            value = None
        if isinstance(value, int | float) and not isinstance(value, bool):
            fields |= {"field": ".".join(("params", *steps)), "at_least": json.dumps(value)}
    return urlencode(fields)
