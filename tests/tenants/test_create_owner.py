"""The first owner of an installation without a demo."""

from __future__ import annotations

import io

import pytest
from django.core.management import CommandError, call_command

from audit.scope import as_tenant
from policy.models import PolicyState
from tenants.models import Member, Tenant


def create(monkeypatch: pytest.MonkeyPatch, password: str, **changes: str) -> None:
    """Run the command with the password on standard input."""
    monkeypatch.setattr("sys.stdin", io.StringIO(password + "\n"))
    options = {"tenant": "Acme Ltd", "email": "mina@acme.example", "name": "Mina"} | changes
    call_command("create_owner", **options, stdout=io.StringIO())


def test_a_tenant_and_its_owner_are_made_together(db: None, monkeypatch: pytest.MonkeyPatch) -> None:
    create(monkeypatch, "correct horse battery")
    tenant = Tenant.objects.get(slug="acme-ltd")
    with as_tenant(tenant.pk):
        assert Member.objects.get().roles == ["owner"]
        assert PolicyState.objects.get().default_mode == "observe"
    with pytest.raises(CommandError, match="already"):
        create(monkeypatch, "correct horse battery")


def test_a_weak_password_makes_nothing(db: None, monkeypatch: pytest.MonkeyPatch) -> None:
    with pytest.raises(CommandError, match="12 characters"):
        create(monkeypatch, "short")
    assert not Tenant.objects.exists()
