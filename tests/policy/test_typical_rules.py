"""The rules that people write first: each matches, does not match, and fails where it can."""

from __future__ import annotations

from datetime import UTC, datetime
from typing import Any

import pytest

from policy.calendars import Hours
from policy.cel import Engine
from policy.check import check
from policy.evaluate import Program, RuleSet, context_of
from policy.functions import NamedList
from policy.terms import CounterDef
from tests.policy.calls import a_call, a_rule

LISTS = {
    "company_domains": NamedList.of("domain", ["demo.example"]),
    "release_managers": NamedList.of("exact", ["u_7"]),
}
DAYS = {day: [["09:00", "17:00"]] for day in ("mon", "tue", "wed", "thu", "fri")}
CALENDARS = {"office_hours": Hours.of(time_zone="Europe/Paris", hours=DAYS, holidays=["2026-12-25"])}
COUNTERS = (
    CounterDef("refunds_1h", ("billing.refund*",), "count", 3600, key=("agent.id",)),
    CounterDef("refund_sum_24h", ("billing.*",), "sum", 86_400, "minor(params.amount, params.currency)", ("agent.id",)),
)
RATE = "stats.refunds_1h > 3 || stats.refund_sum_24h > 1000000"
CLOSED = "!within(now, 'office_hours')"
LIMITS = "minor(params.amount, params.currency) > {'USD': 500000, 'EUR': 450000}[params.currency]"
OUTSIDE = "params.to.exists(r, !in_list(domain_of(r), 'company_domains'))"
INSIDE = "size(params.to) > 0 && params.to.all(r, in_list(domain_of(r), 'company_domains'))"
TRIFECTA = "'sends_out' in tool.labels && 'reads_private' in run.labels && 'reads_outside' in run.labels"
RELEASE = "params.environment == 'production' && !in_list(user.user_id, 'release_managers')"
VAGUE = "!has(params.reason) || size(params.reason) < 10 || tool.drifted"


