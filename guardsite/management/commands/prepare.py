"""`prepare`: migrations and, once, the demo; what `up` does between PostgreSQL and the web process."""

from __future__ import annotations

import json
import secrets
from pathlib import Path
from typing import Any

from django.conf import settings
from django.core.management import call_command, get_commands
from django.core.management.base import BaseCommand, CommandError, CommandParser
from django.db import DatabaseError, connections

from guardsite import env
from reviews.demo.files import write_private


class Command(BaseCommand):
    """Leaves a database that the web process can serve from."""

    help = "Applies the migrations; with --demo, seeds the demo tenant on the first start."
    requires_system_checks: list[str] = []  # noqa: RUF012  (as Django declares it)

    def add_arguments(self, parser: CommandParser) -> None:
        """`--demo`."""
        parser.add_argument("--demo", action="store_true", help="seed the demo tenant if there is no tenant yet")

    def handle(self, *_args: Any, **options: Any) -> None:
        """Migrate, then seed. Any: Django's signature."""
        if env.is_embedded() or env.optional("OWNER_DATABASE_URL"):
            try:
                call_command("migrate", database="owner", interactive=False, verbosity=0)
            except DatabaseError as error:
                raise CommandError(
                    f"a migration failed: {type(error).__name__}: {str(error).splitlines()[0]}"
                ) from error
        if options["demo"] and "seed_demo" in get_commands():
            self._seed_once(settings.STATE_DIR)

    def _seed_once(self, state: Path) -> None:
        """The demo on a first start; its password is kept in `demo.json`, which says that the demo is there."""
        marker, draft = state / "demo.json", state / "demo.json.new"
        if marker.exists():
            return
        if not self._has_tenants():
            self.stderr.write("guardsite: first start: seeding the demo tenant")
            password = secrets.token_urlsafe(12)
            # Before the seeding, which is one transaction: a password that nobody knows would lock the demo up.
            write_private(draft, json.dumps({"password": password}))
            # One word: as two, a password that begins with a dash would be read as an option.
            call_command("seed_demo", f"--password={password}", verbosity=0)
        if draft.exists():
            draft.replace(marker)

    @staticmethod
    def _has_tenants() -> bool:
        from tenants.models import Tenant

        try:
            return Tenant.objects.exists()
        finally:
            connections.close_all()
