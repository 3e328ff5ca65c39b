"""What an agent gets in hand: the entry's id and hash, and the newest signed head that this process knows."""

from __future__ import annotations

import base64
import time
from dataclasses import dataclass
from threading import Lock
from uuid import UUID

from django.db import connections

from audit.record import Recorded
from audit.scope import as_tenant

# A checkpoint comes every 10 s; looking more often would cost each answer a query.
LOOK_AGAIN_SECONDS = 5.0


@dataclass(frozen=True, slots=True)
class _Known:
    checkpoint: dict[str, object] | None
    looked_at: float


_known: dict[UUID, _Known] = {}
_lock = Lock()


def receipt(recorded: Recorded) -> dict[str, object]:
    """`{"entry_id", "body_hash", "received_us", "checkpoint": {"size", "root"} | None}`, unsigned.

    Demanding the entry later exposes a pending row that was deleted and a tail cut after the last checkpoint.
    """
    return {
        "entry_id": recorded.uid,
        "body_hash": recorded.body_hash,
        "received_us": recorded.received_us,
        "checkpoint": newest_checkpoint(recorded.tenant_id),
    }


def newest_checkpoint(tenant_id: UUID) -> dict[str, object] | None:
    """Size and base64 root of the newest signed head, at most `LOOK_AGAIN_SECONDS` old knowledge; None before the first."""
    now = time.monotonic()
    with _lock:
        known = _known.get(tenant_id)
    if known is not None and now - known.looked_at < LOOK_AGAIN_SECONDS:
        return known.checkpoint
    with as_tenant(tenant_id), connections["default"].cursor() as cursor:
        cursor.execute(
            "SELECT size, root FROM audit_checkpoint WHERE tenant_id = %s ORDER BY log_id DESC, size DESC LIMIT 1",
            [tenant_id],
        )
        row = cursor.fetchone()
    found = {"size": row[0], "root": base64.b64encode(row[1]).decode()} if row else None
    with _lock:
        _known[tenant_id] = _Known(found, now)
    return found
