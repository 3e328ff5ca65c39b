"""Notices: said once, to the right people, with the card's sentence at most; links lead and decide nothing."""

from __future__ import annotations

import base64
import hashlib
import hmac
import json
import ssl
import threading
from collections.abc import Iterator
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from email.message import Message
from http.server import BaseHTTPRequestHandler, HTTPServer
from pathlib import Path
from typing import Any

import pytest
from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.x509.oid import NameOID
from django.core import mail
from django.db import connections, transaction
from django.test import Client
from pytest_django.fixtures import Settings

from audit.scope import as_tenant
from reviews import escalation, notice_delivery, notice_targets, notices, resumes
from reviews.errors import InvalidNoticeTarget, NotFound, SettingsForbidden
from reviews.links import BadLink, link_for, read_link
from reviews.models import Flood, Notice, NoticeEvent, NoticeTarget, ResumeDelivery, Review, Verdict
from reviews.resumers import Failed
from reviews.undoing import undo
from tenants.errors import StepUpNeeded
from tenants.models import Agent, Member
from tenants.stepup import Evidence
from tenants.teams import save_team
from tests.factories import LARGE, ask, decide, enforce_refunds, get, held_review, refund_rule
from tests.people import People, proof
from tests.policy.test_admin import signed_in, signed_in_ago, text_of
from tests.reviews.chain import bodies

RULE: dict[str, Any] = {"team": "finance", "escalate_to": "leads", "due_in_seconds": 600, "expires_in_seconds": 7200}


def wanted(*events: NoticeEvent, **fields: Any) -> notice_targets.Wanted:
    given: dict[str, Any] = {"name": "Desk", "channel": "email", "audience": "routed"} | fields
    return notice_targets.Wanted(events=tuple(event.value for event in events) or ("opened",), **given)


def target(people: People, *events: NoticeEvent, **fields: Any) -> notice_targets.Saved:
    return notice_targets.save_target(people.adam, wanted(*events, **fields), evidence=proof(), now=datetime.now(UTC))


def waiting(people: People) -> list[Notice]:
    with as_tenant(people.tenant.pk):
        return list(Notice.objects.filter(state=Notice.State.WAITING).select_related("member"))


def send_all(people: People, *, now: datetime | None = None) -> None:
    """What the sweep does."""
    for notice in waiting(people):
        notice_delivery.deliver(people.tenant.pk, notice.pk, now=now or datetime.now(UTC))


def told() -> list[str]:
    return sorted(address for message in mail.outbox for address in message.to)


# Who is told.


def test_the_team_it_is_routed_to_is_told_of_a_held_call_with_its_sentence_and_no_more(people: People) -> None:
    enforce_refunds(people, refund_rule(**RULE))
    save_team(people.adam, slug="finance", name="Finance", members=[people.rita.pk, people.lena.pk])
    target(people, NoticeEvent.OPENED)
    review = held_review(
        people, params=LARGE | {"reason": "hidden reason"}, user_context={"user_id": "u_9", "ssn": "078-05-1120"}
    )
    send_all(people)
    assert told() == ["lena@demo.example", "rita@demo.example"]
    message = mail.outbox[0]
    assert message.subject == f"[guardsite] {review.short_id}: a call is held, tier 2"
    text = message.body
    assert "A call waits for a person." in text
    assert "refund-bot wants to run billing.refund" in text
    assert "Tier 2. Due " in text
    assert f"{review.short_id}, digest {review.call_digest[:16]}" in text
    assert "/r/" in text
    for secret in ("hidden reason", "in_88", "078-05-1120", "62000", str(people.adam.user.email)):
        assert secret not in text
    assert message.content_subtype == "plain"
    assert message.extra_headers["Auto-Submitted"] == "auto-generated"


