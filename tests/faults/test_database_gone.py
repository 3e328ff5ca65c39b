"""A database that does not answer: a sentence and 503 on every door, never a 500."""

from __future__ import annotations

import pytest
from django.core.management import CommandError, call_command
from django.db import OperationalError, connections
from django.test import Client

from tests.api.conftest import Api
from tests.factories import LARGE, call, enforce_refunds
from tests.people import People
from tests.tenants.test_admin import signed_in


def lose_the_database(monkeypatch: pytest.MonkeyPatch) -> None:
    """Every connection from now on fails, as when the server is gone."""
    connections["default"].close()
    monkeypatch.setitem(connections["default"].settings_dict, "NAME", "guardsite_no_database_here")


@pytest.mark.parametrize("path", ["/reviews/", "/audit/", "/admin/", "/accounts/login/"])
def test_pages_say_that_nothing_can_be_decided(
    committed_people: People, monkeypatch: pytest.MonkeyPatch, path: str
) -> None:
    client = signed_in(committed_people.adam)
    client.raise_request_exception = False
    lose_the_database(monkeypatch)
    response = client.get(path)
    assert response.status_code == 503
    assert response["Retry-After"]
    assert b"Nothing can be decided right now" in response.content


def test_the_gate_allows_nothing_and_says_when_to_ask_again(
    committed_people: People, monkeypatch: pytest.MonkeyPatch
) -> None:
    enforce_refunds(committed_people)
    api = Api(committed_people.token)
    assert api.post("evaluate", call()).json()["decision"] == "allow"
    lose_the_database(monkeypatch)
    for path, body in (("evaluate", call()), ("evaluate/batch", {"calls": [call(params=LARGE)]}), ("executions", {})):
        response = api.post(path, body)
        assert (response.status_code, response.json()["code"]) == (503, "unavailable")
        assert int(response["Retry-After"]) > 0


def test_health_does_not_ask_the_database(committed_people: People, monkeypatch: pytest.MonkeyPatch) -> None:
    lose_the_database(monkeypatch)
    assert Client().get("/healthz").status_code == 200
    assert Client().get("/readyz").status_code == 503


def test_a_command_fails_loudly(committed_people: People, monkeypatch: pytest.MonkeyPatch) -> None:
    lose_the_database(monkeypatch)
    with pytest.raises((CommandError, OperationalError)):
        call_command("seed_demo", password="correct horse battery")
