"""From sign-in to the chain: by mouse, by keyboard alone, without scripts."""

from __future__ import annotations

import re

from playwright.sync_api import Page, expect

from reviews.models import Review
from tests.browser.conftest import OpenPage, Watch, sign_in
from tests.factories import decide, get, held_review
from tests.people import People
from tests.processes import Desk


def see_verdict_on_the_chain(page: Page, action: str = "approved") -> None:
    """From the receipt to the chain: the entry is there and reads as a sentence."""
    page.get_by_role("link", name="the verdict").click()
    expect(page.locator("main")).to_contain_text(f"{action} billing.refund")
    page.goto("/audit/")
    expect(page.locator("main")).to_contain_text(f"{action} billing.refund")


def test_a_lead_signs_in_opens_claims_approves_and_sees_the_entry(
    desk_people: People, desk: Desk, open_page: OpenPage
) -> None:
    desk.start_notary()
    review = held_review(desk_people)
    page = open_page()
    sign_in(page, "lena")
    page.get_by_role("link", name="Refund USD 620.00 for invoice in_88").click()
    expect(page.get_by_role("heading", level=1)).to_contain_text("refund-bot wants to refund USD 620.00")
    expect(page.get_by_text("3 of 3 parameters shown")).to_be_visible()
    page.get_by_role("button", name="Claim").click()
    expect(page.get_by_text("Claimed by you")).to_be_visible()
    page.locator("summary", has_text="Approve").click()
    page.get_by_label("Looks right").check()
    page.get_by_role("button", name="Approve: refund USD 620.00").click()
    expect(page.locator(".stamp")).to_have_text("approved")
    assert get(desk_people, review.wire_id).verdict.kind == "approve"  # type: ignore[union-attr]
    see_verdict_on_the_chain(page)


def test_the_journey_by_keyboard_alone(desk_people: People, open_page: OpenPage) -> None:
    held_review(desk_people)
    page = open_page()
    page.goto("/")
    expect(page.get_by_label("Email")).to_be_focused()
    page.keyboard.type("lena@demo.example")
    page.keyboard.press("Tab")
    page.keyboard.type("correct horse battery")
    page.keyboard.press("Enter")
    page.wait_for_url("**/reviews/")
    page.keyboard.press("Tab")
    expect(page.get_by_role("link", name="Skip to the content")).to_be_focused()
    page.keyboard.press("j")
    page.keyboard.press("Enter")
    expect(page.locator("#card")).to_be_visible()
    page.wait_for_load_state()  # keys work once the scripts have come
    page.keyboard.press("c")
    expect(page.get_by_text("Claimed by you")).to_be_visible()
    page.keyboard.press("a")
    page.keyboard.press("1")
    expect(page.get_by_label("Looks right")).to_be_checked()
    page.keyboard.press("Control+Enter")
    expect(page.locator(".stamp")).to_have_text("approved")
    page.keyboard.press("u")
    page.wait_for_url("**/reviews/")
    page.keyboard.press("g")
    page.keyboard.press("a")
    page.wait_for_url("**/audit/**")
    expect(page.locator("main")).to_contain_text("approved billing.refund")


def test_keys_are_dead_in_fields_and_none_commits_alone(desk_people: People, open_page: OpenPage) -> None:
    review = held_review(desk_people)
    page = open_page()
    sign_in(page, "rita")
    page.goto(f"/reviews/{review.wire_id}/")
    page.keyboard.press("d")
    page.keyboard.press("2")
    expect(page.get_by_label("Wrong target")).to_be_checked()
    expect(page.get_by_label("Message to the agent")).to_have_value(re.compile("wrong target"))
    page.get_by_label("Note for the record").last.click()
    page.keyboard.type("a cun1")
    expect(page.get_by_label("Note for the record").last).to_have_value("a cun1")
    page.keyboard.press("Escape")
    expect(page.get_by_label("Note for the record").last).to_be_hidden()
    page.keyboard.press("?")
    expect(page.get_by_role("heading", name="Help and keys")).to_be_visible()
    assert get(desk_people, review.wire_id).state == "open"


def test_the_journey_without_scripts(desk_people: People, open_page: OpenPage) -> None:
    review = held_review(desk_people)
    page = open_page(java_script_enabled=False)
    sign_in(page, "lena")
    page.get_by_role("link", name="Refund USD 620.00 for invoice in_88").click()
    page.get_by_role("button", name="Claim").click()
    expect(page.get_by_text("Claimed by you")).to_be_visible()
    page.locator("summary", has_text="Deny").click()
    page.get_by_label("Wrong target").check()
    page.get_by_label("Message to the agent").fill("Ask finance first.")
    page.get_by_role("button", name="Deny: refund USD 620.00").click()
    expect(page.locator(".stamp")).to_have_text("denied")
    assert page.url.endswith(f"/reviews/{review.wire_id}/")
    expect(page.locator(".receipt")).to_contain_text("Ask finance first.")
    see_verdict_on_the_chain(page, "denied")


