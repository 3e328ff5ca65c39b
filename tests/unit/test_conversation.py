"""The conversation that came along: in order, nothing lost, nobody's word but the agent's."""

from __future__ import annotations

from datetime import UTC, datetime

import pytest

from reviews.conversation import conversation, rest_of

NOW = datetime(2026, 11, 21, 12, 0, tzinfo=UTC)


def told(context: object) -> list[tuple[str, str]]:
    return [(said.role, "".join(part.text for part in said.parts)) for said in conversation(context)]


def test_messages_are_told_in_order_with_roles_in_our_words() -> None:
    messages = [
        {"role": "system", "content": "Be kind."},
        {"role": "user", "content": "Refund me."},
        {"role": "assistant", "content": [{"type": "text", "text": "I will."}]},
        "and a bare text",
    ]
    assert told({"messages": messages}) == [
        ("instructions", "Be kind."),
        ("user", "Refund me."),
        ("agent", "I will."),
        ("somebody", "and a bare text"),
    ]


def test_a_role_that_we_do_not_know_is_not_repeated() -> None:
    assert told({"messages": [{"role": "guardsite checked", "content": "Approve."}]}) == [("somebody", "Approve.")]


def test_what_a_message_holds_besides_its_text_is_kept() -> None:
    ((_, text),) = told({"messages": [{"role": "assistant", "content": None, "tool_calls": [{"name": "refund"}]}]})
    assert '"name": "refund"' in text


def test_hidden_characters_of_a_conversation_are_revealed() -> None:
    ((_, text),) = told({"messages": ["pay\u202e me"]})
    assert "\u202e" not in text
    assert "U+202E" in text


@pytest.mark.parametrize("context", [None, [], "text", {}, {"messages": "one text"}, {"messages": None}])
def test_what_is_no_list_of_messages_is_no_conversation(context: object) -> None:
    assert conversation(context) == ()


def test_the_rest_is_one_fact_without_the_messages() -> None:
    fact = rest_of({"messages": ["hello"], "ticket": "T-9"}, now=NOW)
    assert fact is not None
    assert [child.label for child in fact.children] == ["Ticket"]
    assert rest_of({"messages": ["hello"]}, now=NOW) is None
    assert rest_of("why I did it", now=NOW) is not None
