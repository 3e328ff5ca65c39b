"""The write path of evaluate: a list of calls in, one answer each, one committed entry each before it is given.

`take` plans every call without a transaction (rules never run in one), then writes all of them in one. What loses an
idempotency race is answered from the winner's row. Source: integrations.md section 1.1, house-style.md section 4.
"""

from __future__ import annotations

import hashlib
import json
import time
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any
from uuid import UUID

from django.db import InterfaceError, OperationalError, connection

from audit.canonical import canonical
from audit.envelope import call_digest
from audit.errors import DomainError
from audit.ids import uuid7, wire_id
from audit.receipt import receipt
from audit.record import Actor, Disclosure, EntryDraft, Recorded, record, record_many
from audit.scope import as_tenant
from policy.catalog import note_action
from policy.evaluate import Call, RuleHit, Ruling
from policy.live import live_policy
from reviews import answers, limits, repeats
from reviews.callers import agent_actor
from reviews.content import CallContent, content_key, new_salt
from reviews.errors import AnswerExpired, IdempotencyConflict, Unavailable
from reviews.models import IdempotencyKey, Review
from reviews.sla import due_at, expires_at
from reviews.wire import EvaluateIn
from tenants.keys import Caller
from tenants.models import Agent

ALLOW_VALID = timedelta(minutes=5)
STRENGTH = {"allow": 0, "review": 1, "deny": 2}


@dataclass(frozen=True)
class Plan:
    """A call and what will be answered, before anything is written."""

    index: int
    request: EvaluateIn
    agent: Agent
    key: str
    content: CallContent
    content_key: str
    call_id: UUID
    salt: str
    digest: str
    ruling: Ruling
    decision: str
    code: str | None
    message: str
    started_ns: int


Answer = dict[str, Any] | DomainError


def take(caller: Caller, calls: Sequence[tuple[EvaluateIn, Agent]], *, now: datetime) -> list[Answer]:
    """One answer per call, in order: the answer's JSON members, or the refusal for that item.

    Every answered call has its entry committed before this returns. Raises Unavailable when nothing could be
    recorded; then nothing is allowed. `idempotency_key` must be set on every request.
    """
    try:
        plans = [
            _plan(caller, request, agent, index=index, count=len(calls), now=now)
            for index, (request, agent) in enumerate(calls)
        ]
        found: dict[int, Answer] = {}
        with as_tenant(caller.tenant_id):
            limits.require_room(caller.tenant_id)
            won = _insert_keys(plans, now=now)
            _write(caller, [plan for plan in plans if plan.index in won], found, batch=len(calls) > 1, now=now)
            for plan in plans:
                if plan.index not in won:
                    found[plan.index] = _replay(plan, now=now)
    except (OperationalError, InterfaceError) as error:
        raise Unavailable from error
    return [found[index] for index in range(len(calls))]


def _plan(caller: Caller, request: EvaluateIn, agent: Agent, *, index: int, count: int, now: datetime) -> Plan:
    started = time.monotonic_ns()
    content = CallContent.of(request.action_id, request.params, request.user_context)
    ruling = live_policy(caller.tenant_id).decide(
        Call(
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
            tool={
                "name": request.action_id,
                "server": "",
                "framework": "",
                "labels": [],
                "drifted": False,
                "read_only": False,
                "destructive": True,
                "idempotent": False,
                "open_world": True,
            },
            request={"environment": caller.environment, "batch_index": index, "batch_size": count},
            now=now,
            subject=str(request.user_context.get("user_id") or agent.slug),
        )
    )
    decision, code, message = _decision(request, ruling)
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
        ruling=ruling,
        decision=decision,
        code=code,
        message=message,
        started_ns=started,
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


def _insert_keys(plans: Sequence[Plan], *, now: datetime) -> set[int]:
    """Indexes of the calls whose key is new. Waits for a running transaction that holds the same key."""
    first: dict[tuple[UUID, str], Plan] = {}
    for plan in plans:
        first.setdefault((plan.agent.pk, plan.key), plan)
    # In order, so that two batches with the same keys wait for each other instead of deadlocking.
    rows = sorted(first.values(), key=lambda plan: (str(plan.agent.pk), plan.key))
    with connection.cursor() as cursor:
        cursor.execute(
            """
            INSERT INTO reviews_idempotencykey
                (tenant_id, agent_id, key, content_key, call_id, decision, answer_text, created_at)
            SELECT %s, r.agent_id, r.key, r.content_key, r.call_id, '', '', %s
              FROM unnest(%s::uuid[], %s::text[], %s::text[], %s::uuid[]) AS r(agent_id, key, content_key, call_id)
            ON CONFLICT (tenant_id, agent_id, key) DO NOTHING
            RETURNING call_id
            """,
            [
                plans[0].agent.tenant_id,
                now,
                [plan.agent.pk for plan in rows],
                [plan.key for plan in rows],
                [plan.content_key for plan in rows],
                [plan.call_id for plan in rows],
            ],
        )
        inserted = {row[0] for row in cursor.fetchall()}
    return {plan.index for plan in rows if plan.call_id in inserted}


