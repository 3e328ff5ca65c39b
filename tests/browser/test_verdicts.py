"""Verdicts that take more than a click: tier 3 with a sign-in on the way, two people, changes, taking back."""

from __future__ import annotations

import time

import pytest
from django.contrib.auth.hashers import PBKDF2PasswordHasher
from django.contrib.sessions.backends.db import SessionStore
from playwright.sync_api import Page, expect

from policy.models import Rule
from reviews.models import Review
from tenants.models import User
from tests.browser.conftest import OpenPage, Watch, sign_in
from tests.factories import deny_rule, get, held_review, refund_rule
from tests.people import PASSWORD, People
from tests.reviews.severe import LONG_WHY, SEVERE, severe_desk


def ceiling() -> Rule:
    """Denies refunds of USD 500.00 to USD 619.99, which nobody should need a person for."""
    return deny_rule(
        slug="odd-band",
        name="Hard ceiling",
        condition="params.amount_cents > 50000 && params.amount_cents < 62000",
        tests=[
            {"name": "in", "context": {"params": {"amount_cents": 60000}}, "expect": "match"},
            {"name": "out", "context": {"params": {"amount_cents": 62000}}, "expect": "no match"},
        ],
    )


@pytest.fixture
def severe_people(committed_people: People) -> People:
    """Rita and Lena, able to sign in; each test publishes rules of its own."""
    # The tests' own hasher is not the site's.
    password = PBKDF2PasswordHasher().encode(PASSWORD, "of-tests-only", iterations=1000)
    User.objects.filter(pk__in=[committed_people.rita.user_id, committed_people.lena.user_id]).update(password=password)
    return committed_people


def hold(people: People, tier: int, *, hold_seconds: int = 0) -> Review:
    """A held refund at this tier."""
    severe_desk(people, refund_rule(tier=tier, hold_seconds=hold_seconds), ceiling())
    return held_review(people, params=SEVERE)


def age_sign_in(page: Page, *, hours: int) -> None:
    """As if the person had given their password so long ago."""
    cookie = next(one for one in page.context.cookies() if one.get("name") == "sessionid")
    session = SessionStore(session_key=cookie.get("value"))
    session["account_authentication_methods"] = [
        record | {"at": record["at"] - hours * 3600} for record in session["account_authentication_methods"]
    ]
    session.save()


def climb(page: Page, typed: str = "620") -> None:
    """Everything that tier 3 asks, but for the commit."""
    page.keyboard.press("a")
    panel = page.locator("details[data-panel='approve']")
    expect(panel.get_by_text("I opened Why")).to_be_visible()
    panel.get_by_role("button", name="Open", exact=True).click()
    expect(page.get_by_text(LONG_WHY.splitlines()[-1]).first).to_be_visible()
    expect(panel.locator("[data-fold-seen]")).to_be_checked()
    panel.get_by_label("Type the value of Amount").fill(typed)
    panel.get_by_label("Checked elsewhere").check()
    panel.get_by_label("Note for the record").fill("I called the customer back.")


def test_tier_three_asks_for_folds_value_words_and_a_sign_in_and_loses_nothing_on_the_way(
    severe_people: People, open_page: OpenPage, watch: Watch
) -> None:
    watch.expected_statuses = {422, 428}
    review = hold(severe_people, 3)
    page = open_page()
    sign_in(page, "rita")
    age_sign_in(page, hours=3)
    page.goto(f"/reviews/{review.wire_id}/")
    climb(page, typed="62.00")
    page.keyboard.press("Control+Enter")
    expect(page.get_by_text("This is not the value on the card. Read it again, then type it.").first).to_be_visible()
    page.get_by_label("Type the value of Amount").fill("620")
    page.get_by_role("button", name="Approve: refund USD 620.00").click()
    expect(page.locator("#site-alert")).to_contain_text("This needs a fresh sign-in")
    expect(page.get_by_label("Note for the record").first).to_have_value("I called the customer back.")
    assert get(severe_people, review.wire_id).state == "open"
    page.get_by_role("link", name="Confirm that it is you").click()
    page.get_by_label("Password").fill(PASSWORD)
    page.get_by_role("button", name="Confirm").click()
    page.wait_for_url("**/?resume=approve")
    panel = page.locator("details[data-panel='approve']")
    expect(panel.get_by_label("Type the value of Amount")).to_have_value("620")
    expect(panel.get_by_label("Note for the record")).to_have_value("I called the customer back.")
    assert get(severe_people, review.wire_id).state == "open"
    panel.get_by_role("button", name="Approve: refund USD 620.00").click()
    expect(page.locator(".stamp")).to_have_text("approved")
    expect(page.locator(".receipt")).to_contain_text("password")


