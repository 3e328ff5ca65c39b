"""A rule's condition in the card's words: its own label and "USD 4,700.00", where policy knows minor units only. Pure."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Final

from audit.pointer import token
from policy.explain import relation_words
from policy.moneywords import is_whole
from policy.source import Leaf, call_of, cut, relation_of
from reviews.cards.reading import fact_with
from reviews.cards.types import CardInput, Condition, Fact, Known

_PARAMS: Final = "params."
# Calls that change how a value is compared, not what it is.
_TRANSPARENT: Final = frozenset({"num", "int", "double"})


def told(condition: Condition, *, call: CardInput, known: Known, facts: Mapping[str, Fact]) -> str:
    """The condition as a sentence, in label and values of the template's fact where it compares one with a number.

    So is `has` of one; `facts` are the template's, by pointer. Anything else keeps policy's own sentence.
    """
    leaf = cut(condition.source) if condition.source else None
    if not isinstance(leaf, Leaf) or condition.result not in ("true", "false"):
        return condition.sentence
    holds = condition.result == "true"
    given = _given(leaf, facts)
    if given is not None:
        return f"{given.label} is {'given' if holds else 'missing'}"
    relation = relation_of(leaf)
    fact = facts.get(_pointer(relation.left)) if relation else None
    if relation is None or fact is None or fact.is_default or not is_whole(relation.right):
        return condition.sentence
    limit = fact_with(call, known, fact.pointer, int(relation.right))
    if limit is None or not (limit.inspected and fact.inspected) or fact.is_hidden or fact.children:
        return condition.sentence
    words = relation_words(relation.operator, holds=holds)
    if fact.text == limit.text:
        return f"{fact.label} {words} {limit.text}" if words == "is" else condition.sentence
    return f"{fact.label} {fact.text} {words} {limit.text}"


def _given(leaf: Leaf, facts: Mapping[str, Fact]) -> Fact | None:
    """The fact of `has(params.x)`."""
    call = call_of(leaf)
    if call is None or call.target is not None or call.function != "has" or len(call.arguments) != 1:
        return None
    return facts.get(_pointer(call.arguments[0]))


def _pointer(text: str) -> str:
    """`params.order.amount` as the pointer `/order/amount`; empty for anything that is not one plain path."""
    leaf = cut(text)
    call = call_of(leaf) if isinstance(leaf, Leaf) else None
    if call and call.target is None and call.function in _TRANSPARENT and len(call.arguments) == 1:
        return _pointer(call.arguments[0])
    steps = text.removeprefix(_PARAMS).split(".")
    if not text.startswith(_PARAMS) or not all(step.isidentifier() for step in steps):
        return ""
    return "".join(f"/{token(step)}" for step in steps)
