"""How fast policy decides, as ratios within one run: `make bench`, or `.venv/bin/python -m bench.policy [--quick]`.

Each ratio compares two things measured in interleaved rounds of this process; what is printed is the ratio of medians,
with the smallest and largest ratio of a round as its spread. Beside it stand the value to hold and its source: the
issue on policy, or policy.md section 16.10. The same goes to bench/results/policy-<time>.json.

The ratio about publishing starts a PostgreSQL of its own (fsync on) and publishes from another process.
"""

from __future__ import annotations

import argparse
import gc
import json
import multiprocessing
import os
import platform
import signal
import statistics
import sys
import threading
import time
from collections.abc import Callable, Sequence
from dataclasses import asdict, dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

ROOT = Path(__file__).resolve().parent.parent
sys.path[:0] = [str(ROOT), str(ROOT / "sdk")]
os.environ.setdefault("DJANGO_SETTINGS_MODULE", "tests.settings")

from cel_expr_python import cel  # noqa: E402

from audit.canonical import parse_strict  # noqa: E402
from bench.database import database  # noqa: E402
from policy.cel import Engine  # noqa: E402
from policy.evaluate import Call, ModeState, Program, Rule, RuleSet, context_of  # noqa: E402
from policy.functions import NamedList  # noqa: E402

ENFORCE = ModeState("bench", "enforce")
PARAMS = {
    "invoice_id": "in_88",
    "amount_cents": 1900,
    "currency": "USD",
    "customer": {"id": "c_1", "name": "Jo Doe", "email": "jo@demo.example"},
    "note": "The customer was charged twice for the last invoice and asks for the second charge back. " * 2,
    "lines": [{"sku": f"s{index}", "quantity": index, "cents": 100 * index} for index in range(6)],
}
USER = {"user_id": "u_9", "plan": "pro"}
AGENT = {"id": "bot", "name": "bot"}
RUN = {"id": "run_7"}
NOON = datetime(2026, 11, 20, 12, tzinfo=UTC)
BODY = json.dumps(
    {"idempotency_key": "x" * 32, "action_id": "svc0.act", "params": PARAMS, "user_context": USER, "run_id": "run_7"}
).encode()

# As the log keeps a call: the entry's body, and one [salt, name, value] for each value of the call.
DISCLOSED = [
    json.dumps(["s" * 22, f"{root}.{key}", value]).encode()
    for root, values in (("params", PARAMS), ("user_context", USER))
    for key, value in values.items()
]
ENTRY = json.dumps(
    {"kind": "call.evaluated", "action_id": "svc0.act", "effect": "allow", "decision": "allow", "mode": "observe"}
    | {"actor": {"type": "agent", "id": "bot"}, "corr": {"run_id": "run_7"}, "tier": 0, "matched": [], "errors": []}
    | {"_sd": ["d" * 43] * len(DISCLOSED)}
).encode()


@dataclass(frozen=True)
class Measured:
    """One ratio: of medians, with the spread over the rounds, what it should hold, and both medians in microseconds."""

    name: str
    ratio: float
    low: float
    high: float
    hold: float
    source: str
    above_us: float
    below_us: float

    @property
    def holds(self) -> bool:
        """Whether it is within what it should hold."""
        return self.ratio <= self.hold


class Bench:
    """Interleaved rounds of pairs."""

    def __init__(self, rounds: int, seconds: float) -> None:
        self.rounds = rounds
        self.seconds = seconds  # for each side of each round
        self.measured: list[Measured] = []

    def compare(
        self, name: str, above: Callable[[], object], below: Callable[[], object], *, hold: float, source: str
    ) -> None:
        """Add and print the ratio of `above` to `below`."""
        counts = [self._count(above), self._count(below)]
        pairs = [(self._time(above, counts[0]), self._time(below, counts[1])) for _ in range(self.rounds)]
        self.add(name, [one for one, _ in pairs], [one for _, one in pairs], hold=hold, source=source)

    def add(self, name: str, above: Sequence[float], below: Sequence[float], *, hold: float, source: str) -> None:
        """Add a ratio from microseconds measured elsewhere, round by round."""
        ratios = [one / other for one, other in zip(above, below, strict=True)]
        top, bottom = statistics.median(above), statistics.median(below)
        found = Measured(name, top / bottom, min(ratios), max(ratios), hold, source, top, bottom)
        self.measured.append(found)
        mark = "ok  " if found.holds else "MISS"
        print(
            f"{mark} {found.ratio:6.2f}  (hold {hold:g}; {found.low:.2f}-{found.high:.2f})  {name}"
            f"  [{top:.1f} / {bottom:.1f} µs]  {source}",
            flush=True,
        )

    def _count(self, function: Callable[[], object]) -> int:
        for _ in range(60):  # beyond the 50 actions: what is compiled at first sight is compiled
            function()
        started = time.perf_counter()
        function()
        return max(5, int(self.seconds / max(time.perf_counter() - started, 1e-7)))

    @staticmethod
    def _time(function: Callable[[], object], count: int) -> float:
        gc.collect()
        gc.disable()
        # Of this thread alone: what else the machine does is no part of a decision.
        started = time.thread_time()
        for _ in range(count):
            function()
        elapsed = time.thread_time() - started
        gc.enable()
        return elapsed / count * 1e6


