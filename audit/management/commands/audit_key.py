"""`manage.py audit_key new|show`: makes the notary's key, or shows what auditors pin."""

from __future__ import annotations

import base64
from argparse import ArgumentParser
from pathlib import Path
from typing import Any

from django.core.exceptions import ImproperlyConfigured
from django.core.management.base import BaseCommand, CommandError
from django.db import DatabaseError

from audit.keys import make_key_file, public_key
from audit.notary import heads
from audit.note import VerifierKey


class Command(BaseCommand):
    """Keys of the notary."""

    help = "Makes the notary's signing key (new FILE) or shows its public half and each log's verifier key (show)."

    def add_arguments(self, parser: ArgumentParser) -> None:
        """What to do."""
        actions = parser.add_subparsers(dest="action", required=True)
        new = actions.add_parser("new", help="write a new private key, mode 0600")
        new.add_argument("file", type=Path)
        actions.add_parser("show", help="print the public key, and the verifier key of each log")

    def handle(self, *_args: Any, **options: Any) -> None:
        """Make or show."""
        if options["action"] == "new":
            path: Path = options["file"]
            try:
                public = make_key_file(path)
            except FileExistsError:
                raise CommandError(f"{path} is there already. A key is never replaced.") from None
            except OSError as error:
                raise CommandError(f"{path} cannot be written: {error.strerror}.") from None
            self.stdout.write(f"AUDIT_NOTARY_KEY_FILE={path}")
            self.stdout.write(f"AUDIT_NOTARY_PUBLIC_KEY={base64.b64encode(public).decode()}")
            return
        try:
            known = public_key()
        except ImproperlyConfigured as error:
            raise CommandError(str(error)) from None
        if known is None:
            raise CommandError("No key here: set AUDIT_NOTARY_KEY or AUDIT_NOTARY_PUBLIC_KEY.")
        self.stdout.write(f"AUDIT_NOTARY_PUBLIC_KEY={base64.b64encode(known).decode()}")
        try:
            for head in heads():
                self.stdout.write(f"{VerifierKey(head.origin, known)}  tenant {head.tenant_id}, {head.size} rows")
        except DatabaseError:
            self.stderr.write("The logs cannot be listed: no database as gs_notary.")
