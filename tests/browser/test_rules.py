"""Rules as an admin who is no programmer makes them: with the builder, tried on real calls, published, deciding."""

from __future__ import annotations

import os
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import pytest
from django.contrib.auth.hashers import PBKDF2PasswordHasher
from playwright.sync_api import Page, expect

from audit.scope import as_tenant
from policy import drafts, lists, live, modes, revisions
from policy.models import Action, Counter, NamedList, Revision, Rule
from policy.terms import ListValue
from tenants.models import User
from tests.browser.conftest import OpenPage
from tests.browser.looks import assert_sound
from tests.factories import ask
from tests.people import PASSWORD, People, proof

WHY = "Agreed with finance on Friday."


@pytest.fixture
def shop(committed_people: People) -> People:
    """A tenant that enforces, with mapped actions and a few recorded calls, and no rule yet; Adam may sign in."""
    people = committed_people
    tenant_id = people.tenant.pk
    with as_tenant(tenant_id):
        for action_id, title in (
            ("billing.refund", "Refund an invoice"),
            ("email.send", "Send an e-mail"),
            ("db.query", "Run SQL"),
            ("files.delete", "Delete files"),
            ("crm.read", "Read a customer"),
        ):
            drafts.save_action(tenant_id, acting=people.adam, action=Action(action_id=action_id, title=title))
        revisions.publish(tenant_id, acting=people.adam, reason="The actions, to begin with.", evidence=proof())
        modes.set_tenant_mode(
            tenant_id, acting=people.adam, mode="enforce", evidence=proof(), reason="This test enforces."
        )
    live.forget(tenant_id)
    for amount in (1_200, 4_999.5, 6_200):
        ask(people, action_id="billing.refund", params={"amount": amount, "currency": "USD", "invoice_id": "in_88"})
    ask(people, action_id="email.send", params={"to": ["lena@demo.example"], "subject": "Hello"})
    ask(people, action_id="db.query", params={"sql": "SELECT 1"})
    ask(people, action_id="files.delete", params={"path": "/tmp/x"})
    password = PBKDF2PasswordHasher().encode(PASSWORD, "of-tests-only", iterations=1000)
    User.objects.filter(pk=people.adam.user_id).update(password=password)
    return people


class Hand:
    """Does what a person does, and counts it: each field filled, each choice, each press is one interaction."""

    def __init__(self, page: Page) -> None:
        self.page = page
        self.count = 0

    def fill(self, label: str, text: str) -> None:
        self.count += 1
        self.page.get_by_label(label, exact=True).fill(text)

    def choose(self, label: str, value: str) -> None:
        self.count += 1
        self.page.get_by_label(label, exact=True).select_option(value)

    def press(self, name: str) -> None:
        self.count += 1
        self.page.get_by_role("button", name=name, exact=True).first.click()

    def follow(self, name: str) -> None:
        self.count += 1
        self.page.get_by_role("link", name=name, exact=True).first.click()


def picture(page: Page, name: str) -> None:
    """A screenshot where somebody wants to look: GUARDSITE_PICTURES names the folder."""
    folder = os.environ.get("GUARDSITE_PICTURES")
    if folder:
        page.screenshot(path=Path(folder) / f"{name}.png", full_page=True)


def sign_in_to_rules(hand: Hand) -> None:
    """From nothing to the list of rules: four interactions."""
    hand.page.goto("/")
    hand.fill("Email", "adam@demo.example")
    hand.fill("Password", PASSWORD)
    hand.press("Sign in")
    hand.page.wait_for_url("**/reviews/")
    hand.follow("Rules")


def row(hand: Hand, number: int, field: str, operator: str, value: str = "") -> None:
    """Fill one row of the first group."""
    hand.choose(f"Field, group 1, row {number}", field)
    hand.choose(f"Comparison, group 1, row {number}", operator)
    if value:
        hand.fill(f"Value, group 1, row {number}", value)


def publish(hand: Hand) -> None:
    """Save and publish, with a reason."""
    hand.press("Save and publish…")
    picture(hand.page, "publish")
    hand.fill("Reason:", WHY)
    hand.press("Publish the draft")
    expect(hand.page.get_by_text("is live.").first).to_be_visible()


def decision(people: People, **call: Any) -> str:
    """What the gate says now."""
    live.forget(people.tenant.pk)
    return str(ask(people, now=datetime.now(UTC), **{"repeat": "new"} | call)["decision"])


