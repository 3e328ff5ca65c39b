"""Card templates: checked at the field, drafted from calls, tried on real calls, activated on the record, and only by admins."""

from __future__ import annotations

import html
import json
import re
from datetime import UTC, datetime
from typing import Any

import pytest
from django.test import Client

from audit.scope import as_tenant
from policy import drafts, live
from policy.models import Action, SeenAction
from reviews import card_templates, desk_settings
from reviews.card_of import active_templates
from reviews.cards.present import template_from
from reviews.cards.types import Caution, Severity, Template, TemplateCaution
from reviews.errors import InvalidTemplate, NotFound, Stale, TemplateClosed, TemplateForbidden
from reviews.models import CardTemplate
from reviews.template_calls import sample_calls
from reviews.template_cautions import template_cautions
from reviews.template_content import Content, differences
from reviews.template_preview import preview
from reviews.template_proposals import propose
from tenants.models import Member
from tests.factories import LARGE, REFUND, enforce_refunds, held_review, refund_rule
from tests.people import People, make_people, proof

pytestmark = pytest.mark.django_db(databases=["default", "audit_reader"])

PAGE = "/admin/reviews/cardtemplate/"
NOW = datetime(2026, 11, 20, 12, tzinfo=UTC)
AMOUNT = {
    "pointer": "/amount_cents",
    "label": "Amount",
    "formatter": "money",
    "options": {"minor": True, "currency_pointer": "/currency"},
    "slot": "amount",
    "emphasis": "key",
}
INVOICE = {"pointer": "/invoice_id", "label": "Invoice", "formatter": "id", "slot": "invoice"}
CONTENT = Content(sentence="refund {amount} for {invoice}", decisive="/amount_cents", facts=(AMOUNT, INVOICE))


def changed(**parts: Any) -> Content:
    """The content with other parts."""
    return Content(**{**CONTENT.columns(), **parts})


def client_of(member: Member) -> Client:
    client = Client()
    client.force_login(member.user, backend="allauth.account.auth_backends.AuthenticationBackend")
    return client


def text_of(response: Any) -> str:
    """The page as a reader sees it: no tags, single spaces."""
    return re.sub(r"\s+", " ", html.unescape(re.sub(r"<[^>]*>", " ", response.content.decode())))


def draft(people: People, content: Content = CONTENT, **changes: Any) -> CardTemplate:
    """A draft by Adam."""
    given: dict[str, Any] = {"action_id": REFUND, "content": content, "acting_member": people.adam}
    return card_templates.save_draft(people.tenant.pk, **given | changes)


def activate(people: People, row: CardTemplate, **changes: Any) -> CardTemplate:
    """Adam activates what he saw."""
    given: dict[str, Any] = {
        "template_id": row.pk,
        "seen_digest": row.digest,
        "acting_member": people.adam,
        "now": NOW,
    }
    return card_templates.activate_draft(people.tenant.pk, **given | changes)


def form_of(content: Content = CONTENT, **extra: str) -> dict[str, str]:
    """The editor's fields as a browser posts them."""
    columns = content.columns()
    fields = {
        "t-action_id": REFUND,
        "t-sentence": content.sentence,
        "t-decisive": content.decisive,
        "t-compare_on": "\n".join(content.compare_on),
        "t-undo": content.undo,
        "t-undo_how": content.undo_how,
    }
    for number, fact in enumerate(columns["facts"]):
        options = "\n".join(
            f"{name}={value if isinstance(value, str) else json.dumps(value)}"
            for name, value in fact.get("options", {}).items()
        )
        fields |= {f"f{number}-{name}": str(value) for name, value in {**fact, "options": options}.items()}
    for prefix, part in (("c", "cautions"), ("l", "links")):
        for number, item in enumerate(columns[part]):
            fields |= {f"{prefix}{number}-{name}": str(value) for name, value in item.items()}
    return fields | extra


@pytest.fixture
def people(db: None) -> People:
    """Everybody, in a database that rolls back; no policy is left in this process's cache."""
    live._cache.clear()
    return make_people()


@pytest.fixture
def adam(people: People) -> Client:
    """Adam, the owner, signed in."""
    return client_of(people.adam)


# The life of a template.


