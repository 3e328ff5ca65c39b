"""How far a log is verified, from what is stored: the newest signed head. No walk, so a page may ask on every load.

The notary recomputes each row once, before it signs. That a row was changed since shows only in a walk
(`verification.py`); the page says so.
"""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime
from uuid import UUID

from django.db import connections

from audit.browse import READER
from audit.keys import vkey
from audit.note import NoteError, open_checkpoint
from audit.verification import STALE_SECONDS


@dataclass(frozen=True, slots=True)
class Standing:
    """The newest signed head, and what is recorded behind it.

    `state`: `none` (nothing is signed), `unchecked` (the key is not known to this process), `broken` (the head does not
    carry the notary's signature), `stale` (rows wait for longer than they should) or `verified`.
    """

    state: str
    size: int = 0
    signed_at: datetime | None = None
    waiting: int = 0

    @property
    def through(self) -> int:
        """The last position that the head covers."""
        return self.size - 1


def standing(tenant_id: UUID, *, now: datetime) -> Standing:
    """How far the tenant's log is verified, at `now` (aware). One query, one signature. Call inside `as_tenant()`."""
    with connections[READER].cursor() as cursor:
        cursor.execute(
            "SELECT l.origin, c.size, c.root, c.note, c.signed_at, h.size - coalesce(c.size, 0)"
            " + (SELECT count(*) FROM audit_pending p WHERE p.tenant_id = l.tenant_id)"
            " FROM audit_log l JOIN audit_head h ON h.log_id = l.id"
            " LEFT JOIN LATERAL (SELECT * FROM audit_checkpoint s WHERE s.log_id = l.id ORDER BY s.size DESC LIMIT 1) c"
            " ON true WHERE l.tenant_id = %s",
            [tenant_id],
        )
        row = cursor.fetchone()
    if row is None or row[1] is None:
        return Standing("none", waiting=row[5] if row else 0)
    origin, size, root, note, signed_at, waiting = row
    return Standing(
        _state(origin, size, bytes(root), note, is_late=waiting > 0 and _is_late(signed_at, now)),
        size=size,
        signed_at=signed_at,
        waiting=waiting,
    )


def _state(origin: str, size: int, root: bytes, note: str, *, is_late: bool) -> str:
    key = vkey(origin)
    if key is None:
        return "unchecked"
    try:
        signed = open_checkpoint(note, key)
    except NoteError:
        return "broken"
    if (signed.size, signed.root) != (size, root):
        return "broken"
    return "stale" if is_late else "verified"


def _is_late(signed_at: datetime, now: datetime) -> bool:
    return (now - signed_at).total_seconds() > STALE_SECONDS
