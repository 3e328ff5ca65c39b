"""Three results, how they combine, and mode: every row of the table, in both modes, for each effect."""

from __future__ import annotations

import itertools
import threading
from dataclasses import replace
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from policy.evaluate import (
    FAILED_DENY,
    FAILED_OBSERVED,
    STRENGTH,
    TOO_LARGE_REVIEW,
    UNMAPPED_REVIEW,
    ModeState,
    Program,
    Rule,
    RuleSet,
    bucket_of,
    failure,
)
from tests.policy.calls import ENFORCE, OBSERVE, a_call, a_rule, a_ruling

EFFECTS = ("allow", "review", "deny")
MATCH, NO_MATCH = "params.a == 1", "params.a == 2"
ERRORS = {
    "missing field": "params.b == 1",
    "null": "params.none > 1",
    "wrong type": "params.text > 1",
    "overflow": "params.big * params.big * params.big > 1",
    "budget": "params.many.all(x, params.many.all(y, true))",
    "no bool": "params.a",
    "exception": "domain_of(params.text) == 'x'",
    "no longer compiles": "params.to.map(x, x) == []",
}
PARAMS: dict[str, Any] = {"a": 1, "none": None, "text": "t", "big": 2**52, "many": list(range(150))}


@pytest.mark.parametrize("effect", EFFECTS)
def test_a_match_counts_when_enforced_and_is_recorded_in_observe(effect: str) -> None:
    for state, decision in ((ENFORCE, effect), (OBSERVE, "allow")):
        ruling = a_ruling([a_rule(MATCH, effect, reason="Because.")], a_call(PARAMS), state=state)
        assert (ruling.effect, ruling.decision, ruling.mode) == (effect, decision, state.default_mode)
        assert [hit.rule_id for hit in ruling.matched] == ["r"]
        assert ruling.message == "Because."
        assert ruling.primary is not None


@pytest.mark.parametrize("effect", EFFECTS)
def test_no_match_does_nothing(effect: str) -> None:
    for state in (ENFORCE, OBSERVE):
        ruling = a_ruling([a_rule(NO_MATCH, effect)], a_call(PARAMS), state=state)
        assert (ruling.effect, ruling.decision, ruling.matched, ruling.errors) == ("allow", "allow", (), ())
        assert ruling.primary is None


@pytest.mark.parametrize("when", ERRORS.values(), ids=ERRORS.keys())
@pytest.mark.parametrize("effect", EFFECTS)
def test_an_error_holds_the_call_unless_the_rule_allows(effect: str, when: str) -> None:
    expected = "allow" if effect == "allow" else "review"
    for state, decision in ((ENFORCE, expected), (OBSERVE, "allow")):
        ruling = a_ruling([a_rule(when, effect, tier=2)], a_call(PARAMS), state=state)
        assert (ruling.effect, ruling.decision) == (expected, decision)
        assert [hit.result for hit in ruling.errors] == ["error"]
        assert ruling.errors[0].error
        assert ruling.matched == ()
    assert a_ruling([a_rule(when, effect, tier=2)], a_call(PARAMS)).tier == {"allow": 0, "review": 2, "deny": 3}[effect]


@pytest.mark.parametrize("effect", ["review", "deny"])
def test_on_error_deny_denies(effect: str) -> None:
    ruling = a_ruling([a_rule("params.b == 1", effect, on_error="deny")], a_call(PARAMS))
    assert (ruling.effect, ruling.decision) == ("deny", "deny")
    allowing = a_ruling([a_rule("params.b == 1", "allow", on_error="deny")], a_call(PARAMS))
    assert allowing.effect == "allow"


@pytest.mark.parametrize("effect", EFFECTS)
def test_a_call_over_the_limits_is_an_error_of_every_rule_in_scope(effect: str) -> None:
    huge = a_call({"text": "x" * 70_000})
    for state, decision in ((ENFORCE, "review"), (OBSERVE, "allow")):
        ruling = a_ruling([a_rule("true", effect), a_rule("false", effect, id="s")], huge, state=state)
        assert (ruling.effect, ruling.decision) == ("review", decision)
        assert {hit.rule_id for hit in ruling.errors} == {"r", "s"}
        assert ruling.errors[0].error == "a text is longer than 64 KiB"


