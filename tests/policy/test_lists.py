"""Lists and calendars: kinds, ends, saving with an author and an entry, publishing, deleting, and their pages."""

from __future__ import annotations

from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest

from audit.scope import as_tenant
from policy import drafts, lists, snapshot
from policy.calendars import BadCalendar, Hours
from policy.cel import Engine
from policy.check import check
from policy.errors import InvalidRule, NotPublishable, PolicyForbidden
from policy.evaluate import Program, RuleSet, context_of
from policy.functions import NamedList as ListIndex
from policy.live import live_policy
from policy.models import Calendar, Counter, ListEntry, NamedList, Revision
from policy.references import References, references
from policy.revisions import publish, roll_back
from policy.terms import CounterDef, ListValue
from tests.people import People, proof
from tests.policy.calls import NOON, a_call, a_rule
from tests.policy.drafts import a_draft_rule, an_action, entries
from tests.policy.test_admin import signed_in, text_of

LATER, EARLIER = NOON + timedelta(hours=1), NOON - timedelta(hours=1)
OFFICE = {"mon": [["09:00", "12:00"], ["13:00", "17:00"]], "fri": [["09:00", "24:00"]]}


@pytest.mark.parametrize(
    ("kind", "entry", "inside", "outside"),
    [
        ("exact", "a", "a", "b"),
        ("domain", "Partner.example", "mail.partner.example", "notpartner.example"),
        ("glob", "prod-*", "prod-1", "dev-1"),
        ("cidr", "10.1.0.0/16", "10.1.2.3", "10.2.0.1"),
        ("cidr", "2001:db8::/32", "2001:db8::1", "10.1.2.3"),
    ],
)
def test_an_entry_counts_before_its_end_and_not_from_then_on(kind: str, entry: str, inside: str, outside: str) -> None:
    found = ListIndex.of(kind, [], {entry: NOON})
    assert found.holds(inside, now=EARLIER)
    assert not found.holds(inside, now=NOON)
    assert not found.holds(inside)
    assert not found.holds(outside, now=EARLIER)
    assert ListIndex.of(kind, [entry], {entry: EARLIER}).holds(inside, now=LATER)


def test_a_rule_sees_the_list_of_the_calls_own_moment() -> None:
    rule = a_rule("in_list(params.to, 'partners')")
    program = Program(RuleSet((rule,), {}, lists={"partners": ListIndex.of("exact", [], {"p": NOON})}))
    for now, expected in ((EARLIER, "match"), (LATER, None), (EARLIER, "match")):
        hit = program.test(rule, {**context_of(a_call({"to": "p"})), "now": now})
        assert (hit.result if hit else None) == expected


def test_fifty_thousand_entries_with_ends_of_their_own_are_indexed() -> None:
    ends = {f"v{number}": NOON + timedelta(seconds=number) for number in range(50_000)}
    found = ListIndex.of("exact", [], ends)
    assert found.holds("v7", now=NOON)
    assert not found.holds("v7", now=LATER)
    assert found.holds("v49999", now=LATER)


@pytest.mark.parametrize(
    ("moment", "inside"),
    [
        ("2026-11-20T08:00:00+00:00", True),  # 09:00 on a Friday in Paris
        ("2026-11-20T07:59:59+00:00", False),
        ("2026-11-20T22:59:59+00:00", True),
        ("2026-11-20T23:00:00+00:00", False),  # Saturday there
        ("2026-11-23T11:00:00+00:00", False),  # noon on a Monday
        ("2026-11-23T12:00:00+00:00", True),
        ("2026-07-20T07:00:00+00:00", True),  # summer time
        ("2026-12-25T10:00:00+00:00", False),  # a Friday, and a holiday
    ],
)
def test_a_calendar_keeps_its_own_zone_hours_and_holidays(moment: str, inside: bool) -> None:
    hours = Hours.of(time_zone="Europe/Paris", hours=OFFICE, holidays=["2026-12-25"])
    assert hours.holds(datetime.fromisoformat(moment)) is inside
    assert Hours.of(**hours.document()) == hours


