"""A draft replayed over recorded calls: what changes, for which calls, and what rules could not evaluate. Pure.

The live revision is replayed on the same calls, so both sides of the matrix answer the same question. A tally is
plain JSON: a long run is worked off in slices and goes on where it stopped.
"""

from __future__ import annotations

import copy
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, Final

from policy.evaluate import STRENGTH, Program
from policy.replay import AgentFacts, Memory, Recorded, call_of, has_run, replayed
from policy.terms import ModeState, Ruling

EFFECTS: Final = ("allow", "review", "deny")
SAMPLES: Final = 200  # calls named in each direction; the counts are of all
MESSAGES: Final = 10  # different errors kept for each rule

EMPTY: Final[Mapping[str, Any]] = {
    "replayed": 0,
    "unreadable": 0,
    "not_evaluated": 0,
    "matrix": {before: dict.fromkeys(EFFECTS, 0) for before in EFFECTS},
    "caught": {"count": 0, "later": {}, "calls": []},
    "freed": {"count": 0, "later": {}, "calls": []},
    "rules": {},
    "reviews": {"live": 0, "draft": 0},
    "teams": {},
    "failed_calls": [],
    "counters": {"live": {}, "draft": {}},  # while it runs
}


@dataclass(frozen=True)
class Pair:
    """The live rules and the draft, compiled, and the state that both are asked in."""

    live: Program
    draft: Program
    state: ModeState


def empty() -> dict[str, Any]:
    """A tally of nothing."""
    return copy.deepcopy(dict(EMPTY))


def add(
    tally: dict[str, Any],
    pair: Pair,
    recorded: Recorded,
    *,
    uid: str,
    agents: Mapping[str, AgentFacts],
    later: tuple[str, ...] = (),
) -> None:
    """Replay one call on both and count it. A call whose values were erased is counted as unreadable."""
    call = call_of(recorded, agents)
    if call is None:
        tally["unreadable"] += 1
        return
    ran = has_run(recorded.decision, later)
    live, draft = (
        replayed(program, pair.state, call, Memory(tally["counters"][side]), ran=ran)
        for side, program in (("live", pair.live), ("draft", pair.draft))
    )
    tally["replayed"] += 1
    tally["matrix"][live.effect][draft.effect] += 1
    for side, ruling in (("live", live), ("draft", draft)):
        tally["reviews"][side] += ruling.effect == "review"
    if draft.effect == "review":
        team = draft.team or ""
        tally["teams"][team] = tally["teams"].get(team, 0) + 1
    _count_rules(tally, draft)
    change = STRENGTH[draft.effect] - STRENGTH[live.effect]
    sample = {
        "uid": uid,
        "action": recorded.action_id,
        "at": int(recorded.decided_at.timestamp()),
        "live": live.effect,
        "draft": draft.effect,
        "rules": _rules_of(draft if change > 0 else live),
        "later": list(later),
    }
    if draft.errors:
        tally["not_evaluated"] += 1
        if len(tally["failed_calls"]) < SAMPLES:
            tally["failed_calls"].append(sample | {"rules": [hit.rule_id for hit in draft.errors][:5]})
    if change:
        _count_change(tally["caught" if change > 0 else "freed"], sample, later)


def _rules_of(ruling: Ruling) -> list[str]:
    """The first rules that matched or failed, by id."""
    return [hit.rule_id for hit in (*ruling.matched, *ruling.errors)][:5]


def _count_change(side: dict[str, Any], sample: dict[str, Any], later: tuple[str, ...]) -> None:
    side["count"] += 1
    for word in set(later) or {"nothing later"}:
        side["later"][word] = side["later"].get(word, 0) + 1
    if len(side["calls"]) < SAMPLES:
        side["calls"].append(sample)


def _count_rules(tally: dict[str, Any], ruling: Ruling) -> None:
    for hit in (*ruling.matched, *ruling.errors):
        rule = tally["rules"].setdefault(hit.rule_id, {"matched": 0, "errors": 0, "messages": {}})
        if hit.result == "match":
            rule["matched"] += 1
            continue
        rule["errors"] += 1
        message = (hit.error or "could not be evaluated")[:200]
        if message in rule["messages"] or len(rule["messages"]) < MESSAGES:
            rule["messages"][message] = rule["messages"].get(message, 0) + 1
