"""`manage.py up`: PostgreSQL, web, worker, beat and notary from this directory, started, watched and stopped together.

No Django here: the supervisor starts fast and stays small, and every database connection belongs to a child. Not for
production; `deploy/` has a unit for each process. Source: operations.md, sections 3 and 6.
"""

from __future__ import annotations

import argparse
import errno
import fcntl
import http.client
import json
import os
import signal
import socket
import subprocess
import sys
import time
from collections.abc import Sequence
from ipaddress import ip_address
from pathlib import Path
from types import FrameType

import psycopg

from guardsite import embedded, env, processes, programs, roles
from guardsite.children import Child, clear_orphans, remember
from guardsite.processes import Part

STOP_ORDER = (Part.BEAT, Part.WEB, Part.WORKER, Part.NOTARY)
READY_SECONDS = 60


class CannotRun(Exception):
    """The start or the run ends; the text is the sentence for the person at the terminal."""


class Stopped(Exception):
    """A signal asked us to stop."""


def main(arguments: Sequence[str]) -> int:
    """Runs until a signal or the end of a child; returns the exit status."""
    options = _parser().parse_args(arguments)
    try:
        supervisor = Supervisor(
            state=env.state_dir(),
            host=options.host,
            port=options.port,
            parts=options.only,
            with_demo=not options.no_demo,
        )
        return supervisor.run()
    except (CannotRun, embedded.EmbeddedError, env.BadEnvironment) as error:
        print(f"guardsite: {error}", file=sys.stderr)
        return 1


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(prog="manage.py up", description="Runs guardsite from this directory.")
    parser.add_argument("--host", default="127.0.0.1", help="address to listen on (default %(default)s)")
    parser.add_argument("--port", type=_port, default=8000, help="port to listen on (default %(default)s)")
    parser.add_argument("--no-demo", action="store_true", help="a first start without the demo tenant and its sign-ins")
    parser.add_argument(
        "--only",
        type=_parts,
        default=tuple(Part),
        metavar="PART[,PART]",
        help=f"only these parts: {', '.join(Part)}; all but postgres need one that runs, started with --only postgres",
    )
    return parser


def _port(value: str) -> int:
    if not value.isdecimal() or not 1 <= int(value) <= 65535:
        raise argparse.ArgumentTypeError("must be a number from 1 to 65535")
    return int(value)


def _parts(value: str) -> tuple[Part, ...]:
    try:
        return tuple(Part(name.strip()) for name in value.split(","))
    except ValueError:
        raise argparse.ArgumentTypeError(f"must be some of {', '.join(Part)}") from None


