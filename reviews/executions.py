"""What the caller does with an allow: spend the grant before the run, report the outcome after it."""

from __future__ import annotations

import json
import logging
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any
from uuid import UUID

from audit.canonical import canonical
from audit.ids import parse_wire_id, wire_id
from audit.record import Actor, Disclosure, EntryDraft, record
from audit.scope import as_tenant
from policy.freezing import FROZEN
from policy.live import live_policy
from reviews import grants
from reviews.callers import agent_actor
from reviews.content import params_key
from reviews.errors import GrantExpired, GrantMismatch, GrantUsed, NotFound, OutcomeRecorded
from reviews.models import Execution, Grant, IdempotencyKey, Review
from reviews.wire import OutcomeIn
from tenants.keys import Caller

REPORT_WITHIN = timedelta(minutes=15)
MISMATCH_RESOLUTION = timedelta(minutes=1)

log = logging.getLogger("guardsite.executions")


@dataclass(frozen=True)
class Started:
    """An execution, and whether the caller had started it before (a crash in between)."""

    execution: Execution
    call_digest: str
    replayed: bool


def start(caller: Caller, *, grant_id: str, params: dict[str, Any], idempotency_key: str, now: datetime) -> Started:
    """Spend the grant for these params.

    The same idempotency key again answers the same execution. Raises NotFound, GrantUsed (another key was first),
    GrantMismatch (other params; recorded), GrantExpired (also before its hold has ended, after an undo or in a freeze).
    """
    try:
        return _start(caller, grant_id=grant_id, params=params, idempotency_key=idempotency_key, now=now)
    except GrantMismatch:
        _record_mismatch(caller, grant_id, now=now)
        raise


def _start(caller: Caller, *, grant_id: str, params: dict[str, Any], idempotency_key: str, now: datetime) -> Started:
    with as_tenant(caller.tenant_id):
        found = _own(caller, Grant).filter(pk=parse_wire_id("gr", grant_id)).values("review_id", "pk").first()
        if found is None:
            raise NotFound
        # Review before Grant: an undo holds the same lock, so either it or the run happens.
        review = (
            Review.objects.select_for_update(no_key=True, of=("self",))
            .select_related("agent")
            .get(pk=found["review_id"])
        )
        if review.key_environment != caller.environment:
            raise NotFound  # what was approved for a test key, by rules for test keys, is nothing that a live key may run
        grant = Grant.objects.select_for_update(no_key=True, of=("self",)).get(pk=found["pk"])
        sent = params_key(canonical(params).decode(), tenant_id=caller.tenant_id)
        if grant.used_at is not None:
            execution = Execution.objects.get(grant=grant)
            if execution.idempotency_key != idempotency_key:
                raise GrantUsed
            if grant.params_key != sent:
                raise GrantMismatch
            return Started(execution=execution, call_digest=grant.call_digest, replayed=True)
        if grant.params_key != sent:
            raise GrantMismatch
        if live_policy(caller.tenant_id).is_frozen(action_id=review.action_id, agent_id=review.agent.slug):
            raise GrantExpired(FROZEN)  # the grant itself stays: lifting the freeze gives it back
        if not grants.spend(grant, sent_params_key=sent, now=now):
            raise GrantExpired
        execution = Execution.objects.create(
            tenant_id=caller.tenant_id,
            agent_id=grant.agent_id,
            call_id=review.call_id,
            grant=grant,
            idempotency_key=idempotency_key,
            started_at=now,
            report_by=now + REPORT_WITHIN,
        )
        record(
            caller.tenant_id,
            EntryDraft(
                kind="grant.used",
                fields={
                    "grant": {"id": grant.wire_id},
                    "review": {"id": review.wire_id},
                    "execution": execution.wire_id,
                    "action_id": review.action_id,
                    "call_digest": grant.call_digest,
                },
                actor=agent_actor(caller, review.agent),
                refs=(review.entry_uid,),
            ),
        )
        return Started(execution=execution, call_digest=grant.call_digest, replayed=False)


def _record_mismatch(caller: Caller, grant_id: str, *, now: datetime) -> None:
    """Keep that somebody tried to run something else than was approved; the refusal itself left nothing behind."""
    with as_tenant(caller.tenant_id):
        grant = _own(caller, Grant).select_related("review__agent").get(pk=parse_wire_id("gr", grant_id))
        # One entry a minute is enough to know; a loop must not fill the log.
        if grant.mismatched_at is not None and now - grant.mismatched_at < MISMATCH_RESOLUTION:
            return
        grant.mismatched_at = now
        grant.save(update_fields=["mismatched_at"])
        review = grant.review
        record(
            caller.tenant_id,
            EntryDraft(
                kind="grant.mismatch",
                fields={
                    "grant": {"id": grant.wire_id},
                    "review": {"id": review.wire_id},
                    "action_id": review.action_id,
                    "call_digest": grant.call_digest,
                },
                actor=agent_actor(caller, review.agent),
                refs=(review.entry_uid,),
            ),
        )
    log.critical("a run with other params than were approved was refused", extra={"grant": grant_id})


