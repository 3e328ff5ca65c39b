"""Django admin: refused with the place of the mistake, accepted into the draft, published, flipped; by whom it may."""

from __future__ import annotations

import re
import time
from datetime import UTC, datetime
from typing import Any

import pytest
from django.http import HttpResponse
from django.test import Client

from audit.scope import as_tenant
from policy import catalog
from policy.models import Action, PolicyState, Revision, Rule
from policy.modes import set_tenant_mode
from policy.revisions import publish, roll_back
from tenants.errors import StepUpNeeded
from tenants.models import Member
from tenants.stepup import Evidence
from tests.people import People, proof
from tests.policy.drafts import REFUND_TESTS, a_draft_rule, an_action

# The rules' pages also read the log, as its own reader.
pytestmark = pytest.mark.django_db(databases=["default", "audit_reader"])

WHY = "Two weeks of observing look right."
RULES, ACTIONS = "/admin/policy/rule/", "/admin/policy/action/"
REVISIONS, STATE = "/admin/policy/revision/", "/admin/policy/policystate/"

RULE = {
    "slug": "refund-cap",
    "name": "Refund cap",
    "scope_actions": "billing.refund*, billing.credit",
    "condition": "params.amount_cents > 50000",
    "effect": "review",
    "reason": "Refunds above USD 500.00 need a person.",
    "note": "",
    "mode": "",
    "rollout": "100",
    "tier": "2",
    "team": "",
    "due_in_seconds_count": "15",
    "due_in_seconds_unit": "60",
    "expires_in_seconds": "",
    "hold_seconds": "0",
    "on_error": "review",
    "suppresses": "",
    "priority": "100",
    "tests": "[]",
}


def signed_in(member: Member) -> Client:
    client = Client()
    client.force_login(member.user, backend="allauth.account.auth_backends.AuthenticationBackend")
    signed_in_ago(client, seconds=0)
    return client


def signed_in_ago(client: Client, *, seconds: int) -> None:
    """As allauth records it when somebody gives their password."""
    session = client.session
    session["account_authentication_methods"] = [{"method": "password", "at": time.time() - seconds}]
    session["account_authentication_methods_user"] = session["_auth_user_id"]
    session.save()


def text_of(response: HttpResponse) -> str:
    """The page as a reader sees it: no tags, single spaces."""
    import html

    return re.sub(r"\s+", " ", html.unescape(re.sub(r"<[^>]*>", " ", response.content.decode())))


@pytest.fixture
def adam(people: People) -> Client:
    """Adam, the owner, signed in."""
    return signed_in(people.adam)


def only_rule(people: People) -> Rule:
    with as_tenant(people.tenant.pk):
        return Rule.objects.get()


def test_a_good_rule_is_saved_into_the_draft_of_the_tenant(people: People, adam: Client) -> None:
    response = adam.post(f"{RULES}add/", RULE)
    assert response.status_code == 302, text_of(response)  # type: ignore[arg-type]  # the client's response
    rule = only_rule(people)
    assert rule.tenant_id == people.tenant.pk
    assert rule.scope_actions == ["billing.refund*", "billing.credit"]
    assert (rule.mode, rule.hold_seconds, rule.due_in_seconds) == ("enforce", 0, 900)
    page = text_of(adam.get(RULES))  # type: ignore[arg-type]
    assert "amount_cents is above 50000" in page
    assert "It acts once it is published." in page


