"""The PostgreSQL that a bench runs on: its own, with fsync on and everything migrated."""

from __future__ import annotations

import os
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path


@contextmanager
def database() -> Iterator[dict[str, str]]:
    """Sets Django up on it and gives the environment that points every role there; stopped at the end."""
    from guardsite import embedded, testing

    with tempfile.TemporaryDirectory(prefix="guardsite-bench-") as place:
        os.chmod(place, 0o711)
        cluster = embedded.temporary_cluster(Path(place) / "postgres")
        cluster.in_tests = False  # fsync on; it then lives until we stop it
        cluster.prepare()
        cluster.start()
        try:
            os.environ[testing.ADMIN_VARIABLE] = cluster.conninfo()
            server = testing.server()
            os.environ.update(server.urls("bench"))
            import django

            django.setup()
            from tests.conftest import migrate_as_owner, point_at

            server.ensure_template("bench_template", migrate_as_owner)
            server.clone("bench_template", "bench")
            point_at("bench")
            yield server.urls("bench")
        finally:
            from django.db import connections

            connections.close_all()
            cluster.stop()
