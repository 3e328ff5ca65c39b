"""Why a rule matched or failed: each leaf of its condition with the values it read, and a plain sentence.

Source: the policy design, section 11. Leaves are evaluated alone, as cut by `source`; a branch of `? :` that was not
taken is left out. Sentences hold text that callers wrote: shortened, hidden characters spelled out, never markup.
"""

from __future__ import annotations

import json
import re
import unicodedata
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Final, Literal

from cel_expr_python import cel

from policy import moneywords
from policy.cel import ROOTS, CompileError, Engine, Outcome
from policy.money import EXPONENTS
from policy.source import Call, Logic, Relation, call_of, cut, line_and_column, paths_of, relation_of, tokens_of
from policy.source import Leaf as SourceLeaf

LeafResult = Literal["true", "false", "error"]

_ROOT_NAMES: Final = frozenset(ROOTS)
_LONGEST_TEXT: Final = 80
_LONGEST_VALUE: Final = 200
_MOST_ITEMS: Final = 20

# operator: (when it holds, when it does not)
_RELATIONS: Final[Mapping[str, tuple[str, str]]] = {
    ">": ("is above", "is not above"),
    ">=": ("is at least", "is below"),
    "<": ("is below", "is not below"),
    "<=": ("is at most", "is above"),
    "==": ("is", "is not"),
    "!=": ("is not", "is"),
    "in": ("is one of", "is not one of"),
}
_MIRRORED: Final = {">": "<", ">=": "<=", "<": ">", "<=": ">=", "==": "==", "!=": "!="}
_MEMBERS: Final[Mapping[str, tuple[str, str]]] = {
    "contains": ("contains", "does not contain"),
    "icontains": ("contains", "does not contain"),
    "startsWith": ("starts with", "does not start with"),
    "endsWith": ("ends with", "does not end with"),
    "glob": ("fits", "does not fit"),
    "regex": ("matches", "does not match"),
}
_EMPTY_TEXTS: Final = frozenset(("''", '""'))
_LOOPS: Final = frozenset({"exists", "all", "exists_one"})
_DESCRIBED: Final[Mapping[str, str]] = {"size": "size", "domain_of": "domain", "host_of": "host"}
_IT: Final = "it"
# Names of fields that would read as part of the sentence.
_SMALL_WORDS: Final = frozenset(
    ("to", "from", "by", "of", "in", "on", "at", "for", "with", "as", "is", "not", "and", "or", "all")
)
# What the builder writes for "contains one of the words"; no word of it holds a bracket that is not escaped.
_WORDS: Final = re.compile(r"""r(['"])\(\?i\)\\b\(\?:((?:[^()\\]|\\.)*)\)\\b\1""")


@dataclass(frozen=True)
class Leaf:
    """One test inside a condition, evaluated alone.

    `line` and `column` count from 1; `values` maps the paths it read to (shortened) JSON values; absent paths are
    not in it.
    """

    line: int
    column: int
    text: str
    values: Mapping[str, object]
    result: LeafResult
    sentence: str


def explain(
    engine: Engine, text: str, *, activation: cel.Activation, context: Mapping[str, object]
) -> tuple[Leaf, ...]:
    """Every leaf of the condition that counted for this call, in the order of the source."""
    return tuple(_explain(engine, text, cut(text), activation, context))


def plain_error(leaves: tuple[Leaf, ...], raw: str) -> str:
    """Why a condition failed, in words: its first failing leaf, else the engine's error in plain words."""
    return next((leaf.sentence for leaf in leaves if leaf.result == "error"), None) or _in_words(raw)


def reads_as(text: str) -> str:
    """The condition in words, without values: "params.amount_cents is above 50000"."""
    return _reads(cut(text), truth=True)


def relation_words(operator: str, *, holds: bool) -> str:
    """`is above` for `>` that holds; what stands between the two values in a sentence."""
    return _RELATIONS[operator][0 if holds else 1]


