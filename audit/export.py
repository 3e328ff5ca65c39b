"""Evidence bundles: what an auditor takes home and checks without us. Source: audit.md, section 8.

An export is its entry `export.created`: it says who asked, for what, and the bundle is cut at the first checkpoint that
covers it. So a bundle can be built again from the log alone, and nothing else is stored.
"""

from __future__ import annotations

import base64
import json
import tempfile
import zipfile
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from hashlib import sha256
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path
from typing import IO, Any, Final
from uuid import UUID

import orjson
from django.db import connections

from audit import disclosures as sd
from audit.canonical import canonical
from audit.chain import READ_AT_ONCE, SealedRow, read_rows
from audit.envelope import genesis_hash
from audit.errors import DomainError
from audit.merkle import CompactRange, consistency_proof
from audit.record import Actor, EntryDraft, Recorded, record
from audit.scope import as_tenant

FORMAT: Final = "guardsite.bundle.v1"
READER: Final = "audit_reader"


class ExportNotReady(DomainError):
    """No checkpoint covers the export yet; one follows in seconds."""

    code = "export_not_ready"
    status = 409
    default_sentence = "The export waits for a signed checkpoint that covers it. Try again in a few seconds."


class NoSuchExport(DomainError):
    """Not an export of this tenant."""

    code = "not_found"
    status = 404
    default_sentence = "There is no such export."


class BadRange(DomainError):
    """The rows or the earlier checkpoint that were asked for are not in the log."""

    code = "invalid_request"
    status = 422
    default_sentence = "The log does not have these rows, or no checkpoint of that size."


@dataclass(frozen=True, slots=True)
class Export:
    """A requested export, read back from its entry. `seq` is None until it is sealed."""

    uid: UUID
    requester: Mapping[str, str]
    with_disclosures: bool
    start: int
    previous_size: int | None
    seq: int | None


@dataclass(frozen=True, slots=True)
class Cut:
    """The checkpoint at which a bundle ends."""

    log_id: int
    origin: str
    size: int
    note: str


def request_export(
    tenant_id: UUID, *, actor: Actor, with_disclosures: bool, start: int = 0, previous_size: int | None = None
) -> Recorded:
    """Records the wish; the notary signs at once what covers it. Call inside `as_tenant()`."""
    if start < 0 or (previous_size is not None and not _is_signed(tenant_id, previous_size)):
        raise BadRange
    fields: dict[str, object] = {"disclosures": with_disclosures, "from": start}
    if previous_size is not None:
        fields["previous_size"] = previous_size
    return record(tenant_id, EntryDraft("export.created", fields, actor))


def _is_signed(tenant_id: UUID, size: int) -> bool:
    """Whether a signed head covers this size: a kept checkpoint counts even where its own row was lost."""
    if not 1 <= size < 2**63:
        return False
    with connections["default"].cursor() as cursor:
        cursor.execute("SELECT FROM audit_checkpoint WHERE tenant_id = %s AND size >= %s LIMIT 1", [tenant_id, size])
        return cursor.fetchone() is not None


def find_export(tenant_id: UUID, uid: UUID, *, using: str = READER) -> Export:
    """The export of this entry. Raises NoSuchExport. Call inside `as_tenant(using=…)`."""
    with connections[using].cursor() as cursor:
        cursor.execute(
            "SELECT e.body, s.seq FROM audit_entry e LEFT JOIN audit_seal s ON s.entry_id = e.id"
            " WHERE e.tenant_id = %s AND e.uid = %s AND e.kind = 'export.created'",
            [tenant_id, uid],
        )
        row = cursor.fetchone()
    if row is None:
        raise NoSuchExport
    body = json.loads(row[0])
    return Export(uid, body["actor"], body["disclosures"] is True, body["from"], body.get("previous_size"), row[1])


