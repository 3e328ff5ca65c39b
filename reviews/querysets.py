"""Querysets named for their use."""

from __future__ import annotations

from datetime import datetime
from typing import TYPE_CHECKING
from uuid import UUID

from django.db import models
from django.db.models import Q

from reviews.states import State

if TYPE_CHECKING:
    from reviews.models import Review  # noqa: F401  # names the type parameter
    from tenants.models import Member


class ReviewQuerySet(models.QuerySet["Review"]):
    """Reviews, by what one wants of them."""

    def of_tenant(self, tenant_id: UUID) -> ReviewQuerySet:
        """The tenant's reviews; beside row-level security, not instead of it."""
        return self.filter(tenant_id=tenant_id)

    def for_queue(self) -> ReviewQuerySet:
        """What waits for a person, most urgent first: by deadline, then tier, then age."""
        return (
            self.filter(state=State.OPEN)
            .select_related("agent", "claimed_by__user", "assigned_to__user")
            .order_by("due_at", "-tier", "id")
        )

    def decided(self) -> ReviewQuerySet:
        """What has an end, latest first."""
        return (
            self.exclude(state=State.OPEN)
            .select_related("agent", "claimed_by__user", "assigned_to__user")
            .prefetch_related("verdicts__member__user")
            .order_by("-ended_at", "-id")
        )

    def claimed_by_member(self, member: Member, *, now: datetime) -> ReviewQuerySet:
        """What this member holds a running lease on."""
        return self.filter(claimed_by=member, claimed_until__gt=now)

    def free(self, *, now: datetime) -> ReviewQuerySet:
        """What nobody holds a running lease on."""
        return self.filter(Q(claimed_by=None) | Q(claimed_until__lte=now))

    def due_to_expire(self, now: datetime) -> ReviewQuerySet:
        """Open reviews whose time has run out."""
        return self.filter(state=State.OPEN, expires_at__lte=now).order_by("id")
