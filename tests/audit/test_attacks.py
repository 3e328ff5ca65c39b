"""One test per attack on the tables themselves: refused by roles and triggers, or found by notary and verification."""

from __future__ import annotations

import ast
import os
import signal
import subprocess
import sys
import time
from collections.abc import Callable
from io import StringIO
from pathlib import Path
from uuid import UUID

import psycopg
import pytest
from django.core.management import CommandError, call_command
from django.db import connections
from psycopg.errors import InsufficientPrivilege

from audit import keys, memory, note
from audit.notary import Notary, heads, oldest_pending_seconds
from audit.scope import as_tenant
from audit.verification import Report, verify_log
from audit.verifier import SCRIPT
from guardsite import testing
from tests.audit.conftest import KEY, add, owner, rows, seal_all, tenant, vkey_of

pytestmark = pytest.mark.usefixtures("cloned_db")

ROLES = ("gs_app", "gs_sealer", "gs_notary", "gs_auditor", "gs_eraser")
TABLES = (
    "audit_entry",
    "audit_pending",
    "audit_log",
    "audit_head",
    "audit_seal",
    "audit_checkpoint",
    "audit_disclosure",
)


def as_role(role: str, tenant_id: UUID | None = None) -> psycopg.Connection:
    connection = psycopg.connect(testing.server().conninfo(role, dbname=str(connections.settings["default"]["NAME"])))
    if tenant_id is not None:
        connection.execute("SELECT set_config('guardsite.tenant', %s, false)", [str(tenant_id)])
        connection.commit()
    return connection


def verified(tenant_id: UUID) -> Report:
    report = verify_log(tenant_id)
    assert report is not None
    return report


@pytest.fixture
def sealed(make_notary: Callable[..., Notary]) -> UUID:
    """A tenant with eleven sealed and signed rows."""
    tenant_id = tenant()
    add(tenant_id, 10)
    seal_all()
    make_notary().cycle(at_once=True)
    return tenant_id


ALLOWED = {
    ("gs_app", "INSERT", "audit_disclosure"),
    *(("gs_auditor", "SELECT", table) for table in TABLES),
    *(("gs_notary", "SELECT", table) for table in TABLES if table != "audit_disclosure"),
    ("gs_sealer", "SELECT", "audit_pending"),
    ("gs_app", "SELECT", "audit_log"),
}


@pytest.mark.parametrize("role", ROLES)
def test_each_role_is_refused_each_statement_it_does_not_need(sealed: UUID, role: str) -> None:
    statements = {
        "SELECT": "SELECT * FROM {}",
        "UPDATE": "UPDATE {} SET tenant_id = tenant_id",
        "DELETE": "DELETE FROM {}",
        "TRUNCATE": "TRUNCATE {}",
        "DISABLE": "ALTER TABLE {} DISABLE TRIGGER USER",
        "NO FORCE": "ALTER TABLE {} NO FORCE ROW LEVEL SECURITY",
        "DROP": "DROP TABLE {}",
    }
    with as_role(role, sealed) as connection:
        for table in TABLES:
            for name, statement in statements.items():
                if (role, name, table) in ALLOWED:
                    connection.execute(statement.format(table))
                else:
                    with pytest.raises(InsufficientPrivilege):
                        connection.execute(statement.format(table))
                connection.rollback()


