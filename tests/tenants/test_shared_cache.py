"""The cache that all web processes share."""

from __future__ import annotations

from concurrent.futures import ThreadPoolExecutor
from datetime import timedelta

import pytest
import time_machine
from django.core.cache import cache
from django.db import connection, connections
from django.utils import timezone

from tenants import shared_cache


def test_a_value_is_there_until_it_expires(db: None, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(shared_cache, "SWEEP_ONE_IN", 1)
    start = timezone.now()
    with time_machine.travel(start, tick=False) as clock:
        cache.set("a", [1.5, 2], 30)
        cache.set("forever", True, None)
        assert cache.get("a") == [1.5, 2]
        assert cache.touch("a", 60)
        clock.move_to(start + timedelta(seconds=59))
        assert cache.get("a") == [1.5, 2]
        clock.move_to(start + timedelta(seconds=60))
        assert cache.get("a", "gone") == "gone"
        assert not cache.touch("a", 60)
        assert cache.get("forever") is True
        cache.set("b", 1)
        with connection.cursor() as cursor:
            cursor.execute("SELECT count(*) FROM guardsite_cache")
            assert cursor.fetchone()[0] == 2, "what expired is swept"
        assert cache.delete("b")
        assert not cache.delete("b")
        cache.clear()
        assert cache.get("forever") is None


def test_add_is_refused_while_a_value_is_there(db: None) -> None:
    start = timezone.now()
    with time_machine.travel(start, tick=False) as clock:
        assert cache.add("code", "y", 30)
        assert not cache.add("code", "z", 30)
        clock.move_to(start + timedelta(seconds=30))
        assert cache.add("code", "z", 30)
        assert cache.get("code") == "z"


def test_of_many_at_once_one_adds(cloned_db: dict[str, str]) -> None:
    def add(number: int) -> bool:
        try:
            return bool(cache.add("code", number, 30))
        finally:
            connections.close_all()

    with ThreadPoolExecutor(8) as pool:
        assert sum(pool.map(add, range(24))) == 1


def test_a_row_in_the_table_is_data_and_never_code(db: None) -> None:
    # Base64 of a pickle, which Django's own backend would run.
    with connection.cursor() as cursor:
        cursor.execute(
            "INSERT INTO guardsite_cache VALUES (%s, %s, now() + interval '1 hour')",
            [cache.make_key("a"), "gASVHgAAAAAAAACMBXBvc2l4lIwGc3lzdGVtlJOUjAN0cnWUhZRSlC4="],
        )
    with pytest.raises(ValueError, match="Expecting value"):
        cache.get("a")
