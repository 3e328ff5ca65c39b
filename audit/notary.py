"""Signs heads of logs that it has read and recomputed itself, as `gs_notary`; refuses what contradicts its memory.

A cycle: read the new seals and recompute them, compare with the memory outside the database, write that memory, *then*
sign, then insert. After a crash it repeats. Where something does not fit it signs nothing, and says so; intake goes on.
"""

from __future__ import annotations

import logging
import time
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Final
from uuid import UUID

from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey
from django.conf import settings
from django.db import connections, transaction

from audit import memory
from audit.chain import CLOCK_TOLERANCE_US, ChainBroken, check_row, read_rows
from audit.keys import private_key
from audit.memory import LogMemory, MemoryUnreadable
from audit.merkle import CompactRange
from audit.note import Checkpoint, NoteError, VerifierKey, open_checkpoint, public_bytes, sign_checkpoint
from audit.scope import as_tenant

log = logging.getLogger("guardsite.audit")

NOTARY: Final = "audit_notary"
CADENCE_SECONDS: Final = 10.0
CADENCE_ENTRIES: Final = 1_000
# An export waits for a checkpoint that covers it.
SIGN_AT_ONCE: Final = frozenset({"export.created"})


class Refused(Exception):
    """The notary will not sign this log; the text says why, for the alarm."""


@dataclass(frozen=True, slots=True)
class LogHead:
    """One log as the database shows it."""

    log_id: int
    tenant_id: UUID
    origin: str
    size: int
    signed_size: int


@dataclass(slots=True)
class _Watch:
    """What this process knows of a log beyond its file: rows verified and not yet signed."""

    seen: LogMemory
    signed_at: float
    urgent: bool = False


