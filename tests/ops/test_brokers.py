"""The same delivery on each broker, by the URL alone; and a verdict that needs none."""

from __future__ import annotations

import time
from collections.abc import Iterator
from contextlib import contextmanager
from fnmatch import fnmatch

import pytest
from pgmq.base import PGMQConfig
from psycopg.conninfo import conninfo_to_dict, make_conninfo

from audit.scope import as_tenant
from guardsite import broker, env
from guardsite.celery import app
from guardsite.processes import Part
from guardsite.programs import wait_for
from reviews.models import Attempt, ResumeDelivery, Verdict
from reviews.tasks import sweep_deliveries
from tests import factories
from tests.ops.brokers import rabbitmq_server, redis_server
from tests.people import People, make_people
from tests.processes import Desk, free_port


@contextmanager
def _postgres() -> Iterator[str]:
    yield "pgmq://"


BROKERS = {"pgmq": _postgres, "redis": redis_server, "rabbitmq": rabbitmq_server}


def _is_delivered(people: People, verdict: Verdict) -> bool:
    with as_tenant(people.tenant.pk):
        return ResumeDelivery.objects.filter(verdict=verdict, state=ResumeDelivery.State.DELIVERED).exists()


def _attempts(people: People, verdict: Verdict) -> int:
    with as_tenant(people.tenant.pk):
        return Attempt.objects.filter(delivery__verdict=verdict).count()


@pytest.mark.process
@pytest.mark.parametrize("name", BROKERS)
def test_verdict_is_delivered_whatever_the_broker(desk: Desk, name: str) -> None:
    people = make_people()
    factories.enforce_refunds(people)
    with BROKERS[name]() as url:
        desk.use_broker(url)
        # Sent before any worker ever ran: the message waits.
        early = factories.decide(people, factories.claimed_review(people))
        desk.start_worker()
        assert wait_for(lambda: _is_delivered(people, early), seconds=15), desk.log(Part.WORKER)
        # Sent to a running worker: the fast path.
        prompt = factories.decide(people, factories.claimed_review(people), "deny")
        assert wait_for(lambda: _is_delivered(people, prompt), seconds=5), desk.log(Part.WORKER)
        # The worker is killed, the verdict is given, every message is lost: the sweep finds the row.
        desk.kill(Part.WORKER)
        lost = factories.decide(people, factories.claimed_review(people))
        with app.connection_for_write() as connection, connection.channel() as channel:
            for queue in app.conf.task_queues:
                queue(channel).purge()
        assert not _is_delivered(people, lost)
        sweep_deliveries.delay()
        desk.start_worker()
        assert wait_for(lambda: _is_delivered(people, lost), seconds=15), desk.log(Part.WORKER)
        assert [_attempts(people, verdict) for verdict in (early, prompt, lost)] == [1, 1, 1]
        desk.stop()


@pytest.mark.process
@pytest.mark.parametrize("scheme", ["pgmq", "redis", "amqp"])
def test_verdict_succeeds_within_three_seconds_without_a_broker(
    desk: Desk, scheme: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    people = make_people()
    factories.enforce_refunds(people)
    review = factories.claimed_review(people)
    nowhere = f"127.0.0.1:{free_port()}"
    monkeypatch.setenv("BROKER_DATABASE_URL", f"postgresql://gs_broker@{nowhere}/guardsite")
    desk.use_broker("pgmq://" if scheme == "pgmq" else f"{scheme}://{nowhere}//")
    started = time.monotonic()
    verdict = factories.decide(people, review)
    assert time.monotonic() - started < 3.5
    with as_tenant(people.tenant.pk):
        delivery = ResumeDelivery.objects.get(verdict=verdict)
    assert delivery.state == ResumeDelivery.State.WAITING


@pytest.mark.parametrize(
    "url", ["memory://", "filesystem://", "sqla+sqlite:///x", "sqlalchemy://", "sqs://", "nonsense"]
)
def test_broker_that_loses_tasks_is_refused_by_name(monkeypatch: pytest.MonkeyPatch, url: str) -> None:
    monkeypatch.setenv("CELERY_BROKER_URL", url)
    with pytest.raises(env.BadEnvironment, match="CELERY_BROKER_URL"):
        broker.broker_url()


def test_every_task_of_ours_has_a_route_and_a_known_queue() -> None:
    app.loader.import_default_modules()
    names = {queue.name for queue in app.conf.task_queues}
    ours = [task for task in app.tasks if not task.startswith("celery.")]
    assert ours
    for task in ours:
        route = app.amqp.router.route({}, task)
        assert route["queue"].name in names
        assert any(fnmatch(task, pattern) for pattern in app.conf.task_routes), f"{task} has no route"


def test_no_task_outlives_the_visibility_of_its_message() -> None:
    assert app.conf.task_soft_time_limit < app.conf.task_time_limit < broker.VISIBILITY_SECONDS
    assert app.conf.task_acks_late
    assert app.conf.task_ignore_result
    assert app.conf.accept_content == ["json"]


def test_queue_library_gets_the_connection_that_was_meant() -> None:
    meant = {
        "host": "db.example",
        "port": "6432",
        "dbname": "the desk",
        "user": "gs_broker",
        "password": r"it's a \ pass=word",
        "sslmode": "verify-full",
        "sslrootcert": "/etc/a b.pem",
    }
    config = PGMQConfig(conn_string=broker.conn_string_for_pgmq(make_conninfo("", **meant)))
    assert conninfo_to_dict(config.dsn) == meant
