"""What the verdict bar shows one member of one review: which variant, which panels, what each asks. Reads only."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import datetime
from functools import cached_property
from typing import Final

from django.utils.translation import gettext as _
from django.utils.translation import ngettext

from policy.live import live_policy
from reviews import drafts
from reviews.amendments import Change, can_amend, differences
from reviews.asked import Fold, asked_call, folds_of, last_word
from reviews.callers import CallerState
from reviews.cards import typing as typed_values
from reviews.cards.types import Card, Fact, Notice, Severity
from reviews.copies import waiting_copies
from reviews.forms import VerdictForm, new_form_key
from reviews.friction import decisive_fact
from reviews.ladder import Step, takes
from reviews.models import Draft, Review, Verdict
from reviews.states import VerdictKind
from reviews.undoing import waiting_approval_of
from reviews.views.page import ReviewPage

_FIRST_FACTS: Final = 2
_FITS_A_LINE: Final = 60
# Formatters of values that say to whom, to where or how much.
_TARGETS: Final = frozenset({"email", "person", "money", "url", "domain", "sql", "shell"})


@dataclass(frozen=True)
class Typing:
    """The decisive value as the panel asks for it: what it is called, and the right one of three to pick instead."""

    label: str
    choices: tuple[str, ...]

    @classmethod
    def of(cls, card: Card, *, is_changed: bool) -> Typing:
        """What is typed for this card; the last word of its action where it has no decisive value."""
        fact = decisive_fact(card)
        if fact is None:
            return cls(_("Type “%(word)s” to confirm") % {"word": last_word(card.action_id)}, ())
        words = (
            _("Type the value of %(label)s after your change")
            if is_changed
            else _("Type the value of %(label)s, as you read it")
        )
        return cls(words % {"label": fact.label}, typed_values.choices(fact, digest=card.call_digest))


@dataclass(frozen=True)
class Ladder:
    """The steps that a panel must show for one kind of verdict at one tier."""

    kind: str
    tier: int
    folds: tuple[Fold, ...] = ()
    typing: Typing | None = None

    @classmethod
    def of(cls, kind: str, *, tier: int, card: Card) -> Ladder:
        """What this verdict asks on this card."""
        return cls(
            kind,
            tier,
            folds=folds_of(card) if takes(Step.OPEN_FOLDS, kind=kind, tier=tier) else (),
            typing=Typing.of(card, is_changed=kind == VerdictKind.APPROVE_WITH_AMENDMENTS)
            if takes(Step.TYPE_VALUE, kind=kind, tier=tier)
            else None,
        )

    @property
    def wants_note(self) -> bool:
        """Whether words are asked for."""
        return takes(Step.NOTE, kind=self.kind, tier=self.tier)

    @property
    def wants_sign_in(self) -> bool:
        """Whether the last sign-in must be recent."""
        return takes(Step.STEP_UP, kind=self.kind, tier=self.tier)


@dataclass(frozen=True)
class Bar:
    """The bar for one member."""

    page: ReviewPage
    approve: VerdictForm
    deny: VerdictForm
    drafts: Mapping[str, Draft] = field(default_factory=dict)
    open_panel: str = ""

    @classmethod
    def of(cls, page: ReviewPage, *, posted: VerdictForm | None = None, open_panel: str = "") -> Bar:
        """The bar with what was typed: what was just posted in its panel, else the drafts of the member."""
        seen = page.review.version, asked_call(page.review).digest, page.card.template_digest
        kept = drafts.of_member(page.review, page.member) if page.can_decide else {}
        forms = {
            kind: VerdictForm.empty(kind, seen, typed=kept[panel].fields if panel in kept else None)
            for kind, panel in ((VerdictKind.APPROVE, "approve"), (VerdictKind.DENY, "deny"))
        }
        if posted is not None:
            posted.now_showing(seen)
            forms[posted.verdict_kind] = posted
            open_panel = posted.panel
        return cls(
            page=page,
            approve=forms[VerdictKind.APPROVE],
            deny=forms[VerdictKind.DENY],
            drafts=kept,
            open_panel=open_panel,
        )

    @property
    def variant(self) -> str:
        """Why there are no panels, or `decides`: own, given, elsewhere, reads, held."""
        page = self.page
        if page.is_own_request:
            return "own"
        if self.given is not None:
            return "given"
        if page.routed_elsewhere:
            return "elsewhere"
        if not page.can_decide:
            return "reads"
        return "held" if page.is_held_by_other else "decides"

    def shows(self, panel: str, *, amend_is_open: bool) -> bool:
        """Whether this panel stands open on the bar, so that a refusal is said where its fields are."""
        if self.variant != "decides":
            return False
        if panel == "approve":
            return self.page.review.tier > 1 or self.calls_waiting > 1
        return amend_is_open and self.can_amend if panel == "amend" else panel in ("deny", "ask")

    @cached_property
    def given(self) -> Verdict | None:
        """The member's own approval that waits for another person's."""
        return waiting_approval_of(self.page.review, self.page.member, now=self.page.now)

    @cached_property
    def ready_key(self) -> str:
        """The key of the form with the ready buttons, which is not that of the panel."""
        return new_form_key()

    @property
    def takes_several(self) -> bool:
        """Whether more than one person must approve."""
        return self.page.review.approvals_needed > 1

    @property
    def is_amended(self) -> bool:
        """Whether the call on the card is not the one that was asked."""
        return self.page.call is not self.page.review

    @cached_property
    def amended(self) -> tuple[Change, ...]:
        """What the call on the card differs in from the one that was asked; not who changed it."""
        if not self.is_amended:
            return ()
        page = self.page
        return differences(page.review, page.call.params_text, after=page.card, now=page.now)

    @property
    def is_severe(self) -> bool:
        """Whether the bar looks like that of tiers 3 and 4."""
        return self.page.review.tier >= 3

    @property
    def is_for_later(self) -> bool:
        """Whether nobody is there to run it now."""
        return self.page.caller is CallerState.GONE

    @cached_property
    def obstacle(self) -> str:
        """Why nothing can be approved now, in a sentence; a denial always works."""
        if self.page.card.incomplete:
            return _("This card is not complete, so it cannot be approved. Denying works.")
        policy = live_policy(self.page.review.tenant_id)
        if policy.state is None or policy.program is None:
            return _("Nothing can be released right now. You can read and draft; nothing is lost.")
        if policy.is_frozen(action_id=self.page.review.action_id, agent_id=self.page.review.agent.slug):
            return _("This agent or action is paused: what you approve runs only if a lead resumes it in time.")
        return ""

    @property
    def can_approve(self) -> bool:
        """Whether the approve buttons work: a pause warns, it does not block."""
        if self.page.card.incomplete:
            return False
        policy = live_policy(self.page.review.tenant_id)
        return policy.state is not None and policy.program is not None

    @property
    def can_amend(self) -> bool:
        """Whether the template releases a value of this call."""
        return self.can_approve and can_amend(self.page.card, params_text=self.page.call.params_text)

    @property
    def unread(self) -> tuple[Fact, ...]:
        """What guardsite could not read, of the facts that stand by themselves."""
        card = self.page.card
        return tuple(fact for fact in (*card.facts, *card.other_facts) if not fact.inspected)

    @property
    def first_facts(self) -> tuple[Fact, ...]:
        """What the bar repeats where no template says what decides: what is warned of, then to whom and how much.

        Running text comes last, and values that do not fit a line never: see `unshown_danger`.
        """
        fitting = [fact for fact in self._readable if fact.short and _fits_a_line(fact)]
        return tuple(sorted(fitting, key=_weight)[:_FIRST_FACTS])

    @property
    def unshown_danger(self) -> Notice | None:
        """The danger in a value too long for the bar: no length takes a warning out of it."""
        unfit = (fact for fact in self._readable if not _fits_a_line(fact))
        dangers = (
            Notice(one, fact.label) for fact in unfit for one in fact.cautions if one.severity is Severity.DANGER
        )
        return next(dangers, None)

    @property
    def _readable(self) -> list[Fact]:
        card = self.page.card
        return [fact for fact in (*card.facts, *card.other_facts) if fact.inspected and not fact.is_hidden]

    @property
    def approve_ladder(self) -> Ladder:
        """What an approval asks."""
        return Ladder.of(VerdictKind.APPROVE, tier=self.page.review.tier, card=self.page.card)

    @property
    def deny_ladder(self) -> Ladder:
        """What a denial asks."""
        return Ladder.of(VerdictKind.DENY, tier=self.page.review.tier, card=self.page.card)

    @cached_property
    def calls_waiting(self) -> int:
        """How many of this very call wait, this one included."""
        if self.takes_several:
            return 1
        return 1 + waiting_copies(self.page.review, now=self.page.now).count()

    @property
    def consequence(self) -> str:
        """What follows from an approval."""
        return consequence(self.page.review, now=self.page.now, is_for_later=self.is_for_later)

    @property
    def deny_consequence(self) -> str:
        """What follows from a denial."""
        told = _("The agent is told not to repeat it.")
        return f"{_('Recorded under your name.')} {_sending(self.page.review, now=self.page.now)} {told}"


def _fits_a_line(fact: Fact) -> bool:
    return len(fact.short) <= _FITS_A_LINE


def _weight(fact: Fact) -> tuple[bool, bool, bool, int]:
    """What sorts first tells most of where a call goes."""
    is_warned = any(caution.severity is not Severity.INFO for caution in fact.cautions)
    return not is_warned, fact.formatter not in _TARGETS, fact.formatter == "text", len(fact.short)


def consequence(review: Review, *, now: datetime, is_for_later: bool) -> str:
    """What follows from an approval, in sentences; the same for each of several people, so that none tells of another."""
    said: list[str] = [_("Recorded under your name.")]
    if review.approvals_needed > 1:
        said.append(
            ngettext(
                "It runs once %(count)d person has approved it.",
                "It runs once %(count)d different people have approved it.",
                review.approvals_needed,
            )
            % {"count": review.approvals_needed}
        )
    else:
        said.append(_release(review, now=now))
    if is_for_later:
        said.append(_("Nothing runs unless the agent asks again within 15 min."))
    return " ".join(said)


def _release(review: Review, *, now: datetime) -> str:
    seconds, is_cut = _hold(review, now=now)
    if not seconds and not is_cut:
        return _("Released at once.")
    if is_cut:
        return _("The deadline is near, so it is released after %(seconds)d s.") % {"seconds": seconds}
    return _("Released after %(seconds)d s.") % {"seconds": seconds}


def _sending(review: Review, *, now: datetime) -> str:
    """The same of a denial, which lets nothing go."""
    seconds, _is_cut = _hold(review, now=now)
    return _("Sent after %(seconds)d s.") % {"seconds": seconds} if seconds else _("Sent at once.")


def _hold(review: Review, *, now: datetime) -> tuple[int, bool]:
    """Seconds for which a verdict is held back, and whether the deadline cuts them short."""
    if review.approvals_needed > 1 or not review.hold_seconds:
        return 0, False
    left = max(0, int((review.expires_at - now).total_seconds()))
    return min(left, review.hold_seconds), left < review.hold_seconds
