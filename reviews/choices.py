"""What a reviewer fills in, as it comes from a form."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any, Final

MAX_MESSAGE: Final = 500
MAX_NOTE: Final = 4000


@dataclass(frozen=True)
class Choice:
    """A verdict as chosen.

    `typed` is the decisive value, `picked` the one of three that was picked besides, and `seen` holds the keys of the
    folds that were opened: wanted from tier 3 on. `params` is what shall run instead, given with
    `approve_with_amendments` alone. `locale` is how the reader writes numbers.
    """

    kind: str
    code: str
    message: str = ""
    note: str = ""
    typed: str = ""
    picked: str = ""
    seen: frozenset[str] = frozenset()
    params: Mapping[str, Any] | None = field(default=None, repr=False)
    locale: str = "en"