def test_a_draft_changes_no_card_until_it_is_active_and_the_version_before_is_retired(people: People) -> None:
    with as_tenant(people.tenant.pk):
        first = draft(people)
        assert active_templates([REFUND], tenant_id=people.tenant.pk) == {}
        activate(people, first)
        second = draft(people, changed(sentence="pay {amount} back for {invoice}"))
        assert active_templates([REFUND], tenant_id=people.tenant.pk)[REFUND].digest == first.digest
        activate(people, second)
        rows = CardTemplate.objects.order_by("version").values_list("version", "status")
        assert list(rows) == [(1, "retired"), (2, "active")]
        found = active_templates([REFUND], tenant_id=people.tenant.pk)[REFUND]
        assert (found.version, found.digest, found.sentence) == (2, second.digest, "pay {amount} back for {invoice}")


def test_the_digest_covers_every_part_and_nothing_else(people: People) -> None:
    same = [changed(facts=[AMOUNT | {"amend": "no", "direction": ""}, dict(reversed(INVOICE.items()))])]
    others = [
        changed(sentence="refund {amount} of {invoice}"),
        changed(decisive="/invoice_id"),
        changed(facts=[INVOICE, AMOUNT]),
        changed(facts=[AMOUNT | {"label": "Sum"}, INVOICE]),
        changed(cautions=[{"when": "true", "text": "Look twice", "severity": "info"}]),
        changed(links=[{"pointer": "/invoice_id", "url": "https://x.example/{value}"}]),
        changed(compare_on=["/invoice_id"]),
        changed(undo="yes"),
        changed(undo="yes", undo_how="By hand"),
    ]
    assert {one.digest(REFUND) for one in same} == {CONTENT.digest(REFUND)}
    assert len({one.digest(REFUND) for one in (CONTENT, *others)}) == len(others) + 1
    assert CONTENT.digest("email.send") != CONTENT.digest(REFUND)
    assert not differences(CONTENT, same[0])
    assert [len(differences(CONTENT, one)) > 0 for one in others] == [True] * len(others)


def test_a_template_that_an_operator_changes_by_hand_leaves_another_digest_on_the_verdicts(people: People) -> None:
    row = draft(people)
    activate(people, row)
    with as_tenant(people.tenant.pk):
        CardTemplate.objects.filter(pk=row.pk).update(facts=[AMOUNT | {"label": "Fee"}, INVOICE])
        shown = active_templates([REFUND], tenant_id=people.tenant.pk)[REFUND]
    # The column, and the entry of the activation, still say what an admin activated.
    assert shown.digest != row.digest


def test_what_is_activated_is_what_was_shown(people: People) -> None:
    row = draft(people)
    draft(people, changed(sentence="refund nothing"), template_id=row.pk, seen_digest=row.digest)
    with pytest.raises(Stale):
        activate(people, row)
    with pytest.raises(Stale):
        draft(people, CONTENT, template_id=row.pk, seen_digest=row.digest)


def test_a_version_that_was_active_never_changes_and_can_be_copied(people: People) -> None:
    tenant_id, row = people.tenant.pk, draft(people)
    activate(people, row)
    for change in (
        lambda: draft(people, template_id=row.pk),
        lambda: activate(people, row),
        lambda: card_templates.discard_draft(tenant_id, template_id=row.pk, acting_member=people.adam),
    ):
        with pytest.raises(TemplateClosed):
            change()
    copy = card_templates.copy_to_draft(tenant_id, template_id=row.pk, acting_member=people.adam)
    assert (copy.version, copy.status, copy.digest) == (2, "draft", row.digest)
    card_templates.discard_draft(tenant_id, template_id=copy.pk, acting_member=people.adam)
    with as_tenant(tenant_id):
        assert not CardTemplate.objects.filter(pk=copy.pk).exists()


def test_who_may_not_change_templates_changes_none_and_nia_finds_none(people: People) -> None:
    tenant_id, row = people.tenant.pk, draft(people)
    for member in (people.rita, people.lena, people.otto, people.devi, people.nia):
        for change in (
            lambda by: draft(people, acting_member=by),
            lambda by: activate(people, row, acting_member=by),
            lambda by: card_templates.retire(tenant_id, template_id=row.pk, acting_member=by),
            lambda by: card_templates.copy_to_draft(tenant_id, template_id=row.pk, acting_member=by),
            lambda by: card_templates.discard_draft(tenant_id, template_id=row.pk, acting_member=by),
        ):
            with pytest.raises(TemplateForbidden):
                change(member)
    with pytest.raises(NotFound):
        card_templates.copy_to_draft(people.other_tenant.pk, template_id=row.pk, acting_member=people.nia)


