"""The processes of a deployment and the command line of each; the same under `up`, in tests and in `deploy/`.

Source: operations.md, section 1.
"""

from __future__ import annotations

import signal
import sys
from dataclasses import dataclass, field
from enum import StrEnum
from pathlib import Path

from guardsite import env
from guardsite.broker import broker_url, worker_flags


class Part(StrEnum):
    """One process each, in the order in which they start."""

    POSTGRES = "postgres"
    WEB = "web"
    WORKER = "worker"
    BEAT = "beat"
    NOTARY = "notary"


@dataclass(frozen=True, kw_only=True)
class Command:
    """How to run one part.

    `grace_seconds` is how long a polite stop may take; `orphan_signal` is what it gets when its starter is killed (Linux).
    """

    part: Part
    arguments: tuple[str, ...]
    environment: dict[str, str] = field(default_factory=dict)
    grace_seconds: int
    orphan_signal: signal.Signals = signal.SIGTERM


def web(*, host: str = "127.0.0.1", port: int = 8000) -> Command:
    """Pages and `/v1`. Only GUARDSITE_TRUSTED_PROXIES may say who calls: uvicorn's default would trust loopback."""
    proxies = env.words("GUARDSITE_TRUSTED_PROXIES")
    trust = ("--proxy-headers", "--forwarded-allow-ips", ",".join(proxies)) if proxies else ("--no-proxy-headers",)
    return Command(
        part=Part.WEB,
        arguments=(
            *(sys.executable, "-m", "uvicorn", "guardsite.asgi:application", "--host", host, "--port", str(port)),
            *("--lifespan", "off", *trust, "--no-access-log", "--timeout-graceful-shutdown", "5"),
        ),
        environment={"GUARDSITE_DB_POOL": "8"},
        grace_seconds=10,
    )


def worker() -> Command:
    """Resumes, sweeps and jobs."""
    return Command(
        part=Part.WORKER,
        arguments=(
            *(sys.executable, "-m", "celery", "--quiet", "-A", "guardsite", "worker", "-Q", "resume,sweep,jobs"),
            *("--concurrency", "2", "--loglevel", "INFO", *worker_flags(broker_url())),
        ),
        environment={
            "GUARDSITE_DB_POOL": "1",
            # Said of pickled tasks, which are not accepted here; who runs `up` as root knows it.
            "PYTHONWARNINGS": "ignore:You're running the worker with superuser privileges",
        },
        grace_seconds=20,
        # A warm stop would finish tasks that nobody supervises any more; unacknowledged ones come back.
        orphan_signal=signal.SIGQUIT,
    )


def beat(state: Path) -> Command:
    """Sends the names of the sweeps; talks to the broker alone."""
    return Command(
        part=Part.BEAT,
        arguments=(
            *(sys.executable, "-m", "celery", "--quiet", "-A", "guardsite", "beat", "-s", str(state / "beat")),
            *("--loglevel", "WARNING", "--pidfile="),
        ),
        grace_seconds=5,
    )


def notary() -> Command:
    """Seals entries and signs checkpoints."""
    return Command(
        part=Part.NOTARY,
        arguments=(sys.executable, str(env.BASE_DIR / "manage.py"), "notary"),
        grace_seconds=10,
    )
