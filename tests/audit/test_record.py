"""Recording, sealing, signing: on the real database, each step as the role that does it."""

from __future__ import annotations

import json
import threading
import time
from collections.abc import Callable
from hashlib import sha256
from uuid import UUID

import psycopg
import pytest
from django.db import connections, transaction
from django.db.utils import DatabaseError, IntegrityError, ProgrammingError

from audit import disclosures, envelope, kinds, merkle, receipt, sealing
from audit.notary import Notary, heads
from audit.note import open_checkpoint
from audit.record import Actor, Disclosure, EntryDraft, open_log, record, record_many
from audit.scope import as_tenant
from guardsite import testing
from tests.audit import vectors as v
from tests.audit.conftest import BOT, add, draft, owner, rows, seal_all, tenant, vkey_of

pytestmark = pytest.mark.usefixtures("cloned_db")


def test_recorded_entry_is_hashed_by_the_database_as_by_us() -> None:
    tenant_id = tenant()
    (first, second) = add(tenant_id, 2)
    assert first.entry_id < second.entry_id
    (body, stored, received) = rows(
        "SELECT body, body_hash, received_us FROM audit_entry WHERE id = %s", first.entry_id
    )[0]
    assert bytes(stored).hex() == first.body_hash == envelope.body_hash(str(body).encode()).hex()
    assert received == first.received_us
    parsed = json.loads(str(body))
    assert parsed["id"] == first.uid
    assert len(parsed["nonce"]) == 32
    assert parsed["corr"] == {"run_id": "run_0"}
    assert parsed["_sd"] == sorted(parsed["_sd"])
    assert len(parsed["_sd"]) == 2


def test_disclosures_are_what_the_body_commits_to() -> None:
    tenant_id = tenant()
    (recorded,) = add(tenant_id, 1)
    stored = rows("SELECT digest, ciphertext, key_id FROM audit_disclosure WHERE entry_id = %s", recorded.entry_id)
    assert {str(row[0]) for row in stored} == {
        disclosures.digest_of(disclosures.encode(bytes(row[1]))) for row in stored
    }
    opened = {disclosures.open_value(bytes(row[1])).name: row for row in stored}
    assert set(opened) == {"params.amount_cents", "reason"}
    assert all(row[2] is None for row in stored)


def test_generated_columns_say_what_the_body_says() -> None:
    tenant_id = tenant()
    with as_tenant(tenant_id):
        recorded = record(tenant_id, draft(review={"id": "rv_01"}))
    found = rows(
        "SELECT uid::text, kind, action_id, effect, decision, mode, rule, actor, review FROM audit_entry WHERE id = %s",
        recorded.entry_id,
    )
    assert found == [
        (
            recorded.uid,
            "call.evaluated",
            "billing.refund",
            "review",
            "review",
            "enforce",
            "refund-over-limit",
            "billing-bot",
            "rv_01",
        )
    ]


def test_an_exception_rolls_entry_and_queue_back() -> None:
    tenant_id = tenant()
    with pytest.raises(envelope.BadBody), as_tenant(tenant_id):
        record_many(tenant_id, [draft()]) and record(tenant_id, draft(amount=0.5))
    assert rows("SELECT count(*) FROM audit_entry WHERE tenant_id = %s", tenant_id) == [(1,)]
    assert rows("SELECT count(*) FROM audit_pending WHERE tenant_id = %s", tenant_id) == [(1,)]


def test_recording_outside_a_tenant_or_for_another_is_refused() -> None:
    tenant_id, other = tenant(), tenant()
    with pytest.raises(ProgrammingError, match="not of the tenant"), transaction.atomic():
        record(tenant_id, draft())
    with pytest.raises(ProgrammingError, match="not of the tenant"), as_tenant(other):
        record(tenant_id, draft())


def test_recording_without_a_log_is_refused() -> None:
    tenant_id = UUID(int=5)
    with pytest.raises(DatabaseError, match="no open log"), as_tenant(tenant_id):
        record(tenant_id, draft())


