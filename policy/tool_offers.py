"""What becomes of tool definitions: offered by agents, accepted or dismissed by admins; each change is an entry."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Final
from uuid import UUID

from audit.record import Actor, EntryDraft, record
from audit.scope import as_tenant
from policy import drafts
from policy.acting import actor, require
from policy.errors import InvalidTool, NoSuchRow, ToolUnchanged
from policy.models import Action, ToolDefinition
from policy.tools import Definition, described
from policy.versions import locked_state, touch
from tenants.isolation import rows_of
from tenants.models import Member
from tenants.stepup import Evidence, require_fresh

# Accepting acts at once: rules read the hints of what was accepted.
ACCEPT: Final = "policy.publish_revision"
DISMISS: Final = "policy.change_rule"

# Callers invent names and texts: enough for any real set of tools, not enough to fill a table.
MOST_ACTIONS: Final = 1000
MOST_UNDECIDED: Final = 20
# "Last seen" is a hint for people: one write a minute is enough.
SEEN_EVERY: Final = timedelta(minutes=1)


@dataclass(frozen=True, slots=True)
class Offered:
    """What an offer came to: `state` is accepted, offered (nothing is accepted yet) or drifted."""

    action_id: str
    sha256: str
    state: str


def offer(
    tenant_id: UUID, *, definitions: Sequence[Definition], agent_id: UUID | None, by: Actor, now: datetime
) -> list[Offered]:
    """Keep what an agent's provider offers now, one definition for each action, in order.

    The same offer again changes nothing but when it was last seen. A new current definition is an entry, and every
    process knows of it within 5 s. Raises InvalidTool beyond 1,000 actions, NoSuchRow where no policy was opened.
    """
    with as_tenant(tenant_id):
        if not _are_current(tenant_id, definitions, now=now):
            # Offers and acceptances follow one another: one row is current, one accepted.
            locked_state(tenant_id)
            changed = [
                _make_current(tenant_id, definition, agent_id=agent_id, by=by, now=now) for definition in definitions
            ]
            if any(changed):
                touch(tenant_id)
        accepted = dict(
            rows_of(ToolDefinition, tenant_id)
            .filter(state=ToolDefinition.State.ACCEPTED, action_id__in=[found.action_id for found in definitions])
            .values_list("action_id", "sha256")
        )
    return [
        Offered(found.action_id, found.sha256, _state(accepted.get(found.action_id), found.sha256))
        for found in definitions
    ]


def _state(accepted: str | None, sha256: str) -> str:
    if accepted is None:
        return "offered"
    return "accepted" if accepted == sha256 else "drifted"


def _are_current(tenant_id: UUID, definitions: Sequence[Definition], *, now: datetime) -> bool:
    rows = rows_of(ToolDefinition, tenant_id).filter(
        is_current=True, action_id__in=[found.action_id for found in definitions]
    )
    seen = {
        (action_id, sha256): at for action_id, sha256, at in rows.values_list("action_id", "sha256", "last_seen_at")
    }
    if any((found.action_id, found.sha256) not in seen for found in definitions):
        return False
    if any(at < now - SEEN_EVERY for at in seen.values()):
        rows.update(last_seen_at=now)
    return True


def _make_current(tenant_id: UUID, definition: Definition, *, agent_id: UUID | None, by: Actor, now: datetime) -> bool:
    """Whether another definition is current now."""
    rows = rows_of(ToolDefinition, tenant_id)
    of_action = rows.filter(action_id=definition.action_id)
    row = of_action.filter(sha256=definition.sha256).defer("definition_text").first()
    if row is not None and row.is_current:
        of_action.filter(pk=row.pk).update(last_seen_at=now)
        return False
    if row is None and not of_action.exists() and rows.values("action_id").distinct().count() >= MOST_ACTIONS:
        raise InvalidTool(f"{MOST_ACTIONS:,} actions have tool definitions, which is the most that is kept.")
    before = of_action.filter(is_current=True).values_list("sha256", flat=True).first()
    of_action.filter(is_current=True).update(is_current=False)
    if row is None:
        ToolDefinition.objects.create(
            tenant_id=tenant_id,
            agent_id=agent_id,
            action_id=definition.action_id,
            definition_text=definition.text,
            sha256=definition.sha256,
            first_seen_at=now,
            last_seen_at=now,
        )
        undecided = of_action.filter(state=ToolDefinition.State.OFFERED, is_current=False)
        # Nobody ever relied on them, and the log keeps their hashes.
        stale = list(undecided.order_by("-last_seen_at").values_list("pk", flat=True)[MOST_UNDECIDED:])
        of_action.filter(pk__in=stale).delete()
    else:
        of_action.filter(pk=row.pk).update(is_current=True, last_seen_at=now, agent_id=agent_id)
    accepted = of_action.filter(state=ToolDefinition.State.ACCEPTED).values_list("sha256", flat=True).first()
    fields: dict[str, object] = {
        "action_id": definition.action_id,
        "sha256": definition.sha256,
        "state": _state(accepted, definition.sha256),
    }
    if before:
        fields["before_sha256"] = before
    record(tenant_id, EntryDraft("tool.offered", fields, by))
    return True


def accept(
    tenant_id: UUID, *, definition_id: UUID, acting: Member, evidence: Evidence | None, now: datetime
) -> ToolDefinition:
    """Pin a definition: cards take its words and rules its hints from now on; the one before is replaced.

    A definition never changes under its id, so what was read is what is accepted. Raises PolicyForbidden, StepUpNeeded,
    NoSuchRow, ToolUnchanged.
    """
    require(acting, ACCEPT, tenant_id=tenant_id)
    proof = require_fresh(evidence, now=now)
    with as_tenant(tenant_id):
        locked_state(tenant_id)
        row = _locked(tenant_id, definition_id)
        if row.state == ToolDefinition.State.ACCEPTED:
            raise ToolUnchanged
        accepted = rows_of(ToolDefinition, tenant_id).filter(
            action_id=row.action_id, state=ToolDefinition.State.ACCEPTED
        )
        before = accepted.values_list("sha256", flat=True).first()
        accepted.update(state=ToolDefinition.State.REPLACED)
        _decide(row, ToolDefinition.State.ACCEPTED, acting=acting, now=now)
        touch(tenant_id)
        fields: dict[str, object] = {
            "action_id": row.action_id,
            "sha256": row.sha256,
            "is_current": row.is_current,
            "evidence": proof.as_fields(now),
        }
        if before:
            fields["before_sha256"] = before
        record(tenant_id, EntryDraft("tool.accepted", fields, actor(acting)))
    return row


def dismiss(tenant_id: UUID, *, definition_id: UUID, acting: Member, now: datetime) -> ToolDefinition:
    """Say that an offered definition was read and is not accepted; calls of a drifted tool stay drifted.

    Raises PolicyForbidden, NoSuchRow, ToolUnchanged for one that was decided already.
    """
    require(acting, DISMISS, tenant_id=tenant_id)
    with as_tenant(tenant_id):
        row = _locked(tenant_id, definition_id)
        if row.state != ToolDefinition.State.OFFERED or row.decided_at is not None:
            raise ToolUnchanged
        _decide(row, ToolDefinition.State.OFFERED, acting=acting, now=now)
        fields = {"action_id": row.action_id, "sha256": row.sha256}
        record(tenant_id, EntryDraft("tool.dismissed", fields, actor(acting)))
    return row


def take_schema(tenant_id: UUID, *, definition_id: UUID, acting: Member) -> Action:
    """Put the accepted definition's schema into the action, where the action has none; part of the draft.

    Raises PolicyForbidden, NoSuchRow, InvalidTool where there is nothing to take or nowhere to put it.
    """
    require(acting, drafts.CHANGE_RULE, tenant_id=tenant_id)
    with as_tenant(tenant_id):
        locked_state(tenant_id)
        row = _locked(tenant_id, definition_id)
        schema = described(row).input_schema
        action = rows_of(Action, tenant_id).filter(action_id=row.action_id).first()
        if row.state != ToolDefinition.State.ACCEPTED or schema is None:
            raise InvalidTool("Only an accepted definition with a schema gives one. Nothing was changed.")
        if action is None:
            raise InvalidTool("This action is not mapped yet. Map it first. Nothing was changed.")
        if action.schema is not None:
            raise InvalidTool("This action has a schema already. Nothing was changed.")
        action.schema = dict(schema)
        return drafts.save_action(tenant_id, acting=acting, action=action)


def _locked(tenant_id: UUID, definition_id: UUID) -> ToolDefinition:
    found = rows_of(ToolDefinition, tenant_id).select_for_update(no_key=True, of=("self",)).filter(pk=definition_id)
    row: ToolDefinition | None = found.first()
    if row is None:
        raise NoSuchRow
    return row


def _decide(row: ToolDefinition, state: ToolDefinition.State, *, acting: Member, now: datetime) -> None:
    row.state, row.decided_by, row.decided_at = state, acting, now
    row.save(update_fields=["state", "decided_by", "decided_at"])