def _write(caller: Caller, plans: Sequence[Plan], found: dict[int, Answer], *, batch: bool, now: datetime) -> None:
    if not plans:
        return
    for action_id in sorted({plan.request.action_id for plan in plans if not plan.ruling.mapped}):
        note_action(caller.tenant_id, action_id)
    outcomes = [_settle(plan, batch=batch, now=now) for plan in plans]
    drafts = [_draft(caller, plan, outcome) for plan, outcome in zip(plans, outcomes, strict=True)]
    recorded = record_many(caller.tenant_id, drafts)
    held = [
        _held_review(caller, plan, outcome.review_id, entry, count=len(plans), now=now)
        for plan, outcome, entry in zip(plans, outcomes, recorded, strict=True)
        if outcome.opens_review
    ]
    Review.objects.bulk_create(held)
    new_reviews = {review.pk: review for review in held}
    keys = []
    for plan, outcome, entry in zip(plans, outcomes, recorded, strict=True):
        review = new_reviews[outcome.review_id] if outcome.opens_review and outcome.review_id else outcome.review
        answer = answers.evaluated(
            call_id=wire_id("tc", plan.call_id),
            decision=outcome.decision,
            ruling=plan.ruling,
            code=outcome.code,
            message=outcome.message,
            call_digest=outcome.digest,
            receipt=receipt(entry),
            review=review,
            grant=outcome.grant,
            valid_until=now + ALLOW_VALID if outcome.decision == "allow" else None,
            now=now,
        )
        found[plan.index] = answer
        keys.append(
            (plan.call_id, outcome.decision, answer, review, now + ALLOW_VALID if outcome.decision == "allow" else None)
        )
    with connection.cursor() as cursor:
        cursor.execute(
            """
            UPDATE reviews_idempotencykey AS k
               SET decision = r.decision, answer_text = r.answer, review_id = r.review_id, valid_until = r.valid_until
              FROM unnest(%s::uuid[], %s::text[], %s::text[], %s::uuid[], %s::timestamptz[])
                   AS r(call_id, decision, answer, review_id, valid_until)
             WHERE k.call_id = r.call_id
            """,
            [
                [key[0] for key in keys],
                [key[1] for key in keys],
                [json.dumps(key[2]) for key in keys],
                [key[3].pk if key[3] else None for key in keys],
                [key[4] for key in keys],
            ],
        )


@dataclass(frozen=True)
class Settled:
    """The final answer to a call, after looking for a review of the same call."""

    decision: str
    code: str | None
    message: str
    digest: str
    opens_review: bool = False
    review_id: UUID | None = None
    review: Review | None = None
    grant: Any = None


def _settle(plan: Plan, *, batch: bool, now: datetime) -> Settled:
    plain = Settled(decision=plan.decision, code=plan.code, message=plan.message, digest=plan.digest)
    if plan.decision != "review" or plan.request.ran_unanswered:
        return plain
    # Items of one batch are copies of each other, never joins.
    if plan.request.repeat == "join" and not batch:
        repeat = repeats.find(plan.agent, content_key=plan.content_key, run_id=plan.request.run_id, now=now)
        if repeat is not None:
            return Settled(
                decision=repeat.decision,
                code=repeat.code,
                message=repeat.message or plan.message,
                digest=repeat.review.call_digest,
                review_id=repeat.review.pk,
                review=repeat.review,
                grant=repeat.grant,
            )
    return Settled(
        decision="review",
        code=plan.code,
        message=plan.message,
        digest=plan.digest,
        opens_review=True,
        review_id=uuid7(),
    )


def _draft(caller: Caller, plan: Plan, outcome: Settled) -> EntryDraft:
    ruling, request = plan.ruling, plan.request
    fields: dict[str, object] = {
        "action_id": request.action_id,
        "effect": ruling.effect,
        "mode": ruling.mode,
        "mode_source": ruling.mode_source,
        "decision": outcome.decision,
        "mapped": ruling.mapped,
        "tier": ruling.tier,
        "matched": [hit.rule_id for hit in ruling.matched],
        "errors": [hit.rule_id for hit in ruling.errors],
        "observing": [hit.rule_id for hit in ruling.observing],
        "state_version": ruling.state_version,
        "call_digest": plan.digest,
        "latency_us": (time.monotonic_ns() - plan.started_ns) // 1000,
        "keep": "all",
        "environment": caller.environment,
    }
    if ruling.bucket is not None:
        fields["bucket"] = ruling.bucket
    if ruling.primary is not None:
        fields["rule"] = {"id": ruling.primary.rule_id}
    if ruling.revision_id is not None:
        fields["revision"] = {"id": ruling.revision_id, "sha256": ruling.revision_sha256}
    if outcome.review_id is not None:
        fields["review"] = {"id": wire_id("rv", outcome.review_id)}
    for name in ("floor", "refused"):
        if getattr(request, name) is not None:
            fields[name] = getattr(request, name)
    if request.ran_unanswered:
        fields["late"] = True
    corr: dict[str, str] = {"call_id": wire_id("tc", plan.call_id)}
    if request.run_id:
        corr["run_id"] = request.run_id
    if request.tool_call_id:
        fields["tool_call"] = request.tool_call_id
    return EntryDraft(
        kind="call.evaluated",
        fields=fields,
        actor=agent_actor(caller, plan.agent),
        corr=corr,
        disclosures=_disclosures(plan),
    )