def test_from_sign_in_to_a_published_tested_rule_in_at_most_15_interactions(shop: People, open_page: OpenPage) -> None:
    page = open_page(viewport={"width": 1280, "height": 900})
    hand = Hand(page)
    sign_in_to_rules(hand)
    picture(page, "rules-empty")
    hand.follow("Add rule")
    picture(page, "rule-add")
    hand.fill("Name:", "Refund over 5,000 dollars")
    hand.fill("Actions:", "billing.refund")
    row(hand, 1, "params.amount", "money_above", "5,000 USD")
    hand.press("Check")
    picture(page, "rule-checked")
    expect(page.get_by_text("Test matches passes.")).to_be_visible()
    expect(page.get_by_text("Test does not match passes.")).to_be_visible()
    publish(hand)
    assert hand.count <= 15, hand.count
    with as_tenant(shop.tenant.pk):
        rule = Rule.objects.get()
        assert (rule.slug, rule.effect, len(rule.tests)) == ("refund-over-5000-dollars", "review", 2)
        assert Revision.objects.order_by("-number")[0].reason == WHY
    assert rule.condition == (
        "!has(params.amount) || !has(params.currency) || "
        "minor(params.amount, params.currency) > {'USD': 500000}[params.currency]"
    )


# (name, actions, effect, rows, a call that it stops, a call that passes)
TYPICAL: list[tuple[str, str, str, list[tuple[str, ...]], dict[str, Any], dict[str, Any]]] = [
    (
        "Refund over 5,000 dollars",
        "billing.refund",
        "review",
        [("params.amount", "money_above", "5000 USD")],
        {"action_id": "billing.refund", "params": {"amount": 5000.01, "currency": "USD", "invoice_id": "in_1"}},
        {"action_id": "billing.refund", "params": {"amount": 5000, "currency": "USD", "invoice_id": "in_2"}},
    ),
    (
        "No refunds on the free plan",
        "billing.refund",
        "deny",
        [("user.plan", "is", "free")],
        {
            "action_id": "billing.refund",
            "params": {"amount": 10, "currency": "USD"},
            "user_context": {"user_id": "u_1", "plan": "free"},
        },
        {
            "action_id": "billing.refund",
            "params": {"amount": 11, "currency": "USD"},
            "user_context": {"user_id": "u_1", "plan": "pro"},
        },
    ),
    (
        "Recipient not on the list",
        "email.send",
        "review",
        [("params.to", "domain_not_in_list", "company-domains")],
        {"action_id": "email.send", "params": {"to": ["lena@demo.example", "x@elsewhere.example"], "subject": "Hi"}},
        {"action_id": "email.send", "params": {"to": ["lena@demo.example"], "subject": "Hello again"}},
    ),
    (
        "SQL with DROP",
        "db.*",
        "deny",
        [("params.sql", "words", "drop, truncate, alter")],
        {"action_id": "db.query", "params": {"sql": "drop table customers"}},
        {"action_id": "db.query", "params": {"sql": "SELECT dropped FROM parcels"}},
    ),
    (
        "Destructive tool",
        "files.*",
        "review",
        [("tool.destructive", "true")],
        {"action_id": "files.delete", "params": {"path": "/srv/a"}},
        # No tool here says that it only reads, so every call of its actions counts as destructive: another action.
        {"action_id": "db.query", "params": {"sql": "SELECT 2"}},
    ),
]


def make_rule(hand: Hand, name: str, actions: str, effect: str, rows: list[tuple[str, ...]]) -> None:
    """One rule, from the list to the list, checked and enforcing, with the example tests."""
    page = hand.page
    hand.follow("Add rule")
    hand.fill("Name:", name)
    hand.fill("Actions:", actions)
    for number, fields in enumerate(rows, start=1):
        row(hand, number, *fields)
    hand.choose("Effect:", effect)
    page.locator("summary", has_text="More: id").click()
    hand.choose("Mode:", "enforce")
    hand.press("Check")
    expect(page.get_by_text("No mistake was found.")).to_be_visible()
    hand.press("Save to draft")
    expect(page.get_by_text(f"“{name}” was added successfully").first).to_be_visible()


