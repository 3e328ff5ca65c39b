"""What policy says about one call: allow, review or deny, the decision after mode, and why. Pure; no clock.

Source: the policy design, sections 5, 6 and 12. Each rule in scope gives one of three results: match, no match or
error. An error in a deny or review rule holds the call; it never allows where the mode enforces.
"""

from __future__ import annotations

import functools
import hashlib
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, replace
from typing import Final, Literal

import orjson
from cel_expr_python import cel

from policy import functions, routing
from policy.cel import ROOTS, Compiled, CompileError, ContextLimitError, Engine, Reads
from policy.counting import Counting, Part, Wanted
from policy.explain import Leaf, explain, plain_error
from policy.source import fields_read as _fields_read
from policy.terms import (
    DEFAULT_HOLD_SECONDS,
    Call,
    Effect,
    Mode,
    ModeState,
    Rule,
    RuleHit,
    RuleMode,
    RuleSet,
    Ruling,
    Unmapped,
)

__all__ = [
    "Call",
    "Effect",
    "Leaf",
    "Mode",
    "ModeState",
    "Program",
    "Rule",
    "RuleHit",
    "RuleMode",
    "RuleSet",
    "Ruling",
    "Unmapped",
    "bucket_of",
    "context_of",
    "failure",
    "resolve_mode",
]

STRENGTH: Final[Mapping[str, int]] = {"allow": 0, "review": 1, "deny": 2}
UNMAPPED_TIER: Final = 2  # nobody has said that it stays inside
BUCKETS: Final = 10_000
KNOWN_ACTION_IDS: Final = 10_000  # callers invent ids: what their rules are is kept for this many
ROOT_NAMES: Final = frozenset(ROOTS)

NO_RULE = "No rule asks for more."
MATCHED_REVIEW = "This needs a person's decision."
MATCHED_DENY = "This is not allowed."
CLOSED_DENY = "Nobody decides outside working hours, so it was refused. Ask again when they are open."
ERROR_REVIEW = "A rule could not be evaluated for this call, so a person must decide."
ERROR_DENY = "A rule could not be evaluated for this call, so it was refused."
UNMAPPED_REVIEW = "This action is not known to the policy yet, so a person must decide."
UNMAPPED_DENY = "This action is not known to the policy."
DEFAULT_REVIEW = "Calls of this action need a person's decision."
DEFAULT_DENY = "Calls of this action are not allowed."
TOO_LARGE_REVIEW = "This call is too large for its rules to be evaluated, so a person must decide."
FAILED_REVIEW = "The policy could not be evaluated, so a person must decide."
FAILED_DENY = "The policy could not be evaluated, so the call was refused."
FAILED_OBSERVED = "The policy could not be evaluated; nothing is blocked while observing."


fields_read = functools.lru_cache(maxsize=5000)(_fields_read)


def bucket_of(*parts: str) -> int:
    """0 to 9,999, always the same for the same parts: the first 8 bytes of SHA-256 over their JCS, mod 10,000."""
    # For a list of text, orjson's compact form is the JCS, and twenty times as fast.
    digest = hashlib.sha256(orjson.dumps(parts)).digest()
    return int.from_bytes(digest[:8], "big") % BUCKETS


def resolve_mode(state: ModeState, *, action_id: str, subject: str) -> tuple[Mode, str, int | None]:
    """(mode, where it came from, bucket): the action's override, else the tenant's; sticky under a percentage.

    Raising the percentage only adds subjects. The bucket is None where the mode is observe for everybody.
    """
    source = "action" if action_id in state.overrides else "tenant"
    mode, percent = state.overrides.get(action_id, (state.default_mode, state.percent))
    if mode == "observe":
        return "observe", source, None
    bucket = bucket_of(state.tenant, action_id, subject)
    return ("enforce" if bucket < 100 * percent else "observe"), source, bucket


_AGENT: Final[Mapping[str, object]] = {"id": "", "name": "", "version": "", "owner": "", "tags": []}
_RUN: Final[Mapping[str, object]] = {"id": "", "call_no": 0, "labels": []}
_TOOL: Final[Mapping[str, object]] = {
    "name": "",
    "server": "",
    "framework": "",
    "labels": [],
    "drifted": False,
    # Absent MCP hints mean the worse: not read-only, destructive, not idempotent, open world.
    "read_only": False,
    "destructive": True,
    "idempotent": False,
    "open_world": True,
}
_REQUEST: Final[Mapping[str, object]] = {"environment": "live", "batch_index": 0, "batch_size": 1}


def context_of(call: Call) -> dict[str, object]:
    """The nine roots, each present, with the fixed fields filled where the caller gave none."""
    return {
        "action_id": call.action_id,
        "params": call.params,
        "user": call.user,
        "agent": {**_AGENT, **call.agent},
        "run": {**_RUN, **call.run},
        "tool": {**_TOOL, "name": call.action_id, **call.tool},
        "stats": call.stats,
        "request": {**_REQUEST, **call.request},
        "now": call.now,
    }


