"""The last real calls of an action, as templates are drafted from and tried on: held ones first, then the log's. Reads only."""

from __future__ import annotations

import json
from collections.abc import Iterator
from dataclasses import dataclass
from datetime import datetime
from typing import Any, Final
from uuid import UUID

from audit import calls
from audit.canonical import canonical
from audit.pointer import token
from audit.scope import as_tenant
from policy.models import Action
from policy.tools import labels_for
from reviews.models import Review
from tenants.isolation import rows_of
from tenants.models import Agent

MOST: Final = 20
# Copies of one call say nothing new: more are read than shown.
_READ: Final = 3 * MOST


@dataclass(frozen=True, slots=True)
class SampleCall:
    """One real call. `review_id` is on the wire where it was held; `entry_uid` where it was opened from the log."""

    action_id: str
    params: dict[str, Any]  # JSON, as the call came; likewise user
    user: dict[str, Any]
    agent: dict[str, Any]
    agent_name: str
    at: datetime
    review_id: str = ""
    entry_uid: str = ""


def sample_calls(tenant_id: UUID, action_id: str, *, may_open_log: bool, limit: int = MOST) -> list[SampleCall]:
    """Up to `limit` different calls, newest first: held ones, and where those are few and the member may, others."""
    found: dict[str, SampleCall] = {}
    with as_tenant(tenant_id):
        reviews = (
            Review.objects.of_tenant(tenant_id)
            .filter(action_id=action_id)
            .select_related("agent")
            .order_by("-created_at")[:_READ]
        )
        for review in reviews:
            found.setdefault(review.params_text + review.user_context_text, _of_review(review))
        agents = {agent.slug: agent for agent in rows_of(Agent, tenant_id)} if may_open_log else {}
    if may_open_log and len(found) < limit:
        for recorded in calls.recorded_calls(tenant_id, actions=[action_id], limit=_READ):
            if recorded.params is not None and recorded.user is not None:
                # As reviews keep it: canonical, so that a call is known again.
                call = _of_log(recorded, agents.get(recorded.agent))
                found.setdefault(_key(call), call)
    return list(found.values())[:limit]


def _key(call: SampleCall) -> str:
    return canonical(call.params).decode() + canonical(call.user).decode()


def _of_review(review: Review) -> SampleCall:
    return SampleCall(
        action_id=review.action_id,
        params=json.loads(review.params_text),
        user=json.loads(review.user_context_text),
        agent=_agent(review.agent),
        agent_name=review.agent.name,
        at=review.created_at,
        review_id=review.wire_id,
    )


def _of_log(recorded: calls.RecordedCall, agent: Agent | None) -> SampleCall:
    return SampleCall(
        action_id=recorded.action_id,
        params=recorded.params or {},
        user=recorded.user or {},
        agent=_agent(agent) if agent else {"id": recorded.agent},
        agent_name=agent.name if agent else recorded.agent,
        at=recorded.decided_at,
        entry_uid=recorded.uid,
    )


def _agent(agent: Agent) -> dict[str, Any]:
    return {
        "id": agent.slug,
        "name": agent.name,
        "version": agent.version,
        "owner": str(agent.owner_id or ""),
        "tags": list(agent.tags),
    }


def known_schema(tenant_id: UUID, action_id: str) -> dict[str, Any] | None:
    """The schema of the action's params that an admin vouched for: the action's own, else the accepted tool's."""
    with as_tenant(tenant_id):
        action = rows_of(Action, tenant_id).filter(action_id=action_id).first()
        if action is not None and isinstance(action.schema, dict):
            return action.schema
        tool = labels_for(tenant_id, [action_id]).get(action_id)
    accepted = tool.accepted if tool else None
    return dict(accepted.input_schema) if accepted is not None and accepted.input_schema else None


def paths(document: object, pointer: str = "", *, depth: int = 3) -> Iterator[str]:
    """The pointers of members of objects, to a depth, in document order."""
    if isinstance(document, dict) and depth:
        for key, value in document.items():
            here = f"{pointer}/{token(key)}"
            yield here
            yield from paths(value, here, depth=depth - 1)
