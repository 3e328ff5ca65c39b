"""Django's cache in one table of the database: what all web processes must agree on, such as rate limits and used codes.

Values are JSON, not pickles: whoever can write a row must not be able to run code in the web process. `add` is one
statement, so two processes cannot both win it.
"""

from __future__ import annotations

import json
import random
from datetime import datetime
from typing import Any

from django.core.cache.backends.base import DEFAULT_TIMEOUT, BaseCache
from django.db import connection
from django.utils import timezone

TABLE = "guardsite_cache"
# One write in so many also deletes what has expired.
SWEEP_ONE_IN = 50


class SharedCache(BaseCache):
    """The backend named in CACHES. Any: Django's signatures of a cache."""

    def __init__(self, _location: str, params: dict[str, Any]) -> None:
        super().__init__(params)

    def add(self, key: Any, value: Any, timeout: Any = DEFAULT_TIMEOUT, version: int | None = None) -> bool:
        """True for whoever stores the key first; False while an unexpired value is there."""
        return self._store(key, value, timeout, version, only_if_free=True)

    def set(self, key: Any, value: Any, timeout: Any = DEFAULT_TIMEOUT, version: int | None = None) -> None:
        """Store the value, whatever was there."""
        self._store(key, value, timeout, version, only_if_free=False)

    def get(self, key: Any, default: Any = None, version: int | None = None) -> Any:
        """The unexpired value, else `default`."""
        with connection.cursor() as cursor:
            cursor.execute(
                f"SELECT value FROM {TABLE} WHERE key = %s AND expires_at > %s",  # noqa: S608  (a constant)
                [self.make_and_validate_key(key, version=version), timezone.now()],
            )
            row = cursor.fetchone()
        return default if row is None else json.loads(row[0])

    def touch(self, key: Any, timeout: Any = DEFAULT_TIMEOUT, version: int | None = None) -> bool:
        """Give an unexpired value another time to live; False when there is none."""
        with connection.cursor() as cursor:
            cursor.execute(
                f"UPDATE {TABLE} SET expires_at = %s WHERE key = %s AND expires_at > %s",  # noqa: S608
                [self._expiry(timeout), self.make_and_validate_key(key, version=version), timezone.now()],
            )
            return bool(cursor.rowcount)

    def delete(self, key: Any, version: int | None = None) -> bool:
        """Forget the key; whether it was there."""
        with connection.cursor() as cursor:
            cursor.execute(
                f"DELETE FROM {TABLE} WHERE key = %s",  # noqa: S608
                [self.make_and_validate_key(key, version=version)],
            )
            return bool(cursor.rowcount)

    def clear(self) -> None:
        """Forget everything."""
        with connection.cursor() as cursor:
            cursor.execute(f"DELETE FROM {TABLE}")  # noqa: S608

    def _store(self, key: Any, value: Any, timeout: Any, version: int | None, *, only_if_free: bool) -> bool:
        now = timezone.now()
        condition = f"WHERE {TABLE}.expires_at <= %s" if only_if_free else ""
        with connection.cursor() as cursor:
            cursor.execute(
                f"INSERT INTO {TABLE} (key, value, expires_at) VALUES (%s, %s, %s) ON CONFLICT (key)"  # noqa: S608
                f" DO UPDATE SET value = excluded.value, expires_at = excluded.expires_at {condition}",
                [
                    self.make_and_validate_key(key, version=version),
                    json.dumps(value),
                    self._expiry(timeout),
                    *([now] if only_if_free else []),
                ],
            )
            is_stored: bool = cursor.rowcount == 1
            if random.randrange(SWEEP_ONE_IN) == 0:  # noqa: S311  (no secret hangs on it)
                # Rows that another process is writing are left to the next sweep: no waiting, no deadlock.
                cursor.execute(
                    f"DELETE FROM {TABLE} WHERE key IN"  # noqa: S608
                    f" (SELECT key FROM {TABLE} WHERE expires_at <= %s FOR UPDATE SKIP LOCKED)",
                    [now],
                )
        return is_stored

    def _expiry(self, timeout: Any) -> datetime:
        seconds = self.get_backend_timeout(timeout)
        return datetime.max.replace(tzinfo=timezone.get_default_timezone()) if seconds is None else _moment(seconds)


def _moment(seconds: float) -> datetime:
    return datetime.fromtimestamp(seconds, tz=timezone.get_default_timezone())