# What is refused, and where.


@pytest.mark.parametrize(
    ("parts", "place", "sentence"),
    [
        ({"sentence": ""}, ("sentence", None, ""), "Write what the call does"),
        ({"sentence": "refund {amount} {to"}, ("sentence", None, ""), "braces do not pair"),
        ({"sentence": "refund {amount}}"}, ("sentence", None, ""), "braces do not pair"),
        ({"sentence": "refund {{amount}}"}, ("sentence", None, ""), "braces do not pair"),
        ({"sentence": "refund {amount > 5}"}, ("sentence", None, ""), "no slot"),
        ({"sentence": "refund {amount.total}"}, ("sentence", None, ""), "no slot"),
        ({"sentence": "refund {}"}, ("sentence", None, ""), "no slot"),
        ({"sentence": "refund {customer}"}, ("sentence", None, ""), "names no fact"),
        ({"sentence": "refund " + "x" * 200}, ("sentence", None, ""), "At most 200"),
        ({"sentence": "refund\u202e {amount}"}, ("sentence", None, ""), "U+202E right-to-left override"),
        ({"sentence": "refund\n{amount}"}, ("sentence", None, ""), "U+000A"),
        ({"decisive": "/customer"}, ("decisive", None, ""), "none of the facts"),
        ({"facts": [AMOUNT | {"pointer": "amount_cents"}]}, ("facts", 0, "pointer"), "starts with a slash"),
        ({"facts": [AMOUNT, INVOICE | {"pointer": "/a~2"}]}, ("facts", 1, "pointer"), "~0"),
        ({"facts": [AMOUNT, INVOICE | {"pointer": ""}]}, ("facts", 1, "pointer"), "Write where"),
        ({"facts": [AMOUNT, INVOICE | {"pointer": "/amount_cents"}]}, ("facts", 1, "pointer"), "already"),
        ({"facts": [AMOUNT, INVOICE | {"slot": "amount"}]}, ("facts", 1, "slot"), "already"),
        ({"facts": [AMOUNT, INVOICE | {"slot": "in voice"}]}, ("facts", 1, "slot"), "one name"),
        ({"facts": [AMOUNT, INVOICE | {"label": "In\u200bvoice"}]}, ("facts", 1, "label"), "U+200B"),
        ({"facts": [AMOUNT, INVOICE | {"formatter": "markup"}]}, ("facts", 1, "formatter"), "no such formatter"),
        (
            {"facts": [AMOUNT | {"options": {"currrency": "USD"}}, INVOICE]},
            ("facts", 0, "options"),
            "no option currrency",
        ),
        (
            {"facts": [AMOUNT | {"options": {"minor": "yes"}}, INVOICE]},
            ("facts", 0, "options"),
            "minor is true or false",
        ),
        ({"facts": [AMOUNT | {"options": {"exponent": 2.5}}, INVOICE]}, ("facts", 0, "options"), "whole number"),
        ({"facts": [AMOUNT | {"options": {"currency": "dollars"}}, INVOICE]}, ("facts", 0, "options"), "three letters"),
        (
            {"facts": [AMOUNT | {"options": {"currency_pointer": "x"}}, INVOICE]},
            ("facts", 0, "options"),
            "JSON pointer",
        ),
        ({"facts": [AMOUNT | {"options": {"usual": "USD"}}, INVOICE]}, ("facts", 0, "options"), "list of words"),
        ({"facts": [AMOUNT, INVOICE | {"emphasis": "loud"}]}, ("facts", 1, "emphasis"), "One of"),
        ({"facts": [AMOUNT, INVOICE | {"amend": "yes"}]}, ("facts", 1, "amend"), "One of"),
        ({"facts": [AMOUNT | {"amend": "narrow", "direction": "left"}, INVOICE]}, ("facts", 0, "direction"), "One of"),
        ({"facts": [AMOUNT | {"amend": "free", "direction": "down"}, INVOICE]}, ("facts", 0, "direction"), "narrow"),
        ({"facts": [AMOUNT | {"formatter": "secret", "options": {}}, INVOICE]}, ("decisive", None, ""), "see and type"),
        ({"cautions": [{"when": "params.amount_cents >", "text": "x"}]}, ("cautions", 0, "when"), "Line 1"),
        ({"cautions": [{"when": "params.amount_cents + 1", "text": "x"}]}, ("cautions", 0, "when"), "Line 1"),
        ({"cautions": [{"when": "'a' + 'b'", "text": "x"}]}, ("cautions", 0, "when"), "true or false"),
        ({"cautions": [{"when": "stats.refunds > 1", "text": "x"}]}, ("cautions", 0, "when"), "stats"),
        ({"cautions": [{"when": "tool.read_only", "text": "x"}]}, ("cautions", 0, "when"), "does not know tool"),
        ({"cautions": [{"when": "in_list(params.to, 'nope')", "text": "x"}]}, ("cautions", 0, "when"), "nope"),
        ({"cautions": [{"when": "true", "text": ""}]}, ("cautions", 0, "text"), "Write what"),
        ({"cautions": [{"when": "true", "text": "x", "severity": "loud"}]}, ("cautions", 0, "severity"), "One of"),
        ({"cautions": [{"when": "", "text": "x"}]}, ("cautions", 0, "when"), "Write when"),
        ({"compare_on": ["customer"]}, ("compare_on", None, ""), "starts with a slash"),
        ({"compare_on": ["/a", "/a"]}, ("compare_on", None, ""), "once"),
        ({"undo": "maybe"}, ("undo", None, ""), "One of"),
        ({"undo_how": "By hand"}, ("undo_how", None, ""), "yes or partly"),
    ],
)
def test_a_mistake_is_refused_where_it_is_made(
    people: People, parts: dict[str, Any], place: tuple[str, int | None, str], sentence: str
) -> None:
    found = card_templates.problems(people.tenant.pk, action_id=REFUND, content=changed(**parts))
    assert any((one.part, one.row, one.field) == place and sentence in one.sentence for one in found), found
    with pytest.raises(InvalidTemplate):
        draft(people, changed(**parts))


