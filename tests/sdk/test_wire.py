"""Strict JSON: what the server would refuse is refused before it is sent, and what it says is read as strictly."""

import pytest
from mcpguard_sdk import MCPGuard, MCPGuardRequestError, MCPGuardUnavailableError, wire
from mcpguard_sdk.calls import new_call, parse_decision, parse_review, parse_reviews

from tests.stubs.guard_server import GuardServer


@pytest.mark.parametrize(
    "value",
    [
        float("nan"),
        float("inf"),
        2**53,
        -(2**53),
        "\ud800",
        "a\0b",
        {1: 2},
        {"\udfff": 1},
        {1, 2},
        object(),
        b"bytes",
    ],
)
def test_what_json_cannot_keep_is_not_sent(server: GuardServer, guard: MCPGuard, value: object) -> None:
    with pytest.raises(MCPGuardRequestError) as caught:
        guard.evaluate("a", {"value": value})
    assert caught.value.for_model()["error"] == "invalid_arguments"
    assert server.requests == []


def test_depth_is_limited() -> None:
    value: object = 1
    for _ in range(40):
        value = [value]
    with pytest.raises(wire.NotJsonError, match="levels"):
        wire.dumps(value)
    with pytest.raises(wire.NotJsonError):
        wire.loads("[" * 100_000 + "]" * 100_000)


@pytest.mark.parametrize(
    "text", ['{"a":1,"a":2}', "NaN", "[Infinity]", '"\\ud800"', "{", "", "[1,]", "9007199254740993"]
)
def test_text_that_is_not_strict_json_is_not_read(text: str) -> None:
    with pytest.raises(wire.NotJsonError):
        wire.loads(text)


def test_a_copy_shares_nothing_with_its_source() -> None:
    inner = [1, 2]
    copy = wire.json_copy({"inner": inner, "pair": (1, "é")})
    inner.append(3)
    assert copy == {"inner": [1, 2], "pair": [1, "é"]}


def test_an_identifier_that_the_contract_does_not_take_becomes_its_digest() -> None:
    assert wire.identifier("call_a1") == "call_a1"
    for odd in ("", "with space", 'a"b', "x" * 129, "é"):
        made = wire.identifier(odd)
        assert wire.IDENTIFIER.fullmatch(made)
        assert made == wire.identifier(odd)


CALL = new_call("a", params={"x": 1})
ALLOW = {"call_id": "tc_1", "decision": "allow"}
REVIEW = {"review_id": "rv_1", "state": "approved", "version": 2, "params": {}, "grant": {"grant_id": "gr_1"}}


@pytest.mark.parametrize(
    "changes",
    [
        {"decision": "Allow"},
        {"decision": None},
        {"decision": True},
        {"call_id": ""},
        {"call_id": 1},
        {"params": []},
        {"grant": "gr_1"},
        {"grant": {}},
        {"amended": "no"},
        {"amended": True},
        {"replayed": 1},
        {"decision": "review"},
        {"review": {"version": "1"}},
    ],
)
def test_a_decision_with_one_wrong_member_is_no_decision(changes: dict[str, object]) -> None:
    assert parse_decision(ALLOW, call=CALL).params == {"x": 1}
    with pytest.raises(MCPGuardUnavailableError):
        parse_decision({**ALLOW, **changes}, call=CALL)


@pytest.mark.parametrize(
    "changes", [{"state": "done"}, {"version": True}, {"params": None}, {"grant": {"grant_id": 5}}, {"review_id": None}]
)
def test_a_review_with_one_wrong_member_is_no_review(changes: dict[str, object]) -> None:
    assert parse_review(REVIEW).grant_id == "gr_1"
    with pytest.raises(MCPGuardUnavailableError):
        parse_review({**REVIEW, **changes})


@pytest.mark.parametrize("body", [None, [], "allow", {"reviews": {}}])
def test_an_answer_of_another_shape_is_not_understood(body: object) -> None:
    for parse in (lambda: parse_decision(body, call=CALL), lambda: parse_review(body), lambda: parse_reviews(body)):
        with pytest.raises(MCPGuardUnavailableError):
            parse()


def test_only_an_approved_review_has_a_grant() -> None:
    assert parse_review({**REVIEW, "state": "denied"}).grant_id is None


def test_a_context_that_is_not_json_is_the_host_s_fault() -> None:
    with pytest.raises(MCPGuardRequestError) as caught:
        new_call("a", params={}, user_context={"at": object()})
    assert caught.value.for_model()["error"] == "guard_unavailable"
