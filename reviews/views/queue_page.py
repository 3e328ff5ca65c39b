"""What the queue's page shows: tabs with their counts, rows, and what an open page must hear of. Reads only."""

from __future__ import annotations

import hashlib
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from functools import cached_property
from urllib.parse import urlencode

from django.utils.translation import gettext as _

from policy.models import Action, Rule
from reviews.cards.types import Severity
from reviews.forms_queue import QueueFilterForm
from reviews.models import Review, SavedView
from reviews.queue_rows import Apart, Wanted, copies_of, tab_counts
from reviews.routing import Reach
from reviews.row_cards import row_cards
from reviews.states import State
from reviews.views.page import ReviewPage
from tenants.isolation import rows_of
from tenants.models import Agent, Member, Team

# An open page is told of at most so many reviews that ended meanwhile.
ENDED_TOLD = 200
ENDED_WITHIN = timedelta(hours=1)


@dataclass(frozen=True)
class Tab:
    """One view of the queue: its address's query, its count where it has one."""

    name: str
    label: str
    query: str
    count: int | None = None
    is_current: bool = False


@dataclass(frozen=True)
class QueueRow:
    """A review as one row. `same` calls are grouped in it, `waits` of them still wait; `for_whom` names a team or person that it is for."""

    page: ReviewPage
    same: int = 1
    waits: int = 1
    for_whom: str = ""
    has_approved: bool = False

    @property
    def review(self) -> Review:
        """The review."""
        return self.page.review

    @cached_property
    def who(self) -> str:
        """Who is on it, in words; for a review that ended, what became of it."""
        page = self.page
        if not page.is_open:
            return ended_words(page)
        if self.has_approved:
            return _("you approved; a second person decides")
        if page.is_mine:
            return _("you")
        if page.is_held_by_other:
            return str(page.review.claimed_by)
        if page.is_own_request:
            return _("not you: your own request")
        return _("free, for %(who)s") % {"who": self.for_whom} if self.for_whom else _("free")

    @property
    def stands_out_by_history(self) -> bool:
        """Whether the card warns of something that only a comparison with earlier calls finds."""
        shown = {notice.caution.severity for notice in self.page.card.stands_out}
        return bool(self.review.warned) and not shown & {Severity.CAUTION, Severity.DANGER}

    @property
    def stamp(self) -> str:
        """Changes whenever the row would read differently, the clocks apart."""
        return f"{self.page.row_stamp} {self.same} {self.waits} {self.who}"


def ended_words(page: ReviewPage) -> str:
    """`denied by Lena Lind`, `expired`, `withdrawn`: how a review ended."""
    if page.verdict is None:
        return page.outcome
    return _("%(outcome)s by %(who)s") % {"outcome": page.outcome, "who": page.verdict.member}


def team_names(member: Member) -> dict[str, str]:
    """The tenant's teams by id; one query."""
    return dict(rows_of(Team, member.tenant_id).values_list("slug", "name"))


def filter_form(member: Member, data: Mapping[str, str], teams: Mapping[str, str]) -> QueueFilterForm:
    """The filter form, offering what policy and the tenant's agents are called: three small queries."""
    return QueueFilterForm(
        data,
        actions=rows_of(Action, member.tenant_id).values_list("action_id", flat=True).order_by("action_id"),
        rules=list(rows_of(Rule, member.tenant_id).values_list("slug", "name").order_by("name")),
        agents=list(rows_of(Agent, member.tenant_id).values_list("slug", "name").order_by("name")),
        teams=sorted(teams.items(), key=lambda item: item[1].casefold()),
    )