@pytest.mark.parametrize(
    "url",
    [
        "http://billing.example/{value}",
        "https://{value}.billing.example/",
        "https://billing.example@evil.example/{value}",
        "https://billing.example:8443/{value}",
        "https://billing.example\\@evil.example/{value}",
        "https://evil.example/?next=https://billing.example/{value}",
        "https://billing.example.evil.example/{value}",
        "https://billing.example/{value}/{value}",
        "https://billing.example/{value}{other}",
        "https://billing.example/",
        "javascript://billing.example/%0aalert({value})",
        "//billing.example/{value}",
        "https://billing.example/ {value}",
        "https://billing.\u0435xample/{value}",
        "https://[billing.example/{value}",
        "",
    ],
)
def test_a_link_leads_to_an_allowed_host_over_https_and_nowhere_else(people: People, url: str) -> None:
    desk_settings.change(
        people.tenant.pk,
        wanted=desk_settings.Wanted(30, 20, 15, link_hosts=("Billing.Example",)),
        acting_member=people.adam,
        evidence=proof(),
        now=datetime.now(UTC),
    )
    good = {"pointer": "/invoice_id", "url": "https://billing.example/i/{value}?tab=1"}
    assert not card_templates.problems(people.tenant.pk, action_id=REFUND, content=changed(links=[good]))
    found = card_templates.problems(people.tenant.pk, action_id=REFUND, content=changed(links=[good | {"url": url}]))
    assert [(one.part, one.row, one.field) for one in found] == [("links", 0, "url")]


# Cautions.


def test_a_caution_speaks_while_its_condition_holds_and_says_so_when_it_cannot_be_checked(people: People) -> None:
    enforce_refunds(people)
    review = held_review(people)
    template = Template(
        sentence="refund",
        cautions=(
            TemplateCaution("params.amount_cents > 60000", "More than finance pays {at once}", Severity.DANGER),
            TemplateCaution("user.plan == 'free'", "On the free plan"),
            TemplateCaution("params.customer == 'x'", "Customer x", Severity.INFO),
            TemplateCaution(
                "agent.id == 'refund-bot' && action_id == 'billing.refund'", "The refund bot", Severity.INFO
            ),
            TemplateCaution("params.amount_cents >", "Broken since a revision"),
        ),
    )
    with as_tenant(people.tenant.pk):
        found = template_cautions(template, review)
    assert [(one.severity, one.sentence) for one in found] == [
        (Severity.DANGER, "More than finance pays {at once}"),
        (Severity.CAUTION, "guardsite could not check this: Customer x"),
        (Severity.INFO, "The refund bot"),
        (Severity.CAUTION, "guardsite could not check this: Broken since a revision"),
    ]
    assert all(isinstance(one, Caution) and one.code == "said" for one in found)


