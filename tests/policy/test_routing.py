"""Who decides, by when and what to offer instead: combined, published, written to a file, refused when wrong."""

from __future__ import annotations

import itertools
from datetime import UTC, datetime
from typing import Any

import pytest

from audit.scope import as_tenant
from policy import lists
from policy.calendars import Hours
from policy.difference import difference
from policy.drafts import save_rule
from policy.errors import InvalidRule
from policy.evaluate import CLOSED_DENY, Program, RuleSet
from policy.live import live_policy
from policy.models import Calendar, Rule
from policy.revisions import draft_problems, draft_snapshot, publish
from policy.snapshot import diff, read, write
from policy.yaml_files import export_policy, import_policy
from policy.yaml_format import read as read_file
from policy.yaml_format import write as write_file
from tenants.teams import save_team
from tests.people import People, proof
from tests.policy.calls import ENFORCE, NOON, OBSERVE, a_call, a_rule, a_ruling
from tests.policy.drafts import a_draft_rule, an_action
from tests.policy.test_admin import RULE, RULES, signed_in, text_of

DAY = Hours.of(time_zone="UTC", hours={"fri": [["09:00", "17:00"]]})  # open at NOON
NIGHT = Hours.of(time_zone="UTC", hours={"fri": [["20:00", "24:00"]]})  # closed at NOON
CALENDARS = {"day": DAY, "night": NIGHT}


def test_the_highest_quorum_and_the_times_of_the_rule_due_first_count() -> None:
    rules = [
        a_rule("true", id="slow", due_in_seconds=3600, calendar="night", escalate_to="owners", quorum=2, priority=200),
        a_rule("true", id="fast", due_in_seconds=60, calendar="day", escalate_to="leads"),
        a_rule("false", id="never", due_in_seconds=1, quorum=5),
    ]
    for order in itertools.permutations(rules):
        ruling = a_ruling(list(order), calendars=CALENDARS)
        assert (ruling.quorum, ruling.due_in_seconds, ruling.hours, ruling.escalate_to) == (2, 60, DAY, "leads")


def test_a_rule_without_a_team_to_escalate_to_does_not_take_anothers_away() -> None:
    rules = [a_rule("true", id="slow", due_in_seconds=3600, escalate_to="owners"), a_rule("true", due_in_seconds=60)]
    assert a_ruling(rules).escalate_to == "owners"
    plain = a_ruling([a_rule("true")])
    assert (plain.quorum, plain.escalate_to, plain.hours, plain.suggestions) == (1, None, None, ())


def test_the_time_runs_on_where_the_rule_pages() -> None:
    waits = a_ruling([a_rule("true", calendar="day")], calendars=CALENDARS)
    pages = a_ruling([a_rule("true", calendar="day", out_of_hours="page")], calendars=CALENDARS)
    assert (waits.hours, pages.hours) == (DAY, None)


def test_a_rule_that_denies_out_of_hours_denies_at_once_and_says_why() -> None:
    closed = a_rule("true", calendar="night", out_of_hours="deny", reason="Refunds need a person.")
    ruling = a_ruling([closed], calendars=CALENDARS)
    assert (ruling.effect, ruling.decision) == ("deny", "deny")
    assert ruling.message == f"Refunds need a person. {CLOSED_DENY}"
    assert a_ruling([closed], state=OBSERVE, calendars=CALENDARS).decision == "allow"
    opened = a_ruling([a_rule("true", calendar="day", out_of_hours="deny")], calendars=CALENDARS)
    assert opened.effect == "review"
    # A rule that cannot be evaluated would hold the call too.
    broken = a_ruling([a_rule("params.b > 1", calendar="night", out_of_hours="deny")], calendars=CALENDARS)
    assert broken.effect == "deny"


def test_another_rule_that_is_due_sooner_does_not_open_a_closed_desk() -> None:
    closed = a_rule("true", id="closed", calendar="night", out_of_hours="deny")
    for other in (a_rule("true", id="a", due_in_seconds=1), a_rule("true", id="b", tier=4, priority=900)):
        assert a_ruling([closed, other], calendars=CALENDARS).effect == "deny"
    switch = a_rule("true", "allow", id="known", suppresses=("closed",))
    assert a_ruling([closed, switch], calendars=CALENDARS).effect == "allow"


