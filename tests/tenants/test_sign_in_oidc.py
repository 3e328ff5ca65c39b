"""Sign-in through an identity provider: a real one on the loopback, honest and lying."""

from __future__ import annotations

from collections.abc import Iterator
from datetime import timedelta
from typing import Any
from urllib.parse import parse_qs, urlsplit

import pytest
import requests
from allauth.mfa.totp.internal.auth import TOTP, generate_totp_secret
from allauth.socialaccount.models import SocialAccount, SocialApp
from django.core import mail
from django.test import Client
from django.utils import timezone
from pytest_django import Settings

from guardsite import env, sign_in
from tenants.models import Member, User
from tests.people import PASSWORD, People
from tests.stubs.oidc_provider import CLIENT_ID, CLIENT_SECRET, OidcProvider

RITA = {"sub": "rita-at-idp", "email": "rita@demo.example", "email_verified": True}
LOGIN = "/accounts/oidc/company/login/"


@pytest.fixture
def provider(monkeypatch: pytest.MonkeyPatch, settings: Settings) -> Iterator[OidcProvider]:
    """A provider, and the site set up for it by its environment."""
    stub = OidcProvider(person=dict(RITA))
    monkeypatch.setenv("GUARDSITE_OIDC_ISSUER", stub.issuer)
    monkeypatch.setenv("GUARDSITE_OIDC_CLIENT_ID", CLIENT_ID)
    monkeypatch.setenv("GUARDSITE_OIDC_CLIENT_SECRET", CLIENT_SECRET)
    monkeypatch.setenv("GUARDSITE_OIDC_NAME", "Demo SSO")
    settings.SOCIALACCOUNT_PROVIDERS = sign_in.oidc_settings()
    yield stub
    stub.stop()


def leave(client: Client, path: str = LOGIN, **fields: str) -> str:
    """The provider's address that the browser is sent on to."""
    page = client.post(path, fields)
    assert page.status_code == 200, page.content
    url = page["Refresh"].removeprefix("0; url=")
    assert url.replace("&", "&amp;") in page.content.decode()
    return url


def come_back(client: Client, url: str) -> Any:
    """What the site answers when the provider sends the browser back. Any: the test client's response."""
    back = requests.get(url, allow_redirects=False, timeout=5).headers["Location"]
    parts = urlsplit(back)
    return client.get(f"{parts.path}?{parts.query}")


def sign_in_by(client: Client, **fields: str) -> Any:
    """The whole way to the provider and back."""
    return come_back(client, leave(client, **fields))


def user_of(client: Client) -> str | None:
    """The id of whoever is signed in."""
    return client.session.get("_auth_user_id")


@pytest.mark.parametrize("algorithm", ["RS256", "ES256"])
def test_a_member_signs_in_through_the_identity_provider(
    people: People, provider: OidcProvider, algorithm: str
) -> None:
    provider.algorithm = algorithm
    client = Client()
    assert b"Continue with Demo SSO" in client.get("/accounts/login/").content
    response = sign_in_by(client, next="/reviews/?view=decided")
    assert response["Location"] == "/reviews/?view=decided"
    assert user_of(client) == str(people.rita.user_id)
    link = SocialAccount.objects.get()
    assert (link.user_id, link.uid) == (people.rita.user_id, "rita-at-idp")
    assert User.objects.get(pk=people.rita.user_id).check_password(PASSWORD), "the password stays"
    assert [message.to for message in mail.outbox] == [["rita@demo.example"]]
    # The second time by subject, without another mail.
    assert sign_in_by(Client()).status_code == 302
    assert (SocialAccount.objects.count(), len(mail.outbox)) == (1, 1)


def test_an_address_in_other_letters_is_the_same_address(people: People, provider: OidcProvider) -> None:
    provider.person["email"] = "Rita@Demo.Example"
    client = Client()
    sign_in_by(client)
    assert user_of(client) == str(people.rita.user_id)


def test_a_thin_token_is_completed_from_userinfo_of_the_same_subject_alone(
    people: People, provider: OidcProvider
) -> None:
    provider.thin_token = True
    client = Client()
    sign_in_by(client)
    assert user_of(client) == str(people.rita.user_id)
    provider.userinfo = dict(RITA) | {"sub": "somebody-else"}
    other = Client()
    assert sign_in_by(other).status_code == 401
    assert user_of(other) is None


@pytest.mark.parametrize(
    ("changes", "said"),
    [
        ({"email_verified": False}, "Your address is not verified"),
        ({"email_verified": None}, "Your address is not verified"),
        ({"email_verified": "true"}, "Your address is not verified"),
        ({"email": None}, "Your address is not verified"),
        ({"email": "nobody@demo.example"}, "There is no account for you here"),
        # Upper-cased by the database, U+0131 and U+017F become I and S.
        ({"email": "r\u0131ta@demo.example"}, "There is no account for you here"),
    ],
)
def test_who_is_not_matched_gets_a_page_and_nothing_is_made(
    people: People, provider: OidcProvider, changes: dict[str, object], said: str
) -> None:
    before = User.objects.count()
    provider.claims = changes
    provider.userinfo = {key: value for key, value in (RITA | changes).items() if value is not None}
    client = Client()
    response = sign_in_by(client)
    assert response.status_code == 403
    assert said in response.content.decode()
    assert user_of(client) is None
    assert (User.objects.count(), SocialAccount.objects.count()) == (before, 0)