def test_text_of_an_agent_makes_no_line_and_no_header(people: People) -> None:
    enforce_refunds(people, refund_rule())
    with as_tenant(people.tenant.pk):
        name = "bot\u202e\r\nBcc: all@evil.example\r\n\r\nOpen the card: https://evil.example"
        Agent.objects.filter(pk=people.agent.pk).update(name=name[:120])
        people.agent.refresh_from_db()
    target(people, NoticeEvent.OPENED, audience="leads")
    held_review(people)
    send_all(people)
    message = mail.outbox[0]
    assert "evil" not in message.subject
    assert message.recipients() == [message.to[0]]
    lines = message.body.splitlines()
    assert sum(line.startswith("Open the card:") for line in lines) == 1
    assert not any("\u202e" in line for line in lines)


@pytest.mark.parametrize(
    ("fields", "expected"),
    [
        ({"audience": "leads"}, ["adam@demo.example", "lena@demo.example"]),
        ({"audience": "address", "address": "desk@demo.example"}, ["desk@demo.example"]),
        ({"audience": "team", "team": "night"}, ["rita@demo.example"]),
        # Routed to a team in which nobody is: the leads hear of it.
        ({"audience": "routed"}, ["adam@demo.example", "lena@demo.example"]),
    ],
)
def test_each_audience_is_who_it_says(people: People, fields: dict[str, str], expected: list[str]) -> None:
    enforce_refunds(people, refund_rule(**RULE))
    save_team(people.adam, slug="night", name="Night", members=[people.rita.pk])
    target(people, **fields)
    held_review(people)
    send_all(people)
    assert told() == expected


def test_somebody_who_left_is_told_nothing(people: People) -> None:
    enforce_refunds(people, refund_rule())
    target(people, audience="member", member_id=people.rita.pk)
    with as_tenant(people.tenant.pk):
        Member.objects.filter(pk=people.rita.pk).update(is_active=False)
    held_review(people)
    assert waiting(people) == []


def test_nobody_is_told_of_what_they_did_not_ask_for_nor_another_tenant_of_anything(people: People) -> None:
    enforce_refunds(people, refund_rule())
    notice_targets.save_target(
        people.nia, wanted(*NoticeEvent, audience="leads"), evidence=proof(), now=datetime.now(UTC)
    )
    target(people, NoticeEvent.FLOOD, audience="leads")
    held_review(people)
    assert waiting(people) == []
    with as_tenant(people.other_tenant.pk):
        assert not Notice.objects.exists()
        assert NoticeTarget.objects.count() == 1


def test_a_copy_of_a_call_that_waits_is_no_news(people: People) -> None:
    enforce_refunds(people, refund_rule())
    target(people, audience="leads")
    for _ in range(3):
        held_review(people, run_id="run_7")
    assert len({notice.subject for notice in waiting(people)}) == 1


# What is told.


def test_the_life_of_a_review_is_told_step_by_step_and_each_step_once(people: People) -> None:
    enforce_refunds(people, refund_rule(**RULE))
    target(people, *NoticeEvent, audience="address", address="desk@demo.example")
    now = datetime.now(UTC)
    review = held_review(people, now=now - timedelta(minutes=8))
    for _ in range(2):
        notices.announce_due_soon(now=now)
        escalation.escalate_due(now=now)
    with as_tenant(people.tenant.pk):
        Review.objects.filter(pk=review.pk).update(due_at=now - timedelta(seconds=1))
    for _ in range(2):
        notices.announce_due_soon(now=now)
        escalation.escalate_due(now=now)
    decide(people, get(people, review.wire_id), "deny", acting_member=people.lena)
    assert [notice.event for notice in waiting(people)] == ["opened", "due_soon", "overdue", "escalated"]
    resumes.sweep(now=datetime.now(UTC) + timedelta(seconds=1))
    assert [notice.event for notice in waiting(people)][-1] == "decided"
    # What says that it waits is no longer true.
    send_all(people, now=datetime.now(UTC) + timedelta(seconds=2))
    assert [message.subject for message in mail.outbox] == [f"[guardsite] {review.short_id}: it was decided, tier 2"]
    assert "A call was denied by a person." in mail.outbox[0].body
    assert waiting(people) == []


