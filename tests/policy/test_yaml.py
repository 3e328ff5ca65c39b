"""Policy files: strict, checked without a database, imported as the draft, and the same bytes after a round trip."""

from __future__ import annotations

import os
import subprocess
import sys
import time
from datetime import UTC, datetime
from io import StringIO
from pathlib import Path
from typing import Any

import pytest
from django.core.management import CommandError, call_command
from hypothesis import given
from hypothesis import strategies as st

from audit.scope import as_tenant
from policy.errors import PolicyForbidden
from policy.live import live_policy
from policy.models import ListEntry, NamedList, PolicyState, Rule
from policy.revisions import draft_snapshot, publish
from policy.strict_yaml import BadYaml, dump, load
from policy.yaml_files import InvalidFile, export_policy, import_policy, read_checked
from policy.yaml_format import BadFile, duration, read, write
from tests.people import People, proof
from tests.policy.calls import a_call

POLICY = """\
format: guardsite-policy/1
defaults: {mapped: allow, unmapped: deny, on_engine_failure: deny}
lists:
  company_domains:
    kind: domain
    note: Ours and our lawyer's.
    entries:
      - demo.example
      - {value: lawyer.example, expires_at: '2027-01-01T00:00:00+00:00', note: Until the case is closed.}
  release_managers:
    kind: exact
    entries:
      - u_7
      - 'yes'
calendars:
  office_hours:
    time_zone: Europe/Paris
    hours:
      mon: [['09:00', '17:00']]
      fri: [['09:00', '12:00'], ['13:00', '16:00']]
    holidays: ['2026-12-25']
counters:
  - name: refund_sum_24h
    scope: {actions: [billing.*]}
    kind: sum
    of: minor(params.amount, params.currency)
    key: [agent.id, params.currency]
    window: 1d
rules:
  - id: free-plan
    name: Not on the free plan
    scope: {actions: [billing.refund*]}
    when: user.plan == 'free'
    effect: deny
    mode: enforce
    tests:
      - {name: free, context: {user: {plan: free}}, expect: match}
      - {name: paid, context: {user: {plan: pro}}, expect: no match}
  - id: hours
    name: Outside office hours
    scope: {actions: ['*']}
    when: '!within(now, ''office_hours'')'
    effect: review
    mode: enforce
    tests:
      - {name: night, context: {now: '2026-11-20T23:00:00Z'}, expect: match}
      - {name: noon, context: {now: '2026-11-20T13:00:00Z'}, expect: no match}
  - id: inside
    name: Only ours
    scope: {actions: [mail.send]}
    when: |-
      size(params.to) > 0
      && params.to.all(r, in_list(domain_of(r), 'company_domains'))
    effect: allow
    suppresses: [hours]
    mode: enforce
  - id: refund-cap
    name: Refund above the limit
    scope: {actions: [billing.refund*]}
    when: stats.refund_sum_24h > 1000000
    effect: review
    on_error: deny
    reason: Large refunds need a person.
    note: Check the invoice.
    tier: 3
    team: finance
    sla: {due_in: 15m, expires_in: 2h}
    hold: 30s
    mode: observe
    rollout: 10
    priority: 200
    tests:
      - {name: large, context: {stats: {refund_sum_24h: 1000001}}, expect: match}
      - {name: no counter, context: {}, expect: error}
"""


def test_a_file_is_written_again_byte_for_byte() -> None:
    assert write(read(POLICY)) == POLICY


def test_an_import_becomes_the_draft_and_an_export_gives_the_same_bytes(people: People) -> None:
    tenant = people.tenant.pk
    done = import_policy(tenant, acting=people.adam, text=POLICY)
    assert "refund-cap" in done.saved
    assert export_policy(tenant) == POLICY
    assert import_policy(tenant, acting=people.adam, text=POLICY).saved == ()
    before = draft_snapshot(tenant)
    import_policy(tenant, acting=people.adam, text=export_policy(tenant))
    assert draft_snapshot(tenant) == before


def test_an_import_publishes_nothing_and_deletes_what_the_file_does_not_have(people: People) -> None:
    tenant = people.tenant.pk
    import_policy(tenant, acting=people.adam, text=POLICY)
    publish(tenant, acting=people.adam, reason="The file as it was.", evidence=proof())
    snapshot = live_policy(tenant).program
    smaller = POLICY[: POLICY.index("lists:")] + "rules: []\n"
    done = import_policy(tenant, acting=people.adam, text=smaller)
    assert set(done.deleted) >= {"free-plan", "company_domains", "office_hours", "refund_sum_24h"}
    with as_tenant(tenant):
        assert not Rule.objects.exists()
        assert not ListEntry.objects.exists()
    live = live_policy(tenant)
    assert live.program is snapshot
    assert live.decide(a_call(user={"plan": "free"})).effect == "deny"


