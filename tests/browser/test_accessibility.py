"""Every page of the site, found by itself: Axe finds nothing, nothing scrolls sideways, no policy is violated.

Wide and narrow, light and dark, forced colours, less motion, four times zoomed, on paper.
"""

from __future__ import annotations

import os
import re
from collections.abc import Iterator

import pytest
from axe_playwright_python.base import AXE_SCRIPT
from django.test import Client
from playwright.sync_api import Browser, BrowserContext, Page, expect
from pytest_django import DjangoDbBlocker

from guardsite import testing
from guardsite.style import ERROR_PAGES, PANELS, REFUSALS
from guardsite.style_stage import SPECIMENS
from tests.browser.conftest import OpenPage, Watch, sign_in
from tests.browser.furnished import furnish
from tests.browser.looks import faults_of, show_wide_and_light
from tests.browser.walk import NOBODY, Visit, World, clients_of, find_pages, stale
from tests.conftest import clone_of
from tests.factories import held_review
from tests.people import People, make_people
from tests.processes import Desk

# Every component, and a card in each state with each of its panels; tests/guards/test_style_page.py keeps them whole.
STYLE = [
    Visit("style", "/style/", "rita"),
    *(Visit(f"card {name}", f"/style/cards/{name}/", "rita") for name in SPECIMENS),
    *(Visit(f"card, {panel}", f"/style/cards/tier-3/?panel={panel}", "rita") for panel in PANELS),
    Visit("card, refused", "/style/cards/tier-2/?refused=1", "rita"),
    *(Visit(f"error {name}", f"/style/errors/{name}/", "rita") for name in (*ERROR_PAGES, *REFUSALS)),
]
# Pages whose answer is an error on purpose.
ERRORS = {"no such page": 404, "not allowed": 403}


@pytest.fixture(scope="module")
def furnished_desk(
    django_db_setup: None,
    template_database: str,
    django_db_blocker: DjangoDbBlocker,
    tmp_path_factory: pytest.TempPathFactory,
) -> Iterator[tuple[World, dict[str, Client], str]]:
    """People and rows for every page, a session for each person, and a web process: once, for pages are only looked at."""
    os.environ["DJANGO_ALLOW_ASYNC_UNSAFE"] = "1"  # Playwright's loop runs in this thread
    try:
        with clone_of(template_database, testing.new_name("furnished"), django_db_blocker) as environment:
            desk = Desk(environment | {"GUARDSITE_STYLE_PAGE": "1"})
            try:
                world = furnish(make_people(), tmp_path_factory.mktemp("furnished"))
                yield world, clients_of(world.people), desk.start_web()
            finally:
                desk.stop()
    finally:
        del os.environ["DJANGO_ALLOW_ASYNC_UNSAFE"]


@pytest.fixture
def world(furnished_desk: tuple[World, dict[str, Client], str]) -> World:
    """The rows."""
    return furnished_desk[0]


class Walk:
    """A browser context for each of the people, signed in by their session's cookie."""

    def __init__(self, browser: Browser, watch: Watch, url: str, cookies: dict[str, str]) -> None:
        self.pages: dict[str, Page] = {}
        self.contexts: list[BrowserContext] = []
        for name, session in cookies.items():
            context = browser.new_context(base_url=url, viewport={"width": 1280, "height": 900})
            context.set_default_timeout(10_000)
            if session:
                context.add_cookies([{"name": "sessionid", "value": session, "url": url}])
            watch.follow(context)
            context.add_init_script(AXE_SCRIPT)
            self.contexts.append(context)
            self.pages[name] = context.new_page()

    def go(self, visit: Visit) -> Page:
        """The page, loaded wide and light, with its summary pressed."""
        page = self.pages[visit.who]
        show_wide_and_light(page)
        answer = page.goto(visit.path, wait_until="load")
        assert answer is not None
        assert answer.status == ERRORS.get(visit.name, 200), f"{visit.name}: {answer.status}"
        if visit.opens:
            page.locator("summary:visible", has_text=visit.opens).first.click()
        return page

    def close(self) -> None:
        """Every context."""
        for context in self.contexts:
            context.close()


@pytest.fixture
def walk(browser: Browser, watch: Watch, furnished_desk: tuple[World, dict[str, Client], str]) -> Iterator[Walk]:
    """The browser, as each of the people."""
    watch.expected_statuses = set(ERRORS.values())
    _, clients, url = furnished_desk
    walk = Walk(
        browser,
        watch,
        url,
        {name: client.cookies["sessionid"].value for name, client in clients.items() if name} | {NOBODY: ""},
    )
    yield walk
    walk.close()


def every_page(desk: tuple[World, dict[str, Client], str], blocker: DjangoDbBlocker) -> list[Visit]:
    """The pages of the URLconf; fails for a route that no list explains."""
    with blocker.unblock():
        visits, unexplained = find_pages(desk[0], desk[1])
    assert not unexplained, "\n".join(unexplained)
    assert len(visits) > 60
    return visits


