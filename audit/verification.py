"""The server's own walk over a tenant's log: every hash recomputed, every signed head compared. Reads as `gs_auditor`.

It shows what the auditor's verifier shows, and less to be trusted: the audited party runs it. The page says so.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from datetime import UTC, datetime
from uuid import UUID

from django.db import connections

from audit import disclosures as sd
from audit.chain import ChainBroken, check_row, read_rows
from audit.envelope import genesis_hash
from audit.keys import vkey
from audit.merkle import CompactRange
from audit.note import NoteError, VerifierKey, open_checkpoint
from audit.scope import as_tenant

READER = "audit_reader"
# A head older than this, with rows waiting behind it, is worth a word; the cadence is 10 s.
STALE_SECONDS = 120


@dataclass(frozen=True, slots=True)
class Check:
    """One thing looked at: `pass`, `fail` or `unchecked`, and what was found."""

    status: str
    name: str
    text: str


@dataclass(slots=True)
class Report:
    """What a walk found. `first_bad_seq` is the first position that does not hold."""

    origin: str
    vkey: str | None
    size: int = 0
    signed_size: int = 0
    signed_at: datetime | None = None
    pending: int = 0
    first_bad_seq: int | None = None
    checks: list[Check] = field(default_factory=list)

    @property
    def is_broken(self) -> bool:
        """True when something failed."""
        return any(check.status == "fail" for check in self.checks)

    @property
    def is_verified(self) -> bool:
        """True when nothing failed and a signed head was judged by the known key. Never for what was not read."""
        return not self.is_broken and self.vkey is not None and self.signed_size > 0

    def sentence(self) -> str:
        """The result in one sentence."""
        if self.is_broken:
            return f"Broken at #{self.first_bad_seq:,}" if self.first_bad_seq is not None else "Broken"
        if self.vkey is None:
            return "Cannot verify: key missing"
        if self.signed_size == 0:
            return "Cannot verify: nothing is signed yet"
        if self._is_stale():
            assert self.signed_at is not None
            return (
                f"Verified through #{self.signed_size - 1:,}, no checkpoint since {self.signed_at:%d %b %Y %H:%M} UTC"
            )
        return f"Verified through #{self.signed_size - 1:,}"

    def _is_stale(self) -> bool:
        waiting = self.size > self.signed_size or self.pending > 0
        return (
            waiting
            and self.signed_at is not None
            and (datetime.now(UTC) - self.signed_at).total_seconds() > STALE_SECONDS
        )

    def note(self, status: str, name: str, text: str, seq: int | None = None) -> None:
        """Keeps one check."""
        self.checks.append(Check(status, name, text))
        if status == "fail" and seq is not None and (self.first_bad_seq is None or seq < self.first_bad_seq):
            self.first_bad_seq = seq


@dataclass(frozen=True, slots=True)
class _Signed:
    size: int
    root: bytes
    note: str
    signed_at: datetime


def verify_log(tenant_id: UUID, *, using: str = READER) -> Report | None:
    """Walks the tenant's log from its first row; None when there is no log. Reads every row: time grows with the log."""
    with as_tenant(tenant_id, using=using):
        with connections[using].cursor() as cursor:
            cursor.execute(
                "SELECT l.id, l.origin, h.size, h.row_hash FROM audit_log l JOIN audit_head h ON h.log_id = l.id"
                " WHERE l.tenant_id = %s",
                [tenant_id],
            )
            row = cursor.fetchone()
            if row is None:
                return None
            log_id, origin, size, head_hash = row[0], row[1], row[2], bytes(row[3])
            cursor.execute(
                "SELECT size, root, note, signed_at FROM audit_checkpoint WHERE log_id = %s ORDER BY size", [log_id]
            )
            signed = [_Signed(item[0], bytes(item[1]), item[2], item[3]) for item in cursor.fetchall()]
            cursor.execute("SELECT count(*) FROM audit_pending WHERE tenant_id = %s", [tenant_id])
            (pending,) = cursor.fetchone()
        key = vkey(origin)
        report = Report(origin, str(key) if key else None, size=size, pending=pending)
        roots, last = _walk(report, log_id, tenant_id, {item.size for item in signed}, using=using)
        if not report.is_broken and last != head_hash:
            report.note("fail", "head", "the head does not follow from the rows")
        _check_signed(report, signed, roots, key)
        _check_strays(report, tenant_id, using=using)
        _check_disclosures(report, tenant_id, using=using)
    return report


