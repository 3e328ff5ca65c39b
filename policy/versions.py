"""The number that tells every process that policy changed, and the lock that orders changes."""

from __future__ import annotations

from uuid import UUID

from django.db import connection

from policy.errors import NoSuchRow
from policy.models import PolicyState
from tenants.isolation import rows_of


def next_version() -> int:
    """A number never given before, also not in a transaction that was rolled back."""
    with connection.cursor() as cursor:
        cursor.execute("SELECT nextval('policy_version_seq')")
        (number,) = cursor.fetchone()
    return int(number)


def locked_state(tenant_id: UUID) -> PolicyState:
    """The tenant's state, locked until the transaction ends: publishes and flips follow one another.

    Raises NoSuchRow for a tenant whose policy was not opened.
    """
    state = rows_of(PolicyState, tenant_id).select_for_update(no_key=True, of=("self",)).select_related("live").first()
    if state is None:
        raise NoSuchRow
    return state


def touch(tenant_id: UUID) -> None:
    """Raise the version: every process re-reads within 5 s."""
    rows_of(PolicyState, tenant_id).update(version=next_version())
