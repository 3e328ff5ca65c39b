"""The card of a review: its canonical bytes with everything that the tenant knows beside them. Reads only."""

from __future__ import annotations

import hashlib
import hmac
import json
from collections.abc import Iterable, Mapping
from datetime import datetime
from typing import Any, Final
from urllib.parse import urlsplit
from uuid import UUID

from django.conf import settings

from reviews.cards.present import build_card, template_from
from reviews.cards.types import Card, CardInput, Caution, Condition, Hit, Notice, Template, ToolLabels
from reviews.models import CardTemplate, DeskSettings, Review
from reviews.template_content import Content

# Who a call is made for, by the names that applications use; the application's word, not ours.
_PRINCIPAL_KEYS: Final = ("name", "user_name", "display_name", "email", "user_email", "user_id", "id")


def active_templates(actions: Iterable[str], *, tenant_id: UUID) -> dict[str, Template]:
    """The active card template of each action. Two queries; the second only where a template has links."""
    rows = list(
        CardTemplate.objects.filter(tenant_id=tenant_id, action_id__in=set(actions), status=CardTemplate.Status.ACTIVE)
    )
    hosts = desk_settings(tenant_id).link_hosts if any(row.links for row in rows) else ()
    return {row.action_id: read_template(row, link_hosts=hosts) for row in rows}


def read_template(row: CardTemplate, *, link_hosts: Iterable[str]) -> Template:
    """A stored template as cards use it; a link whose host is no longer allowed is left out."""
    allowed = {host.casefold() for host in link_hosts}
    return template_from(
        sentence=row.sentence,
        facts=row.facts,
        decisive=row.decisive,
        version=row.version,
        cautions=row.cautions,
        links=[link for item in row.links if (link := _allowed_link(item, allowed)) is not None],
        compare_on=row.compare_on,
        undo=row.undo,
        undo_how=row.undo_how,
        # Of what is shown, not the column: a row that somebody changed by hand leaves another digest on each verdict.
        digest=Content.of(row).digest(row.action_id),
    )


def _allowed_link(item: object, allowed: set[str]) -> dict[str, str] | None:
    if not isinstance(item, dict):
        return None
    url = str(item.get("url") or "")
    parts = urlsplit(url)
    host = (parts.hostname or "").casefold()
    if parts.scheme != "https" or host not in allowed or "{" in parts.netloc:
        return None
    return {"pointer": str(item.get("pointer") or ""), "url": url, "host": host}


def desk_settings(tenant_id: UUID) -> DeskSettings:
    """The tenant's settings, or the defaults where nobody set any. One query."""
    return DeskSettings.objects.filter(tenant_id=tenant_id).first() or DeskSettings(tenant_id=tenant_id)


def card_of(
    review: Review,
    template: Template | None,
    *,
    now: datetime,
    schema: Mapping[str, object] | None = None,
    tool: ToolLabels | None = None,
    own_domains: frozenset[str] = frozenset(),
    known_addresses: frozenset[str] | None = None,
    zone: str = "UTC",
    findings: tuple[Notice, ...] = (),
    template_cautions: tuple[Caution, ...] = (),
    last_params: object | None = None,
) -> Card:
    """The card of a review, from its canonical bytes; no query of its own, so that a queue can afford it per row.

    `schema` is the one an admin accepted for its params; the rest as in `CardInput`.
    """
    context = json.loads(review.user_context_text)
    return build_card(
        CardInput(
            action_id=review.action_id,
            params=json.loads(review.params_text),
            user_context=context,
            agent_name=review.agent.name,
            now=now,
            on_behalf_of=principal_of(context),
            template=template,
            schema=schema,
            hits=tuple(_hit(hit) for hit in review.hits),
            tier=review.tier,
            call_digest=review.call_digest,
            call_index=review.call_index,
            call_count=review.call_count,
            tool=tool,
            own_domains=own_domains,
            known_addresses=known_addresses,
            zone=zone,
            fingerprint_key=fingerprint_key(review.tenant_id),
            findings=findings,
            template_cautions=template_cautions,
            last_params=last_params,
        )
    )


def principal_of(context: object) -> str:
    """Who the call is made for, in the application's words; empty where it does not say."""
    if not isinstance(context, dict):
        return ""
    return next(
        (str(context[key]) for key in _PRINCIPAL_KEYS if isinstance(context.get(key), str) and context[key]), ""
    )


def fingerprint_key(tenant_id: UUID) -> bytes:
    """What keys the fingerprints of a tenant's secrets: equal secrets look equal here, and nowhere else."""
    key = hashlib.sha256(b"guardsite.card.fingerprint" + settings.SECRET_KEY.encode()).digest()
    return hmac.new(key, tenant_id.bytes, hashlib.sha256).digest()


def _hit(hit: Mapping[str, Any]) -> Hit:
    """A rule hit as it was frozen on the review; of its conditions those that made it match, or all if none did."""
    leaves = hit.get("leaves") or []
    telling = [leaf for leaf in leaves if leaf.get("result") in ("true", "error", True)] or leaves
    return Hit(
        rule_id=str(hit.get("rule_id", "")),
        name=str(hit.get("name", "")),
        effect=str(hit.get("effect", "")),
        reason=str(hit.get("reason") or ""),
        note=str(hit.get("note") or ""),
        result=str(hit.get("result", "match")),
        error=str(hit.get("error") or ""),
        conditions=tuple(
            Condition(
                source=str(leaf.get("text") or ""),
                result=str(leaf.get("result") or ""),
                sentence=str(leaf.get("sentence") or leaf.get("text") or ""),
                values=leaf.get("values") or {},
            )
            for leaf in telling
        ),
    )
