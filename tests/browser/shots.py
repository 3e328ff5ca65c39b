"""Pictures of every page and state of the desk, for looking: `python -m tests.browser.shots OUT_DIR [--only NAME]`.

Starts `manage.py up` with its demo on a state directory of its own (or takes a desk that runs: `--url`, `--password`),
walks one table of pages as the person who may see them, and takes each at 1280 and 390 pixels, light and dark. A page
that scrolls sideways, complains in the console or cannot be brought into its state is named at the end. No test: it
proves nothing, it shows.
"""

from __future__ import annotations

import argparse
import http.client
import json
import os
import re
import shutil
import signal
import socket
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from urllib.parse import urlsplit

from playwright.sync_api import Browser, BrowserContext, Error, Page, sync_playwright

# Nothing of the site is imported: its settings belong to the process that serves it.
CHROMIUM = os.environ.get("GUARDSITE_CHROMIUM") or shutil.which("chromium") or "/usr/bin/chromium"
ROOT = Path(__file__).resolve().parents[2]
SPECIMENS = (
    *("tier-1", "tier-2", "tier-3", "tier-4", "due-soon", "overdue", "hostile", "no-parameters", "claimed"),
    *("claimed-by-another", "taken-over", "asked", "answered", "agent-gone", "repeated", "approved-once"),
    *("cannot-decide", "on-hold", "approved", "amended", "denied", "denied-tier-3", "expired", "withdrawn"),
)
WIDTHS = (1280, 390)
THEMES = ("light", "dark")
NARROWEST = 320
START_SECONDS = 180
# Pages longer than this are cut: what matters is at the top, and a picture of 20 screens shows nothing.
TALLEST = 16_000

Step = Callable[[Page], object]


@dataclass(frozen=True)
class Shot:
    """One picture: where to go, as whom, and what to do there first. `path` may be found on another page."""

    name: str
    path: str | Callable[[Page], str]
    who: str = "lena"
    steps: tuple[Step, ...] = ()
    status: int = 200
    may_refuse: bool = False  # what some rows let nobody do is answered with 403, which is a page to look at as well


class NoSuchRow(Exception):
    """The page that was to be shown is behind a row that does not exist."""


# Steps -----------------------------------------------------------------------------------------------------------


def open_summary(text: str) -> Step:
    """Open the fold, panel or menu of that name."""
    return lambda page: page.locator("summary:visible", has_text=text).first.click()


def press(name: str) -> Step:
    """Press the first button of that name."""

    def do(page: Page) -> None:
        page.get_by_role("button", name=re.compile(name)).first.click()
        page.wait_for_load_state("networkidle")

    return do


def pick(count: int) -> Step:
    """Tick the first rows of the queue."""

    def do(page: Page) -> None:
        for number in range(count):
            page.locator("[data-pick]").nth(number).check()

    return do


def key(name: str) -> Step:
    """Type a key."""
    return lambda page: page.keyboard.press(name)


def commit_empty(text: str) -> Step:
    """Open a panel and send it with nothing in it, past the browser's own check."""

    def do(page: Page) -> None:
        open_summary(text)(page)
        page.evaluate("document.querySelectorAll('[required]').forEach(field => field.required = false)")
        page.locator(".panel[open] [data-commit]").first.click()
        page.wait_for_selector("[role=alert]")

    return do


def decide(panel: str, code: str) -> Step:
    """A verdict through its panel."""

    def do(page: Page) -> None:
        open_summary(panel)(page)
        page.get_by_label(code).first.check()
        page.locator(".panel[open] [data-commit]").first.click()
        page.wait_for_selector(".stamp")

    return do


def nth_link(listing: str, selector: str, number: int = 0) -> Callable[[Page], str]:
    """The address behind the `number`-th link that `selector` finds on the page `listing`."""

    def find(page: Page) -> str:
        page.goto(listing)
        links = page.locator(selector)
        if links.count() <= number:
            raise NoSuchRow
        return str(links.nth(number).get_attribute("href"))

    return find


def card(number: int = 0, *, query: str = "") -> Callable[[Page], str]:
    """The `number`-th row of the queue under a filter."""
    return nth_link(f"/reviews/{query}", "a.row-link", number)


def last_card(page: Page) -> str:
    """The card that the shot before left this person on."""
    return nth_link("/reviews/?view=mine", "a.row-link")(page)


def beside(change: Callable[[Page], str], name: str) -> Callable[[Page], str]:
    """The page of that name beside a row's change page."""
    return lambda page: change(page).replace("change/", f"{name}/")


