"""Judges: a second opinion on a call that may tighten what policy says and can never loosen it. No framework here.

A judge is a model or a classifier behind `assess`. It sees only the fields that the tenant allow-listed for the action,
has until a deadline, and says review, deny or nothing. A judge that is late or fails asks for a review. The tier is
policy's alone. Source: the policy design, sections 6 and 14.
"""

from __future__ import annotations

import copy
import logging
import math
import queue
import threading
import time
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from typing import Final, Literal, Protocol, runtime_checkable

from policy.terms import Effect, Ruling

log = logging.getLogger("guardsite.policy")

STRENGTH: Final[Mapping[str, int]] = {"allow": 0, "review": 1, "deny": 2}
DEFAULT_TIMEOUT_MS: Final = 300
AT_ONCE: Final = 32  # judges running in this process; one that hangs keeps its place until it ends
LONGEST_REASON: Final = 300

JUDGED_REVIEW = "A check of this call asks for a person's decision."
JUDGED_DENY = "A check of this call refused it."
NOT_JUDGED = "A check of this call could not be made, so a person must decide."

Result = Literal["none", "review", "deny", "timed_out", "failed"]


@dataclass(frozen=True)
class RedactedCall:
    """What a judge sees: the action and the allow-listed params that the call has, by dotted path. Nothing else."""

    action_id: str
    fields: Mapping[str, object] = field(default_factory=dict)


@dataclass(frozen=True)
class Assessment:
    """What a judge asks for. `reason` is for the reviewer; `score` is 0 to 1; `model` names what judged, with version."""

    effect: Literal["review", "deny"]
    reason: str
    score: float
    model: str


@runtime_checkable
class Judge(Protocol):
    """One judge. `id` is stable: settings and entries cite it; `label` is what people read."""

    id: str
    label: str

    def assess(self, call: RedactedCall, deadline: float) -> Assessment | None:
        """What it asks for, or None for nothing. `deadline` is a moment of `time.monotonic()`.

        Called in a thread of its own, outside any transaction; what it raises counts as a failure.
        """


@dataclass(frozen=True)
class Setting:
    """A judge that is on for an action: which params it sees and how long it may take."""

    judge: str
    fields: tuple[str, ...]
    timeout_ms: int = DEFAULT_TIMEOUT_MS


@dataclass(frozen=True)
class Judgement:
    """What came of one judge, kept with the call so that it can be replayed without asking again."""

    judge: str
    label: str
    result: Result
    reason: str = ""
    score: float | None = None
    model: str = ""
    elapsed_ms: int = 0

    @property
    def asks_for(self) -> Effect | None:
        """The effect it asks for; a judge that gave no answer asks for a review."""
        if self.result == "none":
            return None
        return "deny" if self.result == "deny" else "review"

    @property
    def has_answered(self) -> bool:
        """False when it was late or failed."""
        return self.result not in ("timed_out", "failed")


_registry: dict[str, Judge] = {}


def register(judge: Judge) -> None:
    """Make a judge choosable; called from AppConfig.ready. Raises ValueError for an id that another one has."""
    if _registry.setdefault(judge.id, judge) is not judge:
        raise ValueError(f"there is a judge {judge.id} already")


def registered() -> tuple[Judge, ...]:
    """Every judge that could be switched on, by id."""
    return tuple(_registry[name] for name in sorted(_registry))


def redact(action_id: str, params: Mapping[str, object], fields: Iterable[str]) -> RedactedCall:
    """The call with only the named params, each a copy. A path that the call lacks is left out."""
    seen = {}
    for path in fields:
        value: object = params
        for step in path.split("."):
            if not isinstance(value, Mapping) or step not in value:
                break
            value = value[step]
        else:
            seen[path] = copy.deepcopy(value)
    return RedactedCall(action_id, seen)


def ask(action_id: str, params: Mapping[str, object], settings: Sequence[Setting]) -> tuple[Judgement, ...]:
    """What each judge said, in the order of the settings. All run at the same time; never raises, never waits longer
    than the longest time-out.
    """
    started = time.monotonic()
    answers = [_start(redact(action_id, params, setting.fields), setting, started) for setting in settings]
    return tuple(_await(setting, answer, started) for setting, answer in zip(settings, answers, strict=True))