def _leans_on(rules: RuleSet) -> tuple[object, ...]:
    """What an engine is made of."""
    return rules.lists, rules.calendars, rules.counters


class Program:
    """A rule set, compiled: decides calls. Safe to share between threads.

    A rule that does not compile here is kept as an error of every call in its scope; `broken` names it with the
    library's message, so that the owner can be told. What an `earlier` one compiled over the same lists, calendars and
    counters is used again: a new revision then costs what it changes.
    """

    engine: Engine

    def __init__(self, rules: RuleSet, *, earlier: Program | None = None) -> None:
        self.rules = rules
        if earlier is not None and _leans_on(earlier.rules) == _leans_on(rules):
            self.engine = earlier.engine
        else:
            self.engine = Engine(rules.lists, rules.calendars, [counter.name for counter in rules.counters])
        self.broken: dict[str, str] = {}
        self._compiled: dict[str, Compiled] = {}
        for rule in rules.rules:
            try:
                self._compiled[rule.id] = self.engine.compile(rule.when)
            except CompileError as error:
                self.broken[rule.id] = str(error)
        self._counting = Counting(self.engine, rules.counters)
        self.in_scope = functools.lru_cache(maxsize=KNOWN_ACTION_IDS)(self._in_scope)
        self.counted = functools.lru_cache(maxsize=KNOWN_ACTION_IDS)(self._counted)
        self.together = functools.lru_cache(maxsize=KNOWN_ACTION_IDS)(self._together)
        self.reads = functools.lru_cache(maxsize=KNOWN_ACTION_IDS)(self._reads)

    def _in_scope(self, action_id: str) -> tuple[Rule, ...]:
        """The rules whose scope holds the action and that are not off."""
        return tuple(
            rule
            for rule in self.rules.rules
            if rule.mode != "off" and any(functions.glob(action_id, pattern) for pattern in rule.actions)
        )

    def parts(self, call: Call) -> tuple[Part, ...]:
        """What the call adds to counters and what its rules read of them, before it is decided; empty for most."""
        if not self.rules.counters:
            return ()
        wanted = self.counted(call.action_id)
        return self._counting.parts(wanted, context_of(call)) if wanted else ()

    def _counted(self, action_id: str) -> tuple[Wanted, ...]:
        """The counters that an action touches: whose scope holds it, or that its rules read."""
        conditions = [rule.when for rule in self.in_scope(action_id) if rule.id in self._compiled]
        return self._counting.wanted(action_id, conditions)

    def _together(self, action_id: str) -> Compiled | None:
        """The conditions in scope as one list expression: a fifth of the time of asking each."""
        texts = tuple(rule.when for rule in self.in_scope(action_id) if rule.id in self._compiled)
        return self.engine.compile_list(texts) if len(texts) > 1 else None

    def _reads(self, action_id: str) -> Reads:
        """What the conditions in scope read of a call."""
        found: dict[str, frozenset[str] | None] = {}
        for rule in self.in_scope(action_id):
            for root, fields in fields_read(rule.when, ROOT_NAMES).items():
                known = found.get(root, frozenset())
                found[root] = None if fields is None or known is None else known | fields
        return found

    def _may_hit(self, action_id: str, activation: cel.Activation) -> Iterable[Rule]:
        """The rules in scope that are not plainly false on this call: those to ask one by one.

        An error in one of them makes the whole list an error; then all are asked.
        """
        rules, together = self.in_scope(action_id), self.together(action_id)
        values = self.engine.run(together, activation).value if together else None
        if not isinstance(values, list):
            return rules
        found = iter(values)
        return [rule for rule in rules if rule.id not in self._compiled or next(found) is not False]

    def test(self, rule: Rule, context: Mapping[str, object]) -> RuleHit | None:
        """What one rule gives on a context: a hit (match or error), or None for no match."""
        try:
            reads = fields_read(rule.when, ROOT_NAMES)
            return self._try(rule, self.engine.activation(context, reads=reads), context)
        except ContextLimitError as error:
            return _failed(rule, str(error))

    def _try(self, rule: Rule, activation: cel.Activation, context: Mapping[str, object]) -> RuleHit | None:
        compiled = self._compiled.get(rule.id)
        if compiled is None:
            return _failed(rule, "the rule no longer compiles")
        outcome = self.engine.run(compiled, activation)
        if outcome.value is False:
            return None
        leaves = explain(self.engine, rule.when, activation=activation, context=context)
        if outcome.value is True:
            return _hit(rule, "match", None, leaves)
        raw = outcome.error if outcome.error is not None else "the condition is neither true nor false"
        return _hit(rule, "error", plain_error(leaves, raw), leaves)

    def decide(self, call: Call, state: ModeState) -> Ruling:
        """The ruling for one call. Raises only on a fault of ours: the caller turns that into `failure`."""
        mode, source, bucket = resolve_mode(state, action_id=call.action_id, subject=call.subject)
        is_mapped = call.action_id in self.rules.actions
        if not is_mapped and self.rules.unmapped == "observe" and mode == "enforce":
            mode, source = "observe", "unmapped"
        context = context_of(call)
        hits: list[RuleHit] = []
        observing: list[RuleHit] = []
        too_large = False
        try:
            activation: cel.Activation | None = self.engine.activation(context, reads=self.reads(call.action_id))
            reason = ""
        except ContextLimitError as error:
            activation, reason, too_large = None, str(error), True
        for rule in self.in_scope(call.action_id) if activation is None else self._may_hit(call.action_id, activation):
            hit = self._try(rule, activation, context) if activation is not None else _failed(rule, reason)
            if hit is not None:
                if rule.out_of_hours == "deny":
                    hit = self._in_hours(rule, hit, call)
                (hits if self._counts(rule, call, state) else observing).append(hit)
        verdict = self._combine(hits, is_mapped=is_mapped, too_large=too_large)
        changing = tuple(
            hit
            for hit in observing
            if self._combine([*hits, hit], is_mapped=is_mapped, too_large=too_large).effect != verdict.effect
        )
        contributing = [hit for hit in verdict.left if hit.outcome in ("review", "deny")]
        if len(contributing) > 1:
            contributing = list(_ordered(contributing))
        timing = routing.timing(contributing) if contributing else None
        due = [hit.due_in_seconds for hit in contributing if hit.due_in_seconds is not None]
        expires = [hit.expires_in_seconds for hit in contributing if hit.expires_in_seconds is not None]
        holds = [hit.hold_seconds for hit in contributing]
        floor = self.rules.actions.get(call.action_id, UNMAPPED_TIER)
        return Ruling(
            effect=verdict.effect,
            decision=verdict.effect if mode == "enforce" else "allow",
            mode=mode,
            mode_source=source,
            bucket=bucket,
            primary=verdict.primary,
            message=verdict.message,
            matched=_ordered(hit for hit in hits if hit.result == "match") if hits else (),
            errors=_ordered(hit for hit in hits if hit.result == "error") if hits else (),
            observing=_ordered(changing) if changing else (),
            tier=_tier(floor, verdict.effect, contributing),
            team=next((hit.team for hit in contributing if hit.team), None),
            due_in_seconds=min(due) if due else None,
            expires_in_seconds=min(expires) if expires else None,
            hold_seconds=max(holds) if holds else DEFAULT_HOLD_SECONDS,
            mapped=is_mapped,
            revision_id=self.rules.revision_id,
            revision_number=self.rules.number,
            revision_sha256=self.rules.sha256,
            state_version=state.version,
            suppressed=tuple(sorted(verdict.suppressed)) if verdict.suppressed else (),
            quorum=max((hit.quorum for hit in contributing), default=1),
            escalate_to=_escalation(timing, contributing),
            hours=routing.hours_of(timing, self.rules.calendars),
            suggestions=routing.suggestions_of(contributing) if contributing else (),
        )

    def _in_hours(self, rule: Rule, hit: RuleHit, call: Call) -> RuleHit:
        """The hit; asking for a denial where it would hold the call and nobody works at this hour."""
        if hit.outcome != "review" or not routing.is_closed_to(rule, self.rules.calendars, call.now):
            return hit
        return replace(hit, outcome="deny", is_closed=True)

    def _counts(self, rule: Rule, call: Call, state: ModeState) -> bool:
        """Whether the rule itself enforces for this subject; outside its rollout it observes."""
        if rule.mode != "enforce":
            return False
        if rule.rollout >= 100:
            return True
        return bucket_of(state.tenant, call.action_id, call.subject, rule.id) < 100 * rule.rollout

    def _combine(self, hits: list[RuleHit], *, is_mapped: bool, too_large: bool) -> _Verdict:
        """The strongest effect left; the order of the hits never matters."""
        default, message = self._default(is_mapped)
        if not hits and not too_large:
            return _Verdict(default, None, message, [], set())
        named = {name for hit in hits if hit.outcome == "allow" for name in hit.suppresses}
        suppressed = {
            hit.rule_id for hit in hits if hit.rule_id in named and hit.effect == "review" and hit.result == "match"
        }
        left = [hit for hit in hits if hit.outcome is not None and hit.rule_id not in suppressed]
        if too_large and default == "allow":
            default, message = "review", TOO_LARGE_REVIEW
        if left:
            primary = _ordered(left)[0]
            effect = primary.outcome or "review"
            # Only a matched allow rule displaces a stricter default: a review rule added to it must not weaken it.
            is_allowed = any(hit.outcome == "allow" for hit in left)
            if is_allowed or STRENGTH[effect] >= STRENGTH[default]:
                return _Verdict(effect, primary, _message_of(primary), left, suppressed)
        return _Verdict(default, None, message, left, suppressed)

    def _default(self, is_mapped: bool) -> tuple[Effect, str]:
        if is_mapped:
            messages = {"allow": NO_RULE, "review": DEFAULT_REVIEW, "deny": DEFAULT_DENY}
            return self.rules.mapped, messages[self.rules.mapped]
        if self.rules.unmapped == "deny":
            return "deny", UNMAPPED_DENY
        if self.rules.unmapped == "review":
            return "review", UNMAPPED_REVIEW
        return "allow", NO_RULE


