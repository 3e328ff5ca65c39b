"""What the panel for an approval with changes shows: inputs, then the difference with its commit. Reads only."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from reviews import drafts
from reviews.amend_fields import AmendField, read_posted
from reviews.amendments import Amendment, applied, basis_of, propose, with_chips
from reviews.asked import active_template, asked_call
from reviews.errors import InvalidAmendment
from reviews.forms import VerdictForm
from reviews.states import VerdictKind
from reviews.views.bar import Ladder
from reviews.views.page import ReviewPage


@dataclass(frozen=True)
class Input:
    """One input with what stands in it: the value asked for, or what was typed, and why that is refused."""

    field: AmendField
    text: str
    kept: frozenset[str]
    error: str = ""


@dataclass(frozen=True)
class AmendPanel:
    """One step of an amendment. Empty until it is opened: a card that nobody amends pays nothing for it."""

    inputs: tuple[Input, ...] = ()
    locked: tuple[str, ...] = ()
    refusal: str = ""
    proposal: Amendment | None = None
    form: VerdictForm | None = None
    ladder: Ladder | None = None

    @classmethod
    def of(cls, page: ReviewPage, *, posted: VerdictForm | None, resume: bool) -> AmendPanel | None:
        """The panel of a card: the difference again after a refusal or a sign-in, else nothing to show yet."""
        if posted is not None and posted.verdict_kind is VerdictKind.APPROVE_WITH_AMENDMENTS:
            params = posted.cleaned_data.get("params") if posted.is_bound and hasattr(posted, "cleaned_data") else None
            return cls.difference(page, params, form=posted) if params else None
        if not resume or not page.can_decide:
            return None
        draft = drafts.of_member(page.review, page.member).get("amend")
        return cls.first_step(page) if draft is None else cls.from_draft(page, draft.fields)

    @classmethod
    def from_draft(cls, page: ReviewPage, typed: Mapping[str, Sequence[str]]) -> AmendPanel:
        """The step at which somebody left off."""
        form = VerdictForm({"kind": VerdictKind.APPROVE_WITH_AMENDMENTS, "params": (typed.get("params") or [""])[-1]},
                           kind=VerdictKind.APPROVE_WITH_AMENDMENTS)  # fmt: skip
        form.is_valid()
        params = form.cleaned_data.get("params")
        return cls.difference(page, params, typed=typed) if params else cls.first_step(page, posted=typed)

    @classmethod
    def first_step(
        cls, page: ReviewPage, *, posted: Mapping[str, Sequence[str]] | None = None, errors: Mapping[str, str] | None = None,
        refusal: str = "",
    ) -> AmendPanel:  # fmt: skip
        """The inputs, with chips; what was typed, and what is wrong with it."""
        basis = basis_of(page.review, template=active_template(page.review), now=page.now)
        typed = posted or {}
        released = {one.pointer for one in basis.fields}
        return cls(
            inputs=tuple(
                _input(
                    one, typed.get(one.name), is_posted=posted is not None, error=(errors or {}).get(one.pointer, "")
                )
                for one in with_chips(page.review, basis, now=page.now)
            ),
            locked=tuple(
                fact.label
                for fact in (*basis.card.facts, *basis.card.other_facts)
                if fact.pointer not in released and not fact.is_default
            ),
            refusal=refusal,
        )

    @classmethod
    def check(cls, page: ReviewPage, posted: Mapping[str, Sequence[str]], *, locale: str) -> AmendPanel:
        """The difference that these inputs make, or the inputs again with what is wrong."""
        basis = basis_of(page.review, template=active_template(page.review), now=page.now)
        values, errors = read_posted(basis.fields, posted, locale=locale)
        if errors:
            return cls.first_step(page, posted=posted, errors=errors, refusal=InvalidAmendment.default_sentence)
        return cls.difference(page, applied(basis, values), posted=posted)

    @classmethod
    def difference(
        cls,
        page: ReviewPage,
        params: Mapping[str, object],
        *,
        form: VerdictForm | None = None,
        typed: Mapping[str, Sequence[str]] | None = None,
        posted: Mapping[str, Sequence[str]] | None = None,
    ) -> AmendPanel:
        """What these params change, with the form that commits them; the inputs again where they are refused."""
        try:
            proposal = propose(page.review, params, template=active_template(page.review), now=page.now)
        except InvalidAmendment as error:
            errors = error.details.get("errors")
            return cls.first_step(
                page, posted=posted, errors=errors if isinstance(errors, dict) else None, refusal=error.sentence
            )
        kind = VerdictKind.APPROVE_WITH_AMENDMENTS
        if form is None:
            form = VerdictForm.empty(
                kind,
                (page.review.version, asked_call(page.review).digest, page.card.template_digest),
                typed={name: values for name, values in (typed or {}).items() if name != "params"},
            )
        return cls(proposal=proposal, form=form, ladder=Ladder.of(kind, tier=proposal.tier, card=proposal.card))

    @property
    def is_refused(self) -> bool:
        """Whether the step could not be taken."""
        return bool(self.refusal)


def _input(one: AmendField, typed: Sequence[str] | None, *, is_posted: bool, error: str) -> Input:
    everything = frozenset(index for index, _ in one.options)
    if typed is None:
        # Boxes that nobody ticked are not sent at all.
        return Input(one, one.shown, frozenset() if is_posted and one.kind == "list" else everything, error)
    return Input(one, typed[-1] if typed else one.shown, frozenset(typed), error)
