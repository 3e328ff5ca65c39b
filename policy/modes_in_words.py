"""What mode an action or a rule results in, as the pages say it, and whose mode that is."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from functools import cached_property
from uuid import UUID

from policy.functions import glob
from policy.models import Action, Mode, PolicyState, Rule
from tenants.isolation import rows_of


def mode_words(mode: str, percent: int) -> str:
    """A mode as the pages say it."""
    if mode != Mode.ENFORCE:
        return "observe"
    return "enforce" if percent == 100 else f"enforce for {percent} % of users"


@dataclass(frozen=True, slots=True)
class ActionMode:
    """A mapped action and its own mode in words; none where it goes by the tenant's."""

    action: Action
    mode: str


def action_modes(tenant_id: UUID) -> list[ActionMode]:
    """Every mapped action with its own mode. One query."""
    return [
        ActionMode(row, mode_words(row.mode_override, row.percent) if row.mode_override else "")
        for row in rows_of(Action, tenant_id)
    ]


class ModesInWords:
    """The modes of a tenant's actions and rules. Two queries in all, however many are asked for."""

    def __init__(self, tenant_id: UUID) -> None:
        self._tenant_id = tenant_id

    def of_action(self, action: Action) -> str:
        """Its mode, and whether that is its own."""
        return f"{_words(self._actions[action.action_id])} ({'its own' if action.mode_override else 'as the tenant'})"

    def of_rule(self, rule: Rule) -> str:
        """The mode of the actions in its scope, unless it only observes or is off itself."""
        if rule.mode == Rule.RuleMode.OFF:
            return "Off"
        if rule.mode == Rule.RuleMode.OBSERVE:
            return "Observe (its own)"
        found = [
            mode
            for action_id, mode in self._actions.items()
            if any(glob(action_id, pattern) for pattern in rule.scope_actions)
        ]
        enforcing = [mode for mode, _ in found or [self._tenants] if mode == Mode.ENFORCE]
        rollout = f", for {rule.rollout} % of users" if enforcing and rule.rollout < 100 else ""
        if not found:  # what nobody mapped goes by the tenant
            return f"{_words(self._tenants)} (as the tenant){rollout}"
        if len(set(found)) > 1:
            return f"Enforce for {len(enforcing)} of {len(found)} actions{rollout}"
        return f"{_words(found[0])} (as its action{'s' if len(found) > 1 else ''}){rollout}"

    @cached_property
    def _tenants(self) -> tuple[str, int]:
        state = rows_of(PolicyState, self._tenant_id).get()
        return state.default_mode, state.percent

    @cached_property
    def _actions(self) -> Mapping[str, tuple[str, int]]:
        rows = rows_of(Action, self._tenant_id).values_list("action_id", "mode_override", "percent")
        return {action_id: (mode, percent) if mode else self._tenants for action_id, mode, percent in rows}


def _words(mode: tuple[str, int]) -> str:
    return mode_words(*mode).capitalize()