def test_a_call_over_the_limits_is_held_without_any_rule_too() -> None:
    ruling = a_ruling([], a_call({"text": "x" * 70_000}))
    assert (ruling.effect, ruling.decision, ruling.message) == ("review", "review", TOO_LARGE_REVIEW)
    denied = Program(RuleSet((), {"billing.refund": 0}, mapped="deny")).decide(a_call({"text": "x" * 70_000}), ENFORCE)
    assert denied.effect == "deny"


def test_an_engine_failure_denies_or_holds_and_allows_only_in_observe() -> None:
    call = a_call()
    assert failure(ENFORCE, call).decision == "deny"
    assert failure(ENFORCE, call).message == FAILED_DENY
    assert failure(replace(ENFORCE, on_engine_failure="review"), call).decision == "review"
    observed = failure(OBSERVE, call)
    assert (observed.effect, observed.decision, observed.message) == ("deny", "allow", FAILED_OBSERVED)
    assert failure(None, call).decision == "deny"
    assert failure(None, call).failed


# Combining.


def test_the_strongest_effect_wins_and_all_matches_are_kept() -> None:
    rules = [a_rule("true", effect, id=effect, reason=effect) for effect in EFFECTS]
    ruling = a_ruling(rules)
    assert (ruling.effect, ruling.message) == ("deny", "deny")
    assert [hit.rule_id for hit in ruling.matched] == ["deny", "review", "allow"]


def test_of_equally_strong_rules_the_higher_priority_then_the_id_is_named() -> None:
    rules = [a_rule("true", id="b"), a_rule("true", id="a"), a_rule("true", id="z", priority=200)]
    assert [hit.rule_id for hit in a_ruling(rules).matched] == ["z", "a", "b"]


def test_an_allow_rule_switches_off_the_reviews_it_names_and_nothing_else() -> None:
    internal = a_rule("true", "allow", id="internal", suppresses=("outside", "strict", "broken"))
    outside, other = a_rule("true", id="outside"), a_rule("true", id="other")
    strict, broken = a_rule("true", "deny", id="strict"), a_rule("params.x == 1", id="broken")
    assert a_ruling([internal, outside]).effect == "allow"
    assert a_ruling([internal, outside]).suppressed == ("outside",)
    assert a_ruling([internal, outside]).primary is not None
    assert a_ruling([internal, outside, other]).effect == "review"
    assert a_ruling([internal, strict]).effect == "deny"
    assert a_ruling([internal, broken]).effect == "review"
    assert a_ruling([replace(internal, when="false"), outside]).effect == "review"
    assert a_ruling([replace(internal, when="params.x"), outside]).effect == "review"
    assert a_ruling([replace(internal, mode="observe"), outside]).effect == "review"
    assert a_ruling([replace(internal, rollout=0), outside]).effect == "review"


def test_defaults_answer_when_no_rule_matches() -> None:
    for effect in EFFECTS:
        ruling = Program(RuleSet((), {"billing.refund": 2}, mapped=effect)).decide(a_call(), ENFORCE)  # type: ignore[arg-type]  # the loop's literals
        assert (ruling.effect, ruling.mapped, ruling.primary) == (effect, True, None)
        assert ruling.tier == 2


def test_only_a_matched_allow_rule_displaces_a_stricter_default() -> None:
    strict: dict[str, Any] = {"mapped": False, "unmapped": "deny"}
    assert a_ruling([a_rule("true", "allow")], **strict).effect == "allow"
    assert a_ruling([a_rule("true", "review")], **strict).effect == "deny"
    assert a_ruling([a_rule("params.x", "allow")], **strict).effect == "deny"
    both = [a_rule("true", "allow", id="a"), a_rule("true", "review", id="b")]
    assert a_ruling(both, **strict).effect == "review"


def test_an_unmapped_action_follows_its_setting() -> None:
    held = a_ruling([], mapped=False)
    assert (held.effect, held.decision, held.message, held.tier) == ("review", "review", UNMAPPED_REVIEW, 2)
    assert not held.mapped
    denied = a_ruling([], mapped=False, unmapped="deny")
    assert (denied.effect, denied.decision) == ("deny", "deny")
    observed = a_ruling([a_rule("true", "deny")], mapped=False, unmapped="observe")
    assert (observed.effect, observed.decision, observed.mode, observed.mode_source) == (
        "deny",
        "allow",
        "observe",
        "unmapped",
    )
    in_observe = a_ruling([], mapped=False, state=OBSERVE)
    assert (in_observe.effect, in_observe.decision) == ("review", "allow")
    assert a_ruling([a_rule("true", "deny")], mapped=False).decision == "deny"


