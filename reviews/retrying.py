"""How long to wait before something is tried again. Pure."""

from __future__ import annotations

import random
from datetime import timedelta
from typing import Final

FIRST_RETRY_SECONDS: Final = 5
LONGEST_RETRY_SECONDS: Final = 3600
GIVE_UP_AFTER: Final = timedelta(hours=72)


def back_off(attempt: int, *, after_seconds: float = 0) -> float:
    """Seconds until the next try: doubling from 5 s with jitter, an hour at most, never before the peer's Retry-After.

    `attempt` counts from 1. Source: integrations.md section 3.2.
    """
    doubled: float = min(LONGEST_RETRY_SECONDS, FIRST_RETRY_SECONDS * 2 ** min(attempt - 1, 12))
    return max(after_seconds, doubled * random.uniform(0.75, 1.25))  # noqa: S311  # jitter, not a secret
