"""The fact for any value: formatter, label, cautions, children. Whatever happens, the value is on the card.

A formatter that raises gives the raw value and *Not inspected*; a secret is masked before any formatter sees it.
"""

from __future__ import annotations

import json
import re
from dataclasses import replace
from functools import lru_cache
from itertools import islice
from typing import Final

from audit.pointer import leaves
from audit.secrets import holds_secret, is_declared_secret, mask_document, mask_text
from reviews.cards.choice import chosen_formatter as chosen_formatter
from reviews.cards.formatters import FORMATTER_OPTIONS as FORMATTER_OPTIONS
from reviews.cards.formatters import FORMATTERS as FORMATTERS
from reviews.cards.formatters import WrongKindError
from reviews.cards.formatters.base import distinct
from reviews.cards.formatters.lists import LIST_OPEN as LIST_OPEN
from reviews.cards.formatters.lists import LONG_LIST as LONG_LIST
from reviews.cards.formatters.lists import lookalike_keys
from reviews.cards.formatters.text import fold_lines
from reviews.cards.text import claims_approval, flat, is_hidden, reveal, speaks_as_us
from reviews.cards.types import (
    Caution,
    Fact,
    LabelSource,
    Link,
    Part,
    Provenance,
    Rendered,
    Role,
    Severity,
    Value,
    type_names,
)

# More leaves than this in one member are shown as its JSON: nobody reads so many lines, and a page must still build.
MOST_LEAVES: Final = 1_000

_CACHED_KEY: Final = 80
_ACRONYMS: Final = frozenset(["id", "url", "uri", "iban", "bic", "ip", "sku", "sql", "vat", "api", "html"])
_SELECTOR_KEY: Final = re.compile(
    r"filter|selector|where|criteria|match|conditions?$|scope|target|recipients?$|audience|segment|pattern|glob|query"
    r"|(?:^|_)(?:ids|users|accounts|customers|hosts|tables|paths?|names)$|^(?:to|for|on)$"
)
_EMPTY_SELECTOR_KEY: Final = re.compile(r"filter|selector|where|criteria|conditions?$|^match$|^query$")
_ALL: Final = frozenset(
    {"*", "**", "all", "everyone", "everything", "@all", "@everyone", "%", ".*", "/", "**/*", "any"}
)


def humanised(key: str) -> str:
    """`amount_cents` as "Amount cents": the unit stays. Hidden characters in a key are revealed, secrets masked."""
    return _short_humanised(key) if len(key) <= _CACHED_KEY else _humanised(key)


def _humanised(key: str) -> str:
    if not key:
        return "(empty name)"
    if any(is_hidden(char) for char in key):
        return flat(key)
    key = mask_text(key)
    words = re.sub(r"[_\-.\s]+", " ", re.sub(r"(?<=[a-z0-9])(?=[A-Z])", " ", key)).strip()
    if not words:
        return key
    words = " ".join(word.upper() if word.casefold() in _ACRONYMS else word for word in words.split(" "))
    return words[0].upper() + words[1:]


# The same few keys come with every call of an action.
_short_humanised = lru_cache(maxsize=2048)(_humanised)


def fact_for(
    value: Value,
    *,
    provenance: Provenance,
    label: str = "",
    label_source: LabelSource = LabelSource.KEY,
    formatter: str = "",
    emphasis: str = "normal",
    amend: str = "no",
    direction: str = "",
    claim: str = "",
    link: Link | None = None,
    cautions: tuple[Caution, ...] = (),
) -> Fact:
    """The fact for one value, whatever it is. Never raises, never blank. `cautions` are those of its name."""
    name = formatter or chosen_formatter(value)
    if is_declared_secret(value.schema) and isinstance(value.value, str):
        name = "secret"
    is_secret = name == "secret"
    seen, was_masked = (value, False) if name in ("secret", "binary") else _masked(value, name)
    try:
        if name in ("nested", "list") and _is_too_much(value):
            rendered, name = raw(value, cautions=(_too_much(value),)), "raw"
        else:
            rendered = FORMATTERS[name](seen)
        if not rendered.parts and not rendered.inner:
            raise WrongKindError("blank")
        children = _children(rendered, provenance)
    except Exception:  # a formatter's own mistake must not hide the value either
        rendered, name, children = raw(value, secret=is_secret), "raw", ()
    said = [*rendered.cautions, *cautions]
    # A secret that nobody declared: masked all the same, and said.
    if was_masked or (is_secret and not formatter and not is_declared_secret(value.schema)):
        said.append(Caution("unexpected_secret", Severity.CAUTION))
    if means_all(value):
        said.append(Caution("means_all", Severity.DANGER))
    if not label:
        # "approved_by" with nothing in it claims nothing.
        is_empty = value.value in (None, "", False) or value.value in ([], {})
        said.extend(one for one in key_cautions(value.key) if not (is_empty and one.code == "claims_approval"))
    hides = rendered.hides.union(*(child.hides for child in children))
    if was_masked or is_secret:
        hides |= frozenset(leaves(value.value, value.pointer))
    return Fact(
        pointer=value.pointer,
        label=label or humanised(value.key),
        label_source=label_source,
        parts=rendered.parts,
        raw=rendered.raw,
        cautions=distinct(said),
        provenance=provenance,
        inspected=rendered.inspected,
        covers=rendered.covers.union(*(child.covers for child in children)),
        formatter=name,
        emphasis=emphasis,
        amend=amend,
        more=rendered.more,
        more_label=rendered.more_label,
        children=children,
        is_hidden=value.pointer in hides,
        brief=rendered.short,
        link=link,
        direction=direction,
        claim=claim,
        exact=rendered.exact,
        unit=rendered.unit,
        choices=rendered.choices,
        can_copy=rendered.can_copy,
        hides=hides,
    )