def test_cautions_say_that_they_are_unchecked_for_a_call_beyond_the_limits_and_without_a_policy(
    people: People, monkeypatch: pytest.MonkeyPatch
) -> None:
    enforce_refunds(people)
    review = held_review(people, params=LARGE | {"lines": ["x"] * 300})
    template = Template(sentence="refund", cautions=(TemplateCaution("params.amount_cents > 1", "Any"),))
    with as_tenant(people.tenant.pk):
        assert [one.sentence for one in template_cautions(template, review)] == ["guardsite could not check this: Any"]
        monkeypatch.setattr("reviews.template_cautions.engine_of", lambda tenant_id: None)
        assert [one.sentence for one in template_cautions(template, held_review(people))] == [
            "guardsite could not check this: Any"
        ]


def test_a_template_without_cautions_costs_no_query(people: People, django_assert_num_queries: Any) -> None:
    enforce_refunds(people)
    review = held_review(people)
    with django_assert_num_queries(0):
        assert template_cautions(Template(sentence="refund"), review) == ()


# Drafting and trying.


def test_a_draft_is_proposed_from_schema_and_calls(people: People) -> None:
    enforce_refunds(people)
    params = LARGE | {"customer_email": "lena@demo.example", "note": "Please.", "\u202enoitcart": 1, "a b": 2}
    held_review(people, params=params)
    held_review(people, params={name: value for name, value in params.items() if name != "customer_email"})
    with as_tenant(people.tenant.pk):
        calls = sample_calls(people.tenant.pk, REFUND, may_open_log=False)
    schema = {
        "properties": {"invoice_id": {"type": "string", "title": "Invoice"}, "channel": {"enum": ["web", "phone"]}}
    }
    found = propose(title="Refund an invoice", undo_text="", schema=schema, titles={}, calls=calls, now=NOW)
    assert found is not None
    facts = {fact["pointer"]: fact for fact in found.facts}
    # Names that could not stand in the trusted frame are left to Other parameters.
    assert set(facts) == {"/invoice_id", "/channel", "/amount_cents", "/currency", "/customer_email", "/note"}
    assert list(facts)[:2] == ["/invoice_id", "/channel"]
    assert facts["/amount_cents"]["formatter"] == "money"
    assert facts["/amount_cents"]["options"] == {"minor": True, "currency_pointer": "/currency"}
    assert facts["/channel"]["formatter"] == "enum"
    assert (facts["/invoice_id"]["label"], facts["/invoice_id"]["formatter"]) == ("Invoice", "id")
    # A slot that some calls cannot fill would make their sentence generic.
    assert facts["/customer_email"]["slot"] == ""
    assert found.sentence.startswith("refund an invoice: {amount}, {invoice_id}")
    assert found.decisive == "/amount_cents"
    assert not card_templates.problems(people.tenant.pk, action_id=REFUND, content=found)
    assert propose(title="x", undo_text="", schema=None, titles={}, calls=[], now=NOW) is None


def as_read(content: Content) -> Template:
    """The content as cards use it."""
    return template_from(**content.columns())


def tried(people: People, content: Content, active: Content | None = None, **changes: Any) -> Any:
    """The preview of a content on the real calls."""
    given: dict[str, Any] = {
        "action_id": REFUND,
        "template": as_read(content),
        "active": as_read(active) if active else None,
        "schema": None,
        "may_open_log": False,
        "now": NOW,
    }
    return preview(people.tenant.pk, **given | changes)


