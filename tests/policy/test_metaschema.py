"""An action's schema: what is wrong with it, said with its line or its place."""

from __future__ import annotations

from typing import Any

import pytest

from audit.scope import as_tenant
from policy import drafts
from policy.errors import InvalidRule
from policy.metaschema import BadSchema, schema_in
from policy.models import Action
from tests.people import People
from tests.policy.drafts import an_action
from tests.policy.test_admin import ACTIONS, signed_in, text_of


@pytest.mark.parametrize(
    ("text", "sentence"),
    [
        ('{\n  "type": "object"\n  "properties": {}\n}', "Line 3, column 3: a comma or a closing bracket is missing."),
        ('{"type": "object",}', "Line 1, column 19: a name in double quotes is missing, or there is a comma too many."),
        ('{"a": "b\n"}', "Line 1, column 9: a line break or tab inside a text"),
        ("[1]", "Write a JSON object"),
        (
            '{"properties": {"amount": {"type": "integr"}}}',
            'At "properties", "amount", "type": "integr" is no type; write object, array,',
        ),
        ('{"required": "a"}', 'At "required": "a" is not an array.'),
        ('{"properties": {"a": {"minimum": "x"}}}', 'At "properties", "a", "minimum": "x" is not a number.'),
        ('{"required": ["a", "a"]}', "names something twice."),
        ('{"properties": {"a": {"pattern": "("}}}', '"(" is not in form (regex).'),
        ('{"type": "string"}', "params are an object"),
        ('{"$schema": 5}', 'At "$schema"'),
        ('{"minimum": NaN}', "NaN is no number of JSON."),
        ('{"type": "object", "type": "object"}', '"type" stands twice in one object.'),
        ('{"properties":' * 400 + "{}" + "}" * 400, "nested too deeply"),
        ("[" * 100_000, "nested too deeply"),
    ],
)
def test_a_bad_schema_is_refused_with_its_place(text: str, sentence: str) -> None:
    with pytest.raises(BadSchema) as refused:
        schema_in(text)
    assert sentence in str(refused.value)


@pytest.mark.parametrize(
    "text",
    [
        "{}",
        '{"type": ["object", "null"], "properties": {"a": true}}',
        '{"$schema": "http://json-schema.org/draft-07/schema#", "definitions": {"x": {"type": "string"}}}',
        '{"$schema": "https://elsewhere.example/none", "$ref": "https://elsewhere.example/never-fetched"}',
    ],
)
def test_a_schema_of_any_version_is_taken(text: str) -> None:
    assert isinstance(schema_in(text), dict)


def test_the_page_of_an_action_says_what_is_wrong_and_keeps_what_was_typed(people: People) -> None:
    adam = signed_in(people.adam)
    action = an_action(people, schema={"type": "object", "properties": {"a": {"type": "string"}}})
    url = f"{ACTIONS}{action.pk}/change/"
    shown: Any = adam.get(url)
    assert "{\n  &quot;type&quot;: &quot;object&quot;,\n" in shown.content.decode()  # lines that can be counted
    fields = {"title": "Refund", "tier_floor": "0", "undo_text": ""}
    typed = '{"properties": {"a": {"type": "text"}}}'
    refused: Any = adam.post(url, fields | {"schema": typed})
    assert 'At "properties", "a", "type": "text" is no type' in text_of(refused)
    assert typed.replace('"', "&quot;") in refused.content.decode()
    assert adam.post(url, fields | {"schema": " "}).status_code == 302
    with as_tenant(people.tenant.pk):
        assert Action.objects.get().schema is None


def test_no_other_way_in_takes_a_bad_schema(people: People) -> None:
    action = Action(action_id="billing.refund", title="Refund", schema={"type": "integr"})
    with pytest.raises(InvalidRule) as refused:
        drafts.save_action(people.tenant.pk, acting=people.adam, action=action)
    assert "integr" in refused.value.sentence