def _masked(value: Value, name: str) -> tuple[Value, bool]:
    """The value with the secrets in its text masked, and whether there were any; members of a tree mask their own."""
    item = value.value
    if isinstance(item, str) and holds_secret(item):
        return replace(value, value=mask_text(item)), True
    if not isinstance(item, list) or name in ("nested", "list"):
        return value, False
    if not any(isinstance(member, str) and holds_secret(member) for member in item):
        return value, False
    return replace(value, value=[mask_text(member) if isinstance(member, str) else member for member in item]), True


def _children(rendered: Rendered, provenance: Provenance) -> tuple[Fact, ...]:
    if not rendered.inner:
        return ()
    twins = lookalike_keys(item.value.key for item in rendered.inner if not item.label)
    return tuple(
        fact_for(
            item.value,
            provenance=provenance,
            label=item.label,
            formatter=item.formatter,
            cautions=(twins[item.value.key],) if not item.label and item.value.key in twins else (),
        )
        for item in rendered.inner
    )


def _is_too_much(value: Value) -> bool:
    found = leaves(value.value, value.pointer)
    return next(islice(found, MOST_LEAVES, None), None) is not None


def _too_much(value: Value) -> Caution:
    count = sum(1 for _ in leaves(value.value, value.pointer))
    return Caution("too_much", Severity.CAUTION, {"count": f"{count:,}"})


def means_all(value: Value) -> bool:
    """Whether the value selects everything: a star, the word, or a filter that filters nothing."""
    key, item = value.key.casefold(), value.value
    if isinstance(item, str) and item.strip().casefold() in _ALL:
        return _SELECTOR_KEY.search(key) is not None
    if isinstance(item, list) and item:
        # A star among others takes them all in.
        return any(isinstance(member, str) and member.strip().casefold() in _ALL - {"/"} for member in item[:100])
    return item in ("", [], {}) and _EMPTY_SELECTOR_KEY.search(key) is not None


def key_cautions(key: str) -> tuple[Caution, ...]:
    """Keys are the agent's words too."""
    return _short_key_cautions(key) if len(key) <= _CACHED_KEY else _key_cautions(key)


def _key_cautions(key: str) -> tuple[Caution, ...]:
    found = list(reveal(key).cautions)
    if claims_approval(re.sub(r"[_-]", " ", key)):
        found.append(Caution("claims_approval"))
    if speaks_as_us(key):
        found.append(Caution("our_words"))
    if holds_secret(key):
        found.append(Caution("unexpected_secret"))
    return tuple(found)


_short_key_cautions = lru_cache(maxsize=2048)(_key_cautions)


def raw(value: Value, *, secret: bool = False, cautions: tuple[Caution, ...] = ()) -> Rendered:
    """The value as JSON, its secrets masked, marked as not inspected; what should have been a secret shows only its type."""
    covers = frozenset(leaves(value.value, value.pointer))
    cautions = (Caution("not_inspected"), *cautions)
    if secret:
        kind = type_names.get(type(value.value), "none")
        return Rendered(
            (Part(f"a hidden {kind}", Role.QUIET),), covers, cautions=cautions, inspected=False, hides=covers
        )
    shown, hides = mask_document(
        value.value, value.pointer, key=value.key if isinstance(value.value, dict | list) else ""
    )
    written = json.dumps(shown, ensure_ascii=False, indent=2)
    seen = reveal(written)
    first, more = fold_lines(seen.parts)
    label = f"show the rest ({sum(len(part.text) for part in more):,} characters)" if more else ""
    if hides:
        cautions = (*cautions, Caution("unexpected_secret"))
    return Rendered(
        first,
        covers,
        cautions=(*cautions, *seen.cautions),
        more=more,
        more_label=label,
        inspected=False,
        exact=shown if isinstance(shown, str) else written,
        hides=hides,
    )
