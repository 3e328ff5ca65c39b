"""Short ways to a call, a rule and a ruling in tests of the pure modules."""

from __future__ import annotations

from datetime import UTC, datetime
from typing import Any

from policy.evaluate import Call, ModeState, Program, Rule, RuleSet, Ruling

NOON = datetime(2026, 11, 20, 12, tzinfo=UTC)
OBSERVE = ModeState(tenant="t", default_mode="observe")
ENFORCE = ModeState(tenant="t", default_mode="enforce")


def a_call(params: dict[str, Any] | None = None, *, action_id: str = "billing.refund", **roots: Any) -> Call:
    """A call at noon by u_1, with empty roots where none are given."""
    empty: dict[str, Any] = {name: {} for name in ("user", "agent", "run", "tool", "request")}
    return Call(action_id=action_id, params=params or {}, **{"now": NOON, "subject": "u_1", **empty, **roots})


def a_rule(when: str, effect: Any = "review", *, id: str = "r", **fields: Any) -> Rule:  # noqa: A002
    """A rule over every action."""
    return Rule(**{"id": id, "name": id, "actions": ("*",), "when": when, "effect": effect, **fields})


def a_ruling(
    rules: list[Rule], call: Call | None = None, *, state: ModeState = ENFORCE, mapped: bool = True, **defaults: Any
) -> Ruling:
    """What these rules say about a call; the action is mapped unless told otherwise."""
    call = call or a_call()
    actions = {call.action_id: 0} if mapped else {}
    return Program(RuleSet(rules=tuple(rules), actions={**actions, **defaults.pop("actions", {})}, **defaults)).decide(
        call, state
    )
