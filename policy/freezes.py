"""Freezes: deny every call of the tenant, an agent or an action glob, at once and in any mode, until lifted.

A freeze takes one screen and a reason, a pause (of one agent, by a reviewer) a code; lifting either takes a lead and a
fresh sign-in. Every process follows within 5 s: the version of the tenant's state is raised, and no copy lives longer.
"""

from __future__ import annotations

from datetime import datetime
from uuid import UUID

from django.utils import timezone
from django.utils.formats import date_format

from audit.record import Disclosure, EntryDraft, record
from audit.scope import as_tenant
from policy import live
from policy.acting import actor, checked_reason, reason_disclosure, require
from policy.errors import InvalidFreeze, NoSuchRow
from policy.models import Freeze
from policy.versions import locked_state, touch
from tenants.isolation import rows_of
from tenants.models import Agent, Member
from tenants.stepup import Evidence, require_fresh

# Owners and leads have it; the queue is theirs, and a flood is why one freezes.
FREEZE = "reviews.lead_queue"
# Who decides sees first that an agent runs wild; stopping one is never harder than denying its calls one by one.
PAUSE = "reviews.decide_review"
MAX_IN_FORCE = 200


def in_force(tenant_id: UUID) -> list[Freeze]:
    """The freezes that deny now, newest first. Call inside the tenant's transaction."""
    return list(rows_of(Freeze, tenant_id).filter(lifted_at=None).select_related("frozen_by__user"))


def stop_of_agent(tenant_id: UUID, slug: str) -> str:
    """Since when, by whom and why this agent alone is frozen, as a sentence; empty where it is not. Inside `as_tenant()`."""
    rows = rows_of(Freeze, tenant_id).filter(lifted_at=None, scope=Freeze.Scope.AGENT, target=slug)
    found = rows.select_related("frozen_by__user").first()
    if found is None:
        return ""
    since = date_format(timezone.localtime(found.frozen_at), "DATETIME_FORMAT")
    by = f" by {found.frozen_by}" if found.frozen_by else ""
    return f"Every call of it has been denied since {since}{by}. {found.reason.rstrip('.')}."


def freeze(tenant_id: UUID, *, acting: Member, scope: str, target: str = "", reason: str, now: datetime) -> Freeze:
    """Deny every call in the scope from now on. Raises PolicyForbidden, ReasonTooShort, InvalidFreeze."""
    require(acting, FREEZE, tenant_id=tenant_id)
    return _freeze(tenant_id, acting=acting, scope=scope, target=target, reason=reason, now=now)


def pause(tenant_id: UUID, *, acting: Member, agent_id: str, code: str, reason: str, now: datetime) -> Freeze:
    """Deny every call of one agent from now on; for anybody who decides reviews, and for one agent alone.

    `code` is an identifier and goes into the entry. Lifting it is a lead's, as of any freeze. Raises PolicyForbidden,
    ReasonTooShort, InvalidFreeze.
    """
    require(acting, PAUSE, tenant_id=tenant_id)
    fields: dict[str, object] = {"pause": True, "code": code}
    scope = Freeze.Scope.AGENT
    return _freeze(tenant_id, acting=acting, scope=scope, target=agent_id, reason=reason, now=now, fields=fields)


def _freeze(
    tenant_id: UUID,
    *,
    acting: Member,
    scope: str,
    target: str,
    reason: str,
    now: datetime,
    fields: dict[str, object] | None = None,
) -> Freeze:
    text = checked_reason(reason)
    with as_tenant(tenant_id):
        locked_state(tenant_id)
        target = _checked_target(tenant_id, scope, target)
        standing = rows_of(Freeze, tenant_id).filter(lifted_at=None)
        if standing.filter(scope=scope, target=target).exists():
            raise InvalidFreeze("This is frozen already.")
        if standing.count() >= MAX_IN_FORCE:
            raise InvalidFreeze("There are too many freezes in force. Lift some, or freeze everything.")
        row = Freeze.objects.create(
            tenant_id=tenant_id, scope=scope, target=target, reason=text[:300], frozen_by=acting, frozen_at=now
        )
        touch(tenant_id)
        _record(tenant_id, acting, "freeze.set", row, fields or {}, [reason_disclosure(text)])
    live.forget(tenant_id)
    return row


def lift(
    tenant_id: UUID, freeze_id: UUID, *, acting: Member, evidence: Evidence | None, reason: str, now: datetime
) -> Freeze:
    """Let calls go by the rules again. Raises PolicyForbidden, ReasonTooShort, StepUpNeeded, NoSuchRow."""
    require(acting, FREEZE, tenant_id=tenant_id)
    text = checked_reason(reason)
    proof = require_fresh(evidence, now=now)
    with as_tenant(tenant_id):
        locked_state(tenant_id)
        row = rows_of(Freeze, tenant_id).filter(pk=freeze_id, lifted_at=None).first()
        if row is None:
            raise NoSuchRow
        row.lifted_by, row.lifted_at = acting, now
        row.save(update_fields=["lifted_by", "lifted_at"])
        touch(tenant_id)
        lasted = int((now - row.frozen_at).total_seconds())
        fields = {"step_up": proof.as_fields(now), "lasted_seconds": max(0, lasted)}
        _record(tenant_id, acting, "freeze.lifted", row, fields, [reason_disclosure(text)])
    live.forget(tenant_id)
    return row


def _checked_target(tenant_id: UUID, scope: str, target: str) -> str:
    target = target.strip()
    if scope == Freeze.Scope.TENANT:
        return ""
    if scope == Freeze.Scope.AGENT:
        if not rows_of(Agent, tenant_id).filter(slug=target).exists():
            raise InvalidFreeze("No agent has this id.")
        return target
    if scope != Freeze.Scope.ACTION:
        raise InvalidFreeze("Freeze everything, one agent, or actions.")
    if not target or len(target) > 200 or any(char.isspace() or not char.isprintable() for char in target):
        raise InvalidFreeze("Name actions by a pattern without spaces, such as billing.*.")
    return target


def _record(
    tenant_id: UUID, acting: Member, kind: str, row: Freeze, fields: dict[str, object], disclosures: list[Disclosure]
) -> None:
    body: dict[str, object] = {"freeze": str(row.pk), "scope": row.scope, **fields}
    if row.target:
        body["target"] = row.target
    record(tenant_id, EntryDraft(kind, body, actor(acting), disclosures=disclosures))
