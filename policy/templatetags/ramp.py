"""Shares as text, and as places on a line 200 units long."""

from __future__ import annotations

from datetime import UTC, datetime

from django import template
from django.template import Context
from django.utils.html import format_html
from django.utils.safestring import SafeString

from policy.names import named as named_html
from policy.readiness import Share

register = template.Library()

LINE = 200
LATER = {
    "approved": "approved",
    "amended": "approved with changes",
    "denied": "denied by a person",
    "expired": "nobody decided",
    "cancelled": "cancelled",
    "ran": "ran",
    "failed": "ran and failed",
    "nothing later": "nothing recorded later",
}


@register.simple_tag(takes_context=True)
def named(context: Context, kind: str, slug: str) -> SafeString:
    """An action, agent, rule or team by its name, its id beside it. Reads `names` (policy.names.Names) of the context."""
    return named_html(getattr(context["names"], kind).get(slug, ""), slug)


@register.simple_tag(takes_context=True)
def name_of(context: Context, kind: str, slug: str) -> SafeString:
    """Its name alone, where the id stands elsewhere; the id where there is no name."""
    return format_html("<bdi>{}</bdi>", getattr(context["names"], kind).get(slug) or slug)


@register.filter
def percent(share: float) -> str:
    """A share of 0 to 1 as percent: one decimal, two below one percent, none at the ends."""
    if share in (0.0, 1.0):
        return f"{share:.0%}".replace("%", " %")
    return (f"{share:.2%}" if share < 0.01 else f"{share:.1%}").replace("%", " %")


@register.filter
def along(share: float) -> str:
    """Where a share stands on the line."""
    return f"{min(share, 0.99) * LINE:.1f}"


@register.filter
def span(share: Share) -> str:
    """How long the interval of a share is on the line; never invisible."""
    return f"{max(2.0, (share.high - share.low) * LINE):.1f}"


@register.filter
def moment(seconds: int) -> datetime:
    """The aware UTC time of whole seconds since 1970."""
    return datetime.fromtimestamp(seconds, UTC)


@register.filter
def later(word: str) -> str:
    """What happened to a call later, in words."""
    return LATER.get(word, word)
