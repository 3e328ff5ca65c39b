"""The write path of evaluate: a list of calls in, one answer each, one committed entry each before it is given.

`take` plans every call without a transaction (rules never run in one), then writes all of them in one
(`intake_store`; `intake_rows` says what). What loses an idempotency race is answered from the winner's row.
Source: integrations.md section 1.1, house-style.md section 4.
"""

from __future__ import annotations

import hashlib
import json
import time
from collections.abc import Sequence
from dataclasses import replace
from datetime import datetime

from django.db import InterfaceError, OperationalError

from audit.envelope import call_digest
from audit.errors import DomainError
from audit.ids import uuid7
from audit.record import Actor, Disclosure, EntryDraft, record
from audit.scope import as_tenant
from policy import counters, judging, shadow
from policy.evaluate import Call, Ruling
from policy.live import LivePolicy, live_policy
from reviews import intake_store, limits
from reviews.callers import agent_actor
from reviews.content import CallContent, content_key, new_salt
from reviews.errors import Unavailable
from reviews.intake_rows import Plan
from reviews.intake_store import Answer
from reviews.models import IdempotencyKey
from reviews.wire import EvaluateIn
from tenants.keys import Caller
from tenants.models import Agent

STRENGTH = {"allow": 0, "review": 1, "deny": 2}


def take(caller: Caller, calls: Sequence[tuple[EvaluateIn, Agent]], *, now: datetime) -> list[Answer]:
    """One answer per call, in order: the answer's JSON members, or the refusal for that item.

    Every answered call has its entry committed before this returns. Raises Unavailable when nothing could be
    recorded; then nothing is allowed. `idempotency_key` must be set on every request.
    """
    try:
        policy = live_policy(caller.tenant_id)
        asked = [
            _call(caller, policy, request, agent, index=index, count=len(calls), now=now)
            for index, (request, agent) in enumerate(calls)
        ]
        plans = [
            _plan(caller, policy, request, agent, call, counted, index=index, now=now)
            for index, ((request, agent), call, counted) in enumerate(
                zip(calls, asked, _counted(caller, policy, calls, asked), strict=True)
            )
        ]
        found: dict[int, Answer] = {}
        with as_tenant(caller.tenant_id):
            limits.require_room(caller.tenant_id)
            won = intake_store.insert_keys(caller, plans, now=now)
            counts = intake_store.write(
                caller, [plan for plan in plans if plan.index in won], found, batch=len(calls) > 1, now=now
            )
            for plan in plans:
                if plan.index not in won:
                    found[plan.index] = intake_store.replay(caller, plan, now=now)
    except (OperationalError, InterfaceError) as error:
        raise Unavailable from error
    # After the commit: what will not run, or was counted before, is not counted.
    counters.release(caller.tenant_id, [held for plan in plans if plan.index not in counts for held in plan.held])
    return [found[index] for index in range(len(calls))]


def _call(
    caller: Caller, policy: LivePolicy, request: EvaluateIn, agent: Agent, *, index: int, count: int, now: datetime
) -> Call:
    """The call as rules see it, counters aside."""
    return Call(
        action_id=request.action_id,
        params=request.params,
        user=request.user_context,
        agent={
            "id": agent.slug,
            "name": agent.name,
            "version": agent.version,
            "owner": str(agent.owner_id or ""),
            "tags": list(agent.tags),
        },
        run={"id": request.run_id or "", "call_no": index + 1, "labels": []},
        tool=policy.tool(request.action_id).as_root(request.action_id),
        request={"environment": caller.environment, "batch_index": index, "batch_size": count},
        now=now,
        subject=str(request.user_context.get("user_id") or agent.slug),
    )


def _counted(
    caller: Caller, policy: LivePolicy, calls: Sequence[tuple[EvaluateIn, Agent]], asked: Sequence[Call]
) -> list[counters.Reserved]:
    """The counters of each call, this one included: one statement for all calls, none where no counter is in scope.

    A call that was answered before touches none.
    """
    wanted = [policy.parts(call) for call in asked]
    if any(wanted):
        with as_tenant(caller.tenant_id):
            known = IdempotencyKey.objects.filter(
                tenant_id=caller.tenant_id,
                environment=caller.environment,
                key__in=[str(request.idempotency_key) for request, _ in calls],
            )
            answered = set(known.values_list("agent_id", "key"))
        wanted = [
            () if (agent.pk, str(request.idempotency_key)) in answered else parts
            for (request, agent), parts in zip(calls, wanted, strict=True)
        ]
    return counters.reserve(caller.tenant_id, wanted)


def _plan(
    caller: Caller,
    policy: LivePolicy,
    request: EvaluateIn,
    agent: Agent,
    call: Call,
    counted: counters.Reserved,
    *,
    index: int,
    now: datetime,
) -> Plan:
    started = time.monotonic_ns()
    content = CallContent.of(request.action_id, request.params, request.user_context)
    call = replace(call, stats=counted.stats)
    ruling = policy.decide(call)
    # After policy, before anything is written: judges run in no transaction and only tighten.
    final, judgements = judging.judged(caller.tenant_id, ruling, action_id=request.action_id, params=request.params)
    decision, code, message = _decision(request, final)
    salt = new_salt()
    return Plan(
        index=index,
        request=request,
        agent=agent,
        key=str(request.idempotency_key),
        content=content,
        content_key=content_key(content, tenant_id=caller.tenant_id, agent_id=agent.pk),
        call_id=uuid7(),
        salt=salt,
        digest=call_digest(salt_hex=salt, canonical_call=content.whole),
        ruling=final,
        decision=decision,
        code=code,
        message=message,
        started_ns=started,
        judgements=judgements,
        policy_effect=ruling.effect,
        tool=policy.tool(request.action_id),
        compared=shadow.compare(policy, call, ruling),
        stats=counted.stats,
        held=counted.held,
    )


def _decision(request: EvaluateIn, ruling: Ruling) -> tuple[str, str | None, str]:
    """What the caller may do: the ruling, tightened by the caller's own floor. A caller never loosens."""
    if request.refused is not None:
        return "deny", request.refused, "The caller does not run this call."
    decision, message = ruling.decision, ruling.message
    if request.floor is not None and STRENGTH[request.floor] > STRENGTH[decision]:
        decision = request.floor
        message = "The caller asked for a person." if decision == "review" else "The caller does not run this call."
    code = {"allow": None, "review": "policy_review_required", "deny": "policy_denied"}[decision]
    return decision, code, message


def refuse(caller: Caller, *, body: bytes, error: DomainError, now: datetime) -> None:
    """Record a request that has no form in which it could be decided: its size, the reason and its hash, never itself.

    Raises Unavailable when that could not be recorded.
    """
    agent = caller.agent
    actor = agent_actor(caller, agent) if agent else Actor(type="agent", id="gateway", session=caller.key_public_id)
    try:
        with as_tenant(caller.tenant_id):
            record(
                caller.tenant_id,
                EntryDraft(
                    kind="call.refused",
                    fields={"size": len(body), "code": error.code},
                    actor=actor,
                    disclosures=(Disclosure("request_sha256", json.dumps(hashlib.sha256(body).hexdigest())),),
                    decided_at=now,
                ),
            )
    except (OperationalError, InterfaceError) as failure:
        raise Unavailable from failure
