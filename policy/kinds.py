"""The kinds of entries that this app records, each with its sentence."""

from __future__ import annotations

from audit.kinds import EntryView, register


def _revision(entry: EntryView) -> str:
    number, previous = entry.text("revision.number"), entry.text("previous.number")
    if entry.get("rollback"):
        return f"{entry.actor_name} rolled policy back from revision {previous} to {number}."
    after = f", after {previous}" if previous else ""
    return f"{entry.actor_name} published policy revision {number}{after}."


def _mode(entry: EntryView) -> str:
    scope = f"the action {entry.text('action_id')}" if entry.get("scope") == "action" else "the tenant"
    return f"{entry.actor_name} switched {scope} from {_described(entry, 'before')} to {_described(entry, 'after')}."


def _described(entry: EntryView, side: str) -> str:
    mode = entry.text(f"{side}.mode")
    if mode == "inherited":
        return "the tenant's mode"
    percent = entry.get(f"{side}.percent")
    return f"{mode} for {percent} %" if mode == "enforce" and percent != 100 else mode


def _rule(entry: EntryView) -> str:
    return f"{entry.actor_name}: rule {entry.text('rule.id')} {entry.text('change')} in the draft."


def _action(entry: EntryView) -> str:
    return f"{entry.actor_name}: action {entry.text('action_id')} {entry.text('change')} in the draft."


def _defaults(entry: EntryView) -> str:
    return (
        f"{entry.actor_name} set the defaults: unmapped actions {entry.text('unmapped')}, "
        f"mapped actions {entry.text('mapped')}, on failure {entry.text('on_engine_failure')}."
    )


def register_all() -> None:
    """Register them; called once, from AppConfig.ready."""
    register("revision.published", sentence=_revision, label="Policy published")
    register("mode.changed", sentence=_mode, label="Mode changed")
    register("rule.changed", sentence=_rule, label="Rule changed")
    register("action.changed", sentence=_action, label="Action changed")
    register("defaults.changed", sentence=_defaults, label="Policy defaults changed")
