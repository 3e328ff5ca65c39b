"""The draft: save and delete rules, actions and defaults, and what a rule must pass before it is saved."""

from __future__ import annotations

import difflib
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import replace
from typing import cast
from uuid import UUID

from django.db.models import Q
from django.utils import timezone

from audit.record import EntryDraft, record
from audit.scope import as_tenant
from policy import functions, lists
from policy.acting import actor, require
from policy.builder import Rows
from policy.catalog import known_actions
from policy.check import check, errors_in
from policy.errors import InvalidRule, Problem
from policy.evaluate import Effect, Program, RuleMode, RuleSet, Unmapped
from policy.evaluate import Rule as PureRule
from policy.examples import examples
from policy.findings import Finding
from policy.metaschema import BadSchema, check_schema
from policy.models import Action, Mode, PolicyState, Rule
from policy.modes import change_override
from policy.routing import routing_mistakes
from policy.ruletests import BadTest, TestResult, checked_tests, run_tests
from policy.snapshot import ActionFacts
from policy.terms import OutOfHours
from policy.versions import locked_state, touch
from tenants.isolation import rows_of
from tenants.models import Member, Team

CHANGE_RULE = "policy.change_rule"


def pure_rule(rule: Rule) -> PureRule:
    """The row as the evaluator sees it. The columns' choices are the literals of its types."""
    return PureRule(
        id=rule.slug,
        name=rule.name,
        actions=tuple(rule.scope_actions),
        when=rule.condition,
        effect=cast(Effect, rule.effect),
        suppresses=tuple(rule.suppresses),
        on_error="deny" if rule.on_error == Rule.OnError.DENY else "review",
        reason=rule.reason,
        note=rule.note,
        tier=rule.tier,
        team=rule.team or None,
        due_in_seconds=rule.due_in_seconds,
        expires_in_seconds=rule.expires_in_seconds,
        hold_seconds=rule.hold_seconds,
        quorum=rule.quorum,
        escalate_to=rule.escalate_to or None,
        calendar=rule.calendar or None,
        out_of_hours=cast(OutOfHours, rule.out_of_hours),
        suggest=rule.suggest,
        mode=cast(RuleMode, rule.mode),
        rollout=rule.rollout,
        priority=rule.priority,
        tests=tuple(rule.tests),
    )


def draft_of(tenant_id: UUID, state: PolicyState) -> tuple[RuleSet, list[ActionFacts]]:
    """The draft as a rule set, and what it says about actions. Call inside the tenant's transaction."""
    actions = [
        ActionFacts(row.action_id, row.title, row.tier_floor, row.undo_text, row.schema)
        for row in rows_of(Action, tenant_id)
    ]
    rules = RuleSet(
        rules=tuple(pure_rule(rule) for rule in rows_of(Rule, tenant_id).order_by("slug")),
        actions={action.action_id: action.tier_floor for action in actions},
        mapped=cast(Effect, state.mapped_default),
        unmapped=cast(Unmapped, state.unmapped),
        lists=lists.lists_of(tenant_id),
        calendars=lists.calendars_of(tenant_id),
        counters=lists.counters_of(tenant_id),
    )
    return rules, actions


def schemas_in_scope(tenant_id: UUID, globs: Iterable[str]) -> list[Mapping[str, object]]:
    """The known schemas of the mapped actions that the globs hold."""
    patterns = list(globs)
    return [
        action.schema
        for action in rows_of(Action, tenant_id)
        if action.schema is not None and any(functions.glob(action.action_id, pattern) for pattern in patterns)
    ]


def rule_findings(tenant_id: UUID, *, condition: str, effect: str, globs: Sequence[str]) -> list[Finding]:
    """All findings on a condition in this tenant: errors refuse, warnings inform."""
    schemas = schemas_in_scope(tenant_id, globs)
    return check(condition, engine=lists.engine_of(tenant_id), effect=effect, schemas=schemas)


def try_tests(rule: PureRule, *, tenant_id: UUID | None = None) -> list[TestResult]:
    """The rule's tests, run on the rule alone, with the tenant's lists and calendars. The condition must compile."""
    if tenant_id is None:
        return run_tests(Program(RuleSet(rules=(rule,), actions={})), rule)
    found, calendars = lists.lists_of(tenant_id), lists.calendars_of(tenant_id)
    return run_tests(Program(RuleSet(rules=(rule,), actions={}, lists=found, calendars=calendars)), rule)


