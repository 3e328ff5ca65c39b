"""The embedded PostgreSQL: where it runs, who gets in, and that no crash loses what it acknowledged."""

from __future__ import annotations

import json
import os
import pwd
import shutil
import signal
import subprocess
import sys
import tempfile
import textwrap
from collections.abc import Iterator
from pathlib import Path

import psycopg
import pytest

from guardsite import embedded, env, programs, roles

pytestmark = pytest.mark.process
as_root = pytest.mark.skipif(os.geteuid() != 0, reason="only root may become nobody; run the tests as root to see it")


@pytest.fixture
def state(monkeypatch: pytest.MonkeyPatch) -> Iterator[Path]:
    """An empty state directory that `nobody` can walk to (pytest's own tmp_path is 0700)."""
    home = Path(tempfile.mkdtemp(prefix="guardsite-state-"))
    home.chmod(0o711)
    monkeypatch.setenv("GUARDSITE_STATE", str(home / "state"))
    yield home / "state"
    shutil.rmtree(home)


@pytest.fixture(scope="module")
def cluster() -> Iterator[embedded.Cluster]:
    """A running cluster with roles, as `up` makes it; shared, since making one takes a second."""
    home = Path(tempfile.mkdtemp(prefix="guardsite-state-"))
    home.chmod(0o711)
    cluster = embedded.embedded_cluster(home / "state")
    cluster.prepare()
    cluster.start()
    try:
        roles.apply_roles(lambda dbname: cluster.conninfo(dbname=dbname), dbname=embedded.DATABASE)
        yield cluster
    finally:
        cluster.stop()
        shutil.rmtree(home)


def _lives(pid: int) -> bool:
    """True for a running process; a zombie that nobody waits for has no command line any more."""
    path = Path(f"/proc/{pid}/cmdline")
    return path.exists() and path.read_bytes() != b""


def _setting(cluster: embedded.Cluster, name: str) -> str:
    with psycopg.connect(cluster.conninfo()) as connection:
        row = connection.execute("SELECT current_setting(%s)", [name]).fetchone()
    assert row is not None
    return str(row[0])


def test_server_keeps_every_acknowledged_commit_and_listens_on_no_port(cluster: embedded.Cluster) -> None:
    assert _setting(cluster, "listen_addresses") == ""
    for name in ("fsync", "full_page_writes", "synchronous_commit", "data_checksums"):
        assert _setting(cluster, name) == "on"
    assert cluster.socket_dir.stat().st_mode & 0o777 == 0o700


def test_statements_and_their_values_stay_out_of_the_server_log(cluster: embedded.Cluster) -> None:
    with psycopg.connect(cluster.conninfo(dbname=embedded.DATABASE), autocommit=True) as connection:
        connection.execute("CREATE TABLE one_of_each (name text PRIMARY KEY)")
        connection.execute("INSERT INTO one_of_each VALUES ('zebra-4711')")
        with pytest.raises(psycopg.errors.UniqueViolation):
            connection.execute("INSERT INTO one_of_each VALUES ('zebra-4711')")
        with pytest.raises(psycopg.errors.UndefinedTable):
            connection.execute("SELECT 'zebra-4711' FROM missing")
    assert "duplicate key" in cluster.read_log()
    assert "zebra-4711" not in cluster.read_log()


def test_every_role_logs_in_by_the_name_of_the_operating_system_user(cluster: embedded.Cluster) -> None:
    for role in (roles.SUPERUSER, *roles.LOGIN_ROLES):
        with psycopg.connect(cluster.conninfo(role, dbname=embedded.DATABASE)) as connection:
            row = connection.execute("SELECT session_user").fetchone()
            assert row == (role,)
    with pytest.raises(psycopg.OperationalError, match=r"not permitted to log in|Peer authentication failed"):
        psycopg.connect(cluster.conninfo(roles.OWNER, dbname=embedded.DATABASE))


def test_roles_are_made_a_second_time_without_a_change(cluster: embedded.Cluster) -> None:
    roles.apply_roles(lambda dbname: cluster.conninfo(dbname=dbname), dbname=embedded.DATABASE)
    with psycopg.connect(cluster.conninfo(dbname=embedded.DATABASE)) as connection:
        row = connection.execute("SELECT has_database_privilege('gs_broker', 'guardsite', 'CREATE')").fetchone()
    assert row == (False,)


def test_printed_roles_run_in_psql_twice(cluster: embedded.Cluster) -> None:
    script = roles.script_for_psql("made by hand").encode()
    command = [str(cluster.software.bin / "psql"), "-X", "-q", "-v", "ON_ERROR_STOP=1", cluster.conninfo()]
    for _ in range(2):
        done = subprocess.run(command, input=script, capture_output=True, check=False)
        assert done.returncode == 0, done.stderr.decode()
    with psycopg.connect(cluster.conninfo(roles.BROKER, dbname="made by hand")) as connection:
        assert connection.execute("SELECT count(*) FROM pgmq.meta").fetchone() == (0,)


@as_root
def test_root_runs_the_server_as_nobody(cluster: embedded.Cluster) -> None:
    assert cluster.process is not None
    assert Path(f"/proc/{cluster.process.pid}").stat().st_uid == pwd.getpwnam("nobody").pw_uid
    assert cluster.data.stat().st_uid == pwd.getpwnam("nobody").pw_uid


