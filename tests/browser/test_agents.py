"""Pausing an agent, by a reviewer on a small phone, without scripts."""

from __future__ import annotations

from datetime import UTC, datetime

from audit.scope import as_tenant
from policy.models import Freeze
from tenants.models import Agent
from tests.browser.conftest import OpenPage, sign_in
from tests.factories import LARGE, ask
from tests.people import People

FITS = "() => document.documentElement.scrollWidth <= document.documentElement.clientWidth"


def test_a_reviewer_pauses_a_flooding_agent_on_a_phone_without_scripts(
    desk_people: People, open_page: OpenPage
) -> None:
    people = desk_people
    with as_tenant(people.tenant.pk):
        Agent.objects.filter(pk=people.agent.pk).update(reviews_per_hour=2)
    for _ in range(5):
        ask(people, params=LARGE, repeat="new", now=datetime.now(UTC))
    page = open_page(java_script_enabled=False, viewport={"width": 320, "height": 640})
    sign_in(page, "rita")
    page.goto("/agents/")
    assert page.get_by_text("calls were denied unseen.").is_visible()
    assert page.evaluate(FITS)
    page.get_by_role("link", name="Pause refund-bot").click()
    page.wait_for_url("**/pause/")  # looked at before it has come, a page is empty
    assert page.evaluate(FITS)
    page.get_by_label("Too many calls").check()
    page.get_by_role("button", name="Pause this agent").click()
    assert page.get_by_text("Paused. Every call of refund-bot is denied within 5 seconds.").is_visible()
    assert page.get_by_text("A lead can resume it.").is_visible()
    with as_tenant(people.tenant.pk):
        assert Freeze.objects.get().target == "refund-bot"