@dataclass(frozen=True)
class _Verdict:
    effect: Effect
    primary: RuleHit | None
    message: str
    left: list[RuleHit]
    suppressed: set[str]


def failure(state: ModeState | None, call: Call) -> Ruling:
    """The ruling when policy itself cannot be evaluated: `on_engine_failure` where enforced, allow in observe.

    Without a known mode nothing is allowed.
    """
    mode: Mode = "enforce"
    source, bucket, on_failure = "failure", None, "deny"
    if state is not None:
        mode, source, bucket = resolve_mode(state, action_id=call.action_id, subject=call.subject)
        on_failure = state.on_engine_failure
    effect: Effect = "review" if on_failure == "review" else "deny"
    message = FAILED_REVIEW if effect == "review" else FAILED_DENY
    return Ruling(
        effect=effect,
        decision=effect if mode == "enforce" else "allow",
        mode=mode,
        mode_source=source,
        bucket=bucket,
        primary=None,
        message=message if mode == "enforce" else FAILED_OBSERVED,
        matched=(),
        errors=(),
        observing=(),
        tier=3,  # an unseen deny rule may be among the rules: as for a deny rule in error
        team=None,
        due_in_seconds=None,
        expires_in_seconds=None,
        hold_seconds=DEFAULT_HOLD_SECONDS,
        mapped=True,
        revision_id=None,
        revision_number=None,
        revision_sha256=None,
        state_version=state.version if state else 0,
        failed=True,
    )


