"""`roles`: the SQL of the database roles, for an administrator to read; `--apply` runs it."""

from __future__ import annotations

from typing import Any

import psycopg
from django.core.management.base import BaseCommand, CommandError, CommandParser
from django.db import connections
from psycopg.conninfo import make_conninfo

from guardsite import embedded, env
from guardsite.roles import SUPERUSER, apply_roles, script_for_psql


class Command(BaseCommand):
    """Prints or applies the roles."""

    help = "Prints the SQL that makes the database roles, for psql; with --apply, runs it."
    requires_system_checks: list[str] = []  # noqa: RUF012  (as Django declares it)

    def add_arguments(self, parser: CommandParser) -> None:
        """`--apply`; on a server the administrator's URL comes from ADMIN_DATABASE_URL."""
        parser.add_argument("--apply", action="store_true", help="run it, as the administrator of ADMIN_DATABASE_URL")

    def handle(self, *_args: Any, **options: Any) -> None:
        """Print or run. Any: Django's signature."""
        dbname = str(connections.settings["default"]["NAME"])
        if not options["apply"]:
            self.stdout.write(script_for_psql(dbname))
            return
        admin = env.optional("ADMIN_DATABASE_URL")
        if admin is None:
            if not env.is_embedded():
                raise CommandError("ADMIN_DATABASE_URL is not set: the roles need an administrator's connection.")
            admin = make_conninfo(host=str(embedded.remembered_socket_dir(env.state_dir())), user=SUPERUSER)
        base = admin
        try:
            apply_roles(lambda name: make_conninfo(base, dbname=name), dbname=dbname)
        except psycopg.Error as error:
            raise CommandError(f"the roles could not be made: {error}") from error
