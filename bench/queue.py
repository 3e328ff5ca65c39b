"""What 10,000 waiting reviews cost the queue's page: `.venv/bin/python -m bench.queue [--quick]`.

Two tenants, one with 100 waiting reviews, one with 10,000, on a PostgreSQL of its own (fsync on). Their first pages are
asked for in turns by the same person's kind of session, in this process, through the whole stack of middleware. What is
printed is the ratio of the medians of server time, and the value to hold; the same goes to bench/results/queue-<time>.json.
"""

from __future__ import annotations

import argparse
import json
import logging
import os
import platform
import signal
import statistics
import sys
import time
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

ROOT = Path(__file__).resolve().parent.parent
sys.path[:0] = [str(ROOT), str(ROOT / "sdk")]
os.environ.setdefault("DJANGO_SETTINGS_MODULE", "tests.settings")

from bench.database import database  # noqa: E402  # the path is set above

HOLD = 1.5
FEW, MANY = 100, 10_000
PAGES = {"first page": "/reviews/", "one agent": "/reviews/?agent=refund-bot", "search": "/reviews/?q=refund"}


def waiting(people: Any, number: int) -> None:
    """So many waiting reviews of the tenant: one through intake, the others alike it."""
    from audit.ids import uuid7
    from audit.scope import as_tenant
    from reviews.models import Review
    from tests.factories import enforce_refunds, held_review

    enforce_refunds(people)
    first = held_review(people)
    now = datetime.now(UTC)
    with as_tenant(people.tenant.pk):
        rows: list[Review] = []
        for index in range(1, number):
            row = Review.objects.get(pk=first.pk) if index == 1 else rows[-1]
            copy = Review(**{field.attname: getattr(row, field.attname) for field in Review._meta.concrete_fields})  # noqa: SLF001  # Django documents it
            copy.pk, copy.call_id, copy.entry_uid = uuid7(), uuid7(), str(uuid7())
            copy.content_key, copy.run_id = f"{index:064x}", f"run_{index}"
            copy.tier = 1 + index % 3
            copy.created_at = now - timedelta(seconds=index % 3600)
            copy.due_at = now + timedelta(seconds=index % 7200)
            copy.expires_at = now + timedelta(hours=8)
            rows.append(copy)
        Review.objects.bulk_create(rows, batch_size=500)


def client_of(member: Any) -> Any:
    """A browser in which the member is signed in."""
    from django.test import Client

    client = Client()
    client.force_login(member.user, backend="allauth.account.auth_backends.AuthenticationBackend")
    return client


def measure(rounds: int) -> dict[str, Any]:
    """Medians and their ratio for each page."""
    import psycopg

    from guardsite import testing
    from tests.people import make_people

    few = make_people()
    waiting(few, FEW)
    many = make_other(few)
    waiting(many, MANY)
    # As autovacuum leaves the table.
    with psycopg.connect(testing.server().conninfo(dbname="bench"), autocommit=True) as admin:
        admin.execute("VACUUM ANALYZE reviews_review")
    clients = (client_of(many.rita), client_of(few.rita))
    found = {}
    for name, address in PAGES.items():
        for client, number in zip(clients, (MANY, FEW), strict=True):
            page = client.get(address)
            assert page.status_code == 200, page.status_code
            assert len(page.context["rows"]) > 0, (name, number)
        taken: tuple[list[float], list[float]] = ([], [])
        for _ in range(rounds):
            for client, times in zip(clients, taken, strict=True):
                started = time.perf_counter()
                assert client.get(address).status_code == 200
                times.append((time.perf_counter() - started) * 1000)
        above, below = (statistics.median(times) for times in taken)
        found[name] = {"ratio": above / below, "many_ms": above, "few_ms": below, "hold": HOLD}
        mark = "ok  " if above / below <= HOLD else "MISS"
        print(
            f"{mark} {above / below:5.2f}  (hold {HOLD:g})  {name}: {MANY:,} waiting / {FEW} waiting"
            f"  [{above:.1f} / {below:.1f} ms, {rounds} rounds]",
            flush=True,
        )
    return found


def make_other(first: Any) -> Any:
    """A second tenant with one reviewer, one owner and an agent, alike the first."""
    from dataclasses import replace

    from audit.scope import as_tenant
    from policy.setup import open_policy
    from tenants.keys import issue
    from tenants.members import add_member, open_tenant
    from tenants.models import Agent
    from tests.people import PASSWORD

    tenant = open_tenant("Busy", slug="busy")
    open_policy(tenant.pk)
    adam, rita = (
        add_member(tenant, email=f"{name}@busy.example", name=name.capitalize(), roles=[role], password=PASSWORD)
        for name, role in (("adam", "owner"), ("rita", "reviewer"))
    )
    with as_tenant(tenant.pk):
        agent = Agent.objects.create(tenant=tenant, slug="refund-bot", name="refund-bot", reviews_per_hour=1_000_000)
    token = issue(tenant.pk, name="bench", agent=agent, scopes=("evaluate", "reviews"), acting_member=adam).token
    return replace(first, tenant=tenant, adam=adam, rita=rita, agent=agent, token=token)


def main() -> int:
    """Run, print, keep; 1 when a ratio misses."""
    signal.signal(signal.SIGTERM, lambda *_: sys.exit(143))  # so that PostgreSQL is stopped
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--quick", action="store_true", help="fewer rounds")
    rounds = 15 if parser.parse_args().quick else 60
    with database():
        from django.test.utils import setup_test_environment

        setup_test_environment(debug=False)
        logging.disable(logging.INFO)
        pages = measure(rounds)
    results = ROOT / "bench" / "results"
    results.mkdir(exist_ok=True)
    report = {
        "at": datetime.now(UTC).isoformat(timespec="seconds"),
        "cores": os.cpu_count(),
        "python": platform.python_version(),
        "rounds": rounds,
        "pages": pages,
    }
    path = results / f"queue-{datetime.now(UTC):%Y%m%dT%H%M%S}.json"
    path.write_text(json.dumps(report, indent=2) + "\n")
    print(f"kept in {path.relative_to(ROOT)}")
    return 0 if all(found["ratio"] <= HOLD for found in pages.values()) else 1


if __name__ == "__main__":
    sys.exit(main())
