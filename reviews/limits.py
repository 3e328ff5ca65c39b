"""A token bucket per API key and process: 50 calls a second, bursts of 100. Source: integrations.md section 1.4."""

from __future__ import annotations

import time
from threading import Lock
from uuid import UUID

CALLS_PER_SECOND = 50.0
BURST = 100.0
# Keys seen; beyond it the fullest-looking half is forgotten, which only ever helps a caller.
KEPT = 10_000

_lock = Lock()
_buckets: dict[UUID, tuple[float, float]] = {}


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


def reset() -> None:
    """Forget every bucket (a process starts with none)."""
    with _lock:
        _buckets.clear()
