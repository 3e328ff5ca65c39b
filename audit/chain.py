"""Reads sealed rows and recomputes everything that can be: hashes, links, time, order, columns read from the body.

The notary trusts nothing that this did not recompute; the server's own verification and the export read the same way.
"""

from __future__ import annotations

import json
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any, Final

from django.db import connections

from audit.envelope import body_hash, envelope, row_hash

READ_AT_ONCE: Final = 1_000
CLOCK_TOLERANCE_US: Final = 60_000_000

_GENERATED: Final[dict[str, tuple[str, ...]]] = {
    "uid": ("id",),
    "kind": ("kind",),
    "action_id": ("action_id",),
    "effect": ("effect",),
    "decision": ("decision",),
    "mode": ("mode",),
    "rule": ("rule", "id"),
    "actor": ("actor", "id"),
    "review": ("review", "id"),
}


@dataclass(frozen=True, slots=True)
class SealedRow:
    """A seal with its entry; `body` is None where the entry is gone."""

    seq: int
    tenant_id: str
    entry_id: int
    body_hash: bytes
    recorded_us: int
    row_hash: bytes
    body: str | None
    entry_tenant: str | None
    entry_body_hash: bytes | None
    columns: tuple[str | None, ...]  # in the order of _GENERATED

    @property
    def kind(self) -> str | None:
        """The kind column."""
        return self.columns[1]


class ChainBroken(Exception):
    """Something that was hashed is not what it was. `seq` is the first bad position, `problem` says what is wrong."""

    def __init__(self, seq: int, problem: str) -> None:
        super().__init__(f"#{seq}: {problem}")
        self.seq = seq
        self.problem = problem


def read_rows(log_id: int, *, start: int, stop: int, using: str) -> Iterator[SealedRow]:
    """The seals of [start, stop) that exist, in order, with their entries."""
    columns = ", ".join(f"e.{name}::text" for name in _GENERATED)
    query = (
        "SELECT s.seq, s.tenant_id::text, s.entry_id, s.body_hash, s.recorded_us, s.row_hash,"  # noqa: S608  (constants)
        f" e.body, e.tenant_id::text, e.body_hash, {columns}"
        " FROM audit_seal s LEFT JOIN audit_entry e ON e.id = s.entry_id"
        " WHERE s.log_id = %s AND s.seq >= %s AND s.seq < %s ORDER BY s.seq LIMIT %s"
    )
    while start < stop:
        with connections[using].cursor() as cursor:
            cursor.execute(query, [log_id, start, stop, READ_AT_ONCE])
            found = cursor.fetchall()
        for row in found:
            yield SealedRow(
                row[0],
                row[1],
                row[2],
                bytes(row[3]),
                row[4],
                bytes(row[5]),
                row[6],
                row[7],
                bytes(row[8]) if row[8] is not None else None,
                tuple(row[9:]),
            )
        if len(found) < READ_AT_ONCE:
            return
        start = found[-1][0] + 1


def check_row(row: SealedRow, *, origin: str, tenant_id: str, seq: int, previous: bytes, not_before_us: int) -> bytes:
    """The row hash, recomputed, when the row is what must follow `previous`. Raises ChainBroken."""
    if row.seq != seq:
        raise ChainBroken(seq, "a row is missing")
    if row.tenant_id != tenant_id:
        raise ChainBroken(seq, "the row is of another tenant")
    if row.recorded_us < not_before_us:
        raise ChainBroken(seq, "the time runs backwards")
    link = row_hash(
        envelope(origin=origin, seq=seq, previous=previous, body=row.body_hash, recorded_us=row.recorded_us)
    )
    if link != row.row_hash:
        raise ChainBroken(seq, "the row hash does not follow from the row before it")
    if row.body is None:
        raise ChainBroken(seq, "the entry is missing")
    if row.entry_tenant != tenant_id:
        raise ChainBroken(seq, "the entry is of another tenant")
    if body_hash(row.body.encode()) != row.body_hash or row.entry_body_hash != row.body_hash:
        raise ChainBroken(seq, "the body is not the one that was sealed")
    if _columns_of(row.body) != row.columns:
        raise ChainBroken(seq, "a column says something else than the body")
    return link


def _columns_of(body: str) -> tuple[str | None, ...]:
    try:
        parsed = json.loads(body)
    except ValueError:
        return ()
    return tuple(_as_column(parsed, path) for path in _GENERATED.values())


def _as_column(value: Any, path: tuple[str, ...]) -> str | None:
    """What `->>` of the database gives at `path`."""
    for step in path:
        value = value.get(step) if isinstance(value, dict) else None
    if value is None or isinstance(value, str):
        return value
    if isinstance(value, bool):
        return "true" if value else "false"
    return json.dumps(value, separators=(", ", ": "))