@pytest.mark.parametrize(
    ("role", "statement"),
    [
        ("gs_app", "INSERT INTO audit_entry (tenant_id, body, body_hash) SELECT %s, '{}', ''"),
        ("gs_app", "INSERT INTO audit_entry (tenant_id, body, received_us) SELECT %s, '{}', 1"),
        ("gs_app", "INSERT INTO audit_pending (tenant_id, entry_id) VALUES (%s, 1)"),
        ("gs_app", "INSERT INTO audit_seal (tenant_id) VALUES (%s)"),
        ("gs_app", "INSERT INTO audit_checkpoint (tenant_id) VALUES (%s)"),
        ("gs_app", "INSERT INTO audit_log (tenant_id, epoch, origin) VALUES (%s, 2, 'a/b')"),
        ("gs_app", "UPDATE audit_head SET size = 0 WHERE tenant_id = %s"),
        ("gs_app", "SELECT audit_seal_batch(%s, 1)"),
        ("gs_app", "SELECT audit_requeue_stranded(%s, 1)"),
        ("gs_app", "SELECT audit_erase(%s, '{}', '{}')"),
        ("gs_sealer", "INSERT INTO audit_seal (tenant_id) VALUES (%s)"),
        ("gs_sealer", "INSERT INTO audit_entry (tenant_id, body) VALUES (%s, '{}')"),
        ("gs_sealer", "DELETE FROM audit_pending WHERE tenant_id = %s"),
        ("gs_notary", "SELECT audit_seal_batch(%s, 1)"),
        ("gs_notary", "INSERT INTO audit_seal (tenant_id) VALUES (%s)"),
        ("gs_auditor", "INSERT INTO audit_entry (tenant_id, body) VALUES (%s, '{}')"),
        ("gs_auditor", "INSERT INTO audit_checkpoint (tenant_id) VALUES (%s)"),
        ("gs_auditor", "SELECT audit_open_log(%s, 'a/b', '{}')"),
        ("gs_eraser", "SELECT audit_seal_batch(%s, 1)"),
        ("gs_eraser", "DELETE FROM audit_disclosure WHERE tenant_id = %s"),
        ("gs_broker", "SELECT public.audit_backlog(%s, 1)"),
        ("gs_broker", "SELECT FROM public.audit_entry WHERE tenant_id = %s"),
    ],
)
def test_forbidden_statement_is_refused(sealed: UUID, role: str, statement: str) -> None:
    with as_role(role, sealed) as connection, pytest.raises(InsufficientPrivilege):
        connection.execute(statement, [sealed])


@pytest.mark.parametrize(
    "statement",
    [
        "UPDATE audit_entry SET tenant_id = tenant_id",
        "DELETE FROM audit_entry",
        "TRUNCATE audit_entry",
        "UPDATE audit_seal SET recorded_us = 1 WHERE false",
        "DELETE FROM audit_seal",
        "TRUNCATE audit_seal",
        "UPDATE audit_checkpoint SET note = ''",
        "DELETE FROM audit_checkpoint",
        "TRUNCATE audit_checkpoint",
        "UPDATE audit_log SET epoch = 2",
        "DELETE FROM audit_log",
        "TRUNCATE audit_log",
        "UPDATE audit_disclosure SET digest = digest",
        "TRUNCATE audit_disclosure",
    ],
)
def test_append_only_triggers_stop_even_a_superuser_in_replica_mode(sealed: UUID, statement: str) -> None:
    with testing.server().session(dbname=str(connections.settings["default"]["NAME"])) as session:
        session.execute("SET session_replication_role = replica")
        with pytest.raises(InsufficientPrivilege, match="the log only grows"):
            session.execute(statement)


def test_owner_is_bound_to_the_tenant_too(sealed: UUID) -> None:
    with as_role("gs_migrator") as connection:
        connection.execute("SET ROLE gs_owner")
        for table in TABLES:
            assert connection.execute(f"SELECT count(*) FROM {table}").fetchone() == (0,)


def test_tenants_see_their_own_rows_only(sealed: UUID) -> None:
    other = tenant()
    add(other, 2)
    seal_all()
    for table in TABLES[:1] + TABLES[2:]:
        mine = rows(f"SELECT count(*) FROM {table} WHERE tenant_id = %s", sealed)
        with as_role("gs_auditor", sealed) as connection:
            assert connection.execute(f"SELECT count(*) FROM {table}").fetchone() == mine[0]
            assert connection.execute(f"SELECT count(*) FROM {table} WHERE tenant_id <> %s", [sealed]).fetchone() == (
                0,
            )
        with as_role("gs_auditor") as connection:
            assert connection.execute(f"SELECT count(*) FROM {table}").fetchone() == (0,)
    with as_role("gs_app", sealed) as connection:
        assert connection.execute("SELECT count(id) FROM audit_entry").fetchone() == (11,)
        with pytest.raises(InsufficientPrivilege):
            connection.execute(
                "INSERT INTO audit_disclosure (entry_id, digest, tenant_id, ciphertext) VALUES (1, %s, %s, '')",
                ["x" * 43, other],
            )