def test_a_refused_import_changes_nothing(people: People) -> None:
    import_policy(people.tenant.pk, acting=people.adam, text=POLICY)
    before = export_policy(people.tenant.pk)
    with pytest.raises(InvalidFile) as refusal:
        import_policy(
            people.tenant.pk, acting=people.adam, text=POLICY.replace("user.plan == 'free'", "user.plan = 'free'")
        )
    assert [(p.line, p.column) for p in refusal.value.problems] == [(33, 11)]
    assert "Write `==` to compare." in str(refusal.value)
    assert export_policy(people.tenant.pk) == before
    for acting in (people.rita, people.nia):
        with pytest.raises(PolicyForbidden):
            import_policy(people.tenant.pk, acting=acting, text="format: guardsite-policy/1\nrules: []\n")
    assert export_policy(people.tenant.pk) == before


def test_values_of_a_list_keep_their_author_through_an_import(people: People) -> None:
    import_policy(people.tenant.pk, acting=people.adam, text=POLICY)
    with as_tenant(people.tenant.pk):
        first = ListEntry.objects.get(value="demo.example")
    import_policy(people.tenant.pk, acting=people.adam, text=POLICY.replace("- u_7", "- u_8"))
    with as_tenant(people.tenant.pk):
        assert ListEntry.objects.get(value="demo.example") == first
        assert first.added_by == people.adam
        assert set(ListEntry.objects.filter(list__slug="release_managers").values_list("value", flat=True)) == {
            "yes",
            "u_8",
        }
        assert NamedList.objects.count() == 2
        assert PolicyState.objects.get().unmapped == "deny"


@pytest.mark.parametrize(
    ("text", "line", "column", "words"),
    [
        ("a: !!python/object:os.system x", 1, 4, "Tags"),
        ("a: !x 1", 1, 4, "Tags"),
        ("a: &x 1\nb: 2", 1, 4, "Anchors"),
        ("a: [1]\nb: *x", 2, 4, "Anchors"),
        ("a: 1\nb: 2\na: 3", 3, 1, "twice"),
        ("a: {b: 1, b: 2}", 1, 11, "twice"),
        ("a: yes", 1, 4, "quotes"),
        ("a: No", 1, 4, "quotes"),
        ("a: on", 1, 4, "quotes"),
        ("a: True", 1, 4, "quotes"),
        ("no: 1", 1, 1, "quotes"),
        ("<<: {a: 1}", 1, 1, "Merge"),
        ("1: a", 1, 1, "key is text"),
        ("? [a]\n: b", 1, 3, "key is text"),
        ("a: 1\n---\nb: 2", 2, 1, "one document"),
        ("a: [1", 2, 1, "no YAML"),
        ("a: 'x", 1, 6, "no YAML"),
        ("a: \x07", 1, 1, "no YAML"),
        ("a: " + "[" * 40 + "]" * 40, 1, 35, "deeper"),
        ("a" * 1_000_001, 1, 1, "1 MB"),
    ],
)
def test_yaml_that_could_be_read_in_two_ways_is_refused_with_its_place(
    text: str, line: int, column: int, words: str
) -> None:
    with pytest.raises(BadYaml) as refusal:
        load(text)
    assert words in refusal.value.sentence
    assert (refusal.value.line, refusal.value.column) == (line, column)


@pytest.mark.parametrize(
    ("text", "value"),
    [
        ("a: 'yes'", "yes"),
        ("a: 010", "010"),
        ("a: 1_000", "1_000"),
        ("a: 1:30", "1:30"),
        ("a: 2026-12-25", "2026-12-25"),
        ("a: 0x10", "0x10"),
        ("a: -7", -7),
        ("a: 1.50", 1.5),
        ("a: true", True),
        ("a: null", None),
        ("a:", None),
    ],
)
def test_plain_values_are_what_they_look_like(text: str, value: object) -> None:
    assert load(text).value == {"a": value}