def test_the_preview_counts_the_calls_that_read_well_and_shows_problems_first(people: People) -> None:
    enforce_refunds(people)
    for number in range(3):
        held_review(people, params=LARGE | {"amount_cents": 60_000 + number})
    held_review(people, params=LARGE | {"invoice_id": ["in_1", "in_2"]})
    held_review(people, params={"amount_cents": 70_000, "currency": "USD"})
    held_review(people, params=LARGE | {"amount_cents": 60_000})  # the same call again
    found = tried(people, CONTENT)
    assert (found.well, len(found.shown)) == (3, 5)
    assert [bool(one.problems) for one in found.shown] == [True, True, False, False, False]
    missing, unread = (one.problems for one in found.shown[:2])
    assert missing == (
        "The sentence is the generic one: a slot has no value here.",
        "Invoice (/invoice_id) is not in this call.",
    )
    assert "Invoice could not be read as id." in unread
    # A value that the schema knows as optional may be absent; a generic sentence is still a problem.
    schema = {"properties": {"invoice_id": {}, "amount_cents": {}}, "required": ["amount_cents"]}
    assert tried(people, CONTENT, schema=schema).shown[0].problems[0].startswith("The sentence")
    plain = changed(sentence="refund {amount}")
    assert tried(people, plain, schema=schema).well == 4
    assert tried(people, plain).well == 3


def test_the_preview_stands_beside_the_active_version_where_they_differ(people: People) -> None:
    enforce_refunds(people)
    held_review(people)
    same = tried(people, CONTENT, CONTENT)
    assert (same.changed, same.has_active) == (0, True)
    other = tried(people, changed(facts=[AMOUNT | {"label": "Sum"}, INVOICE]), CONTENT)
    assert other.changed == 1
    assert other.shown[0].before.facts[0].label == "Amount"
    spoken = tried(people, changed(cautions=[{"when": "params.amount_cents > 1", "text": "Look twice"}]), CONTENT)
    assert spoken.changed == 1
    assert "Look twice" in [notice.sentence for notice in spoken.shown[0].card.stands_out]


# The pages.


def test_the_editor_saves_a_draft_and_activation_shows_what_changes(people: People, adam: Client) -> None:
    enforce_refunds(people)
    held_review(people)
    answer = adam.post(f"{PAGE}add/", form_of(_activate="1"))
    with as_tenant(people.tenant.pk):
        row = CardTemplate.objects.get()
    assert (row.status, row.digest, row.created_by_id) == ("draft", CONTENT.digest(REFUND), people.adam.pk)
    assert answer.headers["Location"] == f"{PAGE}{row.pk}/activate/"
    page = adam.get(f"{PAGE}{row.pk}/activate/")
    assert "The first template of this action" in text_of(page)
    assert "wants to refund USD 620.00 for in_88" in text_of(page)
    assert adam.post(f"{PAGE}{row.pk}/activate/", {"seen_digest": "0" * 64}).status_code == 409
    assert adam.post(f"{PAGE}{row.pk}/activate/", {"seen_digest": row.digest}).status_code == 302
    with as_tenant(people.tenant.pk):
        assert CardTemplate.objects.get().status == "active"
    assert adam.post(f"{PAGE}{row.pk}/change/", form_of()).status_code == 403
    copy = adam.post(f"{PAGE}{row.pk}/copy/")
    edited = adam.post(copy.headers["Location"], form_of(changed(sentence="pay {amount} back"), _activate="1"))
    assert "What changes from version 1" in text_of(adam.get(edited.headers["Location"]))


def test_a_mistake_keeps_what_was_typed_and_stands_at_its_row(people: People, adam: Client) -> None:
    content = changed(facts=[AMOUNT, INVOICE | {"pointer": "invoice_id"}], sentence="refund {amount} {nobody}")
    answer = adam.post(f"{PAGE}add/", form_of(content, **{"f0-options": "minor=perhaps"}))
    page = answer.content.decode()
    assert answer.status_code == 422
    assert "minor=perhaps" in page
    assert page.count('aria-invalid="true"') == 3
    assert "{nobody} names no fact below" in text_of(answer)
    with as_tenant(people.tenant.pk):
        assert not CardTemplate.objects.exists()


