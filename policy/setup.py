"""Opens the policy of a new tenant: observing, nothing published."""

from __future__ import annotations

from uuid import UUID

from audit.scope import as_tenant
from policy.models import PolicyState
from policy.versions import next_version


def open_policy(tenant_id: UUID) -> PolicyState:
    """The tenant's policy state, made if there is none: observe, unmapped actions to review."""
    with as_tenant(tenant_id):
        state, _ = PolicyState.objects.get_or_create(tenant_id=tenant_id, defaults={"version": next_version()})
    return state
