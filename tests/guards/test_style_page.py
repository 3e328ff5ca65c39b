"""The style page: absent unless asked for, drawn from the real templates, and it leaves nothing behind."""

from __future__ import annotations

import re

import pytest
from django.core.checks import run_checks
from django.test import Client
from django.urls import include, path, reverse
from pytest_django import Settings

from audit.scope import as_tenant
from guardsite import urls
from guardsite.style import ERROR_PAGES, PANELS, REFUSALS
from guardsite.style_facts import SAMPLES
from guardsite.style_stage import SPECIMENS, stage
from reviews.cards.registry import FORMATTERS
from reviews.models import Review
from tenants.models import Tenant, User
from tests.people import People

handler404 = urls.handler404
urlpatterns = [*urls.urlpatterns, path("style/", include("guardsite.style_urls"))]


@pytest.fixture
def _with_style_page(settings: Settings) -> None:
    settings.ROOT_URLCONF = __name__


def client_of(people: People) -> Client:
    client = Client()
    client.force_login(people.rita.user, backend="allauth.account.auth_backends.AuthenticationBackend")
    return client


def test_the_style_page_does_not_exist_unless_asked_for(people: People) -> None:
    assert client_of(people).get("/style/").status_code == 404
    assert client_of(people).get("/style/cards/tier-2/").status_code == 404


@pytest.mark.usefixtures("_with_style_page")
def test_the_style_page_wants_a_sign_in() -> None:
    assert Client().get("/style/").status_code == 302


@pytest.mark.usefixtures("_with_style_page")
def test_the_style_page_shows_every_formatter_and_leaves_nothing(people: People) -> None:
    tenants_before, users_before = Tenant.objects.count(), User.objects.count()
    page = client_of(people).get("/style/?theme=dark")
    assert page.status_code == 200
    text = page.content.decode()
    assert 'data-theme="dark"' in text
    for name in FORMATTERS:
        assert f'<span class="mono">{name}</span>' in text
    assert (Tenant.objects.count(), User.objects.count()) == (tenants_before, users_before)


@pytest.mark.usefixtures("_with_style_page")
@pytest.mark.parametrize(
    ("query", "cookie", "current"),
    [
        ("", "", "As the system"),
        ("", "dark", "Dark"),
        ("?theme=light", "dark", "Light"),
        ("?theme=auto", "dark", "As the system"),
        ("?theme=pink", "", "As the system"),
    ],
)
def test_the_theme_switch_marks_the_theme_that_is_shown(people: People, query: str, cookie: str, current: str) -> None:
    client = client_of(people)
    if cookie:
        client.cookies["theme"] = cookie
    text = client.get(f"/style/{query}").content.decode()
    switch = text[text.index('aria-label="Theme"') :].partition("</nav>")[0]
    assert re.findall(r'aria-current="true">([^<]+)<', switch) == [current]
    drawn = re.search(r'<html[^>]* data-theme="(\w+)"', text)
    assert (drawn[1] if drawn else "as the system") == current.lower()


@pytest.mark.usefixtures("_with_style_page")
def test_sample_errors_are_in_our_words(people: People) -> None:
    text = client_of(people).get("/style/").content.decode()
    assert "Say why in 10 characters or more; these are 5." in text
    assert "Ensure this value" not in text


@pytest.mark.usefixtures("_with_style_page")
def test_who_is_signed_out_sees_the_error_page_of_a_visitor(people: People) -> None:
    text = client_of(people).get(reverse("style:error", args=["401"])).content.decode()
    assert 'class="page page--card error-page"' in text
    assert 'href="/accounts/login/?next=/reviews/"' in text
    assert "A long note." in text
    assert people.rita.display_name not in text
    assert 'class="site-nav"' not in text


def test_every_formatter_has_a_sample() -> None:
    assert set(SAMPLES) == set(FORMATTERS)


@pytest.mark.usefixtures("_with_style_page")
@pytest.mark.parametrize("name", SPECIMENS)
def test_a_card_stands_there_in_every_state(people: People, name: str) -> None:
    page = client_of(people).get(reverse("style:card", args=[name]))
    assert page.status_code == 200, name
    assert b'id="card"' in page.content
    assert b"hx-get" not in page.content, "it would ask for a review that is gone"
    with as_tenant(people.tenant.pk):
        assert not Review.objects.exists()


@pytest.mark.usefixtures("_with_style_page")
@pytest.mark.parametrize("panel", PANELS)
def test_a_card_stands_there_with_each_panel_open(people: People, panel: str) -> None:
    page = client_of(people).get(reverse("style:card", args=["tier-3"]), {"panel": panel})
    assert page.status_code == 200
    assert b"<details open" in page.content or b" open>" in page.content


@pytest.mark.usefixtures("_with_style_page")
@pytest.mark.parametrize("name", [*ERROR_PAGES, *REFUSALS])
def test_every_error_page_says_what_is_safe(people: People, name: str) -> None:
    page = client_of(people).get(reverse("style:error", args=[name]))
    assert page.status_code == 200
    # After a failure nobody can say that nothing was kept.
    assert (b"saved whole or not at all" if name == "500" else b"Nothing") in page.content


@pytest.mark.usefixtures("_with_style_page")
def test_an_unknown_specimen_is_404(people: People) -> None:
    assert client_of(people).get("/style/cards/nothing/").status_code == 404
    assert client_of(people).get("/style/errors/nothing/").status_code == 404


@pytest.mark.parametrize(
    ("is_on", "url", "told"),
    [
        (True, "https://guard.example", True),
        (True, "http://localhost:8000", False),
        (False, "https://guard.example", False),
    ],
)
def test_a_style_page_that_others_can_reach_is_warned_about(
    settings: Settings, is_on: bool, url: str, told: bool
) -> None:
    settings.GUARDSITE_STYLE_PAGE, settings.GUARDSITE_URL = is_on, url
    assert ("guardsite.W003" in [message.id for message in run_checks()]) is told


def test_what_happens_on_a_stage_is_undone(people: People) -> None:
    with stage() as staged:
        review = staged.held(2)
        tenant_id = staged.tenant.pk
        assert staged.find(review.wire_id).state == "open"
    with as_tenant(tenant_id):
        assert not Tenant.objects.filter(pk=tenant_id).exists()
        assert not Review.objects.filter(pk=review.pk).exists()
