"""Who is told of what: set up by leads and owners, on the record; a webhook's secret is shown once.

A notice leaves the house, so setting one up takes a recent sign-in. Source: reviewer-experience.md section 6.
"""

from __future__ import annotations

import json
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Final
from uuid import UUID

from django.core.exceptions import ValidationError
from django.core.validators import validate_email

from audit.record import Actor, Disclosure, EntryDraft, record
from audit.scope import as_tenant
from reviews import notice_secrets, outbound
from reviews.errors import InvalidNoticeTarget, NotFound, SettingsForbidden
from reviews.models import Notice, NoticeEvent, NoticeTarget
from tenants.isolation import rows_of
from tenants.models import Member
from tenants.roles import permissions_of
from tenants.stepup import Evidence, require_fresh

CHANGE: Final = "reviews.change_desk"
MAX_TARGETS: Final = 50
FORMER_SECRET_LASTS: Final = timedelta(hours=24)


@dataclass(frozen=True)
class Wanted:
    """A target as somebody wants it; what its channel or audience does not use is empty."""

    name: str
    channel: str
    events: tuple[str, ...]
    audience: str = ""
    team: str = ""
    member_id: UUID | None = None
    address: str = ""
    url: str = ""
    cadence: str = NoticeTarget.Cadence.EACH
    is_active: bool = True


@dataclass(frozen=True)
class Saved:
    """A target, and its new secret where one was made: shown now and never again."""

    target: NoticeTarget
    secret: str = ""


def targets_of(tenant_id: UUID) -> list[NoticeTarget]:
    """The tenant's targets, by name. Call inside `as_tenant()`."""
    return list(rows_of(NoticeTarget, tenant_id).select_related("member__user"))


def save_target(
    acting_member: Member,
    wanted: Wanted,
    *,
    target_id: UUID | None = None,
    evidence: Evidence | None,
    now: datetime,
) -> Saved:
    """Make a target, or with `target_id` change one. A new webhook, or one that leads elsewhere, gets a new secret.

    Raises SettingsForbidden, StepUpNeeded, NotFound, InvalidNoticeTarget (`errors`: field → sentence).
    """
    tenant_id = acting_member.tenant_id
    _require(acting_member)
    proof = require_fresh(evidence, now=now)
    with as_tenant(tenant_id):
        rows = rows_of(NoticeTarget, tenant_id)
        target = _found(tenant_id, target_id) if target_id else NoticeTarget(tenant_id=tenant_id)
        if target_id is None and rows.count() >= MAX_TARGETS:
            raise InvalidNoticeTarget(errors={"name": f"There are at most {MAX_TARGETS}."})
        errors = mistakes_in(wanted, tenant_id=tenant_id)
        if rows.filter(name=wanted.name.strip()).exclude(pk=target.pk).exists():
            errors["name"] = "Another one has this name."
        if errors:
            raise InvalidNoticeTarget(errors=errors)
        secret = ""
        if wanted.channel == NoticeTarget.Channel.WEBHOOK and (target.url != wanted.url or not target.secret_sealed):
            # Who receives at the new address must not be able to sign as the old one.
            secret = notice_secrets.new_secret()
            target.secret_sealed = notice_secrets.seal(secret)
            target.former_secret_sealed, target.former_until = "", None
        _apply(target, wanted)
        if target_id is None:
            target.created_by, target.created_at = acting_member, now
        target.save()
        change = "saved" if target_id else "created"
        _record(target, acting_member, change, proof.as_fields(now))
    return Saved(target, secret)


def rotate(acting_member: Member, target_id: UUID, *, evidence: Evidence | None, now: datetime) -> Saved:
    """A new secret now; the former one signs too for 24 hours. Raises as `save_target`."""
    _require(acting_member)
    proof = require_fresh(evidence, now=now)
    with as_tenant(acting_member.tenant_id):
        target = _found(acting_member.tenant_id, target_id)
        if target.channel != NoticeTarget.Channel.WEBHOOK:
            raise InvalidNoticeTarget(errors={"channel": "Only a webhook has a secret."})
        secret = notice_secrets.new_secret()
        target.former_secret_sealed, target.former_until = target.secret_sealed, now + FORMER_SECRET_LASTS
        target.secret_sealed = notice_secrets.seal(secret)
        target.save(update_fields=["secret_sealed", "former_secret_sealed", "former_until"])
        _record(target, acting_member, "rotated", proof.as_fields(now))
    return Saved(target, secret)