def test_functions_resolve_no_name_in_a_callers_schema(sealed: UUID) -> None:
    """A definer function with an open search_path would run the caller's own `sha256`."""
    found = rows(
        "SELECT proname FROM pg_proc WHERE proname LIKE 'audit\\_%%' AND NOT"
        " coalesce('search_path=pg_catalog, pg_temp' = ANY (proconfig), false) AND true = %s",
        True,
    )
    assert found == []


def test_untouched_log_is_verified(sealed: UUID) -> None:
    report = verified(sealed)
    assert report.is_verified
    assert report.sentence() == "Verified through #10"
    assert {check.status for check in report.checks} == {"pass"}
    add(sealed, 1)
    report = verified(sealed)
    assert report.is_verified
    assert report.pending == 1
    assert verify_log(UUID(int=9)) is None


EDITS: dict[str, tuple[str, str]] = {
    "a body": (
        (
            "UPDATE audit_entry SET body = replace(body, 'review', 'allow_') WHERE id ="
            " (SELECT entry_id FROM audit_seal WHERE seq = 4)"
        ),
        "#4: the body is not the one that was sealed",
    ),
    "a body and its hash": (
        (
            "UPDATE audit_entry SET body = replace(body, 'review', 'allow_'), body_hash = sha256(convert_to("
            "'guardsite.body.v1' || chr(10) || replace(body, 'review', 'allow_'), 'UTF8')) WHERE id ="
            " (SELECT entry_id FROM audit_seal WHERE seq = 4)"
        ),
        "#4: the body is not the one that was sealed",
    ),
    "an entry deleted": (
        "DELETE FROM audit_entry WHERE id = (SELECT entry_id FROM audit_seal WHERE seq = 4)",
        "#4: the entry is missing",
    ),
    "a seal deleted": ("DELETE FROM audit_seal WHERE seq = 4", "#4: a row is missing"),
    "two entries swapped": (
        (
            "UPDATE audit_seal SET entry_id = -entry_id WHERE seq IN (4, 5); UPDATE audit_seal s SET entry_id = -o.entry_id"
            " FROM audit_seal o WHERE (s.seq, o.seq) IN ((4, 5), (5, 4)) AND s.log_id = o.log_id"
        ),
        "#4: the body is not the one that was sealed",
    ),
    "the last rows cut": (
        (
            "DELETE FROM audit_seal WHERE seq > 7; UPDATE audit_head SET size = 8, row_hash ="
            " (SELECT row_hash FROM audit_seal WHERE seq = 7)"
        ),
        "the one of 11 rows was signed over other rows",
    ),
    "a time shifted": (
        "UPDATE audit_seal SET recorded_us = recorded_us + 1 WHERE seq = 4",
        "#4: the row hash does not",
    ),
    "a time before": ("UPDATE audit_seal SET recorded_us = 1 WHERE seq = 4", "#4: the time runs backwards"),
    "a checkpoint's root": ("UPDATE audit_checkpoint SET root = sha256('x')", "was signed over other rows"),
    "a checkpoint's note": (
        "UPDATE audit_checkpoint SET note = replace(note, E'\\n11\\n', E'\\n10\\n')",
        "the signature is wrong",
    ),
    "a stored value": (
        (
            "UPDATE audit_disclosure SET ciphertext = convert_to('[\"a\", \"b\", 1]', 'UTF8') WHERE entry_id ="
            " (SELECT entry_id FROM audit_seal WHERE seq = 4)"
        ),
        "one is not what its entry commits to",
    ),
    "a row of another tenant": (
        "UPDATE audit_entry SET tenant_id = gen_random_uuid() WHERE id = (SELECT entry_id FROM audit_seal WHERE seq = 4)",
        "#4: the entry is missing",
    ),
    "the head": ("UPDATE audit_head SET row_hash = sha256('x')", "the head does not follow from the rows"),
    "all rechained": (
        (
            "UPDATE audit_entry SET body = replace(body, 'review', 'allow_'), body_hash = sha256(convert_to("
            "'guardsite.body.v1' || chr(10) || replace(body, 'review', 'allow_'), 'UTF8'));"
            "DO $$ DECLARE r record; link bytea; BEGIN"
            " SELECT audit_genesis_hash(origin) INTO link FROM audit_log;"
            " FOR r IN SELECT s.seq, s.recorded_us, e.body_hash, l.origin FROM audit_seal s JOIN audit_entry e ON e.id = s.entry_id"
            " JOIN audit_log l ON l.id = s.log_id ORDER BY s.seq LOOP"
            " link := audit_row_hash(r.origin, r.seq, link, r.body_hash, r.recorded_us);"
            " UPDATE audit_seal SET body_hash = r.body_hash, row_hash = link WHERE seq = r.seq; END LOOP;"
            " UPDATE audit_head SET row_hash = link; END $$"
        ),
        "the one of 11 rows was signed over other rows",
    ),
    "the queue": (
        "INSERT INTO audit_pending (tenant_id, entry_id) SELECT tenant_id, 999 FROM audit_log",
        "1 vanished from it",
    ),
}


