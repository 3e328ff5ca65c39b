"""The queue in a real browser: by keyboard alone, without scripts, on a phone, two people at once, several at once."""

from __future__ import annotations

from playwright.sync_api import Page, expect

from audit.scope import as_tenant
from reviews.models import Review
from tests.browser.conftest import OpenPage, sign_in
from tests.factories import LARGE, decide, get, held_review
from tests.people import People

TICK = "document.body.dispatchEvent(new CustomEvent('guardsite:tick', {bubbles: true}))"


def invoices(people: People, number: int, tier: int = 1) -> list[Review]:
    """Waiting refunds of as many invoices."""
    found = [held_review(people, params=LARGE | {"invoice_id": f"in_{100 + index}"}) for index in range(number)]
    with as_tenant(people.tenant.pk):
        Review.objects.filter(pk__in=[review.pk for review in found]).update(tier=tier)
    return found


def row(page: Page, review: Review) -> str:
    """The selector of a review's row."""
    return f"[data-review='{review.wire_id}']"


def test_the_queue_by_keyboard_alone_with_keys_of_ones_own(desk_people: People, open_page: OpenPage) -> None:
    first, second = invoices(desk_people, 2, tier=2)
    page = open_page()
    sign_in(page, "rita")
    page.keyboard.press("j")
    page.keyboard.press("x")
    expect(page.locator(f"{row(page, first)} [data-pick]")).to_be_checked()
    expect(page.locator("[data-picked]")).to_have_text("1 selected, none at tier 1: to deny only")
    page.keyboard.press("j")
    page.keyboard.press("Enter")
    expect(page.locator("#card")).to_contain_text("in_101")
    page.wait_for_load_state()  # keys work once the scripts have come
    page.keyboard.press("c")
    expect(page.get_by_text("Claimed by you")).to_be_visible()
    page.keyboard.press("u")
    page.wait_for_url("**/reviews/")
    expect(page.locator(f"{row(page, second)} [data-who]")).to_have_text("you")
    page.keyboard.press("/")
    search = page.get_by_role("searchbox", name="Search")
    expect(search).to_be_focused()
    page.keyboard.press("Escape")
    expect(search).not_to_be_focused()
    # N takes what is free: the first, although one came back from the second.
    page.keyboard.press("n")
    page.wait_for_url(f"**/reviews/{first.wire_id}/")
    # Another key for the same command: told when it is taken, gone from its old place once it is kept.
    page.keyboard.press("?")
    page.get_by_text("Change the keys").click()
    page.get_by_label("back to the queue").fill("d")
    page.get_by_role("button", name="Keep these keys").click()
    expect(page.locator("[data-keymap-answer]")).to_contain_text(
        'D is used twice: for "back to the queue" and "deny panel"'
    )
    page.get_by_label("back to the queue").fill("b")
    page.get_by_role("button", name="Keep these keys").click()
    expect(page.locator("[data-keymap-answer]")).to_have_text("Kept in this browser.")
    page.keyboard.press("Escape")
    page.reload()
    page.keyboard.press("u")
    page.wait_for_timeout(300)
    assert page.url.endswith(f"{first.wire_id}/")
    page.keyboard.press("b")
    page.wait_for_url("**/reviews/")
    page.keyboard.press("?")
    page.get_by_role("button", name="Switch the keys off").click()
    page.keyboard.press("Escape")
    page.keyboard.press("n")
    page.wait_for_timeout(300)
    assert page.url.endswith("/reviews/")
    assert get(desk_people, first.wire_id).state == get(desk_people, second.wire_id).state == "open"


def test_the_queue_without_scripts_filters_saves_takes_and_decides_in_bulk(
    desk_people: People, open_page: OpenPage
) -> None:
    first, second = invoices(desk_people, 2)
    page = open_page(java_script_enabled=False)
    sign_in(page, "lena")
    expect(page.get_by_role("button", name="Pause updates")).to_be_hidden()
    page.get_by_text("Search and filter").click()
    page.get_by_label("Search").fill(first.short_id)
    page.get_by_role("button", name="Filter", exact=True).click()
    expect(page.locator("tbody tr")).to_have_count(1)
    page.get_by_label("Name of this view").fill("That one")
    page.get_by_role("button", name="Save filter").click()
    expect(page.get_by_role("link", name="That one")).to_have_attribute("aria-current", "page")
    page.goto("/reviews/")
    for review in (first, second):
        page.locator(f"{row(page, review)} [data-pick]").check()
    page.get_by_role("button", name="Bulk deny").click()
    page.get_by_label("Wrong target").check()
    page.get_by_role("button", name="Deny the ticked calls").click()
    expect(page.get_by_role("heading", name="2 calls denied")).to_be_visible()
    assert get(desk_people, second.wire_id).verdict.kind == "deny"  # type: ignore[union-attr]
    third = invoices(desk_people, 1)[0]
    page.goto("/reviews/")
    page.get_by_role("button", name="Take next").click()
    page.wait_for_url(f"**/reviews/{third.wire_id}/")
    page.goto(f"/reviews/{third.wire_id}/more/")
    page.get_by_text("Skip it is free for others").click()
    page.get_by_label("Not now").check()
    page.get_by_role("button", name="Skip it").click()
    expect(page.get_by_text(f"You skipped {third.short_id}.")).to_be_visible()


