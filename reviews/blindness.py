"""What a second reviewer must not have read: first verdicts of reviews that they may still decide."""

from __future__ import annotations

from collections.abc import Callable
from uuid import UUID

from reviews.models import Verdict
from reviews.states import State


def first_verdicts(tenant_id: UUID, has_perm: Callable[[str], bool]) -> list[UUID]:
    """The entries of verdicts on reviews that still wait for another; none for somebody who decides nothing.

    A person's own first verdict is left out too: the log shows the same to all who may decide. Source:
    reviewer-experience.md, section 5, "Blind second review".
    """
    if not has_perm("reviews.decide_review"):
        return []
    waiting = Verdict.objects.filter(tenant_id=tenant_id, review__state=State.OPEN)
    return [UUID(uid) for uid in waiting.values_list("entry_uid", flat=True)]
