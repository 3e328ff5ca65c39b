"""Where error pages lead: to the review, the page or the list that was asked for, and never to another site."""

from __future__ import annotations

import re
from typing import Any

import pytest
from django.http import HttpRequest
from django.template.loader import render_to_string
from django.test import RequestFactory
from django.urls import resolve

from guardsite.templatetags.next_steps import page_again, page_before, review_asked_about
from reviews.errors import ReviewClosed

REVIEW = "/reviews/rv_01a202a1384c7c61be29b0e7bdae0eb1/"


def asked(method: str, path: str, *, came_from: str = "", secure: bool = False) -> dict[str, Any]:
    """The context of a page that answers this request. Any: a template's context."""
    headers = {"Referer": came_from} if came_from else {}
    request = RequestFactory().generic(method, path, secure=secure, headers=headers)
    request.resolver_match = resolve(request.path)
    request.htmx = False  # type: ignore[attr-defined]  # set by django-htmx
    return {"request": request}


def button(name: str, context: dict[str, Any], **more: object) -> tuple[str, str]:
    """(address, words) of the one button of an error page."""
    request: HttpRequest = context["request"]
    page = render_to_string(name, {**context, **more}, request=None if name.startswith("5") else request)
    [(url, words)] = re.findall(r'<a class="button" href="([^"]*)">(.*?)</a>', page)
    return url, words


@pytest.mark.parametrize(
    ("came_from", "path"),
    [
        ("http://testserver/policy/flip/?action=a&b=c", "/policy/flip/?action=a&b=c"),
        ("http://testserver/policy/flip/#part", "/policy/flip/"),
        ("http://testserver", ""),
        ("http://elsewhere.example/policy/flip/", ""),
        ("http://testserver@elsewhere.example/", ""),
        ("http://testserver//elsewhere.example/", ""),
        ("http://testserver/\\elsewhere.example/", ""),
        ("javascript:alert(1)", ""),
        ("/policy/flip/", ""),
        ("", ""),
    ],
)
def test_the_page_before_is_a_path_of_this_site(came_from: str, path: str) -> None:
    assert page_before(asked("POST", "/policy/flip/", came_from=came_from)) == path


def test_a_page_is_opened_again_by_its_own_address_and_a_form_by_the_page_that_showed_it() -> None:
    here = "http://testserver/policy/freezes/"
    assert page_again(asked("GET", "/policy/flip/?action=a", came_from=here)) == "/policy/flip/?action=a"
    assert page_again(asked("POST", "/policy/flip/", came_from=here)) == "/policy/freezes/"
    assert page_again(asked("POST", "/policy/flip/")) == ""
    assert page_again({}) == page_before({}) == review_asked_about({}) == ""


def test_a_host_that_is_not_ours_names_no_page_before() -> None:
    context = asked("POST", "/policy/flip/", came_from="http://evil.example/x/")
    context["request"].META["HTTP_HOST"] = "evil.example"
    assert page_before(context) == ""


def test_a_step_of_a_review_leads_back_to_it() -> None:
    assert review_asked_about(asked("POST", f"{REVIEW}decide/")) == REVIEW
    assert review_asked_about(asked("POST", "/reviews/bulk/deny/")) == ""
    closed = ReviewClosed()
    assert button("domain_error.html", asked("POST", f"{REVIEW}decide/"), error=closed) == (REVIEW, "Open the review")
    came_from = "http://testserver/reviews/?tier=1"
    assert button("domain_error.html", asked("POST", "/reviews/bulk/deny/", came_from=came_from), error=closed) == (
        "/reviews/?tier=1",
        "Open the page again",
    )


@pytest.mark.parametrize(
    ("name", "method", "path", "came_from", "leads_to"),
    [
        ("500.html", "POST", f"{REVIEW}decide/", "", (REVIEW, "Open the review")),
        ("500.html", "POST", "/policy/flip/", "/policy/flip/", ("/policy/flip/", "Open the page again")),
        ("500.html", "GET", "/audit/?kind=a", "", ("/audit/?kind=a", "Try again")),
        ("500.html", "POST", "/policy/flip/", "", ("/", "Go to the queue")),
        ("503.html", "GET", "/audit/", "", ("/audit/", "Try again")),
        ("503.html", "POST", "/policy/flip/", "/policy/flip/", ("/policy/flip/", "Open the page again")),
        ("403_csrf.html", "POST", "/policy/flip/", "/policy/flip/", ("/policy/flip/", "Open the page again")),
        ("403_csrf.html", "POST", "/policy/flip/", "", ("/", "Go to the queue")),
        ("429.html", "GET", "/audit/", "", ("/audit/", "Try again")),
    ],
)
def test_each_error_page_has_one_button_for_what_is_next(
    name: str, method: str, path: str, came_from: str, leads_to: tuple[str, str]
) -> None:
    context = asked(method, path, came_from=f"http://testserver{came_from}" if came_from else "")
    assert button(name, context) == leads_to


@pytest.mark.parametrize("name", ["500.html", "503.html"])
def test_pages_of_a_failure_stand_without_a_request(name: str) -> None:
    page = render_to_string(name)
    assert page.count('<a class="button"') == 1
    assert "Open the review" not in page
