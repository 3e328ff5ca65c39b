"""Names for sets of queue filters: one's own, or everybody's when a lead shares it."""

from __future__ import annotations

from datetime import datetime
from urllib.parse import parse_qsl, urlencode
from uuid import UUID

from django.db.models import Q, QuerySet

from audit.scope import as_tenant
from reviews.errors import InvalidStep, NotFound
from reviews.models import SavedView
from reviews.routing import LEAD
from tenants.isolation import rows_of
from tenants.models import Member
from tenants.roles import permissions_of

LONGEST_NAME = 40
LONGEST_QUERY = 500
MOST_VIEWS = 20
MOST_FIELDS = 40
# What a view keeps of an address: filters, never the page or what a tick carries.
KEPT = ("view", "team", "tier", "action", "rule", "agent", "sla", "older", "caution", "requester", "q")


def filters_in(query: str) -> str:
    """The filters of an address's query, in a fixed order, encoded anew; none where it holds too many fields."""
    try:
        found = dict(parse_qsl(query, max_num_fields=MOST_FIELDS))
    except ValueError:  # no page of ours links to so many
        return ""
    return urlencode([(name, found[name]) for name in KEPT if found.get(name)])


def views_for(member: Member) -> list[SavedView]:
    """The member's views and the shared ones, by name."""
    return list(_visible(member).select_related("member__user"))


def save_view(*, acting_member: Member, name: str, query: str, is_shared: bool, now: datetime) -> SavedView:
    """Save the filters under the name; the same name again replaces it. Raises InvalidStep (`errors`: name)."""
    title = " ".join(name.split())
    kept = filters_in(query)
    if not title or len(title) > LONGEST_NAME or not title.isprintable():
        raise InvalidStep(errors={"name": f"Give it a name of at most {LONGEST_NAME} characters."})
    if not kept or len(kept) > LONGEST_QUERY:
        raise InvalidStep(errors={"name": "Set a filter first: this is the whole queue."})
    if is_shared and LEAD not in permissions_of(acting_member.roles):
        raise InvalidStep(errors={"name": "Leads share views. Save it for yourself."})
    with as_tenant(acting_member.tenant_id):
        own = rows_of(SavedView, acting_member.tenant_id).filter(member=acting_member)
        if own.exclude(name=title).count() >= MOST_VIEWS:
            raise InvalidStep(errors={"name": f"You have {MOST_VIEWS} views. Delete one first."})
        view, _ = SavedView.objects.update_or_create(
            tenant_id=acting_member.tenant_id,
            member=acting_member,
            name=title,
            defaults={"query": kept, "is_shared": is_shared},
            create_defaults={"query": kept, "is_shared": is_shared, "created_at": now},
        )
    return view


def delete_view(view_id: UUID, *, acting_member: Member) -> None:
    """Delete the view: its owner's to do, or a lead's where it is shared. Raises NotFound."""
    with as_tenant(acting_member.tenant_id):
        mine = Q(member=acting_member)
        if LEAD in permissions_of(acting_member.roles):
            mine |= Q(is_shared=True)
        deleted, _ = rows_of(SavedView, acting_member.tenant_id).filter(mine, pk=view_id).delete()
    if not deleted:
        raise NotFound


def _visible(member: Member) -> QuerySet[SavedView]:
    return rows_of(SavedView, member.tenant_id).filter(Q(member=member) | Q(is_shared=True)).order_by("name", "id")
