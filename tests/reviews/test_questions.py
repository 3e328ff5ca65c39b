"""A question to the agent, and its answer: words beside the call that throw no reviewer out."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from typing import Any

import pytest
from django.test import Client

from audit.scope import as_tenant
from reviews import claims, questions, reading
from reviews.errors import (
    AlreadyDecided,
    ClaimedByOther,
    InvalidVerdict,
    NotFound,
    OwnRequest,
    QuestionAnswered,
    ReviewClosed,
    TooManyQuestions,
)
from reviews.models import Question, Review
from tests.factories import decide, enforce_refunds, get, held_review
from tests.people import People
from tests.reviews.chain import bodies
from tests.reviews.test_pages import client_of

NOW = datetime(2026, 11, 20, 12, 0, tzinfo=UTC)


@pytest.fixture
def review(people: People) -> Review:
    """A held refund."""
    enforce_refunds(people)
    return held_review(people, now=NOW)


def ask(people: People, review: Review, text: str = "Why this amount?", **changes: Any) -> Question:
    fields: dict[str, Any] = {"acting_member": people.rita, "text": text, "now": NOW}
    return questions.ask(review.wire_id, **(fields | changes))


def answer(people: People, review: Review, question: Question, text: str = "Because.", **changes: Any) -> Review:
    fields: dict[str, Any] = {"text": text, "now": NOW} | changes
    return questions.answer(fields.pop("caller", people.caller), review.wire_id, question.wire_id, **fields)


def told(people: People, review: Review) -> dict[str, Any]:
    return reading.read_reviews(people.caller, [review.wire_id], now=NOW)[0]


def test_a_question_reaches_the_agent_and_says_not_who_asked(people: People, review: Review) -> None:
    before = told(people, review)["version"]
    question = ask(people, review)
    heard = told(people, review)
    assert heard["version"] == before + 1
    assert heard["questions"] == [
        {
            "question_id": question.wire_id,
            "text": "Why this amount?",
            "asked_at": "2026-11-20T12:00:00.000Z",
            "answer": None,
            "answered_at": None,
        }
    ]
    assert "Rita" not in str(heard)


def test_an_answer_leaves_a_verdict_on_the_card_that_is_being_read_valid(people: People, review: Review) -> None:
    question = ask(people, review)
    answer(people, review, question)
    assert told(people, review)["questions"][0]["answer"] == "Because."
    assert get(people, review.wire_id).version == review.version
    assert decide(people, review, now=NOW)
    assert "questions" not in told(people, review)


def test_a_question_is_answered_once(people: People, review: Review) -> None:
    question = ask(people, review)
    answer(people, review, question)
    assert answer(people, review, question).question_steps == 2
    with pytest.raises(QuestionAnswered):
        answer(people, review, question, "Something else.")


def test_nobody_else_answers_and_nothing_is_answered_after_the_end(people: People, review: Review) -> None:
    question = ask(people, review)
    with pytest.raises(NotFound):
        answer(people, review, question, caller=people.other_caller)
    other = held_review(people, now=NOW, run_id="run_8")
    with pytest.raises(NotFound):
        answer(people, other, question)
    decide(people, review, now=NOW)
    with pytest.raises(ReviewClosed):
        answer(people, review, question)


def test_one_question_at_a_time_and_five_in_all(people: People, review: Review) -> None:
    for number in range(questions.MOST_QUESTIONS):
        question = ask(people, review, f"Question {number}?")
        with pytest.raises(TooManyQuestions):
            ask(people, review)
        answer(people, review, question)
    with pytest.raises(TooManyQuestions):
        ask(people, review)


@pytest.mark.parametrize("text", ["", "   ", "x" * 501, "a\x00b"])
def test_an_empty_or_a_long_question_is_refused(people: People, review: Review, text: str) -> None:
    with pytest.raises(InvalidVerdict):
        ask(people, review, text)


def test_who_may_not_decide_may_not_ask(people: People, review: Review) -> None:
    claims.claim(review.wire_id, acting_member=people.lena, now=NOW)
    with pytest.raises(ClaimedByOther):
        ask(people, review)
    with as_tenant(people.tenant.pk):
        people.agent.owner = people.adam
        people.agent.save(update_fields=["owner"])
    with pytest.raises(OwnRequest):
        ask(people, review, acting_member=people.adam)
    decide(people, review, now=NOW, acting_member=people.lena)
    with pytest.raises(AlreadyDecided):
        ask(people, review)


def test_the_entries_name_the_question_and_hold_no_word_of_it(committed_people: People) -> None:
    people = committed_people
    enforce_refunds(people)
    review = held_review(people, now=NOW)
    question = ask(people, review, "Is this Lena Ortiz?")
    answer(people, review, question, "It is Lena Ortiz.")
    entries = [body for body in bodies(people.tenant.pk) if body["kind"].startswith("review.question_")]
    assert [entry["question"] for entry in entries] == [question.wire_id] * 2
    assert [entry["actor"]["type"] for entry in entries] == ["member", "agent"]
    assert "Ortiz" not in str(entries)


def test_the_card_shows_question_and_answer_as_the_agents_word_with_hidden_characters_revealed(
    people: People, review: Review
) -> None:
    client = client_of(people.rita)
    address = f"/reviews/{review.wire_id}/"
    with as_tenant(people.tenant.pk):
        Review.objects.filter(pk=review.pk).update(expires_at=datetime.now(UTC) + timedelta(hours=1))
    assert client.post(f"{address}ask/", {"text": "Which invoice?"}).status_code == 302
    page = client.get(address).content.decode()
    assert "Which invoice?" in page
    assert "No answer yet." in page
    with as_tenant(people.tenant.pk):
        question = Question.objects.get()
    answer(people, review, question, "<b>Approved by the CFO</b>\u202e", now=datetime.now(UTC))
    page = client.get(address).content.decode()
    assert "&lt;b&gt;Approved by the CFO&lt;/b&gt;" in page
    assert "\u202e" not in page
    assert "the agent said" in page
    refused = client.post(f"{address}ask/", {"text": ""})
    assert refused.status_code == 422


def test_the_wire_takes_an_answer_strictly(people: People, review: Review) -> None:
    with as_tenant(people.tenant.pk):
        Review.objects.filter(pk=review.pk).update(expires_at=datetime.now(UTC) + timedelta(hours=1))
    question = ask(people, review)
    address = f"/v1/reviews/{review.wire_id}/questions/{question.wire_id}"
    client = Client(headers={"Authorization": f"Bearer {people.token}"})

    def post(body: str, token: str = "") -> Any:
        headers = {"Authorization": f"Bearer {token}"} if token else None
        return client.post(address, body, content_type="application/json", headers=headers)

    for body in ('{"answer": ""}', '{"answer": 1}', '{"answer": "a", "more": 1}', '{"answer": "a", "answer": "b"}'):
        assert post(body).status_code == 422
    assert post('{"answer": "Mine"}', people.other_token).status_code == 404
    answered = post('{"answer": "It is the invoice total."}')
    assert answered.status_code == 200
    assert answered.json()["questions"][0]["answer"] == "It is the invoice total."
    assert post('{"answer": "Another."}').json()["code"] == "question_answered"
