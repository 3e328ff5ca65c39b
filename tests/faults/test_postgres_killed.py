"""PostgreSQL killed with -9 under load: what was answered is in the chain, and what was not recorded was not allowed."""

from __future__ import annotations

import json
import os
import shutil
import subprocess
import sys
import tempfile
import threading
import urllib.error
import urllib.request
from collections.abc import Iterator
from pathlib import Path
from typing import Any
from uuid import uuid4

import psycopg
import pytest

from guardsite import embedded, env, roles
from guardsite.processes import Part
from guardsite.testing import TestServer
from tests.factories import SMALL
from tests.processes import Desk

pytestmark = pytest.mark.process
CALLS = 1000
CLIENTS = 8
KILL_AFTER = 300

SET_UP = """
import django
django.setup()
from tests import factories
from tests.people import make_people
people = make_people()
factories.enforce_refunds(people)
from tenants.keys import issue
# A key for each client: the rate limit is not what is tested here.
for number in range(CLIENTS):
    print(issue(people.tenant.pk, name=str(number), agent=people.agent, acting_member=people.adam).token)
"""


@pytest.fixture
def durable_cluster() -> Iterator[embedded.Cluster]:
    """A cluster of its own with fsync on, as people run it."""
    home = Path(tempfile.mkdtemp(prefix="guardsite-killed-"))
    home.chmod(0o711)
    cluster = embedded.temporary_cluster(home / "postgres")
    cluster.in_tests = False
    cluster.prepare()
    cluster.start()
    try:
        yield cluster
    finally:
        cluster.stop()
        shutil.rmtree(home, ignore_errors=True)


def run(environment: dict[str, str], *command: str) -> str:
    """The output of a child that must succeed."""
    done = subprocess.run(
        [sys.executable, *command], env=environment, cwd=env.BASE_DIR, capture_output=True, text=True, check=False
    )
    assert done.returncode == 0, done.stdout + done.stderr
    return done.stdout


@pytest.mark.long
def test_every_answered_call_is_in_the_chain_after_a_kill(durable_cluster: embedded.Cluster) -> None:
    cluster = durable_cluster
    roles.apply_roles(lambda dbname: cluster.conninfo(dbname=dbname), dbname="guardsite")
    environment = (
        dict(os.environ)
        | TestServer(cluster.conninfo()).urls("guardsite")
        | {"DJANGO_SETTINGS_MODULE": "guardsite.settings", "CELERY_BROKER_URL": "pgmq://"}
    )
    desk = Desk(environment)
    try:
        run(desk.environment, "manage.py", "migrate", "--verbosity", "0")
        tokens = run(desk.environment, "-c", SET_UP.replace("CLIENTS", str(CLIENTS))).split()
        desk.start_web()
        answered, refused = _load(desk, tokens, cluster)
        assert desk.children[Part.WEB].has_ended() is False
        run(desk.environment, "manage.py", "notary", "--once")
        verified = run(desk.environment, "manage.py", "audit_verify")
    finally:
        desk.stop()
    assert len(answered) + len(refused) == CALLS
    assert len(answered) > KILL_AFTER
    # Every refusal is one that an agent understands as "not allowed".
    assert set(refused) <= {"503", "unreachable"}
    assert "503" in refused
    with psycopg.connect(cluster.conninfo(dbname="guardsite")) as connection:
        stored = {row[0] for row in connection.execute("SELECT uid::text FROM audit_entry").fetchall()}
        unsealed = connection.execute("SELECT count(*) FROM audit_pending").fetchone()
    assert {answer["receipt"]["entry_id"] for answer in answered} <= stored
    assert unsealed == (0,)
    assert "erified" in verified


def _load(desk: Desk, tokens: list[str], cluster: embedded.Cluster) -> tuple[list[dict[str, Any]], list[str]]:
    """Ask CALLS times from CLIENTS threads; kill the server after KILL_AFTER answers and start it again."""
    answered: list[dict[str, Any]] = []
    refused: list[str] = []
    left = iter(range(CALLS))
    killed = threading.Event()
    lock = threading.Lock()

    def client(token: str) -> None:
        while True:
            with lock:
                if next(left, None) is None:
                    return
            body = {"idempotency_key": uuid4().hex, "action_id": "billing.refund", "params": SMALL}
            request = urllib.request.Request(
                f"{desk.url}/v1/evaluate",
                json.dumps(body).encode(),
                {"Authorization": f"Bearer {token}", "Content-Type": "application/json"},
            )
            try:
                with urllib.request.urlopen(request, timeout=30) as response:
                    answered.append(json.load(response))
            except urllib.error.HTTPError as error:
                refused.append(str(error.code))
            except OSError:
                refused.append("unreachable")
            if len(answered) >= KILL_AFTER and not killed.is_set():
                with lock:
                    if not killed.is_set():
                        killed.set()
                        threading.Thread(target=kill_and_start).start()

    restarted = threading.Event()

    def kill_and_start() -> None:
        assert cluster.process is not None
        cluster.process.kill()
        cluster.process.wait()
        # Some calls meet the dead server.
        while not refused:
            restarted.wait(0.02)
        cluster.start()
        restarted.set()

    threads = [threading.Thread(target=client, args=(token,)) for token in tokens]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(timeout=240)
    assert restarted.wait(60)
    return answered, refused
