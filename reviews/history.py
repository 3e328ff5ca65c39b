"""How a call stands beside earlier ones, in sentences of guardsite's own. Pure.

No word of an agent gets in here: a line is made of numbers, units, times, people's names and labels that an admin wrote.
What was denied or never decided is no measure of what is usual, or an agent could ask until its amount looks ordinary.
Source: reviewer-experience.md section 3, "Around the call".
"""

from __future__ import annotations

import re
import statistics
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from datetime import datetime, timedelta
from decimal import Decimal
from typing import Final

from reviews.cards.types import Caution, Notice, Severity

# Fewer than this is no habit.
LEAST_FOR_USUAL: Final = 3
REPEAT_WITHIN: Final = timedelta(hours=1)
_FAR_ABOVE: Final = 10
_ABOVE_USUAL: Final = 3
_UNIT: Final = re.compile(r"[A-Z]{3}|")
_ORDINALS: Final = ("", "First", "Second", "Third", "Fourth", "Fifth", "Sixth", "Seventh", "Eighth", "Ninth", "Tenth")


@dataclass(frozen=True, slots=True)
class Amount:
    """A number with its unit: an ISO 4217 code or nothing. Only equal units are ever compared or added."""

    number: Decimal
    unit: str = ""
    is_minor: bool = False  # cents, as a key without a template says

    def __str__(self) -> str:
        written = f"{self.number:,}"
        if self.is_minor:
            return f"{written} minor units of {self.unit}"
        return f"{self.unit} {written}" if self.unit else written


def amount_from(exact: str, unit: str) -> Amount | None:
    """The amount behind a fact's exact decimal; None where it is no number or its unit is not one of ours to repeat."""
    if not _UNIT.fullmatch(unit) or not re.fullmatch(r"-?\d{1,30}(?:\.\d{1,30})?", exact):
        return None
    return Amount(Decimal(exact), unit)


@dataclass(frozen=True, slots=True)
class PastCall:
    """An earlier call of the same action. `targets` and `amounts` are by pointer; a target is canonical JSON."""

    at: datetime
    is_same_agent: bool
    targets: Mapping[str, str] = field(default_factory=dict)
    amounts: Mapping[str, Amount] = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class Asked:
    """The call in question, in the same terms. `labels` are those that an admin wrote, by pointer; others have none."""

    at: datetime
    targets: Mapping[str, str] = field(default_factory=dict)
    amounts: Mapping[str, Amount] = field(default_factory=dict)
    labels: Mapping[str, str] = field(default_factory=dict)
    is_declared: bool = False  # an admin named the targets

    def target_words(self, pointer: str) -> str:
        """`with the same Customer`."""
        return f"with the same {self.labels.get(pointer) or 'target'}"


def said(text: str, severity: Severity = Severity.CAUTION) -> Notice:
    """A line of guardsite's own."""
    return Notice(Caution("said", severity, {"text": text}))


def compared(
    asked: Asked, allowed: Sequence[PastCall], recent: Sequence[PastCall], *, is_whole: bool
) -> tuple[Notice, ...]:
    """What stands out beside the calls that were `allowed` before and those asked in the last hours, newest first.

    `is_whole` says that `allowed` are all there ever were; otherwise a line names how many were looked at.
    """
    found = [*_firsts(asked, allowed, is_whole=is_whole), *_amounts(asked, allowed)]
    if repeated := _repeated(asked, recent):
        found.append(repeated)
    return tuple(found)


def _firsts(asked: Asked, allowed: Sequence[PastCall], *, is_whole: bool) -> list[Notice]:
    among = "" if is_whole else f" among the last {len(allowed):,}"
    if not any(call.is_same_agent for call in allowed):
        return [said(f"First for this agent: this action was never allowed before{among}", Severity.INFO)]
    found = []
    if asked.is_declared and len(allowed) >= LEAST_FOR_USUAL:
        for pointer, value in asked.targets.items():
            if all(call.targets.get(pointer) != value for call in allowed):
                label = asked.labels.get(pointer) or "target"
                n = f"{len(allowed):,}" if is_whole else f"last {len(allowed):,}"
                found.append(said(f"First time with this {label}: it is in none of the {n} calls that were allowed"))
    return found


