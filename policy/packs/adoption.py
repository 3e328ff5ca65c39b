"""Adopting a pack: its actions and rules into the draft, on record; and what a newer version would change.

What the draft has under the same id is kept unless it is named: whoever adopts chooses each replacement. Nothing is
live before somebody publishes.
"""

from __future__ import annotations

import json
from collections.abc import Collection, Sequence
from dataclasses import dataclass
from typing import Final
from uuid import UUID

from audit.record import Disclosure, EntryDraft, record
from audit.scope import as_tenant
from policy import functions
from policy.acting import actor, require
from policy.drafts import save_action, save_rule
from policy.errors import InvalidRule
from policy.models import Action, Mode, PackAdoption, PolicyState, Rule
from policy.packs import Pack, PackAction
from policy.packs.lint import lint
from policy.terms import Rule as PureRule
from policy.versions import locked_state
from tenants.isolation import rows_of
from tenants.models import Member

CHANGE_RULE: Final = "policy.change_rule"
LONGEST_SIGN_OFF: Final = 300


@dataclass(frozen=True)
class Difference:
    """One thing of a pack against the draft: new, same, or changed with its fields (name, draft's, pack's)."""

    what: str  # "action" or "rule"
    id: str
    title: str
    state: str  # "new", "same" or "changed"
    fields: tuple[tuple[str, str, str], ...] = ()

    @property
    def key(self) -> str:
        """How a person names it for replacement: `rule:refund-cap`."""
        return f"{self.what}:{self.id}"


@dataclass(frozen=True)
class Adopted:
    """What an adoption did: keys such as `rule:refund-cap`. `kept` differ from the pack and were left alone."""

    adoption: PackAdoption
    created: tuple[str, ...]
    replaced: tuple[str, ...]
    kept: tuple[str, ...]


def differences(tenant_id: UUID, pack: Pack) -> list[Difference]:
    """The pack against the draft, actions first. Call inside the tenant's transaction."""
    actions = {row.action_id: row for row in rows_of(Action, tenant_id)}
    rules = {row.slug: row for row in rows_of(Rule, tenant_id)}
    found = [
        _difference("action", action.id, action.title, _action_fields(action), actions.get(action.id))
        for action in pack.actions
    ]
    return found + [
        _difference("rule", rule.id, rule.name, _rule_fields(rule), rules.get(rule.id)) for rule in pack.rules
    ]


def adopt(tenant_id: UUID, *, acting: Member, pack: Pack, sign_off: str = "", replace: Collection[str] = ()) -> Adopted:
    """Copy the pack into the draft. `replace` holds the keys of changed actions and rules to overwrite.

    New rules enforce, except where an action that is mapped already and enforces is in their scope: there they observe
    first. New actions in an enforcing tenant enforce. Raises PolicyForbidden, InvalidRule.
    """
    require(acting, CHANGE_RULE, tenant_id=tenant_id)
    if defects := lint(pack):
        raise InvalidRule(f"This pack is not in order. {' '.join(map(str, defects[:3]))}")
    if len(sign_off) > LONGEST_SIGN_OFF:
        raise InvalidRule(f"The sign-off is longer than {LONGEST_SIGN_OFF} characters.")
    with as_tenant(tenant_id):
        state = locked_state(tenant_id)
        found = {one.key: one for one in differences(tenant_id, pack)}
        if unknown := sorted(key for key in replace if key not in found or found[key].state != "changed"):
            raise InvalidRule(f"{unknown[0]} is not among what differs from the draft.")
        taken = {key for key, one in found.items() if one.state == "new"} | set(replace)
        enforcing = _enforcing(tenant_id, state)
        for action in pack.actions:
            if f"action:{action.id}" in taken:
                _save_action(tenant_id, acting, action)
        for rule in pack.rules:
            if f"rule:{rule.id}" in taken:
                _save_rule(tenant_id, acting, rule, enforcing)
        adoption = PackAdoption.objects.create(
            tenant_id=tenant_id,
            pack_id=pack.id,
            version=pack.version,
            digest=pack.digest,
            sign_off=sign_off.strip(),
            adopted_by=acting,
        )
        adopted = Adopted(
            adoption,
            created=tuple(key for key, one in found.items() if one.state == "new"),
            replaced=tuple(sorted(replace)),
            kept=tuple(key for key, one in found.items() if one.state == "changed" and key not in replace),
        )
        _record(adopted, acting)
    return adopted


