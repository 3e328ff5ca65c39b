"""The SDK imports nothing of the server, so a test holds their wire names together."""

from __future__ import annotations

import ast
import typing
from pathlib import Path

from django.urls import resolve
from mcpguard_sdk import wire as sdk

from audit.canonical import MAX_DEPTH
from reviews import api, errors, wire
from reviews.states import State, VerdictKind, wire_state


def literals(annotation: object) -> set[str]:
    """The strings of a Literal, also inside Optional."""
    found: set[str] = set()
    for argument in typing.get_args(annotation):
        found |= {argument} if isinstance(argument, str) else literals(argument)
    return found


def test_paths_resolve_to_operations() -> None:
    uid = "rv_" + "0" * 32
    for path in (
        sdk.EVALUATE_PATH,
        sdk.REVIEWS_PATH,
        f"{sdk.REVIEWS_PATH}/{uid}",
        f"{sdk.REVIEWS_PATH}/{uid}/cancel",
        sdk.EXECUTIONS_PATH,
        f"{sdk.EXECUTIONS_PATH}/ex_1/outcome",
        sdk.HEARTBEAT_PATH,
        sdk.POLICY_INFO_PATH,
        sdk.TOOLS_PATH,
    ):
        assert resolve(path).namespace == "api-1"


def test_words_of_requests_are_the_same() -> None:
    fields = wire.EvaluateIn.model_fields
    assert literals(fields["floor"].annotation) == literals(sdk.Floor)
    assert literals(fields["repeat"].annotation) == literals(sdk.Repeat)
    assert literals(fields["refused"].annotation) == literals(sdk.Refused)
    outcome = wire.OutcomeIn.model_fields["outcome"].annotation
    assert literals(outcome) == literals(sdk.Outcome) == set(sdk.OUTCOMES)


def test_states_are_the_same() -> None:
    verdicts = (None, VerdictKind.APPROVE, VerdictKind.DENY)
    assert {wire_state(state, verdict=verdict) for state in State for verdict in verdicts} == set(sdk.REVIEW_STATES)


def test_codes_limits_and_revision_are_the_same() -> None:
    assert {errors.GrantUsed.code, errors.GrantMismatch.code, errors.GrantExpired.code} == set(sdk.GRANT_CODES)
    assert sdk.API_REVISION == api.API_REVISION
    assert sdk.MAX_DEPTH == MAX_DEPTH


def test_the_sdk_sends_no_member_that_the_server_does_not_know() -> None:
    tree = ast.parse(Path(sdk.__file__).with_name("calls.py").read_text(encoding="utf-8"))
    sent = {
        key.value
        for node in ast.walk(tree)
        if isinstance(node, ast.Dict)
        for key in node.keys
        if isinstance(key, ast.Constant) and isinstance(key.value, str)
    }
    assert "idempotency_key" in sent
    assert sent <= set(wire.EvaluateIn.model_fields)