def _amounts(asked: Asked, allowed: Sequence[PastCall]) -> list[Notice]:
    found = []
    for pointer, amount in asked.amounts.items():
        notice = None
        # The same target says more than the whole action; where it has no history, the action speaks.
        for target, value in asked.targets.items():
            same = [call for call in allowed if call.targets.get(target) == value]
            earlier = [call.amounts[pointer] for call in same if pointer in call.amounts]
            if len(earlier) >= LEAST_FOR_USUAL:
                notice = beside(amount, earlier, which=f"allowed calls {asked.target_words(target)}")
                break
        else:
            earlier = [call.amounts[pointer] for call in allowed if pointer in call.amounts]
            notice = beside(amount, earlier, which="allowed calls to this action")
        if notice is not None:
            found.append(notice)
    return found


def beside(amount: Amount, earlier: Sequence[Amount], *, which: str) -> Notice | None:
    """The amount beside earlier ones in its own unit: above the highest, or far above the usual; else None."""
    if len(earlier) < LEAST_FOR_USUAL:
        return None
    same = [item.number for item in earlier if item.unit == amount.unit]
    if not same:
        units = sorted({item.unit for item in earlier if item.unit})
        if not units or not amount.unit:
            return None
        return said(f"First in {amount.unit}: the last {len(earlier):,} {which} were in {', '.join(units)}")
    if len(same) < LEAST_FOR_USUAL:
        return None
    highest, lowest, usual = max(same), min(same), statistics.median(same)
    span = f"{replace(amount, number=lowest)} to {replace(amount, number=highest)}"
    if amount.number > highest:
        if highest > 0 and amount.number >= 2 * highest:
            severity = Severity.DANGER if amount.number >= _FAR_ABOVE * highest else Severity.CAUTION
            return said(
                f"{amount} is {_times(amount.number / highest)} the highest of {len(same):,} {which} ({span})", severity
            )
        return said(f"{amount} is above the highest of {len(same):,} {which} ({span})")
    if usual > 0 and amount.number >= _ABOVE_USUAL * usual:
        return said(f"{amount} is {_times(amount.number / usual)} the usual of {len(same):,} {which} ({span})")
    return None


def _repeated(asked: Asked, recent: Sequence[PastCall]) -> Notice | None:
    """`Third call with the same Customer in 20 min, USD 6,900.00 in all`; whatever became of the others."""
    for pointer, value in asked.targets.items():
        same = [call for call in recent if call.targets.get(pointer) == value and asked.at - call.at <= REPEAT_WITHIN]
        if not same:
            continue
        count = len(same) + 1
        span = asked.at - min(call.at for call in same)
        words = f"{ordinal(count)} call {asked.target_words(pointer)} in {minutes(span)}"
        total = total_of(asked, same)
        return said(f"{words}, {total} in all" if total else words, Severity.CAUTION)
    return None


def total_of(asked: Asked, others: Sequence[PastCall]) -> str:
    """What the call and the others ask for together, `USD 6,900.00`; empty where units differ or one has no amount."""
    for pointer, amount in asked.amounts.items():
        found = [amount, *(call.amounts[pointer] for call in others if pointer in call.amounts)]
        if len(found) == len(others) + 1 and {item.unit for item in found} == {amount.unit}:
            return str(replace(amount, number=sum((item.number for item in found), Decimal(0))))
    return ""


def _times(ratio: Decimal) -> str:
    if ratio >= _FAR_ABOVE:
        return f"{ratio:,.0f} times"
    return f"{ratio:.1f}".removesuffix(".0") + " times"


def ordinal(count: int) -> str:
    """`Third`, `12th`."""
    if count < len(_ORDINALS):
        return _ORDINALS[count]
    suffix = "th" if 10 <= count % 100 <= 20 else {1: "st", 2: "nd", 3: "rd"}.get(count % 10, "th")
    return f"{count:,}{suffix}"


def minutes(span: timedelta) -> str:
    """`20 min`, at least one; hours and days above."""
    size = max(1, round(span.total_seconds() / 60))
    if size < 90:
        return f"{size} min"
    if size < 2880:
        return f"{size / 60:.0f} h"
    return f"{size / 1440:.0f} days"