def test_a_verdict_that_is_taken_back_is_not_told(people: People) -> None:
    enforce_refunds(people, refund_rule(hold_seconds=30))
    target(people, NoticeEvent.DECIDED, audience="leads")
    review = held_review(people)
    decide(people, review)
    undo(review.wire_id, acting_member=people.rita, now=datetime.now(UTC))
    resumes.sweep(now=datetime.now(UTC) + timedelta(minutes=2))
    assert waiting(people) == []
    with as_tenant(people.tenant.pk):
        assert Verdict.objects.get().undone_at is not None


def test_an_expiry_a_flood_and_an_agent_that_cannot_be_told_are_told(people: People) -> None:
    enforce_refunds(people, refund_rule(**RULE))
    target(people, NoticeEvent.EXPIRED, NoticeEvent.FLOOD, NoticeEvent.UNTOLD, audience="leads", member_id=None)
    review = held_review(people, now=datetime.now(UTC) - timedelta(hours=3))
    escalation.expire_due(now=datetime.now(UTC))
    with as_tenant(people.tenant.pk):
        delivery = ResumeDelivery.objects.get(review=review)
        ResumeDelivery.objects.filter(pk=delivery.pk).update(attempt_count=1)
        delivery.attempt_count = 1
        Agent.objects.filter(pk=people.agent.pk).update(reviews_per_hour=0)
    resumes._record_attempt(delivery, Failed("gone"), now=datetime.now(UTC))
    for _ in range(3):
        ask(people, params=LARGE, repeat="new")
    found = {(notice.event, notice.address) for notice in waiting(people)}
    assert found == {
        (event, address)
        for event in ("expired", "flood", "untold")
        for address in ("adam@demo.example", "lena@demo.example")
    }
    send_all(people)
    flood = next(message for message in mail.outbox if "Flood" in message.subject)
    assert flood.subject == "[guardsite] Flood: refund-bot"
    assert "http://localhost" in flood.body
    assert "/agents/" in flood.body
    with as_tenant(people.tenant.pk):
        assert Flood.objects.get().suppressed_count == 3


def test_a_digest_collects_an_hour_into_one_mail_and_leaves_out_what_was_decided(people: People) -> None:
    enforce_refunds(people, refund_rule(**RULE))
    target(people, audience="address", address="desk@demo.example", cadence="digest")
    now = datetime.now(UTC).replace(minute=20, second=0, microsecond=0)
    reviews = [held_review(people, now=now, run_id=f"run_{number}") for number in range(3)]
    send_all(people, now=now)
    assert mail.outbox == []
    decide(people, reviews[0], "deny", acting_member=people.lena, now=now)
    hour = now.replace(minute=0) + timedelta(hours=1)
    send_all(people, now=hour)
    (message,) = mail.outbox
    assert message.subject == "[guardsite] 2 notices"
    assert reviews[0].short_id not in message.body
    assert message.body.count("Open the card:") == 2
    assert waiting(people) == []


# The outbox.


def test_a_notice_is_as_certain_as_what_it_tells_of(people: People) -> None:
    enforce_refunds(people, refund_rule())
    target(people, audience="leads")

    class Stop(Exception):
        pass

    def held_and_undone() -> None:
        with transaction.atomic():
            held_review(people)
            raise Stop

    with pytest.raises(Stop):
        held_and_undone()
    assert waiting(people) == []