@as_root
def test_where_nobody_cannot_walk_the_server_moves_and_the_way_stays_closed(
    state: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    closed = state.parent
    closed.chmod(0o700)
    cluster = embedded.embedded_cluster(state)
    try:
        assert cluster.place.parent == Path("/var/lib/guardsite")
        assert cluster.software.bin.is_relative_to(cluster.place)
        cluster.prepare()
        cluster.start()
        assert cluster.answers()
        assert closed.stat().st_mode & 0o777 == 0o700
        assert embedded.remembered_socket_dir(state) == cluster.socket_dir
        # Opened later, the directory changes nothing: the data stays where it is.
        closed.chmod(0o711)
        assert embedded.embedded_cluster(state).place == cluster.place
    finally:
        cluster.stop()
        shutil.rmtree(cluster.place)


@as_root
def test_user_for_the_server_must_exist_and_not_be_root(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("GUARDSITE_PG_OS_USER", "nobody-of-that-name")
    with pytest.raises(embedded.EmbeddedError, match="nobody-of-that-name"):
        programs.server_user()
    monkeypatch.setenv("GUARDSITE_PG_OS_USER", "root")
    with pytest.raises(embedded.EmbeddedError, match="does not run as root"):
        programs.server_user()


def test_long_path_puts_the_socket_into_the_temporary_folder(state: Path) -> None:
    place = state / ("long" * 30)
    where = embedded.socket_dir_for(place)
    assert where.parent == Path(tempfile.gettempdir())
    assert where != embedded.socket_dir_for(state / ("long" * 31))


def test_socket_directory_that_is_a_link_or_open_is_refused(state: Path) -> None:
    state.mkdir()
    (state / "elsewhere").mkdir(mode=0o700)
    (state / "link").symlink_to(state / "elsewhere")
    (state / "open").mkdir()
    (state / "open").chmod(0o755)
    for name in ("link", "open"):
        with pytest.raises(embedded.EmbeddedError, match="Remove it"):
            embedded._own_socket_dir(state / name, None)


def test_data_of_another_major_version_is_refused_with_the_way_out(state: Path) -> None:
    cluster = embedded.embedded_cluster(state)
    cluster.prepare()
    (cluster.data / "PG_VERSION").write_text("16\n")
    with pytest.raises(embedded.EmbeddedError, match=r"PostgreSQL 16.*pg_dump.*pg_restore"):
        cluster.prepare()


def test_half_made_cluster_is_made_again(state: Path) -> None:
    cluster = embedded.embedded_cluster(state)
    (cluster.place / "data.new").mkdir(parents=True)
    (cluster.place / "data.new" / "half").write_text("made")
    cluster.prepare()
    cluster.start()
    cluster.stop()


def test_pid_file_that_names_a_stranger_does_not_stop_the_start(state: Path) -> None:
    cluster = embedded.embedded_cluster(state)
    cluster.prepare()
    # This very process lives, and is no server.
    (cluster.data / "postmaster.pid").write_text(f"{os.getpid()}\n{cluster.data}\n0\n5432\n\n\n\n")
    cluster.start()
    try:
        assert cluster.answers()
    finally:
        cluster.stop()


def test_killed_server_loses_no_acknowledged_commit(cluster: embedded.Cluster) -> None:
    assert cluster.process is not None
    acknowledged = 0
    with psycopg.connect(cluster.conninfo(dbname=embedded.DATABASE), autocommit=True) as connection:
        connection.execute("CREATE TABLE counted (number int)")
        for number in range(300):
            connection.execute("INSERT INTO counted VALUES (%s)", [number])
            acknowledged += 1
        os.killpg(cluster.process.pid, signal.SIGKILL)
        cluster.process.wait()
        with pytest.raises(psycopg.OperationalError):
            connection.execute("INSERT INTO counted VALUES (-1)")
    cluster.start()
    with psycopg.connect(cluster.conninfo(dbname=embedded.DATABASE)) as connection:
        assert connection.execute("SELECT count(*) FROM counted WHERE number >= 0").fetchone() == (acknowledged,)


def test_server_whose_starter_was_killed_is_taken_over(state: Path) -> None:
    script = textwrap.dedent(
        """
        import json, os, signal, sys
        from pathlib import Path
        from guardsite import embedded
        cluster = embedded.embedded_cluster(Path(sys.argv[1]))
        cluster.prepare()
        cluster.start()
        print(json.dumps(cluster.process.pid), flush=True)
        os.kill(os.getpid(), signal.SIGKILL)
        """
    )
    done = subprocess.run(
        [sys.executable, "-c", script, str(state)], capture_output=True, text=True, cwd=env.BASE_DIR, check=False
    )
    assert done.returncode == -signal.SIGKILL, done.stderr
    orphan = json.loads(done.stdout)
    cluster = embedded.embedded_cluster(state)
    assert cluster.answers()
    cluster.prepare()
    cluster.start()
    try:
        assert cluster.process is not None
        assert cluster.process.pid != orphan
        assert not _lives(orphan)
        assert cluster.answers()
    finally:
        cluster.stop()
    assert not cluster.answers()
