"""`manage.py up`: what a person sees, and that nothing is left running, whatever ends it. operations.md, section 6."""

from __future__ import annotations

import http.client
import os
import shutil
import signal
import subprocess
import sys
import tempfile
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path

import psycopg
import pytest

from guardsite import embedded, env, roles
from guardsite.children import Child
from guardsite.processes import Command, Part
from guardsite.programs import wait_for
from tests.processes import free_port

pytestmark = [
    pytest.mark.process,
    pytest.mark.long,
    pytest.mark.skipif(sys.platform != "linux", reason="looks into /proc for what is left running"),
]


@dataclass
class Up:
    """`manage.py up` in a state directory of its own; its output goes to a file."""

    state: Path
    port: int = field(default_factory=free_port)
    process: subprocess.Popen[bytes] | None = None

    def start(self, *arguments: str) -> subprocess.Popen[bytes]:
        """Starts it, without waiting."""
        ours = ("GUARDSITE_", "AUDIT_", "CELERY_", "DJANGO_", "PYTEST_", "COV_")
        clean = {k: v for k, v in os.environ.items() if not k.startswith(ours) and not k.endswith("DATABASE_URL")}
        with self.log_path.open("ab") as log:
            self.process = subprocess.Popen(
                [sys.executable, str(env.BASE_DIR / "manage.py"), "up", "--port", str(self.port), *arguments],
                env=clean | {"GUARDSITE_STATE": str(self.state)},
                cwd=self.state.parent,
                stdin=subprocess.DEVNULL,
                stdout=log,
                stderr=log,
                start_new_session=True,
            )
        return self.process

    def run(self, *arguments: str) -> tuple[int, str]:
        """Starts it and waits for its end: status and output."""
        before = len(self.log())
        process = self.start(*arguments)
        return process.wait(60), self.log()[before:]

    def wait_for_line(self, text: str, *, seconds: float = 60) -> None:
        """Returns when it has written `text`."""
        assert self.process is not None
        process = self.process
        assert wait_for(lambda: text in self.log() or process.poll() is not None, seconds=seconds), self.log()
        assert text in self.log(), self.log()

    @property
    def log_path(self) -> Path:
        return self.state.parent / f"{self.state.name}-{self.port}.log"

    def log(self) -> str:
        """All it wrote."""
        return self.log_path.read_text(errors="replace") if self.log_path.exists() else ""

    def get(self, path: str) -> tuple[int, str]:
        """One request to its web process."""
        connection = http.client.HTTPConnection("127.0.0.1", self.port, timeout=10)
        try:
            connection.request("GET", path)
            answer = connection.getresponse()
            return answer.status, answer.read().decode()
        finally:
            connection.close()

    def running(self) -> dict[int, str]:
        """Every process that descends from it, by pid: they share its environment."""
        found = {}
        marker = f"GUARDSITE_STATE={self.state}".encode()
        for path in Path("/proc").glob("[0-9]*"):
            try:
                if marker in (path / "environ").read_bytes().split(b"\0"):
                    command = (path / "cmdline").read_bytes().replace(b"\0", b" ").decode(errors="replace")
                    if command:
                        found[int(path.name)] = command
            except OSError:
                continue
        return found

    def pid_of(self, words: str) -> int:
        """The oldest process whose command line has `words`."""
        return min(pid for pid, command in self.running().items() if words in command)


@pytest.fixture
def up() -> Iterator[Up]:
    """A directory in which nothing ever ran; whatever a failed test leaves is killed."""
    home = Path(tempfile.mkdtemp(prefix="guardsite-up-"))
    home.chmod(0o711)
    up = Up(home / "state")
    yield up
    for pid in up.running():
        os.kill(pid, signal.SIGKILL)
    if up.process is not None:
        up.process.wait(20)
    shutil.rmtree(home)


def test_first_start_serves_the_demo_and_ctrl_c_leaves_nothing(up: Up) -> None:
    process = up.start()
    up.wait_for_line("Ctrl-C stops everything")
    assert f"guardsite runs at http://localhost:{up.port}" in up.log()
    assert "rita@demo.example reviewer, lena@… lead, adam@… owner, otto@… auditor    password: " in up.log()
    assert up.get("/healthz") == (200, '{"status": "ok"}')
    assert up.get("/readyz") == (200, '{"status": "ready"}')
    assert up.get("/accounts/login/")[0] == 200
    for name in ("AUDIT_NOTARY_KEY", "GUARDSITE_SECRET_KEY"):
        key = up.state / "keys" / name
        assert wait_for(key.exists, seconds=30), "the notary makes its key a moment after the desk answers"
        assert key.stat().st_mode & 0o777 == 0o600

    # Started twice; and once more elsewhere, on the same port.
    other = Up(up.state, port=free_port())
    assert other.run() == (1, f"guardsite: already running from this directory, at http://localhost:{up.port}\n")
    elsewhere = Up(up.state.parent / "elsewhere", port=up.port)
    status, output = elsewhere.run()
    assert status == 1
    assert f"cannot listen on 127.0.0.1:{up.port}: Address already in use. Choose another with --port." in output
    assert not (elsewhere.state / "postgres").exists()

    # A terminal sends SIGINT to the foreground group: `up` alone, since the children have their own sessions.
    os.killpg(process.pid, signal.SIGINT)
    assert process.wait(60) == 0
    assert up.running() == {}
    assert "Traceback" not in up.log()

    assert up.run("--host", "0.0.0.0")[1].startswith("guardsite: --host 0.0.0.0 would offer the demo sign-ins")


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGHUP])
def test_polite_signal_ends_with_status_zero(up: Up, number: signal.Signals) -> None:
    process = up.start("--no-demo", "--only", "postgres,web")
    up.wait_for_line("Ctrl-C stops")
    process.send_signal(number)
    assert process.wait(30) == 0
    assert up.running() == {}


