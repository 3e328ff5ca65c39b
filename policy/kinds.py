"""The kinds of entries that this app records, each with its sentence."""

from __future__ import annotations

from collections.abc import Callable

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


def _tried(entry: EntryView) -> str:
    return (
        f"{entry.actor_name} tried the rule {entry.text('rule.id')} on {entry.text('calls')} recorded calls "
        "and saw why, with their values."
    )


def _action(entry: EntryView) -> str:
    return f"{entry.actor_name}: action {entry.text('action_id')} {entry.text('change')} in the draft."


def _defaults(entry: EntryView) -> str:
    return (
        f"{entry.actor_name} set the defaults: unmapped actions {entry.text('unmapped')}, "
        f"mapped actions {entry.text('mapped')}, on failure {entry.text('on_engine_failure')}."
    )


def _pack(entry: EntryView) -> str:
    return f"{entry.actor_name} adopted the pack {entry.text('pack.id')} {entry.text('pack.version')} into the draft."


def _judge(entry: EntryView) -> str:
    done = {"on": "switched on", "off": "switched off"}.get(entry.text("change"), "changed")
    return f"{entry.actor_name} {done} the judge {entry.text('judge.id')} for {entry.text('action_id')}."


def _freeze(entry: EntryView) -> str:
    if entry.get("pause"):
        why = entry.text("code").replace("_", " ")
        return f"{entry.actor_name} paused {_frozen(entry)} ({why}): every call is denied until a lead resumes it."
    return f"{entry.actor_name} froze {_frozen(entry)}: every call is denied until it is lifted."


def _lifted(entry: EntryView) -> str:
    if entry.text("scope") == "agent":
        return f"{entry.actor_name} resumed {_frozen(entry)}."
    return f"{entry.actor_name} lifted the freeze on {_frozen(entry)}."


def _frozen(entry: EntryView) -> str:
    target = entry.text("target")
    return {"agent": f"the agent {target}", "action": f"the actions {target}"}.get(entry.text("scope"), "the tenant")


def _label(entry: EntryView) -> str:
    word = "right" if entry.get("is_right") else "wrong"
    return f"{entry.actor_name} called it {word} to stop a call of {entry.text('action_id')}."


def _backtest(entry: EntryView) -> str:
    return f"{entry.actor_name} replayed {entry.text('calls')} recorded calls on the draft {entry.text('draft_sha256')[:8]}."


def _shadow(entry: EntryView) -> str:
    draft = f"the draft {entry.text('draft_sha256')[:8]}"
    if entry.get("change") == "stopped":
        return f"{entry.actor_name} stopped comparing {draft} with what is live."
    return f"{entry.actor_name} compares {draft} with what is live, for {entry.text('percent')} % of calls."


def _tool(entry: EntryView) -> str:
    definition = f"the definition {entry.text('sha256')[:8]} of the tool {entry.text('action_id')}"
    if entry.kind == "tool.accepted":
        return f"{entry.actor_name} accepted {definition}."
    if entry.kind == "tool.dismissed":
        return f"{entry.actor_name} read {definition} and did not accept it."
    drifted = ", which is not the accepted one" if entry.get("state") == "drifted" else ""
    return f"{entry.actor_name} offered {definition}{drifted}."


def _leaned_on(what: str) -> Callable[[EntryView], str]:
    def sentence(entry: EntryView) -> str:
        counts = [f"{entry.text(word)} {word}" for word in ("added", "removed") if entry.get(word)]
        values = f" ({', '.join(counts)})" if counts else ""
        return f"{entry.actor_name}: {what} {entry.text(what)} {entry.text('change')} in the draft{values}."

    return sentence


def register_all() -> None:
    """Register them; called once, from AppConfig.ready."""
    register("revision.published", sentence=_revision, label="Policy published", about="revision.id")
    register("mode.changed", sentence=_mode, label="Mode changed")
    register("rule.changed", sentence=_rule, label="Rule changed")
    register("list.changed", sentence=_leaned_on("list"), label="List changed", about="list")
    register("calendar.changed", sentence=_leaned_on("calendar"), label="Calendar changed", about="calendar")
    register("counter.changed", sentence=_leaned_on("counter"), label="Counter changed", about="counter")
    register("rule.tried", sentence=_tried, label="Rule tried on recorded calls")
    register("action.changed", sentence=_action, label="Action changed")
    register("pack.adopted", sentence=_pack, label="Pack adopted")
    register("judge.changed", sentence=_judge, label="Judge changed")
    register("defaults.changed", sentence=_defaults, label="Policy defaults changed")
    register("freeze.set", sentence=_freeze, label="Frozen")
    register("freeze.lifted", sentence=_lifted, label="Freeze lifted")
    register("call.labelled", sentence=_label, label="Call labelled")
    register("backtest.started", sentence=_backtest, label="Backtest started")
    register("shadow.changed", sentence=_shadow, label="Shadow changed")
    register("tool.offered", sentence=_tool, label="Tool definition offered")
    register("tool.accepted", sentence=_tool, label="Tool definition accepted")
    register("tool.dismissed", sentence=_tool, label="Tool definition dismissed")
