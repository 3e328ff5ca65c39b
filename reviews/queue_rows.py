"""Which reviews a member's queue holds: the filters of the address as conditions on rows.

A copy of a waiting call stands behind its oldest, a snoozed review is gone for the one who snoozed it, and a review
that the member has approved already, waiting for a second person, shows under Mine alone: to them, and to nobody else.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, replace
from datetime import datetime, timedelta
from uuid import UUID

from django.db.models import (
    CharField,
    Count,
    DateTimeField,
    DurationField,
    ExpressionWrapper,
    F,
    JSONField,
    Q,
    TextField,
)
from django.db.models.fields.json import KeyTextTransform
from django.db.models.functions import Cast, Right

from audit.ids import parse_wire_id, tail_of_short_review_id
from reviews import warned
from reviews.models import Review, Snooze
from reviews.querysets import ReviewQuerySet
from reviews.routing import Reach, approved_by
from reviews.sla import SOON_SHARE
from reviews.states import State
from tenants.isolation import rows_of
from tenants.models import Agent, Member

# By which names applications say for whom a call is made; whole values are compared, so that no secret can be guessed
# letter by letter.
REQUESTER_KEYS = ("user_id", "email", "user_email", "name", "user_name", "display_name", "id")
_WARNED = {"caution": Review.Warned.CAUTION, "danger": Review.Warned.DANGER}
# A search in what is decided looks this far back.
SEARCHED_BACK = timedelta(days=30)


@dataclass(frozen=True)
class Wanted:
    """The filters of the queue; an empty one filters nothing. `older` in minutes."""

    view: str = "all"
    team: str = ""
    tier: int | None = None
    action: str = ""
    rule: str = ""
    agent: str = ""
    sla: str = ""
    older: int | None = None
    caution: str = ""
    requester: str = ""
    q: str = ""

    @property
    def narrows(self) -> bool:
        """Whether anything but the view is set."""
        return replace(self, view="all", team="") != Wanted()


@dataclass(frozen=True)
class Apart:
    """What a member's own doing takes from the lists: snoozed reviews and those they approved already."""

    snoozed: frozenset[UUID]
    approved: frozenset[UUID]


def apart_for(member: Member, *, now: datetime) -> Apart:
    """What the member snoozed or has approved; two queries."""
    snoozed = rows_of(Snooze, member.tenant_id).filter(member=member, until__gt=now).values_list("review_id", flat=True)
    approved = (
        Review.objects.of_tenant(member.tenant_id)
        .filter(approved_by(member), state=State.OPEN, approvals_needed__gt=1)
        .values_list("pk", flat=True)
    )
    return Apart(snoozed=frozenset(snoozed), approved=frozenset(approved))


def waiting(tenant_id: UUID, *, now: datetime) -> ReviewQuerySet:
    """What waits for a person: one row for the copies of a call."""
    return Review.objects.of_tenant(tenant_id).filter(state=State.OPEN, expires_at__gt=now, copy_of=None)


def matching(member: Member, wanted: Wanted, apart: Apart, *, now: datetime) -> ReviewQuerySet:
    """The rows of a view with its filters, in its order, with what a row needs."""
    if wanted.view == "decided":
        rows = Review.objects.of_tenant(member.tenant_id).decided()
        if wanted.q or wanted.requester:
            rows = rows.filter(ended_at__gte=now - SEARCHED_BACK)
    else:
        rows = waiting(member.tenant_id, now=now).for_queue().filter(_in_view(member, wanted, apart, now=now))
    return _narrowed(rows, wanted, member.tenant_id, now=now)


def offered(member: Member, reach: Reach, wanted: Wanted, *, now: datetime) -> ReviewQuerySet:
    """What *Take next* may give the member within the filters: free, theirs to decide, not put off, not their own."""
    given = replace(wanted, view="all") if wanted.view in ("mine", "decided", "snoozed") else wanted
    apart = apart_for(member, now=now)
    rows = waiting(member.tenant_id, now=now).free(now=now).filter(reach.condition())
    rows = rows.exclude(agent__owner=member).filter(_in_view(member, given, apart, now=now))
    return _narrowed(rows, given, member.tenant_id, now=now).select_related("agent")


def tab_counts(member: Member, teams: Iterable[str], apart: Apart, *, now: datetime) -> Mapping[str, int]:
    """How many rows each view has, by its name, and each team as `team:<id>`; two queries, the large one of an index."""
    views = {name: Wanted(view=name) for name in ("all", "tier3", "overdue", "snoozed")}
    views |= {f"team:{slug}": Wanted(team=slug) for slug in teams}
    names = {f"n{index}": name for index, name in enumerate(views)}
    rows = waiting(member.tenant_id, now=now)
    counts = rows.aggregate(
        **{
            key: Count("pk", filter=_in_view(member, views[name], apart, now=now) & _of_team(views[name]))
            for key, name in names.items()
        }
    )
    mine = rows.filter(_in_view(member, Wanted(view="mine"), apart, now=now)).count()
    return {"mine": mine, **{name: counts[key] for key, name in names.items()}}