def rules_of(count: int, *, scoped_by: int | None = None) -> tuple[Rule, ...]:
    """Review rules that do not match; `scoped_by` of them per action, else each over every action."""
    return tuple(
        Rule(
            id=f"r{index}",
            name=f"r{index}",
            actions=(f"svc{index // scoped_by}.act",) if scoped_by else ("*",),
            when=f"params.amount_cents > {500_000 + index} && params.currency == 'USD' || user.plan == 'p{index}'",
            effect="review",
        )
        for index in range(count)
    )


def program_of(rules: Sequence[Rule], **lists: NamedList) -> Program:
    """The rules over 50 mapped actions."""
    return Program(RuleSet(tuple(rules), {f"svc{index}.act": 0 for index in range(50)}, lists=lists))


def call_of(index: int = 0) -> Call:
    """The same call of one of the 50 actions."""
    return Call(
        action_id=f"svc{index}.act",
        params=PARAMS,
        user=USER,
        agent=AGENT,
        run=RUN,
        tool={},
        request={},
        now=NOON,
        subject="u_9",
    )


def recorded(body: dict[str, Any]) -> Call:
    """A recorded call, as a backtest puts it together."""
    return Call(
        action_id=body["action_id"],
        params=body["params"],
        user=body["user_context"],
        agent=AGENT,
        run=RUN,
        tool={},
        request={},
        now=NOON,
        subject="u_9",
    )


def closures_of(count: int) -> list[Callable[[Any], bool]]:
    """The same conditions, written by hand."""

    def one(index: int) -> Callable[[Any], bool]:
        return lambda context: (
            (context["params"]["amount_cents"] > 500_000 + index and context["params"]["currency"] == "USD")
            or context["user"]["plan"] == f"p{index}"
        )

    return [one(index) for index in range(count)]