def test_a_person_switched_off_stays_out(people: People, provider: OidcProvider) -> None:
    User.objects.filter(pk=people.rita.user_id).update(is_active=False)
    client = Client()
    assert sign_in_by(client).status_code == 403
    assert user_of(client) is None


def test_a_second_account_that_claims_the_address_does_not_take_over(people: People, provider: OidcProvider) -> None:
    sign_in_by(Client())
    provider.person["sub"] = "mallory-at-idp"
    client = Client()
    response = sign_in_by(client)
    assert response.status_code == 403
    assert b"another account of Demo SSO" in response.content
    assert user_of(client) is None
    assert SocialAccount.objects.get().uid == "rita-at-idp"


def test_a_linked_account_whose_address_became_another_persons_opens_neither(
    people: People, provider: OidcProvider
) -> None:
    sign_in_by(Client())
    provider.person["email"] = "adam@demo.example"
    client = Client()
    assert sign_in_by(client).status_code == 403
    assert user_of(client) is None


@pytest.mark.parametrize(
    "lie",
    [
        {"claims": {"nonce": "of another browser"}},
        {"claims": {"nonce": None}},
        {"claims": {"aud": "another client"}},
        {"claims": {"aud": [CLIENT_ID, "another"], "azp": "another"}},
        {"claims": {"iss": "https://elsewhere.example"}},
        {"claims": {"exp": 1}},
        {"forge": True},
    ],
    ids=str,
)
def test_a_token_that_is_not_to_be_believed_opens_nothing(
    people: People, provider: OidcProvider, lie: dict[str, object]
) -> None:
    for name, value in lie.items():
        setattr(provider, name, value)
    client = Client()
    response = sign_in_by(client)
    assert response.status_code == 401
    assert b"Nothing was changed" in response.content
    assert user_of(client) is None


def test_a_discovery_document_of_another_issuer_is_refused(people: People, provider: OidcProvider) -> None:
    provider.discovery = {"issuer": "https://elsewhere.example"}
    assert Client().post(LOGIN).status_code == 502


def test_a_provider_that_is_gone_is_told_without_a_traceback(people: People, provider: OidcProvider) -> None:
    provider.stop()
    response = Client().post(LOGIN)
    assert response.status_code == 502
    assert b"Nothing was changed" in response.content


def test_an_answer_is_good_once_and_for_one_browser(people: People, provider: OidcProvider) -> None:
    client, other = Client(), Client()
    url = leave(client)
    back = requests.get(url, allow_redirects=False, timeout=5).headers["Location"]
    path = f"{urlsplit(back).path}?{urlsplit(back).query}"
    assert other.get(path).status_code == 401
    assert user_of(other) is None
    assert client.get(path).status_code == 302
    client.logout()
    assert client.get(path).status_code == 401
    assert user_of(client) is None


def test_the_session_key_is_a_new_one_after_sign_in(people: People, provider: OidcProvider) -> None:
    client = Client()
    url = leave(client)
    before = client.session.session_key
    come_back(client, url)
    assert before
    assert client.session.session_key != before


def test_the_second_factor_of_a_person_is_asked_for_here_too(people: People, provider: OidcProvider) -> None:
    TOTP.activate(people.rita.user, generate_totp_secret())
    client = Client()
    assert sign_in_by(client)["Location"].startswith("/accounts/2fa/authenticate/")
    assert user_of(client) is None


def test_a_get_starts_nothing_and_a_foreign_target_is_not_followed(people: People, provider: OidcProvider) -> None:
    assert Client().get(LOGIN).status_code == 405
    client = Client()
    response = sign_in_by(client, next="https://evil.example/")
    assert response["Location"] == "/"


def test_no_request_parameter_bends_the_flow(people: People, provider: OidcProvider) -> None:
    client = Client()
    client.force_login(people.otto.user)
    url = leave(client, f"{LOGIN}?process=connect&scope=admin&auth_params=prompt%3Dnone")
    asked = {key: values[0] for key, values in parse_qs(urlsplit(url).query).items()}
    assert set(asked["scope"].split()) == {"openid", "profile", "email"}
    assert "prompt" not in asked
    come_back(client, url)
    assert SocialAccount.objects.get().user_id == people.rita.user_id, "Otto's account is tied to nothing"