def test_scope_is_by_glob_and_off_rules_do_nothing() -> None:
    scoped = a_rule("true", "deny", actions=("billing.refund*", "email.?end"))
    assert a_ruling([scoped], a_call(action_id="billing.refund_all")).effect == "deny"
    assert a_ruling([scoped], a_call(action_id="email.send")).effect == "deny"
    assert a_ruling([scoped], a_call(action_id="billing.charge")).effect == "allow"
    assert a_ruling([scoped], a_call(action_id="Billing.refund")).effect == "allow"
    assert a_ruling([replace(scoped, mode="off")], a_call(action_id="email.send")).effect == "allow"


def test_the_review_takes_the_strictest_of_its_rules() -> None:
    rules = [
        a_rule("true", id="a", tier=1, due_in_seconds=900, expires_in_seconds=7200, hold_seconds=0, priority=200),
        a_rule("true", id="b", tier=3, due_in_seconds=300, hold_seconds=20, team="finance"),
        a_rule("false", id="c", tier=4, due_in_seconds=1, hold_seconds=60),
    ]
    ruling = a_ruling(rules)
    assert (ruling.tier, ruling.due_in_seconds, ruling.expires_in_seconds) == (3, 300, 7200)
    assert (ruling.hold_seconds, ruling.team) == (20, "finance")
    assert a_ruling(rules[:1]).hold_seconds == 0
    floor = a_ruling(rules[:1], actions={"billing.refund": 4})
    assert floor.tier == 4


def test_an_observing_rule_is_reported_only_when_it_would_change_the_effect() -> None:
    deny, review = a_rule("true", "deny", id="d", mode="observe"), a_rule("true", id="r")
    ruling = a_ruling([deny, review])
    assert (ruling.effect, [hit.rule_id for hit in ruling.observing]) == ("review", ["d"])
    assert [hit.rule_id for hit in ruling.matched] == ["r"]
    assert a_ruling([replace(deny, effect="review"), review]).observing == ()
    broken = a_rule("params.x == 1", "deny", id="d", mode="observe")
    assert [hit.result for hit in a_ruling([broken]).observing] == ["error"]


# Mode.


def test_an_override_beats_the_tenant() -> None:
    deny = [a_rule("true", "deny")]
    loosened = ModeState("t", "enforce", overrides={"billing.refund": ("observe", 100)})
    tightened = ModeState("t", "observe", overrides={"billing.refund": ("enforce", 100)})
    assert (a_ruling(deny, state=loosened).decision, a_ruling(deny, state=tightened).decision) == ("allow", "deny")
    assert a_ruling(deny, state=loosened).mode_source == "action"
    elsewhere = a_ruling(deny, a_call(action_id="email.send"), state=loosened)
    assert (elsewhere.decision, elsewhere.mode_source) == ("deny", "tenant")


def test_the_percentage_is_sticky_and_raising_it_only_adds_subjects() -> None:
    deny = [a_rule("true", "deny")]
    program = Program(RuleSet(tuple(deny), {"billing.refund": 0}))
    enforced: dict[int, set[str]] = {}
    for percent in (0, 10, 50, 100):
        state = ModeState("t", "enforce", percent=percent)
        rulings = {f"u{n}": program.decide(a_call(subject=f"u{n}"), state) for n in range(400)}
        enforced[percent] = {subject for subject, ruling in rulings.items() if ruling.decision == "deny"}
        assert all(ruling.effect == "deny" and ruling.bucket is not None for ruling in rulings.values())
    assert enforced[0] < enforced[10] < enforced[50] < enforced[100]
    assert len(enforced[100]) == 400
    assert 15 < len(enforced[10]) < 75


def test_a_bucket_never_moves() -> None:
    """A new hash would move every subject of every ramp that is under way."""
    assert bucket_of("tenant", "billing.refund", "u_1") == 8936
    assert bucket_of("tenant", "billing.refund", "u_1", "rule") != bucket_of("tenant", "billing.refund", "u_1")


def test_a_rules_rollout_is_its_own_ramp() -> None:
    deny = a_rule("true", "deny", rollout=50)
    program = Program(RuleSet((deny,), {"billing.refund": 0}))
    rulings = [program.decide(a_call(subject=f"u{n}"), ENFORCE) for n in range(200)]
    outside = [ruling for ruling in rulings if ruling.decision == "allow"]
    assert 60 < len(outside) < 140
    assert all([hit.rule_id for hit in ruling.observing] == ["r"] for ruling in outside)


