"""The kinds of entries that this app records, each with its sentence."""

from __future__ import annotations

from audit.kinds import EntryView, register

_DECISIONS = {"allow": "allowed", "review": "held for review", "deny": "denied"}
_VERDICTS = {"approve": "approved", "approve_with_amendments": "approved with changes", "deny": "denied"}
_OUTCOMES = {
    "started": "started",
    "succeeded": "succeeded",
    "failed": "failed",
    "not_run": "was not run",
}


def _call_evaluated(entry: EntryView) -> str:
    decision = _DECISIONS.get(entry.text("decision"), entry.text("decision"))
    rule = entry.text("rule.id")
    by = f" by rule {rule}" if rule else " by a freeze" if entry.get("freeze") else ""
    effect, mode = entry.text("effect"), entry.text("mode")
    observed = (
        f"; enforced, it would be {_DECISIONS.get(effect, effect)}"
        if mode == "observe" and effect not in ("allow", entry.text("decision"))
        else ""
    )
    return f"{entry.actor_name} asked to run {entry.text('action_id')}: {decision}{by}{observed}."


def _call_refused(entry: EntryView) -> str:
    return f"A request of {entry.text('size')} bytes by {entry.actor_name} was refused: {entry.text('code')}."


def _review_claimed(entry: EntryView) -> str:
    how = "took over" if entry.text("taken_over") == "true" else "claimed"
    return f"{entry.actor_name} {how} the review of {entry.text('action_id')}."


def _review_released(entry: EntryView) -> str:
    return f"{entry.actor_name} gave up the claim on the review of {entry.text('action_id')}."


def _review_decided(entry: EntryView) -> str:
    verdict = _VERDICTS.get(entry.text("verdict"), entry.text("verdict"))
    return f"{entry.actor_name} {verdict} {entry.text('action_id')}."


def _review_undone(entry: EntryView) -> str:
    return f"{entry.actor_name} took back the verdict on {entry.text('action_id')} before it was released."


def _review_expired(entry: EntryView) -> str:
    return f"No one decided {entry.text('action_id')} in time: denied."


def _review_cancelled(entry: EntryView) -> str:
    return f"{entry.actor_name} no longer wanted {entry.text('action_id')}."


def _grant_used(entry: EntryView) -> str:
    return f"{entry.actor_name} used the grant for {entry.text('action_id')}."


def _call_outcome(entry: EntryView) -> str:
    if entry.text("outcome") == "unknown":
        return f"Nobody reported what became of {entry.text('action_id')} in time."
    outcome = _OUTCOMES.get(entry.text("outcome"), entry.text("outcome"))
    return f"{entry.text('action_id') or 'The call'} {outcome}, says {entry.actor_name}."


def _resume_delivered(entry: EntryView) -> str:
    return f"The caller was told to look at its review of {entry.text('action_id')}."


def _resume_failed(entry: EntryView) -> str:
    return f"The caller could not be told about its review of {entry.text('action_id')}."


def _card_template_changed(entry: EntryView) -> str:
    return f"{entry.actor_name} activated version {entry.text('version')} of the card template for {entry.text('action_id')}."


def register_all() -> None:
    """Register them; called once, from AppConfig.ready."""
    register("call.evaluated", sentence=_call_evaluated, label="Call evaluated")
    register("call.refused", sentence=_call_refused, label="Request refused")
    register("review.claimed", sentence=_review_claimed, label="Review claimed")
    register("review.released", sentence=_review_released, label="Claim released")
    register("review.decided", sentence=_review_decided, label="Review decided")
    register("review.undone", sentence=_review_undone, label="Verdict undone")
    register("review.expired", sentence=_review_expired, label="Review expired")
    register("review.cancelled", sentence=_review_cancelled, label="Review cancelled")
    register("grant.used", sentence=_grant_used, label="Grant used")
    register("call.outcome", sentence=_call_outcome, label="Call outcome")
    register("resume.delivered", sentence=_resume_delivered, label="Caller told")
    register("resume.failed", sentence=_resume_failed, label="Caller not told")
    register("card_template.activated", sentence=_card_template_changed, label="Card template activated")