@pytest.mark.long
def test_two_people_approve_blindly_in_two_browsers(severe_people: People, open_page: OpenPage) -> None:
    review = hold(severe_people, 4)
    first, second = open_page(), open_page()
    for page, name in ((first, "rita"), (second, "lena")):
        sign_in(page, name)
        page.goto(f"/reviews/{review.wire_id}/")
        expect(page.get_by_text("Independent review.")).to_be_visible()
    before = second.locator("#card").inner_text()
    climb(first)
    first.keyboard.press("Control+Enter")
    expect(first.get_by_text("Recorded. A second person decides now.")).to_be_visible()
    first.get_by_role("button", name="Take back").click()
    expect(first.locator("details[data-panel='approve']")).to_be_visible()
    climb(first)
    first.keyboard.press("Control+Enter")
    expect(first.get_by_text("Recorded. A second person decides now.")).to_be_visible()
    time.sleep(6)  # a live tick goes by in the other browser
    assert "Rita" not in second.locator("body").inner_text()
    second.reload()
    assert "Rita" not in second.locator("body").inner_text()
    assert before.splitlines()[0] == second.locator("#card").inner_text().splitlines()[0]
    climb(second)
    second.keyboard.press("Control+Enter")
    expect(second.locator(".stamp")).to_have_text("approved")
    expect(second.locator(".receipt")).to_contain_text("Rita Reyes")
    expect(first.locator(".stamp, [role=alert]").first).to_be_visible()


def test_changes_are_refused_by_policy_and_then_approved(
    severe_people: People, open_page: OpenPage, watch: Watch
) -> None:
    watch.expected_statuses = {422}
    review = hold(severe_people, 2)
    page = open_page()
    sign_in(page, "rita")
    page.goto(f"/reviews/{review.wire_id}/")
    page.keyboard.press("m")
    # The form comes a moment after the panel, and the caret with it.
    expect(page.locator("#amend").get_by_label("Amount")).to_be_focused()
    page.keyboard.press("Control+a")
    page.keyboard.type("600")
    page.get_by_role("button", name="Check these changes").click()
    expect(page.locator("#amend").get_by_role("alert")).to_contain_text(
        "USD 600.00 would be denied by Hard ceiling. The highest you can approve is USD 500.00."
    )
    page.get_by_role("button", name="Lower to USD 500.00").click()
    expect(page.locator("#amend ins")).to_contain_text("USD 500.00")
    expect(page.locator("#amend del")).to_contain_text("USD 620.00")
    expect(page.locator("#amend")).to_contain_text("policy would let it run without a person")
    page.locator("#amend").get_by_label("Wrong amount").check()
    expect(page.locator("#amend").get_by_label("Message to the agent")).to_have_value(
        "Approved with another amount. Use the params of this answer."
    )
    page.get_by_role("button", name="Approve: refund USD 500.00").click()
    expect(page.locator(".stamp")).to_have_text("amended")
    expect(page.locator(".receipt del")).to_contain_text("USD 620.00")
    assert get(severe_people, review.wire_id).verdict.kind == "approve_with_amendments"  # type: ignore[union-attr]


def test_a_verdict_on_hold_is_undone_by_its_key_and_a_draft_outlives_a_closed_tab(
    severe_people: People, open_page: OpenPage
) -> None:
    review = hold(severe_people, 2, hold_seconds=60)
    page = open_page()
    sign_in(page, "rita")
    page.goto(f"/reviews/{review.wire_id}/")
    page.keyboard.press("d")
    page.get_by_label("Wrong target").check()
    page.locator("details[data-panel='deny']").get_by_label("Note for the record").fill("Half a thought")
    expect(page.locator("[data-draft-line='deny']")).to_contain_text("Draft saved")
    page.close()
    other = open_page()
    sign_in(other, "rita")
    other.goto(f"/reviews/{review.wire_id}/")
    other.keyboard.press("d")
    expect(other.locator("details[data-panel='deny']").get_by_label("Note for the record")).to_have_value(
        "Half a thought"
    )
    other.keyboard.press("Control+Enter")
    expect(other.locator(".receipt")).to_contain_text("Goes to the agent in")
    other.keyboard.press("z")
    expect(other.locator(".verdict-bar")).to_be_visible()
    assert get(severe_people, review.wire_id).state == "open"
