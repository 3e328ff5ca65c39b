"""`seed_demo`: the demo tenant, once."""

from __future__ import annotations

from argparse import ArgumentParser
from typing import Any

from django.conf import settings
from django.core.management.base import BaseCommand, CommandError
from django.db import transaction
from django.utils import timezone

from audit.errors import DomainError
from reviews.demo.seed import seed
from tenants.models import Tenant


class Command(BaseCommand):
    """All or nothing: it runs in one transaction."""

    help = "Makes the demo tenant: people, rules, and recorded tool calls sent through the real gate."

    def add_arguments(self, parser: ArgumentParser) -> None:
        """`--password`."""
        parser.add_argument("--password", required=True, help="password of the demo sign-ins, 12 characters or more")

    def handle(self, *args: Any, **options: Any) -> None:
        """Seed, unless there is a demo tenant already."""
        if Tenant.objects.filter(slug="demo").exists():
            raise CommandError("There is a demo tenant already. Nothing was changed.")
        try:
            with transaction.atomic():
                seed(
                    password=options["password"],
                    state_dir=settings.STATE_DIR,
                    base_url=settings.GUARDSITE_URL,
                    now=timezone.now(),
                )
        except DomainError as error:
            raise CommandError(f"{type(error).__name__}: {error.sentence} {error.details or ''}") from error
        self.stdout.write("The demo tenant is ready.")
