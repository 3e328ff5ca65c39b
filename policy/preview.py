"""One rule, as it stands in the editor, on the last real calls in its scope. Nothing is saved or decided."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass, field, replace
from datetime import datetime
from typing import Any, Final
from uuid import UUID

from audit import calls
from policy import drafts
from policy.evaluate import Call, Program, Rule, RuleHit, context_of
from policy.models import PolicyState
from tenants.isolation import rows_of

CALLS_TRIED: Final = 50


@dataclass(frozen=True)
class Tried:
    """One call: what the rule gives (match, no match, error, erased) and why, in sentences."""

    uid: str
    at: datetime
    action_id: str
    agent: str
    decision: str
    result: str
    reasons: tuple[str, ...] = ()


@dataclass
class Preview:
    """The calls that were tried, newest first."""

    calls: list[Tried] = field(default_factory=list)
    reads_counters: bool = False

    def count(self, result: str) -> int:
        """How many gave this."""
        return sum(tried.result == result for tried in self.calls)

    @property
    def counts(self) -> list[tuple[str, int]]:
        """(words, how many), those that occur and always the matches."""
        words = (
            ("match", "match"),
            ("no match", "do not match"),
            ("error", "cannot be evaluated"),
            ("erased", "are left out: their values were erased"),
        )
        return [(text, self.count(result)) for result, text in words if result == "match" or self.count(result)]


def try_rule(tenant_id: UUID, rule: Rule, *, limit: int = CALLS_TRIED) -> Preview:
    """What the rule gives on the last calls in its scope. Its condition must compile."""
    program = _program(tenant_id, rule)
    recorded = calls.recorded_calls(tenant_id, actions=rule.actions, limit=limit)
    return Preview([_tried(program, rule, call) for call in recorded], reads_counters="stats." in rule.when)


def test_from_call(tenant_id: UUID, rule: Rule, *, uid: UUID, taken: Iterable[str]) -> dict[str, Any] | None:
    """A recorded call as a test that expects what the rule gives now; None when the call is gone or erased."""
    found = next(iter(calls.calls_by_uid(tenant_id, [uid])), None)
    if found is None or found.params is None or found.user is None:
        return None
    tried = _tried(_program(tenant_id, rule), rule, found)
    name = f"{found.action_id} of {found.decided_at:%Y-%m-%d %H:%M:%S}"
    while name in set(taken):
        name += " again"
    # The log keeps no order of fields.
    params, user = (dict(sorted(values.items())) for values in (found.params, found.user))
    context: dict[str, Any] = {"params": params, "user": user, "action_id": found.action_id}
    return {"name": name, "context": {key: value for key, value in context.items() if value}, "expect": tried.result}


def _program(tenant_id: UUID, rule: Rule) -> Program:
    rules, _ = drafts.draft_of(tenant_id, rows_of(PolicyState, tenant_id).get())
    return Program(replace(rules, rules=(rule,)))


def _reasons(hit: RuleHit) -> tuple[str, ...]:
    """The sentences that say why; guards only where nothing else does."""
    if hit.result == "error":
        return tuple(leaf.sentence for leaf in hit.leaves if leaf.result == "error") or tuple(filter(None, [hit.error]))
    tests = [leaf for leaf in hit.leaves if leaf.result != "error" and not leaf.text.startswith("has(")]
    held = [leaf for leaf in tests if leaf.result == "true"]
    missing = [leaf for leaf in hit.leaves if leaf.text.startswith("has(") and leaf.result == "false"]
    return tuple(leaf.sentence for leaf in held or missing or tests or hit.leaves)


def _tried(program: Program, rule: Rule, recorded: calls.RecordedCall) -> Tried:
    result = "erased"
    reasons: tuple[str, ...] = ()
    if recorded.params is not None and recorded.user is not None:
        call = Call(
            action_id=recorded.action_id,
            params=recorded.params,
            user=recorded.user,
            agent={"id": recorded.agent},
            run={"id": recorded.run_id},
            tool={},
            request={"environment": recorded.environment},
            now=recorded.decided_at,
            subject=str(recorded.user.get("user_id") or recorded.agent),
        )
        hit = program.test(rule, context_of(call))
        result = hit.result if hit else "no match"
        if hit is not None:
            reasons = _reasons(hit)
    return Tried(
        uid=recorded.uid,
        at=recorded.decided_at,
        action_id=recorded.action_id,
        agent=recorded.agent,
        decision=recorded.decision,
        result=result,
        reasons=reasons,
    )
