"""Sign-in in Chromium: a passkey made, used to sign in and to prove it again; app and codes; every account page looked over."""

from __future__ import annotations

import re
import time
from collections.abc import Iterator

import pytest
from playwright.sync_api import CDPSession, Page, expect

from tests.browser.conftest import OpenPage, Watch, sign_in
from tests.browser.looks import assert_sound
from tests.people import PASSWORD, People
from tests.processes import Desk
from tests.stubs.oidc_provider import CLIENT_ID, CLIENT_SECRET, OidcProvider
from tests.tenants.test_sign_in import code_for


def give_authenticator(page: Page, *, is_verified: bool = True) -> CDPSession:
    """A passkey store in the browser's device; `is_verified` is whether finger or PIN are right."""
    session = page.context.new_cdp_session(page)
    session.send("WebAuthn.enable")
    options = {
        "protocol": "ctap2",
        "transport": "internal",
        "hasResidentKey": True,
        "hasUserVerification": True,
        "isUserVerified": is_verified,
        "automaticPresenceSimulation": True,
    }
    session.send("WebAuthn.addVirtualAuthenticator", {"options": options})
    return session


def prove_by_password(page: Page) -> None:
    """Answer the page that asks who one is."""
    expect(page.get_by_role("heading", name=re.compile("^Confirm your password to "))).to_be_visible()
    page.get_by_label("Password").fill(PASSWORD)
    page.get_by_role("button", name="Confirm").click()


def add_passkey(page: Page, name: str) -> None:
    """From the overview to a passkey on this device; stops at the recovery codes if they are new."""
    page.goto("/accounts/2fa/")
    page.get_by_role("link", name="Add a passkey").click()
    if page.get_by_label("Password").is_visible():
        prove_by_password(page)
    page.get_by_label("Name").fill(name)
    page.get_by_role("button", name="Make the passkey").click()
    page.wait_for_url(re.compile(r"/accounts/2fa/(recovery-codes/)?$"))


def sign_out(page: Page) -> None:
    """By the menu."""
    page.goto("/accounts/logout/")
    page.locator("main").get_by_role("button", name="Sign out").click()
    page.wait_for_url("**/accounts/login/**")


def test_a_passkey_is_made_signs_in_by_itself_and_proves_it_again(desk_people: People, open_page: OpenPage) -> None:
    page = open_page()
    give_authenticator(page)
    sign_in(page, "rita")
    add_passkey(page, "work laptop")
    expect(page.locator(".account__codes li")).to_have_count(10)
    page.goto("/accounts/2fa/")
    expect(page.locator(".account__list")).to_contain_text("work laptop")
    sign_out(page)
    page.get_by_role("button", name="Use a passkey").click()
    page.wait_for_url("**/reviews/")
    # The same person is asked again: by passkey first, with no password on the page.
    page.goto("/accounts/2fa/recovery-codes/generate/")
    page.wait_for_url("**/accounts/2fa/webauthn/reauthenticate/**")
    expect(page.get_by_label("Password")).to_have_count(0)
    ways = page.locator("main .plain-list a")
    expect(ways).to_have_text(["Use a code", "Use your password"], use_inner_text=True)
    page.get_by_role("button", name="Confirm with a passkey").click()
    page.wait_for_url("**/recovery-codes/generate/")
    page.goto("/accounts/2fa/")
    page.get_by_role("link", name="Remove work laptop").click()
    expect(page.get_by_text("This is your last second factor")).to_be_visible()
    page.get_by_role("button", name="Remove the passkey").click()
    expect(page.get_by_text("Nothing but your password protects this account")).to_be_visible()


def test_with_a_passkey_a_password_needs_it_as_the_second_step(desk_people: People, open_page: OpenPage) -> None:
    page = open_page()
    give_authenticator(page)
    sign_in(page, "rita")
    add_passkey(page, "phone")
    sign_out(page)
    page.get_by_label("Email").fill("rita@demo.example")
    page.get_by_label("Password").fill(PASSWORD)
    page.get_by_role("button", name="Sign in").click()
    page.get_by_role("button", name="Use a passkey").click()
    page.wait_for_url("**/reviews/")


