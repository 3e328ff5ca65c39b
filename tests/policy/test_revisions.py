"""Publish and roll back: checked, immutable, on the chain."""

from __future__ import annotations

from typing import Any

import pytest
from django.db import DatabaseError, connection, transaction

from audit.scope import as_tenant
from policy.drafts import delete_rule, save_rule
from policy.errors import InvalidRule, ModeUnchanged, NoSuchRow, NotPublishable, PolicyForbidden, ReasonTooShort
from policy.evaluate import Call
from policy.live import live_policy
from policy.models import PolicyState, Revision, Rule
from policy.revisions import draft_problems, publish, roll_back
from policy.snapshot import BadSnapshot, diff, read
from tests.people import People, proof
from tests.policy.calls import a_call
from tests.policy.drafts import a_draft_rule, an_action, entries

WHY = "First rules for refunds."


def decide(people: People, call: Call) -> str:
    return live_policy(people.tenant.pk).decide(call).effect


def test_publishing_makes_a_numbered_hashed_revision_that_decides(people: People) -> None:
    an_action(people)
    a_draft_rule(people)
    assert live_policy(people.tenant.pk).decide(a_call({"amount_cents": 60_000})).mapped is False
    revision = publish(people.tenant.pk, acting=people.adam, reason=WHY, evidence=proof())
    ruling = live_policy(people.tenant.pk).decide(a_call({"amount_cents": 60_000}))
    assert (ruling.effect, ruling.decision, ruling.mapped) == ("review", "allow", True)
    assert (ruling.revision_id, ruling.revision_number) == (str(revision.pk), 1)
    assert ruling.revision_sha256 == revision.sha256
    assert ruling.message == "Refunds above USD 500.00 need a person."
    assert ruling.primary is not None
    assert ruling.primary.leaves[0].sentence == "amount_cents 60000 is above 50000"
    assert decide(people, a_call({"amount_cents": 60})) == "allow"
    with as_tenant(people.tenant.pk):
        assert PolicyState.objects.get().live_id == revision.pk
        assert Revision.objects.get().published_by == people.adam


def test_the_draft_does_not_act_until_it_is_published(people: People) -> None:
    an_action(people)
    rule = a_draft_rule(people)
    publish(people.tenant.pk, acting=people.adam, reason=WHY, evidence=proof())
    rule.condition = "params.amount_cents > 10"
    rule.tests = []
    save_rule(people.tenant.pk, acting=people.adam, rule=rule)
    assert decide(people, a_call({"amount_cents": 60})) == "allow"
    publish(people.tenant.pk, acting=people.adam, reason="Lower the limit for a week.", evidence=proof())
    assert decide(people, a_call({"amount_cents": 60})) == "review"


@pytest.mark.parametrize("who", ["rita", "lena", "otto", "devi", "nia"])
def test_only_who_may_publish_publishes(people: People, who: str) -> None:
    a_draft_rule(people)
    with pytest.raises(PolicyForbidden):
        publish(people.tenant.pk, acting=getattr(people, who), reason=WHY, evidence=proof())
    with pytest.raises(PolicyForbidden):
        roll_back(people.tenant.pk, acting=getattr(people, who), number=1, reason=WHY, evidence=proof())
    with as_tenant(people.tenant.pk):
        assert not Revision.objects.exists()


@pytest.mark.parametrize("reason", ["", "short", " " * 20, "aaaaaaaaaaaaaaa", "  too short  "[:11]])
def test_a_reason_says_something(people: People, reason: str) -> None:
    a_draft_rule(people)
    with pytest.raises(ReasonTooShort):
        publish(people.tenant.pk, acting=people.adam, reason=reason, evidence=proof())


def test_a_draft_with_problems_names_them_all_and_changes_nothing(people: People) -> None:
    a_draft_rule(people)
    publish(people.tenant.pk, acting=people.adam, reason=WHY, evidence=proof())
    a_draft_rule(people, slug="wrong-test", tests=[{"name": "t", "context": {"params": {}}, "expect": "match"}])
    a_draft_rule(people, slug="no-such", effect="allow", suppresses=["missing"], tests=[])
    a_draft_rule(people, slug="untested", effect="deny", tests=[])
    with as_tenant(people.tenant.pk):
        Rule.objects.filter(slug="refund-cap").update(condition="params.to.map(x, x) == []")
    with pytest.raises(NotPublishable) as caught:
        publish(people.tenant.pk, acting=people.adam, reason=WHY, evidence=proof())
    found = {problem.rule_id: problem.sentence for problem in caught.value.problems}
    assert found == {
        "refund-cap": "Line 1, column 11: `map` is not available; use `icontains`, `regex`, `exists`.",
        "wrong-test": "Test t: expected match, got error.",
        "no-such": "It switches off missing, which is no review rule.",
        "untested": "A deny rule needs a test that matches and one that does not.",
    }
    assert draft_problems(people.tenant.pk) == list(caught.value.problems)
    with as_tenant(people.tenant.pk):
        state = PolicyState.objects.select_related("live").get()
        assert state.live is not None
        assert state.live.number == 1