def covering_cut(tenant_id: UUID, export: Export, *, using: str = READER) -> Cut | None:
    """The first checkpoint that covers the export's own entry, or None while there is none."""
    if export.seq is None:
        return None
    with connections[using].cursor() as cursor:
        cursor.execute(
            "SELECT c.log_id, l.origin, c.size, c.note FROM audit_checkpoint c JOIN audit_log l ON l.id = c.log_id"
            " WHERE c.tenant_id = %s AND c.size > %s ORDER BY c.size LIMIT 1",
            [tenant_id, export.seq],
        )
        row = cursor.fetchone()
    return Cut(*row) if row else None


def build_bundle(tenant_id: UUID, uid: UUID, directory: Path, *, using: str = READER) -> Cut:
    """Writes the bundle's files into an empty directory, as `gs_auditor`; returns where it was cut.

    Raises NoSuchExport, ExportNotReady or BadRange.
    """
    with as_tenant(tenant_id, using=using):
        export = find_export(tenant_id, uid, using=using)
        cut = covering_cut(tenant_id, export, using=using)
        if cut is None:
            raise ExportNotReady
        leaves = _leaves(cut, using=using)
        if export.start >= cut.size or (export.previous_size or 0) > cut.size:
            raise BadRange
        _write_rows(
            directory / "entries.jsonl", tenant_id, export, cut, using=using, manifest=(manifest := _Manifest())
        )
    start = export.start
    frontier = {
        "prev_hash": (leaves[start - 1] if start else genesis_hash(cut.origin)).hex(),
        "left": [item.hex() for item in CompactRange.of(0, leaves[:start]).hashes],
        "right": [],
    }
    (directory / "checkpoint").write_text(cut.note, encoding="utf-8", newline="\n")
    (directory / "frontier.json").write_bytes(canonical(frontier))
    if export.previous_size is not None:
        (directory / "consistency.proof").write_text(
            proof_text(export.previous_size, cut.size, leaves), encoding="ascii", newline="\n"
        )
    files = {path.name: _sha256_of(path) for path in sorted(directory.iterdir())}
    (directory / "manifest.json").write_bytes(canonical(manifest.as_json(export, cut, files)))
    return cut


def proof_text(older: int, newer: int, leaves: list[bytes]) -> str:
    """A consistency proof as text: name, the two sizes, then one base64 hash a line."""
    lines = ["guardsite.consistency.v1", str(older), str(newer)]
    lines += [base64.b64encode(item).decode() for item in consistency_proof(leaves[:newer], older)]
    return "\n".join(lines) + "\n"


def write_zip(directory: Path, target: IO[bytes]) -> None:
    """The bundle as one stored ZIP; the same files give the same bytes."""
    with zipfile.ZipFile(target, "w", zipfile.ZIP_STORED) as archive:
        for path in sorted(directory.iterdir()):
            info = zipfile.ZipInfo(path.name, date_time=(1980, 1, 1, 0, 0, 0))
            with path.open("rb") as source, archive.open(info, "w", force_zip64=True) as file:
                while block := source.read(1 << 20):
                    file.write(block)


def zip_bundle(tenant_id: UUID, uid: UUID, *, using: str = READER) -> tuple[IO[bytes], Cut]:
    """The bundle as an open temporary ZIP file, at its beginning, and where it was cut."""
    with tempfile.TemporaryDirectory(prefix="guardsite-bundle-") as name:
        cut = build_bundle(tenant_id, uid, Path(name), using=using)
        target: IO[bytes] = tempfile.TemporaryFile()  # noqa: SIM115  (the caller closes it)
        write_zip(Path(name), target)
    target.seek(0)
    return target, cut


class _Manifest:
    """What is counted while rows are written."""

    def __init__(self) -> None:
        self.counts: dict[str, int] = {}
        self.erased = 0
        self.first_us: int | None = None
        self.last_us: int | None = None

    def see(self, row: SealedRow, erased: int) -> None:
        if row.body is not None and row.kind is not None:
            self.counts[row.kind] = self.counts.get(row.kind, 0) + 1
        self.erased += erased
        self.first_us = row.recorded_us if self.first_us is None else self.first_us
        self.last_us = row.recorded_us

    def as_json(self, export: Export, cut: Cut, files: Mapping[str, str]) -> dict[str, Any]:
        return {
            "format": FORMAT,
            "origin": cut.origin,
            "from": export.start,
            "to": cut.size,
            "size": cut.size,
            "counts": self.counts,
            "erased": self.erased,
            "filter": None,
            "time_range": {"first_us": self.first_us, "last_us": self.last_us},
            "generator": f"guardsite {_version()}",
            "requester": dict(export.requester),
            "export": str(export.uid),
            "disclosures": export.with_disclosures,
            "files": dict(files),
        }


