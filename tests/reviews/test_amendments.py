"""Approving with changes: types survive, only what is released moves and only the safe way, schema and policy are asked."""

from __future__ import annotations

import json
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest
from django.test import Client
from hypothesis import given
from hypothesis import strategies as st

from audit.scope import as_tenant
from policy import live
from policy.models import Action
from reviews import amendments, executions, reading, verdicts
from reviews.amend_fields import AmendField, Kind, NotThisError, check_change, read_posted
from reviews.asked import active_template
from reviews.choices import Choice
from reviews.errors import AlreadyDecided, AlreadyGiven, GrantMismatch, InvalidAmendment, InvalidVerdict, Stale
from reviews.models import Grant, Review, Verdict
from reviews.views.page import places_that_differ
from tests.factories import ask, decide, get, held_review, refund_rule
from tests.people import People
from tests.reviews.chain import bodies
from tests.reviews.severe import SEVERE, seen_of, severe_choice, severe_desk

NOW = datetime(2026, 11, 20, 12, 0, tzinfo=UTC)
LINES = [{"sku": "a", "count": 1}, {"sku": "b", "count": 1}, {"sku": "c", "count": 2}]
CALL = {**SEVERE, "why": "Short.", "lines": LINES, "flag": True, "code": "1"}


def amended(**changes: Any) -> dict[str, Any]:
    return {**CALL, "amount_cents": 12000} | changes


def amend(people: People, review: Review, params: dict[str, Any], **changes: Any) -> Verdict:
    """Rita's approval with changes of what she sees."""
    usual: dict[str, Any] = {
        "kind": "approve_with_amendments", "code": "wrong_amount", "params": params, "typed": "120",
    }  # fmt: skip
    choice = severe_choice(**usual | changes.pop("choice", {}))
    return decide(people, review, choice=choice, **({"now": NOW} | seen_of(review) | changes))


def refusal(people: People, review: Review, params: dict[str, Any]) -> InvalidAmendment:
    """Why the change is refused; nothing may be decided then."""
    with pytest.raises(InvalidAmendment) as refused:
        amend(people, review, params)
    with as_tenant(people.tenant.pk):
        assert not Verdict.objects.filter(review=review).exists()
    return refused.value


@pytest.fixture
def review(people: People) -> Review:
    """A refund at tier 2 that may be lowered."""
    severe_desk(people, tier=2)
    return held_review(people, now=NOW, params=CALL)


def test_an_amended_call_is_what_runs_and_the_agent_is_told(people: People, review: Review) -> None:
    verdict = amend(people, review, amended())
    told = reading.read_reviews(people.caller, [review.wire_id], now=NOW)[0]
    assert (told["state"], told["verdict"], told["amended"]) == ("approved", "approve_with_amendments", True)
    assert told["params"] == amended()
    assert told["call_digest"] == f"sha256:{verdict.amended_digest}" != f"sha256:{review.call_digest}"
    assert told["message"] == "Approved with another amount. Use the params of this answer."

    def run(params: dict[str, Any]) -> executions.Started:
        return executions.start(
            people.caller, grant_id=told["grant"]["grant_id"], params=params, idempotency_key="k", now=NOW
        )

    with pytest.raises(GrantMismatch):
        run(CALL)
    assert run(amended()).call_digest == verdict.amended_digest


def test_a_form_gives_its_own_amendment_again_and_never_another_verdict(people: People, review: Review) -> None:
    first = amend(people, review, amended(), idempotency_key="form-1")
    assert amend(people, review, amended(), idempotency_key="form-1").pk == first.pk
    with pytest.raises(AlreadyDecided):
        amend(people, review, amended(amount_cents=100), idempotency_key="form-1")


def test_the_form_of_an_approval_amends_nothing_later(people: People, review: Review) -> None:
    told: dict[str, Any] = {"code": "other", "note": "Checked with the customer."}
    decide(people, review, choice=Choice(kind="approve", **told), now=NOW, idempotency_key="form-1")
    with pytest.raises(AlreadyDecided):
        amend(people, review, amended(), choice=told, idempotency_key="form-1")


def test_types_survive_an_amendment(people: People, review: Review) -> None:
    verdict = amend(people, review, amended())
    assert json.loads(verdict.amended_params_text) == amended()
    kept = json.loads(verdict.amended_params_text)
    assert (kept["flag"], kept["code"], kept["lines"][0]["count"]) == (True, "1", 1)
    assert isinstance(kept["flag"], bool)
    assert isinstance(kept["lines"][0]["count"], int)
    assert isinstance(kept["amount_cents"], int)


