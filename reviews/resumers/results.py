"""What one try of a resume delivery came to."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True)
class Delivered:
    """The caller was told."""


@dataclass(frozen=True)
class Retry:
    """Not now; try again, not before `after_seconds`."""

    reason: str
    after_seconds: float = 0


@dataclass(frozen=True)
class Failed:
    """Never; a lead is told."""

    reason: str