def _hit(rule: Rule, result: Literal["match", "error"], error: str | None, leaves: tuple[Leaf, ...]) -> RuleHit:
    outcome: Effect | None = rule.effect
    tier = rule.tier
    if result == "error":
        outcome = None if rule.effect == "allow" else "deny" if rule.on_error == "deny" else "review"
        tier = max(tier, 3) if rule.effect == "deny" else tier
    return RuleHit(
        rule_id=rule.id,
        name=rule.name,
        effect=rule.effect,
        reason=rule.reason,
        note=rule.note,
        tier=tier,
        team=rule.team,
        due_in_seconds=rule.due_in_seconds,
        expires_in_seconds=rule.expires_in_seconds,
        hold_seconds=rule.hold_seconds,
        result=result,
        error=error,
        leaves=leaves,
        priority=rule.priority,
        outcome=outcome,
        suppresses=rule.suppresses if result == "match" else (),
        quorum=rule.quorum,
        escalate_to=rule.escalate_to,
        calendar=rule.calendar,
        out_of_hours=rule.out_of_hours,
        suggest=rule.suggest,
    )


def _failed(rule: Rule, reason: str) -> RuleHit:
    return _hit(rule, "error", reason, ())


def _ordered(hits: Iterable[RuleHit]) -> tuple[RuleHit, ...]:
    """Strongest first, then the higher priority, then the id."""
    return tuple(
        sorted(hits, key=lambda hit: (-STRENGTH[hit.outcome] if hit.outcome else 1, -hit.priority, hit.rule_id))
    )


def _escalation(timing: RuleHit | None, contributing: list[RuleHit]) -> str | None:
    """The team of the rule whose times count, or of the strongest that names one."""
    if timing is not None and timing.escalate_to:
        return timing.escalate_to
    return next((hit.escalate_to for hit in contributing if hit.escalate_to), None)


def _message_of(hit: RuleHit) -> str:
    if hit.is_closed:
        return f"{hit.reason or MATCHED_REVIEW} {CLOSED_DENY}"
    if hit.result == "error":
        return ERROR_DENY if hit.outcome == "deny" else ERROR_REVIEW
    if hit.reason:
        return hit.reason
    return {"allow": NO_RULE, "review": MATCHED_REVIEW, "deny": MATCHED_DENY}[hit.effect]


def _tier(floor: int, effect: Effect, contributing: list[RuleHit]) -> int:
    highest = max([floor, *(hit.tier for hit in contributing)])
    return max(highest, 1) if effect == "review" else highest