def test_unregistered_kind_and_bad_fields_are_refused() -> None:
    tenant_id = tenant()
    with as_tenant(tenant_id):
        with pytest.raises(kinds.UnknownKind):
            record(tenant_id, EntryDraft("call.imagined", {}, BOT))
        for fields in ({"kind": "x"}, {"amount": 1.5}, {"name": "Ren\u00e9"}):
            with pytest.raises(envelope.BadBody):
                record(tenant_id, EntryDraft("call.evaluated", fields, BOT))
        with pytest.raises(envelope.BadBody):
            record(tenant_id, EntryDraft("call.evaluated", {}, Actor("robot", "x")))
        with pytest.raises(envelope.BadBody):
            record(tenant_id, EntryDraft("call.evaluated", {}, BOT, corr={"password": "x"}))
        assert record_many(tenant_id, []) == []


def test_value_with_nul_escape_is_kept_as_text() -> None:
    """`jsonb` refuses the valid escape; the value is never cast, so the entry exists."""
    tenant_id = tenant()
    with as_tenant(tenant_id):
        recorded = record(
            tenant_id, EntryDraft("call.evaluated", {}, BOT, disclosures=[Disclosure("params.x", r'"a\u0000b"')])
        )
    assert rows("SELECT count(*) FROM audit_disclosure WHERE entry_id = %s", recorded.entry_id) == [(1,)]


def test_the_test_vector_in_sql() -> None:
    with testing.server().session(dbname=str(connections.settings["default"]["NAME"])) as session:
        for setting in ("TimeZone = 'Asia/Kathmandu'", "DateStyle = 'German'", "bytea_output = 'escape'"):
            session.execute(f"SET {setting}")

        def one(statement: str, *arguments: object) -> bytes:
            row = session.execute(statement, arguments).fetchone()
            assert row is not None
            return bytes(row[0])

        genesis = one("SELECT audit_genesis_hash(%s)", v.ORIGIN)
        assert genesis.hex() == v.GENESIS
        body_0 = one("SELECT audit_body_hash(%s)", v.BODY_0)
        assert body_0.hex() == v.BODY_HASH_0
        arguments = (v.ORIGIN, 0, genesis, body_0, v.RECORDED_US_0)
        assert one("SELECT audit_envelope(%s, %s, %s, %s, %s)", *arguments) == v.ENVELOPE_0
        row_0 = one("SELECT audit_row_hash(%s, %s, %s, %s, %s)", *arguments)
        assert row_0.hex() == v.ROW_HASH_0
        body_1 = one("SELECT audit_body_hash(%s)", v.BODY_1)
        row_1 = one("SELECT audit_row_hash(%s, %s, %s, %s, %s)", v.ORIGIN, 1, row_0, body_1, v.RECORDED_US_1)
        assert row_1.hex() == v.ROW_HASH_1


def test_sealed_rows_chain_in_sql_as_in_python() -> None:
    tenant_id = tenant()
    for start in range(0, 300, 100):
        add(tenant_id, 100, start=start)
    assert seal_all() == 301
    (origin,) = rows("SELECT origin FROM audit_log WHERE tenant_id = %s", tenant_id)[0]
    sealed = rows(
        "SELECT s.seq, s.body_hash, s.recorded_us, s.row_hash, s.entry_id FROM audit_seal s WHERE tenant_id = %s ORDER BY seq",
        tenant_id,
    )
    assert [row[0] for row in sealed] == list(range(301))
    assert [row[4] for row in sealed] == sorted(int(str(row[4])) for row in sealed)
    times = [int(str(row[2])) for row in sealed]
    assert times == sorted(times)
    expected = envelope.chain(
        str(origin),
        envelope.genesis_hash(str(origin)),
        [(int(str(r[0])), bytes(r[1]), int(str(r[2]))) for r in sealed],
    )
    assert [bytes(row[3]) for row in sealed] == expected
    assert rows("SELECT count(*) FROM audit_pending") == [(0,)]
    assert rows("SELECT size, row_hash FROM audit_head WHERE tenant_id = %s", tenant_id) == [(301, expected[-1])]
    assert seal_all() == 0


def test_time_never_runs_backwards_when_the_clock_does() -> None:
    tenant_id = tenant()
    seal_all()
    owner("UPDATE audit_head SET recorded_us = recorded_us + 3600000000 WHERE tenant_id = %s", tenant_id)
    add(tenant_id, 1)
    seal_all()
    times = [row[0] for row in rows("SELECT recorded_us FROM audit_seal WHERE tenant_id = %s ORDER BY seq", tenant_id)]
    assert times[1] - times[0] >= 3_600_000_000


