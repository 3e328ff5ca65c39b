"""May we enforce yet? The statistics of what the rules stop, and three states with their conditions. Pure.

Source: the policy design, section 13. Rates have Wilson 95 % intervals; people needed come from Erlang C.
"""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from typing import Final, Literal

Z_95: Final = 1.959963984540054
INSUFFICIENT: Final = "insufficient_data"
NOT_READY: Final = "not_ready"
READY: Final = "ready"
State = Literal["insufficient_data", "not_ready", "ready"]


@dataclass(frozen=True, slots=True)
class Thresholds:
    """The conditions' figures."""

    days: int = 14
    calls: int = 1000
    quiet_days: int = 7
    labels: int = 50
    precision: float = 0.75
    waits_within_due: float = 0.9
    days_for_staffing: int = 3  # of less, an average day or a busiest hour says nothing


DEFAULTS: Final = Thresholds()


@dataclass(frozen=True, slots=True)
class Share:
    """`count` of `total` with its Wilson 95 % interval; shares are 0 to 1, and 0 to 1 of nothing at all."""

    count: int
    total: int

    @property
    def value(self) -> float:
        """The share itself; 0 of nothing."""
        return self.count / self.total if self.total else 0.0

    @property
    def low(self) -> float:
        """The interval's lower end."""
        return wilson(self.count, self.total)[0]

    @property
    def high(self) -> float:
        """The interval's upper end."""
        return wilson(self.count, self.total)[1]


def wilson(count: int, total: int, *, z: float = Z_95) -> tuple[float, float]:
    """The Wilson score interval of a share. 303 of 9,410 gives 2.9 to 3.6 %; nothing gives 0 to 1."""
    if total == 0:
        return 0.0, 1.0
    share, square = count / total, z * z
    middle = (share + square / (2 * total)) / (1 + square / total)
    half = z * math.sqrt(share * (1 - share) / total + square / (4 * total * total)) / (1 + square / total)
    # Exact at the ends, where rounding would leave a hair.
    return 0.0 if count == 0 else middle - half, 1.0 if count == total else middle + half


def erlang_c(load: float, people: int) -> float:
    """The chance that a review finds everybody busy. `load` is arrivals × handling time, in erlangs."""
    if load <= 0:
        return 0.0
    if people <= load:
        return 1.0
    blocked = 1.0
    for busy in range(1, people + 1):  # Erlang B by its recurrence: no factorials, no overflow
        blocked = load * blocked / (busy + load * blocked)
    return people * blocked / (people - load * (1 - blocked))


def people_needed(
    arrivals_per_hour: float, *, handling_seconds: float, due_in_seconds: float, within: float = 0.9, most: int = 500
) -> int:
    """The fewest people with whom the share `within` of reviews waits less than `due_in_seconds`; 0 for no arrivals.

    Random arrivals and handling times (M/M/c): P(wait > t) = C(c, a) · exp(-(c - a)·t / handling).
    """
    if arrivals_per_hour <= 0:
        return 0
    load = arrivals_per_hour * handling_seconds / 3600
    for people in range(max(1, math.ceil(load)), most):
        late = erlang_c(load, people) * math.exp(-max(0.0, people - load) * due_in_seconds / handling_seconds)
        if people > load and late <= 1 - within:
            return people
    return most


@dataclass(frozen=True)
class Figures:
    """What was counted. Calls are those of the window that one named revision decided, or that were replayed on it."""

    since: datetime
    until: datetime
    calls: int
    denied: int  # by that revision, whatever was done with the call when it came
    held: int
    not_evaluated: int  # a rule failed on it, or its values are erased and it could not be replayed
    first_call_at: datetime | None = None
    replayed: int = 0
    left_out: int = 0
    frozen: int = 0
    stopped_already: int = 0  # of the denied and the held: those that were, as their mode enforced when they came
    top_actions: tuple[tuple[str, int], ...] = ()  # of the denied, else of the held, most first
    top_rules: tuple[tuple[str, int], ...] = ()  # an empty id: no rule, the default did it
    agents: int = 0
    users: int = 0
    right: int = 0
    labelled: int = 0
    published_at: datetime | None = None
    revision_number: int | None = None
    revision_sha256: str | None = None
    held_by_hour: Mapping[int, float] = field(default_factory=dict)  # hour of the week (0 is Monday 00:00 UTC) → a week
    handling_seconds: float = 120.0
    handling_is_measured: bool = False
    due_in_seconds: int = 900
    people: int = 0  # who may decide

    @property
    def stopped(self) -> int:
        """Denied or held by the rules."""
        return self.denied + self.held

    @property
    def let_run(self) -> int:
        """Of those, the ones that were let run, as observe does."""
        return self.stopped - self.stopped_already

    @property
    def days(self) -> int:
        """Whole days between the first call and the end of the window."""
        return (self.until - self.first_call_at).days if self.first_call_at else 0

    @property
    def span(self) -> str:
        """The same in words."""
        return _days(self.days)


