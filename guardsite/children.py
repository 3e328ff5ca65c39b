"""Child processes that leave nothing behind: own session, ended with their starter, stopped as a group."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
from contextlib import suppress
from pathlib import Path

from guardsite import env
from guardsite.processes import Command
from guardsite.programs import die_with_parent


class Child:
    """One running part. Make it from the main thread: the kernel ends it when the thread that forked it ends (Linux)."""

    def __init__(self, command: Command, environment: dict[str, str], *, output: int | None = None) -> None:
        self.command = command
        number = command.orphan_signal
        self.process = subprocess.Popen(
            command.arguments,
            env=os.environ | environment | command.environment,
            cwd=env.BASE_DIR,
            stdin=subprocess.DEVNULL,
            stdout=output,
            stderr=output,
            start_new_session=True,
            preexec_fn=lambda: die_with_parent(number),
        )

    @property
    def name(self) -> str:
        """The part's name, for people."""
        return self.command.part.value

    def has_ended(self) -> bool:
        """True when the leader of the group is gone."""
        return self.process.poll() is not None

    def ending(self) -> str:
        """How it ended, in words."""
        status = self.process.poll()
        if status is None:
            return "still runs"
        return f"ended with status {status}" if status >= 0 else f"was ended by {signal.Signals(-status).name}"

    def stop(self, *, at_once: bool = False) -> None:
        """SIGTERM, then after its grace SIGKILL, to the whole group: a grandchild could hold the port."""
        if not self.has_ended() and not at_once:
            self.process.terminate()
            with suppress(subprocess.TimeoutExpired):
                self.process.wait(self.command.grace_seconds)
        self.kill()

    def kill(self) -> None:
        """SIGKILL to the whole group."""
        # ProcessLookupError: nobody is left. macOS answers EPERM for a group of zombies.
        with suppress(ProcessLookupError, PermissionError):
            os.killpg(self.process.pid, signal.SIGKILL)
        self.process.wait()


def remember(state: Path, children: list[Child]) -> None:
    """Writes the group ids down; where the kernel ends no orphans, the next start does."""
    (state / "children.json").write_text(json.dumps([child.process.pid for child in children]), encoding="ascii")


def clear_orphans(state: Path) -> None:
    """Kills the groups that a killed `up` left behind. Only where PR_SET_PDEATHSIG is missing, such as on macOS."""
    path = state / "children.json"
    try:
        groups = json.loads(path.read_text(encoding="ascii"))
    except (OSError, ValueError):
        return
    if sys.platform != "linux":
        for group in groups:
            shown = subprocess.run(
                ["ps", "-o", "command=", "-p", str(group)], capture_output=True, text=True, check=False
            )
            # The number may be a stranger's by now.
            if "guardsite" in shown.stdout:
                os.killpg(group, signal.SIGKILL)
    path.unlink(missing_ok=True)