@pytest.mark.parametrize("name", EDITS)
def test_what_an_owner_changes_behind_the_triggers_is_found(sealed: UUID, name: str) -> None:
    statement, words = EDITS[name]
    assert verified(sealed).is_verified
    owner(statement)
    report = verified(sealed)
    assert report.is_broken, report
    assert any(words in check.text for check in report.checks if check.status == "fail"), report.checks
    assert report.sentence().startswith("Broken")
    with pytest.raises(CommandError):
        call_command("audit_verify", tenant=sealed, stdout=StringIO())


def test_a_column_that_was_cut_loose_from_its_body_is_found(sealed: UUID) -> None:
    owner("ALTER TABLE audit_entry ALTER COLUMN action_id DROP EXPRESSION")
    owner("UPDATE audit_entry SET action_id = 'harmless' WHERE action_id IS NOT NULL")
    report = verified(sealed)
    assert report.first_bad_seq == 1
    assert "a column says something else than the body" in str(report.checks)


def test_deleted_queue_row_is_found(sealed: UUID) -> None:
    add(sealed, 1)
    owner("DELETE FROM audit_pending")
    assert "1 entries lost their place in the queue" in str(verified(sealed).checks)


def test_without_the_public_key_nothing_is_called_verified(
    sealed: UUID, settings: object, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("audit.verification.vkey", lambda _: None)
    report = verified(sealed)
    assert not report.is_verified
    assert report.sentence() == "Cannot verify: key missing"


def test_unsigned_log_is_not_called_verified() -> None:
    report = verified(tenant())
    assert not report.is_verified
    assert "nothing is signed yet" in report.sentence()


# --- The notary refuses -------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("statement", "words"),
    [
        (
            "UPDATE audit_entry SET body = replace(body, 'review', 'allow_')",
            "#11: the body is not the one that was sealed",
        ),
        ("UPDATE audit_seal SET row_hash = sha256('x') WHERE seq = 10", "#10 is not the one that was read before"),
        ("UPDATE audit_head SET size = 9", "shorter than what was signed"),
        ("DELETE FROM audit_seal WHERE seq = 12", "#12: a row is missing"),
        ("DELETE FROM audit_seal WHERE seq > 11", "#12: a row is missing"),
        (
            "UPDATE audit_seal SET recorded_us = recorded_us + 3600000000 WHERE seq = 13",
            "#13: the row hash does not follow",
        ),
    ],
)
def test_notary_signs_nothing_that_does_not_fit(
    sealed: UUID, make_notary: Callable[..., Notary], statement: str, words: str, caplog: pytest.LogCaptureFixture
) -> None:
    add(sealed, 3)
    seal_all()
    healthy = tenant()
    seal_all()
    owner(statement if "size = 9" not in statement else f"{statement} WHERE tenant_id = '{sealed}'")
    notary = make_notary()
    notary.cycle(at_once=True)
    notary.cycle(at_once=True)
    assert any(words in problem for problem in notary.alarms.values()), notary.alarms
    assert caplog.text.count("the notary refuses to sign") == len(notary.alarms)
    assert rows("SELECT max(size) FROM audit_checkpoint WHERE tenant_id = %s", sealed) == [(11,)]
    if "audit_entry" not in statement:
        assert rows("SELECT size FROM audit_checkpoint WHERE tenant_id = %s", healthy) == [(1,)]