def report(caller: Caller, execution_id: str, outcome: OutcomeIn, *, now: datetime) -> Execution:
    """Record the outcome of a started execution, once. The same outcome again is accepted, another is OutcomeRecorded."""
    with as_tenant(caller.tenant_id):
        execution: Execution | None = (
            _own(caller, Execution)
            .select_for_update(no_key=True, of=("self",))
            .select_related("agent", "grant__review")
            .filter(pk=parse_wire_id("ex", execution_id))
            .first()
        )
        if execution is None:
            raise NotFound
        if execution.reported_at is not None:
            if execution.state == outcome.outcome:
                return execution
            raise OutcomeRecorded
        _apply(execution, outcome, now=now)
        execution.save(update_fields=["state", "reported_at", "duration_ms", "reference", "error"])
        _record_outcome(execution, actor=agent_actor(caller, execution.agent))
        return execution


def report_allowed(caller: Caller, call_id: str, outcome: OutcomeIn, *, now: datetime) -> Execution:
    """Record the outcome of a plain allow in one. Raises NotFound for a call that was not this caller's allow."""
    with as_tenant(caller.tenant_id):
        call = parse_wire_id("tc", call_id)
        key = (
            _own(caller, IdempotencyKey)
            .select_for_update(no_key=True, of=("self",))
            .select_related("agent")
            .filter(call_id=call, decision="allow", environment=caller.environment)
            .first()
        )
        if key is None or call is None:
            raise NotFound
        execution = Execution.objects.filter(call_id=call).first()
        if execution is not None:
            if execution.state == outcome.outcome:
                return execution
            raise OutcomeRecorded
        answer = json.loads(key.answer_text)
        execution = Execution(tenant_id=caller.tenant_id, agent=key.agent, call_id=call, started_at=now)
        _apply(execution, outcome, now=now)
        execution.save(force_insert=True)
        entry = answer["receipt"]["entry_id"]
        _record_outcome(execution, actor=agent_actor(caller, execution.agent), refs=(entry,))
        return execution


def mark_unknown(tenant_id: UUID, *, now: datetime, limit: int = 200) -> int:
    """Write down that nobody reported an outcome in time; how many. A late report is still taken."""
    with as_tenant(tenant_id):
        executions = list(
            Execution.objects.select_for_update(no_key=True, of=("self",), skip_locked=True)
            .select_related("grant__review")
            .filter(tenant_id=tenant_id, state=Execution.State.STARTED, report_by__lte=now)
            .order_by("pk")[:limit]
        )
        for execution in executions:
            execution.state = Execution.State.UNKNOWN
            execution.save(update_fields=["state"])
            _record_outcome(execution, actor=Actor(type="system", id="clock"))
    return len(executions)


def _own(caller: Caller, model: type[Any]) -> Any:
    """The caller's rows of a model: its agent's, or its tenant's for a gateway key."""
    rows = model.objects.filter(tenant_id=caller.tenant_id)
    return rows.filter(agent=caller.agent) if caller.agent is not None else rows


def _apply(execution: Execution, outcome: OutcomeIn, *, now: datetime) -> None:
    execution.state = outcome.outcome
    execution.reported_at = now
    execution.duration_ms = outcome.duration_ms
    execution.reference = outcome.reference or ""
    execution.error = outcome.error or ""


def _record_outcome(execution: Execution, *, actor: Actor, refs: tuple[str, ...] = ()) -> None:
    fields: dict[str, object] = {
        "outcome": execution.state,
        "execution": execution.wire_id,
        "call": wire_id("tc", execution.call_id),
    }
    if execution.grant is not None:
        review = execution.grant.review
        fields["action_id"] = review.action_id
        fields["grant"] = {"id": execution.grant.wire_id}
        fields["review"] = {"id": review.wire_id}
        refs = (review.entry_uid, *refs)
    if execution.duration_ms is not None:
        fields["duration_ms"] = execution.duration_ms
    # The caller's own words: erasable, like everything it chose.
    disclosures = tuple(
        Disclosure(name, json.dumps(value, ensure_ascii=False))
        for name, value in (("reference", execution.reference), ("error", execution.error))
        if value
    )
    record(
        execution.tenant_id,
        EntryDraft(
            kind="call.outcome",
            fields=fields,
            actor=actor,
            refs=refs,
            disclosures=disclosures,
        ),
    )
