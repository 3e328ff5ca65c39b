"""`POST /v1/evaluate` and `/v1/evaluate/batch`: three answers, one entry each, and every refusal by name."""

from __future__ import annotations

import json
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest
import time_machine

from audit.scope import as_tenant
from policy import live, modes
from reviews import limits
from reviews.models import IdempotencyKey, Review
from tenants import keys
from tenants.models import ApiKey
from tests.api.conftest import Api
from tests.factories import LARGE, SMALL, call, decide, enforce_refunds, get
from tests.people import People, proof
from tests.reviews.chain import bodies

NOW = datetime(2026, 11, 20, 12, 0, tzinfo=UTC)


def entries(people: People, kind: str = "call.evaluated") -> list[dict[str, Any]]:
    """Bodies of the tenant's entries of a kind, oldest first."""
    return [body for body in bodies(people.tenant.pk) if body["kind"] == kind]


def test_a_small_refund_is_allowed_with_a_receipt(api: Api, people: People) -> None:
    answer = api.post("evaluate", call()).json()
    assert (answer["decision"], answer["effect"], answer["mode"], answer["code"]) == ("allow", "allow", "enforce", None)
    assert answer["call_id"].startswith("tc_")
    assert len(answer["receipt"]["body_hash"]) == 64
    assert answer["valid_until"]
    assert answer["call_digest"].startswith("sha256:")


def test_a_large_refund_is_held_with_a_review(api: Api, people: People) -> None:
    answer = api.post("evaluate", call(params=LARGE)).json()
    assert (answer["decision"], answer["code"], answer["rule"]) == (
        "review",
        "policy_review_required",
        "refund-over-limit",
    )
    assert answer["message"] == "Refunds above USD 500.00 need a person."
    assert answer["review"]["state"] == "pending"
    assert answer["review"]["url"].endswith(f"/reviews/{answer['review_id']}/")
    assert get(people, answer["review_id"]).params_text == json.dumps(LARGE, separators=(",", ":"), sort_keys=True)


def test_a_refund_on_the_free_plan_is_denied_in_a_200(api: Api) -> None:
    response = api.post("evaluate", call(user_context={"plan": "free"}))
    assert response.status_code == 200
    assert (response.json()["decision"], response.json()["code"]) == ("deny", "policy_denied")
    assert response["Guard-Api-Revision"] == "1"


def test_in_observe_everything_is_allowed_and_the_effect_stays(people: People) -> None:
    enforce_refunds(people, mode="observe")
    answer = Api(people.token).post("evaluate", call(params=LARGE)).json()
    assert (answer["decision"], answer["effect"], answer["mode"]) == ("allow", "review", "observe")
    assert answer["review_id"] is None
    with as_tenant(people.tenant.pk):
        assert not Review.objects.exists()


def test_a_change_of_mode_takes_effect(api: Api, people: People) -> None:
    modes.set_tenant_mode(
        people.tenant.pk, acting=people.adam, mode="observe", evidence=proof(), reason="Back to watching."
    )
    live.forget(people.tenant.pk)
    assert api.post("evaluate", call(params=LARGE)).json()["decision"] == "allow"


def test_an_unmapped_action_is_held_where_the_tenant_enforces(api: Api) -> None:
    answer = api.post("evaluate", call(action_id="db.drop_everything", params={})).json()
    assert (answer["decision"], answer["rule"]) == ("review", None)


@pytest.mark.parametrize(("floor", "decision"), [("review", "review"), ("deny", "deny")])
def test_a_caller_may_tighten(api: Api, floor: str, decision: str) -> None:
    assert api.post("evaluate", call(floor=floor)).json()["decision"] == decision


def test_a_caller_never_loosens(api: Api) -> None:
    answer = api.post("evaluate", call(floor="review", user_context={"plan": "free"})).json()
    assert answer["decision"] == "deny"


def test_a_call_that_its_caller_will_not_run_has_its_entry(api: Api) -> None:
    body = call(action_id="no.such.tool", params={}, refused="invalid_arguments", raw_arguments='{"a": ')
    answer = api.post("evaluate", body).json()
    assert (answer["decision"], answer["code"]) == ("deny", "invalid_arguments")


def test_same_key_and_content_get_the_same_answer_and_review(api: Api, people: People) -> None:
    body = call(params=LARGE)
    first = api.post("evaluate", body).json()
    second = api.post("evaluate", body).json()
    assert second["replayed"] is True
    assert second["review_id"] == first["review_id"]
    assert second["call_id"] == first["call_id"]
    with as_tenant(people.tenant.pk):
        assert (Review.objects.count(), IdempotencyKey.objects.count()) == (1, 1)


def test_a_replay_shows_the_review_as_it_is_now(api: Api, people: People) -> None:
    body = call(params=LARGE)
    first = api.post("evaluate", body).json()
    decide(people, get(people, first["review_id"]), "deny")
    assert api.post("evaluate", body).json()["review"]["state"] == "denied"


