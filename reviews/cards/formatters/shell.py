"""Shell commands and source code: every line numbered, nothing folded. Source: reviewer-experience.md section 3."""

from __future__ import annotations

import shlex
from typing import Final

from reviews.cards.formatters.base import WrongKindError, distinct, mono_lines, want
from reviews.cards.formatters.shell_signs import signs_in
from reviews.cards.text import flat, reveal, text_cautions
from reviews.cards.types import Caution, Part, Rendered, Role, Value

SHELL_OPTIONS: Final[dict[str, str]] = {}
CODE_OPTIONS: Final = {"language": "The language, printed above the text"}


def shell(value: Value) -> Rendered:
    """Numbered lines below chips for what can be told by their words. Always *Not inspected*: chips never clear.

    Reads a text, or a list of arguments, which is quoted as a shell would need it.
    """
    if isinstance(value.value, list):
        if not value.value:
            raise WrongKindError("command")
        written = shlex.join(want(item, str) for item in value.value)
        covers = frozenset(f"{value.pointer}/{index}" for index in range(len(value.value)))
    else:
        written = want(value.value, str)
        covers = frozenset([value.pointer])
    found = signs_in(written)
    head: list[Part] = [Part("Not inspected", Role.CHIP)]
    for sign in found:
        head.extend((Part(" "), Part(sign.chip, Role.CHIP)))
    body, hidden = mono_lines(written)
    cautions = [
        Caution("not_inspected"),
        *(Caution(sign.code, sign.severity) for sign in found),
        *hidden,
        *_talk(written),
    ]
    return Rendered(
        (*head, Part("\n"), *body), covers, cautions=distinct(cautions), inspected=False, exact=written, can_copy=True
    )


def code(value: Value) -> Rendered:
    """Source code, monospace and unfolded, every line numbered; what hides in it is said."""
    written = want(value.value, str)
    if not written:
        return Rendered((Part("empty text", Role.QUIET),), frozenset([value.pointer]))
    language = value.options.get("language")
    head = (Part(f"{flat(language)}\n", Role.QUIET),) if isinstance(language, str) and language else ()
    body, hidden = mono_lines(written)
    return Rendered(
        (*head, *body),
        frozenset([value.pointer]),
        cautions=distinct((*hidden, *_talk(written))),
        exact=written,
        can_copy=True,
    )


def _talk(written: str) -> list[Caution]:
    """A comment can talk to the reader as any other text can."""
    return [item for item in text_cautions(written, reveal(written)) if item.code in ("claims_approval", "our_words")]
