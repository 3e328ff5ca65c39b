"""The cautions of a card template on one call: CEL in the policy's profile, under the policy's limits. Reads only.

A caution that cannot be evaluated says so on the card: silence would read as "all is well".
"""

from __future__ import annotations

import functools
import json
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime
from typing import Any, Final
from uuid import UUID

from policy.cel import CompileError, ContextLimitError, Engine
from policy.evaluate import ROOT_NAMES, Call, context_of, fields_read
from policy.live import live_policy
from reviews.cards.types import Caution, Severity, Template, TemplateCaution
from reviews.models import Review

# What is known of a call whenever its card is shown: counters, hints and the place in a run are known to the gate alone.
READABLE: Final = frozenset({"action_id", "params", "user", "agent", "now"})
UNCHECKED: Final = "guardsite could not check this: {text}"


@dataclass(frozen=True, slots=True)
class AskedCall:
    """A call as cautions see it; `now` is when it came in, aware UTC."""

    action_id: str
    params: Mapping[str, Any]  # JSON, as the two below
    user: Mapping[str, Any]
    agent: Mapping[str, Any]
    now: datetime


def template_cautions(template: Template, review: Review) -> tuple[Caution, ...]:
    """The cautions of the template that hold for the review, in the template's order, and those that failed.

    No query while this process's copy of the policy is fresh; none at all for a template without cautions.
    """
    if not template.cautions:
        return ()
    agent = review.agent
    call = AskedCall(
        action_id=review.action_id,
        params=json.loads(review.params_text),
        user=json.loads(review.user_context_text),
        agent={
            "id": agent.slug,
            "name": agent.name,
            "version": agent.version,
            "owner": str(agent.owner_id or ""),
            "tags": list(agent.tags),
        },
        now=review.created_at,
    )
    return cautions_of(template, call, tenant_id=review.tenant_id)


def cautions_of(template: Template, call: AskedCall, *, tenant_id: UUID) -> tuple[Caution, ...]:
    """The same for any call."""
    if not template.cautions:
        return ()
    engine = engine_of(tenant_id)
    if engine is None:
        return tuple(_unchecked(item) for item in template.cautions)
    context = context_of(
        Call(
            action_id=call.action_id,
            params=dict(call.params),
            user=dict(call.user),
            agent=call.agent,
            run={},
            tool={},
            request={},
            now=call.now,
            subject="",
        )
    )
    reads = _reads(tuple(item.when for item in template.cautions))
    try:
        activation = engine.activation(context, reads=reads)
    except ContextLimitError:
        return tuple(_unchecked(item) for item in template.cautions)
    found = []
    for item in template.cautions:
        try:
            value = engine.run(engine.compile(item.when), activation).value
        except CompileError:
            value = None
        if value is True:
            found.append(Caution("said", item.severity, {"text": item.text}))
        elif value is not False:
            found.append(_unchecked(item))
    return tuple(found)


def engine_of(tenant_id: UUID) -> Engine | None:
    """The engine of what is live, with its lists and calendars and everything it compiled before; None without one."""
    program = live_policy(tenant_id).program
    return program.engine if program is not None else None


def _unchecked(item: TemplateCaution) -> Caution:
    severity = Severity.CAUTION if item.severity is Severity.INFO else item.severity
    return Caution("said", severity, {"text": UNCHECKED.format(text=item.text)})


@functools.lru_cache(maxsize=500)
def _reads(conditions: tuple[str, ...]) -> dict[str, frozenset[str] | None]:
    """What the conditions read between them: the rest of a call is not carried over."""
    found: dict[str, frozenset[str] | None] = {}
    for text in conditions:
        for root, fields in fields_read(text, ROOT_NAMES).items():
            known = found.get(root, frozenset())
            found[root] = None if fields is None or known is None else known | fields
    return found