class Notary:
    """A signing loop's state. One per process; two processes on one log only repeat each other's work."""

    def __init__(
        self,
        *,
        key: Ed25519PrivateKey,
        directory: Path,
        using: str = NOTARY,
        clock: Callable[[], float] = time.monotonic,
        now_us: Callable[[], int] = lambda: time.time_ns() // 1000,
    ) -> None:
        self.key = key
        self.directory = directory
        self.using = using
        self.clock = clock
        self.now_us = now_us
        self.watches: dict[str, _Watch] = {}
        # Why nothing is signed, by origin; said once per problem and while it lasts shown by `manage.py notary`.
        self.alarms: dict[str, str] = {}

    def cycle(self, *, at_once: bool = False) -> int:
        """Looks at every log once and signs where it is time; returns how many checkpoints were written."""
        signed = 0
        for head in heads(using=self.using):
            try:
                signed += self._look(head, at_once=at_once)
            except (Refused, ChainBroken, MemoryUnreadable) as problem:
                self._alarm(head, str(problem))
            else:
                self.alarms.pop(head.origin, None)
        return signed

    def _alarm(self, head: LogHead, problem: str) -> None:
        if self.alarms.get(head.origin) != problem:
            log.critical(
                "the notary refuses to sign",
                extra={"origin": head.origin, "tenant": str(head.tenant_id), "problem": problem},
            )
        self.alarms[head.origin] = problem

    def _look(self, head: LogHead, *, at_once: bool) -> int:
        watch = self._watch(head)
        self._read_on(head, watch)
        waiting = watch.seen.size - head.signed_size
        if waiting <= 0:
            return 0
        is_time = (
            at_once
            or watch.urgent
            or waiting >= CADENCE_ENTRIES
            or head.signed_size == 0
            or self.clock() - watch.signed_at >= CADENCE_SECONDS
        )
        if not is_time:
            return 0
        self._sign(head, watch)
        return 1

    def _watch(self, head: LogHead) -> _Watch:
        stored = memory.load(self.directory, head.origin)
        if stored is None:
            if head.signed_size > 0:
                raise Refused("its memory is lost, while checkpoints exist; adopt a published checkpoint")
            stored = LogMemory.fresh(head.origin)
        if head.size < stored.size or head.signed_size > stored.size:
            raise Refused("the log is shorter than what was signed, or was signed elsewhere")
        watch = self.watches.get(head.origin)
        if watch is None or head.origin in self.alarms or watch.seen.size < stored.size:
            watch = self.watches[head.origin] = _Watch(stored, self.clock() - CADENCE_SECONDS)
        return watch

    def _read_on(self, head: LogHead, watch: _Watch) -> None:
        """Verifies the rows that are new, after checking that the last known row is still there."""
        seen = watch.seen
        if head.size < seen.size:
            raise Refused("the log is shorter than what was read before")
        if seen.size:
            last = next(read_rows(head.log_id, start=seen.size - 1, stop=seen.size, using=self.using), None)
            if last is None or last.row_hash != seen.last_hash:
                raise Refused(f"the row at #{seen.size - 1} is not the one that was read before")
        hashes: list[bytes] = []
        previous, moment, seq = seen.last_hash, seen.recorded_us, seen.size
        for row in read_rows(head.log_id, start=seen.size, stop=head.size, using=self.using):
            previous = check_row(
                row, origin=head.origin, tenant_id=str(head.tenant_id), seq=seq, previous=previous, not_before_us=moment
            )
            moment = row.recorded_us
            if moment > self.now_us() + CLOCK_TOLERANCE_US:
                raise Refused(f"the time of #{seq} lies more than 60 s ahead of this clock")
            hashes.append(previous)
            watch.urgent = watch.urgent or row.kind in SIGN_AT_ONCE
            seq += 1
        if seq != head.size:
            raise ChainBroken(seq, "a row is missing")
        if hashes:
            watch.seen = seen.advanced(hashes, moment)

    def _sign(self, head: LogHead, watch: _Watch) -> None:
        seen = watch.seen
        memory.save(self.directory, seen)
        checkpoint = Checkpoint(head.origin, seen.size, seen.frontier.root())
        note = sign_checkpoint(checkpoint, self.key)
        with as_tenant(head.tenant_id, using=self.using), connections[self.using].cursor() as cursor:
            # Conflict: another notary signed the same size a moment ago, with the same bytes.
            cursor.execute(
                "INSERT INTO audit_checkpoint (log_id, size, tenant_id, root, note) VALUES (%s, %s, %s, %s, %s)"
                " ON CONFLICT DO NOTHING",
                [head.log_id, checkpoint.size, head.tenant_id, checkpoint.root, note],
            )
        watch.signed_at = self.clock()
        watch.urgent = False

    def adopt(self, note: str) -> Checkpoint:
        """Takes a published checkpoint as memory, after recomputing the log up to it. Raises Refused, ChainBroken, NoteError."""
        origin = note.partition("\n")[0]
        checkpoint = open_checkpoint(note, VerifierKey(origin, public_bytes(self.key)))
        head = next((item for item in heads(using=self.using) if item.origin == origin), None)
        if head is None:
            raise NoteError("there is no such log here")
        if memory.load(self.directory, origin) is not None:
            raise Refused("there is a memory of this log already; it is never edited")
        hashes: list[bytes] = []
        seen = LogMemory.fresh(origin)
        previous, moment = seen.last_hash, 0
        for row in read_rows(head.log_id, start=0, stop=checkpoint.size, using=self.using):
            previous = check_row(
                row,
                origin=origin,
                tenant_id=str(head.tenant_id),
                seq=len(hashes),
                previous=previous,
                not_before_us=moment,
            )
            moment = row.recorded_us
            hashes.append(previous)
        if CompactRange.of(0, hashes).end != checkpoint.size or CompactRange.of(0, hashes).root() != checkpoint.root:
            raise Refused("the log is not the one that this checkpoint signed")
        memory.save(self.directory, seen.advanced(hashes, moment))
        return checkpoint


def heads(*, using: str = NOTARY) -> list[LogHead]:
    """Every open log, with what is sealed and what is signed."""
    with transaction.atomic(using=using), connections[using].cursor() as cursor:
        cursor.execute(
            "SELECT l.id, l.tenant_id, l.origin, h.size,"
            " coalesce((SELECT max(c.size) FROM audit_checkpoint c WHERE c.log_id = l.id), 0)"
            " FROM audit_log l JOIN audit_head h ON h.log_id = l.id ORDER BY l.id"
        )
        return [LogHead(*row) for row in cursor.fetchall()]


def oldest_pending_seconds(*, using: str = NOTARY) -> float:
    """How long the entry that waits longest has waited for its position; 0 when none waits."""
    with connections[using].cursor() as cursor:
        cursor.execute(
            "SELECT extract(epoch FROM clock_timestamp()) * 1000000 - min(e.received_us)"
            " FROM audit_pending p JOIN audit_entry e ON e.id = p.entry_id"
        )
        (waited,) = cursor.fetchone()
    return max(0.0, float(waited) / 1_000_000) if waited is not None else 0.0


def notary() -> Notary:
    """The notary of this process, with the key and the memory that the settings name. Raises ImproperlyConfigured."""
    return Notary(key=private_key(), directory=Path(settings.AUDIT_NOTARY_STATE()))
