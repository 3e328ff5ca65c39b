"""What a notice says: a plain e-mail with the card's sentence and no more of the call, or the ids for a program."""

from __future__ import annotations

import json
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Any

from django.conf import settings
from django.template.loader import render_to_string
from django.urls import reverse

from reviews.answers import review_url, timestamp
from reviews.card_of import active_templates, card_of
from reviews.cards.text import reveal
from reviews.links import link_for
from reviews.models import Notice, NoticeEvent, Review
from reviews.states import State, VerdictKind

_HAPPENED = {
    NoticeEvent.OPENED: "A call waits for a person.",
    NoticeEvent.DUE_SOON: "A call that waits for a person is due soon.",
    NoticeEvent.OVERDUE: "A call that waits for a person is overdue.",
    NoticeEvent.ESCALATED: "A call that is overdue was handed to another team.",
    NoticeEvent.DECIDED: "A call was decided.",
    NoticeEvent.EXPIRED: "Nobody decided in time, so a call was denied.",
    NoticeEvent.UNTOLD: "An agent could not be told what became of its call.",
}
_WAITS = (NoticeEvent.OPENED, NoticeEvent.DUE_SOON, NoticeEvent.OVERDUE, NoticeEvent.ESCALATED)
_VERDICTS = {
    VerdictKind.APPROVE: "A call was approved.",
    VerdictKind.APPROVE_WITH_AMENDMENTS: "A call was approved with changes.",
    VerdictKind.DENY: "A call was denied by a person.",
}
LONGEST_SENTENCE = 300


@dataclass(frozen=True)
class Item:
    """One thing in an e-mail. Each text is one printable line."""

    happened: str
    link: str
    link_says: str
    subject: str
    sentence: str = ""
    short_id: str = ""
    tier: int = 0
    due: str = ""
    expires: str = ""
    digest: str = ""


@dataclass(frozen=True)
class Mail:
    """An e-mail, ready to be sent."""

    subject: str
    body: str


def is_stale(notice: Notice, *, now: datetime) -> bool:
    """Whether it says that something waits which waits no more."""
    return notice.event in _WAITS and notice.review is not None and notice.review.state_at(now) is not State.OPEN


def mail_of(notices: Sequence[Notice], *, tenant_name: str, now: datetime) -> Mail:
    """The e-mail of one or more notices to one recipient."""
    items = [_item(notice, now=now) for notice in notices]
    first = items[0].subject if len(items) == 1 else f"{len(items)} notices"
    body = render_to_string("emails/notice.txt", {"items": items, "tenant": one_line(tenant_name)})
    return Mail(subject=f"[guardsite] {first}", body=body)


def _item(notice: Notice, *, now: datetime) -> Item:
    review, event = notice.review, NoticeEvent(notice.event)
    if review is None:
        name = one_line(notice.agent.name) if notice.agent else "An agent"
        return Item(
            happened=f"{name} asks for more reviews than an hour holds. What is beyond is denied unseen.",
            link=f"{settings.GUARDSITE_URL}{reverse('reviews:agents')}",
            link_says="See and pause agents",
            subject=f"Flood: {name}",
        )
    template = active_templates([review.action_id], tenant_id=review.tenant_id).get(review.action_id)
    waits = event in _WAITS
    return Item(
        happened=_happened(event, review),
        link=link_for(notice.member, review) if notice.member else review_url(review),
        link_says="Open the card",
        # The sentence is the agent's doing in part: no word of it in a header.
        subject=f"{review.short_id}: {event.label.lower()}, tier {review.tier}",
        sentence=one_line(card_of(review, template, now=now).headline),
        short_id=review.short_id,
        tier=review.tier,
        due=moment(review.due_at) if waits else "",
        expires=moment(review.expires_at),
        digest=review.call_digest[:16],
    )


def _happened(event: NoticeEvent, review: Review) -> str:
    if event is NoticeEvent.DECIDED and review.verdict is not None:
        return _VERDICTS[VerdictKind(review.verdict.kind)]
    return _HAPPENED[event]


def moment(at: datetime) -> str:
    """A moment in words, in UTC."""
    return at.astimezone(UTC).strftime("%a %d %b %Y, %H:%M UTC")


def one_line(text: str) -> str:
    """Text as one printable line: hidden characters named, line breaks spaces, cut where it is long."""
    plain = " ".join(reveal(text).plain.split())
    return plain if len(plain) <= LONGEST_SENTENCE else plain[: LONGEST_SENTENCE - 1] + "…"


def webhook_body(notice: Notice, *, now: datetime) -> bytes:
    """The JSON that a program gets: what happened, ids, state and digest; never params. Canonical order, no spaces."""
    data: dict[str, Any] = {}
    kind = f"review.{notice.event}"
    if notice.review is not None:
        review = notice.review
        data = {
            "review_id": review.wire_id,
            "state": review.wire_state_at(now),
            "call_digest": f"sha256:{review.call_digest}",
            "tier": review.tier,
            "due_at": timestamp(review.due_at),
            "url": review_url(review),
        }
    elif notice.agent is not None:
        kind, data = "agent.flood", {"agent": notice.agent.slug}
    document = {"type": kind, "timestamp": timestamp(notice.created_at), "data": data}
    return json.dumps(document, separators=(",", ":"), sort_keys=True).encode()
