"""`forget_factors`: for somebody who lost every device and every recovery code."""

from __future__ import annotations

from argparse import ArgumentParser
from typing import Any

from django.core.management.base import BaseCommand, CommandError

from tenants.models import User
from tenants.sessions import forget_factors


class Command(BaseCommand):
    """Removes the second factors of one person and ends their sessions; each of their tenants' logs says so."""

    help = "Removes a person's second factors and ends their sessions. Make sure first that it is they who ask."

    def add_arguments(self, parser: ArgumentParser) -> None:
        """Who."""
        parser.add_argument("email", help="the address that the person signs in with")

    def handle(self, *_args: Any, **options: Any) -> None:
        """Remove them, or say that there is nobody with this address."""
        user = User.objects.filter(email__iexact=options["email"]).first()
        if user is None:
            raise CommandError(f"Nobody has the address {options['email']}.")
        count = forget_factors(user)
        self.stdout.write(
            f"{user.email}: {count} second factors removed, all sessions ended. The password still holds."
        )