def test_untested_deny_rules_are_published_on_record_only(stored: People) -> None:
    a_draft_rule(stored, slug="no-free", effect="deny", condition="user.plan == 'free'", tests=[])
    with pytest.raises(NotPublishable):
        publish(stored.tenant.pk, acting=stored.adam, reason=WHY, evidence=proof())
    revision = publish(stored.tenant.pk, acting=stored.adam, reason=WHY, accept_untested=True, evidence=proof())
    assert revision.notes == "Published without tests: no-free."
    assert entries(stored, "revision.published")[-1]["untested"] == ["no-free"]


def test_nothing_new_is_not_published_and_a_changed_draft_is_not_published_unseen(people: People) -> None:
    a_draft_rule(people)
    revision = publish(people.tenant.pk, acting=people.adam, reason=WHY, evidence=proof())
    with pytest.raises(NotPublishable, match="Nothing differs from revision 1"):
        publish(people.tenant.pk, acting=people.adam, reason=WHY, evidence=proof())
    a_draft_rule(people, slug="another")
    with pytest.raises(NotPublishable, match="changed since you read it"):
        publish(people.tenant.pk, acting=people.adam, reason=WHY, expected_sha256=revision.sha256, evidence=proof())


def test_rolling_back_makes_an_earlier_revision_live_and_keeps_the_draft(people: People) -> None:
    an_action(people)
    rule = a_draft_rule(people)
    publish(people.tenant.pk, acting=people.adam, reason=WHY, evidence=proof())
    delete_rule(people.tenant.pk, acting=people.adam, rule=rule)
    publish(people.tenant.pk, acting=people.adam, reason="The refund rule is not needed.", evidence=proof())
    assert decide(people, a_call({"amount_cents": 60_000})) == "allow"
    with pytest.raises(ModeUnchanged):
        roll_back(people.tenant.pk, acting=people.adam, number=2, reason=WHY, evidence=proof())
    with pytest.raises(NoSuchRow):
        roll_back(people.tenant.pk, acting=people.adam, number=7, reason=WHY, evidence=proof())
    roll_back(people.tenant.pk, acting=people.adam, number=1, reason="It was needed after all.", evidence=proof())
    assert decide(people, a_call({"amount_cents": 60_000})) == "review"
    with as_tenant(people.tenant.pk):
        assert not Rule.objects.exists()
    publish(people.tenant.pk, acting=people.adam, reason="And now really without it.", evidence=proof())
    with as_tenant(people.tenant.pk):
        assert list(Revision.objects.values_list("number", flat=True)) == [3, 2, 1]


def test_the_entry_names_old_and_new_by_id_and_hash(stored: People) -> None:
    a_draft_rule(stored)
    first = publish(stored.tenant.pk, acting=stored.adam, reason=WHY, evidence=proof())
    a_draft_rule(stored, slug="another")
    second = publish(stored.tenant.pk, acting=stored.adam, reason=WHY, evidence=proof())
    roll_back(stored.tenant.pk, acting=stored.adam, number=1, reason=WHY, evidence=proof())
    one, two, back = entries(stored, "revision.published")
    named = [{"id": str(found.pk), "number": found.number, "sha256": found.sha256} for found in (first, second)]
    assert (one["revision"], one["previous"], one["rollback"]) == (named[0], None, False)
    assert (two["revision"], two["previous"], two["rollback"]) == (named[1], named[0], False)
    assert (back["revision"], back["previous"], back["rollback"]) == (named[0], named[1], True)
    assert one["actor"] == {"type": "member", "id": str(stored.adam.pk)}


