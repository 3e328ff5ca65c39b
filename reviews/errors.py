"""Refusals of the gate and the desk."""

from __future__ import annotations

from collections.abc import Sequence

from audit.errors import DomainError


class NotFound(DomainError):
    """Absent and another tenant's look alike."""

    code = "not_found"
    status = 404
    default_sentence = "There is nothing here that you may see."


class InvalidRequest(DomainError):
    """The JSON is fine, its content is not; `errors` lists {path, code}."""

    code = "invalid_request"
    status = 422
    default_sentence = "The request is not valid. `errors` names each place."


class NotJson(DomainError):
    """The body claims to be something else."""

    code = "not_json"
    status = 415
    default_sentence = "Send application/json in UTF-8."


class Unavailable(DomainError):
    """Nothing could be recorded, so nothing is allowed."""

    code = "unavailable"
    status = 503
    default_sentence = "The call could not be recorded, so it is not allowed. Try again shortly."


class IdempotencyConflict(DomainError):
    """One key, two contents."""

    code = "idempotency_conflict"
    status = 409
    default_sentence = "This idempotency key was used for another call. Use a new key for a new call."


class AnswerExpired(DomainError):
    """An old allow is no permission any more."""

    code = "answer_expired"
    status = 409
    default_sentence = "This answer has expired. Ask again with a new idempotency key."


class RateLimited(DomainError):
    """Too many calls for one key."""

    code = "rate_limited"
    status = 429
    default_sentence = "Too many calls with this key. Wait before you ask again."


class TooManyWaits(DomainError):
    """Too many open waits for one key."""

    code = "too_many_waits"
    status = 429
    default_sentence = "Too many open waits with this key. Ask for several reviews in one request."


class ReviewClosed(DomainError):
    """It already has an end."""

    code = "review_closed"
    status = 409
    default_sentence = "This review is closed already."


class AlreadyDecided(ReviewClosed):
    """Somebody else was first."""

    default_sentence = "This was decided already. Nothing of yours was sent."


class Expired(ReviewClosed):
    """Nobody decided in time."""

    status = 410
    default_sentence = "No one decided in time, so the call was denied. Nothing of yours was sent."


class Stale(DomainError):
    """What the reviewer saw is not what is there."""

    code = "stale"
    status = 409
    default_sentence = (
        "This review changed while you were reading, so nothing of yours was sent. "
        "Read it again, then decide. Your draft is kept."
    )


class ClaimedByOther(DomainError):
    """Somebody else is on it."""

    code = "claimed_by_other"
    status = 409
    default_sentence = "Somebody else is reviewing this, so nothing of yours was sent. What you typed is kept."

    def __init__(self, sentence: str | None = None, **details: object) -> None:
        holder = details.get("claimed_by")
        named = f"{holder} is reviewing this, so nothing of yours was sent. What you typed is kept." if holder else None
        super().__init__(sentence or named, **details)


class TooManyClaims(DomainError):
    """A person holds a few reviews at most."""

    code = "too_many_claims"
    status = 409
    default_sentence = "You hold five reviews already. Decide or release one first."


class OwnRequest(DomainError):
    """Nobody decides what they asked for."""

    code = "own_request"
    status = 403
    default_sentence = "You answer for this agent or started this run, so someone else must decide."


class NotYourTeam(DomainError):
    """It is routed to other people; reading it stays open."""

    code = "not_your_team"
    status = 403
    default_sentence = "This is routed to another team. Its members and leads decide it; you can read it."


class InvalidVerdict(DomainError):
    """The form is not complete; `errors` maps field to sentence."""

    code = "invalid_verdict"
    status = 422
    default_sentence = "The verdict is not complete."


class InvalidStep(DomainError):
    """A form of the desk other than a verdict is not complete; `errors` maps field to sentence."""

    code = "invalid_step"
    status = 422
    default_sentence = "Nothing was changed yet: something is missing."