def _disclosures(plan: Plan) -> tuple[Disclosure, ...]:
    request = plan.request
    values = [Disclosure("call_salt", json.dumps(plan.salt)), Disclosure("reason", json.dumps(plan.message))]
    for root, mapping in (("params", request.params), ("user_context", request.user_context)):
        # Canonical text, as the digest covers it: docs/adr/0003.
        values += [Disclosure(f"{root}.{key}", canonical(value).decode()) for key, value in mapping.items()]
    leaves = [{"rule": hit["rule_id"], "leaves": hit["leaves"]} for hit in _hits(plan.ruling) if hit["leaves"]]
    if leaves:
        values.append(Disclosure("explanation", json.dumps(leaves, ensure_ascii=False)))
    if request.raw_arguments is not None:
        values.append(Disclosure("raw_arguments", json.dumps(request.raw_arguments, ensure_ascii=False)))
    return tuple(values)


def _held_review(
    caller: Caller, plan: Plan, review_id: UUID | None, entry: Recorded, *, count: int, now: datetime
) -> Review:
    assert review_id is not None
    ruling, request = plan.ruling, plan.request
    expires = expires_at(now, expires_seconds=ruling.expires_in_seconds)
    return Review(
        id=review_id,
        tenant_id=caller.tenant_id,
        agent=plan.agent,
        key_environment=caller.environment,
        call_id=plan.call_id,
        entry_uid=entry.uid,
        action_id=request.action_id,
        params_text=plan.content.params_text,
        user_context_text=plan.content.user_context_text,
        context_text=json.dumps(request.context, ensure_ascii=False) if request.context else "",
        resume_text=json.dumps(request.resume.model_dump(), ensure_ascii=False) if request.resume else "",
        call_salt=plan.salt,
        call_digest=plan.digest,
        content_key=plan.content_key,
        run_id=request.run_id or "",
        tool_call_id=request.tool_call_id or "",
        call_index=plan.index + 1,
        call_count=count,
        tier=min(4, max(1, ruling.tier)),
        team=ruling.team or "",
        hold_seconds=ruling.hold_seconds,
        rule_id=ruling.primary.rule_id if ruling.primary else "",
        rule_name=ruling.primary.name if ruling.primary else "",
        reason=plan.message[:500],
        hits=_hits(ruling),
        revision_id=ruling.revision_id or "",
        revision_number=ruling.revision_number,
        revision_sha256=ruling.revision_sha256 or "",
        created_at=now,
        due_at=min(due_at(now, target_seconds=ruling.due_in_seconds), expires),
        expires_at=expires,
        caller_seen_at=now,
    )


def _hits(ruling: Ruling) -> list[dict[str, Any]]:
    return [_hit(hit) for hit in (*ruling.matched, *ruling.errors)]


def _hit(hit: RuleHit) -> dict[str, Any]:
    """A hit as plain JSON: frozen on the review, shown on the card, disclosed by the entry."""
    return {
        "rule_id": hit.rule_id,
        "name": hit.name,
        "effect": hit.effect,
        "reason": hit.reason,
        "note": hit.note,
        "result": hit.result,
        "error": hit.error,
        "leaves": [
            {
                "line": leaf.line,
                "column": leaf.column,
                "text": leaf.text,
                "values": dict(leaf.values),
                "result": leaf.result,
                "sentence": leaf.sentence,
            }
            for leaf in hit.leaves
        ],
    }


def _replay(plan: Plan, *, now: datetime) -> Answer:
    """The stored answer for the same content; the refusal for another, or for an allow that is too old."""
    row = IdempotencyKey.objects.filter(tenant_id=plan.agent.tenant_id, agent=plan.agent, key=plan.key).get()
    if row.content_key != plan.content_key:
        return IdempotencyConflict()
    if row.decision == "allow" and row.valid_until is not None and now > row.valid_until:
        return AnswerExpired()
    answer: dict[str, Any] = json.loads(row.answer_text)
    answer["replayed"] = True
    if row.review_id is not None:
        answer["review"] = answers.review_summary(Review.objects.get(pk=row.review_id), now=now)
    return answer


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