@pytest.mark.parametrize(
    ("changes", "words"),
    [
        ({"time_zone": "Nowhere/City"}, "no time zone"),
        ({"time_zone": "../etc/passwd"}, "no time zone"),
        ({"time_zone": ""}, "name such as"),
        ({"hours": []}, "The hours are"),
        ({"hours": {}}, "At least one day"),
        ({"hours": {"monday": [["09:00", "17:00"]]}}, "monday is no day"),
        ({"hours": {"mon": "09:00"}}, "mon: write a list"),
        ({"hours": {"mon": [["09:00"]]}}, "a start and an end"),
        ({"hours": {"mon": [["9:00", "17:00"]]}}, "no time of day"),
        ({"hours": {"mon": [["22:00", "06:00"]]}}, "two days' hours"),
        ({"hours": {"mon": [["09:00", "12:00"], ["11:00", "13:00"]]}}, "overlap"),
        ({"holidays": ["25.12.2026"]}, "no date"),
        ({"holidays": "2026-12-25"}, "list of at most"),
    ],
)
def test_a_bad_calendar_is_refused_with_a_sentence(changes: dict[str, Any], words: str) -> None:
    with pytest.raises(BadCalendar, match=words):
        Hours.of(**({"time_zone": "UTC", "hours": OFFICE, "holidays": []} | changes))


def test_unknown_lists_and_calendars_are_refused_with_the_nearest_name() -> None:
    hours = Hours.of(time_zone="UTC", hours=OFFICE)
    engine = Engine({"company_domains": ListIndex.of("exact", [])}, {"office_hours": hours}, ["refunds_1h"])
    for text, sentence in (
        ("in_list('a', 'company_domain')", "no list named `company_domain`. Did you mean `company_domains`?"),
        ("within(now, 'office_hour')", "no calendar named `office_hour`. Did you mean `office_hours`?"),
        ("within(now, params.name)", "takes the name of a calendar"),
        ("stats.refunds_2h > 1", "no counter named `refunds_2h`. Did you mean `stats.refunds_1h`?"),
        ("stats['zzz'] > 1", "There is no counter named `zzz`."),
    ):
        findings = check(text, engine=engine)
        assert [finding.severity for finding in findings] == ["error"]
        assert sentence in findings[0].sentence
    assert check("within(now, 'office_hours') && stats.refunds_1h > 1", engine=engine) == []


def test_references_are_read_from_the_tree_not_from_the_text() -> None:
    engine = Engine()
    found = references(
        engine, ["in_list(params.a, 'one') && params.b == \"in_list(x, 'two')\"", "within(now, 'h')", "((("]
    )
    assert found == References(frozenset({"one"}), frozenset({"h"}), frozenset())
    assert references(engine, ["stats.a + stats['b'] > 1"]).counters == {"a", "b"}


# The draft.


def domains(people: People, *values: str, **fields: Any) -> NamedList:
    """A list of domains, saved by Adam."""
    row = NamedList(**({"slug": "company_domains", "kind": "domain"} | fields))
    return lists.save_list(people.tenant.pk, acting=people.adam, row=row, values=[ListValue(v) for v in values])


def test_a_saved_list_has_authors_and_an_entry(stored: People) -> None:
    row = domains(stored, "demo.example", "Partner.Example")
    lists.save_list(
        stored.tenant.pk,
        acting=stored.adam,
        row=row,
        values=[ListValue("demo.example", "ours", LATER), ListValue("new.example")],
    )
    with as_tenant(stored.tenant.pk):
        found = {entry.value: (entry.note, entry.expires_at, entry.added_by) for entry in ListEntry.objects.all()}
    assert found == {"demo.example": ("ours", LATER, stored.adam), "new.example": ("", None, stored.adam)}
    first, second = entries(stored, "list.changed")
    assert (first["list"], first["change"], first["added"], first["removed"]) == ("company_domains", "created", 2, 0)
    assert (second["change"], second["added"], second["removed"]) == ("saved", 1, 1)
    assert first["sha256"] != second["sha256"]


