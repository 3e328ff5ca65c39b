"""Publish the draft as an immutable revision, and roll back to an earlier one. Both are one entry on the chain."""

from __future__ import annotations

from collections.abc import Iterator
from datetime import datetime
from uuid import UUID

from django.db.models import Max
from django.utils import timezone

from audit.record import EntryDraft, record
from audit.scope import as_tenant
from policy import lists, live, snapshot
from policy.acting import actor, checked_reason, reason_disclosure, require
from policy.check import check, errors_in
from policy.drafts import draft_of, schemas_in_scope
from policy.errors import ModeUnchanged, NoSuchRow, NotPublishable, Problem
from policy.evaluate import Program, RuleSet
from policy.models import PolicyState, Revision
from policy.routing import routing_mistakes
from policy.ruletests import lacks_tests, run_tests
from policy.versions import locked_state, next_version
from tenants.isolation import rows_of
from tenants.models import Member
from tenants.stepup import Evidence, require_fresh

PUBLISH = "policy.publish_revision"
MAX_RULES = 500
MAX_RULES_PER_ACTION = 100


def publish(
    tenant_id: UUID,
    *,
    acting: Member,
    reason: str,
    evidence: Evidence | None,
    accept_untested: bool = False,
    expected_sha256: str | None = None,
    now: datetime | None = None,
) -> Revision:
    """Publish the draft. Everything is checked and every rule test runs; what is waived stands in the notes.

    `expected_sha256` is the hash of the draft that the publisher read; another one raises NotPublishable. Raises
    PolicyForbidden, ReasonTooShort, StepUpNeeded without a recent proof of who publishes, NotPublishable with every
    problem.
    """
    require(acting, PUBLISH, tenant_id=tenant_id)
    text = checked_reason(reason)
    now = now or timezone.now()
    proof = require_fresh(evidence, now=now).as_fields(now)
    with as_tenant(tenant_id):
        state = locked_state(tenant_id)
        rules, actions = draft_of(tenant_id, state)
        untested = [rule.id for rule in rules.rules if lacks_tests(rule)]
        problems = list(problems_of(tenant_id, rules))
        if untested and not accept_untested:
            problems += [Problem(rule_id, UNTESTED) for rule_id in untested]
        content, sha256 = snapshot.write(rules, actions)
        if state.live and state.live.sha256 == sha256:
            problems.append(Problem("", f"Nothing differs from revision {state.live.number}, which is live."))
        if expected_sha256 is not None and sha256 != expected_sha256:
            problems.append(Problem("", "The draft was changed since you read it. Look at the difference again."))
        if problems:
            raise NotPublishable(problems)
        highest = rows_of(Revision, tenant_id).aggregate(highest=Max("number"))["highest"] or 0
        revision = Revision.objects.create(
            tenant_id=tenant_id,
            number=highest + 1,
            snapshot=content,
            sha256=sha256,
            reason=text,
            notes=f"Published without tests: {', '.join(untested)}." if untested else "",
            published_by=acting,
            published_by_name=acting.display_name,
        )
        _go_live(state, revision, acting=acting, reason=text, proof=proof, untested=untested)
    live.forget(tenant_id)
    return revision


UNTESTED = "A deny rule needs a test that matches and one that does not."


def roll_back(
    tenant_id: UUID,
    *,
    acting: Member,
    number: int,
    reason: str,
    evidence: Evidence | None,
    now: datetime | None = None,
) -> Revision:
    """Make an earlier revision live again. It must still compile; the draft stays as it is.

    Raises PolicyForbidden, ReasonTooShort, StepUpNeeded, NoSuchRow, ModeUnchanged when it is live already,
    NotPublishable.
    """
    require(acting, PUBLISH, tenant_id=tenant_id)
    text = checked_reason(reason)
    now = now or timezone.now()
    proof = require_fresh(evidence, now=now).as_fields(now)
    with as_tenant(tenant_id):
        state = locked_state(tenant_id)
        revision = rows_of(Revision, tenant_id).filter(number=number).first()
        if revision is None:
            raise NoSuchRow
        if state.live_id == revision.pk:
            raise ModeUnchanged("This revision is live already. Nothing was changed.")
        try:
            broken = Program(read_revision(revision)).broken
        except snapshot.BadSnapshot as error:
            raise NotPublishable([Problem("", f"This revision cannot be read: {error}.")]) from error
        if broken:
            raise NotPublishable([Problem(rule_id, "This rule no longer compiles.") for rule_id in sorted(broken)])
        _go_live(state, revision, acting=acting, reason=text, proof=proof)
    live.forget(tenant_id)
    return revision


