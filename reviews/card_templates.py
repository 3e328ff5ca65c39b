"""Card templates: drafts, the one active version of an action, and its retirement; what acts on cards is an entry.

A version that was active never changes: verdicts keep its digest. Source: reviewer-experience.md section 3.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from datetime import datetime
from typing import Any, Final
from uuid import UUID

from django.db import connection
from django.db.models import Max, QuerySet
from django.utils import timezone

from audit.record import Actor, EntryDraft, record
from audit.scope import as_tenant
from policy.models import Action
from reviews.card_of import desk_settings
from reviews.errors import InvalidTemplate, NotFound, Stale, TemplateClosed, TemplateForbidden
from reviews.models import CardTemplate
from reviews.template_cautions import engine_of
from reviews.template_checks import Mistake, mistakes
from reviews.template_content import Content
from tenants.isolation import rows_of
from tenants.models import Member
from tenants.roles import permissions_of

CHANGE: Final = "reviews.change_cardtemplate"


def problems(tenant_id: UUID, *, action_id: str, content: Content) -> list[Mistake]:
    """What stands against saving the content for the action."""
    with as_tenant(tenant_id):
        action = rows_of(Action, tenant_id).filter(action_id=action_id).first()
        hosts = desk_settings(tenant_id).link_hosts
        schema = action.schema if action is not None and isinstance(action.schema, dict) else None
        found = mistakes(content, engine=engine_of(tenant_id), link_hosts=hosts, schema=schema)
    if not action_id.strip() or len(action_id) > 128 or any(char.isspace() for char in action_id):
        found.insert(0, Mistake("action_id", "Name the action as agents do, such as billing.refund."))
    return found


def save_draft(
    tenant_id: UUID,
    *,
    action_id: str,
    content: Content,
    acting_member: Member,
    template_id: UUID | None = None,
    seen_digest: str = "",
) -> CardTemplate:
    """A new draft of the action, or a change to the draft `template_id`; cards do not change yet.

    Raises TemplateForbidden, InvalidTemplate (its `mistakes` name each place), NotFound, TemplateClosed for a version
    that is no draft any more, Stale where somebody saved the draft since `seen_digest`.
    """
    _require(acting_member, tenant_id)
    _require_sound(tenant_id, action_id, content)
    with as_tenant(tenant_id):
        _lock_action(tenant_id, action_id)
        if template_id is None:
            return _add(tenant_id, action_id, content, CardTemplate.Status.DRAFT, by=acting_member)
        row = _locked(tenant_id, template_id)
        if row.status != CardTemplate.Status.DRAFT or row.action_id != action_id:
            raise TemplateClosed
        if seen_digest and row.digest != seen_digest:
            raise Stale("Somebody saved this draft while you were editing it. What you typed is still here.")
        columns = content.columns()
        for name, value in columns.items():
            setattr(row, name, value)
        row.digest = content.digest(action_id)
        row.save(update_fields=[*columns, "digest"])
    return row


def discard_draft(tenant_id: UUID, *, template_id: UUID, acting_member: Member) -> None:
    """Delete a draft: nobody ever saw a card of it. Raises TemplateForbidden, NotFound, TemplateClosed."""
    _require(acting_member, tenant_id)
    with as_tenant(tenant_id):
        row = _locked(tenant_id, template_id)
        if row.status != CardTemplate.Status.DRAFT:
            raise TemplateClosed
        row.delete()


def copy_to_draft(tenant_id: UUID, *, template_id: UUID, acting_member: Member) -> CardTemplate:
    """A draft that says what a version says, whatever became of that. Raises TemplateForbidden, NotFound."""
    _require(acting_member, tenant_id)
    with as_tenant(tenant_id):
        row = _locked(tenant_id, template_id)
        _lock_action(tenant_id, row.action_id)
        return _add(tenant_id, row.action_id, Content.of(row), CardTemplate.Status.DRAFT, by=acting_member)


def activate_draft(
    tenant_id: UUID, *, template_id: UUID, seen_digest: str, acting_member: Member, now: datetime
) -> CardTemplate:
    """The draft as the active version, exactly as it was shown; the one before is retired. Recorded.

    Raises TemplateForbidden, NotFound, TemplateClosed, Stale where the draft is not what was shown, InvalidTemplate
    where what it leans on (a list, a link host) is gone.
    """
    _require(acting_member, tenant_id)
    with as_tenant(tenant_id):
        row = _locked(tenant_id, template_id)
        if row.status != CardTemplate.Status.DRAFT:
            raise TemplateClosed
        if row.digest != seen_digest:
            raise Stale("Somebody saved this draft after you opened this page. Read what changes, then activate it.")
        _require_sound(tenant_id, row.action_id, Content.of(row))
        _lock_action(tenant_id, row.action_id)
        _activate(row, by=acting_member, now=now)
    return row


def activate(
    tenant_id: UUID,
    *,
    action_id: str,
    sentence: str,
    decisive: str = "",
    facts: Sequence[Mapping[str, Any]] = (),
    cautions: Sequence[Mapping[str, Any]] = (),
    links: Sequence[Mapping[str, Any]] = (),
    compare_on: Sequence[str] = (),
    undo: str = "",
    undo_how: str = "",
    acting_member: Member | None = None,
) -> CardTemplate:
    """A new active version for the action at once, as set-up does it. Recorded. Raises as `activate_draft` does."""
    if acting_member is not None:
        _require(acting_member, tenant_id)
    content = Content(
        sentence=sentence,
        decisive=decisive,
        facts=facts,
        cautions=cautions,
        links=links,
        compare_on=compare_on,
        undo=undo,
        undo_how=undo_how,
    )
    _require_sound(tenant_id, action_id, content)
    with as_tenant(tenant_id):
        _lock_action(tenant_id, action_id)
        row = _add(tenant_id, action_id, content, CardTemplate.Status.DRAFT, by=acting_member)
        _activate(row, by=acting_member, now=timezone.now())
    return row


def retire(tenant_id: UUID, *, template_id: UUID, acting_member: Member) -> CardTemplate:
    """End the active version: calls of the action read generically from now on. Recorded.

    Raises TemplateForbidden, NotFound, TemplateClosed where it is not active.
    """
    _require(acting_member, tenant_id)
    with as_tenant(tenant_id):
        row = _locked(tenant_id, template_id)
        if row.status != CardTemplate.Status.ACTIVE:
            raise TemplateClosed("Only the active version can be retired. Nothing was changed.")
        row.status = CardTemplate.Status.RETIRED
        row.save(update_fields=["status"])
        _record(row, "card_template.retired", by=acting_member)
    return row


def active_row(tenant_id: UUID, action_id: str) -> CardTemplate | None:
    """The active version of the action."""
    return _versions(tenant_id, action_id).filter(status=CardTemplate.Status.ACTIVE).first()


def _require(member: Member, tenant_id: UUID) -> None:
    if member.tenant_id != tenant_id or not member.is_active or CHANGE not in permissions_of(member.roles):
        raise TemplateForbidden


def _require_sound(tenant_id: UUID, action_id: str, content: Content) -> None:
    found = problems(tenant_id, action_id=action_id, content=content)
    if found:
        raise InvalidTemplate(found)


def _versions(tenant_id: UUID, action_id: str) -> QuerySet[CardTemplate]:
    return rows_of(CardTemplate, tenant_id).filter(action_id=action_id)


def _lock_action(tenant_id: UUID, action_id: str) -> None:
    """Versions of one action follow one another; there may be no row to lock yet. Ends with the transaction."""
    with connection.cursor() as cursor:
        cursor.execute(
            "SELECT pg_advisory_xact_lock(hashtextextended(%s, 0))", [f"guardsite.template {tenant_id} {action_id}"]
        )


def _locked(tenant_id: UUID, template_id: UUID) -> CardTemplate:
    found = rows_of(CardTemplate, tenant_id).select_for_update(no_key=True, of=("self",)).filter(pk=template_id)
    row: CardTemplate | None = found.first()
    if row is None:
        raise NotFound
    return row


def _add(
    tenant_id: UUID, action_id: str, content: Content, status: CardTemplate.Status, *, by: Member | None
) -> CardTemplate:
    newest = _versions(tenant_id, action_id).aggregate(newest=Max("version"))["newest"] or 0
    return CardTemplate.objects.create(
        tenant_id=tenant_id,
        action_id=action_id,
        version=newest + 1,
        status=status,
        digest=content.digest(action_id),
        created_by=by,
        **content.columns(),
    )


def _activate(row: CardTemplate, *, by: Member | None, now: datetime) -> None:
    active = _versions(row.tenant_id, row.action_id).filter(status=CardTemplate.Status.ACTIVE)
    before = active.values_list("version", flat=True).first()
    active.update(status=CardTemplate.Status.RETIRED)
    row.status, row.activated_at = CardTemplate.Status.ACTIVE, now
    # Versions from before there were digests get theirs when they return.
    row.digest = Content.of(row).digest(row.action_id)
    row.save(update_fields=["status", "activated_at", "digest"])
    _record(row, "card_template.activated", by=by, **({"before_version": before} if before else {}))


def _record(row: CardTemplate, kind: str, *, by: Member | None, **more: object) -> None:
    actor = Actor(type="member", id=str(by.pk)) if by else Actor(type="system", id="setup")
    fields = {"action_id": row.action_id, "version": row.version, "digest": row.digest, **more}
    record(row.tenant_id, EntryDraft(kind=kind, fields=fields, actor=actor))
