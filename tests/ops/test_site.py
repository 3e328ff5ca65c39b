"""Health, system checks and logs of the site."""

from __future__ import annotations

import io
import json
import logging

import pytest
from django.core.checks import run_checks
from django.db import connections
from django.test import Client, override_settings
from pytest_django import DjangoDbBlocker

from guardsite import checks, health, logs

MARKER = "zebra-4711"


def test_healthz_answers_any_host_without_a_database(django_db_blocker: DjangoDbBlocker) -> None:
    answer = Client(headers={"host": "10.0.0.7"}).get("/healthz")
    assert (answer.status_code, answer.json()) == (200, {"status": "ok"})


def test_readyz_is_200_once_all_migrations_are_applied(
    cloned_db: dict[str, str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(health, "_migrations_are_applied", False)
    assert Client(headers={"host": "10.0.0.7"}).get("/readyz").json() == {"status": "ready"}


def test_readyz_is_503_while_a_migration_is_missing(cloned_db: dict[str, str], monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(health, "_migrations_are_applied", False)
    with connections["owner"].cursor() as cursor:
        cursor.execute("DELETE FROM django_migrations WHERE app = 'audit'")
    answer = Client().get("/readyz")
    assert answer.status_code == 503
    assert "migrations are not applied" in answer.json()["because"]


def test_readyz_is_503_without_the_database(cloned_db: dict[str, str], monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(connections.settings["default"], "NAME", "guardsite_no_database_here")
    answer = Client().get("/readyz")
    assert answer.status_code == 503
    assert answer.json() == {"status": "not ready", "because": "The database does not answer (OperationalError)."}
    assert Client().get("/healthz").status_code == 200


@pytest.mark.parametrize(
    ("url", "found"),
    [
        ("http://localhost:8000", []),
        ("http://127.0.0.1:8000", []),
        ("https://guard.example", []),
        ("http://guard.example", ["guardsite.W001"]),
        ("https://203.0.113.7", ["guardsite.E001"]),
    ],
)
def test_site_url_is_checked(url: str, found: list[str]) -> None:
    with override_settings(GUARDSITE_URL=url):
        assert [message.id for message in checks.check_site_url()] == found


def test_few_free_connections_are_a_warning(cloned_db: dict[str, str], monkeypatch: pytest.MonkeyPatch) -> None:
    assert [m.id for m in run_checks(databases=["default"]) if m.id == "guardsite.W002"] == []
    monkeypatch.setattr(checks, "MOST_CONNECTIONS", 0)
    assert [m.id for m in run_checks(databases=["default"]) if m.id == "guardsite.W002"] == ["guardsite.W002"]


def _written(record: logging.LogRecord, *, as_json: bool) -> str:
    stream = io.StringIO()
    handler = logging.StreamHandler(stream)
    handler.setFormatter(logs.OneLine(as_json=as_json))
    handler.handle(record)
    return stream.getvalue()


@pytest.mark.parametrize("as_json", [True, False])
def test_traceback_is_places_without_values(as_json: bool) -> None:
    def refuse(secret: str) -> None:
        raise ValueError(f"cannot use {secret}")

    try:
        refuse(MARKER)
    except ValueError as error:
        info = (type(error), error, error.__traceback__)
    record = logging.LogRecord("guardsite.x", logging.ERROR, __file__, 1, "it failed", None, info)
    record.request = {"params": MARKER}
    record.review_id = "rv_1"
    line = _written(record, as_json=as_json)
    assert MARKER not in line
    assert line.count("\n") == 1
    assert "ValueError" in line
    assert "refuse:test_site.py:" in line
    assert "rv_1" in line


def test_paths_and_task_arguments_of_libraries_are_left_out() -> None:
    record = logging.LogRecord("django.request", logging.WARNING, "", 1, "Not Found: %s", (f"/x?token={MARKER}",), None)
    assert json.loads(_written(record, as_json=True))["event"] == "Not Found"
    context = {"id": "t1", "name": "reviews.tasks.deliver_resume", "args": [MARKER], "kwargs": "", "runtime": 0.0312}
    record = logging.LogRecord("celery.app.trace", logging.INFO, "", 1, "Task %(name)s", (context,), None)
    line = json.loads(_written(record, as_json=True))
    assert (line["event"], line["task"], line["task_id"], line["seconds"]) == (
        "task succeeded",
        "reviews.tasks.deliver_resume",
        "t1",
        0.031,
    )
    assert MARKER not in json.dumps(line)


def test_sweeps_that_succeed_are_not_shown_to_a_person() -> None:
    quiet = logs.WithoutSweeps()
    for name, level, shown in (
        ("reviews.tasks.sweep_expiries", logging.INFO, False),
        ("reviews.tasks.sweep_expiries", logging.ERROR, True),
        ("reviews.tasks.deliver_resume", logging.INFO, True),
    ):
        record = logging.LogRecord("celery.app.trace", level, "", 1, "Task %(name)s", ({"name": name},), None)
        assert quiet.filter(record) is shown
