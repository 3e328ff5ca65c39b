"""Gives recorded entries their positions, as `gs_sealer`. Any number of sealers may run at once."""

from __future__ import annotations

import logging
from uuid import UUID

from django.db import DatabaseError, connections, transaction

log = logging.getLogger("guardsite.audit")

SEALER = "audit_sealer"
BATCH = 256
# Older than this, a pending entry breaks the promise of audit.md section 5.
PROMISE_SECONDS = 5
STRANDED_LOOK = 5_000
BACKLOG_LIMIT = 20_000


def seal_pending(limit: int = BATCH, *, using: str = SEALER) -> int:
    """Seals one batch of each tenant with pending entries, a transaction per tenant; returns how many were sealed.

    A tenant that cannot be sealed keeps no other waiting; its database error is raised at the end.
    """
    sealed, problem = 0, None
    for tenant_id in waiting_tenants(using=using):
        try:
            sealed += seal_tenant(tenant_id, limit, using=using)
        except DatabaseError as error:
            log.exception("a tenant could not be sealed", extra={"tenant": str(tenant_id)})
            problem = error
    if problem is not None:
        raise problem
    return sealed


def seal_tenant(tenant_id: UUID, limit: int = BATCH, *, using: str = SEALER) -> int:
    """Seals one batch of one tenant; 0 also when another sealer is at it."""
    with transaction.atomic(using=using), connections[using].cursor() as cursor:
        cursor.execute("SELECT audit_seal_batch(%s, %s)", [tenant_id, limit])
        return int(cursor.fetchone()[0])


def waiting_tenants(*, using: str = SEALER) -> list[UUID]:
    """Tenants that have pending entries."""
    with connections[using].cursor() as cursor:
        cursor.execute("SELECT DISTINCT tenant_id FROM audit_pending")
        return [row[0] for row in cursor.fetchall()]


def all_tenants(*, using: str = SEALER) -> list[UUID]:
    """Every tenant with an open log."""
    with connections[using].cursor() as cursor:
        cursor.execute("SELECT tenant_id FROM audit_log")
        return [row[0] for row in cursor.fetchall()]


def requeue_stranded(tenant_ids: list[UUID], *, using: str = SEALER) -> int:
    """Queues again what has neither a seal nor a pending row, and says so in the log; returns how many."""
    found = 0
    for tenant_id in tenant_ids:
        with transaction.atomic(using=using), connections[using].cursor() as cursor:
            cursor.execute("SELECT audit_requeue_stranded(%s, %s)", [tenant_id, STRANDED_LOOK])
            count = int(cursor.fetchone()[0])
        if count:
            log.error("stranded audit entries were queued again", extra={"tenant": str(tenant_id), "count": count})
        found += count
    return found


def backlog(tenant_id: UUID, *, cap: int = BACKLOG_LIMIT + 1) -> int:
    """How many of the tenant's entries wait for a position, counted no further than `cap`. Call inside `as_tenant()`."""
    with connections["default"].cursor() as cursor:
        cursor.execute("SELECT audit_backlog(%s, %s)", [tenant_id, cap])
        return int(cursor.fetchone()[0])