@pytest.mark.parametrize(
    "params",
    [
        pytest.param(amended(amount_cents=62001), id="raised"),
        pytest.param(amended(amount_cents=-1), id="below zero"),
        pytest.param(amended(amount_cents="12000"), id="a number as text"),
        pytest.param(amended(amount_cents=True), id="a number as a yes"),
        pytest.param(amended(amount_cents=None), id="no number"),
        pytest.param(amended(amount_cents=12000.5), id="an integer with decimals"),
        pytest.param(amended(invoice_id="in_99"), id="a locked value"),
        pytest.param(amended(currency="EUR"), id="a value that the template does not name"),
        pytest.param(amended(extra="x"), id="a value more"),
        pytest.param({key: value for key, value in amended().items() if key != "currency"}, id="a locked value less"),
        pytest.param({key: value for key, value in amended().items() if key != "amount_cents"}, id="a value less"),
        pytest.param(amended(lines=[*LINES, {"sku": "d", "count": 1}]), id="an entry more"),
        pytest.param(amended(lines=[LINES[1], LINES[0]]), id="entries in another order"),
        pytest.param(amended(lines=[{"sku": "a", "count": True}]), id="an entry of another type"),
        pytest.param(amended(lines=[]), id="no entry left"),
        pytest.param(amended(flag=1), id="a yes as a number"),
        pytest.param(dict(CALL), id="nothing changed"),
    ],
)
def test_what_may_not_be_changed_is_refused_whoever_posts_it(
    people: People, review: Review, params: dict[str, Any]
) -> None:
    refusal(people, review, params)
    assert amend(people, review, amended())


def test_a_list_loses_entries_and_a_text_that_is_free_is_rewritten(people: People, review: Review) -> None:
    verdict = amend(people, review, {**CALL, "lines": [LINES[0], LINES[2]], "why": "Only two lines."}, choice={})
    assert json.loads(verdict.amended_params_text)["lines"] == [LINES[0], LINES[2]]


def test_a_change_that_does_not_fit_the_schema_names_its_place(people: People, review: Review) -> None:
    with as_tenant(people.tenant.pk):
        Action.objects.filter(action_id="billing.refund").update(
            schema={"type": "object", "properties": {"amount_cents": {"type": "integer", "minimum": 20000}}}
        )
    assert refusal(people, review, amended()).details["errors"] == {"/amount_cents": "The least is 20000."}


@pytest.mark.parametrize("schema", [{"$ref": "https://schemas.example/refund.json"}, {"type": 7}, {"$ref": "#/none"}])
def test_a_schema_that_cannot_be_used_lets_nothing_through_and_fetches_nothing(
    people: People, review: Review, schema: dict[str, Any]
) -> None:
    with as_tenant(people.tenant.pk):
        Action.objects.filter(action_id="billing.refund").update(schema=schema)
    refusal(people, review, amended())


def test_policy_that_denies_the_amended_call_is_named_with_the_highest_value_it_takes(people: People) -> None:
    ceiling = refund_rule(
        slug="hard-ceiling",
        name="Hard ceiling",
        condition="params.amount_cents > 50000 && params.amount_cents < 62000",
        effect="deny",
        reason="Too much.",
        tests=[
            {"name": "above", "context": {"params": {"amount_cents": 60000}}, "expect": "match"},
            {"name": "below", "context": {"params": {"amount_cents": 50000}}, "expect": "no match"},
        ],
    )
    severe_desk(people, refund_rule(tier=2), ceiling)
    review = held_review(people, now=NOW, params=CALL)
    error = refusal(people, review, amended(amount_cents=60000))
    assert error.sentence == (
        "USD 600.00 would be denied by Hard ceiling. The highest you can approve is USD 500.00. Nothing was sent."
    )
    assert amend(people, review, amended())


def test_a_freeze_meanwhile_refuses_the_amended_call(people: People, review: Review) -> None:
    from policy.models import Freeze

    with as_tenant(people.tenant.pk):
        Freeze.objects.create(
            tenant=people.tenant, scope="agent", target="refund-bot", reason="Odd.", frozen_by=people.adam
        )
    live.forget(people.tenant.pk)
    assert "a freeze" in refusal(people, review, amended()).sentence