def test_signal_before_it_is_ready_is_obeyed(up: Up) -> None:
    process = up.start("--no-demo")
    assert wait_for((up.state / "postgres" / "data" / "postmaster.pid").exists, seconds=30)
    process.send_signal(signal.SIGTERM)
    assert process.wait(60) == 0
    assert up.running() == {}


def test_killed_supervisor_takes_its_children_along_and_the_next_takes_over_postgres(up: Up) -> None:
    process = up.start("--no-demo")
    up.wait_for_line("Ctrl-C stops")
    before = up.pid_of("bin/postgres -D")
    process.kill()
    process.wait()
    assert wait_for(lambda: all("postgres" in command for command in up.running().values()), seconds=10), up.running()
    assert before in up.running()
    up.log_path.write_text("")
    again = up.start("--no-demo", "--only", "postgres")
    up.wait_for_line("Ctrl-C stops")
    assert up.pid_of("bin/postgres -D") != before
    again.send_signal(signal.SIGTERM)
    assert again.wait(30) == 0
    assert up.running() == {}


@pytest.mark.parametrize(("part", "words"), [("web", "uvicorn"), ("PostgreSQL", "bin/postgres -D")])
def test_part_that_dies_is_named_and_ends_everything(up: Up, part: str, words: str) -> None:
    process = up.start("--no-demo", "--only", "postgres,web,notary")
    up.wait_for_line("Ctrl-C stops")
    os.kill(up.pid_of(words), signal.SIGKILL)
    assert process.wait(60) == 1
    assert f"guardsite: {part} " in up.log()
    assert "everything else was stopped" in up.log()
    assert up.running() == {}


def test_failing_migration_is_a_sentence_and_postgres_is_stopped(up: Up) -> None:
    cluster = embedded.embedded_cluster(up.state)
    cluster.prepare()
    cluster.start()
    try:
        roles.apply_roles(lambda dbname: cluster.conninfo(dbname=dbname), dbname=embedded.DATABASE)
        with psycopg.connect(cluster.conninfo(roles.MIGRATOR, dbname=embedded.DATABASE)) as connection:
            connection.execute("SET ROLE gs_owner")
            connection.execute("CREATE TABLE tenants_tenant ()")
    finally:
        cluster.stop()
    status, output = up.run("--no-demo")
    assert status == 1
    assert "a migration failed: ProgrammingError" in output
    assert "guardsite: the database could not be prepared" in output
    assert "Traceback" not in output
    assert up.running() == {}


def test_state_that_cannot_be_written_is_a_sentence(up: Up) -> None:
    blocked = up.state.parent / "file"
    blocked.write_text("")
    status, output = _run_in(blocked / "state", up)
    assert status == 1
    assert f"guardsite: cannot write to {blocked / 'state'}" in output
    assert "GUARDSITE_STATE" in output


def _run_in(state: Path, up: Up) -> tuple[int, str]:
    done = subprocess.run(
        [sys.executable, str(env.BASE_DIR / "manage.py"), "up", "--port", str(up.port)],
        env={"PATH": os.environ["PATH"], "GUARDSITE_STATE": str(state)},
        capture_output=True,
        text=True,
        check=False,
    )
    return done.returncode, done.stdout + done.stderr


def test_part_alone_needs_a_running_postgres(up: Up) -> None:
    status, output = up.run("--only", "worker")
    assert status == 1
    assert "Start it first: python3 manage.py up --only postgres" in output


def test_child_that_ignores_sigterm_is_killed_with_its_group(tmp_path: Path) -> None:
    script = (
        "import signal, subprocess, sys, time\n"
        "signal.signal(signal.SIGTERM, signal.SIG_IGN)\n"
        "child = subprocess.Popen([sys.executable, '-c', 'import time; time.sleep(600)'])\n"
        f"open({str(tmp_path / 'pid')!r}, 'w').write(str(child.pid))\n"
        "time.sleep(600)\n"
    )
    child = Child(Command(part=Part.WEB, arguments=(sys.executable, "-c", script), grace_seconds=1), {})
    assert wait_for(lambda: (tmp_path / "pid").exists() and (tmp_path / "pid").read_text() != "", seconds=10)
    grandchild = int((tmp_path / "pid").read_text())
    child.stop()
    assert child.ending() == "was ended by SIGKILL"
    assert wait_for(lambda: not _lives(grandchild), seconds=5)


def test_group_is_killed_when_its_leader_died_first(tmp_path: Path) -> None:
    script = (
        "import subprocess, sys\n"
        "child = subprocess.Popen([sys.executable, '-c', 'import time; time.sleep(600)'])\n"
        f"open({str(tmp_path / 'pid')!r}, 'w').write(str(child.pid))\n"
    )
    child = Child(Command(part=Part.WEB, arguments=(sys.executable, "-c", script), grace_seconds=1), {})
    assert wait_for(child.has_ended, seconds=10)
    grandchild = int((tmp_path / "pid").read_text())
    assert _lives(grandchild)
    child.stop()
    assert wait_for(lambda: not _lives(grandchild), seconds=5)


def _lives(pid: int) -> bool:
    path = Path(f"/proc/{pid}/cmdline")
    return path.exists() and path.read_bytes() != b""
