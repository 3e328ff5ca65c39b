"""A rule as one whole sentence, as its author reads it: for which calls, when, and what happens. Pure."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Final

from policy.explain import reads_as

_MOST_NAMED: Final = 3
_UNITS: Final = ((86_400, "day"), (3_600, "hour"), (60, "minute"), (1, "second"))


def rule_sentence(
    condition: str,
    *,
    actions: Sequence[str],
    effect: str,
    tier: int | None = None,
    team: str = "",
    due_in_seconds: int | None = None,
) -> str:
    """ "When amount is above 500, a call of billing.refund is held for a reviewer, tier 2." """
    words = reads_as(condition)
    opening = f"{words.capitalize()}," if words in ("always", "never") else f"When {words},"
    return f"{opening} {_calls(actions)} {_consequence(effect, tier, team, due_in_seconds)}."


def in_words(seconds: int) -> str:
    """A length of time in the largest unit that divides it: 5400 is "90 minutes"."""
    size, unit = next((size, unit) for size, unit in _UNITS if seconds % size == 0)
    count = seconds // size
    return f"{count:,} {unit}{'' if count == 1 else 's'}"


def _calls(actions: Sequence[str]) -> str:
    if "*" in actions:
        return "any call"
    named = list(actions[:_MOST_NAMED])
    left = len(actions) - len(named)
    if left:
        named.append(f"{left} more")
    return f"a call of {' or '.join(named)}"


def _consequence(effect: str, tier: int | None, team: str, due_in_seconds: int | None) -> str:
    if effect == "deny":
        return "is denied"
    if effect == "allow":
        return "is allowed"
    parts = [f"is held for {f'the team {team}' if team else 'a reviewer'}"]
    parts += [f"tier {tier}"] if tier else []
    parts += [f"to be decided within {in_words(due_in_seconds)}"] if due_in_seconds else []
    return ", ".join(parts)
