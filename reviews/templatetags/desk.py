"""What the desk's templates need and Django lacks: card parts as escaped HTML, durations in words."""

from __future__ import annotations

from collections.abc import Iterable
from datetime import timedelta
from typing import Final

from django import template
from django.utils.html import escape, format_html
from django.utils.safestring import SafeString

from reviews.cards.registry import LIST_OPEN
from reviews.cards.types import Fact, Part, Role

register = template.Library()

# Formatters whose text keeps its lines and may be wider than the card: each in a box of its own that scrolls.
_BOXES: Final = {
    "sql": "SQL, scrolls sideways",
    "shell": "Shell command, scrolls sideways",
    "code": "Code, scrolls sideways",
    "diff": "Changes to a file, scrolls sideways",
    "file_diff": "Changes to a file, scrolls sideways",
    "html": "HTML source, scrolls sideways",
    "markdown": "Markdown source, scrolls sideways",
}

# Role → what stands before and after the escaped text. The role alone chooses, never the text; names from elsewhere are
# isolated, so that one written from right to left cannot reorder the sentence around it.
_AROUND: Final = {role: (f'<span class="part part--{role.value}">', "</span>") for role in Role} | {
    Role.TEXT: ("", ""),
    Role.STRONG: ("<strong>", "</strong>"),
    Role.INS: ('<ins class="part part--ins"><span class="visually-hidden">added: </span>', "</ins>"),
    Role.DEL: ('<del class="part part--del"><span class="visually-hidden">removed: </span>', "</del>"),
} | {
    role: (f'<bdi class="part part--{role.value}">', "</bdi>") for role in (Role.SLOT, Role.AGENT, Role.ACTION)
}  # fmt: skip

# A short value of the sentence is not broken over two lines: half an id is read as another.
_WHOLE: Final = 20
_AROUND_WHOLE: Final = ('<bdi class="part part--slot part--whole">', "</bdi>")


@register.simple_tag
def parts(items: Iterable[Part]) -> SafeString:
    """Parts of a card as HTML: every text escaped here, between tags that are written in this module."""
    pieces = []
    for item in items:
        is_whole = item.role is Role.SLOT and len(item.text) <= _WHOLE
        before, after = _AROUND_WHOLE if is_whole else _AROUND[item.role]
        pieces.append(f"{before}{escape(item.text)}{after}")
    return format_html("{}", SafeString("".join(pieces)))


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


@register.filter
def box_of(fact: Fact) -> str:
    """What a reader is told of the box that a fact's text scrolls in; empty for text that wraps."""
    return _BOXES.get(fact.formatter, "")


@register.filter
def document_of(fact: Fact) -> str:
    """The document that a fact's pointer leads into, as the reveal form names it."""
    return "user_context" if fact.provenance == "application" else "params"


@register.filter
def are_named_by_others(facts: Iterable[Fact]) -> bool:
    """Whether a label among these was written by nobody of ours."""
    return any(not fact.label_source.is_trusted for fact in facts)
