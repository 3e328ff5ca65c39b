"""What every test may use: a database cloned from the migrated template, and the real processes on such a clone."""

from __future__ import annotations

import gc
import os
from collections.abc import Iterator
from contextlib import contextmanager

import pytest
from django.core.management import call_command
from django.db import connections
from django.db.backends.postgresql.base import DatabaseWrapper
from pytest_django import DjangoDbBlocker

from guardsite import testing
from reviews import limits
from tests.people import People, make_people
from tests.processes import Desk


def point_at(dbname: str) -> None:
    """Closes this thread's connections and points every alias, in every thread, at `dbname`."""
    for alias in connections:
        wrapper = connections[alias]
        assert isinstance(wrapper, DatabaseWrapper)
        wrapper.close()
        if wrapper.settings_dict["OPTIONS"].get("pool"):
            wrapper.close_pool()
        # Threads make their own wrappers from this dictionary.
        connections.settings[alias]["NAME"] = wrapper.settings_dict["NAME"] = dbname
    os.environ.update(testing.server().urls(dbname))


def migrate_as_owner(dbname: str) -> None:
    """Runs all migrations in `dbname`."""
    point_at(dbname)
    call_command("migrate", database="owner", verbosity=0, interactive=False)
    for wrapper in connections.all(initialized_only=True):
        wrapper.close()


@pytest.fixture(scope="session")
def template_database(django_test_environment: None, django_db_blocker: DjangoDbBlocker) -> str:
    """The name of the migrated template; built by whoever asks first."""
    name = testing.template_name()
    with django_db_blocker.unblock():
        testing.server().ensure_template(name, migrate_as_owner)
    return name


@pytest.fixture(scope="session")
def django_db_setup(template_database: str, django_db_blocker: DjangoDbBlocker) -> Iterator[None]:
    """One clone per xdist worker, in which ordinary tests roll back; replaces pytest-django's."""
    name = testing.new_name("worker")
    testing.server().clone(template_database, name)
    with django_db_blocker.unblock():
        point_at(name)
    yield
    with django_db_blocker.unblock():
        point_at("guardsite_no_database_here")
    testing.server().drop(name)


@contextmanager
def clone_of(template: str, name: str, blocker: DjangoDbBlocker) -> Iterator[dict[str, str]]:
    """A copy of the template under this name, at which every alias points meanwhile; gives child processes' environment."""
    before = str(connections.settings["default"]["NAME"])
    testing.server().clone(template, name)
    with blocker.unblock():
        point_at(name)
        try:
            yield os.environ | {"DJANGO_SETTINGS_MODULE": "guardsite.settings"}
        finally:
            point_at(before)
            testing.server().drop(name)


@pytest.fixture
def cloned_db(
    django_db_setup: None, template_database: str, django_db_blocker: DjangoDbBlocker
) -> Iterator[dict[str, str]]:
    """A database of the test's own, in which commits are real and every alias connects as its own role.

    Gives the environment for child processes. For threads too: each closes its connections before it ends
    (`connections.close_all()`). Needs no `django_db` mark, and does not go with one.
    """
    with clone_of(template_database, testing.clone_name(), django_db_blocker) as environment:
        yield environment


@pytest.fixture
def desk(cloned_db: dict[str, str]) -> Iterator[Desk]:
    """Starts real processes (web, worker, beat, notary) on this test's clone; stops them at the end."""
    desk = Desk(cloned_db)
    try:
        yield desk
    finally:
        desk.stop()


@pytest.fixture
def live_server_url(desk: Desk) -> str:
    """The address of a real uvicorn on this test's clone, such as http://localhost:41234."""
    return desk.start_web()


@pytest.fixture
def people(db: None) -> People:
    """Everybody, in a test that rolls back."""
    return make_people()


@pytest.fixture
def committed_people(cloned_db: dict[str, str]) -> People:
    """Everybody, in a database of the test's own: for threads, other roles and child processes."""
    return make_people()


@pytest.fixture(autouse=True)
def _no_memory_between_tests() -> Iterator[None]:
    """What a process remembers of a database is of no use in the next test's."""
    yield
    limits.reset()


@pytest.hookimpl(trylast=True)
def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """Browser tests last: Playwright leaves an event loop running in its thread, and Django then refuses the database.
    What takes long comes first in each half, so that no worker is left alone with it at the end.

    Whoever has people may read the log: the card's page does, as the auditor's role. In a test that rolls back, that
    role sees what was committed before, so nothing of the test's own.
    """
    items.sort(key=lambda item: ("tests/browser/" in item.nodeid, item.get_closest_marker("long") is None))
    for item in items:
        names = getattr(item, "fixturenames", ())
        # Without `db` they live in a database of the test's own, which goes with no mark.
        if {"people", "db"} <= set(names) and item.get_closest_marker("django_db") is None:
            item.add_marker(pytest.mark.django_db(databases=["default", "audit_reader"]))


def pytest_collection_finish() -> None:
    """What is there before the first test stays: a full collection then looks at what tests make, not at everything."""
    gc.collect()
    gc.freeze()