def test_same_key_with_other_content_is_a_conflict(api: Api) -> None:
    body = call()
    api.post("evaluate", body)
    response = api.post("evaluate", {**body, "params": LARGE})
    assert (response.status_code, response.json()["code"]) == (409, "idempotency_conflict")


def test_an_old_allow_is_no_permission(api: Api) -> None:
    body = call()
    with time_machine.travel(NOW, tick=False):
        assert api.post("evaluate", body).json()["decision"] == "allow"
    with time_machine.travel(NOW + timedelta(minutes=4), tick=False):
        assert api.post("evaluate", body).json()["replayed"] is True
    with time_machine.travel(NOW + timedelta(minutes=6), tick=False):
        response = api.post("evaluate", body)
    assert (response.status_code, response.json()["code"]) == (409, "answer_expired")


def test_the_key_may_stand_in_the_header(api: Api) -> None:
    body = call(params=LARGE)
    key = body.pop("idempotency_key")
    first = api.post("evaluate", body, **{"idempotency-key": key}).json()
    assert api.post("evaluate", body, **{"idempotency-key": key}).json()["review_id"] == first["review_id"]


def test_a_repeat_joins_its_pending_review(api: Api) -> None:
    first = api.post("evaluate", call(params=LARGE)).json()
    again = api.post("evaluate", call(params=LARGE)).json()
    assert again["review_id"] == first["review_id"]
    assert again["replayed"] is False
    assert api.post("evaluate", call(params=LARGE, repeat="new")).json()["review_id"] != first["review_id"]
    assert api.post("evaluate", call(params=LARGE, run_id="another")).json()["review_id"] != first["review_id"]


def test_a_repeat_of_an_approved_call_is_allowed_with_its_grant(api: Api, people: People) -> None:
    first = api.post("evaluate", call(params=LARGE)).json()
    decide(people, get(people, first["review_id"]))
    again = api.post("evaluate", call(params=LARGE)).json()
    assert again["decision"] == "allow"
    assert again["grant"]["grant_id"].startswith("gr_")
    assert again["params"] == LARGE


def test_a_repeat_of_a_denied_call_is_denied_for_ten_minutes(api: Api, people: People) -> None:
    with time_machine.travel(NOW, tick=False):
        first = api.post("evaluate", call(params=LARGE)).json()
        decide(people, get(people, first["review_id"]), "deny")
    with time_machine.travel(NOW + timedelta(minutes=9), tick=False):
        assert api.post("evaluate", call(params=LARGE)).json()["decision"] == "deny"
    with time_machine.travel(NOW + timedelta(minutes=11), tick=False):
        later = api.post("evaluate", call(params=LARGE)).json()
    assert later["decision"] == "review"
    assert later["review_id"] != first["review_id"]


def test_a_batch_answers_in_order_and_a_bad_call_fails_alone(api: Api, people: People) -> None:
    calls = [call(), call(params=LARGE), call(params="no object"), call(user_context={"plan": "free"})]
    results = api.post("evaluate/batch", {"calls": calls}).json()["results"]
    assert [item.get("decision") for item in results] == ["allow", "review", None, "deny"]
    assert results[2]["error"]["code"] == "invalid_request"
    assert results[2]["error"]["errors"] == [{"path": "/params", "code": "dict_type"}]
    with as_tenant(people.tenant.pk):
        review = Review.objects.get()
    assert (review.call_index, review.call_count) == (2, 3)


def test_equal_items_of_a_batch_are_copies_not_joins(api: Api) -> None:
    results = api.post("evaluate/batch", {"calls": [call(params=LARGE), call(params=LARGE)]}).json()["results"]
    assert results[0]["review_id"] != results[1]["review_id"]


def test_one_key_twice_in_a_batch_is_answered_once(api: Api) -> None:
    body = call(params=LARGE)
    results = api.post("evaluate/batch", {"calls": [body, body, {**body, "params": SMALL}]}).json()["results"]
    assert results[1]["replayed"] is True
    assert results[0]["review_id"] == results[1]["review_id"]
    assert results[2]["error"]["code"] == "idempotency_conflict"


def _raw(**members: bytes) -> bytes:
    fields = {"idempotency_key": b'"k1"', "action_id": b'"billing.refund"', "params": b"{}"} | members
    return b"{" + b",".join(b'"' + name.encode() + b'":' + value for name, value in fields.items()) + b"}"