@pytest.mark.parametrize(
    ("fields", "sentence"),
    [
        ({"condition": "params.amount > 5,000"}, "Line 1, column 17: Write 5000, without separators."),
        ({"condition": "params.a > 1 &&\r\nparams.b = 2"}, "Line 2, column 10: Write `==` to compare."),
        ({"condition": "amount > 5"}, "Line 1, column 1: Did you mean `params.amount`? Text needs quotes."),
        ({"condition": ""}, "This field is required."),
        ({"condition": "params.to.map(x, x) == []"}, "`map` is not available"),
        ({"condition": "'a' + 'b'"}, "The condition gives string; it must give true or false."),
        ({"scope_actions": ""}, "This field is required."),
        ({"scope_actions": "billing refund"}, "An action pattern has no spaces."),
        ({"suppresses": "other"}, "Only an allow rule can switch review rules off."),
        ({"tests": "[{}]"}, 'Each test has "name", "context" and "expect".'),
        ({"tests": "not json"}, "Enter a valid JSON."),
        ({"tier": "5"}, "less than or equal to 4"),
        ({"hold_seconds": "61"}, "less than or equal to 60"),
        ({"rollout": "101"}, "less than or equal to 100"),
        ({"slug": "not a slug"}, "Enter a valid “slug”"),
        ({"effect": "maybe"}, "Select a valid choice."),
    ],
)
def test_a_mistake_is_refused_at_its_field_and_nothing_is_saved(
    people: People, adam: Client, fields: dict[str, str], sentence: str
) -> None:
    response: Any = adam.post(f"{RULES}add/", {**RULE, **fields})
    assert response.status_code == 200
    assert sentence in text_of(response)
    errors = response.context["adminform"].form.errors
    assert set(errors) == set(fields)
    if "condition" in fields:
        assert fields["condition"].split("\r\n")[0] in text_of(response) or not fields["condition"]
    with as_tenant(people.tenant.pk):
        assert not Rule.objects.exists()


def test_an_id_is_used_once(people: People, adam: Client) -> None:
    a_draft_rule(people)
    response: Any = adam.post(f"{RULES}add/", RULE)
    assert "Another rule has this id." in text_of(response)


def test_check_shows_findings_and_saves_nothing(people: People, adam: Client) -> None:
    an_action(people, schema={"type": "object", "properties": {"amount_cents": {"type": "integer"}}})
    response: Any = adam.post(f"{RULES}add/", {**RULE, "_check": "Check"})
    page = text_of(response)
    assert "Checked, not saved" in page
    assert "Reads as: When amount_cents is above 50000, a call of billing.refund* or billing.credit is held" in page
    assert "`params.amount_cents` may be missing" in page
    assert "!has(params.amount_cents) || (params.amount_cents > 50000)" in page
    assert "Please correct the error" not in page
    import json

    failing = [*REFUND_TESTS, {"name": "wrong", "context": {"params": {"amount_cents": 1}}, "expect": "match"}]
    page = text_of(adam.post(f"{RULES}add/", {**RULE, "tests": json.dumps(failing), "_check": "Check"}))  # type: ignore[arg-type]
    assert "Test large passes." in page
    assert "Test wrong fails: expected match, got no match." in page
    page = text_of(adam.post(f"{RULES}add/", {**RULE, "condition": "a = 1", "_check": "Check"}))  # type: ignore[arg-type]
    assert "Line 1, column 3: Write `==` to compare." in page
    with as_tenant(people.tenant.pk):
        assert not Rule.objects.exists()


def test_check_says_what_an_unfinished_rule_lacks(people: People, adam: Client) -> None:
    page = text_of(adam.post(f"{RULES}add/", {**RULE, "name": "", "scope_actions": "", "_check": "Check"}))  # type: ignore[arg-type]
    assert "Not a rule yet. Still missing: a name, the actions that it is about." in page
    assert "Reads as" not in page


def test_a_rule_has_one_commit_and_its_other_ways_to_save_in_a_fold(people: People, adam: Client) -> None:
    rule = a_draft_rule(people)
    page = adam.get(f"{RULES}{rule.pk}/change/").content.decode()
    row = page.partition('<div class="submit-row">')[2]
    before, _, fold = row.partition('<details class="submit-more">')
    assert (before.count('type="submit"'), before.count('class="default"')) == (2, 1)
    assert [f'name="_{name}"' in fold.partition("</details>")[0] for name in ("continue", "addanother")] == [True] * 2
    assert 'class="deletelink"' in fold.partition("</details>")[2]


def test_the_arrow_of_a_sorted_column_follows_its_name(people: People, adam: Client) -> None:
    a_draft_rule(people)
    page = adam.get(f"{RULES}?o=2").content.decode()
    heading = page.partition('aria-sort="ascending"')[2].partition("</th>")[0]
    assert 0 < heading.index("Actions") < heading.index("sortoptions")