JSON = st.recursive(
    st.none()
    | st.booleans()
    | st.integers(-(2**53), 2**53)
    | st.floats(allow_nan=False, allow_infinity=False)
    | st.text(st.characters(exclude_categories=["Cs", "Cc"]))
    | st.sampled_from(
        ["yes", "y", "no", "~", "null", "1.0", "1e5", "=", "<<", "a\nb", " a\n b ", "*x", "- a", "#", "\t"]
    ),
    lambda inner: (
        st.lists(inner, max_size=3)
        | st.dictionaries(st.text(st.characters(codec="ascii", exclude_categories=["Cc"])), inner, max_size=3)
    ),
    max_leaves=8,
)


@given(JSON)
def test_what_is_dumped_is_loaded_the_same(value: Any) -> None:
    text = dump({"value": value})
    assert load(text).value == {"value": value}
    assert dump(load(text).value) == text


def mistakes(text: str) -> list[str]:
    """What a check of a file says."""
    with pytest.raises(BadFile) as refusal:
        read_checked(text)
    return [str(problem) for problem in refusal.value.problems]


@pytest.mark.parametrize(
    ("old", "new", "words"),
    [
        ("format: guardsite-policy/1", "format: guardsite-policy/9", "Line 1, column 9: The format is"),
        ("effect: deny", "effect: block", "Line 34, column 13: effect is allow, review, deny."),
        ("tier: 3", "tier: 5", "tier is a whole number from 1 to 4."),
        ("tier: 3", "tier: '3'", "tier is a whole number"),
        ("rollout: 10\n", "rollout: 101\n", "rollout is a whole number from 0 to 100."),
        ("mode: observe", "mode: shadow", "mode is enforce, observe, off."),
        ("window: 1d", "window: 40d", "The window is 1 minute to 31 days."),
        ("window: 1d", "window: soon", "window is a time such as"),
        ("hold: 30s", "hold: 90s", "A hold is 0s to 60s."),
        ("    tier: 3\n", "    tier: 3\n    quorum: {legal: 1}\n", "The quorum is of this rule's team, finance."),
        ("    tier: 3\n", "    tier: 3\n    quorum: {finance: 1, legal: 1}\n", "A quorum is a number, or one team"),
        ("    tier: 3\n", "    tier: 3\n    quorum: 9\n", "quorum is a whole number from 1 to 5."),
        ("    tier: 3\n", "    tier: 3\n    suggest: {user.plan: pro}\n", "user.plan is no field of params"),
        ("    tier: 3\n", "    tier: 3\n    suggest: {params.amount: null}\n", "params.amount: offer a number"),
        ("due_in: 15m, ", "due_in: 15m, calendar: night_shift, ", "There is no calendar named night_shift."),
        ("due_in: 15m, ", "due_in: 15m, out_of_hours: deny, ", "Without a calendar there are no hours to be out of"),
        ("due_in: 15m, ", "due_in: 15m, out_of_hours: never, ", "out_of_hours is wait, page, deny."),
        ("due_in: 15m, ", "due_in: 15m, escalate_to: finance, ", "This team has it already"),
        ("actions: [billing.*]", "actions: [billing.*], servers: []", "servers is not supported by this version."),
        ("    tier: 3\n", "    tier: 3\n    teer: 3\n", "teer is not known here"),
        ("{actions: [mail.send]}", "{actions: [mail.send], servers: [x]}", "servers is not supported"),
        ("kind: domain", "kind: domains", "kind is exact, domain, glob, cidr."),
        ("- demo.example", "- not a domain", "'not a domain' is no domain"),
        ("'2027-01-01T00:00:00+00:00'", "'2027-01-01T00:00:00'", "a time with its zone"),
        ("Europe/Paris", "Europe/Nowhere", "There is no time zone"),
        (
            "'office_hours'')'",
            "'office_hour'')'",
            "There is no calendar named `office_hour`. Did you mean `office_hours`?",
        ),
        ("'company_domains'))", "'company'))", "There is no list named `company`."),
        ("stats.refund_sum_24h >", "stats.refund_sum_1h >", "Did you mean `stats.refund_sum_24h`?"),
        ("minor(params.amount, params.currency)", "minor(params.amount)", "Line 1"),
        ("suppresses: [hours]", "suppresses: [free-plan]", "which is no review rule"),
        ("id: hours", "id: free-plan", "free-plan is here twice."),
        ("id: hours", "id: 'ho urs'", "id has letters, digits, - and _."),
        ("expect: error", "expect: match", "Test no counter: expected match, got error."),
        ("{plan: pro}}, expect: no match", "{plan: pro}}, expect: never", "expect is match, no match or error"),
        ("      - {name: paid, context: {user: {plan: pro}}, expect: no match}\n", "", "A deny rule needs a test"),
        ("{actions: ['*']}", "{actions: []}", "Name at least one action"),
        ("    name: Outside office hours\n", "", "name is missing."),
        ("rules:\n", "rules:\n  - x\n", "Write an object with id"),
        ("key: [agent.id, params.currency]", "key: [agent.nid]", "agent has no field nid"),
        ("      mon: [['09:00', '17:00']]", "      mon: [['17:00', '09:00']]", "is not before"),
    ],
)
def test_a_check_says_what_is_wrong_and_where(old: str, new: str, words: str) -> None:
    assert POLICY.count(old) >= 1
    found = mistakes(POLICY.replace(old, new, 1))
    assert any(words in sentence for sentence in found), found
    assert all(sentence.startswith("Line ") for sentence in found)


