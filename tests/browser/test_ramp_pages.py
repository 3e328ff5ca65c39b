"""Axe finds nothing on the ramp's pages, wide and narrow, light and dark; nothing scrolls sideways."""

from __future__ import annotations

from datetime import timedelta
from uuid import UUID

import pytest
from axe_playwright_python.sync_playwright import Axe
from django.contrib.auth.hashers import PBKDF2PasswordHasher

from policy import backtests, freezes, labels, reports, shadow
from tenants.models import User
from tests.browser.conftest import OpenPage, sign_in
from tests.factories import LARGE, SMALL, ask, enforce_refunds
from tests.people import PASSWORD, People
from tests.policy.test_ramp import change_limit, now

WHY = "A flood of mails since noon."


@pytest.fixture
def paths(committed_people: People) -> list[str]:
    """Every page of the ramp, each with something on it."""
    people, tenant = committed_people, committed_people.tenant.pk
    enforce_refunds(people, mode="observe")
    password = PBKDF2PasswordHasher().encode(PASSWORD, "of-tests-only", iterations=1000)
    User.objects.filter(pk=people.adam.user_id).update(password=password)
    change_limit(people, 1_000)
    shadow.start(tenant, acting=people.adam, percent=100, now=now())
    for number in range(10):
        plan = "free" if number % 4 == 0 else "pro"
        user = {"user_id": f"u_{number % 3}", "plan": plan}
        ask(people, params=LARGE if number % 3 == 0 else SMALL, user_context=user, repeat="new")
    ask(people, params={"invoice_id": "in_1"})
    shadow.flush(tenant)
    row = backtests.start(tenant, acting=people.adam, since=now() - timedelta(days=2), now=now())
    for item in reports.read(tenant, now=now()).stopped[:2]:
        labels.label(tenant, UUID(item.call.uid), acting=people.rita, is_right=True, now=now())
    frozen = freezes.freeze(tenant, acting=people.lena, scope="action", target="email.*", reason=WHY, now=now())
    names = ("readiness/", "readiness/label/", "flip/", "backtests/", f"backtests/{row.pk}/", "shadow/", "freezes/")
    return [*(f"/policy/{name}" for name in names), f"/policy/freezes/{frozen.pk}/lift/"]


@pytest.mark.parametrize("scheme", ["light", "dark"])
def test_the_ramps_pages_are_accessible_and_fit(paths: list[str], open_page: OpenPage, scheme: str) -> None:
    page = open_page(viewport={"width": 1280, "height": 900}, color_scheme=scheme, reduced_motion="reduce")
    sign_in(page, "adam")
    for path in paths:
        page.set_viewport_size({"width": 1280, "height": 900})
        page.goto(path)
        for width in (1280, 390):
            page.set_viewport_size({"width": width, "height": 900})
            results = Axe().run(page)
            assert results.violations_count == 0, f"{path} at {width}: {results.generate_report()}"
            assert page.evaluate("document.documentElement.scrollWidth") <= width, f"{path} at {width}"