def test_an_empty_list_says_what_would_stand_in_it(people: People, adam: Client) -> None:
    page = text_of(adam.get("/admin/policy/counter/"))  # type: ignore[arg-type]
    assert "No counters yet. A counter adds up calls" in page
    assert "0 counters" not in page
    a_draft_rule(people)
    page = text_of(adam.get(f"{RULES}?q=nothing-like-it"))  # type: ignore[arg-type]
    assert "No rules match. Show all" in page
    assert "yet" not in page.partition("No rules match")[2]


def test_a_warning_does_not_stop_the_save(people: People, adam: Client) -> None:
    an_action(people, schema={"type": "object", "properties": {"amount_cents": {"type": "integer"}}})
    assert adam.post(f"{RULES}add/", RULE).status_code == 302
    assert "`params.amount_cents` may be missing" in text_of(adam.get(RULES))  # type: ignore[arg-type]
    assert only_rule(people).slug == "refund-cap"


def test_a_saved_rule_is_changed_and_deleted_in_the_draft(people: People, adam: Client) -> None:
    rule = a_draft_rule(people)
    url = f"{RULES}{rule.pk}/change/"
    assert adam.get(url).status_code == 200
    changed = {**RULE, "mode": "observe", "condition": "params.amount_cents > 7"}
    changed.pop("slug")
    assert adam.post(url, changed).status_code == 302
    assert (only_rule(people).condition, only_rule(people).slug) == ("params.amount_cents > 7", "refund-cap")
    assert adam.post(f"{RULES}{rule.pk}/delete/", {"post": "yes"}).status_code == 302
    a_draft_rule(people)
    selected = {"action": "delete_selected", "_selected_action": [str(only_rule(people).pk)], "post": "yes"}
    assert adam.post(RULES, selected).status_code == 302
    with as_tenant(people.tenant.pk):
        assert not Rule.objects.exists()


def test_actions_are_mapped_and_the_unmapped_are_listed(people: People, adam: Client) -> None:
    with as_tenant(people.tenant.pk):
        catalog.note_action(people.tenant.pk, "crm.export")
    response: Any = adam.get(ACTIONS)
    assert "crm.export" in text_of(response)
    assert b"?action_id=crm.export" in response.content
    assert b'value="crm.export"' in adam.get(f"{ACTIONS}add/?action_id=crm.export").content
    action = {"action_id": "crm.export", "title": "Export", "schema": "", "tier_floor": "1", "undo_text": ""}
    for wrong in ({"schema": "[]"}, {"schema": "{"}, {"action_id": "crm export"}, {"tier_floor": "5"}):
        assert adam.post(f"{ACTIONS}add/", {**action, **wrong}).status_code == 200
    assert adam.post(f"{ACTIONS}add/", {**action, "schema": '{"type": "object"}'}).status_code == 302
    page = text_of(adam.get(ACTIONS))  # type: ignore[arg-type]
    assert "Called, not mapped" not in page
    again: Any = adam.post(f"{ACTIONS}add/", action)
    assert "This action is mapped already." in text_of(again)


def test_mapping_where_the_tenant_enforces_asks_for_the_mode(people: People, adam: Client) -> None:
    set_tenant_mode(people.tenant.pk, acting=people.adam, mode="enforce", evidence=proof(), reason=WHY)
    action = {"action_id": "a.b", "title": "A", "schema": "", "tier_floor": "0", "undo_text": "", "mode": "observe"}
    refused: Any = adam.post(f"{ACTIONS}add/", {**action, "mode_reason": "short"})
    assert "Give a reason of at least 10 characters." in text_of(refused)
    assert adam.post(f"{ACTIONS}add/", {**action, "mode": "enforce"}).status_code == 302
    assert adam.post(f"{ACTIONS}add/", {**action, "action_id": "a.c", "mode_reason": WHY}).status_code == 302
    with as_tenant(people.tenant.pk):
        assert dict(Action.objects.values_list("action_id", "mode_override")) == {"a.b": "enforce", "a.c": "observe"}


