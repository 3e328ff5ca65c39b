"""The pytest plug-in (`-p guardsite.testing`): a throw-away PostgreSQL for the run, and clones of a migrated template.

It starts before pytest-django reads the settings, which is why it is no conftest. The server runs in a temporary
directory beside a running `manage.py up`, trades durability for speed, and dies with pytest.
GUARDSITE_TEST_DATABASE_URL, a superuser's URL, takes a server that runs already. Source: operations.md, section 8.
"""

from __future__ import annotations

import atexit
import hashlib
import os
import secrets
import shutil
import subprocess
import tempfile
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from urllib.parse import quote, urlencode

import psycopg
import pytest
from psycopg import sql
from psycopg.conninfo import conninfo_to_dict, make_conninfo

from guardsite import embedded, env, roles

# Set for xdist's workers and for child processes: libpq's connection string of a superuser.
ADMIN_VARIABLE = "GUARDSITE_TEST_ADMIN"
URL_VARIABLES = {
    "DATABASE_URL": roles.APP,
    "OWNER_DATABASE_URL": roles.MIGRATOR,
    "AUDIT_READER_DATABASE_URL": roles.AUDITOR,
    "AUDIT_SEALER_DATABASE_URL": roles.SEALER,
    "AUDIT_NOTARY_DATABASE_URL": roles.NOTARY,
    "BROKER_DATABASE_URL": roles.BROKER,
}
# Roles on a borrowed server get this password; embedded ones log in by peer.
BORROWED_PASSWORD = "guardsite-tests"
KEPT_TEMPLATES = 3
ROOM_IN_MEMORY = 4 * 2**30


class TestServer:
    """The PostgreSQL of this run, seen as its superuser."""

    __test__ = False

    def __init__(self, admin: str) -> None:
        self.admin = admin

    def conninfo(self, role: str | None = None, *, dbname: str = "postgres") -> str:
        """libpq's connection string for `role`, by default the superuser."""
        if role is None:
            return make_conninfo(self.admin, dbname=dbname)
        parts = conninfo_to_dict(self.admin) | {"user": role, "dbname": dbname}
        if "password" in parts:
            parts["password"] = BORROWED_PASSWORD
        return make_conninfo("", **parts)

    def urls(self, dbname: str) -> dict[str, str]:
        """The environment variables that point every role at `dbname`."""
        return {name: self._url(role, dbname) for name, role in URL_VARIABLES.items()}

    def _url(self, role: str, dbname: str) -> str:
        parts = conninfo_to_dict(self.conninfo(role, dbname=dbname))
        query = {
            "host": parts["host"],
            "port": parts.get("port", ""),
            "user": role,
            "password": parts.get("password", ""),
        }
        return f"postgresql:///{quote(dbname)}?" + urlencode({name: value for name, value in query.items() if value})

    @contextmanager
    def session(self, *, dbname: str = "postgres") -> Iterator[psycopg.Connection]:
        """A superuser's connection that commits each statement."""
        with psycopg.connect(self.conninfo(dbname=dbname), autocommit=True) as connection:
            yield connection

    def has(self, dbname: str) -> bool:
        """True when the database exists."""
        with self.session() as connection:
            return connection.execute("SELECT FROM pg_database WHERE datname = %s", [dbname]).fetchone() is not None

    def ensure_template(self, name: str, migrate: Callable[[str], None]) -> None:
        """Builds the template database once, whoever asks first; `migrate` gets the name of the empty database."""
        with self.session() as connection:
            # Held until this session ends; the other xdist workers wait here.
            connection.execute("SELECT pg_advisory_lock(7261)")
            if self.has(name):
                return
            draft = f"{name}_draft"
            connection.execute(sql.SQL("DROP DATABASE IF EXISTS {} WITH (FORCE)").format(sql.Identifier(draft)))
            roles.apply_roles(lambda dbname: self.conninfo(dbname=dbname), dbname=draft)
            if "password" in conninfo_to_dict(self.admin):
                for role in roles.LOGIN_ROLES:
                    connection.execute(
                        sql.SQL("ALTER ROLE {} PASSWORD {}").format(
                            sql.Identifier(role), sql.Literal(BORROWED_PASSWORD)
                        )
                    )
            migrate(draft)
            connection.execute(
                sql.SQL("ALTER DATABASE {} RENAME TO {}").format(sql.Identifier(draft), sql.Identifier(name))
            )

    def clone(self, template: str, name: str) -> None:
        """Makes `name` a copy of the template, with the rights that a copy loses."""
        with self.session() as connection:
            connection.execute(
                sql.SQL("CREATE DATABASE {} TEMPLATE {} STRATEGY FILE_COPY").format(
                    sql.Identifier(name), sql.Identifier(template)
                )
            )
            connection.execute(sql.SQL(roles.database_sql(name)))  # type: ignore[arg-type, unused-ignore]

    def drop(self, name: str) -> None:
        """Drops the database, whoever is still connected."""
        with self.session() as connection:
            connection.execute(sql.SQL("DROP DATABASE IF EXISTS {} WITH (FORCE)").format(sql.Identifier(name)))


