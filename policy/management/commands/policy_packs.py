"""`policy_packs`: list, lint, show, compare and adopt risk packs."""

from __future__ import annotations

from argparse import ArgumentParser
from pathlib import Path
from typing import Any

from django.core.management.base import BaseCommand, CommandError

from audit.errors import DomainError
from audit.scope import as_tenant
from policy.packs import NOTICE, BadPack, Pack, read_pack, shipped
from policy.packs.adoption import adopt, differences
from policy.packs.lint import lint
from tenants.models import Member, Tenant


class Command(BaseCommand):
    """A pack is named by its id, or by the path of its directory."""

    help = f"Lists, lints, shows, compares and adopts risk packs. {NOTICE}"

    def add_arguments(self, parser: ArgumentParser) -> None:
        """`list | lint [PACK …] | show PACK | diff PACK --tenant | adopt PACK --tenant --as`."""
        commands = parser.add_subparsers(dest="command", required=True)
        commands.add_parser("list", help="the packs that come with guardsite")
        commands.add_parser("lint", help="what is wrong with packs").add_argument("pack", nargs="*")
        commands.add_parser("show", help="a pack, whole").add_argument("pack")
        compare = commands.add_parser("diff", help="a pack against a tenant's draft")
        take = commands.add_parser("adopt", help="copy a pack into a tenant's draft, on record")
        for sub in (compare, take):
            sub.add_argument("pack")
            sub.add_argument("--tenant", required=True, help="slug of the tenant")
        take.add_argument("--as", dest="email", required=True, help="e-mail of the member who adopts it")
        take.add_argument("--sign-off", default="", help="who in the firm answers for the classification")
        take.add_argument("--replace", action="append", default=[], help="rule:ID or action:ID to overwrite")

    def handle(self, *args: Any, **options: Any) -> None:
        """Do what was asked; every output ends with the notice."""
        getattr(self, f"_{options['command']}")(options)
        self.stdout.write(NOTICE)

    def _list(self, options: dict[str, Any]) -> None:
        for pack in shipped().values():
            self.stdout.write(f"{pack.id} {pack.version}  {len(pack.actions)} actions, {len(pack.rules)} rules")

    def _lint(self, options: dict[str, Any]) -> None:
        packs = [_pack(name) for name in options["pack"]] or list(shipped().values())
        defects = [f"{pack.id}: {defect}" for pack in packs for defect in lint(pack)]
        if defects:
            raise CommandError("\n".join(defects))
        self.stdout.write(f"{len(packs)} packs, nothing wrong.")

    def _show(self, options: dict[str, Any]) -> None:
        pack = _pack(options["pack"])
        self.stdout.write(f"# {pack.id} {pack.version}, sha256 {pack.digest}")
        for name, text in pack.texts.items():
            self.stdout.write(f"# {name}\n{text}")

    def _diff(self, options: dict[str, Any]) -> None:
        pack, tenant = _pack(options["pack"]), _tenant(options["tenant"])
        with as_tenant(tenant.pk):
            found = differences(tenant.pk, pack)
        for one in found:
            self.stdout.write(f"{one.state:8} {one.key}")
            for field, before, after in one.fields:
                self.stdout.write(f"         {field}:\n           draft: {before}\n           pack:  {after}")

    def _adopt(self, options: dict[str, Any]) -> None:
        pack, tenant = _pack(options["pack"]), _tenant(options["tenant"])
        with as_tenant(tenant.pk):
            member = Member.objects.filter(tenant=tenant, user__email=options["email"]).first()
        if member is None:
            raise CommandError(f"{options['email']} is no member of {tenant.slug}.")
        try:
            adopted = adopt(
                tenant.pk, acting=member, pack=pack, sign_off=options["sign_off"], replace=options["replace"]
            )
        except DomainError as error:
            raise CommandError(error.sentence) from error
        for word, keys in (("added", adopted.created), ("replaced", adopted.replaced), ("kept", adopted.kept)):
            for key in keys:
                self.stdout.write(f"{word:8} {key}")
        if adopted.kept:
            self.stdout.write("Kept ones differ from the pack: see `policy_packs diff`, take one with --replace.")
        self.stdout.write("This is the draft. It acts once it is published.")


def _pack(name: str) -> Pack:
    known = shipped().get(name)
    if known is not None:
        return known
    try:
        return read_pack(Path(name))
    except BadPack as error:
        raise CommandError(f"{name}: {error}") from error


def _tenant(slug: str) -> Tenant:
    tenant = Tenant.objects.filter(slug=slug).first()
    if tenant is None:
        raise CommandError(f"There is no tenant {slug}.")
    return tenant
