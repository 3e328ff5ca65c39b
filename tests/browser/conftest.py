"""A real Chromium on the real processes. Any console error or policy violation fails the test that saw it."""

from __future__ import annotations

import os
import shutil
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
from django.contrib.auth.hashers import PBKDF2PasswordHasher
from playwright.sync_api import Browser, BrowserContext, ConsoleMessage, Page, expect

from audit.scope import as_tenant
from reviews import card_templates
from tenants.models import User
from tests.factories import enforce_refunds
from tests.people import PASSWORD, People
from tests.processes import Desk

CHROMIUM = os.environ.get("GUARDSITE_CHROMIUM") or shutil.which("chromium") or "/usr/bin/chromium"
# A page that waits for its tick looks again every 5 s.
expect.set_options(timeout=15_000)
REQUIRED = os.environ.get("GUARDSITE_REQUIRE_BROWSER") == "1"


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """Mark what is here; skip it, with the reason, where there is no Chromium and none is required."""
    here = Path(__file__).parent
    for item in items:
        if here in item.path.parents:
            item.add_marker(pytest.mark.browser)
            if not Path(CHROMIUM).exists() and not REQUIRED:
                item.add_marker(
                    pytest.mark.skip(reason=f"no Chromium at {CHROMIUM}; GUARDSITE_REQUIRE_BROWSER=1 requires it")
                )


@pytest.fixture(scope="session")
def browser_type_launch_args() -> dict[str, Any]:
    """How Chromium starts: the system's own, quiet, in a container."""
    return {
        "executable_path": CHROMIUM,
        "args": ["--no-sandbox", "--disable-dev-shm-usage", "--disable-background-networking", "--disable-gpu"],
    }


@pytest.fixture(autouse=True)
def _orm_beside_playwright(monkeypatch: pytest.MonkeyPatch) -> None:
    # Playwright's loop runs in this thread, so Django takes every query for one in a coroutine.
    monkeypatch.setenv("DJANGO_ALLOW_ASYNC_UNSAFE", "1")


class Watch:
    """What the pages complained about. A test names the HTTP errors that it causes on purpose."""

    def __init__(self) -> None:
        self.complaints: list[str] = []
        self.expected_statuses: set[int] = set()

    def follow(self, context: BrowserContext) -> None:
        """Listen to every page of the context."""
        context.on("console", self._console)
        context.on("weberror", lambda error: self.complaints.append(f"script error: {error.error}"))
        context.on("dialog", lambda dialog: self.complaints.append(f"a dialog opened: {dialog.message}"))

    def _console(self, message: ConsoleMessage) -> None:
        if message.type not in ("error", "warning"):
            return
        if any(f"status of {status}" in message.text for status in self.expected_statuses):
            return
        self.complaints.append(f"{message.type}: {message.text} ({message.location.get('url')})")


@pytest.fixture(autouse=True)
def watch() -> Iterator[Watch]:
    """Fails the test if a page reported a script error, a failed load or a policy violation."""
    seen = Watch()
    yield seen
    assert not seen.complaints, "\n".join(seen.complaints)


class SharedWeb:
    """One web process for all browser tests of this pytest worker, started by the first that asks.

    Each test's database takes the place of the last one under the same name; the process keeps no
    connection from one request to the next.
    """

    def __init__(self) -> None:
        self.desk: Desk | None = None

    def url(self, environment: dict[str, str]) -> str:
        """Its address. The database that `environment` names must be there."""
        if self.desk is None:
            self.desk = Desk(environment)
            self.desk.start_web(has_pool=False)
        return self.desk.url

    def stop(self) -> None:
        """Stop it, if anybody asked."""
        if self.desk is not None:
            self.desk.stop()


@pytest.fixture(scope="session")
def shared_web() -> Iterator[SharedWeb]:
    """The web process that browser tests share."""
    web = SharedWeb()
    yield web
    web.stop()


@pytest.fixture
def live_server_url(request: pytest.FixtureRequest, cloned_db: dict[str, str], shared_web: SharedWeb) -> str:
    """The address of a web process on this test's database: its own where the test has a desk of processes."""
    if "desk" in request.fixturenames:
        return str(request.getfixturevalue("desk").start_web())
    return shared_web.url(cloned_db)


OpenPage = Callable[..., Page]


@pytest.fixture
def open_page(browser: Browser, watch: Watch, live_server_url: str) -> Iterator[OpenPage]:
    """Opens a watched page in a context of its own; options are those of `Browser.new_context`."""
    contexts: list[BrowserContext] = []

    def open_it(**options: Any) -> Page:
        context = browser.new_context(base_url=live_server_url, **options)
        contexts.append(context)
        watch.follow(context)
        context.set_default_timeout(10_000)
        return context.new_page()

    yield open_it
    for context in contexts:
        context.close()


@pytest.fixture
def desk_people(committed_people: People) -> People:
    """People, published refund rules and a card template, committed."""
    people = committed_people
    enforce_refunds(people)
    with as_tenant(people.tenant.pk):
        card_templates.activate(
            people.tenant.pk,
            acting_member=people.adam,
            action_id="billing.refund",
            sentence="refund {amount} for invoice {invoice}",
            decisive="/amount_cents",
            facts=[
                {"pointer": "/amount_cents", "label": "Amount", "formatter": "money", "slot": "amount"},
                {"pointer": "/invoice_id", "label": "Invoice", "formatter": "id", "slot": "invoice"},
            ],
        )
    # The tests' own hasher is not the site's: these two sign in on a real web process.
    for member in (people.rita, people.lena):
        password = PBKDF2PasswordHasher().encode(PASSWORD, "of-tests-only", iterations=1000)
        User.objects.filter(pk=member.user_id).update(password=password)
    return people


def sign_in(page: Page, name: str) -> None:
    """Sign in as one of the people and arrive at the queue."""
    page.goto("/")
    page.get_by_label("Email").fill(f"{name}@demo.example")
    page.get_by_label("Password").fill(PASSWORD)
    page.get_by_role("button", name="Sign in").click()
    page.wait_for_url("**/reviews/")