def test_a_device_that_does_not_know_its_owner_is_not_enough(desk_people: People, open_page: OpenPage) -> None:
    page = open_page()
    session = give_authenticator(page, is_verified=False)
    sign_in(page, "rita")
    page.goto("/accounts/2fa/webauthn/add/")
    prove_by_password(page)
    page.get_by_role("button", name="Make the passkey").click()
    expect(page.get_by_role("alert")).to_contain_text("No passkey was used")
    expect(page.get_by_role("button", name="Make the passkey")).to_be_enabled()
    session.send("WebAuthn.disable")


@pytest.fixture
def provider(desk: Desk) -> Iterator[OidcProvider]:
    """An identity provider that knows Rita; the web process that starts next is set up for it."""
    stub = OidcProvider(person={"sub": "rita", "email": "rita@demo.example", "email_verified": True})
    desk.environment |= {
        "GUARDSITE_OIDC_ISSUER": stub.issuer,
        "GUARDSITE_OIDC_CLIENT_ID": CLIENT_ID,
        "GUARDSITE_OIDC_CLIENT_SECRET": CLIENT_SECRET,
        "GUARDSITE_OIDC_NAME": "Demo SSO",
    }
    yield stub
    stub.stop()


def test_the_identity_provider_is_reached_under_the_content_security_policy(
    desk_people: People, provider: OidcProvider, open_page: OpenPage
) -> None:
    page = open_page()
    page.goto("/accounts/login/")
    page.get_by_role("button", name="Continue with Demo SSO").click()
    page.wait_for_url("**/reviews/")
    page.goto("/accounts/2fa/")
    expect(page.get_by_role("heading", name="Demo SSO")).to_be_visible()


def test_an_unknown_passkey_is_told_on_the_sign_in_page(desk_people: People, open_page: OpenPage) -> None:
    page = open_page()
    give_authenticator(page)
    page.goto("/accounts/login/")
    page.get_by_role("button", name="Use a passkey").click()
    expect(page.locator("[data-passkey-error]")).to_contain_text("No passkey was used")


def test_an_app_and_a_recovery_code_sign_in(desk_people: People, open_page: OpenPage) -> None:
    page = open_page(java_script_enabled=False)
    sign_in(page, "rita")
    page.goto("/accounts/2fa/totp/activate/")
    prove_by_password(page)
    page.locator("summary", has_text="Type the key instead").click()
    secret = page.locator("details .mono").inner_text()
    _wait_for_a_whole_half_minute()
    page.get_by_label("Authenticator code").fill(code_for(secret))
    page.get_by_role("button", name="Turn the app on").click()
    codes = page.locator(".account__codes li").all_inner_texts()
    sign_out(page)
    for code in (None, codes[0]):
        page.get_by_label("Email").fill("rita@demo.example")
        page.get_by_label("Password").fill(PASSWORD)
        page.get_by_role("button", name="Sign in").click()
        expect(page.get_by_role("button", name="Use a passkey")).to_be_hidden()
        page.get_by_label("Code from your app").fill(code or code_for(secret))
        page.get_by_role("button", name="Sign in").click()
        page.wait_for_url("**/reviews/")
        sign_out(page)


def _wait_for_a_whole_half_minute() -> None:
    left = 30 - time.time() % 30
    if left < 5:
        time.sleep(left)


def test_account_pages_have_no_axe_violation_and_do_not_scroll_sideways(
    desk_people: People, open_page: OpenPage, watch: Watch
) -> None:
    page = open_page()
    give_authenticator(page)
    for path in ("/accounts/login/", "/accounts/password/reset/", "/accounts/signup/", "/accounts/oidc/cancelled/"):
        page.goto(path)
        assert_sound(page, path)
    sign_in(page, "rita")
    page.goto("/accounts/2fa/totp/activate/")
    assert_sound(page, "asked again")
    prove_by_password(page)
    assert_sound(page, "app")
    add_passkey(page, "a passkey with a rather long name of several words")
    assert_sound(page, "recovery codes")
    for path in (
        "/accounts/2fa/",
        "/accounts/2fa/webauthn/add/",
        "/accounts/2fa/recovery-codes/generate/",
        "/accounts/password/change/",
        "/accounts/sessions/",
        "/accounts/2fa/webauthn/reauthenticate/?next=/",
        "/accounts/logout/",
    ):
        page.goto(path)
        assert_sound(page, path)
    page.goto("/accounts/2fa/")
    for link in ("Rename", "Remove"):
        page.goto("/accounts/2fa/")
        with page.expect_navigation():
            page.get_by_role("link", name=link).click()
        assert_sound(page, link)