def server() -> TestServer:
    """The PostgreSQL of this run."""
    return TestServer(os.environ[ADMIN_VARIABLE])


def new_name(prefix: str) -> str:
    """A database name that nobody else in this run uses."""
    return f"{prefix}_{os.environ.get('PYTEST_XDIST_WORKER', 'main')}_{secrets.token_hex(4)}"


def clone_name() -> str:
    """The database of the test that runs now, in each test anew: one name, so that a web process may outlive a test."""
    return f"clone_{os.environ.get('PYTEST_XDIST_WORKER', 'main')}_{os.getpid()}"


def template_name() -> str:
    """The template's name: it changes with any migration, any SQL file, the roles and the locked requirements."""
    digest = hashlib.sha256()
    root = env.BASE_DIR
    sources = [root / "requirements.txt", root / "guardsite" / "roles.py"]
    for app in ("audit", "tenants", "policy", "reviews"):
        sources += sorted((root / app).glob("migrations/*.py"))
        sources += sorted((root / app).glob("sql/*.sql"))
    for path in sources:
        digest.update(str(path.relative_to(root)).encode() + b"\0" + path.read_bytes() + b"\0")
    return f"template_{digest.hexdigest()[:16]}"


def memory() -> Path | None:
    """A file system in memory with room for the run, which also lets programs run; None where there is none.

    Every database of a test is some 700 files: on a disk that others write to, one takes half a second to copy.
    """
    place = Path("/dev/shm")
    try:
        found = os.statvfs(place)
    except OSError:
        return None
    has_room = found.f_bavail * found.f_frsize >= ROOM_IN_MEMORY
    return place if has_room and not found.f_flag & os.ST_NOEXEC and os.access(place, os.W_OK) else None


class _RunningCluster:
    """The cluster this process started; at the end its migrated template is kept for the next run."""

    def __init__(self) -> None:
        self.home = Path(tempfile.mkdtemp(prefix="guardsite-tests-", dir=memory()))
        self.home.chmod(0o711)
        self.template = template_name()
        self.cache = env.BASE_DIR / ".guardsite-tests"
        self.cluster = embedded.temporary_cluster(self.home / "postgres")

    def start(self) -> None:
        kept = self.cache / self.template
        if kept.is_dir():
            self.cluster.place.mkdir(mode=0o700, exist_ok=True)
            # cp keeps the owner, which is `nobody` where tests run as root.
            subprocess.run(["cp", "-a", str(kept), str(self.cluster.data)], check=True)
        self.cluster.prepare()
        self.cluster.start()

    def stop(self) -> None:
        if self.cluster.process is None:
            return
        keep = False
        # Files that changed during the run: nobody knows which of them the template saw.
        if (
            not (self.cache / self.template).exists()
            and self.cluster.process.poll() is None
            and template_name() == self.template
        ):
            keep = self._drop_all_but_template()
        self.cluster.stop()
        if keep:
            self._keep_data()
        shutil.rmtree(self.home, ignore_errors=True)

    def _drop_all_but_template(self) -> bool:
        here = TestServer(self.cluster.conninfo())
        if not here.has(self.template):
            return False
        with here.session() as connection:
            names = connection.execute("SELECT datname FROM pg_database WHERE NOT datistemplate").fetchall()
        for (name,) in names:
            if name not in ("postgres", self.template):
                here.drop(name)
        return True

    def _keep_data(self) -> None:
        self.cache.mkdir(mode=0o711, exist_ok=True)
        draft = self.cache / f".draft-{os.getpid()}"
        moved = subprocess.run(["mv", str(self.cluster.data), str(draft)], check=False, capture_output=True)
        if moved.returncode != 0:
            return
        try:
            draft.rename(self.cache / self.template)
        except OSError:
            shutil.rmtree(draft, ignore_errors=True)  # Another run kept the same template first.
        templates = sorted(self.cache.glob("template_*"), key=lambda path: path.stat().st_ctime, reverse=True)
        for old in templates[KEPT_TEMPLATES:]:
            shutil.rmtree(old, ignore_errors=True)


_running: _RunningCluster | None = None


@pytest.hookimpl(tryfirst=True)
def pytest_load_initial_conftests(early_config: pytest.Config) -> None:
    """Starts the server and names it in the environment, unless an outer run has done so."""
    if os.environ.get(ADMIN_VARIABLE) or early_config.known_args_namespace.help:
        return
    borrowed = env.optional("GUARDSITE_TEST_DATABASE_URL")
    if borrowed is not None:
        os.environ[ADMIN_VARIABLE] = make_conninfo(borrowed, dbname="postgres")
    else:
        global _running
        _running = _RunningCluster()
        atexit.register(_stop)
        try:
            _running.start()
        except embedded.EmbeddedError as error:
            raise pytest.UsageError(str(error)) from error
        os.environ[ADMIN_VARIABLE] = _running.cluster.conninfo()
    # A name that is never made: a test without a database fixture must not find one.
    os.environ.update(server().urls("guardsite_no_database_here"))


def pytest_unconfigure() -> None:
    """Stops the server, if this process started it."""
    _stop()


def _stop() -> None:
    global _running
    ended, _running = _running, None
    if ended is not None:
        ended.stop()
