"""Reports in the background: an agent's answer does not wait for the guard to have heard how the last call ended."""

import atexit
import logging
import os
import queue
import threading
import weakref
from collections.abc import Callable
from typing import Final

from mcpguard_sdk.errors import MCPGuardError

logger = logging.getLogger("mcpguard_sdk")

MOST_JOBS: Final = 1000
EXIT_FLUSH_SECONDS: Final = 2.0
Job = Callable[[], None]


class Background:
    """One daemon thread that does jobs in order; begun with the first job, and begun anew in a forked child."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._jobs: queue.Queue[Job | None] = queue.Queue(MOST_JOBS)
        self._thread: threading.Thread | None = None
        self._process_id = os.getpid()
        _alive.add(self)

    def submit(self, job: Job) -> None:
        """Do the job soon; when too many wait already, it is dropped and that is logged."""
        with self._lock:
            if self._process_id != os.getpid():
                self._jobs, self._thread, self._process_id = queue.Queue(MOST_JOBS), None, os.getpid()
            if self._thread is None:
                self._thread = threading.Thread(
                    target=_work, args=(self._jobs,), name="mcpguard-background", daemon=True
                )
                self._thread.start()
        try:
            self._jobs.put_nowait(job)
        except queue.Full:
            logger.warning("a report to the guard was dropped: too many wait")

    def flush(self, timeout_seconds: float) -> bool:
        """Whether everything submitted so far was done within the time."""
        with self._lock:
            if self._thread is None or self._process_id != os.getpid():
                return True
        done = threading.Event()
        self.submit(done.set)
        return done.wait(timeout_seconds)

    def close(self, timeout_seconds: float) -> None:
        """Finish what was submitted, then end the thread."""
        self.flush(timeout_seconds)
        with self._lock:
            if self._thread is not None and self._process_id == os.getpid():
                try:
                    self._jobs.put_nowait(None)
                except queue.Full:
                    return  # the thread is stuck in a slow job; as a daemon it ends with the process
                self._thread.join(timeout_seconds)
                self._thread = None


_alive: weakref.WeakSet[Background] = weakref.WeakSet()


def _work(jobs: "queue.Queue[Job | None]") -> None:
    while (job := jobs.get()) is not None:
        try:
            job()
        except MCPGuardError as error:
            logger.warning("a report to the guard was lost: %s", type(error).__name__)
        except Exception:
            logger.exception("a background job failed")


@atexit.register
def _flush_all() -> None:
    for background in list(_alive):
        background.flush(EXIT_FLUSH_SECONDS)