def test_publishing_shows_the_difference_and_asks_why(people: People, adam: Client) -> None:
    an_action(people)
    a_draft_rule(people)
    response: Any = adam.get(f"{REVISIONS}publish/")
    assert "Nothing is live yet" in text_of(response)
    assert "Rule refund-cap" in text_of(response)
    sha256 = response.context["form"].initial["sha256"]
    short: Any = adam.post(f"{REVISIONS}publish/", {"reason": "short", "sha256": sha256})
    assert short.status_code == 422
    assert "at least 10 characters" in text_of(short)
    stale: Any = adam.post(f"{REVISIONS}publish/", {"reason": WHY, "sha256": "0" * 64})
    assert stale.status_code == 422
    assert "The draft was changed since you read it." in text_of(stale)
    assert WHY in text_of(stale)
    with as_tenant(people.tenant.pk):
        assert not Revision.objects.exists()
    assert adam.post(f"{REVISIONS}publish/", {"reason": WHY, "sha256": sha256}).status_code == 302
    with as_tenant(people.tenant.pk):
        revision = Revision.objects.get()
    assert (revision.number, revision.reason, revision.published_by_name) == (1, WHY, "Adam Abara")
    assert "Revision 1 is live." in text_of(adam.get(REVISIONS))  # type: ignore[arg-type]
    page = text_of(adam.get(f"{REVISIONS}{revision.pk}/change/"))  # type: ignore[arg-type]
    assert "The first revision" in page
    assert revision.sha256 in page


def test_a_draft_with_problems_is_not_published_from_the_page(people: People, adam: Client) -> None:
    a_draft_rule(people, slug="no-free", effect="deny", condition="user.plan == 'free'", tests=[])
    response: Any = adam.get(f"{REVISIONS}publish/")
    assert "no-free: A deny rule needs a test" in text_of(response)
    form = {"reason": WHY, "sha256": response.context["form"].initial["sha256"]}
    refused: Any = adam.post(f"{REVISIONS}publish/", form)
    assert refused.status_code == 422
    assert "no-free: A deny rule needs a test" in text_of(refused)
    assert adam.post(f"{REVISIONS}publish/", {**form, "accept_untested": "on"}).status_code == 302


def test_rolling_back_from_the_page(people: People, adam: Client) -> None:
    a_draft_rule(people)
    first = publish(people.tenant.pk, acting=people.adam, reason=WHY, evidence=proof())
    a_draft_rule(people, slug="another")
    publish(people.tenant.pk, acting=people.adam, reason=WHY, evidence=proof())
    page: Any = adam.get(f"{REVISIONS}{first.pk}/rollback/")
    assert "Rule another" in text_of(page)
    assert adam.post(f"{REVISIONS}{first.pk}/rollback/", {"reason": "no"}).status_code == 422
    assert adam.post(f"{REVISIONS}{first.pk}/rollback/", {"reason": WHY}).status_code == 302
    with as_tenant(people.tenant.pk):
        assert PolicyState.objects.get().live_id == first.pk
    assert adam.post(f"{REVISIONS}{first.pk}/rollback/", {"reason": WHY}).status_code == 409


def test_a_revision_is_read_only_in_the_admin(people: People, adam: Client) -> None:
    a_draft_rule(people)
    revision = publish(people.tenant.pk, acting=people.adam, reason=WHY, evidence=proof())
    page = adam.get(f"{REVISIONS}{revision.pk}/change/").content.decode()
    assert f'<a href="{REVISIONS}{revision.pk}/history/" class="historylink">' in page
    assert adam.get(f"{REVISIONS}add/").status_code == 403
    assert adam.post(f"{REVISIONS}{revision.pk}/change/", {"reason": "changed"}).status_code == 403
    assert adam.post(f"{REVISIONS}{revision.pk}/delete/", {"post": "yes"}).status_code == 403


@pytest.mark.parametrize(
    ("path", "heading", "back_to"),
    [
        (f"{REVISIONS}add/", "Revisions cannot be added by hand", REVISIONS),
        (f"{STATE}add/", "Mode and defaults cannot be added by hand", STATE),
        (
            "/admin/policy/tooldefinition/add/",
            "Tool definitions cannot be added by hand",
            "/admin/policy/tooldefinition/",
        ),
    ],
)
def test_what_nobody_may_do_is_said_by_name_and_leads_back_to_the_list(
    people: People, adam: Client, path: str, heading: str, back_to: str
) -> None:
    response = adam.get(path)
    assert response.status_code == 403
    page = response.content.decode()
    assert f'<h1 tabindex="-1">{heading}</h1>' in page
    assert f'<a class="button" href="{back_to}">' in page