def admin_pages() -> Iterator[Shot]:
    """Django admin: each model's list, add page, first row, its history and delete page, where they exist."""
    models = (
        *("policy/rule", "policy/action", "policy/revision", "policy/policystate", "policy/namedlist"),
        *("policy/calendar", "policy/counter", "policy/packadoption", "policy/judgesetting"),
        *("tenants/member", "tenants/agent", "tenants/apikey", "tenants/team", "reviews/cardtemplate"),
        *("policy/tooldefinition", "reviews/noticetarget"),
    )
    yield Shot("admin", "/admin/", "adam")
    yield Shot("admin-desksettings", "/admin/reviews/desksettings/", "adam")
    for model in models:
        name = f"admin-{model.partition('/')[2]}"
        first = nth_link(f"/admin/{model}/", "#result_list tbody th a")
        yield Shot(name, f"/admin/{model}/", "adam")
        yield Shot(f"{name}-add", f"/admin/{model}/add/", "adam", may_refuse=True)
        yield Shot(f"{name}-change", first, "adam")
        yield Shot(f"{name}-history", beside(first, "history"), "adam")
        yield Shot(f"{name}-delete", beside(first, "delete"), "adam", may_refuse=True)
    a_key = nth_link("/admin/tenants/apikey/", "#result_list tbody th a")
    yield Shot("admin-apikey-revoke", beside(a_key, "revoke"), "adam")


def style_pages() -> Iterator[Shot]:
    """Every specimen of the style page: cards in each state, each panel, each error page."""
    for name in SPECIMENS:
        yield Shot(f"style-card-{name}", f"/style/cards/{name}/", "adam")
    for panel in ("approve", "deny", "amend", "ask"):
        yield Shot(f"style-panel-{panel}", f"/style/cards/tier-3/?panel={panel}", "adam")
    yield Shot("style-refused", "/style/cards/tier-2/?refused=1", "adam")
    for name in ("401", "403", "403_csrf", "404", "409", "410", "429", "500", "503"):
        yield Shot(f"style-error-{name}", f"/style/errors/{name}/", "adam")