def test_a_row_in_the_database_adds_no_provider(people: People, provider: OidcProvider) -> None:
    SocialApp.objects.create(
        provider="openid_connect",
        provider_id="evil",
        name="Evil",
        client_id="x",
        settings={"server_url": provider.issuer, "issuer": provider.issuer},
    )
    assert Client().post("/accounts/oidc/evil/login/").status_code == 404
    assert Client().get("/accounts/oidc/evil/login/callback/").status_code == 404


def test_without_an_issuer_there_is_no_button_and_no_door(people: People) -> None:
    assert b"Continue with" not in Client().get("/accounts/login/").content
    assert Client().post(LOGIN).status_code == 404


def test_who_cancels_there_is_told_here(people: People, provider: OidcProvider) -> None:
    provider.refuses = True
    client = Client()
    response = sign_in_by(client)
    assert response["Location"] == "/accounts/oidc/cancelled/"
    assert b"You cancelled" in client.get(response["Location"]).content


@pytest.fixture
def only_provider(people: People, provider: OidcProvider) -> Client:
    """Rita, who has no password, signed in through the provider a while ago."""
    user = User.objects.get(pk=people.rita.user_id)
    user.set_unusable_password()
    user.save(update_fields=["password"])
    client = Client()
    sign_in_by(client)
    session = client.session
    hour_ago = (timezone.now() - timedelta(hours=1)).timestamp()
    session["account_authentication_methods"] = [
        record | {"at": hour_ago} for record in session["account_authentication_methods"]
    ]
    session.save()
    return client


def test_without_a_password_the_provider_is_asked_again_before_a_factor_changes(
    only_provider: Client, provider: OidcProvider
) -> None:
    for path in ("/accounts/2fa/totp/activate/", "/accounts/2fa/webauthn/add/", "/accounts/password/set/"):
        response = only_provider.get(path)
        assert response["Location"].startswith("/accounts/oidc/again/?next=")
    assert b"Confirm with Demo SSO" in only_provider.get(response["Location"]).content
    url = leave(only_provider, "/accounts/oidc/again/", next="/accounts/2fa/totp/activate/")
    assert provider.requests == provider.requests[:1], "nothing is asked before the browser goes there"
    asked = parse_qs(urlsplit(url).query)
    assert (asked["max_age"], asked["prompt"]) == (["0"], ["login"])
    response = come_back(only_provider, url)
    assert response["Location"] == "/accounts/2fa/totp/activate/"
    assert only_provider.get("/accounts/2fa/totp/activate/").status_code == 200


def test_a_provider_that_does_not_ask_again_proves_nothing(only_provider: Client, provider: OidcProvider) -> None:
    provider.remembers = True
    response = come_back(only_provider, leave(only_provider, "/accounts/oidc/again/"))
    assert response.status_code == 403
    assert b"did not ask you again" in response.content
    assert only_provider.get("/accounts/2fa/totp/activate/").status_code == 302


def test_somebody_else_at_the_provider_does_not_prove_who_one_is(
    people: People, only_provider: Client, provider: OidcProvider
) -> None:
    provider.person = {"sub": "adam-at-idp", "email": "adam@demo.example", "email_verified": True}
    response = come_back(only_provider, leave(only_provider, "/accounts/oidc/again/"))
    assert response.status_code == 403
    assert user_of(only_provider) == str(people.rita.user_id)
    assert only_provider.get("/accounts/2fa/totp/activate/").status_code == 302


def test_a_person_of_another_tenant_arrives_in_their_own(people: People, provider: OidcProvider) -> None:
    provider.person = {"sub": "nia", "email": "nia@elsewhere.example", "email_verified": True}
    client = Client()
    sign_in_by(client)
    assert "Elsewhere" in client.get("/accounts/2fa/").content.decode()
    assert Member.objects.count() == 0, "no tenant's rows leak out of the scope"


@pytest.mark.parametrize(
    ("name", "value"),
    [
        ("GUARDSITE_OIDC_ISSUER", "http://idp.example.com"),
        ("GUARDSITE_OIDC_ISSUER", "https://"),
        ("GUARDSITE_OIDC_ISSUER", "https://idp.example.com/?x=1"),
        ("GUARDSITE_OIDC_CLIENT_ID", ""),
        ("GUARDSITE_OIDC_CLIENT_SECRET", ""),
    ],
)
def test_a_wrong_setting_stops_the_start_by_name(monkeypatch: pytest.MonkeyPatch, name: str, value: str) -> None:
    monkeypatch.setenv("GUARDSITE_OIDC_ISSUER", "https://idp.example.com/realms/demo")
    monkeypatch.setenv("GUARDSITE_OIDC_CLIENT_ID", "id")
    monkeypatch.setenv("GUARDSITE_OIDC_CLIENT_SECRET", "secret")
    app = sign_in.oidc_settings()["openid_connect"]["APPS"][0]
    assert app["settings"]["server_url"] == "https://idp.example.com/realms/demo"
    monkeypatch.setenv(name, value)
    with pytest.raises(env.BadEnvironment, match=name):
        sign_in.oidc_settings()
