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
    if entry.text("code") == "review_rate_limited":
        by += ", as it had asked for more reviews than an hour holds"
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
    if entry.get("final") is False:
        place = f"{entry.text('slot')} of {entry.text('approvals_needed')}"
        return f"{entry.actor_name} {verdict} {entry.text('action_id')}: approval {place}, so nothing runs yet."
    return f"{entry.actor_name} {verdict} {entry.text('action_id')}."


def _question_asked(entry: EntryView) -> str:
    return f"{entry.actor_name} asked the agent about {entry.text('action_id')}."


def _question_answered(entry: EntryView) -> str:
    return f"{entry.actor_name} answered a question about {entry.text('action_id')}."


def _grant_mismatch(entry: EntryView) -> str:
    return f"{entry.actor_name} tried to run {entry.text('action_id')} with other params than were approved: refused."


def _review_undone(entry: EntryView) -> str:
    return f"{entry.actor_name} took back the verdict on {entry.text('action_id')} before it was released."


def _verdict_flagged(entry: EntryView) -> str:
    return f"{entry.actor_name} called the verdict on {entry.text('action_id')} a mistake."


def _verdict_flag_withdrawn(entry: EntryView) -> str:
    return f"{entry.actor_name} no longer calls the verdict on {entry.text('action_id')} a mistake."


def _review_superseded(entry: EntryView) -> str:
    return f"{entry.actor_name} decided another copy of {entry.text('action_id')}, so this one does not run."


def _review_snoozed(entry: EntryView) -> str:
    return f"{entry.actor_name} put the review of {entry.text('action_id')} off for {entry.text('minutes')} min."


def _review_skipped(entry: EntryView) -> str:
    return (
        f"{entry.actor_name} skipped the review of {entry.text('action_id')}: {entry.text('code').replace('_', ' ')}."
    )


def _review_escalated(entry: EntryView) -> str:
    whom = f"team {entry.text('to_team')}" if entry.get("to_team") else "another person"
    why = entry.text("code").replace("_", " ")
    return f"{entry.actor_name} handed the review of {entry.text('action_id')} to {whom}: {why}."


def _precedents_read(entry: EntryView) -> str:
    return (
        f"{entry.actor_name} looked at how {len(entry.get('shown') or [])} earlier calls to {entry.text('action_id')} "
        "were decided."
    )


def _secret_revealed(entry: EntryView) -> str:
    return f"{entry.actor_name} opened a masked value of a call to {entry.text('action_id')}."


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
    return f"The agent was told that its review of {entry.text('action_id')} is decided."


def _resume_failed(entry: EntryView) -> str:
    return f"The agent could not be told that its review of {entry.text('action_id')} is decided."


def _card_template_changed(entry: EntryView) -> str:
    version = f"version {entry.text('version')} of the card template for {entry.text('action_id')}"
    if entry.kind == "card_template.retired":
        return f"{entry.actor_name} retired {version}: its calls read generically."
    after = f", in place of version {entry.text('before_version')}" if entry.get("before_version") else ""
    return f"{entry.actor_name} activated {version}{after}."


def _card_template_previewed(entry: EntryView) -> str:
    return (
        f"{entry.actor_name} tried a card template for {entry.text('action_id')} on {entry.text('calls')} recorded calls "
        "and saw their values."
    )


def _desk_changed(entry: EntryView) -> str:
    names = ", ".join(str(name).replace("_", " ") for name in entry.get("changed") or ())
    return f"{entry.actor_name} changed how the desk works: {names}."


def _notice_changed(entry: EntryView) -> str:
    done = {"created": "set up", "rotated": "gave a new secret to"}.get(entry.text("change"), "changed")
    what = "a webhook" if entry.text("channel") == "webhook" else "a notice by e-mail"
    events = ", ".join(str(event).replace("_", " ") for event in entry.get("events") or ())
    return f"{entry.actor_name} {done} {what} for: {events}."


def _notice_replayed(entry: EntryView) -> str:
    return f"{entry.actor_name} had a notice sent again that was given up ({entry.text('event').replace('_', ' ')})."


def register_all() -> None:
    """Register them; called once, from AppConfig.ready."""
    register("call.evaluated", sentence=_call_evaluated, label="Call evaluated")
    register("call.refused", sentence=_call_refused, label="Request refused")
    register("review.claimed", sentence=_review_claimed, label="Review claimed")
    register("review.released", sentence=_review_released, label="Claim released")
    register("review.decided", sentence=_review_decided, label="Review decided", version=2)
    register("review.question_asked", sentence=_question_asked, label="Question asked")
    register("review.question_answered", sentence=_question_answered, label="Question answered")
    register("grant.mismatch", sentence=_grant_mismatch, label="Run with other params refused")
    register("review.undone", sentence=_review_undone, label="Verdict undone", version=2)
    register("verdict.flagged", sentence=_verdict_flagged, label="Verdict called a mistake")
    register("verdict.flag_withdrawn", sentence=_verdict_flag_withdrawn, label="Flag on a verdict taken back")
    register("review.superseded", sentence=_review_superseded, label="Copy superseded")
    register("review.snoozed", sentence=_review_snoozed, label="Review snoozed")
    register("review.skipped", sentence=_review_skipped, label="Review skipped")
    register("review.escalated", sentence=_review_escalated, label="Review handed on")
    register("review.precedents_read", sentence=_precedents_read, label="Earlier verdicts read")
    register("review.secret_revealed", sentence=_secret_revealed, label="Masked value opened")
    register("review.expired", sentence=_review_expired, label="Review expired")
    register("review.cancelled", sentence=_review_cancelled, label="Review cancelled")
    register("grant.used", sentence=_grant_used, label="Grant used")
    register("call.outcome", sentence=_call_outcome, label="Call outcome")
    register("resume.delivered", sentence=_resume_delivered, label="Agent told")
    register("resume.failed", sentence=_resume_failed, label="Agent not told")
    register("card_template.activated", sentence=_card_template_changed, label="Card template activated", version=2)
    register("card_template.retired", sentence=_card_template_changed, label="Card template retired")
    register("card_template.previewed", sentence=_card_template_previewed, label="Card template tried on calls")
    register("desk.changed", sentence=_desk_changed, label="Desk settings changed")
    register("notice.changed", sentence=_notice_changed, label="Notice set up", about="target")
    register("notice.replayed", sentence=_notice_replayed, label="Notice sent again")
