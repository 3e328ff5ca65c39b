"""`manage.py audit_verify`: walks the logs in the database, or hands a bundle to the stand-alone verifier."""

from __future__ import annotations

import subprocess
import sys
from argparse import REMAINDER, ArgumentParser
from typing import Any
from uuid import UUID

from django.core.management.base import BaseCommand, CommandError

from audit.notary import heads
from audit.verification import verify_log
from audit.verifier import SCRIPT


class Command(BaseCommand):
    """Verification by the server itself."""

    help = (
        "Recomputes every hash of the audit log and compares every signed head. Ends with 1 when something is broken."
    )

    def add_arguments(self, parser: ArgumentParser) -> None:
        """Which log."""
        parser.add_argument("--tenant", type=UUID, help="one tenant's log; all by default")
        parser.add_argument("--bundle", nargs=REMAINDER, help="a bundle, and the stand-alone verifier's own options")

    def handle(self, *_args: Any, **options: Any) -> None:
        """Verify, report, and fail loudly."""
        if options["bundle"]:
            # Isolated, as an auditor would run it.
            sys.exit(subprocess.run([sys.executable, "-I", str(SCRIPT), *options["bundle"]], check=False).returncode)
        tenants = [options["tenant"]] if options["tenant"] else [head.tenant_id for head in heads()]
        is_broken = False
        for tenant_id in tenants:
            report = verify_log(tenant_id)
            if report is None:
                raise CommandError("This tenant has no log.")
            is_broken = is_broken or not report.is_verified
            self.stdout.write(f"{report.origin}: {report.sentence()}")
            for check in report.checks:
                self.stdout.write(f"  {check.status:<10} {check.name}: {check.text}")
        if is_broken:
            raise CommandError("Not every log is verified.")