class NotReleased(DomainError):
    """There is no verdict yet that can no longer be taken back."""

    code = "not_released"
    status = 409
    default_sentence = "Only a verdict that was released can be called a mistake; before that it can be taken back."


class FlaggedAlready(DomainError):
    """A person's word counts once."""

    code = "flagged_already"
    status = 409
    default_sentence = "You have called this a mistake already."


class UndoTooLate(DomainError):
    """The hold is over, or nearly."""

    code = "undo_too_late"
    status = 409
    default_sentence = "It is released. It can't be undone here."


class GrantUsed(DomainError):
    """Somebody already runs it."""

    code = "grant_used"
    status = 409
    default_sentence = "This grant was used already. It allows one run."


class GrantMismatch(DomainError):
    """What would run is not what was approved."""

    code = "grant_mismatch"
    status = 409
    default_sentence = "These params are not the ones that were approved. Do not run them."


class GrantExpired(DomainError):
    """The permission lapsed."""

    code = "grant_expired"
    status = 410
    default_sentence = "This grant has expired. Ask again."


class OutcomeRecorded(DomainError):
    """An outcome is told once."""

    code = "outcome_recorded"
    status = 409
    default_sentence = "The outcome of this call was recorded already."


class AlreadyGiven(DomainError):
    """One person, one of the two approvals."""

    code = "already_given"
    status = 409
    default_sentence = "Your approval is recorded. Another person decides now. Nothing more of yours was sent."


class FormSpent(DomainError):
    """A form decides once, also by the back button."""

    code = "form_spent"
    status = 409
    default_sentence = "This form gave a verdict that was taken back since. Nothing was sent now. Read the card again."


class InvalidAmendment(DomainError):
    """The change may not be made; `errors` maps pointer to sentence."""

    code = "invalid_amendment"
    status = 422
    default_sentence = "Nothing was sent. This change cannot be made."


class QuestionAnswered(DomainError):
    """A question is answered once."""

    code = "question_answered"
    status = 409
    default_sentence = "This question was answered already."


class TooManyQuestions(DomainError):
    """One question waits at a time, and a review has a few at most."""

    code = "too_many_questions"
    status = 409
    default_sentence = (
        "A question of this review is still open, or five were asked already. Your question was not sent."
    )


class TemplateForbidden(DomainError):
    """The member's role does not include card templates."""

    code = "template_forbidden"
    status = 403
    default_sentence = "Your role does not change card templates. Nothing was changed."


class InvalidTemplate(DomainError):
    """A card template with mistakes; `mistakes` names each place."""

    code = "invalid_template"
    status = 422
    default_sentence = "This card template has mistakes. Nothing was saved."

    def __init__(self, mistakes: Sequence[object]) -> None:
        self.mistakes = tuple(mistakes)
        super().__init__(f"{self.default_sentence} {' '.join(map(str, self.mistakes))}")


class TemplateClosed(DomainError):
    """A version that is no draft does not change."""

    code = "template_closed"
    status = 409
    default_sentence = "This version is no draft any more, so it does not change. Copy it to a new draft."


class SettingsForbidden(DomainError):
    """Owners and leads set up the desk."""

    code = "settings_forbidden"
    status = 403
    default_sentence = "Your role does not change how the desk works. Nothing was changed."


class InvalidSettings(DomainError):
    """Settings out of bounds; `errors` maps field to sentence."""

    code = "invalid_settings"
    status = 422
    default_sentence = "These settings cannot be used. Nothing was changed."


class InvalidPause(DomainError):
    """A pause that is not complete; `errors` maps field to sentence."""

    code = "invalid_pause"
    status = 422
    default_sentence = "The agent was not paused: something is missing."


class AgentPausedAlready(DomainError):
    """Somebody was first."""

    code = "agent_paused_already"
    status = 409
    default_sentence = "This agent is paused already. Nothing more was changed."


class InvalidNoticeTarget(DomainError):
    """A notice that cannot be set up; `errors` maps field to sentence."""

    code = "invalid_notice_target"
    status = 422
    default_sentence = "This notice cannot be set up. Nothing was changed."