class Supervisor:
    """One run of `up`."""

    def __init__(self, *, state: Path, host: str, port: int, parts: tuple[Part, ...], with_demo: bool) -> None:
        self.state, self.host, self.port, self.parts, self.with_demo = state, host, port, parts, with_demo
        self.cluster: embedded.Cluster | None = None
        self.children: list[Child] = []
        self.asked_to_stop = 0
        self.url = env.url("GUARDSITE_URL", f"http://localhost:{port}")
        self.environment = {
            "GUARDSITE_URL": self.url,
            "GUARDSITE_STATE": str(state),
            "GUARDSITE_LOG": env.choice("GUARDSITE_LOG", ("json", "text"), "text"),
        }

    def run(self) -> int:
        """Start, watch, stop; 0 when somebody asked for the stop."""
        for number in (signal.SIGINT, signal.SIGTERM, signal.SIGHUP):
            signal.signal(number, self._on_signal)
        # Held until the process ends, however it ends: the kernel frees it.
        lock = self._take_lock()
        try:
            self._start()
            self._watch()
        except Stopped:
            return 0
        finally:
            self._stop()
            os.close(lock)
            if self.asked_to_stop:
                print("guardsite: stopped", flush=True)
        return 0

    def _on_signal(self, _number: int, _frame: FrameType | None) -> None:
        self.asked_to_stop += 1

    def _go_on(self) -> None:
        if self.asked_to_stop:
            raise Stopped

    def _take_lock(self) -> int:
        try:
            env.make_state_dir(self.state)
            # Parts started one by one have a lock each.
            name = "up" if Part.POSTGRES in self.parts else "-".join(sorted(self.parts))
            lock = os.open(self.state / f"{name}.lock", os.O_RDWR | os.O_CREAT, 0o600)
        except OSError as error:
            raise CannotRun(
                f"cannot write to {self.state}: {error.strerror}. Name another in GUARDSITE_STATE."
            ) from None
        try:
            fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            url = os.pread(lock, 1000, 0).decode("utf-8", "replace").strip()
            os.close(lock)
            raise CannotRun(f"already running from this directory, at {url}") from None
        os.ftruncate(lock, 0)
        os.pwrite(lock, f"{self.url}\n".encode(), 0)
        return lock

    def _start(self) -> None:
        if Part.WEB in self.parts:
            self._try_port()
        self._refuse_open_demo()
        clear_orphans(self.state)
        if Part.POSTGRES in self.parts:
            if env.is_embedded():
                self._start_postgres()
            self._go_on()
            self._prepare_database()
        elif env.is_embedded():
            self._require_postgres()
        self._go_on()
        for command in self._commands():
            # A descriptor of the lock must not live on in a child: Popen closes it.
            self.children.append(Child(command, self.environment))
            remember(self.state, self.children)
        if Part.WEB in self.parts:
            self._wait_until_ready()
        self._greet()

    def _commands(self) -> list[processes.Command]:
        commands = [
            processes.web(host=self.host, port=self.port),
            processes.worker(),
            processes.beat(self.state),
            processes.notary(),
        ]
        return [command for command in commands if command.part in self.parts]

    def _try_port(self) -> None:
        """Says that the port is taken before anything starts."""
        try:
            family, kind, protocol, _, address = socket.getaddrinfo(self.host, self.port, type=socket.SOCK_STREAM)[0]
        except OSError:
            raise CannotRun(f"cannot listen on {self.host}: it is no address of this machine.") from None
        with socket.socket(family, kind, protocol) as probe:
            # As uvicorn does, so that connections of the last run that are still closing do not count.
            probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
            try:
                probe.bind(address)
            except OSError as error:
                words = os.strerror(error.errno or errno.EADDRINUSE)
                raise CannotRun(
                    f"cannot listen on {self.host}:{self.port}: {words}. Choose another with --port."
                ) from None

    def _refuse_open_demo(self) -> None:
        """Demo sign-ins have a printed password: they are for this machine alone."""
        if _is_loopback(self.host):
            return
        if (self.state / "demo.json").exists():
            raise CannotRun(
                f"--host {self.host} would offer the demo sign-ins to others. Start with GUARDSITE_STATE naming a new "
                "directory and --no-demo."
            )
        self.with_demo = False

    def _start_postgres(self) -> None:
        try:
            self.cluster = embedded.embedded_cluster(self.state)
            self.cluster.prepare()
            self.cluster.start()
        except OSError as error:
            raise CannotRun(f"PostgreSQL cannot be started: {error}") from None
        cluster = self.cluster
        try:
            roles.apply_roles(lambda dbname: cluster.conninfo(dbname=dbname), dbname=embedded.DATABASE)
        except psycopg.Error as error:
            raise CannotRun(f"the database roles could not be made: {error}") from None

    def _require_postgres(self) -> None:
        conninfo = psycopg.conninfo.make_conninfo(
            host=str(embedded.remembered_socket_dir(self.state)), user=roles.APP, dbname=embedded.DATABASE
        )
        try:
            psycopg.connect(conninfo, connect_timeout=5).close()
        except psycopg.OperationalError:
            raise CannotRun("PostgreSQL does not run. Start it first: python3 manage.py up --only postgres") from None

    def _prepare_database(self) -> None:
        """Migrations and, on a first embedded start, the demo; a child, so that no connection stays here."""
        command = [sys.executable, str(env.BASE_DIR / "manage.py"), "prepare"]
        if self.with_demo and env.is_embedded():
            command.append("--demo")
        process = subprocess.Popen(
            command,
            env=os.environ | self.environment,
            cwd=env.BASE_DIR,
            stdin=subprocess.DEVNULL,
            start_new_session=True,
            preexec_fn=lambda: programs.die_with_parent(signal.SIGTERM),
        )
        while process.poll() is None:
            if self.asked_to_stop:
                process.terminate()
                process.wait()
                raise Stopped
            time.sleep(0.02)
        if process.returncode != 0:
            raise CannotRun("the database could not be prepared; see above. PostgreSQL is stopped, nothing else ran.")

    def _wait_until_ready(self) -> None:
        deadline = time.monotonic() + READY_SECONDS
        while not self._answers():
            self._go_on()
            self._check_children()
            if time.monotonic() > deadline:
                raise CannotRun(f"web gave no answer in {READY_SECONDS} s.")
            time.sleep(0.05)

    def _answers(self) -> bool:
        connection = http.client.HTTPConnection(self.host, self.port, timeout=5)
        try:
            connection.request("GET", "/readyz")
            return connection.getresponse().status == 200
        except (OSError, http.client.HTTPException):
            return False
        finally:
            connection.close()

    def _greet(self) -> None:
        shown = _shown(self.state)
        if set(self.parts) != set(Part):
            print(f"guardsite: {', '.join(self.parts)} from {shown}        Ctrl-C stops", flush=True)
            return
        lines = [f"guardsite runs at {self.url}        data: {shown}        Ctrl-C stops everything"]
        try:
            demo = json.loads((self.state / "demo.json").read_text(encoding="utf-8"))
        except (OSError, ValueError):
            lines.append("sign in  nobody yet: python3 manage.py create_owner")
        else:
            people = "rita@demo.example reviewer, lena@… lead, adam@… owner, otto@… auditor"
            lines.append(f"sign in  {people}    password: {demo['password']}")
            lines.append(
                "next     python3 manage.py demo_agent     an agent that asks; approve its refund in the queue"
            )
        print("\n".join(lines), flush=True)

    def _check_children(self) -> None:
        for child in self.children:
            if child.has_ended():
                raise CannotRun(f"{child.name} {child.ending()}; everything else was stopped.")
        if self.cluster is not None and self.cluster.process is not None and self.cluster.process.poll() is not None:
            raise CannotRun(f"PostgreSQL ended (see {self.cluster.log}); everything else was stopped.")

    def _watch(self) -> None:
        while True:
            self._go_on()
            self._check_children()
            time.sleep(0.2)

    def _stop(self) -> None:
        """Beat, web, worker, notary, PostgreSQL; a second signal cuts the waiting short."""
        asked_before = self.asked_to_stop
        for part in STOP_ORDER:
            for child in self.children:
                if child.command.part is part:
                    child.stop(at_once=self.asked_to_stop > max(asked_before, 1))
        if self.cluster is not None:
            self.cluster.stop()
        (self.state / "children.json").unlink(missing_ok=True)


def _is_loopback(host: str) -> bool:
    try:
        return ip_address(host).is_loopback
    except ValueError:
        return host == "localhost"


def _shown(path: Path) -> str:
    try:
        return f"{path.relative_to(Path.cwd())}/"
    except ValueError:
        return f"{path}/"
