"""The ramp as an owner walks it: observe real calls, readiness, backtest, 10 %, 100 %, and back; then the chain."""

from __future__ import annotations

import time
from typing import Any

import pytest
from django.contrib.auth.hashers import PBKDF2PasswordHasher
from playwright.sync_api import Page, expect

from policy import live
from policy.evaluate import bucket_of
from tenants.models import User
from tests.browser.conftest import OpenPage, sign_in
from tests.factories import LARGE, REFUND, SMALL, ask, enforce_refunds
from tests.people import PASSWORD, People
from tests.policy.drafts import entries
from tests.policy.test_ramp import change_limit
from tests.processes import Desk


def flip(page: Page, choice: str, reason: str, *, percent: int | None = None) -> None:
    """Fill the panel, prove who one is if asked, look once more, press again."""
    page.goto("/policy/flip/")
    page.get_by_role("radio", name=choice).check()
    expect(page.get_by_label("Share of users")).to_be_visible(visible=percent is not None)
    button = page.get_by_role(
        "button", name="Enforce for the share above" if percent else "Go back to observe", exact=True
    )
    if percent is not None:
        page.get_by_label("Share of users").fill(str(percent))
        for condition in page.get_by_label("I accept:").all():
            condition.check()
        page.get_by_label("To enforce, type Demo").fill("Demo")
    page.get_by_label("Reason").fill(reason)
    button.click()
    if "/accounts/reauthenticate/" in page.url:
        page.locator("input[type=password]").fill(PASSWORD)
        page.get_by_role("button", name="Confirm").click()
        expect(page.get_by_text("What you typed is below")).to_be_visible()
        expect(page.get_by_label("Reason")).to_have_value(reason)
        if percent is not None:
            expect(page.get_by_label("Share of users")).to_have_value(str(percent))
        button.click()
    expect(page.get_by_text("Every process follows within 5 seconds.")).to_be_visible()


def subjects(people: People) -> tuple[str, str]:
    """A user within the first 10 percent, and one outside."""
    tenant = str(people.tenant.pk)
    users = {f"u_{n}": bucket_of(tenant, REFUND, f"u_{n}") for n in range(200)}
    return min(users, key=users.__getitem__), max(users, key=users.__getitem__)


def decision(people: People, user: str, *, wanted: str) -> str:
    """What this process, which nobody tells of the flip, decides within 5 s; asked until it is what is wanted."""
    ends = time.monotonic() + live.OLDEST_SECONDS + 1
    while True:
        context: dict[str, Any] = {"user_id": user, "plan": "pro"}
        found = str(ask(people, params=LARGE, user_context=context, repeat="new")["decision"])
        if found == wanted or time.monotonic() > ends:
            return found
        time.sleep(0.25)


@pytest.mark.long
def test_the_ramp_from_observe_to_enforce_and_back(committed_people: People, desk: Desk, open_page: OpenPage) -> None:
    people = committed_people
    enforce_refunds(people, mode="observe")
    password = PBKDF2PasswordHasher().encode(PASSWORD, "of-tests-only", iterations=1000)
    User.objects.filter(pk=people.adam.user_id).update(password=password)
    first, last = subjects(people)
    for params, user in ((SMALL, first), (LARGE, first), (LARGE, last), (SMALL, last)):
        assert ask(people, params=params, user_context={"user_id": user, "plan": "pro"})["decision"] == "allow"
    change_limit(people, 1_000)
    desk.start_notary()
    page = open_page()
    sign_in(page, "adam")

    page.get_by_role("link", name="Readiness").click()
    expect(page.get_by_text("Not enough data yet")).to_be_visible()
    expect(page.locator("main")).to_contain_text("4 calls in less than a day")
    expect(page.locator("main")).to_contain_text("2 of 4; 95 % between")
    page.get_by_role("link", name="Label 2 of them").click()
    page.get_by_role("button", name="Right to stop it").click()
    page.get_by_role("button", name="Right to stop it").click()
    expect(page.get_by_text("Nothing is left to label. 2 of 2 were called right.")).to_be_visible()

    page.goto("/policy/readiness/")
    page.get_by_role("link", name="Backtests").click()
    page.get_by_role("button", name="Replay on the draft").click()
    expect(page.get_by_text("2 newly caught, 0 no longer caught, of 4 calls.")).to_be_visible()
    page.locator("section", has_text="2 newly caught").get_by_role("link", name=REFUND).first.click()
    expect(page.get_by_role("heading", level=1)).to_contain_text("Entry")

    flip(page, "Enforce", "Two weeks of observing look right.", percent=10)
    assert decision(people, first, wanted="review") == "review"
    assert decision(people, last, wanted="allow") == "allow"
    flip(page, "Enforce", "Ten percent went well for a week.", percent=100)
    assert decision(people, last, wanted="review") == "review"
    flip(page, "Observe", "Refunds pile up over the holidays.")
    assert decision(people, first, wanted="allow") == "allow"

    page.goto("/audit/")
    story = page.locator("main")
    for line in (
        "Adam Abara switched the tenant from observe to enforce for 10 %.",
        "Adam Abara switched the tenant from enforce for 10 % to enforce.",
        "Adam Abara switched the tenant from enforce to observe.",
        "Adam Abara replayed 4 recorded calls on the draft",
        "Adam Abara called it right to stop a call of billing.refund.",
    ):
        expect(story).to_contain_text(line)
    up, through, down = entries(people, "mode.changed")
    assert [entry["after"] for entry in (up, through, down)] == [
        {"mode": "enforce", "percent": 10},
        {"mode": "enforce", "percent": 100},
        {"mode": "observe", "percent": 100},
    ]
    for entry in (up, through, down):
        assert entry["step_up"]["method"] == "password"
        assert entry["step_up"]["age_seconds"] <= 300
        assert entry["readiness"]["state"] == "insufficient_data"
    assert (up["readiness"]["calls"], up["readiness"]["held"], up["readiness"]["right"]) == (4, 2, 2)
    assert up["accepted"] == sorted(up["readiness"]["open"])
    proofs = [entry["step_up"]["at_us"] for entry in (up, through, down)]
    assert len(set(proofs)) == 3  # each change was proved for itself