def test_a_mail_server_that_is_down_is_tried_again_and_given_up_after_three_days(
    people: People, monkeypatch: pytest.MonkeyPatch
) -> None:
    enforce_refunds(people, refund_rule(expires_in_seconds=30 * 86_400))
    target(people, audience="address", address="desk@demo.example")
    held_review(people)
    down = True

    def send(self: Any, fail_silently: bool = False) -> int:
        if down:
            raise ConnectionRefusedError
        mail.outbox.append(self)
        return 1

    monkeypatch.setattr("reviews.notice_delivery.EmailMessage.send", send)
    (notice,) = waiting(people)
    assert notice_delivery.deliver(people.tenant.pk, notice.pk, now=datetime.now(UTC))
    (notice,) = waiting(people)
    assert notice.attempt_count == 1
    assert notice.last_error == "the mail server was not reached: ConnectionRefusedError"
    assert notice.due_at > datetime.now(UTC) + timedelta(seconds=2)
    assert not notice_delivery.deliver(people.tenant.pk, notice.pk, now=datetime.now(UTC))
    with as_tenant(people.tenant.pk):
        Notice.objects.update(trying_since=datetime.now(UTC) - timedelta(hours=73), due_at=datetime.now(UTC))
    notice_delivery.deliver(people.tenant.pk, notice.pk, now=datetime.now(UTC))
    assert waiting(people) == []
    # A lead sends it again: the same notice, with its number of attempts.
    lena: Any = signed_in(people.lena)
    page = lena.get("/notices/")
    assert "2 attempts" in text_of(page)
    url = f"/notices/{notice.pk}/replay/"
    assert lena.get(url).status_code == 302
    assert waiting(people) == []
    for other in (people.rita, people.nia):
        assert signed_in(other).post(url).status_code in (403, 404)
    assert waiting(people) == []
    down = False
    assert lena.post(url).status_code == 302
    send_all(people)
    assert told() == ["desk@demo.example"]
    assert mail.outbox[0].extra_headers["Message-ID"] == f"<{notice.wire_id}@localhost>"
    assert lena.post(url).status_code == 404


