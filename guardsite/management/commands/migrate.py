"""`migrate` as the owner: the web role owns no table and may alter none."""

from __future__ import annotations

from django.core.management.base import CommandParser
from django.core.management.commands import migrate


class Command(migrate.Command):
    """Django's `migrate`, with the alias `owner` as the default."""

    def add_arguments(self, parser: CommandParser) -> None:
        """Django's arguments; `--database` defaults to `owner`."""
        super().add_arguments(parser)
        parser.set_defaults(database="owner")
