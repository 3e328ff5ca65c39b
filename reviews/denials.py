"""Denying a call and pausing its agent in one step: both happen, or neither."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from datetime import datetime

from audit.scope import as_tenant
from reviews.access import access_review_to_decide
from reviews.agents import PauseCode, freeze_of, pause_agent
from reviews.choices import Choice
from reviews.models import Verdict
from reviews.states import VerdictKind
from tenants.models import Member


@contextmanager
def pausing(wire_id: str, *, acting_member: Member, choice: Choice, is_wanted: bool, now: datetime) -> Iterator[None]:
    """A transaction around a verdict that also pauses the agent, if that is wanted and the verdict is a denial.

    An agent that is paused already stays so. Raises as `agents.pause_agent` and as what is done inside.
    """
    with as_tenant(acting_member.tenant_id):
        yield
        if not is_wanted or choice.kind != VerdictKind.DENY:
            return
        slug = access_review_to_decide(acting_member, wire_id).agent.slug
        if freeze_of(acting_member.tenant_id, slug) is None:
            code = PauseCode.SUSPICIOUS if choice.code == Verdict.Code.SUSPICIOUS else PauseCode.WRONG_CALLS
            pause_agent(acting_member, slug, code=code, note=choice.note[:200], now=now)
