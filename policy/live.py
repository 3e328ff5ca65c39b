"""The live policy of a tenant in this process: compiled, at most 5 s old, and never silent when it fails."""

from __future__ import annotations

import logging
import time
from dataclasses import dataclass, field
from typing import Final, cast
from uuid import UUID

from django.db import Error

from audit.scope import as_tenant
from policy import snapshot
from policy.evaluate import Call, Mode, ModeState, Program, RuleSet, Ruling, Unmapped, failure
from policy.models import Action, PolicyState
from tenants.isolation import rows_of

log = logging.getLogger("guardsite.policy")

OLDEST_SECONDS: Final = 5.0


def clock() -> float:
    """Seconds of this process's monotonic clock."""
    return time.monotonic()


@dataclass(frozen=True)
class LivePolicy:
    """One tenant's compiled revision with its modes, as read at one moment."""

    tenant_id: UUID
    state: ModeState | None  # None: nothing could be read, so nothing is allowed
    program: Program | None
    revision_key: str | None = None
    read_at: float = field(default_factory=lambda: clock())

    @property
    def is_stale(self) -> bool:
        """Whether it must be read again before it decides."""
        return clock() - self.read_at >= OLDEST_SECONDS

    def decide(self, call: Call) -> Ruling:
        """The ruling for a call; never raises. A failure of ours becomes what `on_engine_failure` says."""
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
            return LivePolicy(tenant_id, known.state, known.program, known.revision_key)
        overrides = rows_of(Action, tenant_id).exclude(mode_override="")
        state = ModeState(
            tenant=str(tenant_id),
            default_mode=cast(Mode, row.default_mode),
            percent=row.percent,
            overrides={action.action_id: (cast(Mode, action.mode_override), action.percent) for action in overrides},
            on_engine_failure="review" if row.on_engine_failure == "review" else "deny",
            version=row.version,
        )
        # Without a revision the defaults of the draft are all there is: every action is unmapped.
        key = row.live.sha256 if row.live else f"none:{row.unmapped}"
        if known and known.program and known.revision_key == key and known.program.rules.revision_id == _id_of(row):
            return LivePolicy(tenant_id, state, known.program, key)
        return LivePolicy(tenant_id, state, _compile(row), key)


def _id_of(row: PolicyState) -> str | None:
    return str(row.live_id) if row.live_id else None


def _compile(row: PolicyState) -> Program | None:
    """The live revision, compiled; None, with an alarm, when it cannot be trusted."""
    if row.live is None:
        return Program(RuleSet(rules=(), actions={}, unmapped=cast(Unmapped, row.unmapped)))
    try:
        rules = snapshot.read(
            row.live.snapshot, sha256=row.live.sha256, revision_id=str(row.live.pk), number=row.live.number
        )
        program = Program(rules)
    except Exception:
        log.critical("the live revision cannot be loaded", exc_info=True, extra={"tenant": str(row.tenant_id)})
        return None
    for rule_id in program.broken:
        log.critical("a live rule no longer compiles", extra={"tenant": str(row.tenant_id), "rule": rule_id})
    return program
