"""A tenant with its people, and a second one with Nia."""

from __future__ import annotations

import pytest

from policy import catalog, live
from tests.people import People, make_people


@pytest.fixture
def people(db: None) -> People:
    """Everybody, in a database that rolls back; no policy is left in this process's cache."""
    live._cache.clear()
    catalog._known.clear()
    return make_people()


@pytest.fixture
def stored(cloned_db: dict[str, str]) -> People:
    """Everybody, in a database of the test's own where commits are real: for reading the log as its reader."""
    live._cache.clear()
    catalog._known.clear()
    return make_people()
