"""The readiness report of a tenant or an action, from the log: counts of what was recorded, older calls replayed.

Source: the policy design, section 13. One named revision answers for every call: the live one. What it decided is
read from the entries; calls of earlier revisions are replayed on it, the newest 2,000, and the rest is left out and
counted.
"""

from __future__ import annotations

import hashlib
from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from statistics import median
from typing import Final
from uuid import UUID

from audit.calls import RecordedCall, bodies_of, call_facts, calls_by_uid, count_calls
from audit.scope import as_tenant
from policy.backtest import Pair
from policy.evaluate import ModeState, Program
from policy.live import live_policy
from policy.models import CallLabel, PolicyState
from policy.readiness import Figures, Report, judge
from policy.replay import AgentFacts, Memory, call_of, replayed
from tenants.isolation import rows_of
from tenants.models import Agent, Member
from tenants.roles import permissions_of

WINDOW: Final = timedelta(days=30)
MOST_CALLS: Final = 20_000
MOST_REPLAYED: Final = 2_000
MOST_OPENED: Final = 1_000
SAMPLE: Final = 100  # stopped calls offered for labelling
TOP: Final = 5
DEFAULT_DUE_SECONDS: Final = 900
DEFAULT_HANDLING_SECONDS: Final = 120.0
LEAST_MEASURED: Final = 5
DECIDE: Final = "reviews.decide_review"


@dataclass(frozen=True, slots=True)
class Counted:
    """One call as the live revision rules on it; what was done with it when it came is the call's own."""

    call: RecordedCall
    effect: str
    rule: str | None
    could_not: bool

    @property
    def was_stopped(self) -> bool:
        """Whether the call was held or denied when it came. One that joined an approved review was held before."""
        return self.call.decision != "allow" or self.call.review is not None


@dataclass(frozen=True)
class Reading:
    """The report with the calls behind it: those the rules stop, and those that could not be evaluated."""

    report: Report
    stopped: tuple[Counted, ...]
    not_evaluated: tuple[str, ...]  # uids


def agents_of(tenant_id: UUID) -> dict[str, AgentFacts]:
    """The tenant's agents by id, as rules see them."""
    with as_tenant(tenant_id):
        rows = list(rows_of(Agent, tenant_id))
    return {
        row.slug: AgentFacts(row.slug, row.name, row.version, str(row.owner_id or ""), tuple(row.tags)) for row in rows
    }


def read(tenant_id: UUID, *, action_id: str | None = None, now: datetime) -> Reading:
    """The readiness of a tenant, or of one action, at `now`; reads, writes nothing."""
    since = now - WINDOW
    actions = [action_id] if action_id else ["*"]
    facts = call_facts(tenant_id, actions=actions, since=since, until=now, limit=MOST_CALLS)
    everything = count_calls(tenant_id, actions=actions, since=since, until=now)
    policy = live_policy(tenant_id)
    rules = policy.program.rules if policy.program else None
    current = [call for call in facts if rules and call.revision_sha256 == rules.sha256 and not call.is_frozen]
    older = [call for call in facts if not call.is_frozen and not (rules and call.revision_sha256 == rules.sha256)]
    counted = [Counted(call, call.effect, call.rule, bool(call.errors)) for call in current]
    again: list[Counted] = []
    unreadable: list[str] = []
    if policy.program is not None and policy.state is not None:
        again, unreadable = _replay(tenant_id, older[:MOST_REPLAYED], policy.program, policy.state)
    counted += again
    stopped = tuple(item for item in counted if item.effect != "allow")
    failed = [item.call.uid for item in counted if item.could_not] + unreadable
    frozen = sum(call.is_frozen for call in facts)
    with as_tenant(tenant_id):
        state = rows_of(PolicyState, tenant_id).select_related("live").defer("live__snapshot").get()
        labels = _labels(tenant_id, stopped)
        people = _who_may_decide(tenant_id)
    handling, is_measured = _handling(tenant_id, since)
    denied = [item for item in counted if item.effect == "deny"]
    figures = Figures(
        since=since,
        until=now,
        calls=len(counted),
        denied=len(denied),
        held=len(stopped) - len(denied),
        not_evaluated=len(failed),
        first_call_at=min((item.call.decided_at for item in counted), default=None),
        replayed=len(again),
        left_out=everything - len(counted) - len(unreadable) - frozen,
        frozen=frozen,
        stopped_already=sum(item.was_stopped for item in stopped),
        top_actions=_top(item.call.action_id for item in denied or stopped),
        top_rules=_top(item.rule or "" for item in denied or stopped),
        agents=len({item.call.agent for item in stopped}),
        users=_users(tenant_id, stopped),
        right=sum(labels.values()),
        labelled=len(labels),
        published_at=state.live.published_at if state.live else None,
        revision_number=state.live.number if state.live else None,
        revision_sha256=state.live.sha256 if state.live else None,
        held_by_hour=_by_hour([item.call.decided_at for item in stopped if item.effect == "review"]),
        handling_seconds=handling,
        handling_is_measured=is_measured,
        due_in_seconds=_due_in(policy.program),
        people=people,
    )
    return Reading(judge(figures), stopped, tuple(failed))