def _walk(
    report: Report, log_id: int, tenant_id: UUID, wanted: set[int], *, using: str
) -> tuple[dict[int, bytes], bytes]:
    """Roots at the wanted sizes, and the last link."""
    tree, roots = CompactRange(), {}
    previous, moment, seq = genesis_hash(report.origin), 0, 0
    try:
        for row in read_rows(log_id, start=0, stop=report.size, using=using):
            previous = check_row(
                row, origin=report.origin, tenant_id=str(tenant_id), seq=seq, previous=previous, not_before_us=moment
            )
            moment = row.recorded_us
            tree.append(previous)
            seq += 1
            if seq in wanted:
                roots[seq] = tree.root()
        if seq != report.size:
            raise ChainBroken(seq, "a row is missing")
    except ChainBroken as problem:
        report.note("fail", "Rows", str(problem), problem.seq)
    else:
        report.note("pass", "Rows", f"{seq:,} rows, each follows from the one before; bodies and columns agree")
    return roots, previous


def _check_signed(report: Report, signed: list[_Signed], roots: dict[int, bytes], key: VerifierKey | None) -> None:
    if not signed:
        report.note("unchecked", "Checkpoints", "none is signed yet")
        return
    if key is None:
        report.note("unchecked", "Checkpoints", "this process does not know the notary's public key")
        return
    for item in signed:
        try:
            checkpoint = open_checkpoint(item.note, key)
        except NoteError as problem:
            report.note("fail", "Checkpoints", f"the one of {item.size:,} rows: {problem}", max(0, item.size - 1))
            return
        if checkpoint.size != item.size or checkpoint.root != item.root or roots.get(item.size) != item.root:
            report.note(
                "fail",
                "Checkpoints",
                f"the one of {item.size:,} rows was signed over other rows",
                max(0, item.size - 1),
            )
            return
    report.signed_size, report.signed_at = signed[-1].size, signed[-1].signed_at
    heads = "head" if len(signed) == 1 else "heads"
    report.note("pass", "Checkpoints", f"{len(signed):,} signed {heads}, fitting the rows")
    if report.size > report.signed_size:
        report.note(
            "unchecked", "After the head", f"{report.size - report.signed_size:,} rows are sealed and not signed yet"
        )


def _check_strays(report: Report, tenant_id: UUID, *, using: str) -> None:
    with connections[using].cursor() as cursor:
        cursor.execute(
            "SELECT count(*) FROM audit_entry e WHERE e.tenant_id = %(tenant)s"
            " AND NOT EXISTS (SELECT FROM audit_seal s WHERE s.entry_id = e.id)"
            " AND NOT EXISTS (SELECT FROM audit_pending p WHERE p.tenant_id = %(tenant)s AND p.entry_id = e.id)",
            {"tenant": tenant_id},
        )
        (stranded,) = cursor.fetchone()
        cursor.execute(
            "SELECT count(*) FROM audit_pending p WHERE p.tenant_id = %s"
            " AND NOT EXISTS (SELECT FROM audit_entry e WHERE e.id = p.entry_id)",
            [tenant_id],
        )
        (vanished,) = cursor.fetchone()
    if stranded or vanished:
        report.note(
            "fail", "Strays", f"{stranded:,} entries lost their place in the queue, {vanished:,} vanished from it"
        )
    elif report.pending:
        report.note("unchecked", "Strays", f"{report.pending:,} entries are recorded; their position follows")
    else:
        report.note("pass", "Strays", "every entry has its position")


def _check_disclosures(report: Report, tenant_id: UUID, *, using: str) -> None:
    """Each stored value is one that its entry commits to. What is not stored was erased or not kept: bundles tell which."""
    count, wrong = 0, None
    with connections[using].cursor() as cursor:
        cursor.execute(
            "SELECT d.digest, d.ciphertext, s.seq, e.body::jsonb -> '_sd' ? d.digest"
            " FROM audit_disclosure d JOIN audit_entry e ON e.id = d.entry_id LEFT JOIN audit_seal s ON s.entry_id = d.entry_id"
            " WHERE d.tenant_id = %s AND d.key_id IS NULL ORDER BY d.entry_id",
            [tenant_id],
        )
        while rows := cursor.fetchmany(1_000):
            for digest, stored, seq, is_committed in rows:
                count += 1
                if wrong is None and (not is_committed or sd.digest_of(sd.encode(bytes(stored))) != digest):
                    wrong = (seq,)
    if wrong is not None:
        report.note("fail", "Stored values", "one is not what its entry commits to", wrong[0])
    else:
        report.note("pass", "Stored values", f"{count:,}, each is what its entry commits to")
