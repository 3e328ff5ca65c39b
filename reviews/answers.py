"""What `/v1` says back, as JSON members. Source: integrations.md sections 1.1 to 1.3."""

from __future__ import annotations

import json
from datetime import UTC, datetime
from typing import Any

from django.conf import settings

from audit.ids import wire_id
from policy.evaluate import Ruling
from reviews.models import Execution, Grant, Question, Review, Verdict
from reviews.states import PENDING_STATES, State, VerdictKind
from reviews.verdict_words import message_for


def timestamp(value: datetime | None) -> str | None:
    """RFC 3339 in UTC, or None."""
    return value.astimezone(UTC).isoformat(timespec="milliseconds").replace("+00:00", "Z") if value else None


def review_url(review: Review) -> str:
    """Where a person decides it."""
    return f"{settings.GUARDSITE_URL}/reviews/{review.wire_id}/"


def review_summary(review: Review, *, now: datetime) -> dict[str, Any]:
    """The `review` member of an evaluate answer, as of now."""
    return {
        "state": review.wire_state_at(now),
        "version": review.wire_version_at(now),
        "expires_at": timestamp(review.expires_at),
        "url": review_url(review),
    }


def evaluated(
    *,
    call_id: str,
    decision: str,
    ruling: Ruling,
    code: str | None,
    message: str,
    call_digest: str,
    receipt: dict[str, Any],
    review: Review | None,
    grant: Grant | None,
    valid_until: datetime | None,
    now: datetime,
) -> dict[str, Any]:
    """The answer to one evaluated call."""
    revision = None
    if ruling.revision_number is not None:
        revision = {"id": str(ruling.revision_number), "hash": f"sha256:{ruling.revision_sha256}"}
    return {
        "call_id": call_id,
        "decision": decision,
        "effect": ruling.effect,
        "mode": ruling.mode,
        "code": code,
        "rule": ruling.primary.rule_id if ruling.primary else None,
        "message": message,
        "revision": revision,
        "call_digest": f"sha256:{call_digest}",
        "review_id": review.wire_id if review else None,
        "review": review_summary(review, now=now) if review else None,
        "receipt": receipt,
        "params": json.loads(text_to_run(review)) if review and grant else None,
        "amended": bool(review and grant and amended_of(review)),
        "grant": granted(grant) if grant else None,
        "valid_until": timestamp(valid_until),
        "replayed": False,
    }


def granted(grant: Grant) -> dict[str, Any]:
    """The `grant` member."""
    return {"grant_id": grant.wire_id, "expires_at": timestamp(grant.expires_at)}


def reviewed(review: Review, *, now: datetime) -> dict[str, Any]:
    """A review as its caller sees it: a verdict on hold is still pending; the note for the record never leaves."""
    state = review.told_state_at(now)
    verdict = review.verdict if state is State.RELEASED else None
    approved = verdict is not None and verdict.kind != VerdictKind.DENY
    grant = next((grant for grant in review.grants.all() if grant.voided_at is None), None) if approved else None
    amended = amended_of(review) if grant else None
    members = {
        "review_id": review.wire_id,
        "call_id": wire_id("tc", review.call_id),
        "action_id": review.action_id,
        "state": review.wire_state_at(now),
        "version": review.wire_version_at(now),
        "verdict": verdict.kind if verdict else None,
        "rule": review.rule_id or None,
        "message": _message(review, state, verdict),
        "amended": amended is not None,
        "call_digest": f"sha256:{amended.amended_digest if amended else review.call_digest}",
        "params": json.loads(text_to_run(review)) if grant else None,
        "grant": granted(grant) if grant else None,
        "expires_at": timestamp(review.expires_at),
        "duplicate_of": wire_id("rv", review.duplicate_of_id)
        if review.duplicate_of_id and review.told_state_at(now) is State.SUPERSEDED
        else None,
        "url": review_url(review),
    }
    if state in PENDING_STATES and review.question_steps:
        members["questions"] = [asked(question) for question in review.questions.all()]
    return members


def asked(question: Question) -> dict[str, Any]:
    """A reviewer's question as the agent sees it: what is asked, never by whom."""
    return {
        "question_id": question.wire_id,
        "text": question.text,
        "asked_at": timestamp(question.asked_at),
        "answer": question.answer or None,
        "answered_at": timestamp(question.answered_at),
    }


def amended_of(review: Review) -> Verdict | None:
    """The verdict that decided the review with other params than were asked, if one did."""
    verdict = review.verdict
    return verdict if verdict is not None and verdict.amended_params_text else None


def text_to_run(review: Review) -> str:
    """The canonical params that a decided review lets run."""
    amended = amended_of(review)
    return amended.amended_params_text if amended else review.params_text


def verdict_message(verdict: Verdict) -> str:
    """What the agent is told: the reviewer's words, else the verdict and its reason in plain words."""
    return verdict.message or message_for(verdict.kind, verdict.code)


def _message(review: Review, state: State, verdict: Verdict | None) -> str:
    if verdict is not None:
        return verdict_message(verdict)
    return {
        State.EXPIRED: "No one decided in time, so the call was denied.",
        State.CANCELLED: "The call was withdrawn.",
        State.SUPERSEDED: "Another copy of this call was decided, so this one does not run.",
    }.get(state, review.reason)


def executed(execution: Execution, *, call_digest: str | None, replayed: bool) -> dict[str, Any]:
    """An execution as its caller sees it."""
    return {
        "execution_id": execution.wire_id,
        "state": execution.state,
        "call_digest": f"sha256:{call_digest}" if call_digest else None,
        "report_by": timestamp(execution.report_by),
        "replayed": replayed,
    }