def to_label(tenant_id: UUID, reading: Reading) -> list[Counted]:
    """The sample's calls that nobody has labelled: at random, the same for everybody. Call inside the transaction."""
    sample = sorted(reading.stopped, key=lambda item: hashlib.sha256(item.call.uid.encode()).digest())[:SAMPLE]
    done = set(
        rows_of(CallLabel, tenant_id)
        .filter(entry_uid__in=[item.call.uid for item in sample])
        .values_list("entry_uid", flat=True)
    )
    return [item for item in sample if item.call.uid not in done]


def pair_of(tenant_id: UUID, draft: Program) -> Pair | None:
    """The draft beside what is live; None when that cannot be loaded."""
    policy = live_policy(tenant_id)
    if policy.program is None or policy.state is None:
        return None
    return Pair(policy.program, draft, policy.state)


def _replay(
    tenant_id: UUID, calls: Sequence[RecordedCall], program: Program, state: ModeState
) -> tuple[list[Counted], list[str]]:
    agents = agents_of(tenant_id)
    found: list[Counted] = []
    unreadable: list[str] = []
    memory = Memory()
    in_time = calls[::-1]  # counters are rebuilt as the calls came
    for start in range(0, len(in_time), 500):
        opened = calls_by_uid(tenant_id, [UUID(call.uid) for call in in_time[start : start + 500]])
        for recorded in opened[::-1]:
            call = call_of(recorded, agents)
            if call is None:
                unreadable.append(recorded.uid)
                continue
            ruling = replayed(program, state, call, memory, ran=recorded.decision == "allow")
            rule = ruling.primary.rule_id if ruling.primary else None
            found.append(Counted(recorded, ruling.effect, rule, bool(ruling.errors)))
    return found, unreadable


def _labels(tenant_id: UUID, stopped: Sequence[Counted]) -> dict[str, bool]:
    uids = [item.call.uid for item in stopped]
    rows = rows_of(CallLabel, tenant_id).filter(entry_uid__in=uids)
    return dict(rows.values_list("entry_uid", "is_right"))


def _who_may_decide(tenant_id: UUID) -> int:
    members = rows_of(Member, tenant_id).filter(is_active=True)
    return sum(DECIDE in permissions_of(member.roles) for member in members)


def _handling(tenant_id: UUID, since: datetime) -> tuple[float, bool]:
    """Median seconds from the last claim to the verdict, and whether enough were measured to say."""
    claimed: dict[str, int] = {}
    seconds: list[float] = []
    for body in bodies_of(tenant_id, ("review.claimed", "review.decided"), since=since, limit=10_000):
        review = str((body.get("review") or {}).get("id"))
        if body["kind"] == "review.claimed":
            claimed[review] = body["decided_at_us"]
        elif review in claimed:
            seconds.append((body["decided_at_us"] - claimed[review]) / 1_000_000)
    if len(seconds) < LEAST_MEASURED:
        return DEFAULT_HANDLING_SECONDS, False
    return max(1.0, median(seconds)), True


def _users(tenant_id: UUID, stopped: Sequence[Counted]) -> int:
    uids = [UUID(item.call.uid) for item in stopped[:MOST_OPENED]]
    users = {(call.user or {}).get("user_id") for call in calls_by_uid(tenant_id, uids)}
    return len({str(user) for user in users if user is not None})


def _by_hour(moments: Sequence[datetime]) -> Mapping[int, float]:
    """Hour of the week → arrivals in it in an average week of those that were seen, one at least."""
    if not moments:
        return {}
    weeks = max(1.0, (max(moments) - min(moments)).total_seconds() / (7 * 86_400))
    found = Counter(at.astimezone(UTC).weekday() * 24 + at.astimezone(UTC).hour for at in moments)
    return {hour: count / weeks for hour, count in found.items()}


def _due_in(program: Program | None) -> int:
    rules = program.rules.rules if program else ()
    return min((rule.due_in_seconds for rule in rules if rule.due_in_seconds), default=DEFAULT_DUE_SECONDS)


def _top(names: Iterable[str]) -> tuple[tuple[str, int], ...]:
    return tuple(Counter(names).most_common(TOP))
