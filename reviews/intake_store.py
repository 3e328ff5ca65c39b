"""What evaluating writes, in one transaction: idempotency keys, entries, reviews, stored answers.

Called by `intake.take` inside `as_tenant()`. A lost race waits for the winner and is answered from its row.
"""

from __future__ import annotations

import json
from collections.abc import Sequence
from datetime import datetime, timedelta
from typing import Any
from uuid import UUID

from django.db import connection

from audit.errors import DomainError
from audit.ids import uuid7, wire_id
from audit.receipt import receipt
from audit.record import record_many
from policy import counters, shadow
from policy.catalog import note_action
from reviews import answers, copies, floods, notices, repeats
from reviews.errors import AnswerExpired, IdempotencyConflict
from reviews.intake_rows import Plan, Settled, draft_entry, held_review
from reviews.models import IdempotencyKey, Review
from tenants.keys import Caller

ALLOW_VALID = timedelta(minutes=5)

Answer = dict[str, Any] | DomainError


def insert_keys(caller: Caller, plans: Sequence[Plan], *, now: datetime) -> set[int]:
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
                (tenant_id, environment, agent_id, key, content_key, call_id, decision, answer_text, created_at)
            SELECT %s, %s, r.agent_id, r.key, r.content_key, r.call_id, '', '', %s
              FROM unnest(%s::uuid[], %s::text[], %s::text[], %s::uuid[]) AS r(agent_id, key, content_key, call_id)
            ON CONFLICT (tenant_id, agent_id, environment, key) DO NOTHING
            RETURNING call_id
            """,
            [
                caller.tenant_id,
                caller.environment,
                now,
                [plan.agent.pk for plan in rows],
                [plan.key for plan in rows],
                [plan.content_key for plan in rows],
                [plan.call_id for plan in rows],
            ],
        )
        inserted = {row[0] for row in cursor.fetchall()}
    return {plan.index for plan in rows if plan.call_id in inserted}


def write(caller: Caller, plans: Sequence[Plan], found: dict[int, Answer], *, batch: bool, now: datetime) -> set[int]:
    """Write entries, reviews and answers; the indexes of the calls that stay counted."""
    if not plans:
        return set()
    for action_id in sorted({plan.request.action_id for plan in plans if not plan.ruling.mapped}):
        note_action(caller.tenant_id, action_id)
    outcomes = _within_limits(caller, plans, [_settle(caller, plan, batch=batch, now=now) for plan in plans], now=now)
    drafts = [draft_entry(caller, plan, outcome) for plan, outcome in zip(plans, outcomes, strict=True)]
    recorded = record_many(caller.tenant_id, drafts)
    compared = [
        (entry.uid, plan.request.action_id, plan.compared)
        for plan, entry in zip(plans, recorded, strict=True)
        if plan.compared is not None
    ]
    shadow.store(caller.tenant_id, compared, now=now)
    held = [
        held_review(caller, plan, outcome.review_id, entry, count=len(plans), now=now)
        for plan, outcome, entry in zip(plans, outcomes, recorded, strict=True)
        if outcome.opens_review
    ]
    copies.join_copies(caller.tenant_id, held, now=now)
    Review.objects.bulk_create(held)
    notices.announce_opened(caller.tenant_id, held, now=now)
    opened = {plan.call_id: plan.held for plan, outcome in zip(plans, outcomes, strict=True) if outcome.opens_review}
    counters.keep(caller.tenant_id, opened, now=now)
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
    return {
        plan.index
        for plan, outcome in zip(plans, outcomes, strict=True)
        # A join is counted by the call that opened its review.
        if outcome.opens_review or plan.request.ran_unanswered or (outcome.decision == "allow" and not outcome.review)
    }


def _within_limits(
    caller: Caller, plans: Sequence[Plan], outcomes: Sequence[Settled], *, now: datetime
) -> list[Settled]:
    """The outcomes; a review too many of its agent becomes a denial. Joins open none and are never counted."""
    wanted = [
        floods.Wanted(plan.index, plan.agent.pk, plan.ruling.tier)
        for plan, outcome in zip(plans, outcomes, strict=True)
        if outcome.opens_review
    ]
    beyond = floods.suppress(caller.tenant_id, wanted, now=now) if wanted else {}
    return [
        outcome
        if plan.index not in beyond
        else Settled(decision="deny", code=floods.RATE_LIMITED, message=beyond[plan.index], digest=plan.digest)
        for plan, outcome in zip(plans, outcomes, strict=True)
    ]


def _settle(caller: Caller, plan: Plan, *, batch: bool, now: datetime) -> Settled:
    plain = Settled(decision=plan.decision, code=plan.code, message=plan.message, digest=plan.digest)
    if plan.decision != "review" or plan.request.ran_unanswered:
        return plain
    # Items of one batch are copies of each other, never joins.
    if plan.request.repeat == "join" and not batch:
        repeat = repeats.find(
            plan.agent,
            content_key=plan.content_key,
            run_id=plan.request.run_id,
            environment=caller.environment,
            now=now,
        )
        if repeat is not None:
            return Settled(
                decision=repeat.decision,
                code=repeat.code,
                message=repeat.message or plan.message,
                digest=repeat.digest,
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


def replay(caller: Caller, plan: Plan, *, now: datetime) -> Answer:
    """The stored answer for the same content; the refusal for another, or for an allow that is too old."""
    row = IdempotencyKey.objects.get(
        tenant_id=caller.tenant_id, environment=caller.environment, agent=plan.agent, key=plan.key
    )
    if row.content_key != plan.content_key:
        return IdempotencyConflict()
    if row.decision == "allow" and row.valid_until is not None and now > row.valid_until:
        return AnswerExpired()
    answer: dict[str, Any] = json.loads(row.answer_text)
    answer["replayed"] = True
    if row.review_id is not None:
        answer["review"] = answers.review_summary(Review.objects.get(pk=row.review_id), now=now)
    return answer
