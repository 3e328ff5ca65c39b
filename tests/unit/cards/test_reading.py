"""What stands beside a value: labels and their source, links, defaults, what the provider claims, what was found."""

from __future__ import annotations

from dataclasses import replace
from datetime import UTC, datetime
from typing import Any

import pytest

from reviews.cards.present import build_card, template_from
from reviews.cards.types import (
    Card,
    CardInput,
    Caution,
    Fact,
    LabelSource,
    Notice,
    Provenance,
    Role,
    Severity,
    Template,
    ToolLabels,
)

NOW = datetime(2026, 11, 21, 12, 0, tzinfo=UTC)
SCHEMA: dict[str, Any] = {
    "properties": {
        "amount": {"type": "integer", "title": "Amount in cents"},
        "notify": {"type": "boolean", "default": True, "title": "Notify the customer"},
        "channel": {"enum": ["mail", "post"], "enumNames": ["by e-mail", "by post"], "default": "mail"},
        "token": {"type": "string", "writeOnly": True},
        "order": {"properties": {"total": {"type": "integer", "default": 3}}},
    }
}
TOOL = ToolLabels(
    title="Refund a charge",
    property_titles={"amount": "Sum to give back", "bcc": "Archive copy"},
    annotations={"readOnlyHint": True, "destructiveHint": False, "novel": True},
)


def card(params: dict[str, Any], **changes: Any) -> Card:
    call = CardInput("billing.refund", params, {"name": "Sam Reyes", "user_id": "u_7"}, "bot", NOW)
    return build_card(replace(call, **changes))


def only(shown: Card, pointer: str) -> Fact:
    return next(fact for fact in (*shown.facts, *shown.other_facts) if fact.pointer == pointer)


def test_an_accepted_tool_definition_names_values_and_the_action() -> None:
    shown = card({"amount": 5, "bcc": "x"}, tool=replace(TOOL, is_accepted=True), schema=SCHEMA)
    assert (only(shown, "/amount").label, only(shown, "/amount").label_source) == ("Sum to give back", LabelSource.TOOL)
    assert shown.headline == "bot wants to run billing.refund (Refund a charge) with 2 parameters"
    assert LabelSource.TOOL.is_trusted


def test_an_unaccepted_tool_definition_only_claims() -> None:
    shown = card({"amount": 5, "bcc": "x"}, tool=TOOL)
    fact = only(shown, "/bcc")
    assert (fact.label, fact.label_source) == ("Bcc", LabelSource.CLAIM)
    assert fact.claim == 'Provider says: "Archive copy" (not verified)'
    assert not LabelSource.CLAIM.is_trusted
    assert "Refund a charge" not in shown.headline
    assert shown.provider is not None
    assert shown.provider.claims == (
        "Provider says: read-only (not verified)",
        "Provider says: only adds (not verified)",
    )


def test_a_tool_without_a_title_goes_by_its_first_sentence() -> None:
    assert ToolLabels(description="Sends money. Cannot be undone.").name == "Sends money"
    assert ToolLabels(description="Sends money.\nMore").name == "Sends money"


def test_the_template_names_before_the_tool_and_the_tool_before_the_schema() -> None:
    template = template_from(sentence="go", facts=[{"pointer": "/amount", "label": "Refund", "formatter": "number"}])
    shown = card({"amount": 5}, template=template, tool=replace(TOOL, is_accepted=True), schema=SCHEMA)
    assert (shown.facts[0].label, shown.facts[0].label_source) == ("Refund", LabelSource.TEMPLATE)
    plain = card({"amount": 5, "other_thing": 1}, schema=SCHEMA)
    assert (only(plain, "/amount").label, only(plain, "/amount").label_source) == (
        "Amount in cents",
        LabelSource.SCHEMA,
    )
    assert (only(plain, "/other_thing").label, only(plain, "/other_thing").label_source) == (
        "Other thing",
        LabelSource.KEY,
    )


def test_labels_of_others_hide_nothing() -> None:
    tool = ToolLabels(property_titles={"amount": "Amo\u202eunt\n" + "x" * 500}, is_accepted=True)
    label = only(card({"amount": 5}, tool=tool), "/amount").label
    assert "[U+202E right-to-left override]" in label
    assert len(label) <= 80