def test_two_workers_send_a_notice_once(committed_people: People, monkeypatch: pytest.MonkeyPatch) -> None:
    people = committed_people
    enforce_refunds(people, refund_rule())
    target(people, audience="address", address="desk@demo.example")
    held_review(people)
    (notice,) = waiting(people)
    sent: list[object] = []
    together = threading.Barrier(4)

    def send(message: object) -> None:
        sent.append(message)

    monkeypatch.setattr("reviews.notice_delivery.EmailMessage.send", send)

    def work() -> None:
        try:
            together.wait(timeout=10)
            notice_delivery.deliver(people.tenant.pk, notice.pk, now=datetime.now(UTC))
        finally:
            connections.close_all()

    threads = [threading.Thread(target=work) for _ in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert len(sent) == 1
    assert notice_delivery.sweep(now=datetime.now(UTC)) == 0


# Links.


def test_a_link_leads_whom_it_was_sent_to_and_tells_everybody_else_whose_it_is(people: People) -> None:
    enforce_refunds(people, refund_rule())
    review = held_review(people)
    path = link_for(people.rita, review).removeprefix("http://localhost:8000")
    assert path.startswith("/r/")
    rita: Any = signed_in(people.rita)
    answer = rita.get(path)
    assert (answer.status_code, answer["Location"]) == (302, f"/reviews/{review.wire_id}/")
    lena: Any = signed_in(people.lena)
    page = lena.get(path)
    assert page.status_code == 403
    assert "This link was sent to Rita Reyes. You are signed in as Lena Lind." in text_of(page).replace(" .", ".")
    nia: Any = signed_in(people.nia)
    page = nia.get(path)
    assert page.status_code == 404
    assert "Rita" not in text_of(page)
    # A link is no sign-in, and opening it, as mail scanners do, changes nothing.
    stranger: Any = Client()
    assert stranger.get(path)["Location"].startswith("/accounts/login/")
    for client in (rita, lena, nia, stranger):
        assert client.post(path).status_code in (401, 405)
    after = get(people, review.wire_id)
    assert (after.version, after.claimed_by_id, after.state) == (review.version, None, "open")


def test_a_forged_or_old_link_leads_nowhere(people: People, settings: Settings) -> None:
    import time_machine

    enforce_refunds(people, refund_rule())
    review = held_review(people)
    token = link_for(people.rita, review).rpartition("/")[2]
    assert read_link(token).review_id == review.pk
    rita: Any = signed_in(people.rita)
    for bad in (token[:-2], "x", token.replace(":", ":A", 1), ":::"):
        with pytest.raises(BadLink):
            read_link(bad)
        assert rita.get(f"/r/{bad}").status_code == 410
    with time_machine.travel(datetime.now(UTC) + timedelta(days=8), tick=False), pytest.raises(BadLink):
        read_link(token)


# Setting one up.


def test_setting_up_a_notice_is_on_the_record_and_takes_a_lead_and_a_fresh_sign_in(committed_people: People) -> None:
    people = committed_people
    now = datetime.now(UTC)
    for member in (people.rita, people.otto, people.devi):
        with pytest.raises(SettingsForbidden):
            notice_targets.save_target(member, wanted(), evidence=proof(), now=now)
    old = Evidence("password", now - timedelta(hours=1))
    for evidence in (None, old):
        with pytest.raises(StepUpNeeded):
            notice_targets.save_target(people.lena, wanted(), evidence=evidence, now=now)
    saved = notice_targets.save_target(
        people.lena, wanted(audience="address", address="desk@demo.example"), evidence=proof(), now=datetime.now(UTC)
    )
    entry = bodies(people.tenant.pk)[-1]
    assert (entry["kind"], entry["change"], entry["channel"]) == ("notice.changed", "created", "email")
    assert "desk@demo.example" not in json.dumps(entry)
    with pytest.raises(NotFound):
        notice_targets.save_target(
            people.nia, wanted(name="Mine"), target_id=saved.target.pk, evidence=proof(), now=datetime.now(UTC)
        )
    with pytest.raises(NotFound):
        notice_targets.rotate(people.nia, saved.target.pk, evidence=proof(), now=datetime.now(UTC))


@pytest.mark.parametrize(
    ("fields", "name"),
    [
        ({"channel": "pigeon"}, "channel"),
        ({"audience": "everybody"}, "audience"),
        ({"audience": "address", "address": "nobody"}, "address"),
        ({"audience": "address", "address": "a@b.example\nBcc: c@d.example"}, "address"),
        ({"audience": "team"}, "team"),
        ({"audience": "member"}, "member"),
        ({"name": " "}, "name"),
        ({"channel": "webhook", "url": "http://hooks.example.com/"}, "url"),
        ({"channel": "webhook", "url": "https://hooks.example.com/", "cadence": "digest"}, "cadence"),
    ],
)
def test_a_notice_that_would_reach_nobody_is_refused(people: People, fields: dict[str, Any], name: str) -> None:
    with pytest.raises(InvalidNoticeTarget) as refusal:
        target(people, **fields)
    assert set(refusal.value.details["errors"]) == {name}  # type: ignore[call-overload]  # a dict


def test_a_member_of_another_tenant_is_nobody_here(people: People) -> None:
    with pytest.raises(InvalidNoticeTarget):
        target(people, audience="member", member_id=people.nia.pk)


def test_the_admin_keeps_what_was_typed_while_it_asks_who_it_is_and_shows_the_secret_once(people: People) -> None:
    lena: Any = signed_in(people.lena)
    signed_in_ago(lena, seconds=3600)
    add = "/admin/reviews/noticetarget/add/"
    form = {
        "name": "Our chat",
        "channel": "webhook",
        "events": ["overdue", "flood"],
        "audience": "",
        "team": "",
        "member": "",
        "address": "",
        "url": "https://hooks.example.com/guard",
        "cadence": "each",
        "is_active": "on",
    }
    asked = lena.post(add, form)
    assert asked["Location"].startswith("/accounts/reauthenticate/")
    with as_tenant(people.tenant.pk):
        assert not NoticeTarget.objects.exists()
    assert "https://hooks.example.com/guard" in lena.get(add).content.decode()
    signed_in_ago(lena, seconds=0)
    shown = lena.post(add, form, follow=True)
    with as_tenant(people.tenant.pk):
        row = NoticeTarget.objects.get()
    assert row.events == ["overdue", "flood"]
    content = shown.content.decode()
    start = content.index("whsec_")
    secret = content[start : content.index('"', start)]
    assert len(base64.b64decode(secret.removeprefix("whsec_"))) == 32
    assert secret not in row.secret_sealed
    assert "whsec_" not in lena.get("/admin/reviews/noticetarget/secret/").content.decode()
    assert "whsec_" not in lena.get(f"/admin/reviews/noticetarget/{row.pk}/change/").content.decode()
    assert signed_in(people.rita).get(add, follow=True).status_code == 403
    assert signed_in(people.nia).get(f"/admin/reviews/noticetarget/{row.pk}/change/").status_code == 302


# Webhooks, to a real TLS server on this machine.


@dataclass
class Sink:
    """A receiver: what it got, and what it answers next."""

    url: str
    got: list[tuple[Message, bytes]] = field(default_factory=list)
    answers: list[tuple[int, dict[str, str]]] = field(default_factory=list)


def _certificate(folder: Path) -> tuple[Path, Path]:
    key = ec.generate_private_key(ec.SECP256R1())
    name = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, "localhost")])
    now = datetime.now(UTC)
    certificate = (
        x509.CertificateBuilder()
        .subject_name(name)
        .issuer_name(name)
        .public_key(key.public_key())
        .serial_number(x509.random_serial_number())
        .not_valid_before(now - timedelta(days=1))
        .not_valid_after(now + timedelta(days=1))
        .add_extension(x509.SubjectAlternativeName([x509.DNSName("localhost")]), critical=False)
        .add_extension(x509.BasicConstraints(ca=True, path_length=None), critical=True)
        .sign(key, hashes.SHA256())
    )
    cert_file, key_file = folder / "cert.pem", folder / "key.pem"
    cert_file.write_bytes(certificate.public_bytes(serialization.Encoding.PEM))
    key_file.write_bytes(
        key.private_bytes(serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8, serialization.NoEncryption())
    )
    return cert_file, key_file


