"""What somebody has typed into a panel and not sent: kept on the server, for them alone, until they decide."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from datetime import datetime
from typing import Final

from audit.scope import as_tenant
from reviews.access import access_review_to_decide
from reviews.models import Draft, Review
from tenants.models import Member

PANELS: Final = ("approve", "deny", "amend", "ask")
FIELDS: Final = ("code", "message", "note", "typed", "pick", "seen", "text", "pause", "count", "params")
# The inputs of an amendment are named after the pointers of their facts.
AMEND_PREFIX: Final = "to:"
MOST_VALUES: Final = 400
MOST_CHARACTERS: Final = 60_000

Fields = Mapping[str, Sequence[str]]


def save(wire_id: str, *, acting_member: Member, panel: str, fields: Fields, now: datetime) -> Draft | None:
    """Keep what is typed; the last one to write wins. None, and nothing kept, where there is nothing to keep.

    Only known fields are kept, and only as much as a person types. Raises NotFound, PermissionDenied, OwnRequest.
    """
    kept = _kept(fields)
    with as_tenant(acting_member.tenant_id):
        review = access_review_to_decide(acting_member, wire_id)
        if panel not in PANELS or not any(value for values in kept.values() for value in values):
            discard(wire_id, acting_member=acting_member, panel=panel)
            return None
        draft, _ = Draft.objects.update_or_create(
            tenant_id=review.tenant_id,
            review=review,
            member=acting_member,
            panel=panel,
            defaults={"fields": kept, "saved_at": now},
        )
        return draft


def discard(wire_id: str, *, acting_member: Member, panel: str) -> None:
    """Forget one's own draft of a panel. Raises NotFound, PermissionDenied, OwnRequest."""
    with as_tenant(acting_member.tenant_id):
        review = access_review_to_decide(acting_member, wire_id)
        if panel not in PANELS:
            return
        Draft.objects.filter(review=review, member=acting_member, panel=panel).delete()


def clear(review: Review, member: Member) -> None:
    """Forget all one's drafts of a review, in the caller's transaction: they were sent."""
    Draft.objects.filter(review=review, member=member).delete()


def of_member(review: Review, member: Member) -> dict[str, Draft]:
    """One's own drafts of a review, by panel."""
    return {draft.panel: draft for draft in Draft.objects.filter(review=review, member=member)}


def _kept(fields: Fields) -> dict[str, list[str]]:
    kept: dict[str, list[str]] = {}
    left, values_left = MOST_CHARACTERS, MOST_VALUES
    for name, values in fields.items():
        if name not in FIELDS and not name.startswith(AMEND_PREFIX):
            continue
        for value in values[:values_left]:
            # Half of an amended call is none; half of a sentence is better than nothing.
            if name == "params" and len(value) > left:
                continue
            # U+0000 has no place in a text column.
            text = value.replace("\x00", "")[:left]
            kept.setdefault(name[:300], []).append(text)
            left -= len(text)
            values_left -= 1
    return kept
