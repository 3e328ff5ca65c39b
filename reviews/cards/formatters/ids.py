"""Ids, and values that must not be shown. Source: reviewer-experience.md section 3, "id" and "secret"."""

from __future__ import annotations

import re
from dataclasses import replace
from typing import Final

from audit.secrets import DOTS, TAIL_FROM, fingerprint
from reviews.cards.formatters.base import in_role, one, option_texts, want
from reviews.cards.text import flat, reveal
from reviews.cards.types import Caution, Part, Rendered, Role, Severity, Value

ID_OPTIONS: Final = {
    "prefixes": "Prefixes that ids of this kind begin with, such as cus_",
    "known": "Ids seen before; any other is marked as first seen",
}
_IBAN: Final = re.compile(r"[A-Z]{2}[0-9]{2}[A-Z0-9]{11,30}")


def identifier(value: Value) -> Rendered:
    """An id in fixed-width letters; whether its prefix and the id itself are known. An IBAN stands in groups of four."""
    if isinstance(value.value, int) and not isinstance(value.value, bool):
        written = str(value.value)
    else:
        written = want(value.value, str)
    seen = reveal(on_paper(written))
    parts = in_role(seen.parts, Role.MONO) or (Part("empty text", Role.QUIET),)
    cautions = list(seen.cautions)
    prefixes = option_texts(value.options, "prefixes")
    if prefixes and not written.startswith(tuple(prefixes)):
        args = {"prefixes": ", ".join(flat(prefix) for prefix in prefixes)}
        cautions.append(Caution("unknown_prefix", Severity.CAUTION, args))
    if "known" in value.options and written not in option_texts(value.options, "known"):
        cautions.append(Caution("first_seen", Severity.INFO))
    return one(value, *parts, cautions=cautions, exact=written, can_copy=bool(written))


def on_paper(written: str) -> str:
    """An IBAN in groups of four letters, as it is printed; anything else as it is.

    Only where the check digits are right (ISO 13616-1, ISO 7064 MOD 97-10): no other id may seem to hold spaces.
    """
    if not _IBAN.fullmatch(written):
        return written
    digits = "".join(str(int(char, 36)) for char in written[4:] + written[:4])
    if int(digits) % 97 != 1:
        return written
    return " ".join(written[at : at + 4] for at in range(0, len(written), 4))


def secret(value: Value) -> Rendered:
    """Dots, the length, the last 4 characters of 16 and more, and a keyed fingerprint. The value itself is nowhere."""
    written = want(value.value, str)
    parts = [Part(DOTS, Role.MONO)]
    if len(written) >= TAIL_FROM:
        parts.append(Part(flat(written[-4:]), Role.MONO))
    parts.append(Part(f" ({len(written):,} characters, hidden)", Role.QUIET))
    mark = fingerprint(written, key=value.known.fingerprint_key)
    if mark:
        parts.extend((Part(" fingerprint ", Role.QUIET), Part(mark, Role.MONO)))
    rendered = one(value, *parts, exact=mark or str(len(written)), unit="" if mark else "characters")
    return replace(rendered, hides=frozenset([value.pointer]))
