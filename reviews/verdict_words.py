"""The reasons a reviewer chooses from, and what each tells the agent unless the reviewer writes something else."""

from __future__ import annotations

from typing import Final

from reviews.models import Verdict
from reviews.states import VerdictKind

_Code = Verdict.Code

APPROVE_CODES: Final = (_Code.LOOKS_RIGHT, _Code.EXPECTED, _Code.CHECKED, _Code.OTHER)
DENY_CODES: Final = (
    _Code.WRONG_AMOUNT,
    _Code.WRONG_TARGET,
    _Code.NOT_AUTHORISED,
    _Code.OTHER_APPROACH,
    _Code.SUSPICIOUS,
    _Code.OTHER,
)
# Whoever finds a call suspicious does not run it smaller.
AMEND_CODES: Final = tuple(code for code in DENY_CODES if code != _Code.SUSPICIOUS)

CODES: Final = {
    VerdictKind.APPROVE: APPROVE_CODES,
    VerdictKind.APPROVE_WITH_AMENDMENTS: AMEND_CODES,
    VerdictKind.DENY: DENY_CODES,
}

_DENIED: Final = {
    _Code.WRONG_AMOUNT: "The amount is not right. Check it, then ask again with the right one.",
    _Code.WRONG_TARGET: "This is the wrong target. Check whom or what it is for before you ask again.",
    _Code.NOT_AUTHORISED: "This is not authorised. Do not repeat it.",
    _Code.OTHER_APPROACH: "Do not do this. Find another way to reach the goal.",
    # Not why: whoever is behind it learns nothing.
    _Code.SUSPICIOUS: "This call was denied. Do not repeat it.",
    _Code.OTHER: "A person denied this call. Do not repeat it.",
}
_AMENDED: Final = {
    _Code.WRONG_AMOUNT: "Approved with another amount. Use the params of this answer.",
    _Code.WRONG_TARGET: "Approved for another target. Use the params of this answer.",
    _Code.NOT_AUTHORISED: "Approved in part: only this much is authorised. Use the params of this answer.",
    _Code.OTHER_APPROACH: "Approved with changes. Use the params of this answer.",
    _Code.OTHER: "Approved with changes. Use the params of this answer.",
}
_MESSAGES: Final = {VerdictKind.DENY: _DENIED, VerdictKind.APPROVE_WITH_AMENDMENTS: _AMENDED}


def message_for(kind: str, code: str) -> str:
    """What the agent is told for this reason when the reviewer writes no message."""
    if kind == VerdictKind.APPROVE:
        return "A person approved this call."
    messages = _MESSAGES.get(VerdictKind(kind), {})
    return messages.get(Verdict.Code(code), "") or (
        f"A person denied this call: {Verdict.Code(code).label.lower()}. Do not repeat it."
    )