def _explain(
    engine: Engine, text: str, node: Logic | SourceLeaf, activation: cel.Activation, context: Mapping[str, object]
) -> Iterator[Leaf]:
    if isinstance(node, Logic) and node.operator == "choice":
        condition, then, otherwise = node.parts
        found = list(_explain(engine, text, condition, activation, context))
        yield from found
        taken = _truth(engine, text, condition, activation)
        if taken is not None:
            yield from _explain(engine, text, then if taken else otherwise, activation, context)
    elif isinstance(node, Logic):
        for part in node.parts:
            yield from _explain(engine, text, part, activation, context)
    else:
        outcome = _value(engine, node.text, activation)
        result: LeafResult = "error"
        if outcome.value is True or outcome.value is False:
            result = "true" if outcome.value else "false"
        line, column = line_and_column(text, node.start)
        paths = paths_of(node.tokens, _ROOT_NAMES)
        values = {".".join(path): _short_value(value) for path in paths for value in _look_up(context, path)}
        sentence = _Sentence(engine, activation, context).of(node, result, outcome)
        yield Leaf(line, column, node.text, values, result, sentence)


def _truth(engine: Engine, text: str, node: Logic | SourceLeaf, activation: cel.Activation) -> bool | None:
    """The truth of a condition part, by its own source text; None for an error."""
    if isinstance(node, SourceLeaf):
        value = _value(engine, node.text, activation).value
        return value if isinstance(value, bool) else None
    truths = [_truth(engine, text, part, activation) for part in node.parts]
    if node.operator == "not":
        return None if truths[0] is None else not truths[0]
    if node.operator == "choice":
        return None if truths[0] is None else truths[1] if truths[0] else truths[2]
    decisive = node.operator == "or"
    if decisive in truths:
        return decisive
    return None if None in truths else not decisive


def _value(engine: Engine, text: str, activation: cel.Activation) -> Outcome:
    try:
        return engine.run(engine.compile(text), activation)
    except CompileError as error:
        return Outcome(error=str(error))


def _look_up(context: Mapping[str, object], path: tuple[str, ...]) -> tuple[object, ...]:
    """The value at a path as a one-item tuple; empty when a step is missing."""
    value: object = context
    for step in path:
        if not isinstance(value, Mapping) or step not in value:
            return ()
        value = value[step]
    return (value,)


def _first_missing(context: Mapping[str, object], path: tuple[str, ...]) -> tuple[str, ...] | None:
    for length in range(1, len(path) + 1):
        if not _look_up(context, path[:length]):
            return path[:length]
    return None


