"""The rest: sentences of the log, limits of a revision, odd syntax, and reports that are remembered once committed."""

from __future__ import annotations

from dataclasses import replace
from datetime import UTC, datetime
from typing import Any

import pytest

from audit.kinds import EntryView, sentence_of
from audit.scope import as_tenant
from policy import catalog, revisions, snapshot, tree
from policy.cel import Engine
from policy.drafts import save_action
from policy.errors import InvalidRule, NoSuchRow, NotPublishable, Problem
from policy.evaluate import Program, RuleSet, context_of
from policy.models import Action, SeenAction
from policy.revisions import problems_of, publish, roll_back
from policy.ruletests import BadTest, checked_tests, run_tests
from policy.versions import locked_state
from tests.people import People, proof
from tests.policy.calls import a_call, a_rule, a_ruling
from tests.policy.drafts import a_draft_rule

REVISION = {"id": "r", "number": 2, "sha256": "0" * 64}


@pytest.mark.parametrize(
    ("kind", "body", "sentence"),
    [
        ("revision.published", {"revision": REVISION, "previous": None}, "Adam published policy revision 2."),
        (
            "revision.published",
            {"revision": REVISION, "previous": {"number": 1}, "rollback": False},
            "Adam published policy revision 2, after 1.",
        ),
        (
            "revision.published",
            {"revision": REVISION, "previous": {"number": 5}, "rollback": True},
            "Adam rolled policy back from revision 5 to 2.",
        ),
        (
            "mode.changed",
            {
                "scope": "tenant",
                "before": {"mode": "observe", "percent": 100},
                "after": {"mode": "enforce", "percent": 5},
            },
            "Adam switched the tenant from observe to enforce for 5 %.",
        ),
        (
            "mode.changed",
            {
                "scope": "action",
                "action_id": "a.b",
                "before": {"mode": "inherited"},
                "after": {"mode": "enforce", "percent": 100},
            },
            "Adam switched the action a.b from the tenant's mode to enforce.",
        ),
        ("rule.changed", {"rule": {"id": "x"}, "change": "saved"}, "Adam: rule x saved in the draft."),
        ("action.changed", {"action_id": "a.b", "change": "created"}, "Adam: action a.b created in the draft."),
        (
            "defaults.changed",
            {"unmapped": "deny", "mapped": "allow", "on_engine_failure": "deny"},
            "Adam set the defaults: unmapped actions deny, mapped actions allow, on failure deny.",
        ),
    ],
)
def test_entries_read_as_sentences(kind: str, body: dict[str, Any], sentence: str) -> None:
    view = EntryView(1, "u", kind, body, datetime(2026, 1, 1, tzinfo=UTC), "Adam")
    assert sentence_of(view) == sentence


def test_a_revision_has_limits(people: People, monkeypatch: pytest.MonkeyPatch) -> None:
    rules = tuple(a_rule("true", id=f"r{number}") for number in range(501))
    with as_tenant(people.tenant.pk):
        assert list(problems_of(people.tenant.pk, RuleSet(rules, {}))) == [
            Problem("", "A revision holds at most 500 rules.")
        ]
        assert list(problems_of(people.tenant.pk, RuleSet(rules[:101], {"a.b": 0}))) == [
            Problem("", "More than 100 rules are in scope of a.b.")
        ]


def test_a_revision_that_no_longer_compiles_is_not_rolled_back_to(
    people: People, monkeypatch: pytest.MonkeyPatch
) -> None:
    a_draft_rule(people)
    publish(people.tenant.pk, acting=people.adam, reason="First rules for refunds.", evidence=proof())
    a_draft_rule(people, slug="another")
    publish(people.tenant.pk, acting=people.adam, reason="One more rule, a copy.", evidence=proof())

    def with_map(_: object) -> RuleSet:
        return RuleSet((a_rule("params.to.map(x, x) == []", id="old"),), {})

    monkeypatch.setattr(revisions, "read_revision", with_map)
    with pytest.raises(NotPublishable, match="old: This rule no longer compiles"):
        roll_back(people.tenant.pk, acting=people.adam, number=1, reason="Back to the first one.", evidence=proof())

    def unreadable(_: object) -> RuleSet:
        raise snapshot.BadSnapshot("the snapshot is not what its hash says")

    monkeypatch.setattr(revisions, "read_revision", unreadable)
    with pytest.raises(NotPublishable, match="cannot be read"):
        roll_back(people.tenant.pk, acting=people.adam, number=1, reason="Back to the first one.", evidence=proof())


def test_a_snapshot_of_another_form_is_refused() -> None:
    import hashlib

    for text in ("not json", "{}", '{"format": "other/1", "profile": "x"}'):
        digest = hashlib.sha256(text.encode()).hexdigest()
        with pytest.raises(snapshot.BadSnapshot):
            snapshot.read(text, sha256=digest, revision_id="x", number=1)


def test_a_change_of_a_default_is_told() -> None:
    before, _ = snapshot.write(RuleSet((), {}), [])
    after, _ = snapshot.write(RuleSet((), {}, unmapped="deny"), [])
    assert snapshot.diff(before, after) == [snapshot.Change("Defaults", "unmapped", "review", "deny")]


def test_reported_actions_are_remembered_once_committed(stored: People) -> None:
    tenant = stored.tenant.pk
    with as_tenant(tenant):
        catalog.note_action(tenant, "crm.export")
        assert (tenant, "crm.export") not in catalog._known
    assert (tenant, "crm.export") in catalog._known
    with as_tenant(tenant):
        catalog.note_action(tenant, "crm.export")
        assert SeenAction.objects.count() == 1


