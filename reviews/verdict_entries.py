"""The entry of a verdict: identifiers and numbers in its body, words and amended values as disclosures."""

from __future__ import annotations

import json
from collections.abc import Sequence
from datetime import datetime
from typing import Any

from audit.canonical import canonical
from audit.record import Disclosure, EntryDraft, Recorded, record
from policy.evaluate import Ruling
from reviews.amendments import Amendment
from reviews.claims import member_actor
from reviews.models import Grant, Review, Verdict
from tenants.stepup import Evidence


def record_verdict(
    review: Review,
    verdict: Verdict,
    *,
    is_final: bool,
    grant: Grant | None,
    amendment: Amendment | None,
    cleared: Sequence[Verdict],
    evidence: Evidence | None,
    now: datetime,
) -> Recorded:
    """Record the verdict; with an amendment both digests, what policy said of the amended call, and what it cleared."""
    fields: dict[str, object] = {
        "review": {"id": review.wire_id},
        "action_id": review.action_id,
        "verdict": verdict.kind,
        "code": verdict.code,
        "tier": review.tier,
        "call_digest": verdict.call_digest,
        "version": verdict.seen_version,
        "slot": verdict.slot,
        "approvals_needed": review.approvals_needed,
        "final": is_final,
        "via": verdict.via,
        "release_at_us": int(verdict.release_at.timestamp() * 1_000_000),
    }
    if review.rule_id:
        fields["rule"] = {"id": review.rule_id}
    if review.revision_id:
        fields["revision"] = {"id": review.revision_id, "sha256": review.revision_sha256}
    if grant is not None:
        fields["grant"] = {"id": grant.wire_id}
    if evidence is not None:
        fields["auth"] = evidence.as_fields(now)
    if verdict.template_digest:
        fields["card_template"] = verdict.template_digest
    if verdict.amended_digest:
        fields["amended_digest"] = verdict.amended_digest
    if amendment is not None:
        fields["evaluation"] = _evaluation(amendment.ruling)
    if cleared:
        fields["cleared"] = [one.entry_uid for one in cleared]
    return record(
        review.tenant_id,
        EntryDraft(
            kind="review.decided",
            fields=fields,
            actor=member_actor(verdict.member),
            refs=(review.entry_uid,),
            disclosures=_disclosures(verdict, amendment),
        ),
    )


def _evaluation(ruling: Ruling) -> dict[str, Any]:
    said: dict[str, Any] = {
        "effect": ruling.effect,
        "mode": ruling.mode,
        "tier": ruling.tier,
        "matched": [hit.rule_id for hit in ruling.matched],
        "state_version": ruling.state_version,
    }
    if ruling.revision_id is not None:
        said["revision"] = {"id": ruling.revision_id, "sha256": ruling.revision_sha256}
    return said


def _disclosures(verdict: Verdict, amendment: Amendment | None) -> tuple[Disclosure, ...]:
    user = verdict.member.user
    said = {"reviewer.name": user.name, "reviewer.email": user.email, "message": verdict.message, "note": verdict.note}
    values = [Disclosure(name, json.dumps(text, ensure_ascii=False)) for name, text in said.items() if text]
    if amendment is not None:
        # Canonical text, as the amended digest covers it, with the salt of the call that was asked.
        values += [
            Disclosure(f"amended_params.{key}", canonical(value).decode()) for key, value in amendment.params.items()
        ]
    return tuple(values)
