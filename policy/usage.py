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

from audit.scope import as_tenant

READER: Final = "audit_reader"
DAYS: Final = 30
MOST_CALLS: Final = 50_000
CALLS_NAMED: Final = 5

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
             ORDER BY review, id DESC LIMIT %s) AS decided
     GROUP BY 1, 2
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
    """One rule's last 30 days. `decided` counts verdicts on reviews that the rule opened."""

    matched: int = 0
    observed: int = 0  # would have changed the effect, had it not only observed
    errors: int = 0
    approved: int = 0
    decided: int = 0
    failed: list[FailedCall] = field(default_factory=list)

    @property
    def approval_percent(self) -> int | None:
        """Approved of decided, in percent; None without a verdict."""
        return round(100 * self.approved / self.decided) if self.decided else None


def rule_usage(tenant_id: UUID, *, now: datetime) -> Mapping[str, Usage]:
    """Rule id → usage; a rule that did nothing is not in it. Three queries."""
    since_us = int((now - timedelta(days=DAYS)).timestamp() * 1_000_000)
    given = (tenant_id, since_us, MOST_CALLS)
    found: dict[str, Usage] = {}
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
        cursor.execute(_VERDICTS, given)
        for rule_id, verdict, count in cursor.fetchall():
            usage = found.setdefault(rule_id, Usage())
            usage.decided += count
            usage.approved += count if verdict in _APPROVALS else 0
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
