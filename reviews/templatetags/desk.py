"""What the desk's templates need and Django lacks: card parts as escaped HTML, durations in words."""

from __future__ import annotations

from collections.abc import Iterable
from datetime import timedelta

from django import template
from django.utils.html import format_html, format_html_join
from django.utils.safestring import SafeString

from reviews.cards.registry import LIST_OPEN
from reviews.cards.types import Fact, Part, Role

register = template.Library()

_CLASSES = {role: f"part part--{role.value}" for role in Role}


@register.simple_tag
def parts(items: Iterable[Part]) -> SafeString:
    """Parts of a card as spans, every text escaped; the role alone chooses the class, never the text."""
    return format_html_join("", "{}", ((_part(item),) for item in items))


def _part(item: Part) -> SafeString:
    if item.role is Role.TEXT:
        return format_html("{}", item.text)
    if item.role is Role.STRONG:
        return format_html("<strong>{}</strong>", item.text)
    if item.role in (Role.SLOT, Role.AGENT, Role.ACTION):
        # Isolated, so that a name written from right to left cannot reorder the sentence around it.
        return format_html('<bdi class="{}">{}</bdi>', _CLASSES[item.role], item.text)
    return format_html('<span class="{}">{}</span>', _CLASSES[item.role], item.text)


@register.filter
def in_words(span: timedelta | None) -> str:
    """`12 min`, `3 h`, `2 days`: the size of a span, without its sign."""
    if span is None:
        return ""
    seconds = abs(span.total_seconds())
    if seconds < 60:
        return f"{seconds:.0f} s"
    if seconds < 5400:
        return f"{seconds / 60:.0f} min"
    if seconds < 172_800:
        return f"{seconds / 3600:.0f} h"
    return f"{seconds / 86_400:.0f} days"


@register.filter
def first_children(fact: Fact) -> tuple[Fact, ...]:
    """The children that stand open: the first ten."""
    return fact.children[:LIST_OPEN]


@register.filter
def more_children(fact: Fact) -> tuple[Fact, ...]:
    """The children in the fold."""
    return fact.children[LIST_OPEN:]