def test_a_page_outside_of_ones_role_leads_to_the_queue(people: People) -> None:
    page = signed_in(people.rita).get("/audit/").content.decode()
    assert "Your role does not include this" in page
    assert '<a class="button" href="/">' in page


@pytest.mark.parametrize(
    ("who", "path", "takes"),
    [
        ("rita", "/audit/", "You are here as Reviewer. This takes one of these roles: Owner, Lead, Auditor."),
        ("lena", "/audit/exports/", "You are here as Lead. This takes one of these roles: Owner, Auditor."),
        ("lena", "/policy/flip/", "You are here as Lead. This takes the role Owner."),
        ("rita", "/admin/", "This takes one of these roles: Owner, Policy author, Lead, Auditor, Developer."),
        ("otto", f"{RULES}add/", "You are here as Auditor. This takes one of these roles: Owner, Policy author."),
        ("devi", "/admin/tenants/member/", "You are here as Developer. This takes the role Owner."),
    ],
)
def test_who_lacks_a_role_is_told_which_and_who_gives_it(people: People, who: str, path: str, takes: str) -> None:
    page = signed_in(getattr(people, who)).get(path, follow=True)
    assert page.status_code == 403
    assert takes in text_of(page)  # type: ignore[arg-type]  # Django's test client adds to the response's type
    assert "ask an owner of Demo to give you the role: Adam Abara." in text_of(page)  # type: ignore[arg-type]  # as above


def test_what_no_role_gives_names_none(people: People) -> None:
    page = text_of(signed_in(people.otto).get(f"{REVISIONS}add/"))  # type: ignore[arg-type]  # as above
    assert "Revisions cannot be added by hand" in page
    assert "This takes" not in page


def test_a_revision_says_what_it_changed_in_words_and_keeps_the_whole(people: People, adam: Client) -> None:
    an_action(people)
    an_action(people, action_id="crm.read", title="Read", tier_floor=3)
    a_draft_rule(people, due_in_seconds=5400)
    first = publish(people.tenant.pk, acting=people.adam, reason=WHY, evidence=proof())
    page: Any = adam.get(f"{REVISIONS}{first.pk}/change/")
    text = re.sub(r"\s+", " ", text_of(page))
    assert "<h1>Revision 1</h1>" in page.content.decode()
    assert "Live Every call is checked against it." in text
    assert "1 rule, 2 actions, defaults and libraries added." in text
    assert "When amount_cents is above 50000, a call of billing.refund* is held for a reviewer" in text
    assert "due in 90 minutes" in text
    assert "crm.read Read 3" in text
    assert "Refund an invoice none" in text
    assert first.snapshot in text
    a_draft_rule(people, slug="another")
    publish(people.tenant.pk, acting=people.adam, reason=WHY, evidence=proof())
    replaced = re.sub(r"\s+", " ", text_of(adam.get(f"{REVISIONS}{first.pk}/change/")))  # type: ignore[arg-type]
    assert "Replaced Revision 2 is live." in replaced


def test_the_flip_of_the_admin_leads_to_its_own_page(people: People, adam: Client) -> None:
    an_action(people)
    assert 'href="/policy/flip/?action=billing.refund"' in adam.get(STATE).content.decode()
    assert adam.get(f"{STATE}flip/")["Location"] == "/policy/flip/"
    assert adam.get(f"{STATE}flip/?action=billing.refund")["Location"] == "/policy/flip/?action=billing.refund"
    assert adam.post(f"{STATE}flip/", {"mode": "enforce", "reason": WHY}).status_code == 302
    with as_tenant(people.tenant.pk):
        assert PolicyState.objects.get().default_mode == "observe"


def test_the_defaults_are_saved_into_the_draft(people: People, adam: Client) -> None:
    url = f"{STATE}{people.tenant.pk}/change/"
    form = adam.get(url).context["adminform"].form
    assert [form[name].label for name in ("unmapped", "mapped_default")] == [
        "Actions that nobody listed under Actions",
        "Listed actions that no rule matches",
    ]
    defaults = {"unmapped": "deny", "mapped_default": "review", "on_engine_failure": "review"}
    assert adam.post(url, defaults).status_code == 302
    with as_tenant(people.tenant.pk):
        state = PolicyState.objects.get()
    assert (state.unmapped, state.mapped_default, state.on_engine_failure) == ("deny", "review", "review")


