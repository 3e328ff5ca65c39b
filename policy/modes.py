"""Flips: observe or enforce, for a tenant or one action, with a percentage.

Each has a reason, a fresh sign-in and an entry that holds both, with the readiness report of that moment where there
was one. In either direction: to lower a guard is as grave as to raise it.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from uuid import UUID

from django.utils import timezone

from audit.record import EntryDraft, record
from audit.scope import as_tenant
from policy import live
from policy.acting import actor, checked_reason, reason_disclosure, require
from policy.errors import ConditionNotAccepted, InvalidRule, ModeUnchanged, NoSuchRow
from policy.models import Action, Mode, PolicyState
from policy.readiness import Report
from policy.versions import locked_state, next_version, touch
from tenants.isolation import rows_of
from tenants.models import Member
from tenants.stepup import Evidence, require_fresh

CHANGE_MODE = "policy.change_mode"


@dataclass(frozen=True)
class Shown:
    """The readiness report that whoever flips was shown, and the codes of the unmet conditions that they ticked."""

    report: Report
    accepted: Sequence[str] = ()


def set_tenant_mode(
    tenant_id: UUID,
    *,
    acting: Member,
    mode: str,
    percent: int = 100,
    reason: str,
    evidence: Evidence | None,
    shown: Shown | None = None,
    now: datetime | None = None,
) -> PolicyState:
    """Set the tenant's mode and percentage; every process follows within 5 s.

    Raises PolicyForbidden, ReasonTooShort, StepUpNeeded, ConditionNotAccepted, ModeUnchanged.
    """
    require(acting, CHANGE_MODE, tenant_id=tenant_id)
    text = checked_reason(reason)
    _check(mode, percent)
    facts = _facts(evidence, shown, mode, now or timezone.now())
    with as_tenant(tenant_id):
        state = locked_state(tenant_id)
        before = {"mode": state.default_mode, "percent": state.percent}
        after = {"mode": mode, "percent": percent}
        if before == after:
            raise ModeUnchanged
        state.default_mode, state.percent, state.version = mode, percent, next_version()
        state.save(update_fields=["default_mode", "percent", "version"])
        _record(tenant_id, acting, {"scope": "tenant", "before": before, "after": after, **facts}, text)
    live.forget(tenant_id)
    return state


def set_action_mode(
    tenant_id: UUID,
    *,
    acting: Member,
    action_id: str,
    mode: str | None,
    percent: int = 100,
    reason: str,
    evidence: Evidence | None,
    shown: Shown | None = None,
    now: datetime | None = None,
) -> Action:
    """Give a mapped action a mode of its own, or with None return it to the tenant's.

    Raises PolicyForbidden, ReasonTooShort, StepUpNeeded, ConditionNotAccepted, ModeUnchanged, NoSuchRow.
    """
    require(acting, CHANGE_MODE, tenant_id=tenant_id)
    text = checked_reason(reason)
    facts = _facts(evidence, shown, mode or "", now or timezone.now())
    with as_tenant(tenant_id):
        locked_state(tenant_id)
        action = rows_of(Action, tenant_id).filter(action_id=action_id).first()
        if action is None:
            raise NoSuchRow
        _change(tenant_id, acting, action, mode, percent, text, facts)
    live.forget(tenant_id)
    return action


def _facts(evidence: Evidence | None, shown: Shown | None, mode: str, now: datetime) -> dict[str, object]:
    facts: dict[str, object] = {"step_up": require_fresh(evidence, now=now).as_fields(now)}
    if shown is not None:
        unmet = {condition.code for condition in shown.report.unmet}
        if mode == Mode.ENFORCE and not unmet <= set(shown.accepted):
            raise ConditionNotAccepted
        facts["readiness"] = shown.report.as_fields()
        facts["accepted"] = sorted(unmet & set(shown.accepted)) if mode == Mode.ENFORCE else []
    return facts


def change_override(tenant_id: UUID, *, acting: Member, action: Action, mode: str, percent: int, reason: str) -> None:
    """The override of an action that is being mapped: to observe is a flip and needs its permission and reason.

    The caller holds the state's lock.
    """
    if mode != Mode.ENFORCE:
        require(acting, CHANGE_MODE, tenant_id=tenant_id)
    _change(tenant_id, acting, action, mode, percent, checked_reason(reason), {})
    live.forget(tenant_id)


def _check(mode: str, percent: int) -> None:
    if mode not in Mode.values or not 0 <= percent <= 100:
        raise InvalidRule("A mode is observe or enforce, a percentage 0 to 100.")


def _change(
    tenant_id: UUID,
    acting: Member,
    action: Action,
    mode: str | None,
    percent: int,
    reason: str,
    facts: Mapping[str, object],
) -> None:
    if mode is None:
        percent = 100
    else:
        _check(mode, percent)
    before, after = _described(action.mode_override, action.percent), _described(mode or "", percent)
    if before == after:
        raise ModeUnchanged
    action.mode_override, action.percent = mode or "", percent
    action.save(update_fields=["mode_override", "percent"])
    touch(tenant_id)
    fields = {"scope": "action", "action_id": action.action_id, "before": before, "after": after, **facts}
    _record(tenant_id, acting, fields, reason)


def _described(mode: str, percent: int) -> dict[str, object]:
    return {"mode": mode, "percent": percent} if mode else {"mode": "inherited"}


def _record(tenant_id: UUID, acting: Member, fields: Mapping[str, object], reason: str) -> None:
    draft = EntryDraft("mode.changed", fields, actor(acting), disclosures=[reason_disclosure(reason)])
    record(tenant_id, draft)