def test_a_check_says_everything_at_once() -> None:
    text = POLICY.replace("user.plan == 'free'", "user.plan = 'free'").replace("expect: error", "expect: match")
    assert len(mistakes(text.replace("- demo.example", "- not a domain"))) == 3


def test_a_hostile_file_is_refused_in_bounded_time() -> None:
    nested = "a: " + "[" * 400_000
    bomb = "a: &a [x]\n" + "\n".join(f"k{i}: [*a, *a]" for i in range(20_000))
    wide = "rules: [" + "x, " * 300_000 + "x]"
    for text in (
        nested,
        bomb,
        wide,
        "- " * 450_000,
        "? " * 450_000,
        "{" * 900_000,
        "!!x " * 200_000,
        "a: '" + "\n" * 900_000,
    ):
        started = time.thread_time()
        with pytest.raises(BadFile):
            read(text)
        assert time.thread_time() - started < 20


@pytest.mark.parametrize(
    ("seconds", "text"), [(0, "0s"), (1, "1s"), (60, "1m"), (90, "90s"), (7200, "2h"), (86_400, "1d")]
)
def test_a_duration_is_said_in_its_largest_whole_unit(seconds: int, text: str) -> None:
    assert duration(seconds) == text


def test_the_command_checks_in_ci_without_a_database(tmp_path: Path) -> None:
    good, bad = tmp_path / "good.yaml", tmp_path / "bad.yaml"
    good.write_text(POLICY)
    bad.write_text(POLICY.replace("effect: deny", "effect: block"))
    nowhere = "postgresql://nobody@127.0.0.1:9/none"
    environment = os.environ | {"DATABASE_URL": nowhere, "DJANGO_SETTINGS_MODULE": "tests.settings"}
    run = [sys.executable, "-m", "django", "policy", "check"]
    fine = subprocess.run([*run, str(good)], env=environment, capture_output=True, text=True, timeout=60, check=False)
    assert (fine.returncode, fine.stderr) == (0, "")
    assert "4 rules, 6 tests, nothing wrong." in fine.stdout
    refused = subprocess.run([*run, str(bad)], env=environment, capture_output=True, text=True, timeout=60, check=False)
    assert refused.returncode == 1
    assert "bad.yaml: Line 34, column 13: effect is allow, review, deny." in refused.stderr


def test_the_command_exports_and_imports(people: People, tmp_path: Path) -> None:
    file, again = tmp_path / "policy.yaml", tmp_path / "again.yaml"
    file.write_text(POLICY)
    out = StringIO()
    call_command("policy", "import", str(file), tenant="demo", email="adam@demo.example", stdout=out)
    assert "It acts once it is published." in out.getvalue()
    call_command("policy", "export", str(again), tenant="demo")
    assert again.read_text() == POLICY
    call_command("policy", "export", tenant="demo", stdout=(printed := StringIO()))
    assert printed.getvalue() == POLICY
    for wrong in ({"tenant": "nowhere"}, {"email": "nobody@demo.example"}, {"email": "rita@demo.example"}):
        with pytest.raises(CommandError):
            call_command("policy", "import", str(file), **({"tenant": "demo", "email": "adam@demo.example"} | wrong))
    (tmp_path / "latin.yaml").write_bytes(b"\xff")
    for name in ("missing.yaml", "latin.yaml"):
        with pytest.raises(CommandError):
            call_command("policy", "check", str(tmp_path / name))


def test_a_list_entry_of_a_file_counts_until_it_ends(people: People) -> None:
    import_policy(people.tenant.pk, acting=people.adam, text=POLICY)
    with as_tenant(people.tenant.pk):
        assert ListEntry.objects.get(value="lawyer.example").expires_at == datetime(2027, 1, 1, tzinfo=UTC)
