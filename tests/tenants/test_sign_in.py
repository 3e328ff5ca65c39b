"""Sign-in by password, app and recovery code; what is asked again; sessions; forgotten passwords; and what the log says."""

from __future__ import annotations

import io
import re
import time
from collections.abc import Iterator
from datetime import timedelta
from typing import Any

import pytest
import time_machine
from allauth.mfa.models import Authenticator
from allauth.mfa.recovery_codes.internal.auth import RecoveryCodes
from allauth.mfa.totp.internal.auth import TOTP, format_hotp_value, generate_totp_secret, hotp_value
from allauth.usersessions.models import UserSession
from cryptography.fernet import InvalidToken
from django.contrib.sessions.models import Session
from django.core import mail
from django.core.cache import cache
from django.core.management import CommandError, call_command
from django.db import connection
from django.test import Client
from django.utils import timezone
from pytest_django import Settings

from audit.kinds import EntryView, sentence_of
from audit.scope import as_tenant
from tenants import stepup
from tenants.adapter import FactorAdapter
from tenants.devices import device_of
from tenants.members import add_member
from tenants.models import Member, User
from tests.people import PASSWORD, People
from tests.reviews.chain import bodies

LOGIN = "/accounts/login/"
OVERVIEW = "/accounts/2fa/"
ACTIVATE = "/accounts/2fa/totp/activate/"
CODES = "/accounts/2fa/recovery-codes/"
SESSIONS = "/accounts/sessions/"


@pytest.fixture(autouse=True)
def _still_clock() -> Iterator[None]:
    """No half minute ends between making a code and sending it."""
    with time_machine.travel(timezone.now(), tick=False):
        yield


