"""Whose rows the database shows: the tenant setting that every row-level security policy reads."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from uuid import UUID

from django.db import connections, transaction

TENANT_SETTING = "guardsite.tenant"


@contextmanager
def as_setting(name: str, value: str, *, using: str = "default") -> Iterator[None]:
    """A transaction in which the database setting `name` is `value`; the previous value returns when nested."""
    with transaction.atomic(using=using):
        with connections[using].cursor() as cursor:
            cursor.execute("SELECT current_setting(%s, true)", [name])
            row = cursor.fetchone()
            previous = (row[0] if row else None) or ""
            cursor.execute("SELECT set_config(%s, %s, true)", [name, value])
        yield
        # On an exception the savepoint's rollback restores the setting; here we do it ourselves.
        if previous != value:
            with connections[using].cursor() as cursor:
                cursor.execute("SELECT set_config(%s, %s, true)", [name, previous])


@contextmanager
def as_tenant(tenant_id: UUID, *, using: str = "default") -> Iterator[None]:
    """A transaction that sees and writes this tenant's rows alone.

    Nested calls become savepoints. Commits when the outermost one ends.
    """
    with as_setting(TENANT_SETTING, str(tenant_id), using=using):
        yield


def current_tenant_id(*, using: str = "default") -> UUID | None:
    """The tenant that the current transaction is bound to, or None."""
    with connections[using].cursor() as cursor:
        cursor.execute("SELECT nullif(current_setting(%s, true), '')", [TENANT_SETTING])
        row = cursor.fetchone()
    return UUID(row[0]) if row and row[0] else None