@pytest.mark.parametrize(
    ("when", "roots", "expected"),
    [
        ("user.plan == 'free'", {"user": {"plan": "free"}}, "match"),
        ("user.plan == 'free'", {"user": {"plan": "pro"}}, None),
        ("user.plan == 'free'", {}, "error"),
        (
            "params.beneficiary_id == user.user_id",
            {"params": {"beneficiary_id": "u_1"}, "user": {"user_id": "u_1"}},
            "match",
        ),
        (
            "params.beneficiary_id == user.user_id",
            {"params": {"beneficiary_id": "u_2"}, "user": {"user_id": "u_1"}},
            None,
        ),
        ("params.beneficiary_id == user.user_id", {"user": {"user_id": "u_1"}}, "error"),
        (LIMITS, {"params": {"amount": "5000.01", "currency": "USD"}}, "match"),
        (LIMITS, {"params": {"amount": "5000.00", "currency": "USD"}}, None),
        (LIMITS, {"params": {"amount": 4500.01, "currency": "EUR"}}, "match"),
        (LIMITS, {"params": {"amount": 1, "currency": "GBP"}}, "error"),
        (RATE, {"stats": {"refunds_1h": 4, "refund_sum_24h": 1000}}, "match"),
        (RATE, {"stats": {"refunds_1h": 1, "refund_sum_24h": 1_000_001}}, "match"),
        (RATE, {"stats": {"refunds_1h": 3, "refund_sum_24h": 1_000_000}}, None),
        (RATE, {"stats": {"refunds_1h": 4}}, "match"),  # the other side is missing and does not matter
        (RATE, {"stats": {"refunds_1h": 3}}, "error"),
        (RATE, {}, "error"),
        (CLOSED, {"now": datetime(2026, 11, 20, 7, 59, tzinfo=UTC)}, "match"),  # 08:59 in Paris
        (CLOSED, {"now": datetime(2026, 11, 21, 12, tzinfo=UTC)}, "match"),  # a Saturday
        (CLOSED, {"now": datetime(2026, 12, 25, 12, tzinfo=UTC)}, "match"),  # a holiday
        (CLOSED, {"now": datetime(2026, 11, 20, 8, 0, tzinfo=UTC)}, None),
        ("within(params.at, 'office_hours')", {"params": {"at": "noon"}}, "error"),
        (OUTSIDE, {"params": {"to": ["a@demo.example", "b@evil.example"]}}, "match"),
        (OUTSIDE, {"params": {"to": ["a@mail.demo.example"]}}, None),
        (OUTSIDE, {"params": {"to": []}}, None),
        (OUTSIDE, {"params": {"to": ["a@demo.example", "not an address"]}}, "error"),
        (OUTSIDE, {"params": {"to": ["a@demo.example <b@evil.example>"]}}, "error"),
        (OUTSIDE, {"params": {"to": "b@evil.example"}}, "error"),
        (INSIDE, {"params": {"to": ["a@demo.example"]}}, "match"),
        (INSIDE, {"params": {"to": []}}, None),
        (INSIDE, {"params": {"to": ["a@demo.example", "b@evil.example"]}}, None),
        (INSIDE, {}, "error"),
        (TRIFECTA, {"tool": {"labels": ["sends_out"]}, "run": {"labels": ["reads_private", "reads_outside"]}}, "match"),
        (TRIFECTA, {"tool": {"labels": ["sends_out"]}, "run": {"labels": ["reads_private"]}}, None),
        (r"params.sql.regex(r'(?i)\b(drop|truncate|alter|grant)\b')", {"params": {"sql": "Drop table x"}}, "match"),
        (r"params.sql.regex(r'(?i)\b(drop|truncate|alter|grant)\b')", {"params": {"sql": "SELECT dropped"}}, None),
        (r"params.sql.regex(r'(?i)\b(drop|truncate|alter|grant)\b')", {"params": {"sql": "x" * 20_000}}, "error"),
        (RELEASE, {"params": {"environment": "production"}, "user": {"user_id": "u_1"}}, "match"),
        (RELEASE, {"params": {"environment": "production"}, "user": {"user_id": "u_7"}}, None),
        (RELEASE, {"params": {"environment": "staging"}}, None),
        (RELEASE, {"params": {"environment": "production"}}, "error"),
        (
            "num(params.dose_mg) > num(params.max_daily_mg)",
            {"params": {"dose_mg": "10.5", "max_daily_mg": 10}},
            "match",
        ),
        ("num(params.dose_mg) > num(params.max_daily_mg)", {"params": {"dose_mg": 10, "max_daily_mg": 10.0}}, None),
        ("num(params.dose_mg) > num(params.max_daily_mg)", {"params": {"dose_mg": "ten", "max_daily_mg": 10}}, "error"),
        (VAGUE, {}, "match"),
        (VAGUE, {"params": {"reason": "short"}}, "match"),
        (VAGUE, {"params": {"reason": "a reason of some length"}}, None),
        (VAGUE, {"params": {"reason": "a reason of some length"}, "tool": {"drifted": True}}, "match"),
        (VAGUE, {"params": {"reason": 12345678901}}, "error"),
    ],
)
def test_a_typical_rule(when: str, roots: dict[str, Any], expected: str | None) -> None:
    assert check(when, engine=Engine(LISTS, CALENDARS, [counter.name for counter in COUNTERS])) == []
    rule = a_rule(when)
    program = Program(RuleSet((rule,), {}, lists=LISTS, calendars=CALENDARS, counters=COUNTERS))
    hit = program.test(
        rule, context_of(a_call(roots.get("params"), **{k: v for k, v in roots.items() if k != "params"}))
    )
    assert (hit.result if hit else None) == expected
    if hit:
        assert hit.leaves
        assert all(leaf.sentence for leaf in hit.leaves)
