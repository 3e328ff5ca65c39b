"""The outbox: told at least once, by one worker at a time, whatever becomes of the message."""

from __future__ import annotations

import threading
import time
from datetime import UTC, datetime, timedelta

from django.db import connections

from audit.scope import as_tenant
from reviews import resumes
from reviews.models import Attempt, ResumeDelivery
from tests.factories import decide, enforce_refunds, get, held_review, refund_rule
from tests.people import People
from tests.processes import Desk
from tests.reviews.chain import bodies


def delivery_of(people: People, **filters: object) -> ResumeDelivery:
    """The one delivery row."""
    with as_tenant(people.tenant.pk):
        return ResumeDelivery.objects.get(**filters)


def test_a_delivery_is_not_made_before_it_is_due(committed_people: People) -> None:
    people = committed_people
    enforce_refunds(people, refund_rule(hold_seconds=30))
    now = datetime.now(UTC)
    review = held_review(people, now=now)
    decide(people, review, now=now)
    delivery = delivery_of(people)
    assert not resumes.deliver(people.tenant.pk, delivery.pk, now=now + timedelta(seconds=29))
    assert resumes.deliver(people.tenant.pk, delivery.pk, now=now + timedelta(seconds=30))
    assert not resumes.deliver(people.tenant.pk, delivery.pk, now=now + timedelta(seconds=31))
    assert delivery_of(people).state == "delivered"
    assert get(people, review.wire_id).state == "released"


def test_the_sweep_finds_what_a_lost_message_dropped(committed_people: People) -> None:
    people = committed_people
    enforce_refunds(people)
    now = datetime.now(UTC)
    for _ in range(3):
        decide(people, held_review(people, now=now), now=now)
    assert resumes.sweep(now=now) == 3
    assert resumes.sweep(now=now) == 0
    assert [body["kind"] for body in bodies(people.tenant.pk)].count("resume.delivered") == 3


def test_many_workers_make_one_attempt(committed_people: People) -> None:
    people = committed_people
    enforce_refunds(people)
    now = datetime.now(UTC)
    decide(people, held_review(people, now=now), now=now)
    delivery = delivery_of(people)
    told: list[bool] = []
    barrier = threading.Barrier(6)

    def work() -> None:
        try:
            barrier.wait(timeout=10)
            told.append(resumes.deliver(people.tenant.pk, delivery.pk, now=now))
        finally:
            connections.close_all()

    threads = [threading.Thread(target=work) for _ in range(6)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(timeout=30)
    assert sorted(told) == [False] * 5 + [True]
    with as_tenant(people.tenant.pk):
        assert Attempt.objects.count() == 1


def test_a_worker_that_died_between_call_and_record_is_followed_by_another(committed_people: People) -> None:
    people = committed_people
    enforce_refunds(people)
    now = datetime.now(UTC)
    decide(people, held_review(people, now=now), now=now)
    delivery = delivery_of(people)
    assert resumes._lease(people.tenant.pk, delivery.pk, now=now) is not None
    assert not resumes.deliver(people.tenant.pk, delivery.pk, now=now + timedelta(seconds=59))
    assert resumes.deliver(people.tenant.pk, delivery.pk, now=now + timedelta(seconds=60))
    assert delivery_of(people).attempt_count == 2


def test_a_verdict_succeeds_without_a_broker_and_the_sweep_delivers_it(desk: Desk, committed_people: People) -> None:
    people = committed_people
    enforce_refunds(people)
    review = held_review(people)
    desk.use_broker("redis://127.0.0.1:1/0")
    started = time.monotonic()
    decide(people, review)
    # The promise is 3 s; the bound is loose, since machines are shared: without the short retry it takes minutes.
    assert time.monotonic() - started < 15
    assert delivery_of(people).state == "waiting"
    assert resumes.sweep(now=datetime.now(UTC)) == 1