SHOTS: tuple[Shot, ...] = (
    Shot("sign-in", "/accounts/login/", ""),
    Shot("sign-in-error", "/accounts/login/", "", (
        lambda page: page.get_by_label("Email").fill("nobody@demo.example"),
        lambda page: page.get_by_label("Password").fill("wrong"),
        press("Sign in"),
    )),
    Shot("reset", "/accounts/password/reset/", ""),
    Shot("signed-out", "/accounts/logout/", "devi", steps=(press("^Sign out$"),)),
    Shot("queue", "/reviews/"),
    Shot("queue-help", "/reviews/", steps=(key("?"),)),
    Shot("queue-filters", "/reviews/", steps=(open_summary("Search and filter"),)),
    Shot("queue-empty-filter", "/reviews/?tier=1&view=overdue"),
    Shot("queue-mine-empty", "/reviews/?view=mine", "rita"),
    Shot("queue-auditor", "/reviews/", "otto"),
    Shot("account-menu", "/reviews/", steps=(lambda page: page.locator(".menu > summary").first.click(),)),
    Shot("card-tier1", card(query="?tier=1"), "rita"),
    Shot("card-tier2", card(query="?tier=2"), "rita"),
    Shot("card-tier3", card(query="?tier=3"), "rita"),
    Shot("card-tier4", card(query="?tier=4"), "rita"),
    Shot("card-approve", card(query="?tier=2"), "rita", (open_summary("Approve"),)),
    Shot("card-deny", card(query="?tier=2"), "rita", (open_summary("Deny"),)),
    Shot("card-tier3-approve", card(query="?tier=3"), "rita", (open_summary("Approve"),)),
    Shot("card-error", card(query="?tier=2"), "rita", (commit_empty("Deny"),)),
    Shot("card-raw", card(), "rita", (open_summary("Raw call"),)),
    Shot("card-auditor", card(), "otto"),
    Shot("card-claimed", card(query="?tier=2"), "rita", (press("^Claim"),)),
    Shot("card-claimed-by-other", card(query="?tier=2"), "lena"),
    Shot("card-take-over", card(query="?tier=2"), "lena", (lambda page: page.get_by_role("link", name="Take over").click(),)),
    Shot("queue-mine", "/reviews/?view=mine", "rita"),
    Shot("card-on-hold", last_card, "rita", (decide("Approve", "Looks right"),)),
    Shot("queue-decided", "/reviews/?view=decided"),
    Shot("card-decided", card(query="?view=decided")),
    Shot("card-decided-other", card(3, query="?view=decided")),
    Shot("card-denied", card(1), "lena", (decide("Deny", "Suspicious"),)),
    Shot("audit", "/audit/", "otto"),
    Shot("audit-entry", nth_link("/audit/", "main a[href*='/audit/entries/']"), "otto"),
    Shot("audit-checkpoints", "/audit/checkpoints/", "otto"),
    Shot("audit-verify", "/audit/verify/", "otto"),
    Shot("audit-exports", "/audit/exports/", "otto"),
    Shot("readiness", "/policy/readiness/", "adam"),
    Shot("label", "/policy/readiness/label/", "adam"),
    Shot("flip", "/policy/flip/", "adam"),
    Shot("flip-enforce", "/policy/flip/", "adam", (lambda page: page.get_by_role("radio", name="Enforce").check(),)),
    Shot("backtests", "/policy/backtests/", "adam"),
    Shot("shadow", "/policy/shadow/", "adam"),
    Shot("freezes", "/policy/freezes/", "adam"),
    Shot("freezes-agent", "/policy/freezes/", "adam", (lambda page: page.get_by_role("radio", name="One agent").check(),)),
    Shot("agents", "/agents/"),
    Shot("agent-pause", nth_link("/agents/", "main a[href*='/pause/']")),
    Shot("notices", "/notices/"),
    Shot("card-more", card(), "rita", (open_summary("More"),)),
    Shot("card-more-hand-on", card(), "rita", (open_summary("More"), open_summary("Hand on"))),
    Shot("card-amend", card(query="?tier=3"), "rita", (open_summary("Approve with changes"),)),
    Shot("password-change", "/accounts/password/change/"),
    Shot("sessions", "/accounts/sessions/"),
    Shot("second-factor", "/accounts/2fa/"),
    Shot("second-factor-totp", "/accounts/2fa/totp/activate/"),
    Shot("error-404", "/reviews/rv_doesnotexist/", status=404),
    Shot("error-403", "/admin/", "rita", status=403),
    Shot("style", "/style/", "adam"),
    Shot("queue-picked", "/reviews/", steps=(pick(2),)),
    Shot("bulk-deny", "/reviews/?tier=1", steps=(pick(3), press("Bulk deny"))),
    Shot("bulk-approve", "/reviews/?tier=1", steps=(pick(2), press("Bulk approve"))),
    Shot("card-changes", card(query="?tier=3"), "rita", (open_summary("Approve with changes"), press("Lower to"))),
    Shot("card-no-template", card(query="?q=crm.export"), "rita", (open_summary("Deny"),)),
    Shot("receipt-print", lambda page: f"{card(query='?view=decided')(page)}receipt/"),
    Shot("card-flag", card(query="?view=decided"), "lena", (lambda page: page.get_by_role("link", name="Flag as mistake").first.click(),)),
    *style_pages(),
    *admin_pages(),
)  # fmt: skip


# Taking them -----------------------------------------------------------------------------------------------------


class Camera:
    """Signs people in once each and takes every shot at each width and theme; keeps what went wrong."""

    def __init__(self, browser: Browser, *, url: str, password: str, folder: Path) -> None:
        self.browser, self.url, self.password, self.folder = browser, url, password, folder
        self.contexts: dict[str, BrowserContext] = {}
        self.complaints: list[str] = []

    def take(self, shot: Shot) -> None:
        """The pictures of one shot."""
        page = self._context(shot.who).new_page()
        page.on("console", lambda message: self._heard(shot, message.type, message.text))
        try:
            answer = page.goto(shot.path if isinstance(shot.path, str) else shot.path(page))
            if answer is not None and answer.status not in (shot.status, 403 if shot.may_refuse else shot.status):
                self.complaints.append(f"{shot.name}: answered {answer.status}")
            for step in shot.steps:
                step(page)
        except NoSuchRow:
            pass  # the demo has none of these
        except (Error, AssertionError) as error:
            self.complaints.append(f"{shot.name}: not reached: {str(error).splitlines()[0]}")
        else:
            self._pictures(page, shot.name)
        finally:
            page.close()

    def _pictures(self, page: Page, name: str) -> None:
        for width in WIDTHS:
            page.set_viewport_size({"width": width, "height": 900})
            for theme in THEMES:
                page.emulate_media(color_scheme=theme, reduced_motion="reduce")  # type: ignore[arg-type]  # one of the two
                tall = page.evaluate("document.documentElement.scrollHeight") > TALLEST
                options = {"clip": {"x": 0, "y": 0, "width": width, "height": TALLEST}} if tall else {}
                path = self.folder / f"{name}.{width}.{theme}.png"
                # What follows the window stands in the middle of a picture of the whole page: there the window is shown.
                is_whole = page.locator(".panel[open]").count() == 0
                page.screenshot(path=path, full_page=is_whole, **(options if is_whole else {}))  # type: ignore[arg-type]  # one of two options
        for width in (*WIDTHS, NARROWEST):
            page.set_viewport_size({"width": width, "height": 900})
            wide = page.evaluate("document.documentElement.scrollWidth")
            if wide > width:
                self.complaints.append(f"{name}: {wide} px wide at {width}")

    def _heard(self, shot: Shot, kind: str, text: str) -> None:
        if kind in ("error", "warning") and "status of" not in text:
            self.complaints.append(f"{shot.name}: {text}")

    def _context(self, who: str) -> BrowserContext:
        if who not in self.contexts:
            context = self.browser.new_context(base_url=self.url, viewport={"width": WIDTHS[0], "height": 900})
            context.set_default_timeout(15_000)
            self.contexts[who] = context
            if who:
                page = context.new_page()
                page.goto("/accounts/login/")
                page.get_by_label("Email").fill(f"{who}@demo.example")
                page.get_by_label("Password").fill(self.password)
                page.get_by_role("button", name="Sign in", exact=True).click()
                page.wait_for_url(re.compile(r"/(reviews|accounts/(?!login))"))
                page.close()
        return self.contexts[who]