@pytest.mark.parametrize(
    ("kind", "values", "words"),
    [
        ("domain", ["not a domain"], "no domain"),
        ("cidr", ["10.0.0.1/8"], "no network"),
        ("exact", ["a", "a"], "twice"),
        ("domain", ["a.example", "A.example."], "twice"),
        ("exact", [""], "1 to 255 characters"),
        ("exact", ["x" * 256], "1 to 255 characters"),
        ("exact", ["a\nb"], "on one line"),
        ("other", ["a"], "no kind of list"),
        ("exact", [str(number) for number in range(50_001)], "at most 50,000 values"),
        ("glob", [f"{number}*" for number in range(1_001)], "at most 1,000"),
    ],
)
def test_a_bad_list_is_refused_and_nothing_is_changed(people: People, kind: str, values: list[str], words: str) -> None:
    with pytest.raises(InvalidRule, match=words):
        domains(people, *values, kind=kind)
    with as_tenant(people.tenant.pk):
        assert not NamedList.objects.exists()


def test_changing_a_list_is_publishing_and_a_rollback_brings_the_old_one_back(people: People) -> None:
    tenant = people.tenant.pk
    row = domains(people, "demo.example")
    an_action(people)
    a_draft_rule(people, condition="!in_list(params.domain, 'company_domains')", tests=[])
    first = publish(tenant, acting=people.adam, reason="Only our own domains.", evidence=proof())
    lists.save_list(tenant, acting=people.adam, row=row, values=[ListValue("demo.example"), ListValue("new.example")])

    def effect() -> str:
        return live_policy(tenant).decide(a_call({"domain": "new.example"})).effect

    assert effect() == "review"
    second = publish(tenant, acting=people.adam, reason="One more domain is ours.", evidence=proof())
    assert effect() == "allow"
    changes = [change for change in snapshot.diff(first.snapshot, second.snapshot) if change.field == "entries"]
    assert [(change.what, change.before, change.after) for change in changes] == [
        ("List company_domains", None, "new.example")
    ]
    roll_back(tenant, acting=people.adam, number=first.number, reason="That domain was sold.", evidence=proof())
    assert effect() == "review"


def test_what_a_rule_names_cannot_be_deleted(people: People) -> None:
    tenant = people.tenant.pk
    row = domains(people, "demo.example")
    calendar = lists.save_calendar(tenant, acting=people.adam, row=Calendar(slug="office", hours=OFFICE))
    counter = lists.save_counter(
        tenant, acting=people.adam, row=Counter(slug="c", scope_actions=["*"], key=[], window_seconds=60)
    )
    rule = a_draft_rule(
        people, condition="in_list('a.example', 'company_domains') || within(now, 'office') || stats.c > 1", tests=[]
    )
    things: list[NamedList | Calendar | Counter] = [row, calendar, counter]
    for thing in things:
        with pytest.raises(InvalidRule, match="refund-cap"):
            lists.delete(tenant, acting=people.adam, row=thing)
    drafts.delete_rule(tenant, acting=people.adam, rule=rule)
    for thing in things:
        with pytest.raises(PolicyForbidden):
            lists.delete(tenant, acting=people.nia, row=thing)
        lists.delete(tenant, acting=people.adam, row=thing)
    with as_tenant(tenant):
        assert not NamedList.objects.exists()
        assert not ListEntry.objects.exists()


def test_nobody_without_the_role_saves(people: People) -> None:
    for acting in (people.rita, people.nia):
        with pytest.raises(PolicyForbidden):
            lists.save_list(people.tenant.pk, acting=acting, row=NamedList(slug="x", kind="exact"), values=[])
        with pytest.raises(PolicyForbidden):
            lists.save_calendar(people.tenant.pk, acting=acting, row=Calendar(slug="x", hours=OFFICE))
        with pytest.raises(PolicyForbidden):
            lists.save_counter(people.tenant.pk, acting=acting, row=Counter(slug="x", window_seconds=60))


