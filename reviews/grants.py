"""Grants: what an approval permits, once, for exactly the params that were shown."""

from __future__ import annotations

from datetime import datetime, timedelta

from reviews.content import params_key
from reviews.models import Grant, Review, Verdict

# integrations.md section 3.3: an hour for a caller that waits, a quarter for one that is gone.
LASTS = timedelta(minutes=60)
LASTS_WHEN_GONE = timedelta(minutes=15)


def build(review: Review, verdict: Verdict) -> Grant:
    """The unsaved grant of an approval, usable from the release of its hold: for the amended params if there are some."""
    lasts = LASTS_WHEN_GONE if review.caller_gone_at is not None else LASTS
    params_text = verdict.amended_params_text or review.params_text
    return Grant(
        tenant_id=review.tenant_id,
        review=review,
        verdict=verdict,
        agent_id=review.agent_id,
        params_key=params_key(params_text, tenant_id=review.tenant_id),
        call_digest=verdict.amended_digest or review.call_digest,
        usable_at=verdict.release_at,
        expires_at=verdict.release_at + lasts,
    )


def void(verdict: Verdict, *, now: datetime) -> None:
    """End the grant of a verdict that was taken back."""
    Grant.objects.filter(verdict=verdict, used_at=None).update(voided_at=now)


def spend(grant: Grant, *, sent_params_key: str, now: datetime) -> bool:
    """Use the grant, if it is unused, usable, unexpired and for these params: one statement decides a race."""
    return bool(
        Grant.objects.filter(
            pk=grant.pk,
            used_at=None,
            voided_at=None,
            usable_at__lte=now,
            expires_at__gt=now,
            params_key=sent_params_key,
        ).update(used_at=now)
    )