@contextmanager
def demo_desk() -> Iterator[tuple[str, str]]:
    """Address and password of a desk started for the pictures, with its demo; stopped and thrown away at the end."""
    with tempfile.TemporaryDirectory(prefix="guardsite-shots-") as state:
        with socket.socket() as probe:
            probe.bind(("127.0.0.1", 0))
            port = probe.getsockname()[1]
        os.chmod(state, 0o711)  # PostgreSQL runs as `nobody` under root and walks through
        process = subprocess.Popen(
            [sys.executable, str(ROOT / "manage.py"), "up", "--port", str(port)],
            env=os.environ | {"GUARDSITE_STATE": state, "GUARDSITE_STYLE_PAGE": "1"},
            stdout=subprocess.DEVNULL,
        )
        try:
            url = f"http://localhost:{port}"
            deadline = time.monotonic() + START_SECONDS
            while not answers(url):
                if process.poll() is not None or time.monotonic() > deadline:
                    raise SystemExit("the desk did not start; see above")
                time.sleep(0.2)
            yield url, json.loads((Path(state) / "demo.json").read_text(encoding="utf-8"))["password"]
        finally:
            process.send_signal(signal.SIGTERM)
            process.wait(timeout=60)


def answers(url: str) -> bool:
    """Whether the desk is ready."""
    connection = http.client.HTTPConnection(str(urlsplit(url).netloc), timeout=5)
    try:
        connection.request("GET", "/readyz")
        return connection.getresponse().status == 200
    except (OSError, http.client.HTTPException):
        return False
    finally:
        connection.close()


def main() -> int:
    """Take them; 1 if any shot could not be taken as meant."""
    parser = argparse.ArgumentParser(prog="python -m tests.browser.shots", description=__doc__.splitlines()[0])
    parser.add_argument("folder", type=Path)
    parser.add_argument("--only", action="append", help="names that start with this; may be given again")
    parser.add_argument("--url", help="a desk with the demo that runs already")
    parser.add_argument("--password", default="", help="the demo's password there")
    options = parser.parse_args()
    options.folder.mkdir(parents=True, exist_ok=True)
    shots = [shot for shot in SHOTS if shot.name.startswith(tuple(options.only or ("",)))]
    with sync_playwright() as playwright:
        browser = playwright.chromium.launch(
            executable_path=CHROMIUM,
            args=["--no-sandbox", "--disable-dev-shm-usage", "--disable-background-networking",
                  "--disable-component-update", "--disable-sync", "--disable-gpu"],
        )  # fmt: skip
        if options.url:
            complaints = take_all(browser, shots, options.folder, url=options.url, password=options.password)
        else:
            with demo_desk() as (url, password):
                complaints = take_all(browser, shots, options.folder, url=url, password=password)
        browser.close()
    print("\n".join(complaints) or "nothing to complain about", f"\n{len(shots)} shots in {options.folder}")  # noqa: T201
    return 1 if complaints else 0


def take_all(browser: Browser, shots: list[Shot], folder: Path, *, url: str, password: str) -> list[str]:
    """Every shot in order; what was wrong with them."""
    camera = Camera(browser, url=url, password=password, folder=folder)
    for shot in shots:
        camera.take(shot)
    return camera.complaints


if __name__ == "__main__":
    sys.exit(main())
