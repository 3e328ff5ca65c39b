"""What the card and the queue show of a review: the model's rows in the page's words. Reads only."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from datetime import datetime, timedelta
from functools import cached_property
from typing import Any

from django.http import HttpRequest
from django.utils import timezone

from policy.models import Action
from reviews import sla
from reviews.access import is_own_request
from reviews.callers import CallerState, caller_state
from reviews.cards.pointer import token
from reviews.cards.present import build_card, template_from
from reviews.cards.registry import fact_for
from reviews.cards.text import reveal
from reviews.cards.types import Card, CardInput, Fact, Hit, Provenance, Template, Value
from reviews.claims import can_take_over
from reviews.models import CardTemplate, Execution, ResumeDelivery, Review, Verdict
from reviews.states import State, VerdictKind
from reviews.verdicts import can_undo
from tenants.models import Member
from tenants.roles import permissions_of

# reviewer-experience.md section 2.
TIER_WORDS = {
    1: "internal, reversible",
    2: "leaves the company or costs money",
    3: "large or hard to undo",
    4: "two people",
}
# Who a call is made for, by the names that applications use; the application's word, not ours.
_PRINCIPAL_KEYS = ("name", "user_name", "display_name", "email", "user_email", "user_id", "id")


def member_of(request: HttpRequest) -> Member:
    """The member the middleware found; every page of the desk has one."""
    member: Member = request.member  # type: ignore[attr-defined]
    return member


def is_partial(request: HttpRequest) -> bool:
    """Whether htmx asks for a part: not boosted, not restoring history."""
    htmx = request.htmx  # type: ignore[attr-defined]
    return bool(htmx) and not htmx.boosted and not htmx.history_restore_request


def active_templates(actions: Iterable[str], *, tenant_id: Any) -> dict[str, Template]:
    """The active card template of each action; one query."""
    rows = CardTemplate.objects.filter(
        tenant_id=tenant_id, action_id__in=set(actions), status=CardTemplate.Status.ACTIVE
    )
    return {
        row.action_id: template_from(sentence=row.sentence, facts=row.facts, decisive=row.decisive, version=row.version)
        for row in rows
    }


def card_of(
    review: Review, template: Template | None, *, now: datetime, schema: Mapping[str, object] | None = None
) -> Card:
    """The card of a review, from its canonical bytes; `schema` is the one an admin accepted for its params."""
    context = json.loads(review.user_context_text)
    return build_card(
        CardInput(
            action_id=review.action_id,
            params=json.loads(review.params_text),
            user_context=context,
            agent_name=review.agent.name,
            now=now,
            on_behalf_of=_principal(context),
            template=template,
            schema=schema,
            hits=tuple(_hit(hit) for hit in review.hits),
            tier=review.tier,
            call_digest=review.call_digest,
            call_index=review.call_index,
            call_count=review.call_count,
        )
    )


def _principal(context: object) -> str:
    if not isinstance(context, dict):
        return ""
    return next(
        (str(context[key]) for key in _PRINCIPAL_KEYS if isinstance(context.get(key), str) and context[key]), ""
    )


def _hit(hit: Mapping[str, Any]) -> Hit:
    """A rule hit as it was frozen on the review; of its conditions those that made it match, or all if none did."""
    leaves = hit.get("leaves") or []
    telling = [leaf for leaf in leaves if leaf.get("result") in ("true", "error", True)] or leaves
    return Hit(
        rule_id=str(hit.get("rule_id", "")),
        name=str(hit.get("name", "")),
        effect=str(hit.get("effect", "")),
        reason=str(hit.get("reason") or ""),
        note=str(hit.get("note") or ""),
        result=str(hit.get("result", "match")),
        error=str(hit.get("error") or ""),
        sentences=tuple(str(leaf.get("sentence") or leaf.get("text") or "") for leaf in telling),
    )


@dataclass(frozen=True)
class ReviewPage:
    """A review as this member sees it at `now`."""

    review: Review
    member: Member
    card: Card
    now: datetime
    undo_text: str = ""

    @classmethod
    def of(cls, review: Review, member: Member) -> ReviewPage:
        """The page of a review, read now."""
        now = timezone.now()
        template = active_templates([review.action_id], tenant_id=review.tenant_id).get(review.action_id)
        action = Action.objects.filter(tenant_id=review.tenant_id, action_id=review.action_id).first()
        schema = action.schema if action and isinstance(action.schema, dict) else None
        card = card_of(review, template, now=now, schema=schema)
        return cls(review=review, member=member, card=card, now=now, undo_text=action.undo_text if action else "")

    @cached_property
    def state(self) -> State:
        """The state that counts now."""
        return self.review.state_at(self.now)

    @property
    def is_open(self) -> bool:
        """Whether it waits for a verdict."""
        return self.state is State.OPEN

    @property
    def is_on_hold(self) -> bool:
        """Whether its verdict can still be taken back by someone."""
        return self.state is State.ON_HOLD

    @cached_property
    def clock(self) -> sla.Clock:
        """How near the deadline is."""
        return sla.clock(created_at=self.review.created_at, due=self.review.due_at, now=self.now)

    @cached_property
    def caller(self) -> CallerState:
        """Whether anyone is still there to run the call."""
        return caller_state(self.review, now=self.now)

    @property
    def seen_ago(self) -> timedelta | None:
        """How long ago the caller was last seen."""
        seen = self.review.caller_seen_at
        return self.now - seen if seen else None

    @property
    def gone_ago(self) -> timedelta | None:
        """How long ago the caller gave up."""
        gone = self.review.caller_gone_at
        return self.now - gone if gone else None

    @property
    def claim_left(self) -> timedelta | None:
        """What is left of the lease."""
        until = self.review.claimed_until
        return until - self.now if until else None

    @property
    def hold_left(self) -> timedelta | None:
        """What is left of the hold."""
        release_at = self.review.release_at
        return release_at - self.now if release_at else None

    @property
    def ended_at(self) -> datetime:
        """When it ended; an expiry that no worker has written down yet ended by the clock."""
        return self.review.ended_at or self.review.expires_at

    @property
    def tier_words(self) -> str:
        """What the tier means."""
        return TIER_WORDS[self.review.tier]

    @property
    def is_own_request(self) -> bool:
        """Whether the member asked for it, and so never decides it."""
        return is_own_request(self.review, self.member)

    @property
    def can_decide(self) -> bool:
        """Whether the member may decide it, were it free."""
        return self.is_open and "reviews.decide_review" in permissions_of(self.member.roles) and not self.is_own_request

    @property
    def is_mine(self) -> bool:
        """Whether the member's lease runs."""
        review = self.review
        return (
            review.claimed_by_id == self.member.pk
            and review.claimed_until is not None
            and self.now < review.claimed_until
        )

    @property
    def is_held_by_other(self) -> bool:
        """Whether another's lease runs."""
        return self.review.is_claimed_by_other(self.member, now=self.now)

    @property
    def can_take_over(self) -> bool:
        """Whether the holder is idle, or the member leads."""
        return self.is_held_by_other and can_take_over(self.review, self.member, now=self.now)

    @property
    def verdict(self) -> Verdict | None:
        """The verdict that stands."""
        return self.review.verdict

    @property
    def can_undo(self) -> bool:
        """Whether the member may take the verdict back."""
        return self.verdict is not None and can_undo(self.review, self.verdict, self.member, now=self.now)

    @property
    def outcome(self) -> str:
        """The stamp: approved, amended, denied, expired, withdrawn, superseded."""
        if self.verdict is None:
            return {State.EXPIRED: "expired", State.CANCELLED: "withdrawn", State.SUPERSEDED: "superseded"}.get(
                self.state, "open"
            )
        return {
            VerdictKind.APPROVE: "approved",
            VerdictKind.APPROVE_WITH_AMENDMENTS: "amended",
            VerdictKind.DENY: "denied",
        }[VerdictKind(self.verdict.kind)]

    @cached_property
    def execution(self) -> Execution | None:
        """What the caller said became of it."""
        grant = next((grant for grant in self.review.grants.all() if grant.voided_at is None), None)
        return getattr(grant, "execution", None) if grant else None

    @cached_property
    def delivery(self) -> ResumeDelivery | None:
        """How far telling the caller got."""
        return max(self.review.deliveries.all(), key=lambda delivery: delivery.created_at, default=None)

    @cached_property
    def words(self) -> Fact | None:
        """What the agent sent along to explain itself; outside the digest."""
        if not self.review.context_text:
            return None
        context = json.loads(self.review.context_text)
        return fact_for(
            Value(pointer="", key="context", value=context, root=context, now=self.now), provenance=Provenance.AGENT
        )

    @property
    def raw_shown(self) -> str:
        """The call that the digest binds, indented; secrets masked, hidden characters revealed."""
        whole = {
            "action_id": self.review.action_id,
            "params": masked(json.loads(self.review.params_text), (*self.card.facts, *self.card.other_facts)),
            "user_context": masked(json.loads(self.review.user_context_text), self.card.context_facts),
        }
        return reveal(json.dumps(whole, ensure_ascii=False, indent=2)).plain

    @property
    def is_final(self) -> bool:
        """Whether nothing on the page will change any more."""
        if self.is_open or self.is_on_hold:
            return False
        if self.outcome in ("approved", "amended"):
            return self.execution is not None and self.execution.state != Execution.State.STARTED
        return self.delivery is None or self.delivery.state != ResumeDelivery.State.WAITING

    @property
    def row_stamp(self) -> str:
        """Changes whenever the row in the queue would read differently, the clocks apart. Costs no query."""
        holder = self.review.claimed_by_id if self.is_mine or self.is_held_by_other else None
        return f"{self.review.pk.hex} {self.state} {self.review.version} {holder} {self.caller} {self.clock.state}"

    @property
    def stamp(self) -> str:
        """Changes whenever the page would read differently, the clocks apart."""
        review, delivery, execution = self.review, self.delivery, self.execution
        told = [
            self.state, review.version, review.claimed_by_id if self.is_mine or self.is_held_by_other else None,
            self.caller, self.clock.state, self.can_undo, self.can_take_over,
            delivery.state if delivery else None, execution.state if execution else None,
        ]  # fmt: skip
        return hashlib.sha256(repr(told).encode()).hexdigest()[:12]


def masked(document: object, facts: Iterable[Fact]) -> object:
    """`document` with each value that a fact keeps as a secret replaced by dots."""
    hidden: set[str] = set()

    def find(found: Iterable[Fact]) -> None:
        for fact in found:
            if fact.is_hidden:
                hidden.add(fact.pointer)
            find(fact.children)

    def copy(value: object, pointer: str) -> object:
        if pointer in hidden:
            return "\u2022" * 8
        if isinstance(value, dict):
            return {key: copy(item, f"{pointer}/{token(key)}") for key, item in value.items()}
        if isinstance(value, list):
            return [copy(item, f"{pointer}/{index}") for index, item in enumerate(value)]
        return value

    find(facts)
    return copy(document, "")
