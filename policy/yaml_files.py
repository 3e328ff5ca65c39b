"""Policy files against the world: what is wrong with one, the draft as a file, a file as the draft.

An import changes the draft alone, in one transaction, through the same write functions as the pages; what is published
stays in force. Source: the policy design, section 7.
"""

from __future__ import annotations

from collections import Counter as Tally
from collections.abc import Iterator
from dataclasses import dataclass
from uuid import UUID

from audit.errors import DomainError
from audit.scope import as_tenant
from policy import lists
from policy.acting import require
from policy.check import check, errors_in
from policy.counting import counter_mistakes
from policy.drafts import (
    delete_rule,
    draft_of,
    pure_rule,
    save_defaults,
    save_rule,
    scope_mistakes,
    suppression_mistakes,
)
from policy.errors import InvalidRule
from policy.evaluate import Program, RuleSet
from policy.functions import NamedList as ListIndex
from policy.models import Calendar, Counter, NamedList, PolicyState, Rule
from policy.revisions import MAX_RULES, UNTESTED
from policy.routing import routing_mistakes
from policy.ruletests import BadTest, checked_tests, lacks_tests, run_tests
from policy.terms import Rule as PureRule
from policy.yaml_format import BadFile, FileList, FileProblem, PolicyFile, read, write
from tenants.isolation import rows_of
from tenants.models import Member


class InvalidFile(DomainError):
    """A policy file that was not imported; `problems` says all that is wrong."""

    code = "invalid_policy_file"
    status = 422
    default_sentence = "This file was not imported. Nothing was changed."

    def __init__(self, problems: tuple[FileProblem, ...]) -> None:
        self.problems = problems
        super().__init__("\n".join([self.default_sentence, *map(str, problems)]))


@dataclass(frozen=True)
class Imported:
    """What an import did to the draft, by name."""

    saved: tuple[str, ...]
    deleted: tuple[str, ...]


def read_checked(text: str) -> PolicyFile:
    """The policy of a file that could be published as far as the file tells. Raises BadFile with every mistake."""
    policy = read(text)
    problems = sorted(problems_in(policy), key=lambda problem: (problem.line, problem.column))
    if problems:
        raise BadFile(problems)
    return policy


def problems_in(policy: PolicyFile) -> Iterator[FileProblem]:
    """Everything wrong with a file beyond its form: names, conditions, counters, tests. Needs no database."""
    for name, found in policy.lists.items():
        for sentence in lists.value_mistakes(found.kind, found.values):
            yield policy.problem(("lists", name, "entries"), sentence)
    if len(policy.rules) > MAX_RULES:
        yield policy.problem(("rules",), f"A revision holds at most {MAX_RULES} rules.")
        return
    program = Program(rule_set(policy))
    for index, counter in enumerate(policy.counters):
        for sentence in [*counter_mistakes(counter, engine=program.engine), *scope_mistakes(counter.actions)]:
            yield policy.problem(("counters", index), sentence)
    if len(policy.counters) > lists.MAX_COUNTERS:
        yield policy.problem(("counters",), f"A revision holds at most {lists.MAX_COUNTERS} counters.")
    yield from _twice(policy)
    reviews = {rule.id for rule in policy.rules if rule.effect == "review"}
    for index, rule in enumerate(policy.rules):
        yield from _problems_of_rule(policy, program, index, rule, reviews)


def rule_set(policy: PolicyFile) -> RuleSet:
    """The file as rules to evaluate; lists with mistakes are left empty."""
    indexes = {}
    for name, found in policy.lists.items():
        try:
            indexes[name] = _index(found)
        except ValueError:
            indexes[name] = ListIndex.of(found.kind, [])
    return RuleSet(rules=policy.rules, actions={}, lists=indexes, calendars=policy.calendars, counters=policy.counters)


def _index(found: FileList) -> ListIndex:
    lasting = [item.value for item in found.values if item.expires_at is None]
    return ListIndex.of(
        found.kind, lasting, {item.value: item.expires_at for item in found.values if item.expires_at is not None}
    )


