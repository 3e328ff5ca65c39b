"""The rules' pages over a real log: what rules did, tried on recorded calls, refused at the field, seen by whom."""

from __future__ import annotations

from typing import Any

import pytest
from django.utils import timezone

from audit.scope import as_tenant
from policy import difference, drafts, snapshot
from policy.catalog import note_action
from policy.errors import InvalidRule
from policy.fields import offer
from policy.forms import ActionForm
from policy.models import Action, Rule
from policy.preview import try_rule
from policy.usage import rule_usage
from policy.versions import locked_state
from tenants.models import Member
from tests.factories import ask, decide, enforce_refunds, held_review, refund_rule
from tests.people import People
from tests.policy.drafts import a_draft_rule, an_action, entries
from tests.policy.test_admin import ACTIONS, RULE, RULES, only_rule, signed_in, text_of
from tests.reviews.severe import SEVERE, severe_choice, severe_desk

ROWS = {
    "b-groups": "1",
    "b-join": "all",
    "b-missing": "auto",
    "b-shown": "",
    "b-by_hand": "",
    "b0-combine": "all",
    "b0-0-field": "params.amount_cents",
    "b0-0-operator": "above",
    "b0-0-value": "50,000",
    "b0-1-field": "",
    "b0-1-operator": "",
    "b0-1-value": "",
    "t0-name": "",
    "t0-call": "",
    "t0-expect": "match",
}
POSTED = {**{key: value for key, value in RULE.items() if key != "tests"}, "condition": "", **ROWS}


def test_the_list_counts_matches_verdicts_and_calls_that_failed(stored: People) -> None:
    enforce_refunds(
        stored, refund_rule(), refund_rule(slug="by-weight", name="By weight", condition="params.kg > 5", tests=[])
    )
    for kind in ("approve", "deny", "approve"):
        decide(stored, held_review(stored), kind)
    usage = rule_usage(stored.tenant.pk, now=timezone.now())
    assert (usage["refund-over-limit"].matched, usage["by-weight"].errors) == (3, 3)
    found = {rule_id: (rule.approved, rule.decided) for rule_id, rule in usage.items() if rule.decided}
    assert sum(decided for _, decided in found.values()) == 3
    assert sum(approved for approved, _ in found.values()) == 2
    assert len(usage["by-weight"].failed) == 3
    assert rule_usage(stored.other_tenant.pk, now=timezone.now()) == {}
    page = text_of(signed_in(stored.adam).get(RULES))  # type: ignore[arg-type]  # the client's response
    assert "By weight , 3 calls: billing.refund" in page
    assert "2 of 3" in page
    assert "67 %" not in page  # a rate of three verdicts says nothing
    # Who may only read sees the same list.
    assert "By weight , 3 calls" in text_of(signed_in(stored.lena).get(RULES))  # type: ignore[arg-type]


def test_a_rule_that_is_nearly_always_approved_is_to_be_tuned(stored: People, monkeypatch: pytest.MonkeyPatch) -> None:
    enforce_refunds(stored, refund_rule(), refund_rule(slug="never", name="Never asked", condition="false", tests=[]))
    monkeypatch.setattr("policy.usage.LEAST_TO_TUNE", 4)
    for _ in range(3):
        decide(stored, held_review(stored), "approve")
    page = text_of(signed_in(stored.adam).get(RULES))  # type: ignore[arg-type]  # the client's response
    assert "Rules to tune" not in page  # three verdicts say nothing
    decide(stored, held_review(stored), "approve")
    page = text_of(signed_in(stored.adam).get(RULES))  # type: ignore[arg-type]
    assert "Refund above USD 500 : 4 of 4 calls were approved as asked." in page
    decide(stored, held_review(stored), "deny")
    page = text_of(signed_in(stored.adam).get(RULES))  # type: ignore[arg-type]
    assert "Rules to tune" not in page


