"""Who is told of what happened: rows beside it, in its transaction; a worker sends them (notice_delivery).

A notice carries no content: what it says is read when it is sent. Source: reviewer-experience.md section 6.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from uuid import UUID

from django.db import connection, transaction
from django.db.models import ExpressionWrapper, F
from django.db.models.fields import DateTimeField

from audit.scope import as_tenant
from reviews.models import Notice, NoticeEvent, NoticeTarget, Review
from reviews.sla import SOON_SHARE
from reviews.states import State
from tenants.isolation import rows_of
from tenants.models import Agent, Member
from tenants.roles import permissions_of
from tenants.teams import members_of

LEAD = "reviews.lead_queue"


@dataclass(frozen=True)
class Happening:
    """One thing to tell: `subject` is what makes a second telling the same (a review, a flood, a verdict)."""

    subject: str
    review: Review | None = None
    agent: Agent | None = None


def announce(
    tenant_id: UUID,
    event: NoticeEvent,
    *,
    now: datetime,
    review: Review | None = None,
    agent: Agent | None = None,
    subject: str = "",
) -> None:
    """Tell everybody who wants to hear of it, once. Call in the transaction of what happened; one query if nobody does."""
    announce_all(tenant_id, event, [Happening(subject or (review.wire_id if review else ""), review, agent)], now=now)


def announce_opened(tenant_id: UUID, reviews: Iterable[Review], *, now: datetime) -> None:
    """Tell of new reviews; a copy of a waiting call is no news."""
    found = [Happening(review.wire_id, review) for review in reviews if review.copy_of_id is None]
    if found:
        announce_all(tenant_id, NoticeEvent.OPENED, found, now=now)


def announce_all(tenant_id: UUID, event: NoticeEvent, happenings: Sequence[Happening], *, now: datetime) -> None:
    """Tell of several things of one kind."""
    wanting = rows_of(NoticeTarget, tenant_id).filter(is_active=True, events__contains=[event.value])
    targets = list(wanting.select_related("member__user"))
    rows = [
        Notice(
            tenant_id=tenant_id,
            target=target,
            event=event.value,
            subject=happening.subject,
            review=happening.review,
            agent=happening.agent or (happening.review.agent if happening.review else None),
            member=member,
            address=address,
            due_at=_next_hour(now) if target.cadence == NoticeTarget.Cadence.DIGEST else now,
            created_at=now,
            trying_since=now,
        )
        for target in targets
        for happening in happenings
        for member, address in _recipients(target, happening.review)
    ]
    if not rows:
        return
    Notice.objects.bulk_create(rows, ignore_conflicts=True)
    due = [row.pk for row in rows if row.due_at <= now]
    transaction.on_commit(lambda: _nudge(tenant_id, due), robust=True)


def _next_hour(now: datetime) -> datetime:
    return now.replace(minute=0, second=0, microsecond=0) + timedelta(hours=1)


def _nudge(tenant_id: UUID, notice_ids: Sequence[UUID]) -> None:
    from reviews.tasks import deliver_notice

    for notice_id in notice_ids:
        deliver_notice.apply_async(args=[str(tenant_id), str(notice_id)])


def _recipients(target: NoticeTarget, review: Review | None) -> list[tuple[Member | None, str]]:
    """(member, address) of each who is told; a webhook is one without an address."""
    if target.channel == NoticeTarget.Channel.WEBHOOK:
        return [(None, "")]
    if target.audience == NoticeTarget.Audience.ADDRESS:
        return [(None, target.address)]
    return [(member, member.user.email) for member in _people(target, review)]


def _people(target: NoticeTarget, review: Review | None) -> list[Member]:
    audience, tenant_id = target.audience, target.tenant_id
    if audience == NoticeTarget.Audience.MEMBER:
        member = target.member
        return [member] if member is not None and member.is_active else []
    if audience == NoticeTarget.Audience.TEAM:
        return members_of(tenant_id, target.team)
    if audience == NoticeTarget.Audience.ROUTED and review is not None:
        if review.assigned_to is not None and review.assigned_to.is_active:
            return [review.assigned_to]
        if found := members_of(tenant_id, review.team) if review.team else []:
            return found
    # Leads hear of what is routed to nobody.
    return _leads(tenant_id)


def _leads(tenant_id: UUID) -> list[Member]:
    active = rows_of(Member, tenant_id).filter(is_active=True).select_related("user").order_by("pk")
    return [member for member in active if LEAD in permissions_of(member.roles)]


def announce_due_soon(*, now: datetime, limit: int = 200) -> int:
    """Tell of open reviews in the last third of their time, each once; how many were looked at. Safe to run twice."""
    return sum(_due_soon_of(tenant_id, now=now, limit=limit) for tenant_id in _due_soon_tenants())


def _due_soon_of(tenant_id: UUID, *, now: datetime, limit: int) -> int:
    with as_tenant(tenant_id):
        soon_from = ExpressionWrapper(
            F("due_at") - (F("due_at") - F("created_at")) / SOON_SHARE, output_field=DateTimeField()
        )
        told = rows_of(Notice, tenant_id).filter(event=NoticeEvent.DUE_SOON).values("review_id")
        reviews = list(
            Review.objects.of_tenant(tenant_id)
            .annotate(soon_from=soon_from)
            .filter(state=State.OPEN, copy_of=None, due_at__gt=now, soon_from__lte=now)
            .exclude(pk__in=told.filter(review_id__isnull=False))
            .select_related("agent", "assigned_to__user")
            .order_by("due_at", "id")[:limit]
        )
        found = [Happening(review.wire_id, review) for review in reviews]
        if found:
            announce_all(tenant_id, NoticeEvent.DUE_SOON, found, now=now)
        return len(found)


def _due_soon_tenants() -> list[UUID]:
    """Answered by a SECURITY DEFINER function (migration 0009): no tenant is set yet, and only ids come back."""
    with connection.cursor() as cursor:
        cursor.execute("SELECT reviews_due_soon_tenants()")
        return [row[0] for row in cursor.fetchall()]