@pytest.fixture
def sink(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, settings: Settings) -> Iterator[Sink]:
    """A receiver that the deployment allows and whose certificate it trusts."""
    cert_file, key_file = _certificate(tmp_path)
    found = Sink("")

    class Handler(BaseHTTPRequestHandler):
        def do_POST(self) -> None:
            body = self.rfile.read(int(self.headers["Content-Length"]))
            found.got.append((self.headers, body))
            status, headers = found.answers.pop(0) if found.answers else (204, {})
            self.send_response(status)
            for key, value in headers.items():
                self.send_header(key, value)
            self.send_header("Content-Length", "0")
            self.end_headers()

        def log_message(self, format: str, *args: Any) -> None:  # noqa: A002  # its name in the parent
            pass

    server = HTTPServer(("127.0.0.1", 0), Handler)
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.load_cert_chain(cert_file, key_file)
    server.socket = context.wrap_socket(server.socket, server_side=True)
    found.url = f"https://localhost:{server.server_port}/guard"
    settings.WEBHOOK_NETWORKS = ["127.0.0.0/8", "::1/128"]
    monkeypatch.setenv("SSL_CERT_FILE", str(cert_file))
    thread = threading.Thread(target=server.serve_forever, daemon=True)
    thread.start()
    yield found
    server.shutdown()
    server.server_close()
    thread.join()


def is_signed(secret: str, headers: Message, body: bytes) -> bool:
    """As a receiver checks it."""
    key = base64.b64decode(secret.removeprefix("whsec_"))
    signed = f"{headers['webhook-id']}.{headers['webhook-timestamp']}.".encode() + body
    wanted_signature = "v1," + base64.b64encode(hmac.new(key, signed, hashlib.sha256).digest()).decode()
    return wanted_signature in headers["webhook-signature"].split(" ")


def test_a_webhook_gets_signed_ids_state_and_digest_and_no_params(people: People, sink: Sink) -> None:
    enforce_refunds(people, refund_rule())
    saved = target(people, channel="webhook", audience="", url=sink.url)
    review = held_review(people, params=LARGE | {"reason": "hidden reason"})
    (notice,) = waiting(people)
    send_all(people)
    ((headers, body),) = sink.got
    assert is_signed(saved.secret, headers, body)
    assert headers["webhook-id"] == notice.wire_id
    document = json.loads(body)
    assert document["type"] == "review.opened"
    assert set(document["data"]) == {"review_id", "state", "call_digest", "tier", "due_at", "url"}
    assert document["data"]["call_digest"] == f"sha256:{review.call_digest}"
    assert b"hidden" not in body
    assert b"in_88" not in body