def test_an_absent_flag_is_shown_with_its_default_and_covers_nothing() -> None:
    shown = card({"amount": 5}, schema=SCHEMA)
    fact = only(shown, "/notify")
    assert (fact.text, fact.is_default, fact.covers) == ("yes default", True, frozenset())
    assert fact.provenance is Provenance.APPLICATION
    assert fact.parts[-1].role is Role.CHIP
    assert only(shown, "/channel").text == "by e-mail default"
    assert (shown.params_shown, shown.params_total, shown.incomplete) == (1, 1, False)
    assert not only(card({"notify": False}, schema=SCHEMA), "/notify").is_default


def test_a_default_fills_no_slot_and_is_no_decisive_value() -> None:
    template = template_from(
        sentence="refund, notify {notify}",
        decisive="/notify",
        facts=[{"pointer": "/notify", "label": "Notify", "formatter": "boolean", "slot": "notify"}],
    )
    shown = card({"amount": 5}, schema=SCHEMA, template=template)
    assert shown.facts[0].is_default
    assert shown.decisive_fact is None
    assert "wants to run billing.refund" in shown.headline


def test_a_declared_secret_stays_one_whatever_the_template_says() -> None:
    template = template_from(sentence="go", facts=[{"pointer": "/token", "label": "Token", "formatter": "text"}])
    shown = card({"token": "hunter2-correct"}, schema=SCHEMA, template=template)
    assert "hunter2" not in repr(shown.facts)
    assert shown.facts[0].hides == {"/token"}


def linked(url: str, host: str = "crm.example") -> Template:
    facts = [{"pointer": "/id", "label": "Id", "formatter": "id"}]
    return template_from(sentence="go", facts=facts, links=[{"pointer": "/id", "url": url, "host": host}])


def test_a_link_is_made_by_the_template_with_the_value_encoded() -> None:
    fact = card({"id": "a/b?c=&d#e\u00e4"}, template=linked("https://crm.example/c/{value}")).facts[0]
    assert fact.link is not None
    assert fact.link.url == "https://crm.example/c/a%2Fb%3Fc%3D%26d%23e%C3%A4"
    assert fact.link.host == "crm.example"


@pytest.mark.parametrize(
    ("url", "value"),
    [
        ("http://crm.example/{value}", "a"), ("https://crm.example.evil.com/{value}", "a"),
        ("https://crm.example@evil.com/{value}", "a"), ("https://{value}/x", "evil.com"),
        ("https://crm.example{value}", ".evil.com"), ("https://crm.example/{value}/{value}", "a"),
        ("https://crm.example/x", "a"), ("javascript:{value}", "alert(1)"), ("https://crm.example/{value}", ".."),
        ("https://crm.example/{value}", "."), ("https://crm.example/{value}", ""), ("https://crm.example/{value}", "a\u202eb"),
        ("https://crm.example/{value}", "x" * 300), ("https://crm.example/{value}", None), ("https://crm.example/{value}", True),
        ("https://crm.example/{value}", {"a": 1}), ("https://crm.example\\{value}", "a"), ("//crm.example/{value}", "a"),
    ],
)  # fmt: skip
def test_no_value_and_no_template_leads_anywhere_else(url: str, value: object) -> None:
    assert card({"id": value}, template=linked(url)).facts[0].link is None


def test_a_template_keeps_all_that_is_stored() -> None:
    template = template_from(
        sentence="go",
        facts=[{"pointer": "/a", "label": "A", "formatter": "number", "direction": "down", "amend": "narrow"}],
        decisive="/a",
        version=3,
        cautions=[{"when": "params.a > 1", "text": "Large", "severity": "danger"}, {"when": "x"}, "no", {"text": "y"}],
        links=[{"pointer": "/a", "url": "https://h.example/{value}", "host": "H.example"}, {"pointer": "/b"}],
        compare_on=["/a", 3],
        undo="partly",
        undo_how="Call the bank.",
        digest="9c1f",
    )
    assert template.facts[0].direction == "down"
    assert [(item.when, item.text, item.severity) for item in template.cautions] == [
        ("params.a > 1", "Large", Severity.DANGER)
    ]
    assert [item.host for item in template.links] == ["h.example"]
    assert template.compare_on == ("/a",)
    shown = card({"a": 5}, template=template)
    assert (shown.undo, shown.undo_how, shown.template_digest) == ("partly", "Call the bank.", "9c1f")
    assert shown.decisive_fact is shown.facts[0]
    assert template_from(sentence="go", facts=[], undo="maybe").undo == ""


