"""`policy`: check a policy file, without a database; write a tenant's draft as one; make one a tenant's draft."""

from __future__ import annotations

import sys
from argparse import ArgumentParser
from pathlib import Path
from typing import Any

from django.core.management.base import BaseCommand, CommandError

from audit.errors import DomainError
from audit.scope import as_tenant
from policy.strict_yaml import MAX_BYTES
from policy.yaml_files import export_policy, import_policy, read_checked
from policy.yaml_format import BadFile
from tenants.isolation import rows_of
from tenants.models import Member, Tenant


class Command(BaseCommand):
    """Files are YAML in the format guardsite-policy/1; `-` is standard input or output."""

    help = "Checks, exports and imports a policy as one YAML file."
    requires_system_checks: tuple[str, ...] = ()  # `check` runs where there is no database

    def add_arguments(self, parser: ArgumentParser) -> None:
        """`check FILE… | export [FILE] --tenant | import FILE --tenant --as`."""
        commands = parser.add_subparsers(dest="command", required=True)
        checks = commands.add_parser("check", help="what is wrong with files, their rules' tests included; for CI")
        checks.add_argument("file", nargs="+")
        writes = commands.add_parser("export", help="a tenant's draft as a file")
        writes.add_argument("file", nargs="?", default="-")
        takes = commands.add_parser("import", help="make the draft what a file says; nothing is published")
        takes.add_argument("file")
        takes.add_argument("--as", dest="email", required=True, help="e-mail of the member who imports it")
        for sub in (writes, takes):
            sub.add_argument("--tenant", required=True, help="slug of the tenant")

    def handle(self, *args: Any, **options: Any) -> None:
        """Do what was asked; a refusal is exit code 1 with every reason."""
        getattr(self, f"_{options['command']}")(options)

    def _check(self, options: dict[str, Any]) -> None:
        wrong = []
        for name in options["file"]:
            try:
                policy = read_checked(_text(name))
            except BadFile as error:
                wrong += [f"{name}: {problem}" for problem in error.problems]
            else:
                tests = sum(len(rule.tests) for rule in policy.rules)
                self.stdout.write(f"{name}: {len(policy.rules)} rules, {tests} tests, nothing wrong.")
        if wrong:
            raise CommandError("\n".join(wrong))

    def _export(self, options: dict[str, Any]) -> None:
        text = export_policy(_tenant(options["tenant"]).pk)
        if options["file"] == "-":
            self.stdout.write(text, ending="")
        else:
            Path(options["file"]).write_text(text, encoding="utf-8")

    def _import(self, options: dict[str, Any]) -> None:
        tenant = _tenant(options["tenant"])
        with as_tenant(tenant.pk):
            acting = rows_of(Member, tenant.pk).filter(user__email=options["email"]).first()
        if acting is None:
            raise CommandError(f"{options['email']} is no member of {tenant.slug}.")
        try:
            done = import_policy(tenant.pk, acting=acting, text=_text(options["file"]))
        except DomainError as error:
            raise CommandError(str(error.sentence)) from error
        for what, names in (("Saved", done.saved), ("Deleted", done.deleted)):
            if names:
                self.stdout.write(f"{what}: {', '.join(names)}.")
        self.stdout.write("The draft is what the file says. It acts once it is published.")


def _tenant(slug: str) -> Tenant:
    tenant = Tenant.objects.filter(slug=slug).first()
    if tenant is None:
        raise CommandError(f"There is no tenant {slug}.")
    return tenant


def _text(name: str) -> str:
    """The file's text, of which no more is read than can be refused."""
    try:
        if name == "-":
            return sys.stdin.buffer.read(MAX_BYTES + 1).decode()
        with Path(name).open("rb") as file:
            return file.read(MAX_BYTES + 1).decode()
    except (OSError, UnicodeDecodeError) as error:
        raise CommandError(f"{name}: {getattr(error, 'strerror', None) or 'not UTF-8 text'}.") from error
