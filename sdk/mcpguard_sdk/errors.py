"""What can stop a tool call, as exceptions, each with the short JSON that a model may see.

Every one of them means that the handler was not run by this call. None of them holds the API key or the params.
"""

from collections.abc import Sequence

from mcpguard_sdk import wire

DEFAULT_RETRY_AFTER_SECONDS = 30


class MCPGuardError(Exception):
    """The parent of everything the SDK raises on purpose. `code` is the wire's word for it."""

    code: str = wire.GUARD_UNAVAILABLE

    def __init__(self, message: str, *, action_id: str | None = None) -> None:
        super().__init__(message)
        self.message = message
        self.action_id = action_id

    def for_model(self) -> wire.JsonObject:
        """The object that stands in for the tool's result: `error`, `message`, `action_id`, and what the kind adds."""
        shown: wire.JsonObject = {"error": self.code, "message": self.message}
        if self.action_id is not None:
            shown["action_id"] = self.action_id
        return shown


class MCPGuardDeniedError(MCPGuardError):
    """Policy, a person or the clock said no.

    `code` is `policy_denied`, or what the answer said more exactly (`unknown_tool`, `invalid_arguments`,
    `review_rate_limited`). `review_state` is set when a review ended this way: denied, expired, withdrawn.
    """

    code = wire.POLICY_DENIED

    def __init__(
        self,
        message: str,
        *,
        action_id: str | None = None,
        code: str = wire.POLICY_DENIED,
        rule: str | None = None,
        review_id: str | None = None,
        review_state: str | None = None,
    ) -> None:
        super().__init__(message, action_id=action_id)
        self.code = code
        self.rule = rule
        self.review_id = review_id
        self.review_state = review_state

    def for_model(self) -> wire.JsonObject:
        """Adds `rule`; the server leaves it out for a rule marked quiet."""
        shown = super().for_model()
        if self.rule is not None:
            shown["rule"] = self.rule
        return shown


class MCPGuardReviewError(MCPGuardError):
    """A person must decide first. `wait_for_review(review_id)` waits for it, also in another process."""

    code = wire.POLICY_REVIEW_REQUIRED

    def __init__(
        self,
        message: str,
        *,
        review_id: str,
        action_id: str | None = None,
        review_url: str | None = None,
        expires_at: str | None = None,
        version: int = 0,
    ) -> None:
        super().__init__(message, action_id=action_id)
        self.review_id = review_id
        self.review_url = review_url
        self.expires_at = expires_at
        self.version = version

    def for_model(self) -> wire.JsonObject:
        """Adds `review_id` and that the same call, asked again, meets the same review."""
        return {**super().for_model(), "review_id": self.review_id, "retry": "same_call"}


class MCPGuardUnavailableError(MCPGuardError):
    """No answer that can be trusted: no connection, a time-out, a 5xx, a redirect, HTML, a word we do not know.

    `message` is what the owner of the agent reads. The model reads "Not run." alone.
    """

    code = wire.GUARD_UNAVAILABLE

    def __init__(
        self, message: str, *, action_id: str | None = None, retry_after_seconds: int = DEFAULT_RETRY_AFTER_SECONDS
    ) -> None:
        super().__init__(message, action_id=action_id)
        self.retry_after_seconds = retry_after_seconds

    def for_model(self) -> wire.JsonObject:
        """`{"error": "guard_unavailable", "message": "Not run.", "action_id", "retry_after_s"}`."""
        return {**super().for_model(), "message": "Not run.", "retry_after_s": self.retry_after_seconds}


class MCPGuardConfigError(MCPGuardUnavailableError):
    """The guard answered, and the set-up is wrong: a bad key, a missing scope, an address or id that is not there."""

    def __init__(self, message: str, *, action_id: str | None = None, status: int | None = None) -> None:
        super().__init__(message, action_id=action_id)
        self.status = status


class MCPGuardRequestError(MCPGuardError):
    """The guard refused the request itself: 409 (the key was used for other content), 422 and their kin.

    `errors` is the problem document's list as (path, code) pairs.
    """

    code = "invalid_request"

    def __init__(
        self,
        message: str,
        *,
        action_id: str | None = None,
        code: str = "invalid_request",
        status: int | None = None,
        errors: Sequence[tuple[str, str]] = (),
    ) -> None:
        super().__init__(message, action_id=action_id)
        self.code = code
        self.status = status
        self.errors = tuple(errors)

    @property
    def is_about_params(self) -> bool:
        """Whether the model's own arguments were refused, so that the model can mend them."""
        return self.code == wire.INVALID_ARGUMENTS or any(
            path.lstrip("/$.").startswith("params") for path, _ in self.errors
        )

    def for_model(self) -> wire.JsonObject:
        """`invalid_arguments` when the params were at fault; otherwise the model can do nothing about it."""
        if self.is_about_params:
            return {**super().for_model(), "error": wire.INVALID_ARGUMENTS}
        return {**super().for_model(), "error": wire.GUARD_UNAVAILABLE, "message": "Not run."}


class MCPGuardGrantError(MCPGuardError):
    """The permission of an approval did not open: `grant_used`, `grant_mismatch` or `grant_expired`."""

    def __init__(self, message: str, *, code: str, action_id: str | None = None) -> None:
        super().__init__(message, action_id=action_id)
        self.code = code

    def for_model(self) -> wire.JsonObject:
        """A used grant means that the call ran or may have run; the other two that it did not."""
        shown = super().for_model()
        if self.code == wire.GRANT_USED:
            shown["error"] = wire.EXECUTION_UNCERTAIN
        return shown


class MCPGuardWaitTimeout(MCPGuardError):  # the name is the contract's
    """Nobody decided in the time given. The review stays open; waiting again, or asking again, meets it."""

    code = wire.POLICY_REVIEW_REQUIRED

    def __init__(self, message: str, *, review_id: str, action_id: str | None = None) -> None:
        super().__init__(message, action_id=action_id)
        self.review_id = review_id

    def for_model(self) -> wire.JsonObject:
        """As for any held call."""
        return {**super().for_model(), "review_id": self.review_id, "retry": "same_call"}


class MCPGuardUncertainError(MCPGuardError):
    """This call was let through before, by a run that never said how it ended. It is not run a second time.

    A tool declared `idempotent=True` runs again instead.
    """

    code = wire.EXECUTION_UNCERTAIN


class ToolError(Exception):
    """Raised by a handler whose message the model may read. Any other exception reaches the model as its class."""
