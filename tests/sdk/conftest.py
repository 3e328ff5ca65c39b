"""A stub guard and clients on it, for every SDK test."""

import logging
from collections.abc import Iterator

import pytest
from mcpguard_sdk import MCPGuard

from tests.stubs.guard_server import API_KEY, GuardServer, guard_server


@pytest.fixture
def server() -> Iterator[GuardServer]:
    """A stub guard; a request it found wrong fails the test."""
    with guard_server() as state:
        yield state
    assert state.complaints == []


@pytest.fixture
def guard(server: GuardServer) -> Iterator[MCPGuard]:
    """A client of the stub with a short time-out."""
    with MCPGuard(API_KEY, server.url, timeout=2.0) as client:
        yield client


@pytest.fixture(autouse=True)
def no_secret_in_logs(caplog: pytest.LogCaptureFixture) -> Iterator[None]:
    """Whatever a test does, neither the key nor a param's value is logged at any level."""
    caplog.set_level(logging.DEBUG)
    yield
    assert "SECRET" not in caplog.text
