"""`create_owner`: a tenant with its first owner, on an installation without a demo."""

from __future__ import annotations

import getpass
import sys
from argparse import ArgumentParser
from typing import Any

from django.core.management.base import BaseCommand, CommandError
from django.db import transaction
from django.utils.text import slugify

from audit.errors import DomainError
from policy.setup import open_policy
from tenants.members import add_member, open_tenant
from tenants.models import Tenant
from tenants.roles import Role


class Command(BaseCommand):
    """All or nothing: tenant, log, policy and owner in one transaction."""

    help = "Makes a tenant that observes, and its first owner. The password is asked for, or read from standard input."

    def add_arguments(self, parser: ArgumentParser) -> None:
        """Who and where."""
        parser.add_argument("--tenant", required=True, help="name of the company or of its part")
        parser.add_argument("--email", required=True, help="the owner signs in with it")
        parser.add_argument("--name", required=True, help="the owner's name, as verdicts show it")

    def handle(self, *_args: Any, **options: Any) -> None:
        """Make both, or say what is wrong and change nothing."""
        slug = slugify(options["tenant"])
        if not slug:
            raise CommandError("The tenant's name needs a letter or a digit.")
        if Tenant.objects.filter(slug=slug).exists():
            raise CommandError(f"There is a tenant {slug} already. Its owner adds members in the admin.")
        password = getpass.getpass("Password: ") if sys.stdin.isatty() else sys.stdin.readline().rstrip("\n")
        try:
            with transaction.atomic():
                tenant = open_tenant(options["tenant"], slug=slug)
                open_policy(tenant.pk)
                add_member(tenant, email=options["email"], name=options["name"], roles=[Role.OWNER], password=password)
        except DomainError as error:
            raise CommandError(error.sentence) from error
        self.stdout.write(f"{options['email']} owns {tenant.name}. It observes; nothing is blocked yet.")
