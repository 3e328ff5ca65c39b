"""Recorded calls as the evaluator takes them, and counters rebuilt in the order of time. Pure.

What a call did not record stands as intake fills it today; the agent's name, version and tags are those of now.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field, replace
from datetime import datetime
from typing import Any, Final, Protocol

from policy.counting import Part
from policy.evaluate import Program
from policy.terms import Call, ModeState, Ruling

MAX_KEYS: Final = 10_000  # of one replay; beyond it a new one is missing, as in the hot path
TWELFTHS: Final = 12


class Recorded(Protocol):
    """What of a recorded call a replay needs; `audit.calls.RecordedCall` is one."""

    @property
    def action_id(self) -> str: ...
    @property
    def agent(self) -> str: ...
    @property
    def params(self) -> dict[str, Any] | None: ...
    @property
    def user(self) -> dict[str, Any] | None: ...
    @property
    def decision(self) -> str: ...
    @property
    def run_id(self) -> str: ...
    @property
    def environment(self) -> str: ...
    @property
    def decided_at(self) -> datetime: ...


@dataclass(frozen=True, slots=True)
class AgentFacts:
    """What rules may ask about an agent."""

    id: str
    name: str = ""
    version: str = ""
    owner: str = ""
    tags: tuple[str, ...] = ()


def call_of(recorded: Recorded, agents: Mapping[str, AgentFacts]) -> Call | None:
    """The call, or None when its values were erased."""
    if recorded.params is None or recorded.user is None:
        return None
    facts = agents.get(recorded.agent) or AgentFacts(recorded.agent)
    return Call(
        action_id=recorded.action_id,
        params=recorded.params,
        user=recorded.user,
        agent={
            "id": facts.id,
            "name": facts.name,
            "version": facts.version,
            "owner": facts.owner,
            "tags": list(facts.tags),
        },
        run={"id": recorded.run_id, "call_no": 1, "labels": []},
        tool={},
        request={"environment": recorded.environment},
        now=recorded.decided_at,
        subject=str(recorded.user.get("user_id") or facts.id),
    )


@dataclass
class Memory:
    """Counters as a replay sees them, from nothing at its first call: twelfths of the window, as in the hot path.

    `slots` is plain JSON: counter and key → the slot's index, as text → amount.
    """

    slots: dict[str, dict[str, int]] = field(default_factory=dict)

    def add(self, parts: Iterable[Part], at: datetime) -> dict[str, int]:
        """Add a call's parts; the totals with it included. Calls come in the order of time."""
        stats: dict[str, int] = {}
        for part in parts:
            name = _name(part)
            if name not in self.slots and len(self.slots) >= MAX_KEYS:
                continue
            head = _head(part, at)
            kept = {slot: value for slot, value in self.slots.get(name, {}).items() if int(slot) >= head - TWELFTHS}
            kept[str(head)] = kept.get(str(head), 0) + part.amount
            self.slots[name] = kept
            stats[part.counter] = sum(kept.values())
        return stats

    def take_back(self, parts: Iterable[Part], at: datetime) -> None:
        """The call did not run: what it added goes."""
        for part in parts:
            slots, head = self.slots.get(_name(part), {}), str(_head(part, at))
            if head in slots:
                slots[head] = max(0, slots[head] - part.amount)


def _name(part: Part) -> str:
    return f"{part.counter}:{part.key[:32]}"


def _head(part: Part, at: datetime) -> int:
    return int(at.timestamp() * TWELFTHS // part.window_seconds)


def has_run(decision: str, later: Iterable[str]) -> bool:
    """Whether a recorded call ran, or may have: it was allowed, or held and approved."""
    return decision == "allow" or (decision == "review" and bool({"approved", "amended"} & set(later)))


def replayed(program: Program, state: ModeState, call: Call, memory: Memory, *, ran: bool) -> Ruling:
    """What the rules say of the call, with counters as they would have stood."""
    parts = program.parts(call)
    if not parts:
        return program.decide(call, state)
    ruling = program.decide(replace(call, stats=memory.add(parts, call.now)), state)
    if not ran:
        memory.take_back(parts, call.now)
    return ruling