@dataclass(frozen=True)
class _Sentence:
    """Writes the sentence of one leaf; needs the engine to show what `minor(…)` or `size(…)` gave."""

    engine: Engine
    activation: cel.Activation
    context: Mapping[str, object]

    def of(self, leaf: SourceLeaf, result: LeafResult, outcome: Outcome) -> str:
        if result == "error":
            return self._error(leaf, outcome)
        truth = result == "true"
        call = call_of(leaf)
        if call and call.function in _LOOPS and call.target and len(call.arguments) == 2:
            return self._loop(call, truth)
        relation = relation_of(leaf)
        if relation:
            return self._relation(relation, truth)
        if call and call.target and call.function in _MEMBERS and len(call.arguments) == 1:
            return self._with_value(call.target, _member_phrase(call, truth))
        if call and call.function == "in_list" and len(call.arguments) == 2:
            return self._with_value(call.arguments[0], _list_phrase(call, truth))
        return _phrase(leaf, truth)

    def _with_value(self, text: str, rest: str) -> str:
        shown, label = self._shown(text), label_of(text)
        if not shown or _is_literal(text):
            return f"{label} {rest}"
        if not _is_described(text):
            return f"{label} {shown} {rest}"
        # "the domain of x y is not z" would be hard to read aloud.
        return f"{label} is {shown}, {rest.removeprefix('is ')}"

    def _shown(self, text: str) -> str:
        outcome = _value(self.engine, text, self.activation)
        return "" if outcome.error is not None else show(outcome.value)

    def _relation(self, relation: Relation, truth: bool) -> str:
        left, operator, right = _mirrored(relation)
        if right in _EMPTY_TEXTS and operator in ("==", "!="):
            return self._with_value(left, _emptiness(operator, truth))
        words = relation_words(operator, holds=truth)
        money = self._money(left, right)
        if money:
            return f"{label_of(left)} {money[0]} {words} {money[1]}"
        right_label = self._shown(right) if _is_literal(right) else f"{label_of(right)} {self._shown(right)}"
        if operator in ("==", "!=") and (operator == "==") == truth:
            # They are equal: saying the value once is enough.
            return f"{label_of(left)} {words} {right_label}"
        return self._with_value(left, f"{words} {right_label}")

    def _money(self, left: str, right: str) -> tuple[str, str] | None:
        """Both sides as money, where the condition says which currency its minor units are of."""
        currency = moneywords.currency_text(left, right)
        if currency is None or not (moneywords.limits_of(right) or moneywords.is_whole(right)):
            return None
        code, have, limit = (_value(self.engine, text, self.activation).value for text in (currency, left, right))
        if not isinstance(code, str) or not isinstance(have, int) or not isinstance(limit, int):
            return None
        return moneywords.money_text(code, have), moneywords.money_text(code, limit)

    def _loop(self, call: Call, truth: bool) -> str:
        variable, predicate = call.arguments
        every = _value(self.engine, call.target or "", self.activation).value
        wanted = f"!({predicate})" if call.function == "all" else predicate
        found = _value(self.engine, f"{call.target}.filter({variable}, {wanted})", self.activation).value
        label, test = label_of(call.target or ""), _reads(cut(_its(predicate, variable)), truth=call.function != "all")
        if not isinstance(every, (list, dict)) or not isinstance(found, list):
            return f"{label}: {_phrase_of_text(call, truth)}"
        if not found:
            return f"none of the {len(every)} in {label} has: {test}"
        examples = ", ".join(show(item) for item in found[:3]) + (", …" if len(found) > 3 else "")
        return f"{len(found)} of {len(every)} in {label} ({examples}): {test}"

    def _error(self, leaf: SourceLeaf, outcome: Outcome) -> str:
        if outcome.error is None:
            return f"{leaf.text} is {show(outcome.value)}, neither true nor false"
        paths = paths_of(leaf.tokens, _ROOT_NAMES)
        for path in paths:
            missing = _first_missing(self.context, path)
            if missing:
                return f"{label_of('.'.join(missing))} is missing"
        for path in paths:
            if _look_up(self.context, path) == (None,):
                return f"{label_of('.'.join(path))} is null"
        words = _in_words(outcome.error)
        first = next((path for path in paths if len(path) > 1), None)
        if first is None:
            return words
        shown = show(_look_up(self.context, first)[0])
        return f"{label_of('.'.join(first))} {shown}: {words}"


def _in_words(raw: str) -> str:
    """The engine's error in plain words; host functions already speak plainly."""
    text = raw.split("[", 1)[0].strip() if raw.endswith("]") else raw
    code, _, detail = text.partition(": ")
    if not code.isupper():
        code, detail = "", text
    if code == "NOT_FOUND" and "Key not found" in detail:
        return f"{detail.rpartition(':')[2].strip().strip(chr(34))} is missing"
    if "No matching overloads" in detail or "Applying SELECT" in detail:
        return "a value has another type than the rule expects"
    if "Iteration budget" in detail:
        return "the rule needs too many steps for this call"
    if "overflow" in detail or "out of range" in detail:
        return "a number is too large"
    if "divide by zero" in detail or "modulus by zero" in detail:
        return "a number is divided by zero"
    return detail or "the rule could not be evaluated"