@pytest.mark.long
@pytest.mark.parametrize("part", ["every page", "every component and state"])
def test_all_is_accessible_and_fits_in_both_themes(
    furnished_desk: tuple[World, dict[str, Client], str], walk: Walk, django_db_blocker: DjangoDbBlocker, part: str
) -> None:
    visits = STYLE if part != "every page" else every_page(furnished_desk, django_db_blocker)
    found: dict[str, list[str]] = {}
    for visit in visits:
        for fault in faults_of(walk.go(visit)):
            found.setdefault(fault, []).append(f"{visit.name} as {visit.who or 'nobody'}")
    assert not found, "\n\n".join(
        f"{fault}\n  on {', '.join(dict.fromkeys(places))}" for fault, places in found.items()
    )


def test_no_line_about_a_route_is_stale() -> None:
    assert not stale()


def test_forced_colours_keep_edges_and_marks(world: World, walk: Walk) -> None:
    page = walk.go(Visit("card", next(visit.path for visit in world.more if visit.name == "card, open"), "rita"))
    page.emulate_media(forced_colors="active")
    edges = page.evaluate(
        """() => [...document.querySelectorAll('.button:not(.button--quiet), .fact, .tag, .notice, input:not([type=hidden])')]
            .filter(one => one.checkVisibility())
            .filter(one => ['Top', 'Left', 'Right', 'Bottom'].every(side => parseFloat(getComputedStyle(one)[`border${side}Width`]) === 0))
            .map(one => one.className || one.name)"""
    )
    assert not edges, "told apart by a colour alone"
    stroke = page.locator(".tally__strokes i.on").first.evaluate("one => getComputedStyle(one).backgroundColor")
    ground = page.evaluate("getComputedStyle(document.body).backgroundColor")
    assert stroke != ground, "the tally vanishes"


def test_nothing_moves_for_who_asks_for_less_motion(world: World, walk: Walk) -> None:
    page = walk.go(Visit("queue", "/reviews/", "rita"))
    moving = page.evaluate(
        """() => [...document.querySelectorAll('*')].filter(one => {
            const style = getComputedStyle(one);
            return parseFloat(style.transitionDuration) > 0 || parseFloat(style.animationDuration) > 0;
        }).map(one => one.className)"""
    )
    assert not moving


def test_the_theme_of_the_cookie_holds_on_the_desk_and_in_the_admin(world: World, walk: Walk) -> None:
    page = walk.pages["adam"]
    grounds = {}
    for theme in ("dark", "light"):
        page.goto("/reviews/")
        page.locator(".menu > summary").last.click()
        page.get_by_role("button", name=theme.capitalize(), exact=True).click()
        page.emulate_media(color_scheme="light" if theme == "dark" else "dark")
        for path in ("/reviews/", "/admin/", "/admin/policy/rule/"):
            page.goto(path)
            grounds[theme, path] = page.evaluate("getComputedStyle(document.documentElement).backgroundColor")
    assert {ground for (theme, _), ground in grounds.items() if theme == "dark"} == {"rgb(18, 23, 21)"}
    assert {ground for (theme, _), ground in grounds.items() if theme == "light"} == {"rgb(245, 242, 234)"}


def test_at_four_times_zoom_the_bar_leaves_the_page_readable(world: World, walk: Walk) -> None:
    """1280 by 1024 at 400% is 320 by 256."""
    page = walk.go(next(visit for visit in world.more if visit.name == "card, open"))
    page.set_viewport_size({"width": 320, "height": 256})
    covered = page.locator(".verdict-bar").evaluate(
        "bar => getComputedStyle(bar).position === 'sticky' ? bar.getBoundingClientRect().height / innerHeight : 0"
    )
    assert covered <= 0.5


def test_a_decided_card_prints_on_one_page(world: World, walk: Walk) -> None:
    page = walk.go(next(visit for visit in world.more if visit.name == "card, denied"))
    page.emulate_media(color_scheme="dark")
    pdf = page.pdf(format="A4")
    assert len(re.findall(rb"/Type\s*/Page\b", pdf)) == 1
    page.emulate_media(media="print", color_scheme="dark")
    assert page.evaluate("getComputedStyle(document.documentElement).backgroundColor") == "rgb(255, 255, 255)"
    for gone in (".site-header", ".site-footer"):
        expect(page.locator(gone)).to_be_hidden()


def test_targets_are_large_enough_to_hit(desk_people: People, open_page: OpenPage) -> None:
    review = held_review(desk_people)
    page = open_page(viewport={"width": 390, "height": 800})
    sign_in(page, "rita")
    page.goto(f"/reviews/{review.wire_id}/")
    for name in ("Approve", "Deny"):
        box = page.locator(".verdict-bar summary", has_text=name).bounding_box()
        assert box is not None
        assert box["height"] >= 44
        assert box["width"] >= 44