def code_for(secret: str) -> str:
    """What the app shows now."""
    return str(format_hotp_value(hotp_value(secret, int(time.time()) // 30)))


def sign_in(client: Client, name: str = "rita", password: str = PASSWORD, **fields: str) -> Any:
    """Post the sign-in form. Any: the test client's response."""
    return client.post(LOGIN, {"login": f"{name}@demo.example", "password": password, **fields})


def prove(client: Client) -> None:
    """Answer the question who one is by password."""
    client.post("/accounts/reauthenticate/", {"password": PASSWORD, "next": OVERVIEW})


def signed_in(name: str = "rita") -> Client:
    """A browser in which the person signed in by password and was asked again."""
    client = Client()
    sign_in(client, name)
    prove(client)
    return client


@pytest.fixture
def app_of_rita(people: People) -> str:
    """Rita has an authenticator app and recovery codes; the app's secret."""
    secret = generate_totp_secret()
    TOTP.activate(people.rita.user, secret)
    RecoveryCodes.activate(people.rita.user)
    return str(secret)


def secret_of(response: Any) -> str:
    """The secret on the page that sets the app up. Any: the test client's response."""
    return str(response.context["form"].secret)


def user_of(client: Client) -> str | None:
    """The id of whoever is signed in."""
    return client.session.get("_auth_user_id")


def test_sign_in_by_password_starts_a_new_session(people: People) -> None:
    client = Client()
    client.get(LOGIN)
    client.post("/account/theme/", {"theme": "dark"})
    session = client.session
    session["planted"] = "by somebody before the sign-in"
    session.save()
    planted = session.session_key
    response = sign_in(client, next="/audit/")
    assert response["Location"] == "/audit/"
    assert user_of(client) == str(people.rita.user_id)
    assert client.session.session_key != planted
    assert not Session.objects.filter(session_key=planted).exists()


def test_the_sign_in_page_offers_the_passkey_first_and_stands_in_the_first_field(people: People) -> None:
    page = Client().get(LOGIN).content.decode()
    assert page.index("Use a passkey") < page.index('name="password"')
    assert re.search(r'<input type="email"[^>]*autofocus', page)


def test_a_wrong_password_and_an_unknown_address_look_alike(people: People) -> None:
    wrong = sign_in(Client(), password="wrong horse battery").content.decode()
    unknown = sign_in(Client(), "nobody").content.decode()
    said = re.findall(r'role="alert"><p>(.*?)</p>', wrong)
    assert said
    assert said == re.findall(r'role="alert"><p>(.*?)</p>', unknown)


def test_tries_are_limited_over_all_processes(people: People) -> None:
    for _ in range(5):
        sign_in(Client(), password="wrong horse battery")
    # The count stands in the shared table, not in this process.
    with connection.cursor() as cursor:
        cursor.execute("SELECT count(*) FROM guardsite_cache")
        assert cursor.fetchone()[0] > 0
    client = Client()
    assert b"Too many failed" in sign_in(client).content
    assert user_of(client) is None


def test_secrets_of_factors_are_not_in_the_clear(people: People, app_of_rita: str) -> None:
    with connection.cursor() as cursor:
        cursor.execute("SELECT data::text FROM mfa_authenticator")
        stored = " ".join(row[0] for row in cursor.fetchall())
    assert app_of_rita not in stored
    assert stored.count("enc1:") == 2


def test_a_secret_stored_before_encryption_still_works(people: People) -> None:
    adapter = FactorAdapter()
    assert adapter.decrypt("JBSWY3DPEHPK3PXP") == "JBSWY3DPEHPK3PXP"
    assert adapter.decrypt(adapter.encrypt("x")) == "x"


def test_with_an_app_the_password_alone_does_not_sign_in(people: People, app_of_rita: str) -> None:
    client = Client()
    assert sign_in(client)["Location"].startswith("/accounts/2fa/authenticate/")
    assert user_of(client) is None
    assert client.get("/audit/").status_code == 302
    assert b"Incorrect code" in client.post("/accounts/2fa/authenticate/", {"code": "000000"}).content
    code = code_for(app_of_rita)
    assert client.post("/accounts/2fa/authenticate/", {"code": code}).status_code == 302
    assert user_of(client) == str(people.rita.user_id)
    # A code that somebody saw is good once, in whatever process.
    other = Client()
    sign_in(other)
    other.post("/accounts/2fa/authenticate/", {"code": code})
    assert user_of(other) is None


def test_a_recovery_code_signs_in_once(people: People, app_of_rita: str) -> None:
    code = Authenticator.objects.get(type="recovery_codes").wrap().get_unused_codes()[0]
    for expected in (str(people.rita.user_id), None):
        client = Client()
        sign_in(client)
        client.post("/accounts/2fa/authenticate/", {"code": code})
        assert user_of(client) == expected


def test_recovery_codes_are_shown_downloaded_and_replaced(people: People, app_of_rita: str) -> None:
    client = signed_in_with_app(app_of_rita)
    page = client.get(CODES).content.decode()
    old = re.findall(r"<li>(\d{8})</li>", page)
    assert len(old) == 10
    file = client.get(f"{CODES}download/")
    assert file["Content-Disposition"].startswith("attachment")
    assert all(code in file.content.decode() for code in old)
    assert b"The old codes stop working" in client.get(f"{CODES}generate/").content
    assert client.get(CODES).content.decode().count(old[0]) == 1, "a GET makes no new ones"
    client.post(f"{CODES}generate/")
    assert old[0] not in client.get(CODES).content.decode()


def signed_in_with_app(secret: str) -> Client:
    """Rita's browser after both steps, and asked again by password."""
    client = Client()
    sign_in(client)
    client.post("/accounts/2fa/authenticate/", {"code": code_for(secret)})
    prove(client)
    return client


def test_the_last_factor_is_removed_after_a_warning(people: People, app_of_rita: str) -> None:
    client = signed_in_with_app(app_of_rita)
    remove = "/accounts/2fa/totp/deactivate/"
    assert b"This is your last second factor" in client.get(remove).content
    assert Authenticator.objects.exists(), "a GET removes nothing"
    client.post(remove)
    assert not Authenticator.objects.exists()
    assert mail.outbox[-1].subject == "[guardsite] The authenticator app was removed"


def test_a_change_of_factors_asks_again_and_a_post_is_not_replayed(people: People, app_of_rita: str) -> None:
    client = Client()
    sign_in(client)
    client.post("/accounts/2fa/authenticate/", {"code": code_for(app_of_rita)})
    response = client.post("/accounts/2fa/totp/deactivate/")
    assert response["Location"].startswith("/accounts/2fa/reauthenticate/?next=")
    cache.clear()  # forget that the code of this half minute was used
    answer = client.post(
        response["Location"], {"code": code_for(app_of_rita), "next": "/accounts/2fa/totp/deactivate/"}
    )
    assert answer["Location"] == "/accounts/2fa/totp/deactivate/"
    assert Authenticator.objects.filter(type="totp").exists(), "only the person's own press removes it"


def test_nobody_removes_another_persons_passkey(people: People) -> None:
    theirs = Authenticator.objects.create(user=people.adam.user, type="webauthn", data={"name": "x", "credential": {}})
    client = signed_in()
    for path in (f"/accounts/2fa/webauthn/keys/{theirs.pk}/remove/", f"/accounts/2fa/webauthn/keys/{theirs.pk}/edit/"):
        assert client.get(path).status_code == 404
        assert client.post(path, {"name": "mine"}).status_code == 404
    assert Authenticator.objects.get().data["name"] == "x"


def test_nobody_changes_their_own_address(people: People) -> None:
    client = signed_in()
    assert client.get("/accounts/email/")["Location"] == OVERVIEW
    assert client.post("/accounts/email/", {"email": "boss@demo.example", "action_add": ""}).status_code == 405
    assert User.objects.get(pk=people.rita.user_id).email == "rita@demo.example"


def test_sessions_are_listed_and_an_ended_one_is_really_ended(people: People) -> None:
    mine, other = Client(headers={"user-agent": "Mozilla/5.0 (Windows NT 10.0) Firefox/130.0"}), Client()
    sign_in(mine)
    sign_in(other)
    nia = Client()
    nia.post(LOGIN, {"login": "nia@elsewhere.example", "password": PASSWORD})
    page = mine.get(SESSIONS)
    assert b"Firefox on Windows" in page.content
    found = page.context["sessions"]
    assert [session.is_current for session in found] == [True, False]
    mine.post(SESSIONS, {"session": str(found[0].id)})
    assert mine.get(SESSIONS).status_code == 200, "the current one ends by signing out"
    mine.post(SESSIONS, {"session": str(found[1].id)})
    assert other.get(SESSIONS).status_code == 302
    assert user_of(nia) == str(people.nia.user_id)


def test_nobody_ends_another_persons_session(people: People) -> None:
    rita, nia = Client(), Client()
    sign_in(rita)
    nia.post(LOGIN, {"login": "nia@elsewhere.example", "password": PASSWORD})
    theirs = UserSession.objects.get(user=people.rita.user)
    for wanted in (str(theirs.pk), "others", "x", ""):
        nia.post(SESSIONS, {"session": wanted})
    assert rita.get(SESSIONS).status_code == 200


def test_all_other_sessions_end_at_once(people: People) -> None:
    mine, *others = Client(), Client(), Client()
    for client in (mine, *others):
        sign_in(client)
    mine.post(SESSIONS, {"session": "others"})
    assert [client.get(SESSIONS).status_code for client in (mine, *others)] == [200, 302, 302]


def test_a_session_ends_after_twelve_hours_whatever_happens(people: People) -> None:
    start = timezone.now()
    client = Client()
    with time_machine.travel(start, tick=False) as clock:
        sign_in(client)
        for minutes in range(0, 12 * 60 + 1, 90):
            clock.move_to(start + timedelta(minutes=minutes))
            assert client.get(SESSIONS).status_code == 200
        clock.move_to(start + timedelta(hours=12, seconds=1))
        assert client.get(SESSIONS).status_code == 302
        assert user_of(client) is None


def test_a_session_ends_after_two_hours_without_a_request(people: People) -> None:
    start = timezone.now()
    client = Client()
    with time_machine.travel(start, tick=False) as clock:
        sign_in(client)
        clock.move_to(start + timedelta(hours=2, seconds=1))
        assert client.get(SESSIONS).status_code == 302


def test_a_forgotten_password_is_set_by_the_link_of_a_mail_once(people: People) -> None:
    old_session = Client()
    sign_in(old_session)
    client = Client()
    assert client.post("/accounts/password/reset/", {"email": "rita@demo.example"}).status_code == 302
    (message,) = mail.outbox
    assert message.subject == "[guardsite] Set a new password"
    (link,) = re.findall(r"https?://\S+", str(message.body))
    form = client.get(link, follow=True)
    action = form.context["action_url"]
    weak = client.post(action, {"password1": "short", "password2": "short"})
    assert b"at least 12 characters" in weak.content
    done = client.post(action, {"password1": "new horse battery", "password2": "new horse battery"}, follow=True)
    assert b"Your new password holds" in done.content
    assert user_of(client) is None, "setting a password signs nobody in"
    assert old_session.get(SESSIONS).status_code == 302
    assert sign_in(Client(), password="new horse battery").status_code == 302
    assert b"no longer works" in Client().get(link, follow=True).content


def test_a_forgotten_password_of_nobody_says_the_same_and_sends_nothing(people: People) -> None:
    known = Client().post("/accounts/password/reset/", {"email": "rita@demo.example"}, follow=True)
    mail.outbox.clear()
    unknown = Client().post("/accounts/password/reset/", {"email": "nobody@demo.example"}, follow=True)
    assert re.sub(r"value=\"\S+\"", "", known.content.decode()) == re.sub(
        r"value=\"\S+\"", "", unknown.content.decode()
    )
    assert mail.outbox == []


def test_a_new_password_does_not_get_round_the_second_factor(people: People, app_of_rita: str) -> None:
    mail.outbox.clear()
    client = Client()
    client.post("/accounts/password/reset/", {"email": "rita@demo.example"})
    (link,) = re.findall(r"https?://\S+", str(mail.outbox[0].body))
    action = client.get(link, follow=True).context["action_url"]
    client.post(action, {"password1": "new horse battery", "password2": "new horse battery"})
    assert sign_in(client, password="new horse battery")["Location"].startswith("/accounts/2fa/authenticate/")


def test_the_way_to_prove_is_passkey_then_code_then_password(people: People, app_of_rita: str) -> None:
    user = people.rita.user
    Authenticator.objects.create(user=user, type="webauthn", data={"name": "x", "credential": {}})
    ways = [way["id"] for way in stepup.ways_to_prove(user)]
    assert ways == ["mfa_reauthenticate:webauthn", "mfa_reauthenticate", "reauthenticate"]
    assert [way["id"] for way in stepup.ways_to_prove(user, strong=True)] == ways[:2]
    # Who has no second factor proves it by password, for anything.
    assert [way["id"] for way in stepup.ways_to_prove(people.adam.user, strong=True)] == ["reauthenticate"]


def test_a_failed_proof_is_told_on_its_page_and_limited(people: People) -> None:
    client = Client()
    sign_in(client)
    for said in (b"Incorrect password", b"Incorrect password", b"Incorrect password"):
        assert said in client.post("/accounts/reauthenticate/", {"password": "wrong"}).content
    for _ in range(7):
        client.post("/accounts/reauthenticate/", {"password": "wrong"})
    assert client.post("/accounts/reauthenticate/", {"password": PASSWORD}).status_code == 429


def test_who_belongs_to_two_tenants_switches_in_the_header(people: People) -> None:
    add_member(people.other_tenant, email="rita@demo.example", name="Rita", roles=["auditor"])
    client = Client()
    sign_in(client)
    page = client.get(OVERVIEW).content.decode()
    assert re.findall(r'name="tenant" value="(\w+)"( aria-current="true")?', page) == [
        ("demo", ' aria-current="true"'),
        ("elsewhere", ""),
    ]
    assert client.get("/account/tenant/?tenant=elsewhere").status_code == 405
    client.post("/account/tenant/", {"tenant": "elsewhere"})
    assert "<summary>Elsewhere<" in client.get(OVERVIEW).content.decode()
    otto = Client()
    sign_in(otto, "otto")
    otto.post("/account/tenant/", {"tenant": "elsewhere"})
    assert 'name="tenant"' not in otto.get(OVERVIEW).content.decode()
    assert "Elsewhere" not in otto.get(OVERVIEW).content.decode()


def test_changes_of_ones_sign_in_are_in_the_log_of_each_of_ones_tenants(committed_people: People) -> None:
    people = committed_people
    add_member(people.other_tenant, email="rita@demo.example", name="Rita", roles=["auditor"])
    with as_tenant(people.other_tenant.pk):
        elsewhere = Member.objects.get(user=people.rita.user)
    client = Client()
    sign_in(client)
    sign_in(Client())
    client.post("/accounts/reauthenticate/", {"password": "wrong"})
    prove(client)
    secret = secret_of(client.get(ACTIVATE))
    client.post(ACTIVATE, {"code": code_for(secret)})
    client.post("/accounts/2fa/totp/deactivate/")
    client.post(SESSIONS, {"session": "others"})
    new = "new horse battery"
    client.post("/accounts/password/change/", {"oldpassword": PASSWORD, "password1": new, "password2": new})
    assert [message.subject.removeprefix("[guardsite] ") for message in mail.outbox] == [
        "An authenticator app was set up",
        "The authenticator app was removed",
        "Your password was changed",
    ]
    assert {message.to[0] for message in mail.outbox} == {"rita@demo.example"}
    for tenant, member in ((people.tenant, people.rita), (people.other_tenant, elsewhere)):
        found = [
            body
            for body in bodies(tenant.pk)
            if body["kind"].startswith("member.") and body["kind"] != "member.changed"
        ]
        assert [(body["kind"], body.get("method") or body.get("factor") or body.get("count")) for body in found] == [
            ("member.step_up_failed", "password"),
            ("member.stepped_up", "password"),
            ("member.factor_added", "totp"),
            ("member.factor_added", "recovery_codes"),
            ("member.factor_removed", "totp"),
            ("member.factor_removed", "recovery_codes"),
            ("member.session_ended", 1),
            ("member.password_changed", None),
        ]
        assert {body["actor"]["id"] for body in found} == {str(member.pk)}
        assert PASSWORD not in str(found)
        assert secret not in str(found)


@pytest.mark.parametrize(
    ("kind", "body", "sentence"),
    [
        ("member.factor_added", {"factor": "webauthn"}, "Rita added a passkey to their sign-in."),
        ("member.factor_removed", {"factor": "totp"}, "Rita removed an authenticator app from their sign-in."),
        ("member.session_ended", {"count": 2}, "Rita ended 2 of their sessions."),
        ("member.password_changed", {}, "Rita changed their password."),
        ("member.stepped_up", {"method": "webauthn"}, "Rita proved again who they are, by a passkey."),
        (
            "member.step_up_failed",
            {"method": "password"},
            "Rita was asked who they are and failed with the password.",
        ),
    ],
)
def test_an_entry_reads_as_a_sentence(kind: str, body: dict[str, object], sentence: str) -> None:
    view = EntryView(1, "e", kind, {"actor": {"id": "m1"}, "member": "m1", **body}, timezone.now(), "Rita")
    assert sentence_of(view) == sentence


def test_what_an_operator_did_names_the_member() -> None:
    body = {"actor": {"id": "operator"}, "member": "m1", "factor": "totp"}
    names = {("member", "m1"): "Rita"}
    view = EntryView(1, "e", "member.factor_removed", body, timezone.now(), "The operator", names=names)
    assert sentence_of(view) == "The operator removed an authenticator app from Rita's sign-in."


def test_a_change_that_cannot_be_recorded_is_not_made(people: People, monkeypatch: pytest.MonkeyPatch) -> None:
    client = signed_in()
    secret = secret_of(client.get(ACTIVATE))

    def fail(*_args: object, **_kwargs: object) -> None:
        raise RuntimeError("the log is gone")

    monkeypatch.setattr("tenants.account_log.record", fail)
    client.raise_request_exception = False
    assert client.post(ACTIVATE, {"code": code_for(secret)}).status_code == 500
    assert not Authenticator.objects.exists()


def test_an_operator_lets_somebody_back_in_who_lost_everything(committed_people: People) -> None:
    people = committed_people
    TOTP.activate(people.rita.user, generate_totp_secret())
    RecoveryCodes.activate(people.rita.user)
    TOTP.activate(people.adam.user, generate_totp_secret())
    client = Client()
    client.force_login(people.rita.user, backend="allauth.account.auth_backends.AuthenticationBackend")
    UserSession.objects.create(user=people.rita.user, ip="127.0.0.1", session_key=client.session.session_key)
    before = len(bodies(people.tenant.pk))
    out = io.StringIO()
    call_command("forget_factors", "Rita@demo.example", stdout=out)
    assert "1 second factors removed" in out.getvalue()
    assert Authenticator.objects.get().user_id == people.adam.user_id
    assert client.get(SESSIONS).status_code == 302
    found = bodies(people.tenant.pk)[before:]
    assert sorted(body["kind"] for body in found) == ["member.factor_removed"] * 2 + ["member.session_ended"]
    assert {(body["actor"]["type"], body["actor"]["id"], body["member"]) for body in found} == {
        ("system", "operator", str(people.rita.pk))
    }
    with pytest.raises(CommandError, match="Nobody"):
        call_command("forget_factors", "nobody@demo.example")


def test_signing_out_is_said_on_the_page_that_follows(people: People) -> None:
    client = Client()
    sign_in(client)
    page = client.post("/accounts/logout/", follow=True)
    assert page.request["PATH_INFO"] == LOGIN
    assert "You are signed out of this browser." in page.content.decode()


@pytest.mark.parametrize(
    ("back_to", "heading", "way_out"),
    [
        (ACTIVATE, "Confirm your password to set up an authenticator app", OVERVIEW),
        ("/policy/flip/?action=a", "Confirm your password to change the mode", "/policy/flip/?action=a"),
        ("/reviews/rv_1/", "Confirm that it is you", "/reviews/rv_1/"),
        ("/no/such/page/", "Confirm that it is you", "/no/such/page/"),
        ("https://elsewhere.example/", "Confirm that it is you", OVERVIEW),
        ("//elsewhere.example/", "Confirm that it is you", OVERVIEW),
        ("", "Confirm that it is you", OVERVIEW),
    ],
)
def test_who_is_asked_again_is_told_for_what_and_may_cancel(
    people: People, back_to: str, heading: str, way_out: str
) -> None:
    page = signed_in().get("/accounts/reauthenticate/", {"next": back_to}).content.decode()
    assert f"<h1>{heading}</h1>" in page
    assert f'href="{way_out}">Cancel</a>' in page
    assert "what you typed is kept" not in page


def test_what_was_typed_is_promised_where_it_is_kept(people: People) -> None:
    client = signed_in()
    session = client.session
    session[stepup._DRAFT_KEY] = {"path": "/policy/flip/", "typed": {"reason": ["x"]}, "at": time.time()}
    session.save()
    assert b"what you typed is kept" in client.get("/accounts/reauthenticate/", {"next": "/policy/flip/"}).content
    assert b"what you typed is kept" not in client.get("/accounts/reauthenticate/", {"next": "/audit/"}).content


def test_labels_of_the_password_form_read_as_everywhere(people: People) -> None:
    page = signed_in().get("/accounts/password/change/").content.decode()
    assert re.findall(r"<label[^>]*>(.*?)</label>", page) == ["Current password", "New password", "New password, again"]


def test_secrets_made_under_a_former_key_work_while_it_is_named(settings: Settings) -> None:
    adapter = FactorAdapter()
    stored = adapter.encrypt("JBSWY3DPEHPK3PXP")
    former, settings.SECRET_KEY = settings.SECRET_KEY, "another-" + "y" * 50
    with pytest.raises(InvalidToken):
        adapter.decrypt(stored)
    settings.SECRET_KEY_FALLBACKS = [former]
    assert adapter.decrypt(stored) == "JBSWY3DPEHPK3PXP"


ACCOUNT_PAGES = [OVERVIEW, ACTIVATE, "/accounts/2fa/webauthn/add/", SESSIONS, "/accounts/password/change/"]


@pytest.mark.parametrize("path", ACCOUNT_PAGES)
def test_account_pages_are_for_the_signed_in_and_change_nothing_on_a_get(people: People, path: str) -> None:
    assert Client().get(path)["Location"].startswith(LOGIN)
    client = signed_in()
    before = (Authenticator.objects.count(), Session.objects.count(), UserSession.objects.count())
    response = client.get(path)
    assert response.status_code == 200
    assert not re.search(rb"<style|\sstyle=|<script(?![^>]*\bsrc=)", response.content)
    assert (Authenticator.objects.count(), Session.objects.count(), UserSession.objects.count()) == before


@pytest.mark.parametrize(
    ("said", "device"),
    [
        ("Mozilla/5.0 (X11; Linux x86_64) AppleWebKit/537.36 Chrome/130.0 Safari/537.36", "Chrome on Linux"),
        ("Mozilla/5.0 (Windows NT 10.0) Chrome/130.0 Safari/537.36 Edg/130.0", "Edge on Windows"),
        ("Mozilla/5.0 (iPhone; CPU iPhone OS 18_0 like Mac OS X) Version/18.0 Safari/604.1", "Safari on iPhone"),
        ("", "Unknown browser"),
        ("<b>" * 100, ("<b>" * 100)[:60]),
    ],
)
def test_a_browser_is_named_by_what_it_says(said: str, device: str) -> None:
    assert device_of(said) == device