def test_notary_refuses_times_ahead_of_its_clock(make_notary: Callable[..., Notary]) -> None:
    tenant()
    seal_all()
    notary = make_notary(now_us=lambda: time.time_ns() // 1000 - 61_000_000)
    assert notary.cycle() == 0
    assert "60 s ahead" in next(iter(notary.alarms.values()))


def test_rolled_back_database_is_refused(sealed: UUID, make_notary: Callable[..., Notary]) -> None:
    add(sealed, 3)
    seal_all()
    notary = make_notary()
    assert notary.cycle(at_once=True) == 1
    owner("DELETE FROM audit_checkpoint WHERE size > 11")
    owner("DELETE FROM audit_seal WHERE seq > 10")
    owner("UPDATE audit_head SET size = 11, row_hash = (SELECT row_hash FROM audit_seal WHERE seq = 10)")
    for signer in (notary, make_notary()):
        assert signer.cycle(at_once=True) == 0
        assert "shorter than what was signed" in next(iter(signer.alarms.values()))


def test_lost_memory_comes_back_only_from_a_published_checkpoint(
    sealed: UUID, make_notary: Callable[..., Notary], tmp_path: Path
) -> None:
    add(sealed, 1)
    seal_all()
    (head,) = heads()
    path = memory.path_for(tmp_path / "notary", head.origin)
    published = str(rows("SELECT note FROM audit_checkpoint")[0][0])
    with pytest.raises(Exception, match="never edited"):
        make_notary().adopt(published)
    path.unlink()
    notary = make_notary()
    assert notary.cycle(at_once=True) == 0
    assert "memory is lost" in notary.alarms[head.origin]
    forged = note.sign_checkpoint(note.Checkpoint(head.origin, 11, bytes(32)), KEY)
    with pytest.raises(Exception, match="not the one that this checkpoint signed"):
        notary.adopt(forged)
    with pytest.raises(note.NoteError):
        notary.adopt(published.replace("\n11\n", "\n10\n"))
    elsewhere = note.sign_checkpoint(note.Checkpoint("a.example/t/x/e1", 1, bytes(32)), KEY)
    with pytest.raises(note.NoteError, match="no such log"):
        notary.adopt(elsewhere)
    assert notary.adopt(published).size == 11
    assert notary.cycle(at_once=True) == 1
    assert notary.alarms == {}


@pytest.mark.parametrize("content", ["", "{}", "[]", '{"origin": "other"}', "\u00e9"])
def test_damaged_memory_is_not_trusted(
    sealed: UUID, make_notary: Callable[..., Notary], tmp_path: Path, content: str
) -> None:
    (head,) = heads()
    memory.path_for(tmp_path / "notary", head.origin).write_text(content, encoding="latin-1")
    notary = make_notary()
    assert notary.cycle(at_once=True) == 0
    assert "the file" in notary.alarms[head.origin]


# --- Commands -----------------------------------------------------------------------------------------------------------


def test_notary_process_seals_and_signs_until_told_to_stop(cloned_db: dict[str, str], tmp_path: Path) -> None:
    tenant_id = tenant()
    environment = cloned_db | {
        "AUDIT_NOTARY_STATE": str(tmp_path / "memory"),
        "DJANGO_SETTINGS_MODULE": os.environ["DJANGO_SETTINGS_MODULE"],
    }
    process = subprocess.Popen(
        [sys.executable, "-m", "django", "notary"],
        env=environment,
        cwd=SCRIPT.parent.parent.parent,
        stderr=subprocess.PIPE,
    )
    try:
        deadline = time.monotonic() + 30
        while not rows("SELECT FROM audit_checkpoint") and time.monotonic() < deadline:
            time.sleep(0.05)
        assert rows("SELECT size FROM audit_checkpoint") == [(1,)], process.poll()
        add(tenant_id, 300)
        while rows("SELECT FROM audit_pending LIMIT 1") and time.monotonic() < deadline:
            time.sleep(0.02)
        assert rows("SELECT size FROM audit_head") == [(301,)]
        out = tmp_path / "bundle.zip"
        call_command("audit_export", tenant=tenant_id, out=out, stdout=StringIO())
        assert out.stat().st_size > 10_000
    finally:
        process.send_signal(signal.SIGTERM)
        _, errors = process.communicate(timeout=20)
    assert process.returncode == 0, errors
    report = verified(tenant_id)
    assert report.is_verified, report


def test_commands_say_what_they_did(
    sealed: UUID, tmp_path: Path, settings: object, capsys: pytest.CaptureFixture[str]
) -> None:
    settings.AUDIT_NOTARY_STATE = lambda: str(tmp_path / "notary")  # type: ignore[attr-defined]
    add(sealed, 1)
    assert 0 < oldest_pending_seconds() < 30
    call_command("notary", once=True)
    assert capsys.readouterr().out == "sealed 1, signed 1\n"
    assert oldest_pending_seconds() == 0
    call_command("audit_verify", tenant=sealed)
    assert "Verified through #11" in capsys.readouterr().out
    call_command("audit_key", "show")
    assert str(vkey_of(sealed)) in capsys.readouterr().out
    with pytest.raises(CommandError, match="waits for a signed checkpoint"):
        call_command("audit_export", tenant=sealed, out=tmp_path / "late", wait=0)
    assert not (tmp_path / "late").exists()
    call_command("notary", once=True)
    with pytest.raises(CommandError, match="there already"):
        call_command("audit_export", tenant=sealed, out=tmp_path)
    with pytest.raises(CommandError, match="no log"):
        call_command("audit_verify", tenant=UUID(int=9))
    owner("UPDATE audit_head SET size = 1")
    with pytest.raises(CommandError, match="shorter than what was signed"):
        call_command("notary", once=True)
    with pytest.raises(CommandError, match="belongs to the signing half"):
        call_command("notary", only="seal", adopt=tmp_path)
    with pytest.raises(CommandError, match="cannot be read"):
        call_command("notary", adopt=tmp_path / "nothing")


def test_a_key_is_made_once_and_kept_to_its_owner(
    tmp_path: Path, settings: object, capsys: pytest.CaptureFixture[str]
) -> None:
    path = tmp_path / "key.pem"
    call_command("audit_key", "new", str(path))
    assert path.stat().st_mode & 0o777 == 0o600
    printed = capsys.readouterr().out
    with pytest.raises(CommandError, match="never replaced"):
        call_command("audit_key", "new", str(path))
    settings.AUDIT_NOTARY_KEY = lambda: str(path)  # type: ignore[attr-defined]
    public = keys.public_key()
    assert public is not None
    settings.AUDIT_NOTARY_PUBLIC_KEY = printed.rpartition("PUBLIC_KEY=")[2].strip()  # type: ignore[attr-defined]
    assert keys.public_key() == public
    for bad in ("x", "AAAA", "\u00e9"):
        settings.AUDIT_NOTARY_PUBLIC_KEY = bad  # type: ignore[attr-defined]
        with pytest.raises(keys.KeyUnusable):
            keys.public_key()
    settings.AUDIT_NOTARY_PUBLIC_KEY = None  # type: ignore[attr-defined]
    for unusable in (str(tmp_path / "nothing"), "-----BEGIN PRIVATE KEY-----\nAAAA\n-----END PRIVATE KEY-----"):
        settings.AUDIT_NOTARY_KEY = lambda value=unusable: value  # type: ignore[attr-defined]
        with pytest.raises(keys.KeyUnusable):
            keys.private_key()
        assert keys.public_key() is None


def test_verifier_is_one_file_of_python_3_9_and_the_standard_library() -> None:
    tree = ast.parse(SCRIPT.read_text(), feature_version=(3, 9))
    imported = {
        name.split(".")[0]
        for node in ast.walk(tree)
        for name in (
            [alias.name for alias in node.names]
            if isinstance(node, ast.Import)
            else [node.module or ""]
            if isinstance(node, ast.ImportFrom)
            else []
        )
    }
    assert imported <= set(sys.stdlib_module_names)


def test_bundle_is_handed_to_the_verifier(tmp_path: Path) -> None:
    with pytest.raises(SystemExit) as ended:
        call_command("audit_verify", "--bundle", str(tmp_path / "nothing"), "--key", "a+b+c")
    assert ended.value.code == 2


def test_as_tenant_is_needed_to_see_anything(sealed: UUID) -> None:
    with as_tenant(UUID(int=3), using="audit_reader"), connections["audit_reader"].cursor() as cursor:
        cursor.execute("SELECT count(*) FROM audit_entry")
        assert cursor.fetchone() == (0,)