def _twice(policy: PolicyFile) -> Iterator[FileProblem]:
    for key, names in (("rules", [rule.id for rule in policy.rules]), ("counters", [c.name for c in policy.counters])):
        for name, count in Tally(names).items():
            if count > 1:
                last = len(names) - 1 - names[::-1].index(name)
                yield policy.problem((key, last), f"{name} is here twice.")


def _problems_of_rule(
    policy: PolicyFile, program: Program, index: int, rule: PureRule, reviews: set[str]
) -> Iterator[FileProblem]:
    at = ("rules", index)
    scope = scope_mistakes(rule.actions)
    for sentence in scope:
        yield policy.problem((*at, "scope"), f"{rule.id}: {sentence}")
    for sentence in suppression_mistakes(rule.effect, rule.suppresses):
        yield policy.problem((*at, "suppresses"), f"{rule.id}: {sentence}")
    for name in rule.suppresses:
        if name not in reviews:
            yield policy.problem((*at, "suppresses"), f"{rule.id}: It switches off {name}, which is no review rule.")
    for field, sentence in routing_mistakes(rule, policy.calendars):
        if field != "suggest":  # said with its form
            place = (*at, field) if field in ("team", "quorum") else (*at, "sla", field)
            yield policy.problem(place, f"{rule.id}: {sentence}")
    findings = errors_in(check(rule.when, engine=program.engine, effect=rule.effect))
    for finding in findings:
        yield policy.problem((*at, "when"), f"{rule.id}: In its condition, {str(finding)[0].lower()}{str(finding)[1:]}")
    try:
        checked_tests(list(rule.tests))
    except BadTest as error:
        yield policy.problem((*at, "tests"), f"{rule.id}: {error}")
        return
    if lacks_tests(rule):
        yield policy.problem((*at, "tests"), f"{rule.id}: {UNTESTED}")
    if findings or scope:
        return
    for number, result in enumerate(run_tests(program, rule)):
        if not result.passed:
            sentence = f"{rule.id}: Test {result.name}: expected {result.expected}, got {result.actual}."
            yield policy.problem((*at, "tests", number), sentence)


# The draft.


def export_policy(tenant_id: UUID) -> str:
    """The tenant's draft as a file."""
    with as_tenant(tenant_id):
        state = rows_of(PolicyState, tenant_id).get()
        rules, _ = draft_of(tenant_id, state)
        found = {
            row.slug: FileList(kind=row.kind, values=tuple(lists.values_of(row)), note=row.note)
            for row in rows_of(NamedList, tenant_id)
        }
    return write(
        PolicyFile(
            rules=rules.rules,
            defaults=_defaults(state),
            lists=found,
            calendars=rules.calendars,
            counters=rules.counters,
        )
    )


def _defaults(state: PolicyState) -> dict[str, str]:
    return {
        "mapped": state.mapped_default,
        "unmapped": state.unmapped,
        "on_engine_failure": state.on_engine_failure,
    }


def import_policy(tenant_id: UUID, *, acting: Member, text: str) -> Imported:
    """Make the draft what the file says; actions stay. What is published stays in force until the next publish.

    Raises InvalidFile with every mistake, PolicyForbidden; then nothing was changed. A file that changes the defaults
    needs the permission to publish, as one of them acts at once.
    """
    require(acting, lists.CHANGE_RULE, tenant_id=tenant_id)
    try:
        policy = read_checked(text)
    except BadFile as error:
        raise InvalidFile(error.problems) from error
    with as_tenant(tenant_id):
        changes = _Changes(tenant_id, acting, policy)
        try:
            changes.write()
        except InvalidRule as error:
            raise InvalidFile((FileProblem(1, 1, error.sentence),)) from error
    return Imported(tuple(changes.saved), tuple(changes.deleted))


