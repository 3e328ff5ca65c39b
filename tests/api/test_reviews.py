"""Reading, cancelling and waiting for reviews; executions; info."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from uuid import uuid4

import pytest
import time_machine

from audit.scope import as_tenant
from reviews import escalation
from reviews.models import Review
from reviews.states import State
from tests.api.conftest import Api
from tests.factories import LARGE, call, decide, get
from tests.people import People
from tests.reviews.chain import bodies

NOW = datetime(2026, 11, 20, 12, 0, tzinfo=UTC)


def hold(api: Api) -> str:
    """The id of a held large refund."""
    review_id: str = api.post("evaluate", call(params=LARGE, repeat="new")).json()["review_id"]
    return review_id


def approve(api: Api, people: People) -> tuple[str, dict[str, object]]:
    """The id of an approved review, and its grant."""
    review_id = hold(api)
    decide(people, get(people, review_id))
    return review_id, api.get(f"reviews/{review_id}").json()["grant"]


def test_a_pending_review_gives_away_nothing(api: Api) -> None:
    review_id = hold(api)
    answer = api.get(f"reviews/{review_id}").json()
    assert (answer["state"], answer["verdict"], answer["grant"], answer["params"]) == ("pending", None, None, None)


def test_an_approved_review_carries_params_and_grant_and_never_the_note(api: Api, people: People) -> None:
    review_id = hold(api)
    decide(people, get(people, review_id))
    response = api.get(f"reviews/{review_id}")
    answer = response.json()
    assert (answer["state"], answer["verdict"], answer["params"]) == ("approved", "approve", LARGE)
    assert answer["grant"]["grant_id"].startswith("gr_")
    assert b"Checked with the customer" not in response.content


@pytest.mark.parametrize("path", ["reviews/rv_" + "0" * 32, "reviews/nonsense", "reviews?id=rv_" + "0" * 32])
def test_an_absent_review_is_404(api: Api, path: str) -> None:
    response = api.get(path)
    assert (response.status_code, response.json()["code"]) == (404, "not_found")


def test_another_tenants_review_grant_and_call_are_absent(api: Api, other_api: Api, people: People) -> None:
    review_id, grant = approve(api, people)
    allowed = api.post("evaluate", call()).json()["call_id"]
    spend = {"grant_id": grant["grant_id"], "params": LARGE, "idempotency_key": "k"}
    assert other_api.get(f"reviews/{review_id}").status_code == 404
    assert other_api.get(f"reviews?id={review_id}").status_code == 404
    assert other_api.post(f"reviews/{review_id}/cancel", {}).status_code == 404
    assert other_api.post("executions", spend).status_code == 404
    assert other_api.post("executions", {"call_id": allowed, "outcome": {"outcome": "failed"}}).status_code == 404
    assert other_api.post("agents/heartbeat", {"waiting": [{"review_id": review_id}]}).json() == {"reviews": []}
    assert api.post("executions", spend).status_code == 201


def test_what_is_approved_and_not_run_is_owed(api: Api, people: People) -> None:
    review_id, grant = approve(api, people)
    hold(api)
    owed = api.get("reviews?state=approved&execution=none").json()
    assert [review["review_id"] for review in owed["reviews"]] == [review_id]
    api.post("executions", {"grant_id": grant["grant_id"], "params": LARGE, "idempotency_key": "k"})
    assert api.get("reviews?state=approved&execution=none").json()["reviews"] == []
    assert api.get("reviews").status_code == 422


def test_a_cancelled_review_takes_no_verdict(api: Api, people: People) -> None:
    review_id = hold(api)
    answer = api.post(f"reviews/{review_id}/cancel", {"reason": "run aborted"}).json()
    assert answer["state"] == "withdrawn"
    assert api.post(f"reviews/{review_id}/cancel", {}).status_code == 200
    assert "review.cancelled" in [body["kind"] for body in bodies(people.tenant.pk)]


def test_a_decided_review_cannot_be_cancelled(api: Api, people: People) -> None:
    review_id, _ = approve(api, people)
    response = api.post(f"reviews/{review_id}/cancel", {})
    assert (response.status_code, response.json()["code"]) == (409, "review_closed")


def test_a_heartbeat_says_who_waits_and_who_gave_up(api: Api, people: People) -> None:
    waiting, gone = hold(api), hold(api)
    answer = api.post(
        "agents/heartbeat", {"waiting": [{"review_id": waiting, "next_check_in_s": 3600}], "gone": [gone]}
    ).json()
    assert answer == {"reviews": [{"review_id": waiting, "state": "pending", "version": 1}]}
    assert get(people, gone).caller_gone_at is not None


def test_a_grant_runs_once_and_the_same_key_finds_its_execution_again(api: Api, people: People) -> None:
    _, grant = approve(api, people)
    body = {"grant_id": grant["grant_id"], "params": LARGE, "idempotency_key": "k2"}
    first = api.post("executions", body)
    again = api.post("executions", body)
    other = api.post("executions", {**body, "idempotency_key": "k3"})
    assert (first.status_code, again.status_code) == (201, 200)
    assert again.json() == {**first.json(), "replayed": True}
    assert (other.status_code, other.json()["code"]) == (409, "grant_used")


def test_a_grant_does_not_run_other_params(api: Api, people: People) -> None:
    _, grant = approve(api, people)
    body = {"grant_id": grant["grant_id"], "params": {**LARGE, "amount_cents": 62001}, "idempotency_key": "k"}
    response = api.post("executions", body)
    assert (response.status_code, response.json()["code"]) == (409, "grant_mismatch")
    assert api.post("executions", {**body, "params": LARGE}).status_code == 201


def test_a_grant_lapses_after_an_hour(api: Api, people: People) -> None:
    with time_machine.travel(NOW, tick=False):
        _, grant = approve(api, people)
    body = {"grant_id": grant["grant_id"], "params": LARGE, "idempotency_key": "k"}
    with time_machine.travel(NOW + timedelta(minutes=61), tick=False):
        response = api.post("executions", body)
    assert (response.status_code, response.json()["code"]) == (410, "grant_expired")


def test_an_outcome_is_told_once_and_stands_on_the_chain(api: Api, people: People) -> None:
    _, grant = approve(api, people)
    started = api.post("executions", {"grant_id": grant["grant_id"], "params": LARGE, "idempotency_key": "k"}).json()
    path = f"executions/{started['execution_id']}/outcome"
    outcome = {"outcome": "succeeded", "duration_ms": 412, "reference": "re_123", "error": None}
    assert api.post(path, outcome).json()["state"] == "succeeded"
    assert api.post(path, outcome).status_code == 200
    other = api.post(path, {"outcome": "failed"})
    assert (other.status_code, other.json()["code"]) == (409, "outcome_recorded")
    kinds = [body["kind"] for body in bodies(people.tenant.pk)]
    assert kinds.count("grant.used") == 1
    assert kinds.count("call.outcome") == 1


def test_a_run_that_nobody_reported_is_unknown(api: Api, people: People) -> None:
    with time_machine.travel(NOW, tick=False):
        _, grant = approve(api, people)
        body = {"grant_id": grant["grant_id"], "params": LARGE, "idempotency_key": "k"}
        started = api.post("executions", body).json()
    assert escalation.expire_due(now=NOW + timedelta(minutes=14)) == 0
    assert escalation.expire_due(now=NOW + timedelta(minutes=15)) == 1
    assert escalation.expire_due(now=NOW + timedelta(minutes=16)) == 0
    assert bodies(people.tenant.pk)[-1]["outcome"] == "unknown"
    # Late, but better than nothing: the caller's word still goes on the chain.
    late = api.post(f"executions/{started['execution_id']}/outcome", {"outcome": "succeeded"})
    assert late.json()["state"] == "succeeded"
    assert [body["outcome"] for body in bodies(people.tenant.pk) if body["kind"] == "call.outcome"] == [
        "unknown",
        "succeeded",
    ]


def test_a_plain_allow_reports_in_one(api: Api, people: People) -> None:
    allowed = api.post("evaluate", call()).json()["call_id"]
    held = api.post("evaluate", call(params=LARGE)).json()["call_id"]
    report = {"outcome": {"outcome": "succeeded"}}
    assert api.post("executions", {"call_id": allowed, **report}).json()["state"] == "succeeded"
    assert api.post("executions", {"call_id": held, **report}).status_code == 404
    outcome = bodies(people.tenant.pk)[-1]
    assert (outcome["kind"], outcome["outcome"]) == ("call.outcome", "succeeded")


@pytest.mark.parametrize(
    "body",
    [
        {},
        {"grant_id": "gr_x"},
        {"call_id": "tc_x", "grant_id": "gr_x", "outcome": {"outcome": "failed"}},
        {"call_id": "tc_x", "outcome": {"outcome": "exploded"}},
        {"grant_id": "gr_x", "params": [], "idempotency_key": "k"},
    ],
)
def test_a_half_execution_is_refused(api: Api, body: dict[str, object]) -> None:
    response = api.post("executions", body)
    assert (response.status_code, response.json()["code"]) == (422, "invalid_request")


def test_an_expired_review_is_denied_with_its_entry(api: Api, people: People) -> None:
    with time_machine.travel(NOW, tick=False):
        review_id = hold(api)
    with time_machine.travel(NOW + timedelta(hours=3), tick=False):
        assert api.get(f"reviews/{review_id}").json()["state"] == "expired"
    assert escalation.expire_due(now=NOW + timedelta(hours=3)) == 1
    with as_tenant(people.tenant.pk):
        assert Review.objects.get().state == State.EXPIRED
    assert bodies(people.tenant.pk)[-1]["kind"] == "review.expired"


def test_policy_info_names_modes_and_answers_304(api: Api) -> None:
    response = api.get("policy/info")
    assert response.json()["default_mode"] == "enforce"
    assert response.json()["agent"] == "refund-bot"
    assert response.json()["actions"] == [{"action_id": "billing.refund", "mode": "enforce", "percent": 100}]
    assert api.get("policy/info", **{"if-none-match": response["ETag"]}).status_code == 304


def test_a_wrong_method_is_a_problem_document(api: Api) -> None:
    response = api.get("evaluate")
    assert (response.status_code, response.json()["code"], response["Allow"]) == (405, "method_not_allowed", "POST")


def test_every_v1_path_wants_a_key(people: People) -> None:
    anonymous = Api("")
    uid = uuid4().hex
    for method, path in (
        ("POST", "evaluate"),
        ("POST", "evaluate/batch"),
        ("GET", f"reviews/rv_{uid}"),
        ("GET", "reviews"),
        ("POST", f"reviews/rv_{uid}/cancel"),
        ("POST", "agents/heartbeat"),
        ("POST", "executions"),
        ("POST", f"executions/ex_{uid}/outcome"),
        ("GET", "policy/info"),
    ):
        response = anonymous.request(method, path, {})
        assert response.status_code == 401, path
        assert response["WWW-Authenticate"] == "Bearer"