def _version() -> str:
    try:
        return version("guardsite")
    except PackageNotFoundError:
        return "from source"


def _leaves(cut: Cut, *, using: str) -> list[bytes]:
    with connections[using].cursor() as cursor:
        cursor.execute(
            "SELECT row_hash FROM audit_seal WHERE log_id = %s AND seq < %s ORDER BY seq", [cut.log_id, cut.size]
        )
        return [bytes(row[0]) for row in cursor.fetchall()]


def _write_rows(path: Path, tenant_id: UUID, export: Export, cut: Cut, *, using: str, manifest: _Manifest) -> None:
    erasures = _erasures(tenant_id, cut, using=using)
    with path.open("wb") as file:
        for batch in _batches(read_rows(cut.log_id, start=export.start, stop=cut.size, using=using)):
            stored = _stored_values(tenant_id, [row.entry_id for row in batch], using=using)
            for row in batch:
                line = _line(row, stored.get(row.entry_id, {}), erasures, with_values=export.with_disclosures)
                manifest.see(row, len(line["erased"]))
                # Texts are ASCII and numbers whole here, so this is canonical, at a tenth of the price.
                file.write(orjson.dumps(line, option=orjson.OPT_SORT_KEYS | orjson.OPT_APPEND_NEWLINE))


def _line(
    row: SealedRow, stored: Mapping[str, bytes], erasures: Mapping[str, int], *, with_values: bool
) -> dict[str, Any]:
    digests: list[str] = json.loads(row.body).get("_sd", []) if row.body is not None else []
    return {
        "seq": row.seq,
        "recorded_us": row.recorded_us,
        "body_hash": row.body_hash.hex(),
        "row_hash": row.row_hash.hex(),
        "body": row.body,
        "disclosures": [sd.encode(stored[digest]) for digest in digests if digest in stored] if with_values else [],
        "withheld": [] if with_values else [digest for digest in digests if digest in stored],
        "erased": {digest: erasures[digest] for digest in digests if digest not in stored and digest in erasures},
    }


def _batches(rows: Iterator[SealedRow]) -> Iterator[list[SealedRow]]:
    batch: list[SealedRow] = []
    for row in rows:
        batch.append(row)
        if len(batch) == READ_AT_ONCE:
            yield batch
            batch = []
    if batch:
        yield batch


def _stored_values(tenant_id: UUID, entry_ids: list[int], *, using: str) -> dict[int, dict[str, bytes]]:
    found: dict[int, dict[str, bytes]] = {}
    with connections[using].cursor() as cursor:
        cursor.execute(
            "SELECT entry_id, digest, ciphertext FROM audit_disclosure WHERE tenant_id = %s AND entry_id = ANY (%s)",
            [tenant_id, entry_ids],
        )
        for entry_id, digest, value in cursor.fetchall():
            found.setdefault(entry_id, {})[digest] = bytes(value)
    return found


def _erasures(tenant_id: UUID, cut: Cut, *, using: str) -> dict[str, int]:
    """The position of the entry that erased each digest."""
    with connections[using].cursor() as cursor:
        cursor.execute(
            "SELECT e.body, s.seq FROM audit_entry e JOIN audit_seal s ON s.entry_id = e.id"
            " WHERE e.tenant_id = %s AND e.kind = 'erasure.executed' AND s.log_id = %s AND s.seq < %s ORDER BY s.seq DESC",
            [tenant_id, cut.log_id, cut.size],
        )
        return {digest: seq for body, seq in cursor.fetchall() for digest in json.loads(body)["digests"]}


def _sha256_of(path: Path) -> str:
    digest = sha256()
    with path.open("rb") as file:
        while block := file.read(1 << 20):
            digest.update(block)
    return digest.hexdigest()