class _Changes:
    """Writes what differs, in an order in which each part finds what it names."""

    def __init__(self, tenant_id: UUID, acting: Member, policy: PolicyFile) -> None:
        self.tenant_id, self.acting, self.policy = tenant_id, acting, policy
        self.saved: list[str] = []
        self.deleted: list[str] = []

    def write(self) -> None:
        lists_gone, calendars_gone, counters_gone = self._lists(), self._calendars(), self._counters()
        self._rules()
        gone: list[NamedList | Calendar | Counter] = [*counters_gone, *calendars_gone, *lists_gone]
        for row in gone:
            lists.delete(self.tenant_id, acting=self.acting, row=row)
            self.deleted.append(row.slug)
        state = rows_of(PolicyState, self.tenant_id).get()
        if _defaults(state) != _defaults(state) | dict(self.policy.defaults):
            given = _defaults(state) | dict(self.policy.defaults)
            state.mapped_default, state.unmapped = given["mapped"], given["unmapped"]
            state.on_engine_failure = given["on_engine_failure"]
            save_defaults(self.tenant_id, acting=self.acting, state=state)
            self.saved.append("defaults")

    def _lists(self) -> list[NamedList]:
        rows = {row.slug: row for row in rows_of(NamedList, self.tenant_id)}
        for name, found in self.policy.lists.items():
            row = rows.pop(name, None) or NamedList(slug=name, kind="")
            wanted = sorted(found.values, key=lambda item: item.value)
            if (row.kind, row.note) != (found.kind, found.note) or lists.values_of(row) != wanted:
                row.kind, row.note = found.kind, found.note
                lists.save_list(self.tenant_id, acting=self.acting, row=row, values=wanted)
                self.saved.append(name)
        return list(rows.values())

    def _calendars(self) -> list[Calendar]:
        rows = {row.slug: row for row in rows_of(Calendar, self.tenant_id)}
        for name, hours in self.policy.calendars.items():
            row = rows.pop(name, None)
            if row is not None and lists.hours_of(row) == hours:
                continue
            row = row or Calendar(slug=name)
            for key, value in hours.document().items():
                setattr(row, key, value)
            lists.save_calendar(self.tenant_id, acting=self.acting, row=row)
            self.saved.append(name)
        return list(rows.values())

    def _counters(self) -> list[Counter]:
        rows = {row.slug: row for row in rows_of(Counter, self.tenant_id)}
        for counter in self.policy.counters:
            row = rows.pop(counter.name, None)
            if row is not None and lists.counter_of(row) == counter:
                continue
            row = row or Counter(slug=counter.name)
            row.scope_actions, row.kind, row.of = list(counter.actions), counter.kind, counter.of
            row.key, row.window_seconds = list(counter.key), counter.window_seconds
            lists.save_counter(self.tenant_id, acting=self.acting, row=row)
            self.saved.append(counter.name)
        return list(rows.values())

    def _rules(self) -> None:
        rows = {row.slug: row for row in rows_of(Rule, self.tenant_id)}
        for rule in self.policy.rules:
            row = rows.pop(rule.id, None)
            if row is not None and pure_rule(row) == rule:
                continue
            save_rule(self.tenant_id, acting=self.acting, rule=_row_of(rule, row))
            self.saved.append(rule.id)
        for row in rows.values():
            delete_rule(self.tenant_id, acting=self.acting, rule=row)
            self.deleted.append(row.slug)


def _row_of(rule: PureRule, row: Rule | None) -> Rule:
    row = row or Rule(slug=rule.id)
    if row.condition != rule.when:
        row.builder = None  # the rows of the builder no longer say what the condition does
    row.name, row.scope_actions, row.condition, row.effect = rule.name, list(rule.actions), rule.when, rule.effect
    row.suppresses, row.on_error, row.reason, row.note = list(rule.suppresses), rule.on_error, rule.reason, rule.note
    row.tier, row.team, row.hold_seconds = rule.tier, rule.team or "", rule.hold_seconds
    row.due_in_seconds, row.expires_in_seconds = rule.due_in_seconds, rule.expires_in_seconds
    row.quorum, row.escalate_to, row.suggest = rule.quorum, rule.escalate_to or "", dict(rule.suggest)
    row.calendar, row.out_of_hours = rule.calendar or "", rule.out_of_hours
    row.mode, row.rollout, row.priority = rule.mode, rule.rollout, rule.priority
    row.tests = [dict(test) for test in rule.tests]
    return row
