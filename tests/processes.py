"""The real processes of a deployment, as children of a test, on the test's own database."""

from __future__ import annotations

import http.client
import os
import shutil
import socket
import sys
import tempfile
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

from kombu import pools

from guardsite import processes
from guardsite.broker import transport_options
from guardsite.celery import app, task_settings
from guardsite.children import Child
from guardsite.processes import Command, Part
from guardsite.programs import wait_for


def free_port() -> int:
    """A TCP port of the loopback that nobody listens on right now."""
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])


class Desk:
    """Starts web, worker, beat and notary one by one on a clone; stops what still runs.

    `environment` is what `cloned_db` gives. What the children write is read with `log(part)`.
    """

    def __init__(self, environment: dict[str, str]) -> None:
        self.home = Path(tempfile.mkdtemp(prefix="guardsite-desk-"))
        self.environment = environment | {
            # A test beside Playwright's loop allows itself what a server must not.
            "DJANGO_ALLOW_ASYNC_UNSAFE": "",
            "GUARDSITE_STATE": str(self.home),
            "AUDIT_NOTARY_STATE": str(self.home / "notary"),
        }
        self.children: dict[Part, Child] = {}
        self.url = ""
        self._celery_before: dict[str, Any] | None = None

    def use_broker(self, url: str = "pgmq://") -> None:
        """Gives all children started from now on, and tasks sent by the test itself, this broker."""
        self.environment["CELERY_BROKER_URL"] = url
        if self._celery_before is None:
            self._celery_before = {name: app.conf[name] for name in ("broker_url", "broker_transport_options")}
        _point_celery(url, transport_options(url))

    def start_web(self, *, has_pool: bool = True) -> str:
        """Starts uvicorn on a free port and returns its address once it is ready.

        Without a pool every request connects anew: for who takes the database away between requests.
        """
        port = free_port()
        command = processes.web(port=port)
        if not has_pool:
            command = replace(command, environment={"GUARDSITE_DB_POOL": "0"})
        self.url = self.environment["GUARDSITE_URL"] = f"http://localhost:{port}"
        self._start(command, lambda: _answers(port))
        return self.url

    def start_worker(self) -> None:
        """Starts a Celery worker and returns once it takes tasks."""
        self._start(processes.worker(), lambda: " ready." in self.log(Part.WORKER))

    def start_beat(self) -> None:
        """Starts the schedule."""
        self._start(processes.beat(self.home), lambda: True)

    def start_notary(self) -> None:
        """Starts sealing and signing."""
        self._start(processes.notary(), lambda: True)

    def _start(self, command: Command, is_ready: Callable[[], bool]) -> None:
        assert command.part not in self.children, f"{command.part} runs already"
        with self._log_path(command.part).open("ab") as output:
            child = Child(command, self.environment, output=output.fileno())
        self.children[command.part] = child
        assert wait_for(lambda: is_ready() or child.has_ended(), seconds=30), self.log(command.part)
        assert not child.has_ended(), f"{child.name} {child.ending()}: {self.log(command.part)}"

    def log(self, part: Part) -> str:
        """What the part wrote so far."""
        path = self._log_path(part)
        return path.read_text(encoding="utf-8", errors="replace") if path.exists() else ""

    def _log_path(self, part: Part) -> Path:
        return self.home / f"{part}.log"

    def kill(self, part: Part) -> None:
        """SIGKILL to the part and all its children, as a crash."""
        self.children.pop(part).kill()

    def stop_part(self, part: Part) -> None:
        """A polite stop."""
        self.children.pop(part).stop()

    def stop(self) -> None:
        """Kills what still runs, in no time: a test has seen what it wanted to see."""
        for part in list(self.children):
            self.kill(part)
        if self._celery_before is not None:
            _point_celery(self._celery_before["broker_url"], self._celery_before["broker_transport_options"])
        if sys.exc_info()[0] is None or "KEEP_DESK" not in os.environ:
            shutil.rmtree(self.home, ignore_errors=True)


def _answers(port: int) -> bool:
    connection = http.client.HTTPConnection("127.0.0.1", port, timeout=5)
    try:
        connection.request("GET", "/readyz")
        return connection.getresponse().status == 200
    except (OSError, http.client.HTTPException):
        return False
    finally:
        connection.close()


def _point_celery(url: str, options: dict[str, object]) -> None:
    app.pool.force_close_all()
    # It remembers closed pools by their address, and the next test's database has the same one.
    pools.reset()  # type: ignore[no-untyped-call]  # kombu has no types
    app.conf.update(task_settings(url) | {"broker_url": url, "broker_transport_options": options})
    # Celery keeps both pools for good and offers no way to forget them.
    app._pool = None
    app.amqp._producer_pool = None
