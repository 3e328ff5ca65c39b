"""Every mistake in a condition, found before it is saved: line, column and a plain sentence each.

Source: the policy design, section 4. Errors refuse the save, warnings inform. `N_` marks messages for translation;
they are formatted after it.
"""

from __future__ import annotations

import difflib
from collections.abc import Iterable, Iterator, Mapping, Sequence
from typing import Final

from policy import functions, guards, probe, tree
from policy.cel import FIXED_FIELDS, MAX_CONDITION_CHARACTERS, ROOTS, Compiled, CompileError, Engine
from policy.findings import (
    ALL_OF_NONE,
    COUNTS_ITSELF,
    EMPTY,
    IN_MAYBE_TEXT,
    IN_TEXT,
    LITERAL_CALENDAR,
    LITERAL_INDEX,
    LITERAL_LIST,
    LITERAL_PATTERN,
    LOOP_IN_LOOP,
    LOOP_SHADOWS,
    NO_SUCH_PARAM,
    NO_SUCH_PARAM_MEANT,
    NOT_A_NUMBER,
    NOT_BOOLEAN,
    REGEX_BACKSPACE,
    REGEX_BAD,
    REGEX_IN_LOOP,
    REGEX_MANY,
    REGEX_REPEATS,
    TOO_LONG,
    TOO_SLOW,
    UNGUARDED,
    UNKNOWN_CALENDAR,
    UNKNOWN_CALENDAR_MEANT,
    UNKNOWN_COUNTER,
    UNKNOWN_COUNTER_MEANT,
    UNKNOWN_CURRENCY,
    UNKNOWN_FIELD,
    UNKNOWN_FIELD_MEANT,
    UNKNOWN_LIST,
    UNKNOWN_LIST_MEANT,
    Finding,
)
from policy.money import EXPONENTS
from policy.source import line_and_column
from policy.translate import translate

MAX_REGEXES: Final = 3


def check(
    text: str,
    *,
    engine: Engine,
    effect: str = "review",
    schemas: Sequence[Mapping[str, object]] = (),
    probe_cost: bool = True,
) -> list[Finding]:
    """All findings on a condition, in the order of the source; none is an error when it may be saved.

    `schemas` are the known JSON Schemas of `params`, one for each action in scope that has one.
    """
    if not text.strip():
        return [Finding(1, 1, "empty", EMPTY)]
    if len(text) > MAX_CONDITION_CHARACTERS:
        return [Finding(1, 1, "too_long", TOO_LONG.format(most=MAX_CONDITION_CHARACTERS))]
    try:
        compiled = engine.compile(text)
    except CompileError as error:
        return translate(text, str(error))
    kind = compiled.expression.return_type().name()
    if kind not in ("BOOL", "DYN"):
        return [Finding(1, 1, "not_boolean", NOT_BOOLEAN.format(kind=kind.lower()))]
    found = tree.read_tree(compiled.expression.serialize())
    walker = _Walker(text, found, engine)
    findings = [*walker.refusals(), *walker.habits(effect, schemas), *walker.unguarded(effect, schemas)]
    if probe_cost and not any(finding.severity == "error" for finding in findings):
        findings.extend(_cost(engine, compiled, found))
    return sorted(findings, key=lambda finding: (finding.line, finding.column, finding.code))


def check_amount(text: str, *, engine: Engine) -> list[Finding]:
    """All findings on what a counter adds for a call: a whole number by type, or one that only a call can tell."""
    if not text.strip() or len(text) > MAX_CONDITION_CHARACTERS:
        return [Finding(1, 1, "empty", EMPTY)]
    try:
        compiled = engine.compile(text)
    except CompileError as error:
        return translate(text, str(error))
    kind = compiled.expression.return_type().name()
    if kind not in ("INT", "DYN"):
        return [Finding(1, 1, "not_a_number", NOT_A_NUMBER.format(kind=kind.lower()))]
    found = tree.read_tree(compiled.expression.serialize())
    findings = list(_Walker(text, found, engine).refusals())
    if any(isinstance(node, tree.Ident) and node.name == "stats" for node, _ in tree.walk(found.root)):
        findings.append(Finding(1, 1, "counts_itself", COUNTS_ITSELF))
    if not findings:
        findings.extend(_cost(engine, compiled, found))
    return findings