# Properties.

CONDITIONS = [MATCH, NO_MATCH, *ERRORS.values()]


@st.composite
def rules(draw: st.DrawFn, *, effects: tuple[str, ...] = EFFECTS, least: int = 0) -> list[Rule]:
    count = draw(st.integers(least, 5))
    return [
        a_rule(
            draw(st.sampled_from(CONDITIONS[:4])),
            draw(st.sampled_from(effects)),
            id=f"r{index}-{draw(st.integers(0, 3))}",
            on_error=draw(st.sampled_from(["review", "deny"])),
            tier=draw(st.integers(1, 4)),
            priority=draw(st.sampled_from([100, 200])),
            mode=draw(st.sampled_from(["enforce", "enforce", "observe", "off"])),
            rollout=draw(st.sampled_from([100, 50])),
            suppresses=tuple(draw(st.lists(st.sampled_from([f"r{n}-{m}" for n in range(5) for m in range(4)])))),
        )
        for index in range(count)
    ]


STATES = st.sampled_from([ENFORCE, OBSERVE, replace(ENFORCE, percent=50)])


@settings(max_examples=150, deadline=None)
@given(rules(), st.randoms(use_true_random=False), STATES)
def test_the_order_of_rules_is_irrelevant(found: list[Rule], random: Any, state: ModeState) -> None:
    shuffled = list(found)
    random.shuffle(shuffled)
    assert a_ruling(found, a_call(PARAMS), state=state) == a_ruling(shuffled, a_call(PARAMS), state=state)


@settings(max_examples=150, deadline=None)
@given(
    rules(),
    rules(effects=("review", "deny"), least=1),
    STATES,
    st.sampled_from([{"mapped": True}, {"mapped": False}, {"mapped": False, "unmapped": "deny"}]),
)
def test_adding_a_deny_or_review_rule_never_weakens(
    found: list[Rule], added: list[Rule], state: ModeState, defaults: dict[str, Any]
) -> None:
    more = [replace(rule, id=f"new-{rule.id}", suppresses=()) for rule in added]
    before = a_ruling(found, a_call(PARAMS), state=state, **defaults)
    after = a_ruling(found + more, a_call(PARAMS), state=state, **defaults)
    assert STRENGTH[after.effect] >= STRENGTH[before.effect]
    assert STRENGTH[after.decision] >= STRENGTH[before.decision]
    assert after.tier >= before.tier


@settings(max_examples=150, deadline=None)
@given(rules(), st.sampled_from(list(ERRORS.values())), st.sampled_from(["review", "deny"]), st.booleans())
def test_an_error_of_a_deny_or_review_rule_never_allows_in_enforce(
    found: list[Rule], when: str, effect: str, mapped: bool
) -> None:
    ruling = a_ruling([*found, a_rule(when, effect, id="broken")], a_call(PARAMS), mapped=mapped)
    assert ruling.decision != "allow"


def test_every_pair_of_effects_combines_to_the_stronger() -> None:
    for one, other in itertools.product(EFFECTS, EFFECTS):
        ruling = a_ruling([a_rule("true", one, id="a"), a_rule("true", other, id="b")])
        assert ruling.effect == max(one, other, key=lambda effect: STRENGTH[effect])


def test_threads_share_a_program_without_a_wrong_decision() -> None:
    program = Program(
        RuleSet(
            (
                a_rule("params.a > 500", id="cap"),
                a_rule("user.plan == 'free'", "deny", id="free"),
                a_rule("params.to.exists(r, domain_of(r) != 'demo.example')", id="outside"),
            ),
            {"billing.refund": 0},
        )
    )
    wrong: list[object] = []

    def work(seed: int) -> None:
        for number in range(seed, seed + 400):
            amount, plan, domain = number % 1000, ("free", "pro")[number % 2], ("demo", "evil")[number % 3 == 0]
            call = a_call({"a": amount, "to": [f"x@{domain}.example"]}, user={"plan": plan})
            expected = "deny" if plan == "free" else "review" if amount > 500 or domain == "evil" else "allow"
            ruling = program.decide(call, ENFORCE)
            if ruling.decision != expected:
                wrong.append((call, ruling))

    threads = [threading.Thread(target=work, args=(seed * 137,)) for seed in range(8)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert wrong == []