def test_a_rule_that_often_asks_for_the_most_care_is_to_be_tuned(
    stored: People, monkeypatch: pytest.MonkeyPatch
) -> None:
    enforce_refunds(stored, refund_rule(tier=3))
    monkeypatch.setattr("policy.usage.LEAST_TO_TUNE", 2)
    held_review(stored)
    held_review(stored)
    page = text_of(signed_in(stored.adam).get(RULES))  # type: ignore[arg-type]  # the client's response
    assert "2 of all 2 held calls are its own at tier 3 or 4." in page


def test_the_figures_of_a_rule_tell_of_no_first_verdict(stored: People) -> None:
    severe_desk(stored, tier=4)
    review = held_review(stored, params=SEVERE)
    before = rule_usage(stored.tenant.pk, now=timezone.now())["refund-over-limit"]
    decide(stored, review, "approve", choice=severe_choice())
    after = rule_usage(stored.tenant.pk, now=timezone.now())["refund-over-limit"]
    assert (after.decided, after.approved) == (before.decided, before.approved) == (0, 0)


@pytest.mark.parametrize(("count", "unit", "stored_as"), [("15", "60", 900), ("2", "3600", 7200), ("", "3600", None)])
def test_a_time_is_a_number_and_a_unit(stored: People, count: str, unit: str, stored_as: int | None) -> None:
    adam = signed_in(stored.adam)
    response: Any = adam.post(f"{RULES}add/", POSTED | {"due_in_seconds_count": count, "due_in_seconds_unit": unit})
    assert response.status_code == 302, text_of(response)
    rule = only_rule(stored)
    assert rule.due_in_seconds == stored_as
    page = adam.get(f"{RULES}{rule.pk}/change/").content.decode()
    assert f'<option value="{unit}" selected>' in page


@pytest.mark.parametrize(("count", "unit", "says"), [("15", "", "Choose the unit."), ("400", "86400", "Give 1 second")])
def test_a_time_that_is_none_is_refused_at_its_field(stored: People, count: str, unit: str, says: str) -> None:
    posted = POSTED | {"due_in_seconds_count": count, "due_in_seconds_unit": unit}
    response: Any = signed_in(stored.adam).post(f"{RULES}add/", posted)
    assert response.status_code == 200
    assert says in text_of(response)


def test_rows_become_the_condition_and_are_stored_beside_it(stored: People) -> None:
    adam = signed_in(stored.adam)
    response: Any = adam.post(f"{RULES}add/", POSTED)
    assert response.status_code == 302, text_of(response)
    rule = only_rule(stored)
    assert rule.condition == "!has(params.amount_cents) || num(params.amount_cents) > 50000"
    assert rule.builder["groups"][0]["rows"][0]["value"] == "50,000"  # type: ignore[index]  # JSON
    page = adam.get(f"{RULES}{rule.pk}/change/").content.decode()
    assert '<option value="above" selected>' in page
    # A condition changed elsewhere, as by an import, closes the rows: they no longer say what counts.
    with as_tenant(stored.tenant.pk):
        Rule.objects.filter(pk=rule.pk).update(condition="params.amount_cents > 1")
    page = adam.get(f"{RULES}{rule.pk}/change/").content.decode()
    assert '<option value="above" selected>' not in page
    assert "The condition is written by hand." in page


def test_a_bad_row_or_test_is_refused_at_its_place_and_nothing_is_lost(stored: People) -> None:
    adam = signed_in(stored.adam)
    for wrong, sentence in (
        ({"b0-0-value": "lots"}, "“lots” is not a number."),
        ({"b0-0-operator": ""}, "Choose how to compare it."),
        ({"b0-0-operator": "in_list", "b0-0-value": "nowhere"}, "There is no list named `nowhere`."),
        ({"t0-call": "amount 5"}, "write one field on each line"),
        ({"b-groups": "9999999"}, None),
    ):
        response: Any = adam.post(f"{RULES}add/", {**POSTED, **wrong})
        if sentence is not None:
            assert response.status_code == 200
            assert sentence in text_of(response)
            for typed in wrong.values():
                assert not typed or typed in response.content.decode()
            with as_tenant(stored.tenant.pk):
                assert not Rule.objects.exists()


