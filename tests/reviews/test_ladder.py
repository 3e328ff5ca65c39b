"""Friction by tier and channel: what a verdict takes, counted."""

from __future__ import annotations

import pytest

from reviews.ladder import Step, Via, steps, takes
from reviews.states import VerdictKind

TIERS = (1, 2, 3, 4)


@pytest.mark.parametrize("tier", TIERS)
@pytest.mark.parametrize("via", [*Via, "api", "chat", "row"])
def test_denying_never_takes_more_steps_than_approving(tier: int, via: str) -> None:
    approving, denying = (steps(kind, tier, via=via) for kind in (VerdictKind.APPROVE, VerdictKind.DENY))
    if approving is not None:
        assert denying is not None
        assert len(denying) <= len(approving)
        assert denying.count(Step.STEP_UP) <= approving.count(Step.STEP_UP)


@pytest.mark.parametrize("tier", TIERS)
def test_denying_asks_for_no_sign_in_no_words_and_no_typing(tier: int) -> None:
    assert not {Step.STEP_UP, Step.NOTE, Step.TYPE_VALUE, Step.OPEN_FOLDS} & set(steps(VerdictKind.DENY, tier) or ())


def test_the_ladder_of_each_tier_is_the_one_of_the_design() -> None:
    assert steps(VerdictKind.APPROVE, 1) == steps(VerdictKind.DENY, 1) == (Step.OPEN_CARD, Step.COMMIT)
    assert steps(VerdictKind.APPROVE, 2) == steps(VerdictKind.DENY, 2) == (Step.OPEN_CARD, Step.CODE, Step.COMMIT)
    for tier in (3, 4):
        assert set(steps(VerdictKind.APPROVE, tier) or ()) == {
            Step.OPEN_CARD, Step.OPEN_FOLDS, Step.TYPE_VALUE, Step.CODE, Step.NOTE, Step.STEP_UP, Step.COMMIT,
        }  # fmt: skip


@pytest.mark.parametrize("tier", TIERS)
def test_an_amendment_is_never_easier_than_an_approval(tier: int) -> None:
    amending = steps(VerdictKind.APPROVE_WITH_AMENDMENTS, tier) or ()
    assert set(steps(VerdictKind.APPROVE, tier) or ()) <= set(amending)
    assert Step.READ_DIFFERENCE in amending


@pytest.mark.parametrize("kind", list(VerdictKind))
@pytest.mark.parametrize("tier", TIERS)
def test_only_the_card_and_the_bulk_form_decide_and_bulk_approves_tier_one_alone(kind: str, tier: int) -> None:
    assert steps(kind, tier, via="api") is None
    assert steps(kind, tier, via="chat") is None
    assert steps(kind, tier, via="row") is None
    in_bulk = steps(kind, tier, via=Via.BULK) is not None
    assert in_bulk == (kind == VerdictKind.DENY or (kind == VerdictKind.APPROVE and tier == 1))
    assert not takes(Step.STEP_UP, kind=kind, tier=tier, via=Via.BULK)
