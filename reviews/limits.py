"""What the gate takes at once: calls per key (integrations.md section 1.4), unsealed entries per tenant (audit.md section 5)."""

from __future__ import annotations

import time
from threading import Lock
from uuid import UUID

from audit.sealing import BACKLOG_LIMIT, backlog
from reviews.errors import Unavailable

CALLS_PER_SECOND = 50.0
BURST = 100.0
# Keys seen; beyond it the fullest-looking half is forgotten, which only ever helps a caller.
KEPT = 10_000

LOOK_AT_BACKLOG_SECONDS = 1.0

_lock = Lock()
_buckets: dict[UUID, tuple[float, float]] = {}
_backlogs: dict[UUID, tuple[bool, float]] = {}


def admit(key_id: UUID, *, calls: int, now: float | None = None) -> float:
    """0 when the calls are admitted, else the seconds after which to ask again."""
    moment = time.monotonic() if now is None else now
    with _lock:
        level, at = _buckets.get(key_id, (BURST, moment))
        level = min(BURST, level + (moment - at) * CALLS_PER_SECOND)
        if level >= calls:
            _buckets[key_id] = (level - calls, moment)
            wait = 0.0
        else:
            _buckets[key_id] = (level, moment)
            wait = (calls - level) / CALLS_PER_SECOND
        if len(_buckets) > KEPT:
            for stale in sorted(_buckets, key=lambda key: _buckets[key][1])[: KEPT // 2]:
                del _buckets[stale]
    return wait


def require_room(tenant_id: UUID) -> None:
    """Raise Unavailable while too many entries wait for the sealer; asks the database once a second.

    Call inside `as_tenant()`: an entry that may never be sealed is no record.
    """
    moment = time.monotonic()
    with _lock:
        is_full, at = _backlogs.get(tenant_id, (False, float("-inf")))
    if moment - at >= LOOK_AT_BACKLOG_SECONDS:
        is_full = backlog(tenant_id) > BACKLOG_LIMIT
        with _lock:
            _backlogs[tenant_id] = (is_full, moment)
    if is_full:
        raise Unavailable


def reset() -> None:
    """Forget what was counted (a process starts with nothing)."""
    with _lock:
        _buckets.clear()
        _backlogs.clear()