def test_sealing_under_repeatable_read_is_refused() -> None:
    tenant_id = tenant()
    with psycopg.connect(
        testing.server().conninfo("gs_sealer", dbname=str(connections.settings["default"]["NAME"]))
    ) as seal:
        seal.isolation_level = psycopg.IsolationLevel.REPEATABLE_READ
        with pytest.raises(psycopg.errors.InvalidTransactionState):
            seal.execute("SELECT audit_seal_batch(%s, 10)", [tenant_id])


def test_second_sealer_of_a_tenant_does_not_wait() -> None:
    tenant_id = tenant()
    dbname = str(connections.settings["default"]["NAME"])
    with psycopg.connect(testing.server().conninfo("gs_sealer", dbname=dbname)) as first:
        assert first.execute("SELECT audit_seal_batch(%s, 10)", [tenant_id]).fetchone() == (1,)
        assert sealing.seal_tenant(tenant_id) == 0
    assert rows("SELECT count(*) FROM audit_seal") == [(1,)]


def test_second_log_for_a_tenant_and_second_genesis_are_refused() -> None:
    tenant_id = tenant()
    with pytest.raises(IntegrityError, match="log_has_one_row_per_epoch"), as_tenant(tenant_id):
        open_log(tenant_id)
    seal_all()
    (log_id,) = rows("SELECT id FROM audit_log")[0]
    (recorded,) = add(tenant_id, 1)
    with pytest.raises(psycopg.errors.UniqueViolation):
        owner(
            "INSERT INTO audit_seal (log_id, seq, tenant_id, entry_id, body_hash, recorded_us, row_hash)"
            " VALUES (%s, 0, %s, %s, %s, 1, %s)",
            log_id,
            tenant_id,
            recorded.entry_id,
            bytes(32),
            bytes(32),
        )


def test_backlog_counts_up_to_its_cap_and_only_for_the_own_tenant() -> None:
    tenant_id, other = tenant(), tenant()
    add(tenant_id, 9)
    with as_tenant(tenant_id):
        assert sealing.backlog(tenant_id) == 10
        assert sealing.backlog(tenant_id, cap=4) == 4
        with pytest.raises(ProgrammingError), transaction.atomic():
            sealing.backlog(other)


def test_stranded_entry_is_queued_again(caplog: pytest.LogCaptureFixture) -> None:
    tenant_id = tenant()
    (recorded,) = add(tenant_id, 1)
    owner("DELETE FROM audit_pending WHERE entry_id = %s", recorded.entry_id)
    assert seal_all() == 1
    assert sealing.requeue_stranded([tenant_id]) == 1
    assert "stranded" in caplog.text
    assert seal_all() == 1
    assert sealing.requeue_stranded([tenant_id]) == 0


def test_receipt_carries_the_newest_checkpoint(make_notary: Callable[..., Notary]) -> None:
    tenant_id = tenant()
    (first,) = add(tenant_id, 1)
    assert receipt.receipt(first) == {
        "entry_id": first.uid,
        "body_hash": first.body_hash,
        "received_us": first.received_us,
        "checkpoint": None,
    }
    seal_all()
    make_notary().cycle()
    receipt._known.clear()
    found = receipt.receipt(first)["checkpoint"]
    assert isinstance(found, dict)
    assert found["size"] == 2


def test_signed_checkpoint_covers_the_sealed_rows(make_notary: Callable[..., Notary]) -> None:
    tenant_id = tenant()
    add(tenant_id, 20)
    seal_all()
    notary = make_notary()
    assert notary.cycle() == 1
    (note,) = rows("SELECT note FROM audit_checkpoint")[0]
    checkpoint = open_checkpoint(str(note), vkey_of(tenant_id))
    leaves = [bytes(row[0]) for row in rows("SELECT row_hash FROM audit_seal ORDER BY seq")]
    assert (checkpoint.size, checkpoint.root) == (21, merkle.root_of(leaves))
    assert notary.cycle() == 0


