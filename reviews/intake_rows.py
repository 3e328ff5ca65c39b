"""What an evaluated call becomes: the plan, the entry with its disclosures, the held review. Nothing here writes."""

from __future__ import annotations

import json
import time
from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import datetime
from typing import Any
from uuid import UUID

from audit.canonical import canonical
from audit.ids import wire_id
from audit.record import Disclosure, EntryDraft, Recorded
from policy import counters, shadow
from policy.evaluate import RuleHit, Ruling
from policy.judges import Judgement
from policy.tools import UNKNOWN, ToolFacts
from reviews.callers import agent_actor
from reviews.content import CallContent
from reviews.floods import RATE_LIMITED
from reviews.models import Review
from reviews.sla import deadlines
from reviews.wire import EvaluateIn
from tenants.keys import Caller
from tenants.models import Agent


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
    judgements: tuple[Judgement, ...] = ()
    policy_effect: str = ""  # before the judges
    tool: ToolFacts = UNKNOWN
    compared: shadow.Difference | None = None
    stats: Mapping[str, int] = field(default_factory=dict)  # the counters that rules saw
    held: tuple[counters.Held, ...] = ()  # what this call added to them


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


def draft_entry(caller: Caller, plan: Plan, outcome: Settled) -> EntryDraft:
    """The `call.evaluated` entry: identifiers and numbers in the body, everything chosen by the caller disclosed."""
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
    if plan.stats:
        fields["counters"] = dict(plan.stats)
    if plan.tool.is_drifted:
        fields["tool"] = {"accepted_sha256": plan.tool.accepted_sha256, "offered_sha256": plan.tool.offered_sha256}
    if ruling.frozen_by is not None:
        fields["freeze"] = ruling.frozen_by
    if plan.judgements:
        fields["judges"] = [_judge_fields(judgement) for judgement in plan.judgements]
        fields["policy_effect"] = plan.policy_effect
    if ruling.primary is not None:
        fields["rule"] = {"id": ruling.primary.rule_id}
    if ruling.revision_id is not None:
        fields["revision"] = {"id": ruling.revision_id, "sha256": ruling.revision_sha256}
    if outcome.code == RATE_LIMITED:
        fields["code"] = RATE_LIMITED
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
        disclosures=_disclosures(plan, message=outcome.message if outcome.code == RATE_LIMITED else plan.message),
    )


def _disclosures(plan: Plan, *, message: str) -> tuple[Disclosure, ...]:
    request = plan.request
    values = [Disclosure("call_salt", json.dumps(plan.salt)), Disclosure("reason", json.dumps(message))]
    for root, mapping in (("params", request.params), ("user_context", request.user_context)):
        # Canonical text, as the digest covers it: docs/adr/0003.
        values += [Disclosure(f"{root}.{key}", canonical(value).decode()) for key, value in mapping.items()]
    leaves = [{"rule": hit["rule_id"], "leaves": hit["leaves"]} for hit in _hits(plan.ruling) if hit["leaves"]]
    if leaves:
        values.append(Disclosure("explanation", json.dumps(leaves, ensure_ascii=False)))
    if reasons := [{"judge": one.judge, "reason": one.reason} for one in plan.judgements if one.reason]:
        values.append(Disclosure("judges", json.dumps(reasons, ensure_ascii=False)))
    if request.raw_arguments is not None:
        values.append(Disclosure("raw_arguments", json.dumps(request.raw_arguments, ensure_ascii=False)))
    return tuple(values)


def held_review(
    caller: Caller, plan: Plan, review_id: UUID | None, entry: Recorded, *, count: int, now: datetime
) -> Review:
    """The unsaved review of a held call, with everything that a card needs frozen on it."""
    assert review_id is not None
    ruling, request = plan.ruling, plan.request
    clocks = deadlines(
        now, due_seconds=ruling.due_in_seconds, expires_seconds=ruling.expires_in_seconds, hours=ruling.hours
    )
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
        approvals_needed=max(ruling.quorum, 2 if ruling.tier >= 4 else 1),
        team=ruling.team or "",
        escalate_to=ruling.escalate_to or "",
        suggestions=[{"pointer": one.pointer, "value": one.value, "rule": one.rule} for one in ruling.suggestions],
        hold_seconds=ruling.hold_seconds,
        rule_id=ruling.primary.rule_id if ruling.primary else "",
        rule_name=ruling.primary.name if ruling.primary else "",
        reason=plan.message[:500],
        hits=[*_hits(ruling), *(_judge_hit(one) for one in plan.judgements if one.asks_for)],
        tool_accepted_sha256=plan.tool.accepted_sha256,
        tool_offered_sha256=plan.tool.offered_sha256,
        revision_id=ruling.revision_id or "",
        revision_number=ruling.revision_number,
        revision_sha256=ruling.revision_sha256 or "",
        created_at=now,
        due_at=clocks.due_at,
        expires_at=clocks.expires_at,
        caller_seen_at=now,
    )


def _hits(ruling: Ruling) -> list[dict[str, Any]]:
    return [_hit(hit) for hit in (*ruling.matched, *ruling.errors)]


def _judge_fields(judgement: Judgement) -> dict[str, object]:
    """What a judge said, in the entry's terms: identifiers and whole numbers. Enough to replay without asking."""
    fields: dict[str, object] = {
        "id": judgement.judge,
        "result": judgement.result,
        "elapsed_ms": judgement.elapsed_ms,
    }
    if judgement.model:
        fields["model"] = judgement.model
    if judgement.score is not None:
        fields["score_permille"] = round(judgement.score * 1000)
    return fields


def _judge_hit(judgement: Judgement) -> dict[str, Any]:
    """A judge that asks for more, as the card shows a hit: its reason where a rule's note would be."""
    return {
        "rule_id": f"judge:{judgement.judge}",
        "name": judgement.label,
        "effect": judgement.asks_for,
        "reason": "",
        "note": judgement.reason if judgement.has_answered else "",
        "result": "match" if judgement.has_answered else "error",
        "error": None if judgement.has_answered else judgement.reason,
        "leaves": [],
    }


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