def test_each_typical_rule_is_made_with_the_builder_and_decides_without_scripts(
    shop: People, open_page: OpenPage
) -> None:
    with as_tenant(shop.tenant.pk):
        lists.save_list(
            shop.tenant.pk,
            acting=shop.adam,
            row=NamedList(slug="company-domains", kind="domain"),
            values=[ListValue("demo.example")],
        )
        lists.save_counter(
            shop.tenant.pk,
            acting=shop.adam,
            row=Counter(slug="calls_1h", scope_actions=["crm.*"], key=["agent.id"], window_seconds=3600),
        )
    ask(shop, action_id="billing.refund", params={"amount": 1}, user_context={"user_id": "u_2", "plan": "pro"})
    page = open_page(java_script_enabled=False, viewport={"width": 1280, "height": 900})
    hand = Hand(page)
    sign_in_to_rules(hand)
    for name, actions, effect, rows, _, _ in TYPICAL:
        make_rule(hand, name, actions, effect, rows)
    make_rule(hand, "More than 3 calls an hour", "crm.*", "review", [("stats.calls_1h", "above", "3")])
    picture(page, "rules-made")
    page.get_by_role("link", name="Publish the draft").first.click()
    picture(page, "publish-six")
    hand.fill("Reason:", WHY)
    hand.press("Publish the draft")
    expect(page.get_by_text("Revision 2 is live.").first).to_be_visible()
    for name, _, effect, _, stopped, passing in TYPICAL:
        assert decision(shop, **stopped) == effect, name
        assert decision(shop, **passing) == "allow", name
    calls = [decision(shop, action_id="crm.read", params={"id": number}) for number in range(5)]
    assert calls == ["allow", "allow", "allow", "review", "review"]
    # The list says what they did.
    page.goto("/admin/policy/rule/")
    picture(page, "rules-used")
    line = page.get_by_role("row", name="SQL with DROP")
    expect(line.locator(".column-matches, .field-column_matches")).to_have_text("1")


def test_a_rule_is_tried_on_real_calls_kept_as_tests_and_explained(shop: People, open_page: OpenPage) -> None:
    page = open_page(viewport={"width": 1280, "height": 900})
    hand = Hand(page)
    sign_in_to_rules(hand)
    hand.follow("Add rule")
    hand.fill("Name:", "Refund over 5,000 dollars")
    hand.fill("Actions:", "billing.refund")
    row(hand, 1, "params.amount", "money_above", "5000 USD")
    hand.press("Try on the last real calls")
    found = page.locator(".rule-preview")
    expect(found).to_contain_text("Of the last 3 calls in scope: 1 match, 2 do not match.")
    expect(found.get_by_role("row").nth(1)).to_contain_text("amount USD 6,200.00 is above USD 5,000.00")
    picture(page, "rule-tried")
    hand.press("Keep as a test")
    expect(page.get_by_text("The call is among the tests now.")).to_be_visible()
    expect(page.get_by_label("Call, test 1")).to_have_value(
        "params.amount = 6200\nparams.currency = USD\nparams.invoice_id = in_88\nuser.plan = pro\nuser.user_id = u_9\n"
        "action_id = billing.refund"
    )
    hand.press("Save to draft")
    with as_tenant(shop.tenant.pk):
        assert [test["expect"] for test in Rule.objects.get().tests] == ["match"]
    page.goto("/audit/")
    expect(page.locator("main")).to_contain_text("tried the rule refund-over-5000-dollars on 3 recorded calls")


def test_cel_edited_by_hand_counts_and_the_rows_come_back_when_asked(shop: People, open_page: OpenPage) -> None:
    page = open_page(viewport={"width": 1280, "height": 900})
    hand = Hand(page)
    sign_in_to_rules(hand)
    hand.follow("Add rule")
    hand.fill("Name:", "Large refund")
    hand.fill("Actions:", "billing.refund")
    row(hand, 1, "params.amount", "above", "5000")
    page.get_by_text("More ways to save").click()
    hand.press("Save and continue editing")
    cel = page.get_by_label("Condition (CEL)")
    expect(cel).to_have_value("!has(params.amount) || params.amount > 5000")
    cel.fill("params.amount > 7000")
    page.get_by_text("More ways to save").click()
    hand.press("Save and continue editing")
    expect(page.get_by_text("the rows are set aside").first).to_be_visible()
    expect(page.get_by_text("The condition is written by hand.")).to_be_hidden()
    with as_tenant(shop.tenant.pk):
        rule = Rule.objects.get()
        assert (rule.condition, rule.builder) == ("params.amount > 7000", None)
    page.locator("summary", has_text="Rows").click()
    row(hand, 1, "params.amount", "above", "9000")
    hand.press("Check")
    expect(cel).to_have_value("params.amount > 7000")
    page.locator("summary", has_text="Rows").click()
    hand.press("Use the rows")
    expect(cel).to_have_value("!has(params.amount) || params.amount > 9000")
    hand.press("Save to draft")
    with as_tenant(shop.tenant.pk):
        rule = Rule.objects.get()
        assert rule.condition == "!has(params.amount) || params.amount > 9000"
        assert rule.builder is not None


