"""What a reviewer asks the agent before deciding, and what it answers: words beside the call, never a change of it.

An answer leaves the version that verdicts are bound to as it is, and raises the version on the wire: a long poll wakes,
a reviewer who is typing is not thrown out.
"""

from __future__ import annotations

import json
from datetime import datetime
from typing import Final
from uuid import UUID

from django.db import connection, transaction

from audit.ids import parse_wire_id
from audit.record import Disclosure, EntryDraft, record
from audit.scope import as_tenant
from reviews.access import access_review_to_decide
from reviews.callers import agent_actor, agents_review
from reviews.claims import member_actor, require_open
from reviews.errors import ClaimedByOther, InvalidVerdict, NotFound, QuestionAnswered, ReviewClosed, TooManyQuestions
from reviews.models import Draft, Question, Review
from reviews.resumers.poll import CHANNEL
from reviews.states import State
from tenants.keys import Caller
from tenants.models import Member

MAX_QUESTION: Final = 500
MAX_ANSWER: Final = 2000
MOST_QUESTIONS: Final = 5


def ask(wire_id: str, *, acting_member: Member, text: str, now: datetime) -> Question:
    """The question, recorded; the agent sees it on its next look, which is at once where it waits.

    One at a time, five in all. Raises InvalidVerdict for an empty or a long one, TooManyQuestions, ClaimedByOther,
    AlreadyDecided, Expired, OwnRequest, NotFound, PermissionDenied.
    """
    words = text.strip()
    if not words or len(words) > MAX_QUESTION or "\x00" in words:
        raise InvalidVerdict(
            "The question was not sent.", errors={"text": f"Ask something, within {MAX_QUESTION} characters."}
        )
    with as_tenant(acting_member.tenant_id):
        review_id = access_review_to_decide(acting_member, wire_id).pk
        review = _locked(review_id)
        require_open(review, now=now)
        if review.is_claimed_by_other(acting_member, now=now):
            raise ClaimedByOther(claimed_by=review.claimed_by, claimed_until=review.claimed_until)
        asked = list(Question.objects.filter(review=review))
        if len(asked) >= MOST_QUESTIONS or any(question.answered_at is None for question in asked):
            raise TooManyQuestions
        question = Question.objects.create(
            tenant_id=review.tenant_id, review=review, member=acting_member, text=words, asked_at=now
        )
        record(
            review.tenant_id,
            EntryDraft(
                kind="review.question_asked",
                fields={
                    "review": {"id": review.wire_id},
                    "action_id": review.action_id,
                    "question": question.wire_id,
                },
                actor=member_actor(acting_member),
                refs=(review.entry_uid,),
                disclosures=(Disclosure("question", json.dumps(words, ensure_ascii=False)),),
            ),
        )
        Draft.objects.filter(review=review, member=acting_member, panel="ask").delete()
        _tell(review)
        return question


def answer(caller: Caller, wire_id: str, question_id: str, *, text: str, now: datetime) -> Review:
    """Keep the agent's answer, once. The same answer again changes nothing.

    Raises QuestionAnswered for another one, ReviewClosed after the end of the review, NotFound.
    """
    with as_tenant(caller.tenant_id):
        review = _locked(agents_review(caller, wire_id).pk)
        found = parse_wire_id("qu", question_id)
        if found is None:
            raise NotFound
        question = Question.objects.select_for_update(no_key=True, of=("self",)).filter(review=review, pk=found).first()
        if question is None:
            raise NotFound
        if question.answered_at is not None:
            if question.answer == text:
                return review
            raise QuestionAnswered
        if review.state_at(now) is not State.OPEN:
            raise ReviewClosed
        question.answer, question.answered_at = text, now
        question.save(update_fields=["answer", "answered_at"])
        record(
            review.tenant_id,
            EntryDraft(
                kind="review.question_answered",
                fields={
                    "review": {"id": review.wire_id},
                    "action_id": review.action_id,
                    "question": question.wire_id,
                },
                actor=agent_actor(caller, review.agent),
                refs=(review.entry_uid,),
                disclosures=(Disclosure("answer", json.dumps(text, ensure_ascii=False)),),
            ),
        )
        _tell(review)
        return review


def _locked(review_id: UUID) -> Review:
    return (
        Review.objects.select_for_update(no_key=True, of=("self",))
        .select_related("agent", "claimed_by__user")
        .get(pk=review_id)
    )


def _tell(review: Review) -> None:
    """Count the step, and wake who waits for the review once it is committed; a lost notice costs one look."""
    review.question_steps += 1
    review.save(update_fields=["question_steps"])

    def notify() -> None:
        with connection.cursor() as cursor:
            cursor.execute("SELECT pg_notify(%s, %s)", [CHANNEL, review.pk.hex])

    transaction.on_commit(notify, robust=True)
