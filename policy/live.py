"""The live policy of a tenant in this process: compiled, at most 5 s old, and never silent when it fails."""

from __future__ import annotations

import logging
import time
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Final, cast
from uuid import UUID

from django.db import Error

from audit.scope import as_tenant
from policy import snapshot
from policy.counting import Part
from policy.evaluate import Call, Mode, ModeState, Program, RuleSet, Ruling, Unmapped, failure, resolve_mode
from policy.freezing import frozen_by, frozen_ruling
from policy.models import Action, Freeze, PolicyState, Shadow
from policy.terms import FreezeScope, FrozenScope
from policy.tools import UNKNOWN, ToolFacts, facts_of
from tenants.isolation import rows_of

log = logging.getLogger("guardsite.policy")

OLDEST_SECONDS: Final = 5.0


def clock() -> float:
    """Seconds of this process's monotonic clock."""
    return time.monotonic()


@dataclass(frozen=True)
class ShadowProgram:
    """A draft that is evaluated beside the live revision, for `percent` of calls."""

    sha256: str
    percent: int
    program: Program


@dataclass(frozen=True)
class LivePolicy:
    """One tenant's compiled revision with its modes, as read at one moment."""

    tenant_id: UUID
    state: ModeState | None  # None: nothing could be read, so nothing is allowed
    program: Program | None
    revision_key: str | None = None
    shadow: ShadowProgram | None = None
    tools: Mapping[str, ToolFacts] = field(default_factory=dict)
    read_at: float = field(default_factory=lambda: clock())

    @property
    def is_stale(self) -> bool:
        """Whether it must be read again before it decides."""
        return clock() - self.read_at >= OLDEST_SECONDS

    def decide(self, call: Call) -> Ruling:
        """The ruling for a call; never raises. A failure of ours becomes what `on_engine_failure` says."""
        if self.state is not None and self.state.freezes:
            frozen = self._frozen(call, self.state)
            if frozen is not None:
                return frozen
        if self.program is None or self.state is None:
            return failure(self.state, call)
        try:
            return self.program.decide(call, self.state)
        except Exception:
            log.critical("policy could not be evaluated", exc_info=True, extra={"tenant": str(self.tenant_id)})
            try:
                return failure(self.state, call)
            except Exception:  # even the mode cannot be resolved
                return failure(None, call)

    def _frozen(self, call: Call, state: ModeState) -> Ruling | None:
        freeze = frozen_by(state.freezes, action_id=call.action_id, agent_id=str(call.agent.get("id", "")))
        if freeze is None:
            return None
        mode, source, bucket = resolve_mode(state, action_id=call.action_id, subject=call.subject)
        return frozen_ruling(state, freeze, mode=mode, source=source, bucket=bucket)

    def parts(self, call: Call) -> tuple[Part, ...]:
        """What the call adds to counters and what its rules read of them; never raises."""
        if self.program is None or self.state is None:
            return ()
        try:
            return self.program.parts(call)
        except Exception:  # the counters are missing then, and a rule that asks for one is in error
            log.exception("counters could not be worked out", extra={"tenant": str(self.tenant_id)})
            return ()

    def tool(self, action_id: str) -> ToolFacts:
        """What is known of the action's tool; the worst where nothing is."""
        return self.tools.get(action_id, UNKNOWN)

    def is_frozen(self, *, action_id: str, agent_id: str) -> bool:
        """Whether a freeze holds this agent's calls of this action; True when nothing could be read."""
        if self.state is None:
            return True
        return frozen_by(self.state.freezes, action_id=action_id, agent_id=agent_id) is not None


_cache: dict[UUID, LivePolicy] = {}