def errors_in(findings: Iterable[Finding]) -> list[Finding]:
    """Those that refuse."""
    return [finding for finding in findings if finding.severity == "error"]


# What the library accepts and the profile does not.


class _Walker:
    """Walks one checked tree."""

    def __init__(self, text: str, found: tree.Tree, engine: Engine) -> None:
        self.text = text
        self.root = found.root
        self.positions = found.positions
        self.engine = engine

    def _at(self, node: tree.Node, name: str = "") -> tuple[int, int]:
        """Line and column of a node; of its function's name when given, as the tree points at the bracket."""
        offset = self.positions.get(node.id, 0)
        if name:
            start = self.text.rfind(name, 0, offset + 1)
            offset = start if start >= 0 else offset
        return line_and_column(self.text, offset)

    def _find(self, node: tree.Node, code: str, sentence: str, name: str = "", **values: object) -> Finding:
        return Finding(*self._at(node, name), code, sentence.format(name=name, **values))

    def refusals(self) -> Iterator[Finding]:
        """What the profile refuses."""
        regexes = repeats = 0
        for node, loops in tree.walk(self.root):
            if isinstance(node, tree.Loop):
                if loops:
                    yield self._find(node, "loop_in_loop", LOOP_IN_LOOP)
                if node.variable in ROOTS:
                    yield Finding(*self._at(node), "loop_shadows", LOOP_SHADOWS.format(name=node.variable))
            elif isinstance(node, tree.Select):
                yield from self._field(node.operand, node.field)
            elif isinstance(node, tree.Invoke):
                if node.function == "_[_]" and isinstance(node.arguments[0], tree.Ident):
                    yield from self._index(node, node.arguments[0])
                elif node.function in ("regex", "glob"):
                    pattern = node.arguments[0]
                    if not isinstance(pattern, tree.Const) or not isinstance(pattern.value, str):
                        yield self._find(node, "literal_pattern", LITERAL_PATTERN, name=node.function)
                        continue
                    if node.function == "glob":
                        continue
                    regexes += 1
                    if "\b" in pattern.value:
                        yield self._find(node, "regex_backspace", REGEX_BACKSPACE, name="regex")
                    repeats += functions.counted_repetition(pattern.value)
                    if loops:
                        yield self._find(node, "regex_in_loop", REGEX_IN_LOOP, name="regex")
                    if regexes == MAX_REGEXES + 1:
                        yield self._find(node, "regex_many", REGEX_MANY, name="regex", most=MAX_REGEXES)
                    if repeats > functions.MAX_REPETITION:
                        most = functions.MAX_REPETITION
                        yield self._find(node, "regex_repeats", REGEX_REPEATS, name="regex", most=most)
                        continue
                    try:
                        functions.regex_pattern(pattern.value)
                    except ValueError as error:
                        yield self._find(node, "regex_bad", REGEX_BAD, name="regex", detail=error)
                elif node.function in ("in_list", "within", "minor"):
                    yield from self._named(node)

    def _field(self, operand: tree.Node, field: str) -> Iterator[Finding]:
        if not isinstance(operand, tree.Ident):
            return
        root = operand.name
        if root in FIXED_FIELDS and field not in FIXED_FIELDS[root]:
            meant = difflib.get_close_matches(field, FIXED_FIELDS[root], 1, 0.6)
            sentence = UNKNOWN_FIELD_MEANT if meant else UNKNOWN_FIELD
            values = {"root": root, "field": field, "meant": meant[0] if meant else ""}
            yield Finding(*self._at(operand), "unknown_field", sentence.format(**values))
        if root == "stats":
            yield from self._unknown(
                operand, field, self.engine.counters, "unknown_counter", UNKNOWN_COUNTER, UNKNOWN_COUNTER_MEANT
            )

    def _index(self, node: tree.Invoke, root: tree.Ident) -> Iterator[Finding]:
        index = node.arguments[1]
        if root.name not in ROOTS:
            return
        if isinstance(index, tree.Const) and isinstance(index.value, str):
            yield from self._field(root, index.value)
        else:
            yield Finding(*self._at(root), "literal_index", LITERAL_INDEX.format(root=root.name))

    def _named(self, node: tree.Invoke) -> Iterator[Finding]:
        name = node.arguments[1]
        literal = name.value if isinstance(name, tree.Const) and isinstance(name.value, str) else None
        if node.function == "minor":
            if literal is not None and literal not in EXPONENTS:
                yield Finding(*self._at(name), "unknown_currency", UNKNOWN_CURRENCY.format(code=literal))
        elif node.function == "within":
            if literal is None:
                yield self._find(node, "literal_calendar", LITERAL_CALENDAR, name="within")
            else:
                yield from self._unknown(
                    name, literal, self.engine.calendars, "unknown_calendar", UNKNOWN_CALENDAR, UNKNOWN_CALENDAR_MEANT
                )
        elif literal is None:
            yield self._find(node, "literal_list", LITERAL_LIST, name="in_list")
        else:
            yield from self._unknown(name, literal, self.engine.lists, "unknown_list", UNKNOWN_LIST, UNKNOWN_LIST_MEANT)

    def _unknown(
        self, node: tree.Node, name: str, known: Iterable[str], code: str, sentence: str, sentence_meant: str
    ) -> Iterator[Finding]:
        """A finding when nothing of that name is defined, with the nearest that is."""
        names = sorted(known)
        if name not in names:
            meant = difflib.get_close_matches(name, names, 1, 0.6)
            words = (sentence_meant if meant else sentence).format(name=name, meant=meant[0] if meant else "")
            yield Finding(*self._at(node), code, words)

    def habits(self, effect: str, schemas: Sequence[Mapping[str, object]]) -> Iterator[Finding]:
        """What is allowed and seldom meant."""
        sized = {
            tree.path_of(node.target or node.arguments[0])
            for node, _ in tree.walk(self.root)
            if isinstance(node, tree.Invoke) and node.function == "size"
        }
        for node, _ in tree.walk(self.root):
            if isinstance(node, tree.Loop) and node.starts_true and effect == "allow":
                path = tree.path_of(node.source)
                if path and path not in sized:
                    sentence = ALL_OF_NONE.format(path=".".join(path))
                    yield Finding(*self._at(node), "all_of_none", sentence, "warning")
            if isinstance(node, tree.Invoke) and node.function == "@in":
                item, path = node.arguments[0], tree.path_of(node.arguments[1])
                if path and path[0] == "params" and isinstance(item, tree.Const) and isinstance(item.value, str):
                    kinds = {guards.type_at(schema, path[1:]) for schema in schemas} - {None}
                    if kinds <= {"string"}:
                        sentence = IN_TEXT if kinds else IN_MAYBE_TEXT
                        values = {"path": ".".join(path), "item": repr(item.value)}
                        yield Finding(*self._at(node), "in_text", sentence.format(**values), "warning")

    def unguarded(self, effect: str, schemas: Sequence[Mapping[str, object]]) -> Iterator[Finding]:
        """Reads of `params` that a known schema does not promise and no `has` guards."""
        if not schemas:
            return
        known = sorted({".".join(("params", *path)) for schema in schemas for path in guards.paths_in(schema)})
        for node, path in guards.unguarded_reads(self.root, schemas):
            name = ".".join(path)
            if not any(guards.may_have(schema, path[1:]) for schema in schemas):
                meant = difflib.get_close_matches(name, known, 1, 0.7)
                sentence = NO_SUCH_PARAM_MEANT if meant else NO_SUCH_PARAM
                values = {"path": name, "meant": meant[0] if meant else ""}
                yield Finding(*self._at(node), "no_such_param", sentence.format(**values), "warning")
                continue
            matches, does_not = f"!has({name}) || ({self.text})", f"has({name}) && ({self.text})"
            suggestions = (does_not, matches) if effect == "allow" else (matches, does_not)
            yield Finding(*self._at(node), "unguarded", UNGUARDED.format(path=name), "warning", suggestions)


def _cost(engine: Engine, compiled: Compiled, found: tree.Tree) -> Iterator[Finding]:
    milliseconds = probe.worst_milliseconds(engine, compiled, found.root)
    if milliseconds > probe.MOST_MILLISECONDS:
        yield Finding(1, 1, "too_slow", TOO_SLOW.format(milliseconds=round(milliseconds)))