def test_a_higher_tier_of_the_amended_call_raises_the_ladder_and_stays(people: People) -> None:
    small = refund_rule(
        slug="small-refunds", name="Small refunds", condition="params.amount_cents < 20000", tier=3, tests=[]
    )
    severe_desk(people, refund_rule(tier=2), small)
    review = held_review(people, now=NOW, params=CALL)
    with as_tenant(people.tenant.pk):
        proposal = amendments.propose(review, amended(), template=active_template(review), now=NOW)
    assert (proposal.tier, [hit.name for hit in proposal.new_rules]) == (3, ["Small refunds"])
    with pytest.raises(InvalidVerdict) as refused:
        amend(people, review, amended(), choice={"note": "short"})
    assert "note" in refused.value.details["errors"]  # type: ignore[operator]
    amend(people, review, amended())
    assert get(people, review.wire_id).tier == 3


def test_a_tier_four_of_the_amended_call_alone_makes_it_wait_for_a_second_person(people: People) -> None:
    small = refund_rule(
        slug="small-refunds", name="Small refunds", condition="params.amount_cents < 20000", tier=4, tests=[]
    )
    severe_desk(people, refund_rule(tier=2), small)
    review = held_review(people, now=NOW, params=CALL)
    amend(people, review, amended())
    after = get(people, review.wire_id)
    assert (after.state, after.tier, after.approvals_needed) == ("open", 4, 2)


@pytest.fixture
def for_two(people: People) -> Review:
    """A refund at tier 4."""
    severe_desk(people, tier=4)
    return held_review(people, now=NOW, params=CALL)


def test_an_amendment_by_the_second_person_clears_the_first_approval(people: People, for_two: Review) -> None:
    first = decide(people, for_two, now=NOW, choice=severe_choice())
    second = amend(people, for_two, amended(), acting_member=people.lena)
    with as_tenant(people.tenant.pk):
        first.refresh_from_db()
        assert not Grant.objects.exists()
    assert (first.cleared_at, second.slot) == (NOW, 1)
    waiting = get(people, for_two.wire_id)
    assert waiting.wire_state_at(NOW) == "pending"
    # Who read the original call approves nothing with it any more.
    with pytest.raises(Stale):
        decide(people, waiting, now=NOW, choice=severe_choice(), acting_member=people.adam)
    # Whoever amended is not the second person, whoever was cleared may be.
    with pytest.raises(AlreadyGiven):
        decide(
            people, waiting, now=NOW, choice=severe_choice(typed="120"), acting_member=people.lena, **seen_of(waiting)
        )
    with pytest.raises(InvalidVerdict):
        decide(people, waiting, now=NOW, choice=severe_choice(typed="620"), **seen_of(waiting))
    final = decide(people, waiting, now=NOW, choice=severe_choice(typed="120"), **seen_of(waiting))
    assert (final.slot, final.kind) == (2, "approve_with_amendments")
    told = reading.read_reviews(people.caller, [for_two.wire_id], now=NOW)[0]
    assert (told["amended"], told["params"], told["verdict"]) == (True, amended(), "approve_with_amendments")


def test_an_amended_call_of_two_can_be_denied_and_taken_back(people: People, for_two: Review) -> None:
    amend(people, for_two, amended())
    verdicts.undo(for_two.wire_id, acting_member=people.rita, now=NOW)
    assert decide(people, for_two, now=NOW, choice=severe_choice())
    amend(people, for_two, amended(), acting_member=people.lena)
    waiting = get(people, for_two.wire_id)
    decide(people, waiting, "deny", now=NOW, acting_member=people.adam, **seen_of(waiting))
    assert get(people, for_two.wire_id).wire_state_at(NOW) == "denied"


@pytest.mark.parametrize("which", ["original", "amended"])
def test_the_call_asked_again_in_either_form_meets_its_approval(people: People, review: Review, which: str) -> None:
    amend(people, review, amended())
    # The amended call alone would be allowed without anybody: a rule that holds it too makes the repeat meet the review.
    params = CALL if which == "original" else amended(amount_cents=12000)
    answer = ask(people, now=NOW + timedelta(seconds=5), params=params, floor="review", run_id=review.run_id)
    assert (answer["decision"], answer["review_id"], answer["amended"]) == ("allow", review.wire_id, True)
    assert answer["params"] == amended()


def test_the_entry_keeps_both_digests_and_what_policy_said(committed_people: People) -> None:
    people = committed_people
    severe_desk(people, tier=2)
    review = held_review(people, now=NOW, params=CALL)
    verdict = amend(people, review, amended())
    entry = next(body for body in bodies(people.tenant.pk) if body["kind"] == "review.decided")
    assert (entry["call_digest"], entry["amended_digest"]) == (review.call_digest, verdict.amended_digest)
    assert entry["evaluation"]["effect"] == "allow"
    assert entry["evaluation"]["revision"]["sha256"] == review.revision_sha256
    assert not {"amount_cents", "params", "amended_params"} & set(entry)