def test_a_rule_that_fails_is_named_with_its_calls_and_rolled_back_from_the_page(
    shop: People, open_page: OpenPage
) -> None:
    tenant_id = shop.tenant.pk
    with as_tenant(tenant_id):
        rule = Rule(
            slug="by-weight",
            name="By weight",
            scope_actions=["files.*"],
            condition="params.weight > 5",
            effect="review",
            mode="enforce",
        )
        drafts.save_rule(tenant_id, acting=shop.adam, rule=rule)
        revisions.publish(tenant_id, acting=shop.adam, reason="The rule that will fail.", evidence=proof())
    assert decision(shop, action_id="files.delete", params={"path": "/x"}) == "review"
    page = open_page(viewport={"width": 1280, "height": 900})
    hand = Hand(page)
    sign_in_to_rules(hand)
    failing = page.locator(".rule-failing")
    expect(failing).to_contain_text("By weight, 1 call: files.delete")
    picture(page, "rules-failing")
    failing.get_by_role("link").click()
    expect(page.locator("main")).to_contain_text("files.delete")
    page.go_back()
    hand.follow("History and roll back")
    hand.follow("1")
    hand.follow("Roll back to this")
    picture(page, "roll-back")
    hand.fill("Reason:", "It fails on every call.")
    hand.press("Roll back to revision 1")
    expect(page.get_by_text("Revision 1 is live again.").first).to_be_visible()
    assert decision(shop, action_id="files.delete", params={"path": "/y"}) == "allow"


def test_the_pages_of_rules_hold_at_any_width_and_theme(shop: People, open_page: OpenPage) -> None:
    page = open_page()
    hand = Hand(page)
    page.goto("/")
    hand.fill("Email", "adam@demo.example")
    hand.fill("Password", PASSWORD)
    hand.press("Sign in")
    page.wait_for_url("**/reviews/")
    page.goto("/admin/policy/rule/add/")
    assert_sound(page, "add a rule")
    hand.fill("Name:", "Large refund")
    hand.fill("Actions:", "billing.refund")
    hand.choose("Field, group 1, row 1", "params.amount")
    hand.press("Check")
    expect(page.locator(".errorlist").first).to_be_visible()
    assert_sound(page, "a row with a mistake")
    row(hand, 1, "params.amount", "above", "5000")
    hand.press("Try on the last real calls")
    expect(page.locator(".rule-preview")).to_contain_text("1 match")
    assert_sound(page, "tried on real calls")
    hand.press("Save and publish…")
    expect(page.get_by_role("button", name="Publish the draft")).to_be_visible()
    assert_sound(page, "publish")
    page.goto("/admin/policy/rule/")
    assert_sound(page, "the rules")


def test_what_a_choice_needs_appears_with_it(shop: People, open_page: OpenPage) -> None:
    page = open_page(viewport={"width": 1280, "height": 900})
    hand = Hand(page)
    sign_in_to_rules(hand)
    page.goto("/admin/tenants/apikey/add/")
    last_day = page.get_by_label("Last day:")
    expect(last_day).to_be_hidden()
    page.get_by_label("Expires:").select_option("day")
    expect(last_day).to_be_visible()

    page.goto("/admin/reviews/noticetarget/add/")
    team, address, url = (page.get_by_label(name) for name in ("Team:", "Address:", "URL:"))
    for field in (team, address, url):
        expect(field).to_be_hidden()
    page.get_by_label("To:").select_option("team")
    expect(team).to_be_visible()
    page.get_by_label("Channel:").select_option("webhook")
    expect(url).to_be_visible()
    expect(team).to_be_hidden()
    hand.fill("Name:", "Our chat")
    hand.press("Save")
    # What was refused is shown whatever was chosen.
    expect(page.locator(".field-url .errorlist")).to_be_visible()

    page.goto("/admin/policy/action/")
    apply = page.get_by_role("button", name="Apply")
    expect(apply).to_be_hidden()
    page.get_by_role("row", name="Refund an invoice").get_by_role("checkbox").check()
    expect(apply).to_be_visible()
    picture(page, "actions-ticked")
    page.get_by_label("With the ticked:").select_option("delete_selected")
    apply.click()
    expect(page.get_by_text("What is live stays until the next publish.")).to_be_visible()