@dataclass(frozen=True, slots=True)
class Condition:
    """One condition of readiness. `sentence` says how it stands, `advice` what to do while it is not met."""

    code: str
    sentence: str
    is_met: bool
    advice: str = ""


@dataclass(frozen=True)
class Staffing:
    """People needed: `needed` in the busiest hour of the week; `uncovered` are hours that need more than there are.

    All of it means nothing while `is_known` is False: there are too few days to say.
    """

    is_known: bool
    reviews_per_day: float
    busiest_hour: float
    needed: int
    people: int
    uncovered: tuple[int, ...]


@dataclass(frozen=True)
class Report:
    """Figures with what follows from them."""

    figures: Figures
    state: State
    conditions: tuple[Condition, ...]
    staffing: Staffing

    @property
    def denied(self) -> Share:
        """What the rules deny, of all calls."""
        return Share(self.figures.denied, self.figures.calls)

    @property
    def held(self) -> Share:
        """What the rules hold, of all calls."""
        return Share(self.figures.held, self.figures.calls)

    @property
    def stopped(self) -> Share:
        """Both of all calls."""
        return Share(self.figures.stopped, self.figures.calls)

    @property
    def precision(self) -> Share:
        """Stopped calls of which people said that it is right to stop them, of those they looked at."""
        return Share(self.figures.right, self.figures.labelled)

    @property
    def unmet(self) -> tuple[Condition, ...]:
        """What stands against enforcing."""
        return tuple(condition for condition in self.conditions if not condition.is_met)

    @property
    def headline(self) -> str:
        """The state in words."""
        count = f"{len(self.unmet)} of {len(self.conditions)} conditions not met"
        return {
            READY: "Ready: every condition is met",
            NOT_READY: f"Not ready: {count}",
            INSUFFICIENT: f"Not enough data yet: {count}",
        }[self.state]

    def as_fields(self) -> dict[str, object]:
        """The report as an audit entry carries it: whole numbers and words; shares in hundredths of a percent."""
        figures = self.figures
        return {
            "state": self.state,
            "open": [condition.code for condition in self.unmet],
            "since_us": _us(figures.since),
            "until_us": _us(figures.until),
            "revision": figures.revision_sha256,
            "calls": figures.calls,
            "denied": figures.denied,
            "held": figures.held,
            "not_evaluated": figures.not_evaluated,
            "replayed": figures.replayed,
            "left_out": figures.left_out,
            "denied_between_bp": [_bp(self.denied.low), _bp(self.denied.high)],
            "labelled": figures.labelled,
            "right": figures.right,
            "people_needed": self.staffing.needed if self.staffing.is_known else None,
            "people": figures.people,
        }


def _bp(share: float) -> int:
    return round(share * 10_000)


def _us(moment: datetime) -> int:
    return int(moment.timestamp() * 1_000_000)


def judge(figures: Figures, *, thresholds: Thresholds = DEFAULTS) -> Report:
    """The report: the conditions in order, and the state that they give."""
    staffing = _staffing(figures, thresholds)
    enough = _enough_data(figures, thresholds)
    conditions = (*enough, *_quality(figures, thresholds), _cover(figures, staffing, thresholds))
    state: State = "ready"
    if not all(condition.is_met for condition in enough):
        state = "insufficient_data"
    elif not all(condition.is_met for condition in conditions):
        state = "not_ready"
    return Report(figures, state, conditions, staffing)