def in_order(ids: Iterable[UUID]) -> list[Review]:
    """The reviews with these ids, in this order, with what a row needs.

    Apart from the query that finds the ids: that one then walks an index of narrow rows and stops, however many follow.
    """
    wanted = list(ids)
    rows = Review.objects.filter(pk__in=wanted).select_related("agent", "claimed_by__user", "assigned_to__user")
    found = {review.pk: review for review in rows.prefetch_related("verdicts__member__user")}
    return [found[review_id] for review_id in wanted if review_id in found]


def copies_of(reviews: Iterable[Review], *, now: datetime) -> dict[UUID, tuple[int, int]]:
    """Of each review that has copies: how many calls are the same (itself included), how many still wait; one query."""
    rows = (
        Review.objects.filter(copy_of__in=[review.pk for review in reviews])
        .values_list("copy_of_id")
        .annotate(all=Count("pk"), waiting=Count("pk", filter=Q(state=State.OPEN, expires_at__gt=now)))
        .order_by()
    )
    return {leader: (total + 1, waits + 1) for leader, total, waits in rows if leader is not None}


def _in_view(member: Member, wanted: Wanted, apart: Apart, *, now: datetime) -> Q:
    """The rows of a view, without its filters. Never empty, so that it can stand in an aggregate; of columns that the
    index of the queue has, but for Mine."""
    if wanted.view == "snoozed":
        return Q(pk__isnull=False) & Q(pk__in=apart.snoozed)
    if wanted.view == "mine":
        held = Q(claimed_by=member, claimed_until__gt=now) | Q(assigned_to=member)
        return held | Q(pk__in=apart.approved)
    shown = ~Q(pk__in=apart.snoozed | apart.approved) & Q(pk__isnull=False)
    if wanted.view == "tier3":
        return shown & Q(tier__gte=3)
    if wanted.view == "overdue":
        return shown & Q(due_at__lt=now)
    return shown


def _of_team(wanted: Wanted) -> Q:
    return Q(team=wanted.team) if wanted.team else Q()


def _narrowed(rows: ReviewQuerySet, wanted: Wanted, tenant_id: UUID, *, now: datetime) -> ReviewQuerySet:
    # No filter joins another table: the rows then come in the order of the index, and the page stops at its last.
    rows = rows.filter(_of_team(wanted))
    for field, value in (("tier", wanted.tier), ("action_id", wanted.action), ("rule_id", wanted.rule)):
        if value:
            rows = rows.filter(**{field: value})
    if wanted.agent:
        rows = rows.filter(agent_id__in=_agents(tenant_id, slug=wanted.agent))
    if wanted.older:
        rows = rows.filter(created_at__lte=now - timedelta(minutes=wanted.older))
    if wanted.sla:
        rows = _by_clock(rows, wanted.sla, now=now)
    if wanted.caution:
        rows = rows.filter(warned.at_least(_WARNED[wanted.caution]))
    if wanted.requester:
        rows = _by_requester(rows, wanted.requester)
    if wanted.q:
        rows = _searched(rows, wanted.q, tenant_id)
    return rows


def _by_clock(rows: ReviewQuerySet, state: str, *, now: datetime) -> ReviewQuerySet:
    """As `sla.clock` says it: soon is the last third of the time."""
    if state == "overdue":
        return rows.filter(due_at__lt=now)
    share = ExpressionWrapper((F("due_at") - F("created_at")) / SOON_SHARE, output_field=DurationField())
    soon_at = ExpressionWrapper(F("due_at") - share, output_field=DateTimeField())
    is_soon = {"soon_at__lt" if state == "soon" else "soon_at__gte": now}
    return rows.filter(due_at__gte=now).annotate(soon_at=soon_at).filter(**is_soon)


def _by_requester(rows: ReviewQuerySet, requester: str) -> ReviewQuerySet:
    context = Cast("user_context_text", JSONField())
    rows = rows.annotate(**{f"by_{key}": KeyTextTransform(key, context) for key in REQUESTER_KEYS})
    found = Q()
    for key in REQUESTER_KEYS:
        found |= Q(**{f"by_{key}__iexact": requester.strip()})
    return rows.filter(found)


def _agents(tenant_id: UUID, *conditions: Q, **named: str) -> list[UUID]:
    return list(rows_of(Agent, tenant_id).filter(*conditions, **named).values_list("pk", flat=True))


def _searched(rows: ReviewQuerySet, text: str, tenant_id: UUID) -> ReviewQuerySet:
    """By id, action, rule, agent or run; never by a value of the call, some of which are masked on the card."""
    words = text.strip()
    found = Q(action_id__icontains=words) | Q(rule_name__icontains=words) | Q(run_id=words)
    found |= Q(agent_id__in=_agents(tenant_id, Q(name__icontains=words) | Q(slug__icontains=words)))
    if (tail := tail_of_short_review_id(words)) is not None:
        rows = rows.annotate(short=Right(Cast("pk", TextField()), len(tail), output_field=CharField()))
        found |= Q(short=tail)
    if (whole := parse_wire_id("rv", words.lower())) is not None:
        found |= Q(pk=whole)
    return rows.filter(found)
