"""What an owner may choose for an outage: an action wholly in observe runs, is written down, and is told later.

Nothing here opens an action that is enforced, even in part, or one whose mode was not learned in the last 15 minutes.
A call that cannot be written down does not run.
"""

import contextlib
import json
import logging
import os
import threading
import time
import uuid
from collections.abc import Callable, Collection, Iterator
from pathlib import Path
from typing import Final

from mcpguard_sdk import wire
from mcpguard_sdk.calls import Call
from mcpguard_sdk.errors import MCPGuardRequestError, MCPGuardUnavailableError

try:
    import fcntl
except ImportError:  # not on Windows, where one process per journal is the rule
    fcntl = None  # type: ignore[assignment]  # asked for before use

logger = logging.getLogger("mcpguard_sdk")

OLDEST_INFO_SECONDS: Final = 15 * 60
REFRESH_INFO_SECONDS: Final = 5 * 60


class Outage:
    """The modes as last learned, and the journal of calls that ran unanswered."""

    def __init__(self, actions: Collection[str], *, journal: Path) -> None:
        self._actions = frozenset(actions)
        self._journal = journal
        self._lock = threading.Lock()
        self._observed: frozenset[str] = frozenset()
        self._learned_at: float | None = None

    @property
    def wants_info(self) -> bool:
        """Whether the modes are old enough to be asked for again."""
        return self._learned_at is None or time.monotonic() - self._learned_at > REFRESH_INFO_SECONDS

    def learn(self, info: wire.JsonObject) -> None:
        """Keep which actions are wholly in observe, from `GET /v1/policy/info`."""
        actions = info.get("actions")
        self._observed = frozenset(
            str(action.get("action_id"))
            for action in (actions if isinstance(actions, list) else [])
            if isinstance(action, dict) and action.get("mode") == wire.OBSERVE
        )
        self._learned_at = time.monotonic()

    def may_run(self, action_id: str) -> bool:
        """Whether the owner chose it for this action, and the action was wholly in observe a short while ago."""
        is_fresh = self._learned_at is not None and time.monotonic() - self._learned_at <= OLDEST_INFO_SECONDS
        return is_fresh and action_id in self._actions and action_id in self._observed

    def write(self, call: Call) -> None:
        """Keep the call until the guard is back. Raises OSError when it is not safely on disk."""
        line = json.dumps({"body": call.body()}, separators=(",", ":")).encode() + b"\n"
        with self._opened() as descriptor:
            os.write(descriptor, line)
            os.fsync(descriptor)

    def send(self, tell: Callable[[Call], object]) -> int:
        """How many kept calls were told. What fails stays for the next time; telling one twice is harmless."""
        self._set_aside()
        told = 0
        for path in sorted(self._journal.parent.glob(f"{self._journal.name}.sending-*")):
            for line in path.read_bytes().splitlines(keepends=True):
                call = _call_of(line)
                if call is None:
                    self._refuse(line)
                    continue
                try:
                    tell(call)
                    told += 1
                except MCPGuardUnavailableError:
                    return told
                except MCPGuardRequestError:
                    self._refuse(line)
            path.unlink(missing_ok=True)
        return told

    @contextlib.contextmanager
    def _opened(self) -> Iterator[int]:
        """The journal, 0600, locked against other writers and against being set aside meanwhile."""
        with self._lock:
            while True:
                descriptor = os.open(self._journal, os.O_WRONLY | os.O_APPEND | os.O_CREAT, 0o600)
                try:
                    if fcntl is not None:
                        fcntl.flock(descriptor, fcntl.LOCK_EX)
                    with contextlib.suppress(FileNotFoundError):
                        if os.stat(self._journal).st_ino == os.fstat(descriptor).st_ino:
                            yield descriptor
                            return
                finally:
                    os.close(descriptor)

    def _set_aside(self) -> None:
        if not self._journal.exists():
            return
        with self._opened():
            os.rename(self._journal, self._journal.with_name(f"{self._journal.name}.sending-{uuid.uuid4().hex}"))

    def _refuse(self, line: bytes) -> None:
        """Kept beside the journal for its owner, since the guard will never take it."""
        logger.error("a call that ran in an outage could not be recorded; it is kept beside the journal")
        path = self._journal.with_name(f"{self._journal.name}.refused")
        descriptor = os.open(path, os.O_WRONLY | os.O_APPEND | os.O_CREAT, 0o600)
        try:
            os.write(descriptor, line)
        finally:
            os.close(descriptor)


def _call_of(line: bytes) -> Call | None:
    try:
        value = wire.loads(line)
        return Call(**value["body"])
    except (wire.NotJsonError, KeyError, TypeError):
        return None  # cut short when its writer was killed: the call had not run yet