def pure(bench: Bench) -> None:
    """Ratios that need no database."""
    twenty, thousand = program_of(rules_of(20, scoped_by=20)), program_of(rules_of(1000, scoped_by=20))
    calls = [call_of(index) for index in range(50)]
    first = calls[0]
    turn = iter(range(10**12))
    bench.compare(
        "a decision with 1,000 rules scoped to 50 actions / with 20 rules",
        lambda: thousand.decide(calls[next(turn) % 50], ENFORCE),
        lambda: twenty.decide(first, ENFORCE),
        hold=2,
        source="issue",
    )

    one = program_of(rules_of(1))
    only = one.rules.rules[0]

    def parse_recorded() -> dict[str, Any]:
        entry = json.loads(ENTRY)
        values = [json.loads(text) for text in DISCLOSED]
        body: dict[str, Any] = {"action_id": entry["action_id"], "params": {}, "user_context": {}}
        for _, name, value in values:
            root, _, field = name.partition(".")
            if field:
                body[root][field] = value
        return body

    bench.compare(
        "backtest of one rule on a recorded call, parsing included / parsing its JSON",
        lambda: one.test(only, context_of(recorded(parse_recorded()))),
        parse_recorded,
        hold=3,
        source="issue",
    )

    def replay() -> None:
        body = json.loads(BODY)
        one.test(only, context_of(recorded(body)))

    bench.compare(
        "backtest of one rule, parsing included / json.loads of the call",
        replay,
        lambda: json.loads(BODY),
        hold=3.5,
        source="stricter reading: one json.loads, 700 bytes",
    )

    bench.compare(
        "backtest of one rule, parsing included / evaluating it",
        replay,
        lambda: one.test(only, context_of(first)),
        hold=5,
        source="16.10",
    )

    def replay_strictly() -> None:
        body: Any = parse_strict(BODY, max_bytes=1 << 20)
        one.test(only, context_of(recorded(body)))

    bench.compare(
        "the same with the strict parser of intake / that parser alone",
        replay_strictly,
        lambda: parse_strict(BODY, max_bytes=1 << 20),
        hold=3,
        source="for information",
    )

    hundred, by_hand, context = program_of(rules_of(100)), closures_of(100), context_of(first)
    activation = hundred.engine.activation(context)
    together = hundred.together("svc0.act")
    assert together is not None

    def closures() -> list[bool]:
        return [closure(context) for closure in by_hand]

    bench.compare(
        "100 unscoped rules, none matching / hand-written closures",
        lambda: hundred.decide(first, ENFORCE),
        closures,
        hold=8,
        source="16.10",
    )
    bench.compare(
        "100 conditions asked one by one / together",
        lambda: [hundred.engine.run(hundred.engine.compile(rule.when), activation) for rule in hundred.rules.rules],
        lambda: hundred.engine.run(together, activation),
        hold=1000,
        source="for information",
    )
    mixed = program_of([*rules_of(12, scoped_by=12), *(rule for rule in rules_of(100, scoped_by=2)[12:])])
    bench.compare(
        "12 of 100 rules left by the scope index / all 100",
        lambda: mixed.decide(first, ENFORCE),
        lambda: hundred.decide(first, ENFORCE),
        hold=0.5,
        source="16.10 says 0.4, of rules asked one by one",
    )

    listed = [
        Rule(id=f"l{index}", name="l", actions=("*",), when=f"in_list(user.user_id, 'l{index}')", effect="review")
        for index in range(20)
    ]
    few = program_of(listed, **{f"l{n}": NamedList.of("exact", (f"x{i}" for i in range(20))) for n in range(20)})
    many = program_of(listed, **{f"l{n}": NamedList.of("exact", (f"x{i}" for i in range(10_000))) for n in range(20)})
    bench.compare(
        "in_list over 10,000 entries / over 20",
        lambda: many.decide(first, ENFORCE),
        lambda: few.decide(first, ENFORCE),
        hold=1.2,
        source="16.10",
    )

    pattern = r"(?i)\b(drop|truncate|alter|grant)\b"
    engine, plain = Engine(), cel.NewEnv(variables={"params": cel.Type.Map(cel.Type.STRING, cel.Type.DYN)})
    ours = engine.compile(f"params.note.regex(r'{pattern}')")
    theirs = plain.compile(f"params.note.matches(r'{pattern}')")
    on, there = engine.activation(context), plain.Activation({"params": PARAMS})
    bench.compare(
        "host regex / built-in matches",
        lambda: engine.run(ours, on),
        lambda: theirs.eval(there).plain_value(),
        hold=1,
        source="16.10",
    )

    draft = program_of(rules_of(20, scoped_by=20))
    bench.compare(
        "evaluation with a shadow / without",
        lambda: (twenty.decide(first, ENFORCE), draft.decide(first, ENFORCE)),
        lambda: twenty.decide(first, ENFORCE),
        hold=2.2,
        source="16.10",
    )


# Publishing while others evaluate.


def publish_forever(urls: dict[str, str], tenant_id: str, member_id: str, stop: Any, count: Any) -> None:
    """In a process of its own: change a rule and publish, again and again."""
    os.environ.update(urls)
    import django

    django.setup()
    from audit.scope import as_tenant
    from policy.drafts import save_rule
    from policy.models import Rule as Row
    from policy.revisions import publish
    from tenants.models import Member
    from tenants.stepup import by_operator

    with as_tenant(tenant_id):  # type: ignore[arg-type]
        member = Member.objects.get(pk=member_id)
        row = Row.objects.get(slug="r0")
    while not stop.is_set():
        row.condition = f"params.amount_cents > {600_000 + count.value}"
        save_rule(member.tenant_id, acting=member, rule=row)
        publish(
            member.tenant_id, acting=member, reason="A bench publishes again.", evidence=by_operator(datetime.now(UTC))
        )
        count.value += 1


def burn(stop: Any) -> None:
    """In a process of its own: keeps a core busy, as a publisher does, with nothing of ours."""
    while not stop.is_set():
        sum(range(10_000))


def publishing(bench: Bench, *, rules: int, seconds: float) -> None:
    """The latency of `live_policy().decide()` beside a publishing process, against the same beside a busy one."""
    with database() as urls:
        _publishing(bench, urls, rules=rules, seconds=seconds)