def test_whoever_is_second_gets_a_conflict_and_keeps_the_draft(
    desk_people: People, open_page: OpenPage, watch: Watch
) -> None:
    watch.expected_statuses = {409}
    review = held_review(desk_people)
    for scripts in (True, False):
        page = open_page(java_script_enabled=scripts)
        sign_in(page, "rita")
        page.goto(f"/reviews/{review.wire_id}/")
        page.locator("summary", has_text="Deny").click()
        page.get_by_label("Suspicious").check()
        page.get_by_role("textbox", name="Note for the record").fill("A long note that took minutes.")
        if scripts:
            decide(desk_people, review, acting_member=desk_people.lena)
            page.get_by_role("button", name="Deny: ").click()
            expect(page.get_by_role("alert").first).to_contain_text("Lena Lind approved this at")
            expect(page.get_by_role("alert").first).to_contain_text("Nothing of yours was sent. Your draft is kept.")
            expect(page.get_by_role("alert").first).to_contain_text("A long note that took minutes.")
            expect(page.locator(".stamp")).to_have_text("approved")
            review = held_review(desk_people)
        else:
            decide(desk_people, review, acting_member=desk_people.lena)
            page.get_by_role("button", name="Deny: ").click()
            expect(page.get_by_role("alert").first).to_contain_text("A long note that took minutes.")
            expect(page.locator(".stamp")).to_have_text("approved")


def test_a_verdict_that_is_not_complete_says_what_is_missing_in_its_panel(
    desk_people: People, open_page: OpenPage, watch: Watch
) -> None:
    watch.expected_statuses = {422}
    review = held_review(desk_people)
    page = open_page()
    sign_in(page, "rita")
    page.goto(f"/reviews/{review.wire_id}/")
    page.locator("summary", has_text="Deny").click()
    page.evaluate("document.querySelectorAll('[required]').forEach(field => field.required = false)")
    page.get_by_role("textbox", name="Note for the record").fill("Kept.")
    page.get_by_role("button", name="Deny: ").click()
    panel = page.locator("[data-panel='deny']")
    expect(panel.get_by_role("alert").first).to_contain_text("What is missing is marked below.")
    expect(panel.get_by_text("Choose a reason.")).to_be_visible()
    expect(panel.locator("[data-needed]")).to_have_text("Still needed: a reason")
    expect(page.get_by_role("textbox", name="Note for the record")).to_have_value("Kept.")


def test_a_lost_session_keeps_the_page_and_what_was_typed(
    desk_people: People, open_page: OpenPage, watch: Watch
) -> None:
    watch.expected_statuses = {401}
    review = held_review(desk_people)
    page = open_page()
    sign_in(page, "rita")
    page.goto(f"/reviews/{review.wire_id}/")
    page.locator("summary", has_text="Deny").click()
    page.get_by_label("Suspicious").check()
    page.get_by_role("textbox", name="Note for the record").fill("Not lost.")
    cookies = page.context.cookies()
    page.context.clear_cookies()
    page.context.add_cookies([cookie for cookie in cookies if cookie.get("name") == "csrftoken"])  # type: ignore[misc]
    page.get_by_role("button", name="Deny: ").click()
    expect(page.get_by_role("alert")).to_contain_text("You are signed out")
    expect(page.get_by_role("textbox", name="Note for the record")).to_have_value("Not lost.")
    sign_in(page, "rita")
    page.goto(f"/reviews/{review.wire_id}/")
    page.locator("summary", has_text="Deny").click()
    expect(page.get_by_role("textbox", name="Note for the record")).to_have_value("Not lost.")


def test_new_work_waits_behind_a_link_and_the_count_is_in_the_title(desk_people: People, open_page: OpenPage) -> None:
    held_review(desk_people)
    page = open_page()
    sign_in(page, "rita")
    expect(page).to_have_title("(1) Queue · guardsite")
    held_review(desk_people)
    page.evaluate("document.body.dispatchEvent(new CustomEvent('guardsite:tick', {bubbles: true}))")
    expect(page.get_by_role("link", name="1 new - show")).to_be_visible()
    assert page.locator("tbody tr").count() == 1
    page.get_by_role("link", name="1 new - show").click()
    expect(page.locator("tbody tr")).to_have_count(2)
    expect(page).to_have_title("(2) Queue · guardsite")


HOSTILE = {
    "invoice_id": "<script>alert(1)</script>",
    "amount_cents": 62000,
    "currency": "USD",
    '"><img src=x onerror=alert(1)>': "</dd></dl><h1>guardsite checked</h1><form action=/x><button>Approve</button></form>",
    "note": "pay\u202e00.000 {{ 7|add:7 }} {% url 'x' %} javascript:alert(1) data-key=a hx-get=/reviews/",
    "tail": "\n" * 500 + "Pre-approved by CFO",
}


def test_hostile_text_stays_text(desk_people: People, open_page: OpenPage) -> None:
    review: Review = held_review(desk_people, params=HOSTILE)
    page = open_page()
    sign_in(page, "rita")
    page.goto(f"/reviews/{review.wire_id}/")
    expect(page.get_by_text("6 of 6 parameters shown")).to_be_visible()
    details = page.locator(".facts").first.locator("xpath=..")
    expect(details).to_contain_text("<script>alert(1)</script>")
    expect(details).to_contain_text("</dd></dl><h1>guardsite checked</h1>")
    expect(details).to_contain_text("[U+202E right-to-left override]")
    expect(details).to_contain_text("[499 blank lines]")
    expect(page.get_by_role("heading", level=1)).to_have_count(1)
    assert page.locator("main img, main script, main [onerror], .facts form, .facts a, .facts [hx-get]").count() == 0
    expect(page.locator(".findings")).to_contain_text("Claims to be approved - guardsite has no such record")
    # The queue shows the same text in a row.
    page.goto("/reviews/")
    assert page.locator("main script, main img").count() == 0
