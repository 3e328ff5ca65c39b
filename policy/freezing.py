"""Which freeze holds a call, if any. Pure.

A freeze denies in any mode: it is looked at before the rules, and also when these cannot be loaded.
"""

from __future__ import annotations

from collections.abc import Iterable

from policy import functions
from policy.terms import DEFAULT_HOLD_SECONDS, FrozenScope, ModeState, Ruling

FROZEN = "Calls like this are stopped for now by a person. Do not try again; ask them."


def frozen_by(freezes: Iterable[FrozenScope], *, action_id: str, agent_id: str) -> FrozenScope | None:
    """The first freeze that holds a call of this agent to this action, or None."""
    return next((freeze for freeze in freezes if _holds(freeze, action_id, agent_id)), None)


def _holds(freeze: FrozenScope, action_id: str, agent_id: str) -> bool:
    if freeze.scope == "agent":
        return freeze.target == agent_id
    return freeze.scope == "tenant" or functions.glob(action_id, freeze.target)


def frozen_ruling(state: ModeState, freeze: FrozenScope, *, mode: str, source: str, bucket: int | None) -> Ruling:
    """The denial of a frozen call; mode and bucket are what they are, so that the entry says both."""
    return Ruling(
        effect="deny",
        decision="deny",
        mode="enforce" if mode == "enforce" else "observe",
        mode_source=source,
        bucket=bucket,
        primary=None,
        message=FROZEN,
        matched=(),
        errors=(),
        observing=(),
        tier=0,
        team=None,
        due_in_seconds=None,
        expires_in_seconds=None,
        hold_seconds=DEFAULT_HOLD_SECONDS,
        mapped=True,  # nothing was looked up, so nothing is reported as unmapped
        revision_id=None,
        revision_number=None,
        revision_sha256=None,
        state_version=state.version,
        frozen_by=freeze.id,
    )