def test_bad_calendars_and_counters_are_not_saved(people: People) -> None:
    with pytest.raises(InvalidRule, match="no time zone"):
        lists.save_calendar(people.tenant.pk, acting=people.adam, row=Calendar(slug="x", hours=OFFICE, time_zone="X/Y"))
    with pytest.raises(InvalidRule, match=r"1 minute.*at least one action"):
        lists.save_counter(people.tenant.pk, acting=people.adam, row=Counter(slug="x", key=[], window_seconds=1))


def test_nine_counters_on_an_action_are_not_published(people: People) -> None:
    an_action(people)
    for number in range(9):
        row = Counter(slug=f"c{number}", scope_actions=["*"], key=[], window_seconds=60)
        lists.save_counter(people.tenant.pk, acting=people.adam, row=row)
    with pytest.raises(NotPublishable, match="touches 9 counters; 8 is the most"):
        publish(people.tenant.pk, acting=people.adam, reason="Too many counters.", evidence=proof())


# The snapshot.


def test_a_snapshot_holds_everything_that_a_decision_depends_on() -> None:
    rules = RuleSet(
        rules=(a_rule("true"),),
        actions={},
        lists={"l": ListIndex.of("domain", ["a.example"], {"b.example": NOON})},
        calendars={"h": Hours.of(time_zone="UTC", hours=OFFICE)},
        counters=(CounterDef("c", ("*",), "sum", 60, "params.a", ("agent.id",)),),
    )
    text, sha256 = snapshot.write(rules, [])
    again = snapshot.read(text, sha256=sha256, revision_id="r", number=1)
    assert (again.lists, again.calendars, again.counters) == (rules.lists, rules.calendars, rules.counters)
    assert snapshot.write(again, []) == (text, sha256)
    assert snapshot.list_sha256(rules.lists["l"]) in text


def test_a_revision_from_before_there_were_calendars_still_loads(people: People) -> None:
    import hashlib
    import json

    text, _ = snapshot.write(RuleSet((a_rule("in_list('a', 'l')"),), {}, lists={"l": ListIndex.of("exact", ["a"])}), [])
    document = json.loads(text)
    del document["calendars"], document["counters"], document["lists"]["l"]["sha256"]
    old = json.dumps(document)
    found = snapshot.read(old, sha256=hashlib.sha256(old.encode()).hexdigest(), revision_id="r", number=1)
    assert (found.calendars, found.counters) == ({}, ())
    assert Program(found).decide(a_call(), live_policy(people.tenant.pk).state or pytest.fail("no state")).matched


def test_a_long_list_shows_the_first_of_what_changed() -> None:
    def text(count: int) -> str:
        names = ListIndex.of("exact", [f"v{number:03}" for number in range(count)])
        return snapshot.write(RuleSet((), {}, lists={"l": names}), [])[0]

    change = next(change for change in snapshot.diff(text(0), text(100)) if change.field == "entries")
    assert change.after is not None
    assert change.after.startswith("v000, v001")
    assert change.after.endswith("v019 and 80 more")


# The pages.


def words(response: Any) -> str:
    """The page as a reader sees it; Any because the test client adds to Django's class."""
    return text_of(response)


def admin(model: str, path: str = "add/") -> str:
    return f"/admin/policy/{model}/{path}"


def test_a_list_is_made_and_changed_in_its_page(people: People) -> None:
    client = signed_in(people.adam)
    form = {
        "slug": "partners",
        "kind": "domain",
        "note": "",
        "values": "b.example\na.example | 2026-12-31 | a test\nc.example||n",
    }
    response = client.post(admin("namedlist"), form)
    assert response.status_code == 302, words(response)
    with as_tenant(people.tenant.pk):
        row = NamedList.objects.get()
        found = {entry.value: (entry.expires_at, entry.note) for entry in ListEntry.objects.all()}
    assert found == {
        "a.example": (datetime(2027, 1, 1, tzinfo=UTC), "a test"),
        "b.example": (None, ""),
        "c.example": (None, "n"),
    }
    page = client.get(admin("namedlist", f"{row.pk}/change/"))
    assert "a.example | 2026-12-31 | a test" in words(page)
    assert "c.example | | n" in words(page)
    refused = client.post(admin("namedlist", f"{row.pk}/change/"), form | {"values": "not a domain\nb.example | soon"})
    assert refused.status_code == 200
    assert "'not a domain' is no domain" in words(refused)
    assert "Line 2: 'soon' is no day" in words(refused)
    assert client.post(admin("namedlist", f"{row.pk}/change/"), form | {"values": "b.example"}).status_code == 302
    with as_tenant(people.tenant.pk):
        assert [entry.value for entry in ListEntry.objects.all()] == ["b.example"]
    assert client.post(admin("namedlist"), form).status_code == 200  # the name is taken