def example_tests(tenant_id: UUID, rule: PureRule, rows: Rows) -> list[dict[str, object]]:
    """The tests that the rows of a rule suggest, as far as the rule gives what they expect."""
    suggested = examples(rows, lists=lists.lists_of(tenant_id))
    results = {result.name: result for result in try_tests(replace(rule, tests=tuple(suggested)), tenant_id=tenant_id)}
    return [test for test in suggested if results[str(test["name"])].passed]


def starting_mode(tenant_id: UUID, globs: Sequence[str]) -> str:
    """Observe if an action in scope enforces, else enforce: no surprise, no empty verdict."""
    state = rows_of(PolicyState, tenant_id).get()
    if state.default_mode == Mode.ENFORCE:
        return Rule.RuleMode.OBSERVE
    enforcing = rows_of(Action, tenant_id).filter(mode_override=Mode.ENFORCE).values_list("action_id", flat=True)
    held = any(functions.glob(action_id, pattern) for action_id in enforcing for pattern in globs)
    return Rule.RuleMode.OBSERVE if held else Rule.RuleMode.ENFORCE


def save_rule(tenant_id: UUID, *, acting: Member, rule: Rule) -> Rule:
    """Save a draft rule. Raises InvalidRule when its condition, scope or tests do not hold; nothing is live yet."""
    require(acting, CHANGE_RULE, tenant_id=tenant_id)
    with as_tenant(tenant_id):
        rule.tenant_id = tenant_id
        findings = rule_findings(tenant_id, condition=rule.condition, effect=rule.effect, globs=rule.scope_actions)
        mistakes = [str(finding) for finding in errors_in(findings)]
        mistakes += scope_mistakes(rule.scope_actions) + suppression_mistakes(rule.effect, rule.suppresses)
        mistakes += [sentence for _, sentence in routing_mistakes(pure_rule(rule), lists.calendars_of(tenant_id))]
        try:
            rule.tests = checked_tests(rule.tests)
        except BadTest as error:
            mistakes.append(str(error))
        if mistakes:
            raise InvalidRule(" ".join(mistakes))
        change = "saved" if rows_of(Rule, tenant_id).filter(pk=rule.pk).exists() else "created"
        rule.updated_at = timezone.now()
        rule.save()
        _record(tenant_id, acting, "rule.changed", {"rule": {"id": rule.slug}, "change": change})
    return rule


def scope_mistakes(globs: Sequence[str]) -> list[str]:
    """What is wrong with a scope, in sentences."""
    if not globs:
        return ["Name at least one action, or * for every action."]
    bad = [glob for glob in globs if not glob or any(char.isspace() or not char.isprintable() for char in glob)]
    return ["An action pattern has no spaces."] if bad else []


def suppression_mistakes(effect: str, suppresses: Sequence[str]) -> list[str]:
    """What is wrong with the rules that it switches off, in sentences."""
    return ["Only an allow rule can switch review rules off."] if suppresses and effect != "allow" else []


def unknown_teams(tenant_id: UUID, *names: str | None) -> list[str]:
    """Sentences about teams that nobody has made: calls routed there wait where everybody looks."""
    wanted = dict.fromkeys(name for name in names if name)
    known = set(rows_of(Team, tenant_id).filter(slug__in=wanted).values_list("slug", flat=True)) if wanted else set()
    return [
        f"There is no team with the id {name} yet. Until somebody makes it, its calls are in nobody's own queue."
        for name in wanted
        if name not in known
    ]


def unknown_actions(globs: Iterable[str], known: Sequence[str]) -> list[str]:
    """Sentences about patterns that fit none of the known actions: a slip of the pen, or a rule made ahead of its calls.

    Where nothing is known yet, nothing can be said.
    """
    said = []
    for pattern in globs if known else ():
        if any(functions.glob(action_id, pattern) for action_id in known):
            continue
        meant = difflib.get_close_matches(pattern, known, 1, 0.7)
        question = f" Did you mean {meant[0]}?" if meant else ""
        said.append(f"No action that is listed or was called fits {pattern}.{question}")
    return said


