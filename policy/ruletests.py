"""The tests attached to a rule: run in the editor and at every publish. Pure."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Final

from policy.evaluate import Call, Program, Rule, context_of

EXPECTATIONS: Final = ("match", "no match", "error")
MAX_TESTS: Final = 50
_ROOTS: Final = ("params", "user", "agent", "run", "tool", "request", "stats")
_NOW: Final = datetime(2026, 1, 5, 12, tzinfo=UTC)


class BadTest(ValueError):
    """A test that is not in the form this page describes; the message is for the author."""


@dataclass(frozen=True)
class TestResult:
    """One test: what it expected and what came."""

    __test__ = False  # not a test of pytest's

    name: str
    expected: str
    actual: str

    @property
    def passed(self) -> bool:
        """Whether it came as expected."""
        return self.expected == self.actual


def checked_tests(tests: object) -> list[dict[str, object]]:
    """The tests, in form. Raises BadTest: a list of {name, context, expect}, names unique, 50 at most."""
    if not isinstance(tests, list) or len(tests) > MAX_TESTS:
        raise BadTest(f"Write a list of at most {MAX_TESTS} tests.")
    names = set()
    for test in tests:
        if not isinstance(test, dict) or set(test) != {"name", "context", "expect"}:
            raise BadTest('Each test has "name", "context" and "expect".')
        name, context = test["name"], test["context"]
        if not isinstance(name, str) or not name or name in names:
            raise BadTest("Each test has a name of its own.")
        names.add(name)
        if test["expect"] not in EXPECTATIONS:
            raise BadTest(f"Test {name}: expect is match, no match or error.")
        if not isinstance(context, dict) or not set(context) <= {*_ROOTS, "action_id", "now"}:
            raise BadTest(f"Test {name}: context holds {', '.join(_ROOTS)}, action_id, now.")
        for root in _ROOTS:
            if not isinstance(context.get(root, {}), dict):
                raise BadTest(f"Test {name}: {root} is an object.")
        _moment(name, context)
    return tests


def _moment(name: str, context: Mapping[str, object]) -> datetime:
    text = context.get("now")
    if text is None:
        return _NOW
    try:
        moment = datetime.fromisoformat(str(text))
    except ValueError:
        raise BadTest(f"Test {name}: now is a time such as 2026-01-05T12:00:00Z.") from None
    if moment.tzinfo is None:
        raise BadTest(f"Test {name}: now needs a zone, such as 2026-01-05T12:00:00Z.")
    return moment


def run_tests(program: Program, rule: Rule) -> list[TestResult]:
    """Every test of the rule, run on the program that compiled it."""
    results = []
    for test in rule.tests:
        name, context = str(test["name"]), test["context"]
        assert isinstance(context, Mapping)
        roots = {root: dict(found) for root in _ROOTS if isinstance(found := context.get(root, {}), Mapping)}
        action_id = str(context.get("action_id", rule.actions[0].replace("*", "x").replace("?", "x")))
        call = Call(action_id=action_id, now=_moment(name, context), subject="", **roots)
        hit = program.test(rule, context_of(call))
        results.append(TestResult(name, str(test["expect"]), hit.result if hit else "no match"))
    return results


def lacks_tests(rule: Rule) -> bool:
    """Whether a deny rule is without a matching or without a non-matching test."""
    expected = {test["expect"] for test in rule.tests}
    return rule.effect == "deny" and not {"match", "no match"} <= expected
