"""Labels: a person's word on whether it would be right to stop a call. What readiness calls precision."""

from __future__ import annotations

import json
from datetime import datetime
from uuid import UUID

from audit.calls import RecordedCall, calls_by_uid
from audit.record import Disclosure, EntryDraft, record
from audit.scope import as_tenant
from policy.acting import actor
from policy.errors import LabelledAlready, NoSuchRow, PolicyForbidden
from policy.models import CallLabel
from tenants.isolation import rows_of
from tenants.models import Member
from tenants.roles import permissions_of

# Who writes rules, or decides reviews, knows what should be stopped.
MAY_LABEL = frozenset({"policy.change_rule", "reviews.decide_review"})


def may_label(member: Member) -> bool:
    """Whether the member's word counts; they also see the values of the calls that they label."""
    return member.is_active and bool(MAY_LABEL & permissions_of(member.roles))


def label(
    tenant_id: UUID, uid: UUID, *, acting: Member, is_right: bool, rule: str = "", note: str = "", now: datetime
) -> CallLabel:
    """Record the member's word on a call, once. Raises PolicyForbidden, NoSuchRow, LabelledAlready."""
    if acting.tenant_id != tenant_id or not may_label(acting):
        raise PolicyForbidden
    calls: list[RecordedCall] = calls_by_uid(tenant_id, [uid])
    if not calls:
        raise NoSuchRow
    call = calls[0]
    with as_tenant(tenant_id):
        row, is_new = rows_of(CallLabel, tenant_id).get_or_create(
            tenant_id=tenant_id,
            entry_uid=call.uid,
            defaults={
                "action_id": call.action_id[:200],
                "rule_id": rule[:80],
                "is_right": is_right,
                "note": note,
                "member": acting,
                "at": now,
            },
        )
        if not is_new:
            raise LabelledAlready
        fields: dict[str, object] = {"action_id": call.action_id, "is_right": is_right}
        disclosures = [Disclosure("note", json.dumps(note, ensure_ascii=False))] if note else []
        draft = EntryDraft("call.labelled", fields, actor(acting), refs=(call.uid,), disclosures=disclosures)
        record(tenant_id, draft)
    return row