def _publishing(bench: Bench, urls: dict[str, str], *, rules: int, seconds: float) -> None:
    from django.db import connections

    from policy.drafts import save_action, save_rule
    from policy.live import live_policy
    from policy.models import Action
    from policy.models import Rule as Row
    from policy.revisions import publish
    from tenants.stepup import by_operator
    from tests.people import make_people

    people = make_people()
    tenant_id, adam = people.tenant.pk, people.adam
    for index in range(50):
        save_action(tenant_id, acting=adam, action=Action(action_id=f"svc{index}.act", title="Bench"))
    for rule in rules_of(rules, scoped_by=max(1, rules // 50)):
        given = {"slug": rule.id, "name": rule.name, "scope_actions": list(rule.actions), "condition": rule.when}
        save_rule(tenant_id, acting=adam, rule=Row(**given, effect="review"))
    publish(tenant_id, acting=adam, reason="The bench's first revision.", evidence=by_operator(datetime.now(UTC)))
    calls = [call_of(index) for index in range(50)]

    def decide_for(length: float) -> list[float]:
        taken: list[float] = []

        def work() -> None:
            live_policy(tenant_id).decide(calls[0])  # opens the thread's connection
            ends, index = time.perf_counter() + length, 0
            while (started := time.perf_counter()) < ends:
                assert not live_policy(tenant_id).decide(calls[index % 50]).failed
                taken.append((time.perf_counter() - started) * 1e6)
                index += 1
            connections.close_all()

        thread = threading.Thread(target=work)
        thread.start()
        thread.join()
        return sorted(taken)

    context = multiprocessing.get_context("spawn")
    quiet: list[list[float]] = []
    busy: list[list[float]] = []
    published = 0
    rounds = max(3, bench.rounds // 3)
    for _ in range(rounds):
        calm = context.Event()
        burner = context.Process(target=burn, args=(calm,))
        burner.start()
        quiet.append(decide_for(seconds))
        calm.set()
        burner.join()
        stop, count = context.Event(), context.Value("i", 0)
        process = context.Process(target=publish_forever, args=(urls, str(tenant_id), str(adam.pk), stop, count))
        process.start()
        while count.value == 0 and process.is_alive():
            time.sleep(0.05)
        busy.append(decide_for(seconds))
        stop.set()
        process.join()
        published += count.value
    print(f"     {published} revisions of {rules} rules were published meanwhile", flush=True)
    for name, share, hold in (("median", 0.5, 2.0), ("99th percentile", 0.99, 4.0)):
        pick = [[found[int(len(found) * share)] for found in side] for side in (busy, quiet)]
        bench.add(
            f"a decision while {rules} rules are published / while a core is busy otherwise, {name}",
            *pick,
            hold=hold,
            source="issue: no stall",
        )
    longest = [[found[-1] for found in side] for side in (busy, quiet)]
    bench.add("the longest decision, likewise", *longest, hold=1000, source="for information")


def main() -> int:
    """Run, print, keep; 1 when a ratio misses."""
    signal.signal(signal.SIGTERM, lambda *_: sys.exit(143))  # so that PostgreSQL is stopped
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--quick", action="store_true", help="fewer and shorter rounds")
    parser.add_argument("--no-database", action="store_true", help="leave out the ratio about publishing")
    options = parser.parse_args()
    bench = Bench(rounds=5 if options.quick else 15, seconds=0.05 if options.quick else 0.2)
    print(f"{os.cpu_count()} cores, Python {platform.python_version()}, {bench.rounds} rounds; ratios of medians")
    pure(bench)
    if not options.no_database:
        publishing(bench, rules=500, seconds=6 if options.quick else 12)
    results = ROOT / "bench" / "results"
    results.mkdir(exist_ok=True)
    report = {
        "at": datetime.now(UTC).isoformat(timespec="seconds"),
        "cores": os.cpu_count(),
        "python": platform.python_version(),
        "rounds": bench.rounds,
        "ratios": [asdict(found) | {"holds": found.holds} for found in bench.measured],
    }
    path = results / f"policy-{datetime.now(UTC):%Y%m%dT%H%M%S}.json"
    path.write_text(json.dumps(report, indent=2) + "\n")
    print(f"kept in {path.relative_to(ROOT)}")
    return 0 if all(found.holds for found in bench.measured) else 1


if __name__ == "__main__":
    sys.exit(main())
