"""Entries as an auditor's role reads them."""

from __future__ import annotations

import json
from typing import Any
from uuid import UUID

from django.db import connections

from audit.scope import as_tenant


def bodies(tenant_id: UUID) -> list[dict[str, Any]]:
    """Bodies of the tenant's committed entries, oldest first."""
    with as_tenant(tenant_id, using="audit_reader"), connections["audit_reader"].cursor() as cursor:
        cursor.execute("SELECT body FROM audit_entry WHERE tenant_id = %s ORDER BY id", [tenant_id])
        return [json.loads(row[0]) for row in cursor.fetchall()]
