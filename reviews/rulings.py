"""What policy says now of a held call that runs with other params: the same call else, its counters read, not reserved."""

from __future__ import annotations

import json
from collections.abc import Callable, Mapping
from dataclasses import replace
from datetime import datetime
from typing import Any

from audit.scope import as_tenant
from policy import counters
from policy.evaluate import Call, Ruling
from policy.live import live_policy
from reviews.models import Review

Judge = Callable[[Mapping[str, Any]], Ruling]


def judge_for(review: Review, *, now: datetime) -> Judge:
    """Asks the live policy about the review's call with the params it is given; never raises, writes nothing."""
    policy = live_policy(review.tenant_id)
    agent = review.agent
    user = json.loads(review.user_context_text)
    call = Call(
        action_id=review.action_id,
        params={},
        user=user,
        agent={
            "id": agent.slug,
            "name": agent.name,
            "version": agent.version,
            "owner": str(agent.owner_id or ""),
            "tags": list(agent.tags),
        },
        run={"id": review.run_id, "call_no": review.call_index, "labels": []},
        tool=policy.tool(review.action_id).as_root(review.action_id),
        request={
            "environment": review.key_environment,
            "batch_index": review.call_index - 1,
            "batch_size": review.call_count,
        },
        now=now,
        subject=str(user.get("user_id") or agent.slug),
    )

    def judge(params: Mapping[str, Any]) -> Ruling:
        asked = replace(call, params=dict(params))
        parts = policy.parts(asked)
        if parts:
            with as_tenant(review.tenant_id):
                asked = replace(asked, stats=counters.read(review.tenant_id, parts, instead_of=review.call_id))
        return policy.decide(asked)

    return judge
