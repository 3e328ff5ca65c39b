"""The hostile corpus: nothing vanishes, nothing hides, and what must be said is said."""

from __future__ import annotations

import json
from collections.abc import Iterator
from datetime import UTC, datetime
from time import process_time
from typing import Any

import pytest

from audit.canonical import NotCanonical, canonical, parse_strict
from audit.pointer import leaves, resolve
from reviews.cards.present import build_card, template_from
from reviews.cards.text import csv_cell, is_hidden
from reviews.cards.types import Card, CardInput, Fact
from tests.reviews.hostile import HOSTILE, REFUSED, SECRETS, Hostile

NOW = datetime(2026, 11, 21, 12, 0, tzinfo=UTC)
# What a joiner or selector may do in an emoji or a script; none of the corpus needs more.
_PLAIN = "\n\t"


def card_of(call: Hostile) -> Card:
    template = template_from(sentence="do it with {value}", facts=list(call.facts)) if call.facts else None
    return build_card(
        CardInput(
            action_id="demo.act",
            params=call.params,
            user_context=dict(call.context),
            agent_name="bot",
            now=NOW,
            template=template,
        )
    )


def walk(facts: tuple[Fact, ...]) -> Iterator[Fact]:
    for fact in facts:
        yield fact
        yield from walk(fact.children)


def facts_of(shown: Card) -> list[Fact]:
    return list(walk((*shown.facts, *shown.other_facts, *shown.context_facts)))


def written(shown: Card) -> list[str]:
    """Every text a rendering may print."""
    texts = [shown.headline, *(notice.sentence for notice in shown.stands_out)]
    for fact in facts_of(shown):
        texts += [fact.label, fact.raw, fact.short, fact.text, *(part.text for part in (*fact.parts, *fact.more))]
        texts += [caution.sentence for caution in fact.cautions]
    return texts


def test_the_corpus_is_large_and_its_names_are_its_own() -> None:
    assert len(HOSTILE) >= 60
    assert len({call.name for call in HOSTILE}) == len(HOSTILE)


@pytest.mark.parametrize("call", HOSTILE, ids=str)
def test_every_leaf_of_a_hostile_call_is_on_its_card(call: Hostile) -> None:
    shown = card_of(call)
    assert shown.missing == ()
    assert not shown.incomplete
    assert (shown.params_shown, shown.params_total) == (len(call.params), len(call.params))
    covered = frozenset().union(*(fact.covers for fact in (*shown.facts, *shown.other_facts)))
    assert set(leaves(call.params)) <= covered
    assert all(fact.text and fact.label for fact in facts_of(shown))


@pytest.mark.parametrize("call", HOSTILE, ids=str)
def test_a_hostile_call_raises_the_cautions_it_must(call: Hostile) -> None:
    shown = card_of(call)
    raised = {caution.code for fact in facts_of(shown) for caution in fact.cautions}
    assert call.flags <= raised, f"missing {call.flags - raised}"
    assert call.flags <= {notice.caution.code for notice in shown.stands_out}


@pytest.mark.parametrize("call", HOSTILE, ids=str)
def test_no_hidden_character_stands_bare_in_what_is_printed(call: Hostile) -> None:
    for text in written(card_of(call)):
        assert not [char for char in text if is_hidden(char) and char not in _PLAIN]


@pytest.mark.parametrize("call", HOSTILE, ids=str)
def test_no_secret_is_in_any_part_of_a_card(call: Hostile) -> None:
    shown = card_of(call)
    texts = [*written(shown), *(text for fact in facts_of(shown) for text in (fact.exact, fact.claim, *fact.choices))]
    for secret in SECRETS:
        assert not [text for text in texts if secret in text or json.dumps(secret)[1:-1] in text]
    hidden = {pointer for fact in facts_of(shown) for pointer in fact.hides}
    for pointer in leaves(call.params):
        value = resolve(call.params, pointer)
        if isinstance(value, str) and any(secret in value for secret in SECRETS):
            assert pointer in hidden, "a raw view could not know what to mask"


@pytest.mark.parametrize("call", HOSTILE, ids=str)
def test_no_cell_of_an_export_begins_a_formula(call: Hostile) -> None:
    assert not [text for text in written(card_of(call)) if csv_cell(text)[:1] in ("=", "+", "-", "@", "\t", "\r")]


@pytest.mark.parametrize("call", HOSTILE, ids=str)
def test_intake_takes_each_hostile_call_as_it_stands(call: Hostile) -> None:
    assert parse_strict(canonical(call.params), max_bytes=262_144) == call.params


@pytest.mark.parametrize(("name", "body", "code"), REFUSED, ids=[name for name, _, _ in REFUSED])
def test_what_intake_refuses_it_names(name: str, body: bytes, code: str) -> None:
    with pytest.raises(NotCanonical) as refused:
        parse_strict(body, max_bytes=262_144)
    assert refused.value.code == code


# Texts that make a careless expression try every way to split them; each as long as intake takes, or nearly.
SLOW: dict[str, dict[str, Any]] = {
    "token starts": {"body": "eyJ" * 60_000},
    "key headers": {"body": ("-----BEGIN PRIVATE " + "KEY-----") * 6_000},
    "key header lines": {"body": "-----BEGIN PRIVATE " + "KEY-----" + "a:\n" * 60_000},
    "sql comments": {"sql": "/**/" * 45_000 + "x"},
    "svg comments": {"content": "data:image/svg+xml," + "<!---->" * 25_000},
    "one long address": {"to": "a@" + "b" * 180_000 + "@"},
    "many addresses": {"to": "a@b.c," * 30_000},
    "open tags": {"html": "<a " * 60_000},
    "open comments": {"html": "<!--" * 45_000},
    "open brackets": {"readme": "[" * 180_000},
    "find": {"command": "find " * 36_000},
    "nested conditions": {"sql": "delete from x where " + "not " * 4_000 + "a"},
    "digits for a host": {"url": "https://" + "9" * 180_000},
    "blank lines": {"body": "\n " * 90_000},
    "marks": {"body": "z" + "\u0301" * 90_000},
    "a long key": {"e\u0301" * 60_000: 1},
    "many entries": {"ids": list(range(30_000))},
}


@pytest.mark.parametrize("name", SLOW)
def test_no_text_makes_its_card_slow(name: str) -> None:
    start = process_time()
    shown = card_of(Hostile(name, SLOW[name]))
    assert not shown.incomplete
    # Tenths of a second here; what grows with the square of the text takes minutes.
    assert process_time() - start < 10