def test_the_defaults_that_are_live_stand_beside_the_drafts(people: People, adam: Client) -> None:
    def page() -> str:
        return text_of(adam.get(STATE))  # type: ignore[arg-type]  # Django's test client adds to the response's type

    assert "No revision is live yet" in page()
    assert "Default Draft Actions that nobody listed under Actions Review Listed" in page()
    a_draft_rule(people)
    publish(people.tenant.pk, acting=people.adam, reason=WHY, evidence=proof())
    assert "Revision 1 is live" in page()
    assert "Default Live Draft Actions that nobody listed under Actions Review Review Listed" in page()
    adam.post(
        f"{STATE}{people.tenant.pk}/change/",
        {"unmapped": "deny", "mapped_default": "allow", "on_engine_failure": "review"},
    )
    assert (
        "Actions that nobody listed under Actions Review Deny not live yet Listed actions that no rule matches Allow "
        "Allow When"
    ) in page()
    assert "When the live rules cannot be loaded: Review . This one acts at once" in page()


@pytest.mark.parametrize(
    ("who", "sees", "changes"),
    [("rita", 403, 403), ("lena", 200, 403), ("otto", 200, 403), ("devi", 200, 403), ("adam", 200, 200)],
)
def test_each_role_opens_what_is_theirs(people: People, who: str, sees: int, changes: int) -> None:
    client = signed_in(getattr(people, who))
    rule, action = a_draft_rule(people), an_action(people)
    for url in (RULES, ACTIONS, REVISIONS, STATE, f"{RULES}{rule.pk}/change/", f"{ACTIONS}{action.pk}/change/"):
        assert client.get(url, follow=True).status_code == sees, url
    for url in (f"{RULES}add/", f"{ACTIONS}add/", f"{REVISIONS}publish/", f"{STATE}flip/", f"{RULES}{rule.pk}/delete/"):
        assert client.get(url, follow=True).status_code == changes, url
    if changes == 403:
        for url, data in (
            (f"{RULES}{rule.pk}/change/", RULE),
            (f"{REVISIONS}publish/", {"reason": WHY, "sha256": "0" * 64}),
            (f"{STATE}flip/", {"mode": "enforce", "reason": WHY}),
            (f"{STATE}{people.tenant.pk}/change/", {"unmapped": "observe"}),
        ):
            assert client.post(url, data, follow=True).status_code == 403, url
        with as_tenant(people.tenant.pk):
            assert Rule.objects.get().tests == rule.tests
            assert not Revision.objects.exists()
            assert PolicyState.objects.get().unmapped == "review"


def test_nobody_signed_in_sees_nothing(people: People) -> None:
    for url in (RULES, ACTIONS, REVISIONS, STATE, f"{REVISIONS}publish/", f"{STATE}flip/"):
        assert Client().get(url).status_code == 302


def test_another_tenants_rows_look_absent(people: People) -> None:
    rule, action = a_draft_rule(people), an_action(people)
    revision = publish(people.tenant.pk, acting=people.adam, reason=WHY, evidence=proof())
    nia = signed_in(people.nia)
    for url in (RULES, ACTIONS, REVISIONS, STATE):
        page = text_of(nia.get(url))  # type: ignore[arg-type]
        assert "refund" not in page.lower(), url
    for url in (
        f"{RULES}{rule.pk}/",
        f"{ACTIONS}{action.pk}/",
        f"{REVISIONS}{revision.pk}/",
        f"{STATE}{people.tenant.pk}/",
    ):
        response = nia.post(f"{url}change/", RULE)
        # Django admin sends an absent row to its index with a message.
        assert response.status_code in (302, 403), url
    assert nia.get(f"{STATE}flip/?action=billing.refund", follow=True).status_code == 404
    assert nia.get(f"{REVISIONS}{revision.pk}/rollback/").status_code == 404
    assert only_rule(people).condition == "params.amount_cents > 50000"


