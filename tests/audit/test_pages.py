"""The audit pages, as the people of a tenant and as somebody else."""

from __future__ import annotations

import io
import re
import subprocess
import zipfile
from collections.abc import Callable
from datetime import UTC, datetime
from html import unescape
from pathlib import Path
from uuid import UUID

import pytest
from django.test import Client
from django.utils import timezone
from django.utils.html import escape

from audit import browse, kinds
from audit.ids import uuid7
from audit.notary import Notary
from audit.record import Actor, Disclosure, EntryDraft, Recorded, record
from audit.scope import as_tenant
from audit.standing import Standing, standing
from tests.audit.conftest import BOT, add, draft, owner, rows, seal_all
from tests.audit.test_verifier import verify
from tests.factories import decide, enforce_refunds, held_review
from tests.people import People
from tests.reviews.severe import SEVERE, severe_choice, severe_desk

PATHS = ("/audit/", "/audit/checkpoints/", "/audit/verify/", "/audit/exports/")


@pytest.fixture
def log(committed_people: People, make_notary: Callable[..., Notary]) -> list[Recorded]:
    """Sixty calls on the tenant's log, sealed and signed."""
    recorded = add(committed_people.tenant.pk, 60)
    seal_all()
    make_notary().cycle(at_once=True)
    return recorded


def browser(member: object) -> Client:
    client = Client()
    client.force_login(member.user, backend="allauth.account.auth_backends.AuthenticationBackend")  # type: ignore[attr-defined]
    return client


def text_of(client: Client, path: str, status: int = 200) -> str:
    response = client.get(path)
    assert response.status_code == status, response.content[:500]
    return response.content.decode()


def test_list_reads_as_sentences_and_pages_by_keyset(committed_people: People, log: list[Recorded]) -> None:
    client = browser(committed_people.otto)
    text = text_of(client, "/audit/")
    assert "billing-bot asked" in text
    assert len(re.findall(r'<a class="row-link" href="/audit/entries/[^"]+" data-row>', text)) == 50
    assert log[-1].uid in text
    match = re.search(r'href="(/audit/\?[^"]*before=[^"]+)"', text)
    assert match
    older = text_of(client, match[1].replace("&amp;", "&"))
    assert log[0].uid in older
    assert log[-1].uid not in older
    assert 'rel="next"' not in older


def standing_on(client: Client) -> str:
    """What the list says of how far the log is verified, as a reader sees it."""
    text = text_of(client, "/audit/")
    (said,) = re.findall(r'<div class="notice standing [^>]*>(.*?)</div>', text, re.DOTALL)
    assert 'href="/audit/verify/"' in said
    return " ".join(re.sub(r"<[^>]+>", "", said).split())


def test_the_list_says_how_far_the_notary_verified_and_when(
    committed_people: People, log: list[Recorded], make_notary: Callable[..., Notary]
) -> None:
    client = browser(committed_people.otto)
    size, signed_at = rows(
        "SELECT size, signed_at FROM audit_checkpoint WHERE tenant_id = %s ORDER BY size DESC",
        committed_people.tenant.pk,
    )[0]
    said = standing_on(client)
    covers = f"(rows #0 to #{size - 1}, {size} in all)"
    assert f"Verified through #{size - 1} {covers}, {signed_at:%-d %b %Y, %H:%M:%S}, by the notary" in said
    assert f"#0 to #{size - 1}" in text_of(client, "/audit/checkpoints/")
    assert "newer" not in said
    add(committed_people.tenant.pk, 3)
    assert "3 newer rows wait for its next head." in standing_on(client)
    seal_all()
    assert "3 newer rows wait for its next head." in standing_on(client)
    make_notary().cycle(at_once=True)
    assert f"Verified through #{size + 2} " in standing_on(client)
    assert "newer" not in standing_on(client)


def test_the_list_says_when_nothing_is_signed(committed_people: People) -> None:
    assert "Nothing is verified yet" in standing_on(browser(committed_people.otto))


