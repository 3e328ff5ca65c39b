"""The names that travel between an agent and guardsite, and JSON that means the same on both sides.

Strict JSON here is what the server also demands: no duplicate keys, no NaN or infinity, no integer that a double
cannot keep, no lone surrogate, no U+0000, at most 32 levels. What passes `dumps` is what a person sees and what runs.

Source: the /v1 contract; RFC 8785 section 3.2.2.3 for numbers.
"""

import hashlib
import json
import math
import re
from collections.abc import Mapping
from typing import Any, Final, Literal

API_REVISION: Final = 1
MAX_DEPTH: Final = 32
MAX_RAW_ARGUMENTS: Final = 256 * 1024
IDENTIFIER: Final = re.compile(r"[\x21\x23-\x5b\x5d-\x7e]{1,128}")

LARGEST_EXACT_INTEGER: Final = 2**53 - 1

ALLOW: Final = "allow"
REVIEW: Final = "review"
DENY: Final = "deny"
DECISIONS: Final = frozenset({ALLOW, REVIEW, DENY})

OBSERVE: Final = "observe"
ENFORCE: Final = "enforce"

PENDING: Final = "pending"
APPROVED: Final = "approved"
DENIED: Final = "denied"
EXPIRED: Final = "expired"
WITHDRAWN: Final = "withdrawn"
SUPERSEDED: Final = "superseded"
REVIEW_STATES: Final = frozenset({PENDING, APPROVED, DENIED, EXPIRED, WITHDRAWN, SUPERSEDED})

POLICY_DENIED: Final = "policy_denied"
POLICY_REVIEW_REQUIRED: Final = "policy_review_required"
GUARD_UNAVAILABLE: Final = "guard_unavailable"
HANDLER_ERROR: Final = "handler_error"
UNKNOWN_TOOL: Final = "unknown_tool"
INVALID_ARGUMENTS: Final = "invalid_arguments"
EXECUTION_UNCERTAIN: Final = "execution_uncertain"

GRANT_USED: Final = "grant_used"
GRANT_CODES: Final = frozenset({GRANT_USED, "grant_mismatch", "grant_expired"})

SUCCEEDED: Final = "succeeded"
FAILED: Final = "failed"
NOT_RUN: Final = "not_run"
OUTCOMES: Final = frozenset({SUCCEEDED, FAILED, NOT_RUN})

EVALUATE_PATH: Final = "/v1/evaluate"
REVIEWS_PATH: Final = "/v1/reviews"
EXECUTIONS_PATH: Final = "/v1/executions"
HEARTBEAT_PATH: Final = "/v1/agents/heartbeat"
POLICY_INFO_PATH: Final = "/v1/policy/info"
TOOLS_PATH: Final = "/v1/tools"

Floor = Literal["review", "deny"]
Repeat = Literal["join", "new"]
Refused = Literal["unknown_tool", "invalid_arguments"]
Outcome = Literal["succeeded", "failed", "not_run"]
JsonObject = dict[str, Any]  # Any: the values are whatever JSON a tool takes


class NotJsonError(ValueError):
    """A value or text that strict JSON does not carry. The text names the rule, never the value."""


def dumps(value: object) -> bytes:
    """The UTF-8 text of a JSON value. Tuples become arrays; raises NotJsonError for what JSON cannot carry exactly."""
    _check(value, depth=0)
    try:
        return json.dumps(value, ensure_ascii=False, allow_nan=False, separators=(",", ":")).encode()
    except (TypeError, ValueError, RecursionError) as error:
        raise NotJsonError("the value is not JSON") from error


def loads(text: bytes | str) -> Any:
    """The value of a JSON text; raises NotJsonError. `Any`: a JSON value, to be parsed by whoever asked for it."""
    try:
        value = json.loads(text, object_pairs_hook=_object, parse_constant=_no_constant)
    except NotJsonError:
        raise
    except (ValueError, RecursionError) as error:  # UnicodeDecodeError is a ValueError
        raise NotJsonError("the text is not JSON") from error
    _check(value, depth=0)
    return value


def json_copy(value: Mapping[str, object]) -> JsonObject:
    """A deep copy made of plain JSON types alone, so that nothing the caller still holds can change it."""
    copy = loads(dumps(dict(value)))
    assert isinstance(copy, dict)
    return copy


def identifier(text: str) -> str:
    """The text if the contract takes it as an identifier (printable ASCII, 128 at most), else its digest."""
    return text if IDENTIFIER.fullmatch(text) else f"sha256:{hashlib.sha256(text.encode(errors='replace')).hexdigest()}"


def plain_text(text: str, *, limit: int) -> str:
    """The text with what strict JSON can't carry shown as U+FFFD, cut to `limit` characters."""
    return "".join("\ufffd" if one == "\0" or "\ud800" <= one <= "\udfff" else one for one in text[:limit])


def _object(pairs: list[tuple[str, Any]]) -> JsonObject:
    made = dict(pairs)
    if len(made) != len(pairs):
        raise NotJsonError("a key stands twice in one object")
    return made


def _no_constant(_name: str) -> float:
    raise NotJsonError("NaN and infinity are not JSON")


def _check(value: object, *, depth: int) -> None:
    if depth > MAX_DEPTH:
        raise NotJsonError(f"more than {MAX_DEPTH} levels deep")
    if value is None or isinstance(value, bool):
        return
    if isinstance(value, str):
        _check_text(value)
    elif isinstance(value, int):
        if abs(value) > LARGEST_EXACT_INTEGER:
            raise NotJsonError("an integer is beyond 2^53 - 1; send it as text")
    elif isinstance(value, float):
        if not math.isfinite(value):
            raise NotJsonError("NaN and infinity are not JSON")
    elif isinstance(value, dict):
        for key, member in value.items():
            if not isinstance(key, str):
                raise NotJsonError("an object key is not text")
            _check_text(key)
            _check(member, depth=depth + 1)
    elif isinstance(value, (list, tuple)):
        for member in value:
            _check(member, depth=depth + 1)
    else:
        raise NotJsonError(f"{type(value).__name__} is not a JSON type")


def _check_text(text: str) -> None:
    if "\0" in text:
        raise NotJsonError("a text holds U+0000")
    if not text.isascii() and any("\ud800" <= character <= "\udfff" for character in text):
        raise NotJsonError("a text holds a lone surrogate")
