"""The actions of a tenant: those that are listed, and the unmapped ones that were called, which are reported to who maps them."""

from __future__ import annotations

from uuid import UUID

from django.db import connection, transaction
from django.utils import timezone

from audit.ids import uuid7
from policy.models import Action, SeenAction
from tenants.isolation import rows_of

# Callers invent ids: enough to show a person, not enough to fill a table.
MOST_REPORTED = 1000

_known: set[tuple[UUID, str]] = set()


def note_action(tenant_id: UUID, action_id: str) -> None:
    """Report an unmapped action; cheap when this process has reported it before. Call inside `as_tenant()`."""
    key = (tenant_id, action_id)
    if key in _known:
        return
    with connection.cursor() as cursor:
        cursor.execute(
            "INSERT INTO policy_seenaction (id, tenant_id, action_id, first_seen_at)"
            " SELECT %s, %s, %s, %s WHERE (SELECT count(*) FROM policy_seenaction WHERE tenant_id = %s) < %s"
            " ON CONFLICT DO NOTHING",
            [uuid7(), tenant_id, action_id[:200], timezone.now(), tenant_id, MOST_REPORTED],
        )
    transaction.on_commit(lambda: _remember(key), robust=True)


def _remember(key: tuple[UUID, str]) -> None:
    if len(_known) >= 10 * MOST_REPORTED:
        _known.clear()
    _known.add(key)


def unmapped_actions(tenant_id: UUID) -> list[SeenAction]:
    """The reported actions that nobody has mapped since, by name."""
    mapped = rows_of(Action, tenant_id).values_list("action_id", flat=True)
    return list(rows_of(SeenAction, tenant_id).exclude(action_id__in=mapped).order_by("action_id"))


def known_actions(tenant_id: UUID) -> list[str]:
    """Every action that is listed or was called, by name."""
    mapped, seen = (rows_of(model, tenant_id).values_list("action_id", flat=True) for model in (Action, SeenAction))
    return sorted({*mapped, *seen})
