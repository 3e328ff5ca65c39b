"""A document with its secrets as dots. Pure."""

from __future__ import annotations

from collections.abc import Iterable

from audit.pointer import token
from audit.secrets import mask_text
from reviews.cards.types import Fact


def masked(document: object, facts: Iterable[Fact]) -> object:
    """`document` with each value that a fact keeps as a secret replaced by dots, and each secret inside a text or a name."""
    hidden: set[str] = set()

    def find(found: Iterable[Fact]) -> None:
        for fact in found:
            hidden.update(fact.hides)
            if fact.is_hidden:
                hidden.add(fact.pointer)
            find(fact.children)

    def copy(value: object, pointer: str) -> object:
        if pointer in hidden:
            return "\u2022" * 8
        if isinstance(value, dict):
            return {mask_text(key): copy(item, f"{pointer}/{token(key)}") for key, item in value.items()}
        if isinstance(value, list):
            return [copy(item, f"{pointer}/{index}") for index, item in enumerate(value)]
        # A key in the middle of a text, or as the name of a parameter, is as secret as one that stands alone.
        return mask_text(value) if isinstance(value, str) else value

    find(facts)
    return copy(document, "")