def test_findings_and_the_templates_cautions_join_what_stands_out_by_severity() -> None:
    shown = card(
        {"note": "pre-approved"},
        findings=(
            Notice(Caution("said", Severity.INFO, {"text": "Seen before"})),
            Notice(Caution("said", Severity.DANGER, {"text": "39 times the \u202ehighest"}), "Amount"),
        ),
        template_cautions=(Caution("said", Severity.CAUTION, {"text": "Large {0} refund"}),),
    )
    assert [notice.sentence for notice in shown.stands_out] == [
        "Amount: 39 times the [U+202E right-to-left override]highest",
        "Large {0} refund",
        "Note: Claims to be approved - guardsite has no such record",
        "Seen before",
    ]


def test_lists_say_what_changed_since_the_call_before() -> None:
    shown = card({"ids": ["a", "b", "c"]}, last_params={"ids": ["a", "z"]})
    found = {caution.code: caution.sentence for caution in only(shown, "/ids").cautions}
    assert found["list_added"] == "2 more than last time: b, c"
    assert found["list_removed"] == "1 of last time are missing: z"
    assert only(card({"ids": ["a"]}, last_params={"ids": ["a"]}), "/ids").cautions == ()
    assert only(card({"ids": ["a"]}, last_params={"other": 1}), "/ids").cautions == ()


def test_the_person_it_is_for_is_known_by_every_name() -> None:
    template = template_from(sentence="go", facts=[{"pointer": "/who", "label": "Who", "formatter": "person"}])
    for who in ("sam reyes", "U_7", {"name": "Sam Reyes", "id": "u_9"}):
        shown = card({"who": who}, template=template)
        assert "is_requester" in {caution.code for caution in shown.facts[0].cautions}
    assert not card({"who": "Bo"}, template=template).facts[0].cautions


def test_reading_aids_of_the_reader_reach_every_value() -> None:
    shown = card(
        {
            "when": "2026-11-24T14:00:00Z",
            "to": "bo@demo.example",
            "nested": {"to": "eve@evil.example", "password": "hunter2"},
        },
        zone="Europe/Berlin",
        own_domains=frozenset({"demo.example"}),
        known_addresses=frozenset({"bo@demo.example"}),
        fingerprint_key=b"key",
    )
    assert only(shown, "/when").text.startswith("Tue 24 Nov 2026, 15:00 CET (in 3 days)")
    assert only(shown, "/to").text == "bo@demo.example Internal"
    inner = only(shown, "/nested").children
    assert inner[0].text == "eve@evil.example External First time"
    assert "fingerprint" in inner[1].text


def test_a_selector_that_means_all_is_said_wherever_it_stands() -> None:
    selectors: tuple[dict[str, Any], ...] = (
        {"filter": {}},
        {"ids": ["*"]},
        {"recipients": "everyone"},
        {"where": ""},
        {"query": {"users": "all"}},
        {"segment": "all"},
    )
    for params in selectors:
        codes = {notice.caution.code for notice in card(params).stands_out}
        assert "means_all" in codes, params
    assert not card({"note": "all", "ids": ["a", "b"]}).stands_out


def test_a_large_tree_is_shown_as_its_json_and_masked() -> None:
    shown = card({"rows": [{"n": index, "password": f"hunter{index}"} for index in range(600)]})
    fact = only(shown, "/rows")
    assert not fact.inspected
    assert not shown.incomplete
    assert "hunter5" not in "".join(part.text for part in (*fact.parts, *fact.more))
    assert len(fact.hides) == 600
    assert fact.more_label
