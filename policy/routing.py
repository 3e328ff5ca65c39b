"""What review rules say about who decides, by when and what to offer instead: combined for a ruling, checked. Pure.

Source: the policy design, sections 6 and 7. Several rules: the highest quorum, the times of the one that is due first.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from datetime import datetime
from typing import Final

from policy.calendars import Hours
from policy.rowvalues import BadValue, path_of
from policy.terms import Rule, RuleHit, Suggestion

MOST_APPROVALS: Final = 5
MOST_SUGGESTED: Final = 10
LONGEST_SUGGESTED: Final = 500
LONGEST_TEAM: Final = 60
OUT_OF_HOURS: Final = ("wait", "page", "deny")
_LARGEST_EXACT: Final = 2**53 - 1


def is_closed_to(rule: Rule, calendars: Mapping[str, Hours], now: datetime) -> bool:
    """Whether the rule denies because nobody works at `now`. A calendar that is not there closes nothing."""
    if rule.out_of_hours != "deny" or rule.calendar is None or rule.effect == "allow":
        return False
    hours = calendars.get(rule.calendar)
    return hours is not None and not hours.holds(now)


def timing(contributing: Sequence[RuleHit]) -> RuleHit | None:
    """The hit whose times count: due first; without any, the strongest that says something of time. None without hits."""
    given = [hit for hit in contributing if hit.due_in_seconds is not None]
    if given:
        return min(given, key=lambda hit: hit.due_in_seconds or 0)
    return next((hit for hit in contributing if hit.calendar or hit.escalate_to), None)


def hours_of(hit: RuleHit | None, calendars: Mapping[str, Hours]) -> Hours | None:
    """The hours in which the time to decide runs; None where it runs day and night."""
    if hit is None or hit.calendar is None or hit.out_of_hours != "wait":
        return None
    return calendars.get(hit.calendar)


def suggestions_of(contributing: Sequence[RuleHit]) -> tuple[Suggestion, ...]:
    """What the matched review rules offer instead, each pointer once: the strongest rule's word counts."""
    found: dict[str, Suggestion] = {}
    for hit in contributing:
        if hit.outcome == "review" and hit.result == "match":
            for field, value in hit.suggest.items():
                pointer = pointer_of(field)
                found.setdefault(pointer, Suggestion(pointer, value, hit.name))
    return tuple(found.values())


def pointer_of(field: str) -> str:
    """The JSON pointer (RFC 6901) into `params` of a path such as `params.amount_cents`."""
    steps = field.split(".")[1:]
    return "".join(f"/{step.replace('~', '~0').replace('/', '~1')}" for step in steps)


def routing_mistakes(rule: Rule, calendars: Mapping[str, object]) -> list[tuple[str, str]]:
    """(field, sentence) for everything wrong with who decides, by when and what is offered instead."""
    found: list[tuple[str, str]] = []
    if not 1 <= rule.quorum <= MOST_APPROVALS:
        found.append(("quorum", f"1 to {MOST_APPROVALS} people approve."))
    for field, name in (("team", rule.team), ("escalate_to", rule.escalate_to)):
        if name and len(name) > LONGEST_TEAM:
            found.append((field, f"The id of a team has at most {LONGEST_TEAM} characters."))
    if rule.escalate_to and rule.escalate_to == rule.team:
        found.append(("escalate_to", "This team has it already; name another one, or none."))
    if rule.calendar and rule.calendar not in calendars:
        found.append(("calendar", f"There is no calendar named {rule.calendar}."))
    if rule.out_of_hours not in OUT_OF_HOURS:
        found.append(("out_of_hours", f"Out of hours is {', '.join(OUT_OF_HOURS)}."))
    elif rule.out_of_hours != "wait" and not rule.calendar:
        found.append(("out_of_hours", "Without a calendar there are no hours to be out of; name one."))
    found += [("suggest", sentence) for sentence in suggest_mistakes(rule.suggest)]
    return found


def suggest_mistakes(suggest: object) -> list[str]:
    """What is wrong with suggestions, in sentences."""
    if not isinstance(suggest, Mapping):
        return ['Write an object such as {"params.amount_cents": 500000}.']
    if len(suggest) > MOST_SUGGESTED:
        return [f"A rule offers at most {MOST_SUGGESTED} values."]
    found = []
    for field, value in suggest.items():
        try:
            steps = path_of(field) if isinstance(field, str) else ()
        except BadValue:
            steps = ()
        if not steps or steps[0] != "params" or not field.startswith("params."):
            found.append(f"{str(field)[:40]} is no field of params; write it like params.amount_cents.")
        elif not _may_be_offered(value):
            found.append(f"{field}: offer a number, true, false, or a text of at most {LONGEST_SUGGESTED} characters.")
    return found


def _may_be_offered(value: object) -> bool:
    if isinstance(value, bool):
        return True
    if isinstance(value, int):
        return abs(value) <= _LARGEST_EXACT
    if isinstance(value, float):
        return abs(value) <= _LARGEST_EXACT  # false for NaN and infinity too
    return isinstance(value, str) and len(value) <= LONGEST_SUGGESTED and "\x00" not in value
