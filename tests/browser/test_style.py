"""The components by keyboard, on the style page; Django admin's own scripts under our look."""

from __future__ import annotations

from collections.abc import Iterator

import pytest
from django.contrib.auth.hashers import PBKDF2PasswordHasher
from playwright.sync_api import Page, expect

from tenants.models import User
from tests.browser.conftest import OpenPage, sign_in
from tests.people import PASSWORD, People
from tests.processes import Desk

# The ring of what has the focus: its own, its label's (boxes around a radio) or that of the row it stands for.
RING = """() => {
    const one = document.activeElement;
    const rings = [one, one.closest('label')].filter(Boolean).map(place => getComputedStyle(place));
    rings.push(getComputedStyle(one, '::after'));
    const widest = Math.max(...rings.map(ring => ring.outlineStyle === 'none' ? 0 : parseFloat(ring.outlineWidth)));
    return [one === document.body ? '' : one.outerHTML.slice(0, 120), widest];
}"""


@pytest.fixture
def live_server_url(desk: Desk) -> str:
    """A web process that has the style page."""
    desk.environment["GUARDSITE_STYLE_PAGE"] = "1"
    return desk.start_web()


@pytest.fixture
def adam(committed_people: People) -> People:
    """People, of whom Adam may sign in."""
    password = PBKDF2PasswordHasher().encode(PASSWORD, "of-tests-only", iterations=1000)
    User.objects.filter(pk=committed_people.adam.user_id).update(password=password)
    return committed_people


def rings(page: Page) -> Iterator[tuple[str, float]]:
    """Tab through the page: each stop and the width of its ring."""
    first = None
    for _ in range(400):
        page.keyboard.press("Tab")
        stop, width = page.evaluate(RING)
        if stop == first:
            return
        if stop:
            first = first or stop
            yield stop, width
    raise AssertionError("the page has no end")


def test_every_component_shows_where_the_focus_is_by_a_ring_of_three_pixels(adam: People, open_page: OpenPage) -> None:
    page = open_page()
    sign_in(page, "adam")
    page.goto("/style/")
    found = dict(rings(page))
    assert len(found) > 60
    assert not {stop: width for stop, width in found.items() if width < 3}
    page.goto("/admin/policy/rule/add/")
    assert not {stop: width for stop, width in rings(page) if width < 3}


def test_switches_segments_and_steppers_work_by_keyboard(adam: People, open_page: OpenPage) -> None:
    page = open_page()
    sign_in(page, "adam")
    page.goto("/style/?theme=dark")
    switch = page.get_by_role("switch", name="Keys")
    switch.focus()
    page.keyboard.press("Space")
    expect(switch).to_be_checked()
    roomy = page.get_by_role("radio", name="Roomy")
    roomy.focus()
    page.keyboard.press("ArrowRight")
    expect(page.get_by_role("radio", name="Dense")).to_be_checked()
    page.get_by_role("button", name="Open a popover").focus()
    page.keyboard.press("Enter")
    expect(page.get_by_role("heading", name="Digest")).to_be_visible()
    page.keyboard.press("Escape")
    expect(page.get_by_role("heading", name="Digest")).to_be_hidden()


def test_the_admins_own_scripts_work_under_our_look(adam: People, open_page: OpenPage) -> None:
    page = open_page()
    sign_in(page, "adam")
    page.goto("/admin/tenants/apikey/")
    expect(page.get_by_role("heading", level=1)).to_have_text("API keys")
    page.locator(".action-select").first.check()
    expect(page.locator(".action-counter")).to_have_text("1 of 1 selected")
    page.goto("/admin/tenants/apikey/add/")
    expect(page.get_by_label("Last day")).to_be_hidden()
    page.get_by_label("Expires").select_option(label="On a day")
    expect(page.get_by_label("Last day")).to_be_visible()
