"""The hostile corpus on the real page: no markup of an agent's in it, every parameter on it, every warning said."""

from __future__ import annotations

import json
from html.parser import HTMLParser

import pytest
from django.test import Client

from audit.scope import as_tenant
from reviews.models import CardTemplate
from reviews.views.page import ReviewPage
from tests.factories import enforce_refunds, held_review
from tests.people import People
from tests.reviews.hostile import HOSTILE, SECRETS, Hostile

# What the card's own templates are made of. Whatever else stands in it came in by a parameter.
# fmt: off
TAGS = frozenset([
    "a", "article", "bdi", "button", "code", "dd", "del", "details", "div", "dl", "dt", "fieldset", "form", "h1", "h2",
    "h3", "header", "i", "input", "ins", "label", "legend", "li", "ol", "option", "p", "pre", "section", "select",
    "small", "span", "strong", "summary", "textarea", "time", "ul",
])
# fmt: on
VOID = frozenset({"input"})
MUST_NOT_START = ("on", "style", "src", "formaction", "hx-on", "xlink")


class CardReader(HTMLParser):
    """The elements and the text of `<article id="card">`."""

    def __init__(self) -> None:
        super().__init__()
        self.depth = 0
        self.elements: list[tuple[str, dict[str, str]]] = []
        self.text: list[str] = []

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        found = {name: value or "" for name, value in attrs}
        if self.depth or found.get("id") == "card":
            self.elements.append((tag, found))
            self.depth += tag not in VOID

    def handle_endtag(self, tag: str) -> None:
        if self.depth:
            self.depth -= 1

    def handle_data(self, data: str) -> None:
        if self.depth:
            self.text.append(data)


def _template(people: People, call: Hostile, action_id: str) -> None:
    if call.facts:
        CardTemplate.objects.create(
            tenant=people.tenant,
            action_id=action_id,
            status=CardTemplate.Status.ACTIVE,
            sentence="do it with {value}",
            facts=list(call.facts),
        )


@pytest.mark.django_db(databases=["default", "audit_reader"])
@pytest.mark.long
def test_every_hostile_call_is_text_on_the_card_and_all_of_it_is_there(people: People) -> None:
    enforce_refunds(people)
    client = Client()
    client.force_login(people.lena.user, backend="allauth.account.auth_backends.AuthenticationBackend")
    for number, call in enumerate(HOSTILE):
        action_id = f"hostile.act_{number}"
        with as_tenant(people.tenant.pk):
            _template(people, call, action_id)
        review = held_review(people, action_id=action_id, params=call.params, user_context=dict(call.context))
        response = client.get(f"/reviews/{review.wire_id}/")
        assert response.status_code == 200, call.name
        html = response.content.decode()
        reader = CardReader()
        reader.feed(html)
        assert reader.depth == 0, f"{call.name}: an element is left open"
        for tag, attributes in reader.elements:
            assert tag in TAGS, f"{call.name}: <{tag}>"
            assert not [name for name in attributes if name.startswith(MUST_NOT_START)], f"{call.name}: {attributes}"
            for name in ("href", "action", "hx-post", "hx-get"):
                assert attributes.get(name, "/").startswith(("/", "#", "?")), f"{call.name}: {attributes[name]}"
                assert not attributes.get(name, "/").startswith("//"), call.name
        text = " ".join("".join(reader.text).split())
        assert f"{len(call.params)} of {len(call.params)} parameters shown" in text, call.name
        assert "This card is not complete" not in text, call.name
        with as_tenant(people.tenant.pk):
            card = ReviewPage.of(review, people.lena).card
        assert call.flags <= {notice.caution.code for notice in card.stands_out}, call.name
        for notice in card.stands_out:
            if notice.caution.code in call.flags:
                assert " ".join(notice.caution.sentence.split()) in text, f"{call.name}: {notice.caution.code}"
        # What the corpus calls a secret is readable nowhere in the answer.
        sent = json.dumps(call.params)
        for secret in SECRETS:
            if json.dumps(secret)[1:-1] in sent:
                assert secret not in html, f"{call.name}: a secret is on the page"
