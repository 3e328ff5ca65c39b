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
    path = _path(relation.left) if relation else ""
    if relation is None or _pointer(path) not in facts or path not in condition.values or not is_whole(relation.right):
        return condition.sentence
    # What was asked, which an amendment on the card may have changed since.
    fact = fact_with(call, known, _pointer(path), condition.values[path])
    limit = fact_with(call, known, _pointer(path), int(relation.right))
    if fact is None or limit is None or not (limit.inspected and fact.inspected) or fact.is_hidden or fact.children:
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
    return facts.get(_pointer(_path(call.arguments[0])))


def _path(text: str) -> str:
    """The one plain path in a piece of a condition, such as `params.order.amount`; empty for anything else."""
    leaf = cut(text)
    call = call_of(leaf) if isinstance(leaf, Leaf) else None
    if call and call.target is None and call.function in _TRANSPARENT and len(call.arguments) == 1:
        return _path(call.arguments[0])
    steps = text.removeprefix(_PARAMS).split(".")
    return text if text.startswith(_PARAMS) and all(step.isidentifier() for step in steps) else ""


def _pointer(path: str) -> str:
    """`params.order.amount` as the pointer `/order/amount`; empty for no path."""
    return "".join(f"/{token(step)}" for step in path.removeprefix(_PARAMS).split(".")) if path else ""
