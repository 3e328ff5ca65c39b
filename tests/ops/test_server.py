"""The same code on a PostgreSQL server over TCP with passwords, by variables alone."""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
import tempfile
from collections.abc import Iterator
from pathlib import Path

import psycopg
import pytest
from psycopg import sql

from guardsite import embedded, env, roles
from guardsite.testing import URL_VARIABLES
from tests.processes import Desk, free_port

pytestmark = pytest.mark.process
PASSWORD = "pass word/with:signs@and%more"

# Runs in a process of its own, with the settings of a deployment.
DECIDE_AND_WAIT = """
import django
django.setup()
from audit.scope import as_tenant
from guardsite.programs import wait_for
from reviews.models import ResumeDelivery
from tests import factories
from tests.people import make_people

people = make_people()
factories.enforce_refunds(people)
verdict = factories.decide(people, factories.claimed_review(people))

def is_delivered():
    with as_tenant(people.tenant.pk):
        return ResumeDelivery.objects.filter(verdict=verdict, state="delivered").exists()

assert wait_for(is_delivered, seconds=20)
print("delivered")
"""


@pytest.fixture
def server_environment() -> Iterator[dict[str, str]]:
    """A server on a TCP port of the loopback that asks for passwords, and the variables that name it."""
    home = Path(tempfile.mkdtemp(prefix="guardsite-server-"))
    home.chmod(0o711)
    port = free_port()
    cluster = embedded.temporary_cluster(home / "postgres")
    cluster.settings = {"listen_addresses": "127.0.0.1", "port": str(port)}
    cluster.prepare()
    with (cluster.data / "pg_hba.conf").open("a") as rules:
        rules.write("host all all 127.0.0.1/32 scram-sha-256\n")
    quoted = "pass%20word%2Fwith%3Asigns%40and%25more"
    address = f"127.0.0.1:{port}/desk"
    kept = {name: value for name, value in os.environ.items() if not name.endswith("DATABASE_URL")}
    environment = (
        kept
        | {name: f"postgresql://{role}:{quoted}@{address}" for name, role in URL_VARIABLES.items()}
        | {
            "DJANGO_SETTINGS_MODULE": "guardsite.settings",
            "ADMIN_DATABASE_URL": f"postgresql://{roles.SUPERUSER}:{quoted}@{address}",
            "GUARDSITE_STATE": str(home / "state"),
            "AUDIT_NOTARY_STATE": str(home / "notary"),
        }
    )
    cluster.start()
    try:
        with psycopg.connect(cluster.conninfo(), autocommit=True) as admin:
            admin.execute(roles.roles_sql())
            for role in (roles.SUPERUSER, *roles.LOGIN_ROLES):
                admin.execute(sql.SQL("ALTER ROLE {} PASSWORD {}").format(sql.Identifier(role), sql.Literal(PASSWORD)))
        yield environment
    finally:
        cluster.stop()
        shutil.rmtree(home)


def _manage(environment: dict[str, str], *arguments: str) -> str:
    done = subprocess.run(
        [sys.executable, str(env.BASE_DIR / "manage.py"), *arguments],
        env=environment,
        cwd=env.BASE_DIR,
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 0, done.stdout + done.stderr
    return done.stdout


def test_delivery_works_on_a_server_by_variables_alone(server_environment: dict[str, str]) -> None:
    _manage(server_environment, "roles", "--apply")
    _manage(server_environment, "migrate", "--verbosity", "0")
    desk = Desk(server_environment)
    try:
        desk.start_worker()
        done = subprocess.run(
            [sys.executable, "-c", DECIDE_AND_WAIT],
            env=desk.environment,
            cwd=env.BASE_DIR,
            capture_output=True,
            text=True,
            check=False,
        )
        assert done.stdout == "delivered\n", done.stderr[-3000:]
        url = desk.start_web()
        assert url.startswith("http://localhost:")
    finally:
        desk.stop()
    assert not (Path(server_environment["GUARDSITE_STATE"]) / "postgres").exists()


def test_missing_secret_on_a_server_stops_the_start_by_name(server_environment: dict[str, str]) -> None:
    environment = {name: value for name, value in server_environment.items() if name != "GUARDSITE_SECRET_KEY"}
    done = subprocess.run(
        [sys.executable, str(env.BASE_DIR / "manage.py"), "check"],
        env=environment,
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 1
    assert done.stderr.startswith("guardsite: cannot start: GUARDSITE_SECRET_KEY is not set.")
    assert "Traceback" not in done.stderr