def test_suggestions_come_from_matched_review_rules_as_pointers_and_the_strongest_word_counts() -> None:
    rules = [
        a_rule("true", id="cap", suggest={"params.amount_cents": 50_000, "params.a/b.c~d": "x"}, priority=200),
        a_rule("true", id="other", suggest={"params.amount_cents": 1}),
        a_rule("params.none > 1", id="broken", suggest={"params.broken": 1}),
    ]
    found = [(one.pointer, one.value, one.rule) for one in a_ruling(rules).suggestions]
    assert found == [("/amount_cents", 50_000, "cap"), ("/a~1b/c~0d", "x", "cap")]


FULL: dict[str, Any] = {
    "quorum": 2,
    "team": "finance",
    "escalate_to": "leads",
    "calendar": "day",
    "out_of_hours": "page",
    "suggest": {"params.amount_cents": 50_000},
}


def test_a_snapshot_keeps_the_fields_and_says_nothing_of_those_that_are_as_ever() -> None:
    rules = RuleSet(
        rules=(a_rule("true", id="full", **FULL), a_rule("true", id="plain")), actions={}, calendars=CALENDARS
    )
    text, sha256 = write(rules, [])
    found = read(text, sha256=sha256, revision_id="r", number=1)
    assert found.rules == rules.rules
    plain = text[text.index('"id":"plain"') - 40 :]
    assert not any(f'"{name}"' in plain for name in ("quorum", "escalate_to", "calendar", "out_of_hours", "suggest"))
    # The hash that this rule set had before the fields were there.
    old = write(RuleSet(rules=(a_rule("true", id="plain"),), actions={}), [])[0]
    assert '"quorum"' not in old


def test_a_difference_says_the_new_fields_in_words() -> None:
    before, _ = write(RuleSet(rules=(a_rule("true", id="r"),), actions={}), [])
    after, _ = write(RuleSet(rules=(a_rule("true", id="r", **FULL),), actions={}), [])
    lines = {line.field: (line.before, line.after) for line in difference(diff(before, after))[0].lines}
    assert lines["people who approve"] == ("1", "2")
    assert lines["out of hours"] == ("wait", "page")
    assert lines["escalate to"] == ("", "leads")
    assert lines["offer instead"] == ("", "params.amount_cents = 50000")


FILE = """\
format: guardsite-policy/1
calendars:
  day:
    time_zone: UTC
    hours:
      fri: [['09:00', '17:00']]
rules:
  - id: anyone
    name: Two of whoever there is
    scope: {actions: ['*']}
    when: params.amount_cents > 10
    effect: review
    quorum: 2
    mode: enforce
  - id: refund-cap
    name: Refund above the limit
    scope: {actions: [billing.refund*]}
    when: params.amount_cents > 500000
    effect: review
    note: Check the invoice.
    suggest: {params.amount_cents: 500000}
    tier: 3
    team: finance
    quorum: {finance: 2}
    sla: {due_in: 15m, escalate_to: leads, expires_in: 2h, calendar: day, out_of_hours: deny}
    mode: enforce
"""


def test_a_file_carries_every_field_there_and_back(people: People) -> None:
    assert write_file(read_file(FILE)) == FILE
    import_policy(people.tenant.pk, acting=people.adam, text=FILE)
    with as_tenant(people.tenant.pk):
        rule = Rule.objects.get(slug="refund-cap")
        assert (rule.quorum, rule.escalate_to, rule.calendar, rule.out_of_hours) == (2, "leads", "day", "deny")
        assert rule.suggest == {"params.amount_cents": 500_000}
    exported = export_policy(people.tenant.pk)
    assert "quorum: {finance: 2}" in exported
    assert "sla: {due_in: 15m, escalate_to: leads, expires_in: 2h, calendar: day, out_of_hours: deny}" in exported
    assert import_policy(people.tenant.pk, acting=people.adam, text=exported).saved == ()


def test_a_quorum_of_a_team_alone_routes_to_it() -> None:
    rule = read_file(FILE.replace("    team: finance\n", "")).rules[1]
    assert (rule.team, rule.quorum) == ("finance", 2)


