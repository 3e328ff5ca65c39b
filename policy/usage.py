"""What rules did in the last 30 days, from the log: matches, verdicts on them, and calls that they failed on.

Read as `gs_auditor`. Over at most the newest 50,000 calls and 50,000 verdicts: a list of rules must open at once.
"""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from typing import Final
from uuid import UUID

from django.db import connections

from audit import kinds
from audit.scope import as_tenant

READER: Final = "audit_reader"
DAYS: Final = 30
MOST_CALLS: Final = 50_000
CALLS_NAMED: Final = 5

# Beyond these a rule asks people so often, or so easily, that they learn to say yes: reviewer-experience.md section 2.
LEAST_TO_TUNE: Final = 100
MOST_APPROVED: Final = 0.97
MOST_SEVERE: Final = 0.10

_APPROVALS: Final = ("approve", "approve_with_amendments")

_MATCHES = """
    SELECT list.name, rule.id, count(*)
      FROM (SELECT body::jsonb AS body FROM audit_entry
             WHERE tenant_id = %s AND kind = 'call.evaluated' AND decided_us >= %s ORDER BY id DESC LIMIT %s) AS call
     CROSS JOIN (VALUES ('matched'), ('errors'), ('observing')) AS list(name)
     CROSS JOIN LATERAL jsonb_array_elements_text(
           CASE WHEN jsonb_typeof(call.body -> list.name) = 'array' THEN call.body -> list.name ELSE '[]' END
     ) AS rule(id)
     GROUP BY 1, 2
"""
_VERDICTS = """
    SELECT decided.rule, decided.verdict, count(*)
      FROM (SELECT DISTINCT ON (review) rule, body::jsonb ->> 'verdict' AS verdict FROM audit_entry
             WHERE tenant_id = %s AND kind = 'review.decided' AND decided_us >= %s AND rule IS NOT NULL
               AND uid <> ALL(%s)
             ORDER BY review, id DESC LIMIT %s) AS decided
     GROUP BY 1, 2
"""
_SEVERE = """
    SELECT body -> 'rule' ->> 'id', count(*), count(*) FILTER (WHERE (body ->> 'tier')::int >= 3)
      FROM (SELECT body::jsonb AS body FROM audit_entry
             WHERE tenant_id = %s AND kind = 'call.evaluated' AND decided_us >= %s ORDER BY id DESC LIMIT %s) AS call
     WHERE body ->> 'decision' = 'review'
     GROUP BY 1
"""
_FAILED = """
    SELECT uid, decided_us, action_id, errors
      FROM (SELECT id, uid, decided_us, action_id, body::jsonb -> 'errors' AS errors FROM audit_entry
             WHERE tenant_id = %s AND kind = 'call.evaluated' AND decided_us >= %s ORDER BY id DESC LIMIT %s) AS call
     WHERE jsonb_typeof(errors) = 'array' AND errors <> '[]'
     ORDER BY id DESC LIMIT 200
"""


@dataclass(frozen=True)
class FailedCall:
    """A call that a rule could not be evaluated for."""

    uid: str
    at: datetime
    action_id: str


@dataclass
class Usage:
    """One rule's last 30 days. `decided` counts verdicts on reviews that the rule opened, `unchanged` approvals as asked.

    `severe` counts the calls that it held at tier 3 or 4, `all_held` what all rules held.
    """

    matched: int = 0
    observed: int = 0  # would have changed the effect, had it not only observed
    errors: int = 0
    approved: int = 0
    unchanged: int = 0
    decided: int = 0
    severe: int = 0
    all_held: int = 0
    failed: list[FailedCall] = field(default_factory=list)

    @property
    def approval_percent(self) -> int | None:
        """Approved of decided, in percent; None without a verdict."""
        return round(100 * self.approved / self.decided) if self.decided else None

    @property
    def is_nearly_always_approved(self) -> bool:
        """Whether its verdicts are so uniform that they tell little: narrow the rule, or let it allow."""
        return self.decided >= LEAST_TO_TUNE and self.unchanged > MOST_APPROVED * self.decided

    @property
    def is_often_severe(self) -> bool:
        """Whether it asks for the effort of tiers 3 and 4 so often that people stop reading: lower the tier, or narrow it."""
        return self.all_held >= LEAST_TO_TUNE and self.severe > MOST_SEVERE * self.all_held


def rule_usage(tenant_id: UUID, *, now: datetime) -> Mapping[str, Usage]:
    """Rule id → usage; a rule that did nothing is not in it.

    A verdict that waits for another person's is not counted: the figure would tell of it.
    """
    since_us = int((now - timedelta(days=DAYS)).timestamp() * 1_000_000)
    given = (tenant_id, since_us, MOST_CALLS)
    found: dict[str, Usage] = {}
    with as_tenant(tenant_id):
        waiting = kinds.withheld(tenant_id, lambda _permission: True)
    with as_tenant(tenant_id, using=READER), connections[READER].cursor() as cursor:
        cursor.execute(_MATCHES, given)
        for name, rule_id, count in cursor.fetchall():
            usage = found.setdefault(rule_id, Usage())
            if name == "matched":
                usage.matched = count
            elif name == "errors":
                usage.errors = count
            else:
                usage.observed = count
        cursor.execute(_VERDICTS, (tenant_id, since_us, list(waiting), MOST_CALLS))
        for rule_id, verdict, count in cursor.fetchall():
            usage = found.setdefault(rule_id, Usage())
            usage.decided += count
            usage.approved += count if verdict in _APPROVALS else 0
            usage.unchanged += count if verdict == "approve" else 0
        cursor.execute(_SEVERE, given)
        held = cursor.fetchall()
        for rule_id, _count, severe in held:
            if rule_id is not None:
                usage = found.setdefault(rule_id, Usage())
                usage.severe, usage.all_held = severe, sum(row[1] for row in held)
        cursor.execute(_FAILED, given)
        for uid, at_us, action_id, rule_ids in cursor.fetchall():
            for rule_id in _texts(rule_ids):
                usage = found.setdefault(rule_id, Usage())
                if len(usage.failed) < CALLS_NAMED:
                    at = datetime.fromtimestamp(at_us / 1_000_000, UTC)
                    usage.failed.append(FailedCall(str(uid), at, action_id or ""))
    return found


def _texts(value: object) -> list[str]:
    parsed = json.loads(value) if isinstance(value, str) else value
    return [str(item) for item in parsed] if isinstance(parsed, list) else []
