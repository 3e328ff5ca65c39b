"""Axe finds nothing on the main pages, wide and narrow, light and dark; nothing scrolls sideways at 320 px."""

from __future__ import annotations

import pytest
from axe_playwright_python.sync_playwright import Axe
from playwright.sync_api import Page, expect

from tests.browser.conftest import OpenPage, sign_in
from tests.factories import decide, held_review
from tests.people import People


def check(page: Page, name: str) -> None:
    """Axe on the page as it stands."""
    results = Axe().run(page)
    assert results.violations_count == 0, f"{name}: {results.generate_report()}"


@pytest.mark.parametrize("scheme", ["light", "dark"])
@pytest.mark.parametrize("width", [1280, 390])
def test_axe_finds_no_violation(desk_people: People, open_page: OpenPage, width: int, scheme: str) -> None:
    decided, waiting = held_review(desk_people), held_review(desk_people)
    decide(desk_people, decided)
    page = open_page(viewport={"width": width, "height": 900}, color_scheme=scheme, reduced_motion="reduce")
    page.goto("/accounts/login/")
    check(page, "sign-in")
    sign_in(page, "lena")
    check(page, "queue")
    page.goto(f"/reviews/{waiting.wire_id}/")
    check(page, "card")
    page.locator("summary", has_text="Deny").click()
    expect(page.get_by_label("Message to the agent")).to_be_visible()
    check(page, "card with its deny panel")
    page.goto(f"/reviews/{decided.wire_id}/")
    check(page, "decided card")
    page.goto("/reviews/?view=decided")
    check(page, "decided list")
    page.goto("/audit/")
    check(page, "chain")


def test_pages_reflow_at_320_pixels(desk_people: People, open_page: OpenPage) -> None:
    decided, waiting = held_review(desk_people), held_review(desk_people)
    decide(desk_people, decided)
    page = open_page(viewport={"width": 320, "height": 800})
    sign_in(page, "lena")
    for path in ("/reviews/", f"/reviews/{waiting.wire_id}/", f"/reviews/{decided.wire_id}/", "/accounts/2fa/"):
        page.goto(path)
        assert page.evaluate("document.documentElement.scrollWidth") <= 320, path


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