@pytest.mark.parametrize(
    "statement",
    [
        "UPDATE policy_revision SET snapshot = '{}'",
        "UPDATE policy_revision SET sha256 = repeat('0', 64)",
        "DELETE FROM policy_revision",
        "TRUNCATE policy_revision CASCADE",
    ],
)
@pytest.mark.parametrize("role", ["gs_app", "gs_owner"])
def test_the_database_refuses_to_change_a_revision(cloned_db: dict[str, str], statement: str, role: str) -> None:
    """As the web's role, which may not; and as the owner of the table, who meets the trigger."""
    import psycopg

    from guardsite import testing
    from tests.people import make_people

    people = make_people()
    a_draft_rule(people)
    publish(people.tenant.pk, acting=people.adam, reason=WHY, evidence=proof())
    name = str(connection.settings_dict["NAME"])
    connection.close()
    with psycopg.connect(testing.server().conninfo(dbname=name)) as session:
        session.execute(f"SET ROLE {role}")
        session.execute("SELECT set_config('guardsite.tenant', %s, false)", [str(people.tenant.pk)])
        expected = psycopg.errors.InsufficientPrivilege if role == "gs_app" else psycopg.errors.IntegrityError
        with pytest.raises(expected):
            session.execute(statement)


def test_a_state_cannot_point_at_another_tenants_revision(people: People) -> None:
    a_draft_rule(people)
    revision = publish(people.tenant.pk, acting=people.adam, reason=WHY, evidence=proof())
    with pytest.raises(DatabaseError), transaction.atomic(), as_tenant(people.other_tenant.pk):
        PolicyState.objects.update(live=revision.pk)


def test_a_snapshot_that_is_not_what_its_hash_says_is_refused(people: People) -> None:
    an_action(people, tier_floor=2)
    a_draft_rule(people)
    revision = publish(people.tenant.pk, acting=people.adam, reason=WHY, evidence=proof())
    read_back = read(revision.snapshot, sha256=revision.sha256, revision_id="x", number=1)
    assert read_back.actions == {"billing.refund": 2}
    assert read_back.rules[0].when == "params.amount_cents > 50000"
    with pytest.raises(BadSnapshot):
        read(revision.snapshot.replace("50000", "50001"), sha256=revision.sha256, revision_id="x", number=1)


def test_the_difference_is_told_field_by_field(people: People) -> None:
    an_action(people)
    rule = a_draft_rule(people)
    first = publish(people.tenant.pk, acting=people.adam, reason=WHY, evidence=proof())
    rule.condition, rule.tests = "params.amount_cents > 70000", []
    save_rule(people.tenant.pk, acting=people.adam, rule=rule)
    a_draft_rule(people, slug="another")
    second = publish(people.tenant.pk, acting=people.adam, reason=WHY, evidence=proof())
    found = {
        (change.what, change.field): (change.before, change.after) for change in diff(first.snapshot, second.snapshot)
    }
    assert found[("Rule refund-cap", "when")] == ("params.amount_cents > 50000", "params.amount_cents > 70000")
    assert found[("Rule another", None)][0] is None
    assert ("Action billing.refund", "title") not in found
    assert {what for what, _ in found} == {"Rule refund-cap", "Rule another"}
    assert ("Rule refund-cap", None) in {(change.what, change.field) for change in diff(None, first.snapshot)}


def test_a_bad_rule_is_not_saved(people: People) -> None:
    wrong: list[dict[str, Any]] = [
        {"condition": "params.a and params.b"},
        {"condition": ""},
        {"scope_actions": []},
        {"scope_actions": ["billing refund"]},
        {"suppresses": ["x"]},
        {"tests": [{"name": "x"}]},
        {"tests": {"name": "x"}},
        {"tests": [{"name": "x", "context": {"params": 5}, "expect": "match"}]},
        {"tests": [{"name": "x", "context": {"now": "yesterday"}, "expect": "match"}]},
    ]
    for fields in wrong:
        with pytest.raises(InvalidRule):
            a_draft_rule(people, **fields)
    with as_tenant(people.tenant.pk):
        assert not Rule.objects.exists()
    with pytest.raises(PolicyForbidden):
        save_rule(people.tenant.pk, acting=people.rita, rule=Rule(slug="x", condition="true"))


def test_each_change_of_the_draft_is_an_entry(stored: People) -> None:
    rule = a_draft_rule(stored)
    delete_rule(stored.tenant.pk, acting=stored.adam, rule=rule)
    an_action(stored)
    assert [(body["rule"]["id"], body["change"]) for body in entries(stored, "rule.changed")] == [
        ("refund-cap", "created"),
        ("refund-cap", "deleted"),
    ]
    assert [body["action_id"] for body in entries(stored, "action.changed")] == ["billing.refund"]
