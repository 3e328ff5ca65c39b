"""The few doors into tenant rows before a tenant is known, and querysets that never cross the border."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any, TypeVar
from uuid import UUID

from django.db import models

from audit.scope import as_setting

# Read by the row-level security policies of tenants_member and tenants_apikey (migration 0002).
USER_SETTING = "guardsite.user"
KEY_SETTING = "guardsite.key"

M = TypeVar("M", bound=models.Model)


@contextmanager
def as_user(user_id: int) -> Iterator[None]:
    """A transaction that sees this person's own memberships, in whatever tenant, and nothing else."""
    with as_setting(USER_SETTING, str(user_id)):
        yield


@contextmanager
def as_key(public_id: str) -> Iterator[None]:
    """A transaction that sees the one API key with this public id, and nothing else."""
    with as_setting(KEY_SETTING, public_id):
        yield


def rows_of(model: type[M], tenant_id: UUID) -> models.QuerySet[M]:
    """The tenant's rows of a model: the scope in Python, beside the one in the database."""
    manager: Any = model._default_manager  # noqa: SLF001  # Django documents it
    queryset: models.QuerySet[M] = manager.filter(tenant_id=tenant_id)
    return queryset