def test_a_policy_that_was_never_opened_is_not_changed(people: People) -> None:
    from audit.ids import uuid7

    with pytest.raises(NoSuchRow), as_tenant(uuid7()) as _:
        locked_state(uuid7())
    wrong: Any = ["a list"]
    with pytest.raises(InvalidRule):
        save_action(people.tenant.pk, acting=people.adam, action=Action(action_id="a", title="a", schema=wrong))


@pytest.mark.parametrize(
    "tests",
    [
        [{"name": "t", "context": {}, "expect": "match"}] * 2,
        [{"name": "", "context": {}, "expect": "match"}],
        [{"name": "t", "context": {}, "expect": "maybe"}],
        [{"name": "t", "context": {"nothing": {}}, "expect": "match"}],
        [{"name": "t", "context": {"now": "2026-01-05T12:00:00"}, "expect": "match"}],
        [{"name": f"t{number}", "context": {}, "expect": "match"} for number in range(51)],
    ],
)
def test_a_test_without_form_is_refused(tests: list[Any]) -> None:
    with pytest.raises(BadTest):
        checked_tests(tests)


def test_a_rule_test_sets_its_own_time_and_sees_a_call_too_large() -> None:
    rule = a_rule(
        "now.getHours() < 9",
        tests=(
            {"name": "early", "context": {"now": "2026-01-05T08:00:00Z"}, "expect": "match"},
            {"name": "noon", "context": {}, "expect": "no match"},
            {"name": "large", "context": {"params": {"a": "x" * 70_000}}, "expect": "error"},
        ),
    )
    assert all(result.passed for result in run_tests(Program(RuleSet((rule,), {})), rule))


@pytest.mark.parametrize(
    "text",
    [
        "params.a == null",
        "params.a == 5u",
        "params.a == 1.5",
        "params.a == b'x'",
        "params.a == -9223372036854775808",
        "params.a == {'x': [1, true]}",
        "params.a in [timestamp('2026-01-01T00:00:00Z')]",
        "params['x-y']['z'].w == 1",
    ],
)
def test_every_literal_is_read_from_the_tree(text: str) -> None:
    found = tree.read_tree(Engine().compile(text).expression.serialize())
    assert sum(1 for _ in tree.walk(found.root)) > 2


def test_unknown_syntax_is_refused_by_the_reader() -> None:
    for data in (b"\x0b", b"\x12\x04\x22\x02\x10\x01"):
        with pytest.raises(tree.UnknownSyntaxError):
            tree.read_tree(data)


@pytest.mark.parametrize(
    ("when", "params", "texts"),
    [
        ("(params.a == 1 && params.b == 2) ? params.c : params.d", {"a": 1, "b": 2, "c": True}, ["a", "b", "c"]),
        ("(params.a == 1 || params.x == 2) ? params.c : params.d", {"a": 1, "c": True}, ["a", "x", "c"]),
        ("!(params.a == 1) ? params.c : params.d", {"a": 1, "d": True}, ["a", "d"]),
        ("(params.a ? params.b : params.c) ? params.d : params.e", {"a": False, "c": True, "d": True}, ["a", "c", "d"]),
        ("(params.x == 1 && params.a == 1) ? params.c : params.d", {"a": 1}, ["x", "a"]),
    ],
)
def test_a_choice_follows_the_truth_of_its_condition(when: str, params: dict[str, Any], texts: list[str]) -> None:
    ruling = a_ruling([a_rule(when)], a_call(params))
    (hit,) = (*ruling.matched, *ruling.errors)
    assert [leaf.text.split(" ")[0].removeprefix("params.") for leaf in hit.leaves] == texts


def test_more_sentences() -> None:
    def sentence(when: str, params: dict[str, Any]) -> str:
        (hit,) = (*a_ruling([a_rule(when)], a_call(params)).matched,)
        return hit.leaves[0].sentence

    assert sentence("!(params.env in ['a', 'b'])", {"env": "c"}) == 'env "c" is not one of ["a", "b"]'
    assert sentence("!params.s.startsWith('x')", {"s": "y"}) == 's "y" does not start with "x"'
    assert sentence("params.a == {'k': 1}", {"a": {"k": 1}}) == "a is {1 fields}"
    assert sentence("params.to.exists_one(r, r > 5)", {"to": [1, 9]}) == "1 of 2 in ‘to’ (9): it is above 5"
    assert sentence("host_of(params.url) == 'a.example'", {"url": "https://a.example/"}) == (
        'the host of url is "a.example"'
    )
    assert sentence("!has(params.a) && !has(params.b)", {}) == "a is missing"
    assert sentence("true", {}) == "always"
    assert sentence("[1, 2].exists(x, x == params.a)", {"a": 2}) == "1 of 2 in [1, 2] (2): it is a"


def test_a_condition_that_gives_no_bool_only_at_run_time_is_an_error() -> None:
    ruling = a_ruling([a_rule("params.a ? params.b : params.c")], a_call({"a": True, "b": "text"}))
    assert ruling.effect == "review"
    assert ruling.errors[0].error == 'params.b is "text", neither true nor false'
    program = Program(RuleSet((replace(a_rule("params.a")),), {}))
    hit = program.test(program.rules.rules[0], context_of(a_call({"a": [1]})))
    assert hit is not None
    assert hit.result == "error"