def test_the_list_says_when_the_notary_is_late(committed_people: People, log: list[Recorded]) -> None:
    client = browser(committed_people.otto)
    owner("UPDATE audit_checkpoint SET signed_at = signed_at - interval '10 minutes'")
    assert "longer" not in standing_on(client)
    add(committed_people.tenant.pk, 1)
    assert "1 newer row waits for its next head, for longer than it should take" in standing_on(client)


@pytest.mark.parametrize(
    "forged", ["note = replace(note, origin, origin || 'x')", "root = decode(repeat('ab', 32), 'hex')"]
)
def test_a_head_that_the_notary_did_not_sign_verifies_nothing(
    committed_people: People, log: list[Recorded], forged: str
) -> None:
    owner(f"UPDATE audit_checkpoint c SET {forged} FROM audit_log l WHERE l.id = c.log_id")
    said = standing_on(browser(committed_people.otto))
    assert "does not carry the notary's signature" in said
    assert "Verified" not in said


def test_without_the_key_nobody_says_verified(
    committed_people: People, log: list[Recorded], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("audit.standing.vkey", lambda origin: None)
    said = standing_on(browser(committed_people.otto))
    assert "Signed through #" in said
    assert "does not know the notary's key" in said


def test_a_tenant_without_a_log_has_nothing_verified(committed_people: People) -> None:
    tenant_id = uuid7()
    with as_tenant(tenant_id, using=browse.READER):
        assert standing(tenant_id, now=timezone.now()) == Standing("none")


def test_filters_stand_in_the_url(committed_people: People, log: list[Recorded]) -> None:
    tenant_id = committed_people.tenant.pk
    with as_tenant(tenant_id):
        mail = record(
            tenant_id,
            draft(
                action_id="email.send", effect="deny", decision="deny", mode="observe", review={"id": f"rv_{7:032x}"}
            ),
        )
    client = browser(committed_people.lena)
    for query in (
        "action_id=email.send",
        "effect=deny",
        "decision=deny",
        "mode=observe",
        f"review=rv_{7:032x}",
        "kind=call.evaluated&action_id=email.send",
        "actor=billing-bot&effect=deny",
        "rule=refund-over-limit&mode=observe",
        "since=2020-01-01T00:00&until=2100-01-01T00:00&decision=deny",
    ):
        text = text_of(client, f"/audit/?{query}")
        assert mail.uid in text, query
        assert text.count('class="row-link"') == 1, query
    assert "No entry fits these filters" in text_of(client, "/audit/?since=2100-01-01T00:00")
    assert "No entry fits" in text_of(client, "/audit/?action_id=%27%3Bdrop")


def test_the_log_is_filtered_by_the_id_of_what_changed(committed_people: People) -> None:
    tenant_id = committed_people.tenant.pk
    with as_tenant(tenant_id):
        record(tenant_id, EntryDraft("team.changed", {"team": "finance", "change": "created"}, Actor("member", "m")))
        record(tenant_id, EntryDraft("team.changed", {"team": "ops", "change": "created"}, Actor("member", "m")))
    client = browser(committed_people.lena)
    text = text_of(client, "/audit/?kind=team.changed&about=finance")
    assert text.count('class="row-link"') == 1
    assert "m made team finance." in text
    assert "No entry fits these filters" in text_of(client, "/audit/?kind=team.changed&about=fin")


def test_reviews_are_found_by_what_the_list_prints(committed_people: People) -> None:
    tenant_id, other_id = committed_people.tenant.pk, committed_people.other_tenant.pk
    # Two of them share their short id, and so does one of another tenant.
    ids = [f"rv_{number:032x}" for number in (0xCB3C74, 0x7CB3C74, 0xCB3C740)]
    with as_tenant(tenant_id):
        found, shared, _ = (record(tenant_id, draft(review={"id": id_})).uid for id_ in ids)
    with as_tenant(other_id):
        record(other_id, draft(review={"id": ids[0]}))
    client = browser(committed_people.otto)
    for typed in ("R-CB3C74", "r-cb3c74", "CB3C74", "+R-CB3C74+"):
        assert listed(client, f"review={typed}") == {found, shared}, typed
    assert listed(client, f"review={ids[0]}") == {found}
    assert listed(client, f"review={ids[0].upper()}") == {found}
    # What a review could be called, and none is.
    assert "No entry fits these filters" in text_of(client, "/audit/?review=R-000000")


def listed(client: Client, query: str) -> set[str]:
    """The entries that the list shows."""
    return set(re.findall(r'class="row-link" href="/audit/entries/([^"/]+)/"', text_of(client, f"/audit/?{query}")))


def test_actors_are_found_by_what_people_call_them(committed_people: People) -> None:
    tenant_id, lena, agent = committed_people.tenant.pk, committed_people.lena, committed_people.agent
    with as_tenant(tenant_id):
        type(agent).objects.filter(pk=agent.pk).update(name="Refund robot")
        by_lena, by_agent, by_gone, by_setup = (
            record(tenant_id, EntryDraft("team.changed", {"team": "ops", "change": "created"}, actor)).uid
            for actor in (
                Actor("member", str(lena.pk)),
                Actor("agent", agent.slug),
                Actor("agent", "retired-bot"),
                Actor("system", "setup"),
            )
        )
    client = browser(committed_people.otto)
    for typed in ("Lena Lind", "lena lind", "lena@demo.example", "LENA@demo.example", str(lena.pk)):
        assert listed(client, f"kind=team.changed&actor={typed}") == {by_lena}, typed
    for typed in ("Refund robot", "refund-bot"):
        assert listed(client, f"kind=team.changed&actor={typed}") == {by_agent}, typed
    assert listed(client, "kind=team.changed&actor=retired-bot") == {by_gone}
    assert listed(client, "kind=team.changed&actor=Set-up") == {by_setup}
    # Somebody who is here and did nothing of the kind.
    assert "No entry fits these filters" in text_of(client, "/audit/?kind=team.changed&actor=rita@demo.example")
    assert "Nobody here is called so." in text_of(client, "/audit/?actor=nobody")


@pytest.mark.parametrize(
    "query",
    [
        "kind=nonsense",
        "since=yesterday",
        "before=x",
        "action_id=%00",
        "effect=maybe",
        "about=x",
        "about=x&kind=log.opened",
        "review=rv_7",
        "review=R-12345",
        "review=refund",
        "review=R-ABCDEG",
        "actor=nobody",
        "actor=nia@elsewhere.example",  # of another tenant
        "actor=Nia Novak",
        "actor=other-bot",
    ],
)
def test_filters_that_mean_nothing_are_named(committed_people: People, query: str) -> None:
    text = text_of(browser(committed_people.otto), f"/audit/?{query}")
    assert "cannot be used as they are" in text


def test_entry_shows_what_was_hashed_and_its_neighbours(committed_people: People, log: list[Recorded]) -> None:
    text = text_of(browser(committed_people.otto), f"/audit/entries/{log[5].uid}/")
    assert "recomputed just now, are those stored" in text
    assert "guardsite.audit.v1" in text
    assert log[4].uid in text
    assert log[6].uid in text
    assert log[5].body_hash in text
    assert "620005" not in text
    assert "Show the values" in text


def test_rows_about_a_review_name_it_and_who_asked(committed_people: People, log: list[Recorded]) -> None:
    tenant_id, lena = committed_people.tenant.pk, committed_people.lena
    reviews = [{"id": f"rv_{number:032x}"} for number in (0xABCDEF, 0x123456)]
    with as_tenant(tenant_id):
        for review in reviews:
            record(tenant_id, draft(action_id="email.send", review=review))
            said = {"action_id": "email.send", "verdict": "deny", "review": review}
            record(tenant_id, EntryDraft("review.decided", said, Actor("member", str(lena.pk))))
        orphan = {"action_id": "email.send", "verdict": "deny", "review": {"id": "rv_7"}}
        alone = record(tenant_id, EntryDraft("review.decided", orphan, Actor("member", str(lena.pk))))
    client = browser(committed_people.otto)
    decided = re.findall(r'class="audit-log__about">(.*?)</span></td>', text_of(client, "/audit/?kind=review.decided"))
    shown = [re.sub(r"<[^>]+>", "", one) for one in decided]
    assert shown == ["rv_7", "R-123456, asked by billing-bot", "R-ABCDEF, asked by billing-bot"]
    called = text_of(client, "/audit/?action_id=email.send&kind=call.evaluated")
    assert "R-123456" in called
    assert "asked by" not in called
    assert "rv_7" in text_of(client, f"/audit/entries/{alone.uid}/")


def test_an_entry_leads_to_its_review(committed_people: People) -> None:
    people = committed_people
    enforce_refunds(people)
    review = held_review(people)
    path = f"/audit/entries/{review.entry_uid}/"
    link = f'<a class="mono" href="/reviews/{review.wire_id}/">{review.short_id}</a>'
    assert link in text_of(browser(people.otto), path)


def test_what_an_entry_refers_to_is_named(committed_people: People, log: list[Recorded]) -> None:
    tenant_id = committed_people.tenant.pk
    (fresh,) = add(tenant_id, 1)
    refs = [log[5].uid, fresh.uid, str(UUID(int=7)), "long ago"]
    with as_tenant(tenant_id):
        reader = Actor("member", str(committed_people.otto.pk))
        said = record(tenant_id, EntryDraft("disclosure.read", {"entry": log[5].uid, "values": 1}, reader, refs=refs))
    ((seq,),) = rows("SELECT seq FROM audit_seal WHERE entry_id = %s", log[5].entry_id)
    text = text_of(browser(committed_people.otto), f"/audit/entries/{said.uid}/")
    assert re.findall(r"<dt>Refers to</dt><dd>(.*?)</dd>", text) == [
        f'<a href="/audit/entries/{log[5].uid}/">Call evaluated, #{seq}</a>',
        f'<a href="/audit/entries/{fresh.uid}/">Call evaluated</a>',
        f'<span class="mono">{UUID(int=7)}</span>',
        '<span class="mono">long ago</span>',
    ]


def test_unsealed_entry_says_that_its_position_follows(committed_people: People, log: list[Recorded]) -> None:
    (fresh,) = add(committed_people.tenant.pk, 1)
    client = browser(committed_people.otto)
    assert "Recorded; chain position follows." in text_of(client, f"/audit/entries/{fresh.uid}/")
    assert "waiting" in text_of(client, "/audit/")
    tenant_id = committed_people.tenant.pk
    with as_tenant(tenant_id, using=browse.READER):
        assert browse.position_of(tenant_id, UUID(fresh.uid)) is None
        assert browse.position_of(tenant_id, UUID(int=4)) is None
        found = browse.position_of(tenant_id, UUID(log[0].uid))
    assert rows("SELECT seq FROM audit_seal WHERE entry_id = %s", log[0].entry_id) == [(found,)]


def test_changed_entry_says_so(committed_people: People, log: list[Recorded]) -> None:
    owner("UPDATE audit_entry SET body = replace(body, '\"review\"', '\"allow\"') WHERE id = %s", log[3].entry_id)
    owner("UPDATE audit_seal SET recorded_us = recorded_us + 1 WHERE entry_id = %s", log[4].entry_id)
    client = browser(committed_people.otto)
    assert "not the one that was hashed" in text_of(client, f"/audit/entries/{log[3].uid}/")
    assert "This log was changed" in text_of(client, f"/audit/entries/{log[4].uid}/")


def test_opening_values_is_recorded_under_the_readers_name(committed_people: People, log: list[Recorded]) -> None:
    client = browser(committed_people.otto)
    response = client.post(f"/audit/entries/{log[5].uid}/")
    text = response.content.decode()
    assert response.status_code == 200
    assert "620005" in text
    assert "&lt;b&gt;now&lt;/b&gt;" in text
    assert "no-store" in response["Cache-Control"]
    (read,) = rows("SELECT uid::text, actor, body FROM audit_entry WHERE kind = 'disclosure.read'")
    assert read[1] == str(committed_people.otto.pk)
    assert log[5].uid in str(read[2])
    assert "Otto Olsen opened the stored values" in text_of(client, "/audit/?kind=disclosure.read")


def test_reading_needs_its_own_permission(committed_people: People, log: list[Recorded]) -> None:
    lead = browser(committed_people.lena)
    assert "Show the values" not in text_of(lead, f"/audit/entries/{log[5].uid}/")
    assert lead.post(f"/audit/entries/{log[5].uid}/").status_code == 404
    assert rows("SELECT count(*) FROM audit_entry WHERE kind = 'disclosure.read'") == [(0,)]


def test_hidden_characters_of_values_are_shown(committed_people: People, log: list[Recorded]) -> None:
    tenant_id = committed_people.tenant.pk
    with as_tenant(tenant_id):
        odd = record(
            tenant_id,
            EntryDraft(
                "call.evaluated",
                {},
                BOT,
                disclosures=[Disclosure("params.to", '"a\u202eb\u200bc\u3164\u00e9\u2028\U000e0041"')],
            ),
        )
    text = browser(committed_people.otto).post(f"/audit/entries/{odd.uid}/").content.decode()
    assert "a\\u202eb\\u200bc\\u3164\u00e9\\u2028\\udb40\\udc41" in text


def test_erased_and_unkept_values_say_so(committed_people: People, log: list[Recorded]) -> None:
    tenant_id = committed_people.tenant.pk
    digests = [str(row[0]) for row in rows("SELECT digest FROM audit_disclosure WHERE entry_id = %s", log[5].entry_id)]
    owner("DELETE FROM audit_disclosure WHERE entry_id IN (%s, %s)", log[5].entry_id, log[6].entry_id)
    with as_tenant(tenant_id):
        record(tenant_id, EntryDraft("erasure.executed", {"digests": digests, "basis": "gdpr-17"}, BOT))
    client = browser(committed_people.otto)
    assert "the entry still commits to it" in text_of(client, f"/audit/entries/{log[5].uid}/")
    assert "not stored" in text_of(client, f"/audit/entries/{log[6].uid}/")


def test_checkpoints_can_be_taken_home(committed_people: People, log: list[Recorded]) -> None:
    client = browser(committed_people.otto)
    text = text_of(client, "/audit/checkpoints/")
    (size,) = rows("SELECT max(size) FROM audit_checkpoint WHERE tenant_id = %s", committed_people.tenant.pk)[0]
    note = client.get(f"/audit/checkpoints/{size}/")
    assert note.content.decode() == rows("SELECT note FROM audit_checkpoint WHERE size = %s", size)[0][0]
    assert "/e1+" in text
    assert text_of(client, "/audit/verify/vkey.txt").strip() in text
    for path in ("/audit/checkpoints/999/", "/audit/checkpoints/99999999999999999999/"):
        assert client.get(path).status_code == 404
    assert "No head is signed yet" in text_of(client, "/audit/checkpoints/?below=1")
    assert f"/audit/checkpoints/{size}/" in text_of(client, "/audit/checkpoints/?below=x")


def test_verification_runs_on_demand_and_names_its_limits(committed_people: People, log: list[Recorded]) -> None:
    client = browser(committed_people.otto)
    before = text_of(client, "/audit/verify/")
    assert "What this does not prove" in before
    assert "Verified through" not in before
    assert "Verified through #" in client.post("/audit/verify/").content.decode()
    owner("UPDATE audit_seal SET recorded_us = recorded_us + 1 WHERE entry_id = %s", log[4].entry_id)
    broken = client.post("/audit/verify/").content.decode()
    assert "Broken at #" in broken
    assert 'role="alert"' in broken
    script = client.get("/audit/verify/guardsite_verify.py")
    assert script.content.startswith(b"#!/usr/bin/env python3")


def test_walks_and_bundles_too_long_for_a_page_are_refused(
    committed_people: People, log: list[Recorded], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("audit.views.VERIFY_ROWS", 10)
    response = browser(committed_people.otto).post("/audit/verify/")
    assert response.status_code == 422
    assert "manage.py audit_verify" in response.content.decode()


def test_exported_bundle_verifies_offline(
    committed_people: People, log: list[Recorded], make_notary: Callable[..., Notary], tmp_path: Path
) -> None:
    client = browser(committed_people.otto)
    too_large = client.post("/audit/exports/", {"previous_size": "99999999"})
    assert too_large.status_code == 422
    assert b"no signed head of this size" in too_large.content
    make_notary().cycle(at_once=True)
    assert client.post("/audit/exports/", {"with_disclosures": "on", "previous_size": "5"}).status_code == 302
    assert "waits for a checkpoint" in text_of(client, "/audit/exports/")
    (uid,) = rows("SELECT uid::text FROM audit_entry WHERE kind = 'export.created'")[0]
    path = f"/audit/exports/{uid}/bundle.zip"
    assert client.get(path).status_code == 409
    seal_all()
    make_notary().cycle()
    assert path in text_of(client, "/audit/exports/")
    (tmp_path / "bundle.zip").write_bytes(client.get(path).content)
    with zipfile.ZipFile(io.BytesIO((tmp_path / "bundle.zip").read_bytes())) as archive:
        assert set(archive.namelist()) == {
            "manifest.json",
            "checkpoint",
            "entries.jsonl",
            "frontier.json",
            "consistency.proof",
        }
    status, output = verify(tmp_path / "bundle.zip", text_of(client, "/audit/verify/vkey.txt").strip())
    assert status == 0, output
    # Adam may export too, but this one is Otto's: his own would be recorded under his name.
    adam = browser(committed_people.adam)
    assert adam.get(path).status_code == 404
    assert path not in text_of(adam, "/audit/exports/")


def test_export_form_names_its_mistakes(committed_people: People) -> None:
    client = browser(committed_people.otto)
    for wrong in ({"previous_size": "0"}, {"kept": "5"}):
        assert client.post("/audit/exports/", wrong).status_code == 422
    assert rows("SELECT count(*) FROM audit_entry WHERE kind = 'export.created'") == [(0,)]


def test_an_export_extends_the_checkpoint_that_was_chosen(
    committed_people: People, log: list[Recorded], make_notary: Callable[..., Notary]
) -> None:
    client = browser(committed_people.otto)
    (size,) = rows("SELECT max(size) FROM audit_checkpoint WHERE tenant_id = %s", committed_people.tenant.pk)[0]
    assert f'<option value="{size}">{size} rows, ' in text_of(client, "/audit/exports/")
    both = client.post("/audit/exports/", {"kept": str(size), "previous_size": "3"})
    assert both.status_code == 422
    assert b"Give one of the two" in both.content
    assert client.post("/audit/exports/", {"kept": str(size)}).status_code == 302
    (body,) = rows("SELECT body FROM audit_entry WHERE kind = 'export.created'")[0]
    assert f'"previous_size":{size}' in str(body)


def test_the_command_to_verify_runs_as_it_is_copied(
    committed_people: People, log: list[Recorded], make_notary: Callable[..., Notary], tmp_path: Path
) -> None:
    client = browser(committed_people.otto)
    text = text_of(client, "/audit/verify/")
    [command] = [unescape(found) for found in re.findall(r"<span data-exact hidden>(.*?)</span>", text, re.DOTALL)]
    assert f">{escape(command)}</pre>" in text
    assert max(map(len, command.splitlines())) <= 34  # what a phone shows of a line
    # The steps before it, by the names that they give the files.
    (size,) = rows("SELECT max(size) FROM audit_checkpoint WHERE tenant_id = %s", committed_people.tenant.pk)[0]
    kept = client.get(f"/audit/checkpoints/{size}/").content
    client.post("/audit/exports/", {"kept": str(size)})
    seal_all()
    make_notary().cycle(at_once=True)
    (uid,) = rows("SELECT uid::text FROM audit_entry WHERE kind = 'export.created'")[0]
    files = {
        "vkey.txt": client.get("/audit/verify/vkey.txt").content,
        "guardsite_verify.py": client.get("/audit/verify/guardsite_verify.py").content,
        "checkpoint-kept.txt": kept,
        "guardsite.zip": client.get(f"/audit/exports/{uid}/bundle.zip").content,
    }
    for name, content in files.items():
        assert name in text.split('class="command"')[0], name
        (tmp_path / name).write_bytes(content)
    without_kept = "\n".join(line for line in command.splitlines() if "--previous" not in line)
    for typed in (command, without_kept):
        done = subprocess.run(["/bin/sh", "-c", typed], cwd=tmp_path, capture_output=True, text=True, timeout=60)
        assert done.returncode == 0, done.stdout + done.stderr
    (tmp_path / "checkpoint-kept.txt").write_bytes(kept.replace(str(size).encode(), str(size + 1).encode()))
    assert subprocess.run(["/bin/sh", "-c", command], cwd=tmp_path, capture_output=True, timeout=60).returncode != 0


@pytest.mark.parametrize("path", PATHS)
def test_pages_are_for_owner_lead_and_auditor(committed_people: People, path: str) -> None:
    for member, status in (
        (committed_people.adam, 200),
        (committed_people.otto, 200),
        (committed_people.lena, 403 if "exports" in path else 200),
        (committed_people.rita, 403),
        (committed_people.devi, 403),
    ):
        assert browser(member).get(path).status_code == status, member
    assert Client().get(path).status_code == 302


def test_another_tenants_entries_are_absent(
    committed_people: People, log: list[Recorded], make_notary: Callable[..., Notary]
) -> None:
    mine = browser(committed_people.otto)
    mine.post("/audit/exports/", {})
    (uid,) = rows("SELECT uid::text FROM audit_entry WHERE kind = 'export.created'")[0]
    seal_all()
    make_notary().cycle()
    nia = browser(committed_people.nia)
    for path in (f"/audit/entries/{log[5].uid}/", f"/audit/exports/{uid}/bundle.zip", "/audit/checkpoints/62/"):
        assert nia.get(path).status_code == 404
    assert nia.post(f"/audit/entries/{log[5].uid}/").status_code == 404
    listed = text_of(nia, "/audit/")
    assert log[5].uid not in listed
    assert "billing-bot" not in listed
    assert text_of(nia, f"/audit/?before={log[5].uid}").count('class="row-link"') == listed.count('class="row-link"')
    assert "/audit/exports/" + uid not in text_of(nia, "/audit/exports/")
    assert text_of(nia, "/audit/verify/vkey.txt") != text_of(mine, "/audit/verify/vkey.txt")


def test_kinds_are_named_once_and_a_failing_sentence_costs_only_itself(caplog: pytest.LogCaptureFixture) -> None:
    with pytest.raises(ValueError, match="twice"):
        kinds.register("log.opened", sentence=lambda _: "", label="Again")
    with pytest.raises(ValueError, match="not a kind"):
        kinds.register("Log Opened", sentence=lambda _: "", label="Again")
    kinds.register("test.failing", sentence=lambda entry: entry.body["absent"], label="Failing")
    try:
        view = kinds.EntryView(1, "u", "test.failing", {"a": {"b": 3}}, browse.moment(0), "Otto")
        assert kinds.sentence_of(view) == "Otto: Failing."
        assert "a sentence failed" in caplog.text
        assert (view.text("a.b"), view.text("a.c", "none"), view.get("a.b.c")) == ("3", "none", None)
    finally:
        del kinds._registered["test.failing"]
    assert kinds.sentence_of(kinds.EntryView(1, "u", "old.kind", {}, browse.moment(0), "Otto")) == "Otto: old.kind."
    assert kinds.label_of("old.kind") == "old.kind"


def test_no_export_shows_a_first_verdict_to_somebody_who_may_give_the_second(
    committed_people: People, make_notary: Callable[..., Notary]
) -> None:
    people, now = committed_people, datetime.now(UTC)
    severe_desk(people, tier=4, hold_seconds=30)
    review = held_review(people, now=now, params=SEVERE)
    decide(people, review, now=now, choice=severe_choice(), acting_member=people.rita)
    paths = {}
    for who in (people.adam, people.otto):
        browser(who).post("/audit/exports/", {})
        ((uid,),) = rows("SELECT uid::text FROM audit_entry WHERE kind = 'export.created' ORDER BY id DESC LIMIT 1")
        paths[who] = f"/audit/exports/{uid}/bundle.zip"
    seal_all()
    make_notary().cycle(at_once=True)
    refused = browser(people.adam).get(paths[people.adam])
    assert refused.status_code == 409
    assert b"verdicts on calls that you may still decide" in refused.content
    # Who decides nothing reads all of it.
    assert browser(people.otto).get(paths[people.otto]).status_code == 200
    decide(people, review, now=now, choice=severe_choice(), acting_member=people.lena)
    assert browser(people.adam).get(paths[people.adam]).status_code == 200
