"""Links in notices: they lead one person to one review, for a while, and do nothing else.

A token is no proof of anything: whoever opens it signs in as ever. Source: reviewer-experience.md section 6.
"""

from __future__ import annotations

from dataclasses import dataclass
from datetime import timedelta
from typing import Final
from uuid import UUID

from django.conf import settings
from django.core import signing

from reviews.models import Review
from tenants.models import Member

SALT: Final = "guardsite.review-link"
VALID_FOR: Final = timedelta(days=7)


@dataclass(frozen=True)
class Link:
    """What a token says."""

    user_id: int
    tenant_id: UUID
    review_id: UUID


class BadLink(ValueError):
    """A token that nobody here made, or that is too old."""


def link_for(member: Member, review: Review) -> str:
    """The address for this member and this review."""
    content = {"u": member.user_id, "t": review.tenant_id.hex, "r": review.pk.hex}
    return f"{settings.GUARDSITE_URL}/r/{signing.dumps(content, salt=SALT, compress=False)}"


def read_link(token: str) -> Link:
    """What the token says. Raises BadLink for a forged and for an old one alike."""
    try:
        content = signing.loads(token, salt=SALT, max_age=VALID_FOR)
        return Link(int(content["u"]), UUID(hex=content["t"]), UUID(hex=content["r"]))
    except (signing.BadSignature, KeyError, TypeError, ValueError) as error:
        raise BadLink from error
