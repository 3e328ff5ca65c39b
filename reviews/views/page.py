"""What the card shows of a review: the rows around it in the page's words. Reads only."""

from __future__ import annotations

import json
import logging
from collections import OrderedDict
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from functools import cached_property
from typing import Final
from uuid import UUID
from zoneinfo import ZoneInfo, ZoneInfoNotFoundError

from django.http import HttpRequest
from django.utils import timezone

from audit.pointer import token
from policy.models import Action, Revision
from policy.tools import DescribedTool, labels_for
from policy.tools import ToolLabels as KnownTool
from reviews import drift
from reviews.asked import as_asked
from reviews.card_of import active_templates, card_of, desk_settings, principal_of
from reviews.cards.text import flat, reveal
from reviews.cards.types import Card, Fact, Notice, Template, ToolLabels
from reviews.changes import Change, changes
from reviews.comparison import Around, around
from reviews.conversation import Said, conversation, rest_of
from reviews.masking import masked
from reviews.models import Review
from reviews.precedents import is_recorded
from reviews.template_cautions import template_cautions
from reviews.turns import Turn, turn_of
from reviews.views.standing import Standing
from tenants.isolation import rows_of
from tenants.models import Member

log = logging.getLogger("guardsite.cards")

ZONE_COOKIE: Final = "tz"
OPEN_FINDINGS: Final = 5
OPEN_HITS: Final = 3
_LONGEST_ZONE: Final = 64


def member_of(request: HttpRequest) -> Member:
    """The member the middleware found; every page of the desk has one."""
    member: Member = request.member  # type: ignore[attr-defined]
    return member


def is_partial(request: HttpRequest) -> bool:
    """Whether htmx asks for a part: not boosted, not restoring history."""
    htmx = request.htmx  # type: ignore[attr-defined]
    return bool(htmx) and not htmx.boosted and not htmx.history_restore_request


def zone_of(request: HttpRequest) -> str:
    """The reader's time zone (IANA) from the cookie that the page's script sets; UTC without it or for a bad one."""
    name = request.COOKIES.get(ZONE_COOKIE, "")
    if not name or len(name) > _LONGEST_ZONE:
        return "UTC"
    try:
        return ZoneInfo(name).key
    except (ZoneInfoNotFoundError, ValueError, OSError):  # OSError: a folder of the database, such as "Europe"
        return "UTC"


@dataclass(frozen=True, slots=True)
class ProviderWords:
    """A tool definition as the card repeats it: the provider's text with what hides in it revealed, and its claims."""

    name: str
    description: str
    claims: tuple[str, ...]
    is_accepted: bool


@dataclass(frozen=True, kw_only=True)
class ReviewPage(Standing):
    """A review as this member sees it at `now`, with its card. A row of the queue has nothing of what is around it.

    `shown` is the call as it would run: the review itself, or an unsaved copy with what a first of two people amended.
    """

    card: Card
    undo_text: str = ""
    shown: Review | None = None
    template: Template | None = None
    schema: Mapping[str, object] | None = None
    around: Around | None = None
    turn: Turn | None = None
    tool: KnownTool | None = None
    revision: Revision | None = None

    @classmethod
    def of(cls, review: Review, member: Member, *, zone: str = "UTC") -> ReviewPage:
        """The page of a review, read now, with its times in `zone`."""
        now = timezone.now()
        shown = as_asked(review)
        template = active_templates([review.action_id], tenant_id=review.tenant_id).get(review.action_id)
        action = rows_of(Action, review.tenant_id).filter(action_id=review.action_id).first()
        tool = labels_for(review.tenant_id, [review.action_id]).get(review.action_id)
        schema = _schema(action, tool)
        found = around(shown, template=template, zone=zone, now=now)
        card = card_of(
            shown,
            template,
            now=now,
            schema=schema,
            tool=card_labels(tool),
            own_domains=frozenset(domain.casefold() for domain in desk_settings(review.tenant_id).own_domains),
            known_addresses=found.known_addresses,
            zone=zone,
            findings=found.findings,
            template_cautions=template_cautions(template, shown) if template else (),
            last_params=found.nearest_params,
        )
        if card.incomplete:
            log_incomplete(review)
        return cls(
            review=review,
            member=member,
            now=now,
            card=card,
            undo_text=action.undo_text if action else "",
            shown=shown,
            template=template,
            schema=schema,
            around=found,
            turn=turn_of(review, now=now),
            tool=tool,
            revision=_revision(review),
            zone=zone,
        )

    @property
    def call(self) -> Review:
        """The review with the call as it would run."""
        return self.shown or self.review

    @cached_property
    def changes(self) -> tuple[Change, ...]:
        """What differs from the nearest earlier call that was allowed."""
        if self.around is None or self.around.nearest_params is None:
            return ()
        return changes(
            self.card,
            params=json.loads(self.call.params_text),
            last_params=self.around.nearest_params,
            now=self.now,
            template=self.template,
            schema=self.schema,
        )

    @property
    def findings(self) -> tuple[Notice, ...]:
        """What stands out and stands open, strongest first."""
        return self.card.stands_out[:OPEN_FINDINGS]

    @property
    def more_findings(self) -> tuple[Notice, ...]:
        """What stands out and is folded."""
        return self.card.stands_out[OPEN_FINDINGS:]

    @property
    def hits(self) -> tuple[object, ...]:
        """The rule that held the call and the first that matched beside it."""
        return self.card.hits[:OPEN_HITS]

    @property
    def more_hits(self) -> tuple[object, ...]:
        """What else matched."""
        return self.card.hits[OPEN_HITS:]

    @property
    def principal(self) -> str:
        """Who the call is made for, says the application."""
        return principal_of(json.loads(self.review.user_context_text))

    @cached_property
    def amended_pointers(self) -> frozenset[str]:
        """Where the call on the card is not what the agent asked: each place that differs, and all that holds it."""
        if self.call.params_text == self.review.params_text:
            return frozenset()
        asked, shown = (json.loads(text) for text in (self.review.params_text, self.call.params_text))
        return frozenset(places_that_differ(asked, shown))

    @cached_property
    def leaves(self) -> str:
        """What goes out if it runs, where the card template names it: an amount, or a message to so many."""
        for fact in self.card.decisive:
            if fact.formatter == "money" and fact.inspected:
                return fact.short
            if fact.formatter == "email" and fact.inspected:
                count = len(fact.covers)
                return "a message to one address" if count == 1 else f"a message to {count} addresses"
        return ""

    @property
    def drift(self) -> tuple[drift.Difference, ...]:
        """How the tool's definition differs from the accepted one; nothing where it is the same."""
        if self.tool is None or self.tool.accepted is None or self.tool.offered is None:
            return ()
        return drift.differences(self.tool.accepted, self.tool.offered)

    @property
    def provider(self) -> ProviderWords | None:
        """What labels the card, in the provider's words; None where nobody offered a definition."""
        return _provider_words(self.card.provider) if self.card.provider else None

    @property
    def offered_provider(self) -> ProviderWords | None:
        """What the provider says of its tool now, where that is not what an admin accepted."""
        if self.tool is None or self.tool.accepted is None or self.tool.offered is None:
            return None
        return _provider_words(_labels(self.tool.offered, is_accepted=False))

    @cached_property
    def said(self) -> tuple[Said, ...]:
        """The conversation that the agent sent along, in order; outside the digest."""
        return conversation(self._context)

    @cached_property
    def words(self) -> Fact | None:
        """What else the agent sent along to explain itself; outside the digest."""
        return rest_of(self._context, now=self.now)

    @cached_property
    def _context(self) -> object:
        return json.loads(self.review.context_text) if self.review.context_text else None

    @property
    def are_precedents_recorded(self) -> bool:
        """Whether looking at earlier verdicts leaves an entry."""
        return is_recorded(self.review)

    @property
    def raw_shown(self) -> str:
        """The call that the digest binds, indented; secrets masked, hidden characters revealed."""
        whole = {
            "action_id": self.call.action_id,
            "params": masked(json.loads(self.call.params_text), (*self.card.facts, *self.card.other_facts)),
            "user_context": masked(json.loads(self.call.user_context_text), self.card.context_facts),
        }
        return reveal(json.dumps(whole, ensure_ascii=False, indent=2)).plain


