"""What goes into an evaluation and what comes out: calls, rules, modes, hits, rulings. Pure data."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import datetime
from typing import Final, Literal

from policy.calendars import Hours
from policy.explain import Leaf
from policy.functions import NamedList

Effect = Literal["allow", "review", "deny"]
Mode = Literal["observe", "enforce"]
RuleMode = Literal["off", "observe", "enforce"]
Unmapped = Literal["observe", "review", "deny"]
FreezeScope = Literal["tenant", "agent", "action"]
OutOfHours = Literal["wait", "page", "deny"]

DEFAULT_HOLD_SECONDS: Final = 10


@dataclass(frozen=True)
class Call:
    """A tool call as rules see it. `now` is aware UTC, read once; `subject` is who the ramp sticks to.

    `stats` are the counters that could be read, this call included; a missing one is an error of the rule that asks.
    """

    action_id: str
    params: Mapping[str, object]
    user: Mapping[str, object]
    agent: Mapping[str, object]
    run: Mapping[str, object]
    tool: Mapping[str, object]
    request: Mapping[str, object]
    now: datetime
    subject: str
    stats: Mapping[str, object] = field(default_factory=dict)


@dataclass(frozen=True)
class ListValue:
    """One value of a named list: in it until `expires_at` (aware), or for good."""

    value: str
    note: str = ""
    expires_at: datetime | None = None


@dataclass(frozen=True)
class CounterDef:
    """A counter of a revision: calls, or a sum of `of`, in a sliding window, one value for each `key`.

    `actions` are globs over the action ids that it counts; `key` are paths such as `agent.id`.
    """

    name: str
    actions: tuple[str, ...]
    kind: Literal["count", "sum"]
    window_seconds: int
    of: str = ""
    key: tuple[str, ...] = ()


@dataclass(frozen=True)
class Suggestion:
    """An amendment that a rule offers: the value for the JSON pointer (RFC 6901) into `params`, and who says so."""

    pointer: str
    value: object
    rule: str


@dataclass(frozen=True)
class Rule:
    """One rule of a revision. `actions` are globs over action ids; `tests` are kept for the next publish.

    `calendar` names the hours in which the time to decide runs, `out_of_hours` what a call gets outside them.
    `suggest` maps paths such as `params.amount` to the value that the card offers instead.
    """

    id: str
    name: str
    actions: tuple[str, ...]
    when: str
    effect: Effect
    suppresses: tuple[str, ...] = ()
    on_error: Literal["review", "deny"] = "review"
    reason: str = ""
    note: str = ""
    tier: int = 1
    team: str | None = None
    due_in_seconds: int | None = None
    expires_in_seconds: int | None = None
    hold_seconds: int = DEFAULT_HOLD_SECONDS
    quorum: int = 1
    escalate_to: str | None = None
    calendar: str | None = None
    out_of_hours: OutOfHours = "wait"
    suggest: Mapping[str, object] = field(default_factory=dict)
    mode: RuleMode = "enforce"
    rollout: int = 100
    priority: int = 100
    tests: tuple[Mapping[str, object], ...] = ()


@dataclass(frozen=True)
class RuleSet:
    """A published revision, or a draft about to be one. `actions` maps each mapped action id to its tier floor."""

    rules: tuple[Rule, ...]
    actions: Mapping[str, int]
    mapped: Effect = "allow"
    unmapped: Unmapped = "review"
    lists: Mapping[str, NamedList] = field(default_factory=dict)
    calendars: Mapping[str, Hours] = field(default_factory=dict)
    counters: tuple[CounterDef, ...] = ()
    revision_id: str | None = None
    number: int | None = None
    sha256: str | None = None


@dataclass(frozen=True)
class FrozenScope:
    """A freeze in force: `target` is the agent's id, or a glob of actions; empty for the tenant."""

    id: str
    scope: FreezeScope
    target: str = ""


@dataclass(frozen=True)
class ModeState:
    """The switches outside the revision: who is enforced, now. `overrides` maps action id to (mode, percent)."""

    tenant: str
    default_mode: Mode = "observe"
    percent: int = 100
    overrides: Mapping[str, tuple[Mode, int]] = field(default_factory=dict)
    on_engine_failure: Literal["deny", "review"] = "deny"
    version: int = 0
    freezes: tuple[FrozenScope, ...] = ()


@dataclass(frozen=True)
class RuleHit:
    """A rule that matched or failed for this call; `error` says in words why it failed."""

    rule_id: str
    name: str
    effect: Effect
    reason: str
    note: str
    tier: int
    team: str | None
    due_in_seconds: int | None
    expires_in_seconds: int | None
    hold_seconds: int
    result: Literal["match", "error"]
    error: str | None
    leaves: tuple[Leaf, ...]
    priority: int = 100
    outcome: Effect | None = None  # what it asks for: its effect, or what its error asks for; None asks nothing
    suppresses: tuple[str, ...] = ()
    quorum: int = 1
    escalate_to: str | None = None
    calendar: str | None = None
    out_of_hours: OutOfHours = "wait"
    suggest: Mapping[str, object] = field(default_factory=dict)
    is_closed: bool = False  # its calendar is closed and it denies then, whatever else it would ask


@dataclass(frozen=True)
class Ruling:
    """The answer to one call: `effect` is what policy says, `decision` what the caller may do after mode.

    `matched` and `errors` hold every enforced rule that did so, `observing` those observed rules that would change
    the effect. `message` is plain text that may go to the model. Enough is here to replay the decision.
    `hours` are the working hours in which the time to decide runs; None: it runs day and night.
    """

    effect: Effect
    decision: Effect
    mode: Mode
    mode_source: str
    bucket: int | None
    primary: RuleHit | None
    message: str
    matched: tuple[RuleHit, ...]
    errors: tuple[RuleHit, ...]
    observing: tuple[RuleHit, ...]
    tier: int
    team: str | None
    due_in_seconds: int | None
    expires_in_seconds: int | None
    hold_seconds: int
    mapped: bool
    revision_id: str | None
    revision_number: int | None
    revision_sha256: str | None
    state_version: int
    suppressed: tuple[str, ...] = ()
    failed: bool = False
    frozen_by: str | None = None  # the freeze that denied it before any rule was asked
    quorum: int = 1
    escalate_to: str | None = None
    hours: Hours | None = None
    suggestions: tuple[Suggestion, ...] = ()