def test_what_is_saved_into_the_draft_says_so_and_that_nothing_acts_yet(adam: Client) -> None:
    said = "Nothing changes until the draft is published."
    for model in ("rule", "action", "namedlist", "calendar", "counter"):
        page = adam.get(f"/admin/policy/{model}/add/").content.decode()
        assert 'value="Save to draft"' in page, model
        assert said in page, model
    at_once = adam.get("/admin/policy/judgesetting/add/").content.decode()
    assert 'value="Save"' in at_once
    assert said not in at_once


def test_an_action_says_what_it_does_now_and_where_that_is_set(people: People, adam: Client) -> None:
    action = an_action(people)
    page = text_of(adam.get(f"{ACTIONS}{action.pk}/change/"))  # type: ignore[arg-type]
    assert "Observe, as every action without a mode of its own. Set under Mode and defaults" in page
    assert "None: the rules say" in page


def test_the_pages_hold_under_the_strict_policy(people: People, adam: Client) -> None:
    """No inline script, style or handler on any of them: the browser would refuse it."""
    rule, action = a_draft_rule(people), an_action(people)
    revision = publish(people.tenant.pk, acting=people.adam, reason=WHY, evidence=proof())
    a_draft_rule(people, slug="another")
    for url in (
        *(
            RULES,
            f"{RULES}add/",
            f"{RULES}{rule.pk}/change/",
            f"{RULES}{rule.pk}/delete/",
        ),
        *(ACTIONS, f"{ACTIONS}add/", f"{ACTIONS}{action.pk}/change/"),
        *(
            REVISIONS,
            f"{REVISIONS}{revision.pk}/change/",
            f"{REVISIONS}publish/",
            f"{REVISIONS}{revision.pk}/rollback/",
        ),
        *(STATE, f"{STATE}{people.tenant.pk}/change/"),
        *("/policy/flip/", "/policy/flip/?action=billing.refund", "/policy/readiness/", "/policy/readiness/label/"),
        *("/policy/backtests/", "/policy/shadow/", "/policy/freezes/"),
    ):
        response: Any = adam.get(url)
        assert response.status_code == 200, url
        page = response.content.decode()
        assert "unsafe" not in response.headers["Content-Security-Policy"]
        assert not re.search(r"<style|\sstyle=|\son[a-z]+=|javascript:", page), url
        for attributes, body in re.findall(r"<script([^>]*)>(.*?)</script>", page, re.DOTALL):
            assert "src=" in attributes or 'type="application/json"' in attributes, (url, body[:80])


def test_publishing_and_rolling_back_want_a_recent_sign_in_and_keep_what_was_typed(
    people: People, adam: Client
) -> None:
    a_draft_rule(people)
    first = publish(people.tenant.pk, acting=people.adam, reason=WHY, evidence=proof())
    a_draft_rule(people, slug="another")
    publish(people.tenant.pk, acting=people.adam, reason=WHY, evidence=proof())
    a_draft_rule(people, slug="a-third")
    for path in (f"{REVISIONS}publish/", f"{REVISIONS}{first.pk}/rollback/"):
        signed_in_ago(adam, seconds=0)
        shown: Any = adam.get(path)
        form = {"reason": "A reason that was typed.", "sha256": shown.context["form"].initial.get("sha256", "")}
        signed_in_ago(adam, seconds=301)
        asked = adam.post(path, form)
        assert asked.status_code == 302
        assert asked.headers["Location"].startswith("/accounts/reauthenticate/")
        signed_in_ago(adam, seconds=10)
        assert b"A reason that was typed." in adam.get(path).content
        with as_tenant(people.tenant.pk):
            assert Revision.objects.count() == 2, "coming back publishes nothing by itself"
            assert PolicyState.objects.get().live_id != first.pk


@pytest.mark.parametrize("evidence", [None, Evidence("password", datetime(2026, 1, 1, tzinfo=UTC))])
def test_the_write_functions_refuse_without_a_recent_sign_in(people: People, evidence: Evidence | None) -> None:
    a_draft_rule(people)
    with pytest.raises(StepUpNeeded):
        publish(people.tenant.pk, acting=people.adam, reason=WHY, evidence=evidence)
    publish(people.tenant.pk, acting=people.adam, reason=WHY, evidence=proof())
    with pytest.raises(StepUpNeeded):
        roll_back(people.tenant.pk, acting=people.adam, number=1, reason=WHY, evidence=evidence)