@pytest.mark.parametrize(
    ("fields", "sentence"),
    [
        ({"calendar": "nights"}, "There is no calendar named nights."),
        ({"out_of_hours": "deny"}, "Without a calendar there are no hours to be out of; name one."),
        ({"quorum": 6}, "1 to 5 people approve."),
        ({"team": "finance", "escalate_to": "finance"}, "This team has it already; name another one, or none."),
        ({"suggest": {"user.plan": "pro"}}, "user.plan is no field of params; write it like params.amount_cents."),
        ({"suggest": {"amount_cents": 1}}, "amount_cents is no field of params"),
        ({"suggest": {"params.amount_cents": {"gt": 1}}}, "offer a number, true, false, or a text"),
        ({"suggest": {"params.amount_cents": 2**60}}, "offer a number, true, false, or a text"),
        ({"suggest": [1]}, "Write an object such as"),
    ],
)
def test_a_draft_rule_that_routes_nowhere_is_refused(people: People, fields: dict[str, Any], sentence: str) -> None:
    with pytest.raises(InvalidRule) as refusal:
        a_draft_rule(people, **fields)
    assert sentence in str(refusal.value)


def test_a_calendar_that_times_a_rule_is_in_use(people: People) -> None:
    tenant = people.tenant.pk
    row = Calendar(slug="day", time_zone="UTC", hours={"fri": [["09:00", "17:00"]]})
    lists.save_calendar(tenant, acting=people.adam, row=row)
    rule = a_draft_rule(people, calendar="day")
    with pytest.raises(InvalidRule, match="used by refund-cap"):
        lists.delete(tenant, acting=people.adam, row=row)
    # Even where somebody removed it past the check, the draft is not published.
    with as_tenant(tenant):
        Calendar.objects.all().delete()
    assert any("There is no calendar named day." in str(problem) for problem in draft_problems(tenant))
    rule.calendar = ""
    save_rule(tenant, acting=people.adam, rule=rule)
    assert not any("calendar" in str(problem) for problem in draft_problems(tenant))


def test_what_is_published_routes(people: People) -> None:
    tenant = people.tenant.pk
    an_action(people)
    lists.save_calendar(
        tenant, acting=people.adam, row=Calendar(slug="day", time_zone="UTC", hours={"fri": [["09:00", "17:00"]]})
    )
    before = draft_snapshot(tenant)
    a_draft_rule(
        people, quorum=3, team="finance", escalate_to="leads", calendar="day", suggest={"params.amount_cents": 1}
    )
    assert draft_snapshot(tenant) != before
    publish(tenant, acting=people.adam, reason="Refunds go to finance.", evidence=proof())
    ruling = live_policy(tenant).decide(a_call({"amount_cents": 60_000}))
    assert (ruling.quorum, ruling.escalate_to, ruling.hours) == (3, "leads", DAY)
    assert [one.pointer for one in ruling.suggestions] == ["/amount_cents"]


def test_the_form_saves_the_fields_and_says_which_team_is_missing(people: People) -> None:
    tenant = people.tenant.pk
    lists.save_calendar(
        tenant, acting=people.adam, row=Calendar(slug="day", time_zone="UTC", hours={"fri": [["09:00", "17:00"]]})
    )
    save_team(people.adam, slug="finance", name="Finance", members=[people.rita.pk])
    adam = signed_in(people.adam)
    given = {
        "team": "finance",
        "quorum": "2",
        "escalate_to": "leads",
        "calendar": "day",
        "out_of_hours": "page",
        "suggest": '{"params.amount_cents": 50000}',
    }
    response: Any = adam.post(f"{RULES}add/", {**RULE, **given}, follow=True)
    page = text_of(response)
    assert "There is no team with the id leads yet." in page
    assert "no team with the id finance" not in page
    with as_tenant(tenant):
        rule = Rule.objects.get()
    assert (rule.team, rule.quorum, rule.escalate_to, rule.calendar) == ("finance", 2, "leads", "day")
    assert (rule.out_of_hours, rule.suggest) == ("page", {"params.amount_cents": 50_000})
    refused: Any = adam.post(f"{RULES}add/", {**RULE, **given, "slug": "b", "calendar": "nights", "suggest": "[1]"})
    assert set(refused.context["adminform"].form.errors) == {"calendar", "suggest"}


def test_a_rule_that_closes_is_replayed_with_the_hour_of_its_call() -> None:
    rule = a_rule("true", calendar="day", out_of_hours="deny")
    program = Program(RuleSet(rules=(rule,), actions={"billing.refund": 0}, calendars=CALENDARS))
    assert program.decide(a_call(now=NOON), ENFORCE).effect == "review"
    assert program.decide(a_call(now=datetime(2026, 11, 20, 23, tzinfo=UTC)), ENFORCE).effect == "deny"