def test_the_queue_on_a_phone_is_cards_without_sideways_scroll(desk_people: People, open_page: OpenPage) -> None:
    reviews = invoices(desk_people, 2)
    with as_tenant(desk_people.tenant.pk):
        Review.objects.filter(pk=reviews[0].pk).update(rule_name="W" * 100, tier=3)
    for width in (390, 320):
        page = open_page(viewport={"width": width, "height": 800})
        sign_in(page, "lena")
        for path in ("/reviews/", "/reviews/?tier=3", "/reviews/?view=decided", f"/reviews/{reviews[0].wire_id}/more/"):
            page.goto(path)
            assert page.evaluate("document.documentElement.scrollWidth") <= width, path
        page.goto("/reviews/")
        for box in page.locator("[data-pick]").all():
            size = box.bounding_box()
            assert size is not None
            assert min(size["width"], size["height"]) >= 24
        page.locator("[data-pick]").first.check()
        page.get_by_role("button", name="Bulk deny").click()
        expect(page.get_by_role("heading", name="Bulk deny")).to_be_visible()
        assert page.evaluate("document.documentElement.scrollWidth") <= width


def test_a_tick_marks_rows_in_place_and_disturbs_neither_selection_nor_typing(
    desk_people: People, open_page: OpenPage
) -> None:
    first, second = invoices(desk_people, 2)
    page = open_page()
    sign_in(page, "rita")
    page.locator(f"{row(page, second)} [data-pick]").check()
    page.get_by_text("Search and filter").click()
    page.get_by_label("On behalf of").fill("half a na")
    decide(desk_people, first, "deny", acting_member=desk_people.lena)
    third = invoices(desk_people, 1)[0]
    page.evaluate(TICK)
    expect(page.locator(f"{row(page, first)} [data-who]")).to_have_text("denied by Lena Lind")
    expect(page.locator("#live")).to_have_text("1 new review")
    expect(page.locator("[data-count='all']")).to_have_text("2")
    expect(page).to_have_title("(2) Queue · guardsite")
    assert page.locator("tbody tr").count() == 2
    expect(page.locator(f"{row(page, second)} [data-pick]")).to_be_checked()
    expect(page.get_by_label("On behalf of")).to_be_focused()
    expect(page.get_by_label("On behalf of")).to_have_value("half a na")
    page.get_by_role("link", name="1 new - show").click()
    expect(page.locator(row(page, third))).to_be_visible()
    expect(page.locator(row(page, first))).to_have_count(0)
    expect(page.locator(f"{row(page, second)} [data-pick]")).to_be_checked()
    page.get_by_role("button", name="Pause updates").click()
    expect(page.locator("[data-updated]")).to_have_text("Updates paused")


def test_a_claim_is_taken_over_between_two_browsers(desk_people: People, open_page: OpenPage) -> None:
    review = invoices(desk_people, 1, tier=2)[0]
    rita, lena = open_page(), open_page()
    sign_in(rita, "rita")
    rita.goto(f"/reviews/{review.wire_id}/")
    rita.get_by_role("button", name="Claim").click()
    expect(rita.get_by_text("Claimed by you")).to_be_visible()
    rita.locator("summary", has_text="Deny").click()
    rita.get_by_role("textbox", name="Note for the record").fill("Half a thought")
    sign_in(lena, "lena")
    lena.goto(f"/reviews/{review.wire_id}/")
    lena.get_by_role("link", name="Take over").click()
    lena.get_by_label("Why", exact=True).fill("The customer is on the phone.")
    lena.locator("#take-over").get_by_role("button", name="Take over").click()
    expect(lena.get_by_text("Claimed by you")).to_be_visible()
    rita.evaluate(TICK)
    expect(rita.locator("#strip")).to_contain_text(
        "Lena Lind took your claim over: “The customer is on the phone.”; you can read on"
    )
    expect(rita.get_by_role("textbox", name="Note for the record")).to_have_value("Half a thought")
    expect(rita.locator(".verdict-bar")).to_contain_text("Lena Lind took your claim over: what you typed is kept")
    commit = rita.locator("[data-panel='deny'] [data-commit]")
    expect(commit).to_be_disabled()
    lena.get_by_role("button", name="Release claim").first.click()
    expect(lena.get_by_role("button", name="Claim", exact=True)).to_be_visible()
    rita.evaluate(TICK)
    expect(commit).to_be_enabled()


def test_several_are_approved_by_one_form_and_taken_back(desk_people: People, open_page: OpenPage) -> None:
    reviews = invoices(desk_people, 3)
    with as_tenant(desk_people.tenant.pk):
        Review.objects.filter(pk__in=[review.pk for review in reviews]).update(hold_seconds=60)
    page = open_page()
    sign_in(page, "rita")
    page.locator("[data-pick-all]").check()
    expect(page.get_by_role("button", name="Bulk approve")).to_be_disabled()
    page.locator("[data-pick-all]").uncheck()
    for box in page.locator("[data-pick]").all():
        box.check()
    page.get_by_role("button", name="Bulk approve").click()
    expect(page.locator("main")).to_contain_text("3 calls at tier 1 can be approved together:")
    page.locator("[data-tick]").last.uncheck()
    page.get_by_label("How many calls are ticked").fill("2")
    page.get_by_role("button", name="Approve the ticked calls").click()
    expect(page.get_by_role("heading", name="2 calls approved")).to_be_visible()
    assert get(desk_people, reviews[2].wire_id).state == "open"
    page.get_by_role("button", name="Undo all").click()
    expect(page.get_by_role("heading", name="2 reviews wait again")).to_be_visible()
    assert {get(desk_people, review.wire_id).state for review in reviews} == {"open"}