def test_a_suggestion_of_a_rule_the_schemas_bound_and_the_limit_are_offered(people: People, review: Review) -> None:
    with as_tenant(people.tenant.pk):
        Action.objects.filter(action_id="billing.refund").update(
            schema={"properties": {"amount_cents": {"type": "integer", "maximum": 60000}}}
        )
        review.suggestions = [{"pointer": "/amount_cents", "value": 30000, "rule": "Refund cap"}]
        basis = amendments.basis_of(review, template=active_template(review), now=NOW)
        fields = {field.pointer: field for field in amendments.with_chips(review, basis, now=NOW)}
    assert [(chip.text, chip.label) for chip in fields["/amount_cents"].chips] == [
        ("300.00", "Lower to USD 300.00"),
        ("600.00", "Lower to USD 600.00"),
        ("500.00", "Lower to USD 500.00"),
    ]
    assert fields["/amount_cents"].shown == "620.00"
    assert set(fields) == {"/amount_cents", "/why", "/lines"}


def number_field(value: float, *, scale: int = 0, direction: str = "down", is_free: bool = False) -> AmendField:
    return AmendField(
        pointer="/n",
        label="N",
        kind=Kind.NUMBER,
        is_free=is_free,
        direction=direction,
        value=value,
        shown="",
        unit="USD",
        scale=scale,
    )


@pytest.mark.parametrize(
    ("typed", "locale", "value"),
    [
        ("120", "en", 12000),
        ("120.50", "en", 12050),
        ("USD 0,120.00", "en", 12000),
        ("120,50", "en", 12050),
        ("4,5", "en", 450),
        ("120,50", "de", 12050),
    ],
)
def test_an_amount_is_typed_as_the_card_writes_it_and_stored_as_it_was_sent(
    typed: str, locale: str, value: int
) -> None:
    values, errors = read_posted([number_field(62000, scale=2)], {"to:/n": [typed]}, locale=locale)
    assert (values, errors) == ({"/n": value}, {})


@pytest.mark.parametrize(
    "typed", ["", "abc", "NaN", "Infinity", "1e400", "120.505", "--1", "620.01", "1,20.00", "4,5000"]
)
def test_what_is_no_amount_or_too_much_is_an_error_of_its_field(typed: str) -> None:
    values, errors = read_posted([number_field(62000, scale=2)], {"to:/n": [typed]})
    assert (values, set(errors)) == ({}, {"/n"})


@given(
    before=st.integers(-(10**9), 10**9),
    after=st.integers(-(10**10), 10**10),
    direction=st.sampled_from(["down", "up", ""]),
)
def test_a_narrow_number_never_moves_the_unsafe_way(before: int, after: int, direction: str) -> None:
    try:
        check_change(number_field(before, direction=direction or "down"), after)
    except NotThisError:
        return
    if direction == "up":
        assert after >= before
    else:
        assert abs(after) <= abs(before)
        assert after * before >= 0


@pytest.mark.parametrize(
    ("after", "is_allowed"),
    [
        ("2026-11-23", True),
        ("2026-11-25", False),
        ("2026-11-23T10:00:00Z", False),
        ("23/11/2026", False),
        ("", False),
    ],
)
def test_a_date_moves_only_as_declared(after: str, is_allowed: bool) -> None:
    field = AmendField(
        pointer="/d", label="D", kind=Kind.DATE, is_free=False, direction="down", value="2026-11-24", shown="2026-11-24"
    )
    _, errors = read_posted([field], {"to:/d": [after]})
    assert (not errors) == is_allowed


def test_the_receipt_says_which_value_is_a_reviewers_and_which_the_agents(people: People, review: Review) -> None:
    client = Client()
    client.force_login(people.rita.user)
    address = f"/reviews/{review.wire_id}/"
    assert "a reviewer changed it" not in client.get(address).content.decode()
    amend(people, review, amended())
    page = client.get(address).content.decode()
    assert page.count("a reviewer changed it") == 1
    assert page.index("USD 120.00 ") < page.index("a reviewer changed it") < page.rindex("the agent said")


def test_the_places_that_differ_are_named_with_all_that_holds_them() -> None:
    before = {"a": 1, "b/c": [1, {"d": True}], "same": [0]}
    after = {"a": 1, "b/c": [1, {"d": 1}], "same": [0], "new": None}
    assert set(places_that_differ(before, after)) == {"", "/b~1c", "/b~1c/1", "/b~1c/1/d", "/new"}
    assert not set(places_that_differ(before, before))