def test_cadence_is_ten_seconds_or_a_thousand_entries_or_an_export(make_notary: Callable[..., Notary]) -> None:
    tenant_id = tenant()
    seal_all()
    now = [100.0]
    notary = make_notary(clock=lambda: now[0])
    assert notary.cycle() == 1
    add(tenant_id, 1)
    seal_all()
    assert notary.cycle() == 0
    now[0] += 10
    assert notary.cycle() == 1
    for start in range(0, 1_000, 250):
        add(tenant_id, 250, start=start)
    seal_all()
    assert notary.cycle() == 1
    with as_tenant(tenant_id):
        record(tenant_id, EntryDraft("export.created", {"disclosures": False}, BOT))
    seal_all()
    assert notary.cycle() == 1
    add(tenant_id, 1)
    seal_all()
    assert notary.cycle() == 0
    assert notary.cycle(at_once=True) == 1


def test_memory_is_written_before_the_signature(
    make_notary: Callable[..., Notary], monkeypatch: pytest.MonkeyPatch
) -> None:
    tenant_id = tenant()
    seal_all()
    monkeypatch.setattr("audit.notary.sign_checkpoint", lambda *_: (_ for _ in ()).throw(KeyboardInterrupt))
    with pytest.raises(KeyboardInterrupt):
        make_notary().cycle()
    assert rows("SELECT count(*) FROM audit_checkpoint") == [(0,)]
    monkeypatch.undo()
    add(tenant_id, 1)
    seal_all()
    assert make_notary().cycle() == 1
    assert rows("SELECT size FROM audit_checkpoint") == [(2,)]


def test_each_tenant_has_its_own_chain() -> None:
    first, second = tenant(), tenant()
    add(first, 3)
    add(second, 2)
    seal_all()
    for tenant_id, size in ((first, 4), (second, 3)):
        assert rows("SELECT seq FROM audit_seal WHERE tenant_id = %s ORDER BY seq", tenant_id) == [
            (n,) for n in range(size)
        ]
    assert {head.size for head in heads()} == {4, 3}


def test_64_clients_and_4_sealers_make_no_fork_and_no_gap() -> None:
    tenant_id = tenant()
    dbname = str(connections.settings["default"]["NAME"])
    acknowledged: list[str] = []
    problems: list[BaseException] = []
    lock = threading.Lock()
    stop = threading.Event()

    def client(number: int) -> None:
        try:
            for turn in range(5):
                with as_tenant(tenant_id):
                    recorded = record(tenant_id, draft(number * 100 + turn))
                with lock:
                    acknowledged.append(recorded.uid)
        except BaseException as problem:
            problems.append(problem)
        finally:
            connections.close_all()

    def sealer() -> None:
        try:
            with psycopg.connect(testing.server().conninfo("gs_sealer", dbname=dbname), autocommit=True) as connection:
                while True:
                    ending = stop.is_set()
                    row = connection.execute("SELECT audit_seal_batch(%s, 7)", [tenant_id]).fetchone()
                    if row == (0,):
                        if ending:
                            return
                        time.sleep(0.002)
        except BaseException as problem:
            problems.append(problem)

    sealers = [threading.Thread(target=sealer) for _ in range(4)]
    clients = [threading.Thread(target=client, args=(number,)) for number in range(64)]
    for thread in [*sealers, *clients]:
        thread.start()
    for thread in clients:
        thread.join(60)
    stop.set()
    for thread in sealers:
        thread.join(60)
    seal_all()
    assert problems == []
    assert len(acknowledged) == 320
    sealed = rows("SELECT s.seq, e.uid::text FROM audit_seal s JOIN audit_entry e ON e.id = s.entry_id ORDER BY s.seq")
    assert [row[0] for row in sealed] == list(range(321))
    assert {row[1] for row in sealed[1:]} == set(acknowledged)
    checked = Notary(key=None, directory=None)  # type: ignore[arg-type]  # only reads
    (head,) = heads()
    from audit.chain import check_row, read_rows

    previous, moment = envelope.genesis_hash(head.origin), 0
    for seq, row in enumerate(read_rows(head.log_id, start=0, stop=head.size, using=checked.using)):
        previous = check_row(
            row, origin=head.origin, tenant_id=str(tenant_id), seq=seq, previous=previous, not_before_us=moment
        )
        moment = row.recorded_us


def test_the_salted_call_digest() -> None:
    expected = sha256(b"guardsite.call.v1\n" + b"ab" * 16 + b"\n" + b"{}").hexdigest()
    assert envelope.call_digest(salt_hex="ab" * 16, canonical_call=b"{}") == expected
