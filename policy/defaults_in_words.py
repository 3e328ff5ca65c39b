"""What a call gets that no rule decides, as the pages say it: live beside what the draft would make of it."""

from __future__ import annotations

import json
from dataclasses import dataclass

from policy.models import Effect, PolicyState

# Whose calls each default is for, on the page and on its form.
UNMAPPED = "Actions that nobody listed under Actions"
MAPPED = "Listed actions that no rule matches"


@dataclass(frozen=True, slots=True)
class Default:
    """One default in words. `live` is empty while no revision is live: then there is nothing but the draft."""

    name: str
    live: str
    draft: str

    @property
    def is_changed(self) -> bool:
        """Whether publishing the draft would change it."""
        return bool(self.live) and self.live != self.draft


def defaults_of(state: PolicyState) -> list[Default]:
    """The defaults that a revision carries. What happens when none can be loaded is in no revision, and not here."""
    live = json.loads(state.live.snapshot)["defaults"] if state.live else {}
    unmapped, mapped = live.get("unmapped"), live.get("mapped")
    return [
        Default(
            UNMAPPED,
            PolicyState.Unmapped(unmapped).label if unmapped else "",
            str(state.get_unmapped_display()),
        ),
        Default(
            MAPPED,
            Effect(mapped).label if mapped else "",
            str(state.get_mapped_default_display()),
        ),
    ]
