"""Who acts: their permission, their name in the log, and a reason worth recording."""

from __future__ import annotations

import json

from audit.record import Actor, Disclosure
from policy.errors import PolicyForbidden, ReasonTooShort
from tenants.models import Member
from tenants.roles import permissions_of

LEAST_REASON = 10


def require(acting: Member, permission: str, *, tenant_id: object) -> None:
    """Raise PolicyForbidden unless the member belongs to the tenant, is active, and may do this."""
    if acting.tenant_id != tenant_id or not acting.is_active or permission not in permissions_of(acting.roles):
        raise PolicyForbidden


def actor(acting: Member) -> Actor:
    """The member as the log names them."""
    return Actor("member", str(acting.pk))


def checked_reason(reason: str) -> str:
    """The reason without outer white space. Raises ReasonTooShort: 10 characters, and not one repeated."""
    text = reason.strip()
    if len(text) < LEAST_REASON or len(set(text)) < 3:
        raise ReasonTooShort
    return text


def reason_disclosure(reason: str) -> Disclosure:
    """The reason as an erasable value beside the entry."""
    return Disclosure("reason", json.dumps(reason, ensure_ascii=False))