def test_a_try_names_who_saw_and_shows_values_only_to_those_who_may(stored: People) -> None:
    enforce_refunds(stored)
    ask(stored, params={"invoice_id": "in_1", "amount_cents": 62_000, "currency": "USD"})
    secret = "amount_cents 62000 is above 50000"
    posted = {**POSTED, "scope_actions": "billing.*", "_try": "Try"}
    page = text_of(signed_in(stored.adam).post(f"{RULES}add/", posted))  # type: ignore[arg-type]
    assert "Of the last 1 call in scope: 1 match." in page
    assert secret in page
    (entry,) = entries(stored, "rule.tried")
    assert (entry["rule"]["id"], entry["calls"], len(entry["refs"])) == ("refund-cap", 1, 1)
    with as_tenant(stored.tenant.pk):
        Member.objects.filter(pk=stored.adam.pk).update(roles=["policy_author"])
    page = text_of(signed_in(stored.adam).post(f"{RULES}add/", posted))  # type: ignore[arg-type]
    assert "Of the last 1 call in scope: 1 match." in page
    assert secret not in page
    assert len(entries(stored, "rule.tried")) == 1


def test_the_builder_offers_what_schemas_calls_and_names_know(stored: People) -> None:
    enforce_refunds(stored, mode="observe")
    schema = {"type": "object", "properties": {"kg": {"type": "number"}, "tags": {"type": "array"}}}
    an_action(stored, "parcel.send", schema=schema)
    ask(stored)
    with as_tenant(stored.tenant.pk):
        everything, parcels = offer(stored.tenant.pk, []), offer(stored.tenant.pk, ["parcel.*"])
    assert everything.kind_of("amount_cents") == everything.kind_of("params.kg") == "number"
    assert (everything.kind_of("user.plan"), everything.kind_of("params.tags")) == ("text", "list")
    assert parcels.kind_of("params.kg") == "number"
    assert "params.amount_cents" not in [field.path for field in parcels.fields]
    assert set(everything.actions) >= {"billing.refund", "parcel.send"}


def test_a_try_says_why_without_the_guards(stored: People) -> None:
    ask(stored, params={"amount_cents": 1900})
    ask(stored, params={})
    rule = drafts.pure_rule(refund_rule(condition="!has(params.amount_cents) || params.amount_cents > 1"))
    with as_tenant(stored.tenant.pk):
        preview = try_rule(stored.tenant.pk, rule)
    assert preview.counts == [("match", 2)]
    assert [tried.reasons for tried in preview.calls] == [
        ("amount_cents is missing",),
        ("amount_cents 1900 is above 1",),
    ]


def test_an_action_mapped_in_between_is_an_error_of_its_field(stored: People, monkeypatch: pytest.MonkeyPatch) -> None:
    an_action(stored, "crm.export")
    with pytest.raises(InvalidRule, match="mapped already"):
        drafts.save_action(stored.tenant.pk, acting=stored.adam, action=Action(action_id="crm.export", title="Again"))
    # The form's own look finds nothing, as when another person maps it a moment later.
    monkeypatch.setattr(ActionForm, "clean_action_id", lambda form: form.cleaned_data["action_id"])
    action = {"action_id": "crm.export", "title": "Again", "schema": "", "tier_floor": "1", "undo_text": ""}
    response: Any = signed_in(stored.adam).post(f"{ACTIONS}add/", action)
    assert response.status_code == 200
    assert "This action is mapped already." in response.context["adminform"].form.errors["action_id"]
    assert "Again" in response.content.decode()


def test_a_difference_reads_field_by_field(stored: People) -> None:
    an_action(stored)
    rule = a_draft_rule(stored)
    with as_tenant(stored.tenant.pk):
        state = locked_state(stored.tenant.pk)
        before, _ = snapshot.write(*drafts.draft_of(stored.tenant.pk, state))
        rule.condition = "params.amount_cents > 7"
        drafts.save_rule(stored.tenant.pk, acting=stored.adam, rule=rule)
        after, _ = snapshot.write(*drafts.draft_of(stored.tenant.pk, state))
    added = {item.what: item for item in difference.difference(snapshot.diff(None, after))}
    assert added["Rule refund-cap"].verb == "added"
    assert ("actions", "billing.refund*") in {(line.field, line.after) for line in added["Rule refund-cap"].lines}
    (changed,) = difference.difference(snapshot.diff(before, after))
    assert (changed.what, changed.verb) == ("Rule refund-cap", "changed")
    assert [line.field for line in changed.lines if line.field == "when"] == ["when"]


