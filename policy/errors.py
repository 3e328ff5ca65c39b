"""Refusals about rules, revisions and modes."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from audit.errors import DomainError


class PolicyForbidden(DomainError):
    """The member's role does not include this."""

    code = "policy_forbidden"
    status = 403
    default_sentence = "Your role does not allow this. Ask an owner of this tenant."


class ReasonTooShort(DomainError):
    """A reason that says nothing."""

    code = "reason_too_short"
    status = 422
    default_sentence = "Give a reason of at least 10 characters. It goes on the record. Nothing was changed."


class InvalidRule(DomainError):
    """A rule or an action that cannot be saved; `details` names the fields."""

    code = "invalid_rule"
    status = 422
    default_sentence = "This rule cannot be saved."


class ModeUnchanged(DomainError):
    """A flip to what already is."""

    code = "mode_unchanged"
    status = 409
    default_sentence = "This is the mode already. Nothing was changed."


class NoSuchRow(DomainError):
    """Absent, or another tenant's: both look alike."""

    code = "not_found"
    status = 404
    default_sentence = "There is nothing here."


@dataclass(frozen=True)
class Problem:
    """What stands against publishing: the rule's id, or empty for the whole draft."""

    rule_id: str
    sentence: str

    def __str__(self) -> str:
        return f"{self.rule_id}: {self.sentence}" if self.rule_id else self.sentence


class NotPublishable(DomainError):
    """A draft with problems; the live revision stays."""

    code = "not_publishable"
    status = 422
    default_sentence = "This draft cannot be published. The live revision stays."

    def __init__(self, problems: Sequence[Problem]) -> None:
        self.problems = tuple(problems)
        super().__init__(f"{self.default_sentence} {' '.join(map(str, self.problems))}")


class InvalidFreeze(DomainError):
    """A freeze that cannot be made."""

    code = "invalid_freeze"
    status = 422
    default_sentence = "This freeze cannot be made."


class ConditionNotAccepted(DomainError):
    """A flip to enforce with a condition that is not met and that nobody ticked."""

    code = "condition_not_accepted"
    status = 422
    default_sentence = "Tick each condition that is not met to say that you accept it. Nothing was changed."


class InvalidBacktest(DomainError):
    """A backtest that cannot be started or stopped."""

    code = "invalid_backtest"
    status = 422
    default_sentence = "This backtest cannot be run."


class LabelledAlready(DomainError):
    """Somebody was first."""

    code = "labelled_already"
    status = 409
    default_sentence = "Somebody has labelled this call meanwhile. Your word on it was not kept."


class InvalidTool(DomainError):
    """A tool definition that cannot be kept, or gives nothing to take."""

    code = "invalid_tool"
    status = 422
    default_sentence = "This tool definition cannot be used so. Nothing was changed."


class ToolUnchanged(DomainError):
    """Decided already, by somebody else or in another tab."""

    code = "tool_unchanged"
    status = 409
    default_sentence = "This definition was decided already. Nothing was changed."