def read_revision(revision: Revision) -> RuleSet:
    """The rule set of a stored revision. Raises BadSnapshot."""
    return snapshot.read(
        revision.snapshot, sha256=revision.sha256, revision_id=str(revision.pk), number=revision.number
    )


def draft_snapshot(tenant_id: UUID) -> tuple[str, str]:
    """(snapshot text, SHA-256) that publishing now would make."""
    with as_tenant(tenant_id):
        return snapshot.write(*draft_of(tenant_id, rows_of(PolicyState, tenant_id).get()))


def draft_problems(tenant_id: UUID) -> list[Problem]:
    """Everything that stands against publishing the draft, missing tests of deny rules included."""
    with as_tenant(tenant_id):
        rules, _ = draft_of(tenant_id, rows_of(PolicyState, tenant_id).get())
        return [
            *problems_of(tenant_id, rules),
            *(Problem(rule.id, UNTESTED) for rule in rules.rules if lacks_tests(rule)),
        ]


def problems_of(tenant_id: UUID, rules: RuleSet) -> Iterator[Problem]:
    """What no reason can waive: limits, conditions, suppressions, failing tests."""
    if len(rules.rules) > MAX_RULES:
        yield Problem("", f"A revision holds at most {MAX_RULES} rules.")
        return
    program = Program(rules)
    for action_id in rules.actions:
        if len(program.in_scope(action_id)) > MAX_RULES_PER_ACTION:
            yield Problem("", f"More than {MAX_RULES_PER_ACTION} rules are in scope of {action_id}.")
    per_action = {action_id: len(program.counted(action_id)) for action_id in rules.actions}
    for sentence in lists.problems_of(rules.counters, engine=program.engine, per_action=per_action):
        yield Problem("", sentence)
    reviews = {rule.id for rule in rules.rules if rule.effect == "review"}
    for rule in rules.rules:
        findings = errors_in(
            check(
                rule.when,
                engine=program.engine,
                effect=rule.effect,
                schemas=schemas_in_scope(tenant_id, rule.actions),
            )
        )
        yield from (Problem(rule.id, str(finding)) for finding in findings)
        yield from (Problem(rule.id, sentence) for _, sentence in routing_mistakes(rule, rules.calendars))
        for name in rule.suppresses:
            if rule.effect != "allow" or name not in reviews:
                yield Problem(rule.id, f"It switches off {name}, which is no review rule.")
        if not findings:
            for result in run_tests(program, rule):
                if not result.passed:
                    yield Problem(rule.id, f"Test {result.name}: expected {result.expected}, got {result.actual}.")


def _go_live(
    state: PolicyState,
    revision: Revision,
    *,
    acting: Member,
    reason: str,
    proof: dict[str, object],
    untested: list[str] | None = None,
) -> None:
    previous = state.live
    state.live, state.version = revision, next_version()
    state.save(update_fields=["live", "version"])
    fields: dict[str, object] = {
        "revision": _named(revision),
        "previous": _named(previous) if previous else None,
        "rollback": previous is not None and previous.number > revision.number,
        "untested": untested or [],
        "step_up": proof,
    }
    record(
        state.tenant_id,
        EntryDraft("revision.published", fields, actor(acting), disclosures=[reason_disclosure(reason)]),
    )


def _named(revision: Revision) -> dict[str, object]:
    return {"id": str(revision.pk), "number": revision.number, "sha256": revision.sha256}
