"""What the receipt of a decided review says: who, how they signed in, what changed, what became of it. Reads only."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import timedelta
from functools import cached_property
from typing import Final

from django.utils.translation import gettext_lazy as _

from reviews.amendments import Change, differences
from reviews.answers import verdict_message
from reviews.cards.types import Part
from reviews.flags import flags_of, may_flag
from reviews.models import CardTemplate, Grant, Verdict, VerdictFlag
from reviews.rule_proposals import rule_query
from reviews.states import VerdictKind
from reviews.views.page import ReviewPage

METHODS: Final = {
    "password": _("password"),
    "totp": _("code of an app"),
    "recovery_codes": _("recovery code"),
    "webauthn": _("passkey"),
    "oidc": _("identity provider"),
    "operator": _("operator"),
}
CHANNELS: Final = {"web": _("on the card"), "bulk": _("in bulk"), "copy": _("as a copy of another call")}


@dataclass(frozen=True)
class Signature:
    """One person's verdict: who, by which channel, by which proof of identity and how old that was."""

    verdict: Verdict

    @property
    def method(self) -> str:
        """How they had last proved who they are; empty where nothing is known."""
        return str(METHODS.get(self.verdict.auth_method, self.verdict.auth_method))

    @property
    def age(self) -> timedelta | None:
        """How long before the verdict that was."""
        return self.verdict.created_at - self.verdict.auth_at if self.verdict.auth_at else None

    @property
    def channel(self) -> str:
        """Where it was given."""
        return str(CHANNELS.get(self.verdict.via, self.verdict.via))


@dataclass(frozen=True)
class Receipt:
    """The receipt of a page whose review was decided."""

    page: ReviewPage

    @property
    def signatures(self) -> Sequence[Signature]:
        """Every verdict that stands, by slot: a second person sees the first one's now, not before."""
        return [Signature(verdict) for verdict in self.page.review.standing_verdicts]

    @property
    def sentence(self) -> tuple[Part, ...]:
        """What the agent asked to do; of a call that was changed, what it may do instead."""
        return self.page.card.sentence_with("may" if self.changes else "asked to")

    @property
    def told(self) -> str:
        """What the agent is told."""
        return verdict_message(self.page.verdict) if self.page.verdict else ""

    @cached_property
    def grant(self) -> Grant | None:
        """The permission that the approval gave."""
        return next((grant for grant in self.page.review.grants.all() if grant.voided_at is None), None)

    @property
    def grant_state(self) -> str:
        """used, lapsed, usable, or none."""
        grant = self.grant
        if grant is None:
            return "none"
        if grant.used_at is not None:
            return "used"
        return "lapsed" if grant.expires_at <= self.page.now else "usable"

    @property
    def was_for_later(self) -> bool:
        """Whether the agent had gone when it was approved."""
        gone, verdict = self.page.review.caller_gone_at, self.page.verdict
        return verdict is not None and verdict.kind != VerdictKind.DENY and gone is not None

    @property
    def rule_query(self) -> str:
        """With what the rule editor opens, for who would have policy decide the next such call."""
        return rule_query(self.page.card, params_text=self.page.call.params_text)

    @cached_property
    def flags(self) -> Sequence[VerdictFlag]:
        """Who calls the verdict a mistake."""
        return flags_of(self.page.verdict)

    @property
    def can_flag(self) -> bool:
        """Whether this member may say so, and has not."""
        page = self.page
        is_released = page.verdict is not None and not page.is_on_hold
        return is_released and may_flag(page.member) and not any(one.member_id == page.member.pk for one in self.flags)

    @cached_property
    def changes(self) -> tuple[Change, ...]:
        """What the amendment changed, before and after."""
        verdict = self.page.verdict
        if verdict is None or not verdict.amended_params_text:
            return ()
        return differences(self.page.review, verdict.amended_params_text, after=self.page.card, now=self.page.now)

    @cached_property
    def template_version(self) -> int | None:
        """The version of the card template that the reviewer saw."""
        verdict = self.page.verdict
        if verdict is None or not verdict.template_digest:
            return None
        rows = CardTemplate.objects.filter(
            tenant_id=verdict.tenant_id, action_id=self.page.review.action_id, digest=verdict.template_digest
        )
        return rows.order_by("-version").values_list("version", flat=True).first()
