"""A client that speaks `/v1` as the agent of a tenant."""

from __future__ import annotations

import json
from dataclasses import dataclass
from typing import Any

import pytest
from django.test import Client

from tests.factories import enforce_refunds
from tests.people import People


@dataclass
class Api:
    """`/v1` behind one key. Bodies are sent as given when they are bytes."""

    token: str

    def request(self, method: str, path: str, body: Any = None, **headers: str) -> Any:
        """The raw response; Any, since the test client adds `json` to it."""
        data = body if isinstance(body, bytes) else json.dumps(body).encode() if body is not None else b""
        return Client().generic(
            method,
            f"/v1/{path}",
            data,
            content_type=headers.pop("content_type", "application/json"),
            headers={"authorization": f"Bearer {self.token}", **headers},
        )

    def post(self, path: str, body: Any, **headers: str) -> Any:
        """POST."""
        return self.request("POST", path, body, **headers)

    def get(self, path: str, **headers: str) -> Any:
        """GET."""
        return self.request("GET", path, **headers)


@pytest.fixture
def people(committed_people: People) -> People:
    """Committed: entries are read back as the auditor's role."""
    return committed_people


@pytest.fixture
def api(people: People) -> Api:
    """The agent of the tenant, which enforces the refund rules."""
    enforce_refunds(people)
    return Api(people.token)


@pytest.fixture
def other_api(people: People) -> Api:
    """Nia's agent, of another tenant."""
    return Api(people.other_token)
