"""`explain` and `evaluate` never disagree, nor do rules asked together and rules asked one by one: any condition, any
context.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from hypothesis import assume, given, settings
from hypothesis import strategies as st

from policy import source
from policy.cel import CompileError
from policy.evaluate import Program, Rule, RuleHit, RuleSet, context_of
from policy.explain import Leaf
from tests.policy.calls import ENFORCE, a_call, a_rule

PROGRAM = Program(RuleSet((), {}))

# Conditions: leaves over a few fields that are there or not, of this type or that, put together in every way.

FIELDS = ("params.a", "params.b", "params.s", "params.m.x", "params.l", "user.plan", "params['a']", "tool.drifted")
VALUES = ("0", "1", "-2", "1.5", "'a'", '"b && c"', "r'|| x'", "true", "false", "null", "['a', 1]", "{'a': 1}")
LEAVES = (
    "{f} {r} {v}",
    "{v} {r} {f}",
    "{f} {r} {g}",
    "{f} + {v} {r} 3",
    "({f} {r} {v})",
    "has(params.a)",
    "has(params.m.x)",
    "{f}",
    "true",
    "false",
    "{f} in ['a', 'b', 1]",
    "'a' in {f}",
    "size({f}) > 1",
    "{f}.contains('a')",
    "{f}.icontains('A')",
    "{f}.regex(r'(?i)a|\\|\\|')",
    "{f}.glob('a*')",
    "num({f}) > 1.0",
    "minor({f}, 'USD') > 100",
    "domain_of({f}) == 'demo.example'",
    "{f}.exists(x, x == 'a' || x == 1)",
    "{f}.all(x, x != 1 && x != {v})",
    "{f}.filter(x, x == 1).size() > 0",
    "{{'a': true, 'b': false}}[{f}]",
    "[true, false][{f}]",
    "({f} == 1 ? 'x' : 'y') == 'x'",
    "type({f}) == int",
    "{f} / 0 == 1",
)


@st.composite
def leaves(draw: st.DrawFn) -> str:
    """One test without logic outside brackets."""
    template = draw(st.sampled_from(LEAVES))
    return template.format(
        f=draw(st.sampled_from(FIELDS)),
        g=draw(st.sampled_from(FIELDS)),
        v=draw(st.sampled_from(VALUES)),
        r=draw(st.sampled_from(("==", "!=", "<", "<=", ">", ">="))),
    )


def _joined(parts: st.SearchStrategy[str]) -> st.SearchStrategy[str]:
    gaps = st.sampled_from([" ", "  ", "\n", " // && or ||\n"])
    return st.one_of(
        st.builds(lambda a, g, b: f"{a}{g}&& {b}", parts, gaps, parts),
        st.builds(lambda a, g, b: f"{a} ||{g}{b}", parts, gaps, parts),
        st.builds(lambda a: f"({a})", parts),
        st.builds(lambda a: f"!({a})", parts),
        st.builds(lambda a, b, c: f"({a}) ? ({b}) : ({c})", parts, parts, parts),
        st.builds(lambda a, b, c: f"{a} ? {b} : {c}", parts, parts, parts),
    )


CONDITIONS = st.recursive(leaves(), _joined, max_leaves=8)
SCALARS: st.SearchStrategy[Any] = st.sampled_from(
    [
        None,
        True,
        False,
        0,
        1,
        -2,
        2**53 - 1,
        1.5,
        float("nan"),
        "",
        "a",
        "b",
        "A|| x",
        "12.30",
        "x@demo.example",
        "\u200ba",
    ]
)
NUMBERS, TEXTS = st.sampled_from([0, 1, 2, 4]), st.sampled_from(["a", "b", "A|| x", "x@demo.example"])
ANY_VALUE: st.SearchStrategy[Any] = st.one_of(
    SCALARS, st.lists(SCALARS, max_size=3), st.dictionaries(st.sampled_from(["a", "x"]), SCALARS, max_size=2)
)


@st.composite
def contexts(draw: st.DrawFn) -> dict[str, Any]:
    """The roots of a call; every field may be missing."""
    of_use = {"a": NUMBERS, "b": NUMBERS, "s": TEXTS, "l": st.lists(SCALARS, max_size=3), "m": st.just({"x": 1})}
    anything = dict.fromkeys(of_use, ANY_VALUE)
    params = draw(st.one_of(st.fixed_dictionaries(of_use), st.fixed_dictionaries({}, optional=anything)))
    user = draw(st.fixed_dictionaries({}, optional={"plan": SCALARS}))
    return {"params": params, "user": user}


def condition_of(text: str) -> str:
    """The text, if it is a condition at all."""
    try:
        kind = PROGRAM.engine.compile(text).expression.return_type().name()
    except CompileError:
        assume(False)
    assume(kind in ("BOOL", "DYN"))
    return text


def told(text: str, told_leaves: tuple[Leaf, ...]) -> str:
    """What the leaves add up to, by the logic of the condition alone: match, no match or error."""
    results = {(leaf.line, leaf.column): leaf.result for leaf in told_leaves}
    truth = _truth(text, source.cut(text), results)
    return {True: "match", False: "no match", None: "error"}[truth]


def _truth(text: str, node: source.Logic | source.Leaf, results: Mapping[tuple[int, int], str]) -> bool | None:
    if isinstance(node, source.Leaf):
        # A leaf that counts must have been explained: a missing one is a KeyError, hence a failure.
        return {"true": True, "false": False, "error": None}[results[source.line_and_column(text, node.start)]]
    if node.operator == "choice":
        first = _truth(text, node.parts[0], results)
        return None if first is None else _truth(text, node.parts[1 if first else 2], results)
    parts = [_truth(text, part, results) for part in node.parts]
    if node.operator == "not":
        return None if parts[0] is None else not parts[0]
    decisive = node.operator == "or"
    return decisive if decisive in parts else None if None in parts else not decisive


def explained(text: str, context: dict[str, Any]) -> tuple[Leaf, ...]:
    """The leaves, whatever the condition gives: `explain` is asked for matches and errors only, so ask for both sides."""
    from policy.explain import explain

    engine = PROGRAM.engine
    return explain(engine, text, activation=engine.activation(context), context=context)


@settings(max_examples=600, deadline=None)
@given(text=CONDITIONS, roots=contexts())
def test_what_is_explained_adds_up_to_what_was_decided(text: str, roots: dict[str, Any]) -> None:
    rule = a_rule(condition_of(text))
    context = context_of(a_call(roots["params"], user=roots["user"]))
    hit = Program(RuleSet((rule,), {})).test(rule, context)
    decided = hit.result if hit else "no match"
    found = hit.leaves if hit else explained(text, context)
    assert told(text, found) == decided
    assert all(leaf.sentence for leaf in found)
    if decided == "error":
        assert hit is not None
        assert hit.error
        assert any(leaf.result == "error" for leaf in found)


@settings(max_examples=200, deadline=None)
@given(texts=st.lists(CONDITIONS, min_size=2, max_size=6), roots=contexts())
def test_rules_asked_together_give_what_each_gives_alone(texts: list[str], roots: dict[str, Any]) -> None:
    rules = tuple(a_rule(condition_of(text), "deny", id=f"r{index}") for index, text in enumerate(texts))
    call = a_call(roots["params"], user=roots["user"])
    program = Program(RuleSet(rules, {"billing.refund": 0}))
    ruling = program.decide(call, ENFORCE)
    alone = [hit for rule in rules if (hit := program.test(rule, context_of(call)))]
    assert _results([*ruling.matched, *ruling.errors]) == _results(alone)
    if any(hit.result == "error" for hit in alone):
        assert ruling.effect != "allow"


def _results(hits: list[RuleHit]) -> dict[str, tuple[str, str | None, tuple[Leaf, ...]]]:
    # repr, since nan is not itself.
    return {hit.rule_id: (hit.result, hit.error, repr(hit.leaves)) for hit in hits}  # type: ignore[misc]


def test_a_rule_that_no_longer_compiles_keeps_its_place_among_those_asked_together() -> None:
    rules: list[Rule] = [
        a_rule("params.a == 1", id="a"),
        a_rule("params.to.map(x, x) == []", id="b"),
        a_rule("params.a == 2 // comment", id="c"),
        a_rule("params.a == 1 // )", id="d"),
    ]
    program = Program(RuleSet(tuple(rules), {"billing.refund": 0}))
    assert program.together("billing.refund") is not None
    ruling = program.decide(a_call({"a": 1}), ENFORCE)
    assert [hit.rule_id for hit in ruling.matched] == ["a", "d"]
    assert [hit.rule_id for hit in ruling.errors] == ["b"]


def test_a_deep_rule_is_asked_alone() -> None:
    deep = "(" * 31 + "params.a == 1" + ")" * 31
    program = Program(RuleSet((a_rule(deep, id="a"), a_rule("params.a == 1", id="b")), {"billing.refund": 0}))
    assert program.broken == {}
    ruling = program.decide(a_call({"a": 1}), ENFORCE)
    assert [hit.rule_id for hit in ruling.matched] == ["a", "b"]


def test_many_long_rules_are_asked_one_by_one() -> None:
    long = " || ".join(f"params.a == {index}" for index in range(200))
    rules = tuple(
        a_rule(long.replace("params.a == 7 ", f"params.a == {1000 + index} "), id=f"r{index}") for index in range(50)
    )
    program = Program(RuleSet(rules, {"billing.refund": 0}))
    assert program.together("billing.refund") is None
    ruling = program.decide(a_call({"a": 1007}), ENFORCE)
    assert [hit.rule_id for hit in ruling.matched] == ["r7"]