def test_preview_and_buttons_for_rows_store_nothing(people: People, adam: Client) -> None:
    enforce_refunds(people)
    held_review(people)
    assert "1 of 1 read well" in text_of(adam.post(f"{PAGE}add/", form_of(_preview="1")))
    more = adam.post(f"{PAGE}add/", form_of(_add="facts")).content.decode()
    assert "f2-pointer" in more
    assert "f3-pointer" not in more
    up = adam.post(f"{PAGE}add/", form_of(_up="1")).context["editor"]
    assert [row.typed("pointer") for row in up.facts] == ["/invoice_id", "/amount_cents"]
    assert "c1-when" in adam.post(f"{PAGE}add/", form_of(_add="cautions") | {"c0-when": "true"}).content.decode()
    assert adam.post(f"{PAGE}add/", form_of(_add="facts", _up="99999999999")).status_code == 200
    with as_tenant(people.tenant.pk):
        assert not CardTemplate.objects.exists()


def test_the_list_names_the_actions_without_a_template_and_drafts_one(people: People, adam: Client) -> None:
    enforce_refunds(people)
    held_review(people)
    with as_tenant(people.tenant.pk):
        action = Action(action_id="crm.read", title="Read")
        drafts.save_action(people.tenant.pk, acting=people.adam, action=action, mode="enforce")
    page = adam.get(PAGE)
    assert "2 actions without a card template" in text_of(page)
    assert text_of(page).index("billing.refund 1 call held") < text_of(page).index("crm.read")
    drafted = adam.get(f"{PAGE}add/?action_id=billing.refund&propose=1")
    assert next(row.typed("pointer") for row in drafted.context["editor"].facts) == "/amount_cents"
    assert "/invoice_id" in drafted.context["pointers"]
    assert "nothing to draft from" in text_of(adam.get(f"{PAGE}add/?action_id=crm.read&propose=1"))
    activate(people, draft(people))
    assert "1 action without a card template" in text_of(adam.get(PAGE))


def test_a_version_shows_its_facts_in_columns(people: People, adam: Client) -> None:
    row = activate(people, draft(people))
    page = adam.get(f"{PAGE}{row.pk}/change/")
    (facts,) = re.findall(r'aria-label="Facts">(.*?)</table>', page.content.decode(), re.DOTALL)
    cells = [re.sub(r"<[^>]+>", " ", cell).split() for cell in re.findall(r"<t[hd][ >].*?</t[hd]>", facts, re.DOTALL)]
    assert [" ".join(cell) for cell in cells[7:]] == [
        *("Amount", "/amount_cents", "amount", "money", "minor=true currency_pointer=/currency"),
        *("key: large, and in the bar", "no"),
        *("Invoice", "/invoice_id", "invoice", "id", "", "normal", "no"),
    ]


def test_a_template_leads_to_its_history(people: People, adam: Client) -> None:
    row = draft(people)
    link = f'<a href="{PAGE}{row.pk}/history/" class="historylink">History</a>'
    assert link in adam.get(f"{PAGE}{row.pk}/change/").content.decode()
    activate(people, row)
    assert link in adam.get(f"{PAGE}{row.pk}/change/").content.decode()
    assert "historylink" not in adam.get(f"{PAGE}add/").content.decode()


def test_the_editor_says_what_may_stay_empty(people: People, adam: Client) -> None:
    page = adam.get(f"{PAGE}add/").content.decode()
    marked = re.findall(r">([^<>]+?) <span class=\"label\">optional</span>", page)
    assert marked == [
        *("Typed to approve at tier 3", "Facts", "Label", "Options", "Slot", "Cautions", "Links"),
        *("Compare on", "How to undo it"),
    ]


def test_the_editor_offers_mapped_and_called_actions(people: People, adam: Client) -> None:
    with as_tenant(people.tenant.pk):
        drafts.save_action(people.tenant.pk, acting=people.adam, action=Action(action_id="crm.read", title="Read"))
        SeenAction.objects.create(tenant=people.tenant, action_id="crm.export")
    page = adam.get(f"{PAGE}add/").content.decode()
    (offered,) = re.findall(r'<datalist id="known-actions">(.*?)</datalist>', page)
    assert re.findall(r'value="([^"]*)"', offered) == ["crm.export", "crm.read"]


def test_the_search_of_the_list_has_a_label_and_finds_by_the_sentence(people: People, adam: Client) -> None:
    activate(people, draft(people))
    page = adam.get(PAGE, {"q": "for {invoice}", "status": "active"}).content.decode()
    assert '<label for="searchbar">Action, or words of the sentence</label>' in page
    assert '<input type="hidden" name="status" value="active">' in page
    assert ">billing.refund</a>" in page
    assert ">billing.refund</a>" not in adam.get(PAGE, {"q": "nothing like it"}).content.decode()


