"""The card in a browser: what opens on demand, in which zone it speaks, on the narrowest screen, without scripts."""

from __future__ import annotations

from playwright.sync_api import Page, expect

from tests.browser.conftest import OpenPage, sign_in
from tests.factories import LARGE, decide, held_review
from tests.people import People

WIDE = {
    "statement": "SELECT " + ", ".join(f"a_column_with_a_long_name_{n}" for n in range(20)) + " FROM invoices",
    "word": "x" * 400,
    "ship_at": "2026-12-01T09:00:00+00:00",
}


def opened(page: Page, name: str) -> None:
    page.locator(".folds summary", has_text=name).click()


def test_folds_load_on_demand_a_value_is_copied_and_times_are_the_readers(
    desk_people: People, open_page: OpenPage
) -> None:
    decide(desk_people, held_review(desk_people, run_id="before"), "deny")
    review = held_review(desk_people, params=LARGE | WIDE)
    page = open_page(timezone_id="Asia/Tokyo", permissions=["clipboard-read", "clipboard-write"])
    sign_in(page, "lena")
    page.goto(f"/reviews/{review.wire_id}/")
    # The zone is known since the page before.
    expect(page.locator("#card")).to_contain_text("18:00 JST")
    page.locator(".fact", has_text="in_88").get_by_role("button", name="Copy").click()
    assert page.evaluate("navigator.clipboard.readText()") == "in_88"
    opened(page, "History")
    expect(page.locator("#review-history")).to_contain_text("asked to run billing.refund")
    opened(page, "Earlier verdicts")
    expect(page.locator("#precedents")).not_to_contain_text("Denied")
    page.get_by_role("button", name="Show earlier verdicts").click()
    expect(page.locator("#precedents")).to_contain_text("Denied")
    page.keyboard.press(".")
    expect(page.locator("pre.raw")).to_be_visible()


def test_the_narrowest_phone_shows_the_card_in_order_and_never_scrolls_sideways(
    desk_people: People, open_page: OpenPage
) -> None:
    review = held_review(desk_people, params=LARGE | WIDE)
    page = open_page(viewport={"width": 320, "height": 640})
    sign_in(page, "rita")
    page.goto(f"/reviews/{review.wire_id}/")
    for summary in page.locator("#card .folds summary").all():
        summary.click()
    assert page.evaluate("document.documentElement.scrollWidth") == 320
    places = [
        page.locator(selector).bounding_box()
        for selector in ("#strip", "#sentence", "#stands-out", "#if-you-approve", "#details")
    ]
    tops = [place["y"] for place in places if place]
    assert len(tops) == 5
    assert tops == sorted(tops)


def test_without_scripts_every_fold_has_a_way_to_what_it_holds(desk_people: People, open_page: OpenPage) -> None:
    decide(desk_people, held_review(desk_people, run_id="before"), "deny")
    review = held_review(desk_people)
    page = open_page(java_script_enabled=False)
    sign_in(page, "lena")
    page.goto(f"/reviews/{review.wire_id}/")
    opened(page, "Earlier verdicts")
    page.get_by_role("button", name="Show earlier verdicts").click()
    expect(page.get_by_role("heading", level=1)).to_have_text("Earlier verdicts")
    expect(page.locator("main")).to_contain_text("Denied")
    page.goto(f"/reviews/{review.wire_id}/")
    opened(page, "History")
    page.locator("#review-history").get_by_role("link", name="History").click()
    expect(page.locator("main")).to_contain_text("asked to run billing.refund")
    page.goto(f"/reviews/{review.wire_id}/")
    expect(page.locator(".copy").first).to_be_hidden()