def _is_literal(text: str) -> bool:
    tokens = tokens_of(text)
    return not any(token.kind == "name" and token.text not in ("true", "false", "null") for token in tokens)


def _mirrored(relation: Relation) -> tuple[str, str, str]:
    """The relation with its literal on the right: `5 < x` reads as `x > 5`."""
    if _is_literal(relation.left) and not _is_literal(relation.right) and relation.operator in _MIRRORED:
        return relation.right, _MIRRORED[relation.operator], relation.left
    return relation.left, relation.operator, relation.right


def label_of(text: str) -> str:
    """What a piece of a condition is called in a sentence: `params.amount_cents` is "amount_cents"."""
    leaf = SourceLeaf(text, 0, tuple(tokens_of(text)))
    call = call_of(leaf)
    if call and call.target is None and call.arguments:
        inner = label_of(call.arguments[0])
        if call.function in ("num", "minor", "int", "double", "string", "timestamp"):
            return inner
        if call.function in _DESCRIBED:
            return _described(_DESCRIBED[call.function], inner)
    if call and call.function == "size" and call.target and not call.arguments:
        return _described("size", label_of(call.target))
    name = text.removeprefix("params.")
    return f"\u2018{name}\u2019" if name in _SMALL_WORDS else name


def _described(noun: str, owner: str) -> str:
    return f"its {noun}" if owner == _IT else f"the {noun} of {owner}"


def _is_described(text: str) -> bool:
    """Whether the label of this text is a description such as "the domain of x", not a name."""
    return label_of(text).startswith(("the ", "its "))


def _its(predicate: str, variable: str) -> str:
    """The test inside a loop with `it` for the item, as a sentence speaks of it."""
    found, at = [], 0
    tokens = tokens_of(predicate)
    for index, token in enumerate(tokens):
        if token.kind == "name" and token.text == variable and (not index or tokens[index - 1].text != "."):
            found += [predicate[at : token.start], _IT]
            at = token.end
    return "".join([*found, predicate[at:]])


def _literal_words(text: str) -> str:
    """A literal or a path as it is read aloud; strings keep their quotes."""
    if not _is_literal(text):
        return label_of(text)
    tokens = tokens_of(text)
    if len(tokens) == 1 and tokens[0].kind == "string" and tokens[0].text[0] == "'":
        return '"' + tokens[0].text[1:-1] + '"'
    return text


def _member_phrase(call: Call, truth: bool) -> str:
    words = _WORDS.fullmatch(call.arguments[0]) if call.function == "regex" else None
    if words:
        one = "contains one of the words" if truth else "contains none of the words"
        return f"{one} {', '.join(words[2].replace(chr(92), '').split('|'))}"
    return f"{_MEMBERS[call.function][0 if truth else 1]} {_literal_words(call.arguments[0])}"


def _right_words(left: str, right: str) -> str:
    """The right side without values; minor units as money."""
    limits = moneywords.limits_of(right)
    if limits:
        return moneywords.limits_text(limits[0])
    code = (moneywords.currency_text(left, right) or "").strip("'\"")
    if code in EXPONENTS and moneywords.is_whole(right):
        return moneywords.money_text(code, int(right))
    return _literal_words(right)


def _list_phrase(call: Call, truth: bool) -> str:
    name = call.arguments[1].strip("'\"")
    return f"is in the list {name}" if truth else f"is not in the list {name}"


def _calendar_phrase(call: Call, truth: bool) -> str:
    name = call.arguments[1].strip("'\"")
    return f"{label_of(call.arguments[0])} is {'within' if truth else 'outside'} {name}"


def _phrase_of_text(call: Call, truth: bool) -> str:
    variable, predicate = call.arguments
    quantity = {"exists": "at least one", "all": "every one", "exists_one": "exactly one"}[call.function]
    words = f"{quantity}: {_reads(cut(_its(predicate, variable)), truth=True)}"
    return words if truth else f"not {words}"


def _emptiness(operator: str, truth: bool) -> str:
    return "is empty" if (operator == "==") == truth else "is not empty"