def live_policy(tenant_id: UUID) -> LivePolicy:
    """The tenant's policy: from this process's copy, or read again when that is older than 5 s. Never raises.

    A new revision is compiled before it replaces the old one. One query while nothing changed.
    """
    known = _cache.get(tenant_id)
    if known is not None and not known.is_stale:
        return known
    try:
        found = _read(tenant_id, known)
    except Error:
        log.critical("policy state could not be read", exc_info=True, extra={"tenant": str(tenant_id)})
        return LivePolicy(tenant_id, None, None)
    if found.state is not None:
        _cache[tenant_id] = found
    return found


def forget(tenant_id: UUID) -> None:
    """Drop this process's copy, so that the next call reads again."""
    _cache.pop(tenant_id, None)


def _read(tenant_id: UUID, known: LivePolicy | None) -> LivePolicy:
    with as_tenant(tenant_id):
        row = rows_of(PolicyState, tenant_id).select_related("live").defer("live__snapshot").first()
        if row is None:
            log.critical("a tenant has no policy", extra={"tenant": str(tenant_id)})
            return LivePolicy(tenant_id, None, None)
        if known and known.state and known.program and known.state.version == row.version:
            return LivePolicy(tenant_id, known.state, known.program, known.revision_key, known.shadow, known.tools)
        overrides = rows_of(Action, tenant_id).exclude(mode_override="")
        state = ModeState(
            tenant=str(tenant_id),
            default_mode=cast(Mode, row.default_mode),
            percent=row.percent,
            overrides={action.action_id: (cast(Mode, action.mode_override), action.percent) for action in overrides},
            on_engine_failure="review" if row.on_engine_failure == "review" else "deny",
            version=row.version,
            freezes=_freezes(tenant_id),
        )
        tools = facts_of(tenant_id)
        # Without a revision the defaults of the draft are all there is: every action is unmapped.
        key = row.live.sha256 if row.live else f"none:{row.unmapped}"
        if known and known.program and known.revision_key == key and known.program.rules.revision_id == _id_of(row):
            return LivePolicy(tenant_id, state, known.program, key, _shadow(tenant_id, known), tools)
        program = _compile(row, known.program if known else None)
        return LivePolicy(tenant_id, state, program, key, _shadow(tenant_id, known), tools)


def _freezes(tenant_id: UUID) -> tuple[FrozenScope, ...]:
    rows = rows_of(Freeze, tenant_id).filter(lifted_at=None).order_by("frozen_at").values_list("pk", "scope", "target")
    return tuple(FrozenScope(str(pk), cast(FreezeScope, scope), target) for pk, scope, target in rows)


def _shadow(tenant_id: UUID, known: LivePolicy | None) -> ShadowProgram | None:
    row = rows_of(Shadow, tenant_id).defer("snapshot").first()
    if row is None or row.percent == 0:
        return None
    if known and known.shadow and known.shadow.sha256 == row.sha256:
        return ShadowProgram(row.sha256, row.percent, known.shadow.program)
    try:
        rules = snapshot.read(row.snapshot, sha256=row.sha256, revision_id="", number=0)
        return ShadowProgram(row.sha256, row.percent, Program(rules))
    except Exception:  # a shadow that cannot be read must cost nothing but itself
        log.exception("the shadow cannot be loaded", extra={"tenant": str(tenant_id)})
        return None


def _id_of(row: PolicyState) -> str | None:
    return str(row.live_id) if row.live_id else None


def _compile(row: PolicyState, known: Program | None) -> Program | None:
    """The live revision, compiled; None, with an alarm, when it cannot be trusted."""
    if row.live is None:
        return Program(RuleSet(rules=(), actions={}, unmapped=cast(Unmapped, row.unmapped)))
    try:
        rules = snapshot.read(
            row.live.snapshot, sha256=row.live.sha256, revision_id=str(row.live.pk), number=row.live.number
        )
        program = Program(rules, earlier=known)
    except Exception:
        log.critical("the live revision cannot be loaded", exc_info=True, extra={"tenant": str(row.tenant_id)})
        return None
    for rule_id in program.broken:
        log.critical("a live rule no longer compiles", extra={"tenant": str(row.tenant_id), "rule": rule_id})
    return program
