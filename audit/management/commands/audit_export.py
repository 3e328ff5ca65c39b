"""`manage.py audit_export`: records an export, waits for the checkpoint that covers it, and writes the bundle."""

from __future__ import annotations

import time
from argparse import ArgumentParser
from pathlib import Path
from typing import Any
from uuid import UUID

from django.core.management.base import BaseCommand, CommandError

from audit.errors import DomainError
from audit.export import ExportNotReady, build_bundle, request_export, zip_bundle
from audit.record import Actor
from audit.scope import as_tenant

LOOK_EVERY_SECONDS = 0.2


class Command(BaseCommand):
    """Evidence bundles from the command line."""

    help = "Writes an evidence bundle of a tenant's audit log. The notary must run, here or elsewhere."

    def add_arguments(self, parser: ArgumentParser) -> None:
        """Whose log, where to, how much."""
        parser.add_argument("--tenant", type=UUID, required=True)
        parser.add_argument("--out", type=Path, required=True, help="a new directory, or a file that ends in .zip")
        parser.add_argument("--disclosures", action="store_true", help="with the stored values")
        parser.add_argument("--from", type=int, default=0, dest="start", metavar="SEQ", help="first row; 0 by default")
        parser.add_argument("--previous-size", type=int, help="size of an earlier checkpoint to prove consistency with")
        parser.add_argument(
            "--wait", type=float, default=30.0, help="seconds to wait for the checkpoint; 30 by default"
        )

    def handle(self, *_args: Any, **options: Any) -> None:
        """Record, wait, write."""
        out: Path = options["out"]
        if out.exists():
            raise CommandError(f"{out} is there already.")
        tenant_id: UUID = options["tenant"]
        try:
            with as_tenant(tenant_id):
                wish = request_export(
                    tenant_id,
                    actor=Actor("system", "manage.py"),
                    with_disclosures=options["disclosures"],
                    start=options["start"],
                    previous_size=options["previous_size"],
                )
            cut = self._wait(tenant_id, UUID(wish.uid), out, time.monotonic() + options["wait"])
        except DomainError as error:
            raise CommandError(error.sentence) from None
        self.stdout.write(f"{out}: rows {options['start']} to {cut - 1}, signed at {cut}")

    def _wait(self, tenant_id: UUID, uid: UUID, out: Path, deadline: float) -> int:
        while True:
            try:
                return self._write(tenant_id, uid, out)
            except ExportNotReady:
                if time.monotonic() >= deadline:
                    raise
                time.sleep(LOOK_EVERY_SECONDS)

    def _write(self, tenant_id: UUID, uid: UUID, out: Path) -> int:
        if out.suffix == ".zip":
            source, cut = zip_bundle(tenant_id, uid)
            with source, out.open("xb") as target:
                while block := source.read(1 << 20):
                    target.write(block)
            return cut.size
        out.mkdir(exist_ok=True)
        try:
            return build_bundle(tenant_id, uid, out).size
        except DomainError:
            out.rmdir()
            raise