def _phrase(leaf: SourceLeaf, truth: bool) -> str:
    """The leaf in words, without values."""
    call = call_of(leaf)
    if call and call.function == "has" and len(call.arguments) == 1:
        return f"{label_of(call.arguments[0])} is {'given' if truth else 'missing'}"
    if call and call.target and call.function in _LOOPS and len(call.arguments) == 2:
        return f"in {label_of(call.target)}, {_phrase_of_text(call, truth)}"
    relation = relation_of(leaf)
    if relation:
        left, operator, right = _mirrored(relation)
        if right in _EMPTY_TEXTS and operator in ("==", "!="):
            return f"{label_of(left)} {_emptiness(operator, truth)}"
        return f"{label_of(left)} {relation_words(operator, holds=truth)} {_right_words(left, right)}"
    if call and call.target and call.function in _MEMBERS and len(call.arguments) == 1:
        return f"{label_of(call.target)} {_member_phrase(call, truth)}"
    if call and call.function == "in_list" and len(call.arguments) == 2:
        return f"{label_of(call.arguments[0])} {_list_phrase(call, truth)}"
    if call and call.function == "within" and len(call.arguments) == 2:
        return _calendar_phrase(call, truth)
    if leaf.text in ("true", "false"):
        return "always" if (leaf.text == "true") == truth else "never"
    return f"{label_of(leaf.text)} is {'true' if truth else 'false'}"


def _reads(node: Logic | SourceLeaf, *, truth: bool) -> str:
    if isinstance(node, SourceLeaf):
        return _phrase(node, truth)
    if node.operator == "not":
        return _reads(node.parts[0], truth=not truth)
    if node.operator == "choice":
        condition, then, otherwise = (_reads(part, truth=True) for part in node.parts)
        words = f"if {condition} then {then} else {otherwise}"
        return words if truth else f"not ({words})"
    # Not (a and b) is (not a) or (not b).
    word = node.operator if truth else {"and": "or", "or": "and"}[node.operator]
    parts = []
    for part in node.parts:
        inner = _reads(part, truth=truth)
        parts.append(f"({inner})" if isinstance(part, Logic) and part.operator != "not" else inner)
    return f" {word} ".join(parts)


def show(value: object) -> str:
    """A value inside a sentence: text in quotes, shortened, hidden characters spelled out."""
    if isinstance(value, str):
        cut_text = value if len(value) <= _LONGEST_TEXT else value[: _LONGEST_TEXT - 1] + "…"
        return json.dumps("".join(map(_reveal, cut_text)), ensure_ascii=False).replace("\\\\u", "\\u")
    if isinstance(value, float):
        return str(int(value)) if value.is_integer() and abs(value) < 2**53 else repr(value)
    if isinstance(value, (list, tuple)):
        items = ", ".join(show(item) for item in value[:5]) + (", …" if len(value) > 5 else "")
        return f"[{items}]"
    if isinstance(value, Mapping):
        return f"{{{len(value)} fields}}"
    return json.dumps(value) if value is None or isinstance(value, (bool, int)) else str(value)


def _reveal(char: str) -> str:
    if unicodedata.category(char) in ("Cf", "Cc", "Co", "Cs", "Zl", "Zp"):
        return f"\\u{ord(char):04x}"
    return char


def _short_value(value: object) -> object:
    """A JSON value that an entry can carry: long text and lists are shortened, the rest stays."""
    if isinstance(value, str):
        return value if len(value) <= _LONGEST_VALUE else value[: _LONGEST_VALUE - 1] + "…"
    if isinstance(value, (list, tuple)):
        return [_short_value(item) for item in value[:_MOST_ITEMS]]
    if isinstance(value, Mapping):
        return {key: _short_value(value[key]) for key in list(value)[:_MOST_ITEMS]}
    if value is None or isinstance(value, (bool, int, float)):
        return value
    return str(value)