def test_a_difference_is_counted_by_kind_and_verb_and_stays_short_enough_to_read() -> None:
    def item(what: str, verb: str) -> difference.Item:
        return difference.Item(what, verb)

    one_each = [item("Rule a", "changed"), item("Action x", "added"), item("Action y", "removed")]
    few = difference.overview([*one_each, item("Action z", "changed"), item("Defaults", "changed")])
    assert few.summary == "1 action added; 1 rule, 1 action and defaults changed; 1 action removed."
    assert [found.what for found in few.folds] == ["Rule a", "Action z", "Defaults"]
    assert [(verb, [found.name for found in rows]) for verb, rows in few.actions] == [
        ("added", ["x"]),
        ("removed", ["y"]),
    ]
    assert few.is_short
    many = difference.overview([item(f"Rule {number}", "added") for number in range(9)])
    assert (many.summary, many.is_short) == ("9 rules added.", False)
    assert difference.overview([]).summary == ""


def test_a_difference_says_seconds_and_no_tier_in_words() -> None:
    changes = [
        snapshot.Change("Rule a", "due_in_seconds", "5400", "86400"),
        snapshot.Change("Rule a", "hold_seconds", "10", "0"),
        snapshot.Change("Action x", "tier_floor", "0", "3"),
    ]
    rule, action = difference.difference(changes)
    assert [(line.before, line.after) for line in rule.lines] == [("90 minutes", "1 day"), ("10 seconds", "none")]
    assert [(line.before, line.after) for line in action.lines] == [("none", "3")]


def test_a_link_proposes_actions_and_a_first_row_or_opens_an_empty_rule(stored: People) -> None:
    adam = signed_in(stored.adam)
    add = f"{RULES}add/?scope_actions=billing.refund"
    page = adam.get(f"{add}&field=params.amount_cents&at_least=470000").content.decode()
    assert 'value="470000"' in page
    assert "amount_cents) &gt;= 470000" in page
    assert "is at least" in page
    for bad in ("field=params.amount_cents&at_least=many", "field=true)+||+(true&at_least=1", "at_least=1"):
        response = adam.get(f"{add}&{bad}")
        assert response.status_code == 200
        assert "&gt;=" not in response.content.decode()


def test_a_pattern_that_fits_no_known_action_is_questioned_and_not_refused(people: People) -> None:
    adam = signed_in(people.adam)
    slip = {**RULE, "scope_actions": "billing.refnd, billing.refund*, payroll.run, crm.note", "_check": "1"}
    # Nothing is known yet, so nothing can be a slip.
    assert "No action that is listed" not in text_of(adam.post(f"{RULES}add/", slip))  # type: ignore[arg-type]
    an_action(people)
    with as_tenant(people.tenant.pk):
        note_action(people.tenant.pk, "crm.note")  # called, and not listed
    said = "No action that is listed or was called fits"
    checked = text_of(adam.post(f"{RULES}add/", slip))  # type: ignore[arg-type]
    assert f"{said} billing.refnd. Did you mean billing.refund?" in checked
    assert f"{said} payroll.run." in checked
    assert "payroll.run. Did you mean" not in checked
    assert checked.count(said) == 2
    assert "No mistake was found." in checked
    del slip["_check"]
    assert adam.post(f"{RULES}add/", slip).status_code == 302
    page = text_of(adam.get("/admin/policy/revision/publish/"))  # type: ignore[arg-type]
    assert f"refund-cap: {said} billing.refnd. Did you mean billing.refund?" in page
    assert "What stands against it" not in page
    with as_tenant(people.tenant.pk):
        Rule.objects.update(scope_actions=["billing.refund"])
    assert "Worth a second look" not in text_of(adam.get("/admin/policy/revision/publish/"))  # type: ignore[arg-type]
