"""Refusals about people and keys."""

from __future__ import annotations

from audit.errors import DomainError


class KeyInvalid(DomainError):
    """No such key, a wrong secret, revoked or expired: all look alike."""

    code = "key_invalid"
    status = 401
    default_sentence = "The API key is missing, wrong, revoked or expired. Make a new one in the admin under API keys."


class ScopeMissing(DomainError):
    """The key is good but may not do this."""

    code = "scope_missing"
    status = 403
    default_sentence = "This API key does not have the scope for this request."


class InvalidMember(DomainError):
    """A membership that cannot be made."""

    code = "invalid_member"
    status = 422
    default_sentence = "This membership cannot be saved."


class InvalidKey(DomainError):
    """A key that cannot be made or rotated."""

    code = "invalid_key"
    status = 422
    default_sentence = "This API key cannot be made."


class StepUpNeeded(DomainError):
    """The last proof of who this is, is too old for this change, or used up by another."""

    code = "step_up_needed"
    status = 428
    default_sentence = "This needs a fresh sign-in. Nothing was changed, and what you typed is kept."


class NotAllowed(DomainError):
    """The member's role does not include this."""

    code = "not_allowed"
    status = 403
    default_sentence = "Your role does not allow this. Ask an owner of this tenant. Nothing was changed."


class InvalidTeam(DomainError):
    """A team that cannot be saved; `details` names the field."""

    code = "invalid_team"
    status = 422
    default_sentence = "This team cannot be saved."