def replay(acting_member: Member, notice_id: UUID, *, now: datetime) -> Notice:
    """Send a notice that was given up once more, with the same id; on the record.

    Raises SettingsForbidden, NotFound for one that is not given up.
    """
    _require(acting_member)
    tenant_id = acting_member.tenant_id
    with as_tenant(tenant_id):
        notice = (
            rows_of(Notice, tenant_id)
            .select_for_update(no_key=True, of=("self",))
            .select_related("target")
            .filter(pk=notice_id, state=Notice.State.DEAD)
            .first()
        )
        if notice is None:
            raise NotFound
        notice.state, notice.due_at, notice.trying_since = Notice.State.WAITING, now, now
        notice.save(update_fields=["state", "due_at", "trying_since"])
        record(
            tenant_id,
            EntryDraft(
                kind="notice.replayed",
                fields={"notice": notice.wire_id, "event": notice.event, "target": str(notice.target_id)},
                actor=Actor(type="member", id=str(acting_member.pk)),
            ),
        )
    return notice


def mistakes_in(wanted: Wanted, *, tenant_id: UUID) -> dict[str, str]:
    """What is wrong, by field. Call inside `as_tenant()`."""
    errors: dict[str, str] = {}
    if not 1 <= len(wanted.name.strip()) <= 80:
        errors["name"] = "A name has 1 to 80 characters."
    if not wanted.events or not set(wanted.events) <= set(NoticeEvent.values):
        errors["events"] = "Choose what it is told of."
    if wanted.cadence not in NoticeTarget.Cadence.values:
        errors["cadence"] = "Choose how often."
    if wanted.channel == NoticeTarget.Channel.WEBHOOK:
        try:
            outbound.checked_url(wanted.url)
        except outbound.BadUrl as error:
            errors["url"] = str(error)
        if wanted.cadence == NoticeTarget.Cadence.DIGEST:
            errors["cadence"] = "A webhook is told each thing by itself."
    elif wanted.channel == NoticeTarget.Channel.EMAIL:
        errors |= _audience_mistakes(wanted, tenant_id=tenant_id)
    else:
        errors["channel"] = "Choose e-mail or webhook."
    return errors


def _audience_mistakes(wanted: Wanted, *, tenant_id: UUID) -> dict[str, str]:
    if wanted.audience not in NoticeTarget.Audience.values:
        return {"audience": "Choose who gets it."}
    if wanted.audience == NoticeTarget.Audience.TEAM and not wanted.team:
        return {"team": "Choose the team."}
    if wanted.audience == NoticeTarget.Audience.MEMBER:
        here = rows_of(Member, tenant_id).filter(is_active=True)
        if wanted.member_id is None or not here.filter(pk=wanted.member_id).exists():
            return {"member": "Choose a member."}
    if wanted.audience == NoticeTarget.Audience.ADDRESS:
        try:
            validate_email(wanted.address)
        except ValidationError:
            return {"address": "Write an e-mail address."}
    return {}


def _apply(target: NoticeTarget, wanted: Wanted) -> None:
    """The columns, with what this channel and audience do not use left empty."""
    is_mail = wanted.channel == NoticeTarget.Channel.EMAIL
    audience = wanted.audience if is_mail else ""
    target.name, target.channel, target.audience = wanted.name.strip(), wanted.channel, audience
    target.team = wanted.team if audience == NoticeTarget.Audience.TEAM else ""
    target.member_id = wanted.member_id if audience == NoticeTarget.Audience.MEMBER else None
    target.address = wanted.address if audience == NoticeTarget.Audience.ADDRESS else ""
    target.url = "" if is_mail else wanted.url
    target.events = [event for event in NoticeEvent.values if event in wanted.events]
    target.cadence, target.is_active = wanted.cadence, wanted.is_active
    if wanted.is_active:
        target.stopped_because = ""


def _found(tenant_id: UUID, target_id: UUID) -> NoticeTarget:
    target = rows_of(NoticeTarget, tenant_id).select_for_update(no_key=True, of=("self",)).filter(pk=target_id).first()
    if target is None:
        raise NotFound
    return target


def _require(acting_member: Member) -> None:
    if not acting_member.is_active or CHANGE not in permissions_of(acting_member.roles):
        raise SettingsForbidden


def _record(target: NoticeTarget, member: Member, change: str, evidence: dict[str, object]) -> None:
    fields: dict[str, object] = {
        "target": str(target.pk),
        "change": change,
        "channel": target.channel,
        "events": list(target.events),
        "active": target.is_active,
        "step_up": evidence,
    }
    if target.audience:
        fields["audience"] = target.audience
    if target.team:
        fields["team"] = target.team
    if target.member_id:
        fields["member"] = str(target.member_id)
    told: Sequence[tuple[str, str]] = (("name", target.name), ("address", target.address), ("url", target.url))
    record(
        target.tenant_id,
        EntryDraft(
            kind="notice.changed",
            fields=fields,
            actor=Actor(type="member", id=str(member.pk)),
            disclosures=tuple(Disclosure(name, json.dumps(value)) for name, value in told if value),
        ),
    )