def card_labels(known: KnownTool | None) -> ToolLabels | None:
    """The definition that labels a card: the accepted one, else what is offered, as a claim."""
    if known is None:
        return None
    if known.accepted is not None:
        return _labels(known.accepted, is_accepted=True)
    return _labels(known.offered, is_accepted=False) if known.offered else None


def _labels(tool: DescribedTool, *, is_accepted: bool) -> ToolLabels:
    return ToolLabels(
        title=tool.title,
        description=tool.description,
        property_titles=tool.property_titles,
        is_accepted=is_accepted,
        annotations=tool.annotations,
    )


def _provider_words(tool: ToolLabels) -> ProviderWords:
    return ProviderWords(
        name=flat(tool.name),
        description=reveal(tool.description).plain,
        claims=tool.claims,
        is_accepted=tool.is_accepted,
    )


def places_that_differ(before: object, after: object, pointer: str = "") -> Iterator[str]:
    """The pointers of `after` at which it is not `before`, as JSON writes them: true is not 1, and absent is not null."""
    if json.dumps(before, sort_keys=True) == json.dumps(after, sort_keys=True):
        return
    yield pointer
    if isinstance(after, dict):
        old = before if isinstance(before, dict) else {}
        for key, value in after.items():
            place = f"{pointer}/{token(key)}"
            yield from places_that_differ(old[key], value, place) if key in old else _all_places(value, place)
    elif isinstance(after, list):
        olds = before if isinstance(before, list) else []
        for index, value in enumerate(after):
            place = f"{pointer}/{index}"
            yield from places_that_differ(olds[index], value, place) if index < len(olds) else _all_places(value, place)


def _all_places(value: object, pointer: str) -> Iterator[str]:
    yield pointer
    inner = value.items() if isinstance(value, dict) else enumerate(value) if isinstance(value, list) else ()
    for step, item in inner:
        yield from _all_places(item, f"{pointer}/{token(step)}")


def _schema(action: Action | None, tool: KnownTool | None) -> Mapping[str, object] | None:
    """The schema of the params that an admin accepted: the action's own, else the pinned tool's; as `asked.schema_of`."""
    if action is not None and isinstance(action.schema, dict):
        return action.schema
    return tool.accepted.input_schema if tool and tool.accepted else None


def _revision(review: Review) -> Revision | None:
    if not review.revision_id:
        return None
    return (
        rows_of(Revision, review.tenant_id)
        .filter(pk=review.revision_id)
        .only("number", "published_by_name", "published_at")
        .first()
    )


_reported: OrderedDict[UUID, None] = OrderedDict()
_MOST_REPORTED: Final = 10_000


def log_incomplete(review: Review) -> None:
    """Say once per review and process that a leaf of the call is on no line; identifiers alone, never a value."""
    if review.pk in _reported:
        return
    _reported[review.pk] = None
    if len(_reported) > _MOST_REPORTED:
        _reported.popitem(last=False)
    log.error("card_incomplete", extra={"review": review.wire_id, "action": review.action_id})