@pytest.mark.parametrize(
    ("body", "status", "code"),
    [
        (b"{", 400, "malformed_json"),
        (b"\xff\xfe", 400, None),
        (_raw(params=b'{"a":1,"a":2}'), 422, None),
        (_raw(params=b'{"a":NaN}'), None, None),
        (_raw(params=b'{"a":"\\u0000"}'), 422, None),
        (_raw(params=b'{"a":"\\ud800"}'), 422, None),
        (_raw(params=b'{"a":12345678901234567890}'), 422, None),
        (_raw(params=b'{"a":' + b"[" * 40 + b"]" * 40 + b"}"), 422, None),
        (_raw(params=b'{"a":"' + b"x" * 262_145 + b'"}'), 422, "invalid_request"),
        (_raw(params=b'{"a":"' + b"x" * 1_100_000 + b'"}'), 413, "too_large"),
        (_raw(params=b"[]"), 422, "invalid_request"),
        (_raw(params=b"null"), 422, "invalid_request"),
        (_raw(action_id=b"7"), 422, "invalid_request"),
        (_raw(action_id='"café"'.encode()), 422, "invalid_request"),
        (_raw(floor=b'"allow"'), 422, "invalid_request"),
        (_raw(flor=b'"review"'), 422, "invalid_request"),
        (_raw(user_context=b'"u"'), 422, "invalid_request"),
        (_raw(resume=b'{"target":"https://evil.example"}'), 422, "invalid_request"),
        (b'{"action_id":"billing.refund","params":{}}', 422, "invalid_request"),
        (b"[]", 422, "invalid_request"),
        (b"null", 422, "invalid_request"),
    ],
)
def test_bad_json_is_refused_by_name_and_recorded(
    api: Api, people: People, body: bytes, status: int | None, code: str | None
) -> None:
    response = api.post("evaluate", body)
    assert response.status_code == (status or response.status_code)
    assert response.status_code in {400, 413, 422}
    assert response["Content-Type"] == "application/problem+json"
    problem = response.json()
    assert problem["code"] == (code or problem["code"])
    assert problem["request_id"]
    assert b"evil" not in response.content
    with as_tenant(people.tenant.pk):
        assert not IdempotencyKey.objects.exists()
    assert [entry["size"] for entry in entries(people, "call.refused")] == [len(body) if len(body) < 2**20 else 0]


def test_another_content_type_is_refused(api: Api) -> None:
    assert api.post("evaluate", call(), content_type="text/plain").status_code == 415


@pytest.mark.parametrize("token", ["", "nonsense", "gsk_live_0123456789abcdef_" + "x" * 43])
def test_a_wrong_key_is_refused(people: People, token: str) -> None:
    response = Api(token).post("evaluate", call())
    assert (response.status_code, response.json()["code"]) == (401, "key_invalid")


def test_a_revoked_or_expired_key_is_refused(api: Api, people: People) -> None:
    with as_tenant(people.tenant.pk):
        key = ApiKey.objects.get()
    keys.revoke(key, acting_member=people.adam, now=datetime.now(UTC))
    assert api.post("evaluate", call()).status_code == 401


def test_a_key_without_the_scope_is_refused(people: People) -> None:
    token = keys.issue(
        people.tenant.pk, name="read", agent=people.agent, scopes=("reviews",), acting_member=people.adam
    ).token
    response = Api(token).post("evaluate", call())
    assert (response.status_code, response.json()["code"]) == (403, "scope_missing")


def test_a_rotated_key_overlaps_with_its_successor(api: Api, people: People) -> None:
    with as_tenant(people.tenant.pk):
        key = ApiKey.objects.get()
    issued = keys.rotate(key, acting_member=people.adam, now=datetime.now(UTC))
    assert Api(issued.token).post("evaluate", call()).status_code == 200
    assert api.post("evaluate", call()).status_code == 200
    with time_machine.travel(datetime.now(UTC) + timedelta(hours=25)):
        assert api.post("evaluate", call()).status_code == 401
        assert Api(issued.token).post("evaluate", call()).status_code == 200


def test_a_gateway_key_names_its_agent(people: People) -> None:
    enforce_refunds(people)
    gateway = Api(keys.issue(people.tenant.pk, name="gateway", agent=None, acting_member=people.adam).token)
    assert gateway.post("evaluate", call()).json()["errors"] == [{"path": "/agent", "code": "missing"}]
    assert gateway.post("evaluate", call(agent="nobody")).json()["errors"][0]["code"] == "unknown_agent"
    assert gateway.post("evaluate", call(agent="refund-bot")).json()["decision"] == "allow"


def test_too_many_calls_are_told_when_to_ask_again(api: Api, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(limits, "CALLS_PER_SECOND", 0.1)  # a slow machine must not refill what it uses
    calls = {"calls": [{"bad": 1}] * 50}
    answers = [api.post("evaluate/batch", calls) for _ in range(4)]
    refused = [answer for answer in answers if answer.status_code == 429]
    assert refused
    assert refused[0].json()["code"] == "rate_limited"
    assert int(refused[0]["Retry-After"]) >= 1


def test_the_entry_names_rule_revision_and_digest_and_holds_no_value(api: Api, people: People) -> None:
    answer = api.post("evaluate", call(params={**LARGE, "reason": "Customer upset"})).json()
    entry = entries(people)[-1]
    assert entry["rule"] == {"id": "refund-over-limit"}
    assert entry["review"] == {"id": answer["review_id"]}
    assert entry["revision"]["sha256"] == answer["revision"]["hash"].removeprefix("sha256:")
    assert "sha256:" + entry["call_digest"] == answer["call_digest"]
    assert "upset" not in json.dumps(entry)
    assert entry["id"] == answer["receipt"]["entry_id"]
