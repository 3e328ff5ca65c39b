"""Refusals of the gate and the desk."""

from __future__ import annotations

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
    default_sentence = "This review changed while you were reading. Read it again, then decide. Your draft is kept."


class ClaimedByOther(DomainError):
    """Somebody else is on it."""

    code = "claimed_by_other"
    status = 409
    default_sentence = "Somebody else is reviewing this. Your draft is kept."


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


class InvalidVerdict(DomainError):
    """The form is not complete; `errors` maps field to sentence."""

    code = "invalid_verdict"
    status = 422
    default_sentence = "The verdict is not complete."


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