def test_a_rotated_secret_signs_beside_the_former_one_for_a_day(people: People, sink: Sink) -> None:
    enforce_refunds(people, refund_rule())
    first = target(people, channel="webhook", audience="", url=sink.url)
    second = notice_targets.rotate(people.adam, first.target.pk, evidence=proof(), now=datetime.now(UTC))
    held_review(people)
    send_all(people)
    headers, body = sink.got[0]
    assert is_signed(first.secret, headers, body)
    assert is_signed(second.secret, headers, body)
    with as_tenant(people.tenant.pk):
        NoticeTarget.objects.update(former_until=datetime.now(UTC) - timedelta(seconds=1))
    held_review(people)
    send_all(people)
    headers, body = sink.got[1]
    assert not is_signed(first.secret, headers, body)
    assert is_signed(second.secret, headers, body)


def test_a_webhook_that_leads_elsewhere_gets_another_secret(people: People, sink: Sink) -> None:
    first = target(people, channel="webhook", audience="", url=sink.url)
    changed = notice_targets.save_target(
        people.adam,
        wanted(channel="webhook", audience="", url="https://hooks.example.com/"),
        target_id=first.target.pk,
        evidence=proof(),
        now=datetime.now(UTC),
    )
    assert changed.secret
    assert changed.secret != first.secret
    assert changed.target.former_secret_sealed == ""


@pytest.mark.parametrize(
    ("status", "headers", "state"),
    [
        (200, {}, "sent"),
        (302, {"Location": "https://localhost/elsewhere"}, "dead"),
        (400, {}, "dead"),
        (429, {"Retry-After": "600"}, "waiting"),
        (503, {}, "waiting"),
    ],
)
def test_what_a_receiver_answers_decides_what_becomes_of_the_notice(
    people: People, sink: Sink, status: int, headers: dict[str, str], state: str
) -> None:
    enforce_refunds(people, refund_rule())
    target(people, channel="webhook", audience="", url=sink.url)
    held_review(people)
    sink.answers.append((status, headers))
    send_all(people)
    with as_tenant(people.tenant.pk):
        notice = Notice.objects.get()
    assert notice.state == state
    assert len(sink.got) == 1  # no redirect is followed
    if "Retry-After" in headers:
        assert notice.due_at > datetime.now(UTC) + timedelta(seconds=590)


def test_a_receiver_that_is_gone_is_told_nothing_more(people: People, sink: Sink) -> None:
    enforce_refunds(people, refund_rule())
    target(people, channel="webhook", audience="", url=sink.url)
    held_review(people)
    sink.answers.append((410, {}))
    send_all(people)
    held_review(people)
    assert waiting(people) == []
    with as_tenant(people.tenant.pk):
        row = NoticeTarget.objects.get()
    assert (row.is_active, row.stopped_because) == (False, "The receiver answered 410: gone.")


def test_a_webhook_into_the_house_is_never_asked(people: People, sink: Sink, settings: Settings) -> None:
    enforce_refunds(people, refund_rule())
    target(people, channel="webhook", audience="", url=sink.url)
    held_review(people)
    settings.WEBHOOK_NETWORKS = []
    with as_tenant(people.tenant.pk):
        NoticeTarget.objects.update(url="https://localhost/guard")
    send_all(people)
    assert sink.got == []
    with as_tenant(people.tenant.pk):
        notice = Notice.objects.get()
    assert (notice.state, "not public" in notice.last_error) == ("dead", True)


def test_a_certificate_that_nobody_vouches_for_is_no_receiver(
    people: People, sink: Sink, monkeypatch: pytest.MonkeyPatch
) -> None:
    enforce_refunds(people, refund_rule())
    target(people, channel="webhook", audience="", url=sink.url)
    held_review(people)
    monkeypatch.delenv("SSL_CERT_FILE")
    send_all(people)
    assert sink.got == []
    with as_tenant(people.tenant.pk):
        assert Notice.objects.get().last_error == "not reached: SSLCertVerificationError"