def test_an_end_that_a_file_set_to_the_second_survives_the_page(people: People) -> None:
    row = NamedList(slug="l", kind="exact")
    lists.save_list(people.tenant.pk, acting=people.adam, row=row, values=[ListValue("a", "", LATER), ListValue("b")])
    client = signed_in(people.adam)
    form = {"kind": "exact", "note": "now with a note", "values": "a | 2026-11-20\nb"}
    assert client.post(admin("namedlist", f"{row.pk}/change/"), form).status_code == 302
    with as_tenant(people.tenant.pk):
        assert ListEntry.objects.get(value="a").expires_at == LATER


def test_a_calendar_and_a_counter_are_made_in_their_pages(people: People) -> None:
    client = signed_in(people.adam)
    calendar = {
        "slug": "office",
        "time_zone": "Europe/Paris",
        "hours-mon-0-from": "9:00",
        "hours-mon-0-to": "12:30",
        "hours-mon-1-from": "13:00",
        "hours-mon-1-to": "24:00",
        "hours-sun-1-from": "10:00",  # the first pair of a day may stay empty
        "hours-sun-1-to": "11:00",
        "holidays": "2026-12-25\r\n\r\n2027-01-01\r\n2026-12-25",
    }
    assert client.post(admin("calendar"), calendar).status_code == 302
    with as_tenant(people.tenant.pk):
        row = Calendar.objects.get()
    assert row.hours == {"mon": [["09:00", "12:30"], ["13:00", "24:00"]], "sun": [["10:00", "11:00"]]}
    assert row.holidays == ["2026-12-25", "2027-01-01"]
    assert "Monday 09:00-12:30, 13:00-24:00; Sunday 10:00-11:00" in words(client.get(admin("calendar", "")))
    shown = client.get(admin("calendar", f"{row.pk}/change/")).content.decode()
    assert 'name="hours-mon-1-to" value="24:00"' in shown
    assert "2026-12-25\n2027-01-01" in shown
    refused = client.post(admin("calendar"), calendar | {"slug": "b", "time_zone": "Mars/Base"})
    assert "There is no time zone" in words(refused)
    counter = {
        "slug": "calls_1h",
        "scope_actions": "billing.*",
        "kind": "count",
        "of": "",
        "key": "",
        "window_seconds_count": "1",
        "window_seconds_unit": "3600",
    }
    response = client.post(admin("counter"), counter)
    assert response.status_code == 302, words(response)
    refused = client.post(admin("counter"), counter | {"slug": "sum_1h", "kind": "sum", "of": "params.a >"})
    assert "Line 1, column" in words(refused)
    page = words(client.get(admin("counter", "")))
    assert "stats.calls_1h" in page
    assert "all calls together" in page
    assert "1 hour" in page


@pytest.mark.parametrize(
    ("count", "unit", "stored"), [("90", "60", 5400), ("31", "86400", 31 * 86_400), ("75", "1", 75)]
)
def test_a_window_is_given_and_shown_in_its_unit(people: People, count: str, unit: str, stored: int) -> None:
    client = signed_in(people.adam)
    form = {"slug": "calls", "scope_actions": "*", "kind": "count", "of": "", "key": ""}
    window = {"window_seconds_count": count, "window_seconds_unit": unit}
    assert client.post(admin("counter"), form | window).status_code == 302
    with as_tenant(people.tenant.pk):
        row = Counter.objects.get()
    assert row.window_seconds == stored
    page = client.get(admin("counter", f"{row.pk}/change/")).content.decode()
    assert f'name="window_seconds_count" value="{count}"' in page
    assert f'<option value="{unit}" selected>' in page


