"""What people change about their own sign-in, recorded in every tenant that they are a member of.

A factor belongs to a person and not to a tenant, so each tenant's log says it: its auditors see no other. The entry
commits with the change, since the views that change factors run in one transaction (`tenants.account_urls`).
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from contextvars import ContextVar
from typing import Any, Final

from allauth.account import signals as account_signals
from allauth.mfa.models import Authenticator
from django.db import transaction
from django.db.models.signals import post_delete, post_save
from django.http import HttpRequest

from audit.record import Actor, EntryDraft, record
from audit.scope import as_tenant
from tenants.isolation import as_user
from tenants.models import Member, User

OPERATOR: Final = Actor(type="system", id="operator")

_is_operator: ContextVar[bool] = ContextVar("is_operator", default=False)


@contextmanager
def by_operator() -> Iterator[None]:
    """What is changed inside is recorded as done at the server's command line, and not by the person."""
    token = _is_operator.set(True)
    try:
        yield
    finally:
        _is_operator.reset(token)


def record_for_person(user: User, *, kind: str, fields: Mapping[str, object]) -> None:
    """Append one entry to the log of each tenant in which the person is an active member; all of them or none."""
    with transaction.atomic():
        with as_user(user.pk):
            members = list(Member.objects.filter(user=user, is_active=True).order_by("pk"))
        for member in members:
            with as_tenant(member.tenant_id):
                actor = OPERATOR if _is_operator.get() else Actor(type="member", id=str(member.pk))
                record(
                    member.tenant_id, EntryDraft(kind=kind, fields={"member": str(member.pk), **fields}, actor=actor)
                )


def record_step_up(user: User, *, method: str) -> None:
    """That the person proved again who they are, and by what."""
    record_for_person(user, kind="member.stepped_up", fields={"method": method})


def record_failed_step_up(user: User, *, method: str) -> None:
    """That somebody in this person's session tried to prove it and failed."""
    record_for_person(user, kind="member.step_up_failed", fields={"method": method})


# Signals are allauth's and Django's own here: the views that make these changes are not ours.


def _factor_saved(sender: Any, instance: Authenticator, created: bool, **_kwargs: Any) -> None:
    if created:
        record_for_person(instance.user, kind="member.factor_added", fields=_factor(instance))


def _factor_deleted(sender: Any, instance: Authenticator, **_kwargs: Any) -> None:
    record_for_person(instance.user, kind="member.factor_removed", fields=_factor(instance))


def _factor(authenticator: Authenticator) -> dict[str, object]:
    return {"factor": str(authenticator.type), "number": int(authenticator.pk)}


def _password_changed(sender: Any, user: User, **_kwargs: Any) -> None:
    record_for_person(user, kind="member.password_changed", fields={})


def _proved(sender: Any, request: HttpRequest, user: User, method: str, **more: Any) -> None:
    if more.get("reauthenticated"):
        record_step_up(user, method=str(more.get("type", method)) if method == "mfa" else method)


def listen() -> None:
    """Connect them; called once, from AppConfig.ready."""
    post_save.connect(_factor_saved, sender=Authenticator, dispatch_uid="factor_saved")
    post_delete.connect(_factor_deleted, sender=Authenticator, dispatch_uid="factor_deleted")
    for signal in (account_signals.password_set, account_signals.password_changed, account_signals.password_reset):
        signal.connect(_password_changed, dispatch_uid="password_changed")
    account_signals.authentication_step_completed.connect(_proved, dispatch_uid="proved")