def draft_notices(tenant_id: UUID) -> list[Problem]:
    """What is worth a second look before publishing, and stands against nothing."""
    known = known_actions(tenant_id)
    return [
        Problem(slug, sentence)
        for slug, globs in rows_of(Rule, tenant_id).order_by("slug").values_list("slug", "scope_actions")
        for sentence in unknown_actions(globs, known)
    ]


def rules_for_team(tenant_id: UUID, slug: str) -> str:
    """How many rules of the draft route to the team or hand on to it, in words; empty for none."""
    count = rows_of(Rule, tenant_id).filter(Q(team=slug) | Q(escalate_to=slug)).count()
    return f"{count} rule{'' if count == 1 else 's'}" if count else ""


def delete_rule(tenant_id: UUID, *, acting: Member, rule: Rule) -> None:
    """Delete a draft rule; what is live stays until the next publish."""
    require(acting, CHANGE_RULE, tenant_id=tenant_id)
    with as_tenant(tenant_id):
        slug = rule.slug
        rows_of(Rule, tenant_id).filter(pk=rule.pk).delete()
        _record(tenant_id, acting, "rule.changed", {"rule": {"id": slug}, "change": "deleted"})


def save_action(
    tenant_id: UUID, *, acting: Member, action: Action, mode: str | None = None, reason: str = ""
) -> Action:
    """Map an action, or change what is known about it.

    A new one in an enforcing tenant gets an override at once: `mode`, observe by default, which is a flip and needs
    `policy.change_mode` and a reason; enforce needs neither. Raises InvalidRule for an action that is mapped already.
    """
    require(acting, CHANGE_RULE, tenant_id=tenant_id)
    with as_tenant(tenant_id):
        state = locked_state(tenant_id)
        action.tenant_id = tenant_id
        if action.schema is not None:
            try:
                check_schema(action.schema)
            except BadSchema as error:
                raise InvalidRule(f"The schema: {error}", field="schema") from error
        # The state's row is locked, so nobody maps the same action in between.
        if rows_of(Action, tenant_id).filter(action_id=action.action_id).exclude(pk=action.pk).exists():
            raise InvalidRule("This action is mapped already.", field="action_id")
        is_new = not rows_of(Action, tenant_id).filter(pk=action.pk).exists()
        action.save()
        change = "created" if is_new else "saved"
        _record(tenant_id, acting, "action.changed", {"action_id": action.action_id, "change": change})
        if is_new and state.default_mode == Mode.ENFORCE:
            wanted = mode or Mode.OBSERVE.value
            if wanted == Mode.ENFORCE:
                reason = "Mapped while the tenant enforces."
            change_override(tenant_id, acting=acting, action=action, mode=wanted, percent=100, reason=reason)
    return action


def delete_action(tenant_id: UUID, *, acting: Member, action: Action) -> None:
    """Unmap an action from the draft. Raises InvalidRule while it has a mode of its own."""
    require(acting, CHANGE_RULE, tenant_id=tenant_id)
    with as_tenant(tenant_id):
        locked_state(tenant_id)
        row = rows_of(Action, tenant_id).get(pk=action.pk)
        if row.mode_override:
            raise InvalidRule("This action has a mode of its own. Return it to the tenant's mode first.")
        row.delete()
        _record(tenant_id, acting, "action.changed", {"action_id": row.action_id, "change": "deleted"})


def save_defaults(tenant_id: UUID, *, acting: Member, state: PolicyState) -> None:
    """Save what unmapped actions, mapped actions and engine failures get.

    The first two act once published; the last at once, as it is for when nothing published can be read.
    """
    require(acting, "policy.publish_revision", tenant_id=tenant_id)
    with as_tenant(tenant_id):
        row = locked_state(tenant_id)
        row.unmapped, row.mapped_default = state.unmapped, state.mapped_default
        row.on_engine_failure = state.on_engine_failure
        row.save(update_fields=["unmapped", "mapped_default", "on_engine_failure"])
        touch(tenant_id)
        fields = {
            "unmapped": row.unmapped,
            "mapped": row.mapped_default,
            "on_engine_failure": row.on_engine_failure,
        }
        _record(tenant_id, acting, "defaults.changed", fields)


def _record(tenant_id: UUID, acting: Member, kind: str, fields: Mapping[str, object]) -> None:
    record(tenant_id, EntryDraft(kind, fields, actor(acting)))
