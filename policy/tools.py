"""Tools as their providers describe them: one canonical text and hash each, and what rules and cards read of them.

A definition is the provider's claim until an admin accepts it; the accepted one is pinned by its hash. A current
definition with another hash is drift: rules see `tool.drifted`, and of the hints then only the worst is believed.
Sources: reviewer-experience.md section 3 ("Labels"), policy.md (the root `tool`), integrations.md (`PUT /v1/tools`),
Model Context Protocol, ToolAnnotations.
"""

from __future__ import annotations

import hashlib
import json
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from typing import Any, Final
from uuid import UUID

from django.db.models import JSONField, Q
from django.db.models.fields.json import KeyTransform
from django.db.models.functions import Cast

from audit.canonical import canonical
from policy.models import ToolDefinition
from tenants.isolation import rows_of

MOST_BYTES: Final = 65_536

# The hint, the field of the root `tool`, and what its absence means: the worse of the two.
_HINTS: Final = (
    ("readOnlyHint", "read_only", False),
    ("destructiveHint", "destructive", True),
    ("idempotentHint", "idempotent", False),
    ("openWorldHint", "open_world", True),
)


@dataclass(frozen=True, slots=True)
class Definition:
    """A definition in its one canonical form (RFC 8785): absent members are left out, so equal ones hash alike."""

    action_id: str
    text: str
    sha256: str

    @classmethod
    def of(
        cls,
        action_id: str,
        *,
        title: str | None = None,
        description: str | None = None,
        input_schema: Mapping[str, Any] | None = None,
        annotations: Mapping[str, object] | None = None,
    ) -> Definition:
        """The definition of these parts. Raises NotCanonical for what JSON cannot keep."""
        members = {
            "title": title,
            "description": description,
            "input_schema": input_schema,
            "annotations": {name: value for name, value in (annotations or {}).items() if value is not None} or None,
        }
        data = canonical({"name": action_id, **{name: value for name, value in members.items() if value is not None}})
        return cls(action_id=action_id, text=data.decode(), sha256=hashlib.sha256(data).hexdigest())


@dataclass(frozen=True, slots=True)
class ToolFacts:
    """What rules and reviews know of an action's tool; the hints are those of the accepted definition alone."""

    accepted_sha256: str = ""
    offered_sha256: str = ""
    read_only: bool = False
    destructive: bool = True
    idempotent: bool = False
    open_world: bool = True

    @property
    def is_drifted(self) -> bool:
        """Whether the provider now offers something else than what was accepted."""
        return bool(self.accepted_sha256 and self.offered_sha256) and self.accepted_sha256 != self.offered_sha256

    def as_root(self, action_id: str) -> dict[str, object]:
        """The root `tool` of a call."""
        return {
            "name": action_id,
            "server": "",
            "framework": "",
            "labels": [],
            "drifted": self.is_drifted,
            "read_only": self.read_only,
            "destructive": self.destructive,
            "idempotent": self.idempotent,
            "open_world": self.open_world,
        }


UNKNOWN: Final = ToolFacts()


@dataclass(frozen=True, slots=True)
class DescribedTool:
    """A stored definition in words; the provider's, whoever accepted it.

    `property_titles` maps top-level params to their title, or the first sentence of their description; `annotations`
    holds MCP's four boolean hints as far as they were given.
    """

    title: str
    description: str
    property_titles: Mapping[str, str]
    annotations: Mapping[str, bool]
    sha256: str
    is_current: bool
    input_schema: Mapping[str, object] | None = field(default=None, compare=False)


@dataclass(frozen=True, slots=True)
class ToolLabels:
    """The accepted definition of an action's tool, and what the provider offers now where that is something else."""

    accepted: DescribedTool | None = None
    offered: DescribedTool | None = None

    @property
    def is_drifted(self) -> bool:
        """Whether what was accepted is no longer what is offered."""
        return self.accepted is not None and self.offered is not None


def described(row: ToolDefinition) -> DescribedTool:
    """A stored definition, read."""
    document: dict[str, Any] = json.loads(row.definition_text)
    annotations = document.get("annotations") or {}
    schema = document.get("input_schema")
    properties = schema.get("properties") if isinstance(schema, dict) else None
    named = (
        {key: words for key, found in properties.items() if isinstance(found, dict) and (words := _words(found))}
        if isinstance(properties, dict)
        else {}
    )
    return DescribedTool(
        title=str(document.get("title") or annotations.get("title") or ""),
        description=str(document.get("description") or ""),
        property_titles=named,
        annotations={name: annotations[name] for name, _, _ in _HINTS if isinstance(annotations.get(name), bool)},
        sha256=row.sha256,
        is_current=row.is_current,
        input_schema=schema if isinstance(schema, dict) else None,
    )


def _words(schema: Mapping[str, object]) -> str:
    title, description = (str(schema.get(name) or "").strip() for name in ("title", "description"))
    return title or description.partition("\n")[0].partition(". ")[0].removesuffix(".")


def labels_for(tenant_id: UUID, action_ids: Iterable[str]) -> dict[str, ToolLabels]:
    """By action, the accepted definition and the differing current one; actions without either are left out.

    One query. Call inside the tenant's transaction.
    """
    wanted = sorted(set(action_ids))
    rows = rows_of(ToolDefinition, tenant_id).filter(
        Q(state=ToolDefinition.State.ACCEPTED) | Q(is_current=True), action_id__in=wanted
    )
    accepted: dict[str, DescribedTool] = {}
    offered: dict[str, DescribedTool] = {}
    for row in rows:
        is_accepted = row.state == ToolDefinition.State.ACCEPTED
        (accepted if is_accepted else offered)[row.action_id] = described(row)
    return {
        action_id: ToolLabels(accepted.get(action_id), offered.get(action_id))
        for action_id in wanted
        if action_id in accepted or action_id in offered
    }


def facts_of(tenant_id: UUID) -> dict[str, ToolFacts]:
    """By action, what rules read of its tool. One query; of each definition only the hints leave the database."""
    rows = (
        rows_of(ToolDefinition, tenant_id)
        .filter(Q(state=ToolDefinition.State.ACCEPTED) | Q(is_current=True))
        .annotate(hints=KeyTransform("annotations", Cast("definition_text", JSONField())))
        .values_list("action_id", "sha256", "state", "is_current", "hints")
    )
    accepted: dict[str, str] = {}
    offered: dict[str, str] = {}
    hints: dict[str, Mapping[str, object]] = {}
    for action_id, sha256, state, is_current, given in rows:
        if state == ToolDefinition.State.ACCEPTED:
            accepted[action_id], hints[action_id] = sha256, given or {}
        if is_current:
            offered[action_id] = sha256
    return {
        action_id: _facts(accepted.get(action_id, ""), offered.get(action_id, ""), hints.get(action_id, {}))
        for action_id in {*accepted, *offered}
    }


def _facts(accepted: str, offered: str, hints: Mapping[str, object]) -> ToolFacts:
    plain = ToolFacts(accepted, offered)
    if plain.is_drifted:
        # What was accepted no longer describes what would run.
        return plain
    believed = {
        name: hints[hint] is True if isinstance(hints.get(hint), bool) else worse for hint, name, worse in _HINTS
    }
    return ToolFacts(accepted, offered, **believed)
