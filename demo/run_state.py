"""What the demo agent must remember to go on in another process, in one 0600 file."""

import json
import os
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Any

FILE_NAME = "demo_agent_run.json"


@dataclass
class RunState:
    """One run: the conversation, the outputs of the turn so far by tool call, and the calls that are held.

    `held` maps a review id to `{"tool_call_id", "name"}`.
    """

    run_id: str
    scenario: str
    amount_cents: int
    messages: list[dict[str, Any]] = field(default_factory=list)  # Any: Chat Completions messages, JSON
    outputs: dict[str, str] = field(default_factory=dict)
    held: dict[str, dict[str, str]] = field(default_factory=dict)

    def save(self, directory: Path) -> None:
        """Write the file whole or not at all."""
        path = directory / FILE_NAME
        new = path.with_name(FILE_NAME + ".new")
        descriptor = os.open(new, os.O_WRONLY | os.O_CREAT | os.O_TRUNC, 0o600)
        with os.fdopen(descriptor, "w", encoding="utf-8") as file:
            json.dump(asdict(self), file)
        new.replace(path)

    @classmethod
    def load(cls, directory: Path) -> "RunState | None":
        """The last run that waits for a person, if there is one."""
        try:
            return cls(**json.loads((directory / FILE_NAME).read_text(encoding="utf-8")))
        except FileNotFoundError:
            return None

    @staticmethod
    def forget(directory: Path) -> None:
        """The run is over."""
        (directory / FILE_NAME).unlink(missing_ok=True)