def test_what_calls_say_never_becomes_markup_in_the_preview(people: People, adam: Client) -> None:
    enforce_refunds(people)
    held_review(people, params=LARGE | {"invoice_id": "<script>alert(1)</script>", "<b>key</b>": "\u202eevil"})
    page = adam.post(f"{PAGE}add/", form_of(_preview="1")).content.decode()
    assert "<script>alert" not in page
    assert "<b>key" not in page
    assert "\u202e" not in page


def test_the_actions_without_a_template_are_folded_above_a_list_and_open_where_there_is_none(
    people: People, adam: Client
) -> None:
    enforce_refunds(people)
    fold = '<details class="notice notice--info template-missing"'
    assert f"{fold} open>" in adam.get(PAGE).content.decode()
    with as_tenant(people.tenant.pk):
        action = Action(action_id="crm.read", title="Read")
        drafts.save_action(people.tenant.pk, acting=people.adam, action=action, mode="enforce")
    draft(people)
    assert f"{fold}>" in adam.get(PAGE).content.decode()
    assert f"{fold}>" in adam.get(f"{PAGE}?q=nothing-like-it").content.decode()


def test_a_draft_is_discarded_after_reading_what_that_means(people: People, adam: Client) -> None:
    row = draft(people)
    address = f"{PAGE}{row.pk}/discard/"
    assert f'href="{address}"' in adam.get(f"{PAGE}{row.pk}/change/").content.decode()
    asked = adam.get(address)
    assert f'value="Discard draft {row}"' in asked.content.decode()
    assert "they read generically, as before" in text_of(asked)
    with as_tenant(people.tenant.pk):
        assert CardTemplate.objects.filter(pk=row.pk).exists()
    assert adam.post(address).status_code == 302
    with as_tenant(people.tenant.pk):
        assert not CardTemplate.objects.exists()


def test_a_version_that_was_active_is_not_discarded(people: People, adam: Client) -> None:
    row = draft(people)
    activate(people, row)
    assert adam.get(f"{PAGE}{row.pk}/discard/")["Location"] == f"{PAGE}{row.pk}/change/"
    assert adam.post(f"{PAGE}{row.pk}/discard/").status_code == 409
    with as_tenant(people.tenant.pk):
        assert CardTemplate.objects.filter(pk=row.pk).exists()


def test_pages_are_for_those_who_change_templates_and_other_tenants_find_nothing(people: People, adam: Client) -> None:
    row = draft(people)
    nia = client_of(people.nia)
    for step in ("change", "activate", "retire", "copy", "discard"):
        assert nia.get(f"{PAGE}{row.pk}/{step}/").status_code == 404
        assert nia.post(f"{PAGE}{row.pk}/{step}/").status_code == 404
    for member in (people.lena, people.otto, people.devi):
        client = client_of(member)
        assert client.get(f"{PAGE}{row.pk}/change/").status_code == 200
        assert b"_save" not in client.get(f"{PAGE}{row.pk}/change/").content
        assert client.get(f"{PAGE}add/").status_code == 403
        assert client.post(f"{PAGE}{row.pk}/change/", form_of()).status_code == 403
        for step in ("activate", "retire", "copy", "discard"):
            assert client.post(f"{PAGE}{row.pk}/{step}/", {"seen_digest": row.digest}).status_code == 403
    rita = client_of(people.rita)
    assert rita.get(PAGE).status_code in (302, 403)
    assert adam.get(f"{PAGE}{row.pk}/copy/").status_code == 405
    assert adam.get(f"{PAGE}nonsense/change/").status_code == 404
    with as_tenant(people.tenant.pk):
        assert list(CardTemplate.objects.values_list("status", flat=True)) == ["draft"]


def test_a_caution_that_reads_a_published_list_is_taken(people: People) -> None:
    rule = refund_rule(tests=[], condition="params.amount_cents > 1")
    enforce_refunds(people, rule)
    good = changed(
        cautions=[{"when": "has(params.invoice_id) && params.invoice_id.startsWith('in_')", "text": "An invoice"}]
    )
    assert not card_templates.problems(people.tenant.pk, action_id=REFUND, content=good)