def adoptions(tenant_id: UUID, pack_id: str | None = None) -> list[PackAdoption]:
    """The tenant's adoptions, newest first. Call inside the tenant's transaction."""
    rows = rows_of(PackAdoption, tenant_id).select_related("adopted_by__user").order_by("-adopted_at", "-id")
    return list(rows.filter(pack_id=pack_id) if pack_id else rows)


def _difference(what: str, name: str, title: str, wanted: dict[str, object], row: Action | Rule | None) -> Difference:
    if row is None:
        return Difference(what, name, title, "new")
    changed = tuple(
        (field, _show(getattr(row, field)), _show(value))
        for field, value in wanted.items()
        if getattr(row, field) != value
    )
    return Difference(what, name, title, "changed" if changed else "same", changed)


def _action_fields(action: PackAction) -> dict[str, object]:
    """The columns that a pack sets."""
    return {
        "title": action.title,
        "schema": action.schema,
        "tier_floor": action.tier_floor,
        "undo_text": action.undo,
    }


def _rule_fields(rule: PureRule) -> dict[str, object]:
    """The columns that a pack sets; mode, rollout and team are the tenant's."""
    return {
        "name": rule.name,
        "scope_actions": list(rule.actions),
        "condition": rule.when,
        "effect": rule.effect,
        "suppresses": list(rule.suppresses),
        "on_error": rule.on_error,
        "reason": rule.reason,
        "note": rule.note,
        "tier": rule.tier,
        "due_in_seconds": rule.due_in_seconds,
        "expires_in_seconds": rule.expires_in_seconds,
        "priority": rule.priority,
        "tests": [dict(test) for test in rule.tests],
    }


def _enforcing(tenant_id: UUID, state: PolicyState) -> list[str]:
    """The mapped actions that enforce today."""
    return [
        row.action_id for row in rows_of(Action, tenant_id) if (row.mode_override or state.default_mode) == Mode.ENFORCE
    ]


def _save_action(tenant_id: UUID, acting: Member, action: PackAction) -> None:
    row = rows_of(Action, tenant_id).filter(action_id=action.id).first() or Action(action_id=action.id)
    for field, value in _action_fields(action).items():
        setattr(row, field, value)
    # Where the tenant enforces, an unmapped action is held; mapped to observe it would run unseen.
    save_action(tenant_id, acting=acting, action=row, mode=Mode.ENFORCE, reason="Adopted with a pack.")


def _save_rule(tenant_id: UUID, acting: Member, rule: PureRule, enforcing: Sequence[str]) -> None:
    row = rows_of(Rule, tenant_id).filter(slug=rule.id).first()
    if row is None:
        surprises = any(functions.glob(action_id, glob) for action_id in enforcing for glob in rule.actions)
        row = Rule(slug=rule.id, mode=Rule.RuleMode.OBSERVE if surprises else Rule.RuleMode.ENFORCE)
    row.builder = None
    for field, value in _rule_fields(rule).items():
        setattr(row, field, value)
    save_rule(tenant_id, acting=acting, rule=row)


def _record(adopted: Adopted, acting: Member) -> None:
    adoption = adopted.adoption
    fields = {
        "pack": {"id": adoption.pack_id, "version": adoption.version, "digest": adoption.digest},
        "created": list(adopted.created),
        "replaced": list(adopted.replaced),
        "kept": list(adopted.kept),
        "legal_review": "none",
    }
    sign_off = [Disclosure("sign_off", json.dumps(adoption.sign_off, ensure_ascii=False))] if adoption.sign_off else []
    record(adoption.tenant_id, EntryDraft("pack.adopted", fields, actor(acting), disclosures=sign_off))


def _show(value: object) -> str:
    if isinstance(value, str):
        return value
    return "" if value is None else json.dumps(value, ensure_ascii=False, sort_keys=True)
