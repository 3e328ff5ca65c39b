"""Judges of a tenant: which are on, for which action, and asking them about a call. Off by default.

A change acts at once, like a mode: it needs the permission to publish and is one entry. Settings are kept in the
process under the version of the policy that was read with them, so a change reaches every process within 5 s.
"""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from typing import Final
from uuid import UUID

from audit.record import EntryDraft, record
from audit.scope import as_tenant
from policy import judges, live
from policy.acting import actor, require
from policy.errors import InvalidRule
from policy.judges import Judgement, Setting
from policy.models import JudgeSetting
from policy.terms import Ruling
from policy.versions import locked_state, touch
from tenants.isolation import rows_of
from tenants.models import Member

CHANGE_JUDGE: Final = "policy.publish_revision"
SHORTEST_MS, LONGEST_MS = 10, 2000
MOST_FIELDS: Final = 50
_PATH = re.compile(r"[A-Za-z_][A-Za-z0-9_-]*(\.[A-Za-z_][A-Za-z0-9_-]*){0,9}")
_ACTION = re.compile(r"[A-Za-z0-9][A-Za-z0-9._:/-]*")

_known: dict[UUID, tuple[int, Mapping[str, tuple[Setting, ...]]]] = {}


def judged(
    tenant_id: UUID, ruling: Ruling, *, action_id: str, params: Mapping[str, object]
) -> tuple[Ruling, tuple[Judgement, ...]]:
    """The ruling after the judges of this action, and what each said; the same ruling where none is on.

    Opens a short transaction of its own when settings must be read; judges run outside any. A call that policy denies
    is shown to no judge: nothing is stricter.
    """
    if ruling.effect == "deny":
        return ruling, ()
    settings = _settings(tenant_id, ruling.state_version).get(action_id, ())
    if not settings:
        return ruling, ()
    said = judges.ask(action_id, params, settings)
    return judges.tighten(ruling, said), said


def _settings(tenant_id: UUID, version: int) -> Mapping[str, tuple[Setting, ...]]:
    known = _known.get(tenant_id)
    if known is not None and known[0] == version:
        return known[1]
    found: dict[str, tuple[Setting, ...]] = {}
    with as_tenant(tenant_id):
        for row in rows_of(JudgeSetting, tenant_id).order_by("action_id", "judge"):
            setting = Setting(row.judge, tuple(row.fields), row.timeout_ms)
            found[row.action_id] = (*found.get(row.action_id, ()), setting)
    _known[tenant_id] = (version, found)
    return found


def set_judge(
    tenant_id: UUID,
    *,
    acting: Member,
    judge: str,
    action_id: str,
    fields: Sequence[str],
    timeout_ms: int = judges.DEFAULT_TIMEOUT_MS,
) -> JudgeSetting:
    """Switch a judge on for an action, or change what it sees and how long it may take; acts within 5 s.

    Raises PolicyForbidden, InvalidRule.
    """
    require(acting, CHANGE_JUDGE, tenant_id=tenant_id)
    paths = [without_root(path) for path in fields]
    check_setting(judge, action_id, paths, timeout_ms)
    with as_tenant(tenant_id):
        locked_state(tenant_id)
        row, is_new = rows_of(JudgeSetting, tenant_id).update_or_create(
            judge=judge,
            action_id=action_id,
            defaults={"fields": paths, "timeout_ms": timeout_ms},
            create_defaults={"tenant_id": tenant_id, "fields": paths, "timeout_ms": timeout_ms},
        )
        touch(tenant_id)
        _record(row, acting, "on" if is_new else "changed")
    live.forget(tenant_id)
    return row


def remove_judge(tenant_id: UUID, *, acting: Member, setting: JudgeSetting) -> None:
    """Switch a judge off for an action; acts within 5 s. Raises PolicyForbidden."""
    require(acting, CHANGE_JUDGE, tenant_id=tenant_id)
    with as_tenant(tenant_id):
        locked_state(tenant_id)
        row = rows_of(JudgeSetting, tenant_id).get(pk=setting.pk)
        _record(row, acting, "off")
        row.delete()
        touch(tenant_id)
    live.forget(tenant_id)


def without_root(path: str) -> str:
    """A path as settings keep it: `params.note` is `note`."""
    return path.strip().removeprefix("params.")


def check_setting(judge: str, action_id: str, paths: Sequence[str], timeout_ms: int) -> None:
    """Raise InvalidRule, with the sentence to show, when a setting cannot be saved."""
    if judge not in {known.id for known in judges.registered()}:
        raise InvalidRule(f"There is no judge named {judge}.")
    if not _ACTION.fullmatch(action_id) or len(action_id) > 200:
        raise InvalidRule("Name one action, as the agent does, such as billing.refund.")
    if not paths or len(paths) > MOST_FIELDS or len(set(paths)) != len(paths):
        raise InvalidRule(f"Name the params that it may see: 1 to {MOST_FIELDS}, each once.")
    for path in paths:
        if not _PATH.fullmatch(path) or len(path) > 120:
            raise InvalidRule(f"{path!r} is no path of a param, such as note or customer.name.")
    if not SHORTEST_MS <= timeout_ms <= LONGEST_MS:
        raise InvalidRule(f"A judge may take {SHORTEST_MS} to {LONGEST_MS} ms.")


def _record(row: JudgeSetting, acting: Member, change: str) -> None:
    fields = {
        "judge": {"id": row.judge},
        "action_id": row.action_id,
        "change": change,
        "fields": list(row.fields),
        "timeout_ms": row.timeout_ms,
    }
    record(row.tenant_id, EntryDraft("judge.changed", fields, actor(acting)))
