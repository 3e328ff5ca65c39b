"""What is wrong with a pack: read before it is shipped and before it is adopted. Pure."""

from __future__ import annotations

import re
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from datetime import date
from typing import Final

from policy import functions
from policy.cel import Engine
from policy.check import check
from policy.evaluate import Program
from policy.packs import CLASSES, NOTICE, Pack, PackAction
from policy.ruletests import BadTest, checked_tests, run_tests
from policy.terms import Rule, RuleSet

LEAST_RATIONALE: Final = 80
_VERSION: Final = re.compile(r"(0|[1-9][0-9]*)\.(0|[1-9][0-9]*)\.(0|[1-9][0-9]*)")
_SLUG: Final = re.compile(r"[a-z0-9][a-z0-9-]{0,59}")
_ACTION_ID: Final = re.compile(r"[A-Za-z0-9][A-Za-z0-9._:/-]*")
_URL: Final = re.compile(r"https://[^\s]+")
# Nobody reviewed it, and nothing in it makes anybody compliant.
_CLAIM: Final = re.compile(
    r"\b(?:legally (?:reviewed|approved|vetted|sound|safe)|(?:reviewed|approved|vetted) by (?:a |our |the )?"
    r"(?:counsel|lawyers?|attorneys?|legal)|legal (?:review|sign-off|approval) (?:done|complete|passed)"
    r"|(?:makes?|keeps?|ensures?|guarantees?) (?:you |that you are )?(?:compliant|compliance)|certified (?:by|for|to)"
    r"|(?:is|are|fully) compliant)\b",
    re.IGNORECASE,
)


@dataclass(frozen=True)
class Defect:
    """One thing that is wrong: where (an action, a rule or a file) and what."""

    where: str
    sentence: str

    def __str__(self) -> str:
        return f"{self.where}: {self.sentence}"


def lint(pack: Pack) -> list[Defect]:
    """Everything that is wrong with the pack; empty when it may be adopted."""
    return [*_about(pack), *_actions(pack), *_rules(pack)]


def _about(pack: Pack) -> Iterator[Defect]:
    if not _SLUG.fullmatch(pack.id):
        yield Defect("pack.yaml", "The id is small letters, digits and -.")
    if not _VERSION.fullmatch(pack.version):
        yield Defect("pack.yaml", "The version is such as 1.0.0.")
    if pack.legal_review != "none":
        yield Defect("pack.yaml", "legal_review is none: a pack claims no review.")
    if pack.notice != NOTICE:
        yield Defect("pack.yaml", f"The notice is exactly: {NOTICE}")
    for name, text in pack.texts.items():
        if f"# {NOTICE}" not in text.splitlines()[:3]:
            yield Defect(name, "The notice stands in a comment at the top.")
        claim = _CLAIM.search(" ".join(text.replace(NOTICE, "").replace("\n#", "\n").split()))
        if claim:
            yield Defect(name, f"It claims what a pack cannot: {claim.group()!r}.")


def _actions(pack: Pack) -> Iterator[Defect]:
    seen: set[str] = set()
    for action in pack.actions:
        if action.id in seen:
            yield Defect(action.id, "It is here twice.")
        seen.add(action.id)
        yield from (Defect(action.id, sentence) for sentence in _mistakes(action))
        rules = [rule for rule in pack.rules if any(functions.glob(action.id, glob) for glob in rule.actions)]
        if not rules:
            yield Defect(action.id, "No rule of the pack is about it.")
        if action.schema is not None and action.schema.get("type") != "object":
            yield Defect(action.id, "The schema is of an object.")


def _mistakes(action: PackAction) -> Iterator[str]:
    if not _ACTION_ID.fullmatch(action.id):
        yield "The id is letters, digits and . _ : / - only."
    if action.kind not in CLASSES:
        yield f"The class is one of {', '.join(CLASSES)}."
    if len(action.rationale.strip()) < LEAST_RATIONALE:
        yield f"The rationale says why, in {LEAST_RATIONALE} characters or more."
    if not action.sources:
        yield "It names no source."
    for source in action.sources:
        if not _URL.fullmatch(source.url):
            yield f"The source {source.title!r} has an https address."
    if action.external and action.tier_floor < 2:
        yield "What leaves the organisation has a tier floor of 2 at least."
    if not action.reversible and action.tier_floor < 2:
        yield "What cannot be reversed has a tier floor of 2 at least."
    if action.reversible and not action.undo:
        yield "It is reversible: say how it is undone."
    if not action.reversible and action.undo:
        yield "It is not reversible: there is nothing to say on undoing it."
    try:
        date.fromisoformat(action.date)
    except ValueError:
        yield "The date is such as 2026-11-21."


def _rules(pack: Pack) -> Iterator[Defect]:
    ids = [rule.id for rule in pack.rules]
    engine = Engine()
    for rule in pack.rules:
        if ids.count(rule.id) > 1:
            yield Defect(rule.id, "It is here twice.")
        if not _SLUG.fullmatch(rule.id):
            yield Defect(rule.id, "The id is small letters, digits and -.")
        for pattern in rule.actions:
            if not any(functions.glob(action.id, pattern) for action in pack.actions):
                yield Defect(rule.id, f"No action of the pack fits {pattern}.")
        schemas = [
            action.schema
            for action in pack.actions
            if action.schema is not None and any(functions.glob(action.id, pattern) for pattern in rule.actions)
        ]
        findings = check(rule.when, engine=engine, effect=rule.effect, schemas=schemas)
        yield from (Defect(rule.id, str(finding)) for finding in findings)
        if not any(finding.severity == "error" for finding in findings):
            yield from _tests(rule)


def _tests(rule: Rule) -> Iterator[Defect]:
    tests: Sequence[object] = list(rule.tests)
    try:
        checked_tests(tests)
    except BadTest as error:
        yield Defect(rule.id, str(error))
        return
    expected = {test["expect"] for test in rule.tests}
    wanted = {"match"} if rule.when == "true" else {"match", "no match"}
    if not wanted <= expected:
        yield Defect(rule.id, "It needs a test that matches and one that does not.")
    for result in run_tests(Program(RuleSet(rules=(rule,), actions={})), rule):
        if not result.passed:
            yield Defect(rule.id, f"Test {result.name}: expected {result.expected}, got {result.actual}.")
