"""Real brokers as children of the tests, in a temporary folder, on no port that anybody else uses."""

from __future__ import annotations

import os
import secrets
import shutil
import signal
import socket
import subprocess
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest

from guardsite.programs import die_with_parent, wait_for
from tests.processes import free_port

REDIS = Path("/usr/bin/redis-server")
# The program on PATH changes to the user rabbitmq; this one runs as whoever starts it.
RABBITMQ = Path("/usr/lib/rabbitmq/bin/rabbitmq-server")


def require(program: Path, package: str) -> None:
    """Skips the test, or fails it where brokers are required, when the program is missing."""
    if program.exists():
        return
    reason = f"{program} is missing: apt-get install {package}"
    if os.environ.get("GUARDSITE_REQUIRE_BROKERS") == "1":
        pytest.fail(reason)
    pytest.skip(reason)


@contextmanager
def redis_server() -> Iterator[str]:
    """The URL of a Redis on a unix socket that keeps nothing."""
    require(REDIS, "redis-server")
    home = Path(tempfile.mkdtemp(prefix="guardsite-redis-"))
    path = home / "redis.sock"
    with _child(
        [str(REDIS), "--port", "0", "--unixsocket", str(path), "--save", "", "--dir", str(home)], home, dict(os.environ)
    ):
        assert wait_for(path.exists, seconds=10), (home / "log").read_text()
        yield f"redis+socket://{path}"


@contextmanager
def rabbitmq_server() -> Iterator[str]:
    """The URL of a RabbitMQ with its own home, node name, ports and port mapper."""
    require(RABBITMQ, "rabbitmq-server")
    home = Path(tempfile.mkdtemp(prefix="guardsite-rabbitmq-"))
    port, distribution, mapper = free_port(), free_port(), free_port()
    environment = {
        "PATH": os.environ["PATH"],
        "HOME": str(home),
        "LANG": "C.UTF-8",
        "RABBITMQ_NODENAME": f"guardsite-{secrets.token_hex(4)}@localhost",
        "RABBITMQ_NODE_IP_ADDRESS": "127.0.0.1",
        "RABBITMQ_NODE_PORT": str(port),
        "RABBITMQ_DIST_PORT": str(distribution),
        "RABBITMQ_MNESIA_BASE": str(home / "mnesia"),
        "RABBITMQ_LOG_BASE": str(home / "logs"),
        "RABBITMQ_PID_FILE": str(home / "pid"),
        "RABBITMQ_ENABLED_PLUGINS_FILE": str(home / "enabled_plugins"),
        "RABBITMQ_CONF_ENV_FILE": "/dev/null",
        "ERL_EPMD_PORT": str(mapper),
        "ERL_EPMD_ADDRESS": "127.0.0.1",
    }
    # The port mapper, which would otherwise be started as a daemon that outlives everybody.
    mapper_home = Path(tempfile.mkdtemp(prefix="guardsite-epmd-"))
    with _child(["epmd"], mapper_home, environment):
        assert wait_for(lambda: _listens(mapper), seconds=10), (mapper_home / "log").read_text()
        with _child([str(RABBITMQ)], home, environment):
            assert wait_for(lambda: _accepts(port), seconds=60, every=0.1), (home / "log").read_text()
            yield f"amqp://guest:guest@127.0.0.1:{port}//"


def _listens(port: int) -> bool:
    try:
        socket.create_connection(("127.0.0.1", port), timeout=1).close()
    except OSError:
        return False
    return True


def _accepts(port: int) -> bool:
    try:
        with socket.create_connection(("127.0.0.1", port), timeout=1) as probe:
            probe.sendall(b"AMQP\x00\x00\x09\x01")
            return probe.recv(1) == b"\x01"
    except OSError:
        return False


@contextmanager
def _child(command: list[str], home: Path, environment: dict[str, str]) -> Iterator[None]:
    with (home / "log").open("wb") as log:
        process = subprocess.Popen(
            command,
            env=environment,
            cwd=home,
            stdin=subprocess.DEVNULL,
            stdout=log,
            stderr=log,
            start_new_session=True,
            preexec_fn=lambda: die_with_parent(signal.SIGKILL),
        )
    try:
        yield
    finally:
        os.killpg(process.pid, signal.SIGKILL)
        process.wait()
        shutil.rmtree(home, ignore_errors=True)