def _enough_data(figures: Figures, limits: Thresholds) -> tuple[Condition, ...]:
    return (
        Condition(
            "days",
            f"{f'{figures.span} of calls' if figures.calls else 'no calls yet'}; {limits.days} days wanted",
            figures.days >= limits.days,
            "Let it observe longer: a week has quiet and busy days.",
        ),
        Condition(
            "calls",
            f"{_counted(figures.calls, 'call')}; {limits.calls:,} wanted",
            figures.calls >= limits.calls,
            "Let more calls come in, or enforce for a small share first.",
        ),
    )


def _quality(figures: Figures, limits: Thresholds) -> tuple[Condition, ...]:
    # Rare blocks: nobody can label more than there are.
    wanted = min(limits.labels, figures.stopped)
    precision = Share(figures.right, figures.labelled)
    return (
        _edits(figures, limits),
        Condition(
            "evaluated",
            f"{_counted(figures.not_evaluated, 'call')} could not be evaluated"
            if figures.not_evaluated
            else "every call could be evaluated",
            figures.not_evaluated == 0,
            "Guard the reads that fail with has(), or say what a missing field means.",
        ),
        Condition(
            "labels",
            f"{figures.labelled} of {_counted(wanted, 'label')} on calls that the rules stop"
            if wanted
            else "the rules stop no call",
            figures.labelled >= wanted,
            "Look at some of the calls that the rules stop, and say whether that is right.",
        ),
        Condition(
            "precision",
            f"right in {precision.count} of {precision.total}, at least {_percent(precision.low)} with 95 % confidence; "
            f"{_percent(limits.precision)} wanted"
            if figures.labelled
            else "no label says how often it is right",
            figures.stopped == 0 or precision.low >= limits.precision,
            "Change the rules that stop the wrong calls, or label more."
            if figures.labelled
            else "Label some calls first.",
        ),
    )


def _edits(figures: Figures, limits: Thresholds) -> Condition:
    if figures.published_at is None:
        advice = "Publish the rules, then leave them alone for a week."
        return Condition("edits", "no rules are published", is_met=False, advice=advice)
    since = figures.until - figures.published_at
    left = math.ceil((timedelta(days=limits.quiet_days) - since) / timedelta(days=1))
    return Condition(
        "edits",
        f"last published {_days(since.days)} ago; {limits.quiet_days} days without edits wanted",
        left <= 0,
        f"Leave the rules alone for {_counted(left, 'more day')}.",
    )


def _cover(figures: Figures, staffing: Staffing, limits: Thresholds) -> Condition:
    hours = len(staffing.uncovered)
    if not staffing.is_known:
        return Condition(
            "cover",
            f"too few days of calls to say how many people are needed; {limits.days_for_staffing} days wanted",
            is_met=False,
            advice="Let it observe longer.",
        )
    return Condition(
        "cover",
        f"{_counted(hours, 'hour')} of the week need more people than may decide ({figures.people})"
        if hours
        else "enough people may decide, in every hour with reviews"
        if figures.held
        else "the rules hold no call, so nobody is needed",
        not hours,
        "Give more members the reviewer role, or hold fewer calls.",
    )


def _staffing(figures: Figures, limits: Thresholds) -> Staffing:
    needed = {
        hour: people_needed(
            arrivals,
            handling_seconds=figures.handling_seconds,
            due_in_seconds=figures.due_in_seconds,
            within=limits.waits_within_due,
        )
        for hour, arrivals in figures.held_by_hour.items()
    }
    return Staffing(
        is_known=not figures.held or figures.days >= limits.days_for_staffing,
        reviews_per_day=figures.held / max(1, figures.days),
        busiest_hour=max(figures.held_by_hour.values(), default=0.0),
        needed=max(needed.values(), default=0),
        people=figures.people,
        uncovered=tuple(sorted(hour for hour, people in needed.items() if people > figures.people)),
    )


def _counted(count: int, word: str) -> str:
    return f"{count:,} {word}{'' if count == 1 else 's'}"


def _days(count: int) -> str:
    return _counted(count, "day") if count else "less than a day"


def _percent(share: float) -> str:
    return f"{share:.0%}".replace("%", " %")