def tabs(
    member: Member,
    wanted: Wanted,
    reach: Reach,
    apart: Apart,
    *,
    teams: Mapping[str, str],
    saved: Sequence[SavedView],
    query: str,
    now: datetime,
) -> list[Tab]:
    """Mine, each of one's teams, all, tier 3+, overdue, snoozed if any, decided; then saved views. One query."""
    own = [slug for slug in sorted(reach.own_teams, key=lambda slug: teams.get(slug, slug)) if slug in teams]
    counts = tab_counts(member, own, apart, now=now)
    current = f"team:{wanted.team}" if wanted.view == "all" and wanted.team in own else wanted.view
    named = next((view for view in saved if view.query == query), None) if query else None
    found = []
    for name, label in QueueFilterForm.VIEWS:
        if name == "all":
            found += [(f"team:{slug}", teams[slug], urlencode({"team": slug})) for slug in own]
        if name != "snoozed" or counts["snoozed"] or wanted.view == "snoozed":
            found.append((name, str(label), "" if name == "all" else urlencode({"view": name})))
    shown = [
        Tab(name, label, address, counts.get(name), is_current=name == current and named is None)
        for name, label, address in found
    ]
    return shown + [Tab(f"saved:{view.pk}", view.name, view.query, is_current=view is named) for view in saved]


def rows_for(
    reviews: Sequence[Review],
    member: Member,
    reach: Reach,
    apart: Apart,
    *,
    teams: Mapping[str, str],
    zone: str,
    now: datetime,
) -> list[QueueRow]:
    """The rows of a page; four queries at most, whatever their number. A row warns of what its card warns of."""
    copies = copies_of(reviews, now=now) if reviews else {}
    cards = row_cards(reviews, tenant_id=member.tenant_id, now=now, zone=zone)
    found = []
    for review, card in zip(reviews, cards, strict=True):
        same, waits = copies.get(review.pk, (1, 1))
        found.append(
            QueueRow(
                page=ReviewPage(review=review, member=member, card=card, now=now, zone=zone),
                same=same,
                waits=waits,
                for_whom="" if reach.is_own(review) else _routed(review, teams),
                has_approved=review.pk in apart.approved,
            )
        )
    return found


def _routed(review: Review, teams: Mapping[str, str]) -> str:
    if review.assigned_to is not None:
        return review.assigned_to.display_name
    return teams.get(review.team, review.team)


def ended_since(member: Member, shown_at: datetime, *, now: datetime) -> list[tuple[str, str]]:
    """Reviews that ended since the page was shown: wire id and how, so that their rows can say so where they stand."""
    since = max(shown_at, now - ENDED_WITHIN)
    rows = Review.objects.of_tenant(member.tenant_id).decided().filter(ended_at__gte=since)[:ENDED_TOLD]
    pages = [Ended(review, now) for review in rows]
    return [(page.review.wire_id, page.words) for page in pages]


@dataclass(frozen=True)
class Ended:
    """A review that ended, in words."""

    review: Review
    now: datetime

    @property
    def words(self) -> str:
        """As `ended_words`, without a card."""
        verdict = self.review.verdict
        if verdict is None:
            return {State.EXPIRED: _("expired"), State.CANCELLED: _("withdrawn")}.get(
                self.review.state_at(self.now), _("superseded")
            )
        outcome = {"deny": _("denied"), "approve": _("approved")}.get(verdict.kind, _("amended"))
        return _("%(outcome)s by %(who)s") % {"outcome": outcome, "who": verdict.member}


@dataclass(frozen=True)
class Lately:
    """When the last review was decided, and how many today (UTC)."""

    at: datetime | None
    today: int


def lately(member: Member, *, now: datetime) -> Lately:
    """For the words of an empty queue; two queries."""
    ended = Review.objects.of_tenant(member.tenant_id).filter(state__in=(State.ON_HOLD, State.RELEASED))
    last = ended.order_by("-ended_at", "-id").values_list("ended_at", flat=True).first()
    midnight = now.astimezone(UTC).replace(hour=0, minute=0, second=0, microsecond=0)
    return Lately(at=last, today=ended.filter(ended_at__gte=midnight).count())


def stamp_of(rows: Sequence[QueueRow], counts: Sequence[Tab]) -> str:
    """Changes when a row comes, goes, changes hands or passes its deadline, or when a count changes."""
    told = ([row.stamp for row in rows], [tab.count for tab in counts])
    return hashlib.sha256(repr(told).encode()).hexdigest()[:12]


def members_of(rows: Sequence[QueueRow]) -> str:
    """Changes when the rows are others, or stand in another order."""
    return hashlib.sha256(" ".join(row.review.pk.hex for row in rows).encode()).hexdigest()[:12]