def tighten(ruling: Ruling, judgements: Iterable[Judgement]) -> Ruling:
    """The ruling with the strongest effect that policy or a judge asks for; the same ruling when none asks for more.

    A judge never lowers effect or decision and never sets the tier. Where the mode observes, the effect says what
    would have been and the decision stays.
    """
    asking = [judgement for judgement in judgements if judgement.asks_for is not None]
    strongest = max(asking, key=lambda one: (STRENGTH[one.asks_for or "allow"], one.has_answered), default=None)
    effect = strongest.asks_for if strongest else None
    if strongest is None or effect is None or STRENGTH[effect] <= STRENGTH[ruling.effect]:
        return ruling
    decision = ruling.decision
    if ruling.mode == "enforce" and STRENGTH[effect] > STRENGTH[decision]:
        decision = effect
    message = NOT_JUDGED if not strongest.has_answered else JUDGED_DENY if effect == "deny" else JUDGED_REVIEW
    # No rule is the reason any more: the judgements are.
    return replace(ruling, effect=effect, decision=decision, message=message, primary=None)


# Running one, with a hard limit.

_Answer = tuple[Literal["answered"], Assessment | None] | tuple[Literal["failed"], str]
_room = threading.BoundedSemaphore(AT_ONCE)


def _start(call: RedactedCall, setting: Setting, started: float) -> queue.SimpleQueue[_Answer]:
    """The queue in which the answer will be. A thread that hangs cannot be ended: it is left behind, and counted."""
    answer: queue.SimpleQueue[_Answer] = queue.SimpleQueue()
    judge = _registry.get(setting.judge)
    if judge is None:
        answer.put(("failed", "there is no such judge"))
    elif not _room.acquire(blocking=False):
        answer.put(("failed", "too many judges are running"))
    else:
        deadline = started + setting.timeout_ms / 1000
        # A daemon: a judge that hangs must not keep the process from ending.
        threading.Thread(target=_run, args=(judge, call, deadline, answer), name="judge", daemon=True).start()
    return answer


def _run(judge: Judge, call: RedactedCall, deadline: float, answer: queue.SimpleQueue[_Answer]) -> None:
    try:
        answer.put(("answered", judge.assess(call, deadline)))
    except Exception as error:
        # The error's text may hold what the judge saw: only its type is kept.
        log.warning("a judge failed", extra={"judge": judge.id, "error": type(error).__name__})
        answer.put(("failed", type(error).__name__))
    finally:
        _room.release()


def _await(setting: Setting, answer: queue.SimpleQueue[_Answer], started: float) -> Judgement:
    judge = _registry.get(setting.judge)
    label = judge.label if judge else setting.judge
    left = started + setting.timeout_ms / 1000 - time.monotonic()
    try:
        outcome, said = answer.get(timeout=left) if left > 0 else answer.get_nowait()
    except queue.Empty:
        reason = f"No answer within {setting.timeout_ms} ms."
        return Judgement(setting.judge, label, "timed_out", reason, elapsed_ms=_elapsed(started))
    if outcome == "failed":
        return Judgement(setting.judge, label, "failed", f"It failed: {said}.", elapsed_ms=_elapsed(started))
    if said is None:
        return Judgement(setting.judge, label, "none", elapsed_ms=_elapsed(started))
    if not _is_in_form(said):
        reason = "Its answer is not in form."
        return Judgement(setting.judge, label, "failed", reason, elapsed_ms=_elapsed(started))
    assert isinstance(said, Assessment)
    return Judgement(
        setting.judge,
        label,
        said.effect,
        said.reason[:LONGEST_REASON],
        score=said.score,
        model=said.model[:120],
        elapsed_ms=_elapsed(started),
    )


def _is_in_form(said: object) -> bool:
    """Whether an answer may be used: a judge is somebody else's code."""
    return (
        isinstance(said, Assessment)
        and said.effect in ("review", "deny")
        and isinstance(said.reason, str)
        and isinstance(said.model, str)
        and isinstance(said.score, (int, float))
        and math.isfinite(said.score)
        and 0 <= said.score <= 1
    )


def _elapsed(started: float) -> int:
    return round((time.monotonic() - started) * 1000)