@pytest.mark.parametrize(
    ("count", "unit", "said"),
    [
        ("59", "1", "1 minute to 31 days"),
        ("32", "86400", "1 minute to 31 days"),
        ("", "60", "required"),
        ("1", "7", "valid"),
    ],
)
def test_a_window_out_of_its_bounds_is_refused_at_its_field(people: People, count: str, unit: str, said: str) -> None:
    form = {"slug": "calls", "scope_actions": "*", "kind": "count", "of": "", "key": ""}
    window = {"window_seconds_count": count, "window_seconds_unit": unit}
    response: Any = signed_in(people.adam).post(admin("counter"), form | window)
    errors = response.context["adminform"].form.errors
    assert list(errors) == ["window_seconds"]
    assert said in str(errors["window_seconds"])


def test_one_in_use_has_no_delete_button_and_says_who_uses_it(people: People) -> None:
    row = domains(people, "demo.example")
    a_draft_rule(people, condition="in_list(params.d, 'company_domains')", tests=[])
    client = signed_in(people.adam)
    page = client.get(admin("namedlist", f"{row.pk}/change/"))
    assert "refund-cap" in words(page)
    assert "deletelink" not in str(page.content)
    assert client.post(admin("namedlist", f"{row.pk}/delete/"), {"post": "yes"}).status_code == 403
    with as_tenant(people.tenant.pk):
        NamedList.objects.get()


@pytest.mark.parametrize(
    ("typed", "complaint"),
    [
        ({}, "Give at least one day its hours."),
        ({"hours-mon-0-from": "09:00"}, "Monday: give both the start and the end."),
        ({"hours-tue-0-from": "17:00", "hours-tue-0-to": "9:00"}, "Tuesday: 17:00 is not before 09:00"),
        ({"hours-wed-0-from": "25:00", "hours-wed-0-to": "26:00"}, "Wednesday: '25:00' is no time of day"),
        ({"holidays": "2026-12-25\nChristmas"}, "Line 2: 'Christmas' is no date; write 2026-12-25."),
    ],
)
def test_a_calendar_that_cannot_be_is_refused_at_its_field(
    people: People, typed: dict[str, str], complaint: str
) -> None:
    client = signed_in(people.adam)
    refused = client.post(admin("calendar"), {"slug": "office", "time_zone": "UTC", **typed})
    assert complaint in words(refused)
    for text in typed.values():
        assert text.splitlines()[-1] in refused.content.decode()  # nothing that was typed is lost
    with as_tenant(people.tenant.pk):
        assert not Calendar.objects.exists()


@pytest.mark.parametrize("model", ["namedlist", "calendar", "counter"])
def test_only_policy_roles_come_in_and_nia_finds_nothing(people: People, model: str) -> None:
    makers: dict[str, Callable[[], Any]] = {
        "namedlist": lambda: domains(people, "demo.example"),
        "calendar": lambda: lists.save_calendar(
            people.tenant.pk, acting=people.adam, row=Calendar(slug="office", hours=OFFICE)
        ),
        "counter": lambda: lists.save_counter(
            people.tenant.pk,
            acting=people.adam,
            row=Counter(slug="calls_1m", scope_actions=["*"], key=[], window_seconds=60),
        ),
    }
    row = makers[model]()
    assert signed_in(people.rita).get(admin(model)).status_code in (302, 403, 404)
    assert signed_in(people.adam).get(admin(model, f"{row.pk}/change/")).status_code == 200
    assert signed_in(people.nia).get(admin(model, f"{row.pk}/change/")).status_code in (302, 404)
    assert row.slug not in words(signed_in(people.nia).get(admin(model, "")))
    with as_tenant(people.tenant.pk):
        assert not Revision.objects.exists()
