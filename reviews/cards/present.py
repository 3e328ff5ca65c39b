"""`build_card`: a held call in, everything a reviewer is shown out. Pure and total: it raises for no params."""

from __future__ import annotations

import re
from collections.abc import Iterator
from typing import Final

from reviews.cards.pointer import MissingError, leaves, resolve, token
from reviews.cards.registry import fact_for, humanised
from reviews.cards.text import flat, middle
from reviews.cards.types import (
    Card,
    CardInput,
    Fact,
    FactTemplate,
    LabelSource,
    Notice,
    Part,
    Provenance,
    Role,
    Severity,
    Template,
    Value,
)

_SLOT: Final = re.compile(r"\{([A-Za-z_]\w*)\}")
_SEVERITY_ORDER: Final = {Severity.DANGER: 0, Severity.CAUTION: 1, Severity.INFO: 2}


def build_card(call: CardInput) -> Card:
    """The card of a call: sentence, facts, cautions, and whether every leaf is covered.

    Facts of the template come first, in its order; every other top-level member follows under *Other
    parameters*. A leaf that no fact covers makes the card `incomplete`, and such a card cannot be approved.
    """
    declared = call.template.facts if call.template else ()
    facts = tuple(fact for item in declared if (fact := _declared_fact(item, call)) is not None)
    other = tuple(_other_facts(call, facts))
    context = tuple(_members(call.user_context, call, provenance=Provenance.APPLICATION))
    missing = (
        *(f"params{leaf}" for leaf in _uncovered(call.params, (*facts, *other))),
        *(f"user_context{leaf}" for leaf in _uncovered(call.user_context, context)),
    )
    total, shown = _counts(call.params, missing, "params")
    context_total, context_shown = _counts(call.user_context, missing, "user_context")
    return Card(
        action_id=call.action_id,
        sentence=_sentence(call, facts, total),
        has_template=call.template is not None,
        facts=facts,
        other_facts=other,
        context_facts=context,
        decisive=_decisive(call.template, facts),
        stands_out=_stands_out((*facts, *other, *context)),
        hits=call.hits,
        params_shown=shown,
        params_total=total,
        context_shown=context_shown,
        context_total=context_total,
        missing=missing,
        incomplete=bool(missing),
        tier=call.tier,
        call_digest=call.call_digest,
        call_index=call.call_index,
        call_count=call.call_count,
    )


def template_from(*, sentence: str, facts: object, decisive: str = "", version: int = 0) -> Template:
    """A template from stored JSON: `facts` is a list of {pointer, label, formatter, options, slot}.

    Unreadable facts are left out, so that their values fall to *Other parameters*.
    """
    read = []
    for item in facts if isinstance(facts, list) else []:
        if not isinstance(item, dict) or not isinstance(item.get("pointer"), str):
            continue
        options = item.get("options")
        read.append(
            FactTemplate(
                pointer=item["pointer"],
                label=str(item.get("label") or humanised(item["pointer"].rpartition("/")[2])),
                formatter=str(item.get("formatter") or ""),
                options=options if isinstance(options, dict) else {},
                slot=str(item.get("slot") or ""),
                emphasis=str(item.get("emphasis") or ("key" if item["pointer"] == decisive else "normal")),
                amend=str(item.get("amend") or "no"),
            )
        )
    return Template(sentence=sentence, facts=tuple(read), decisive=decisive, version=version)


def _value(pointer: str, item: object, call: CardInput, *, root: object, declared: FactTemplate | None = None) -> Value:
    key = pointer.rpartition("/")[2].replace("~1", "/").replace("~0", "~")
    schema = None
    properties = (call.schema or {}).get("properties") if root is call.params else None
    if isinstance(properties, dict) and pointer.count("/") == 1 and isinstance(properties.get(key), dict):
        schema = properties[key]
    return Value(
        pointer=pointer,
        key=key,
        value=item,
        root=root,
        now=call.now,
        options=declared.options if declared else {},
        schema=schema,
    )


def _declared_fact(item: FactTemplate, call: CardInput) -> Fact | None:
    try:
        found = resolve(call.params, item.pointer)
    except MissingError:
        return None
    return fact_for(
        _value(item.pointer, found, call, root=call.params, declared=item),
        provenance=Provenance.AGENT,
        label=item.label,
        label_source=LabelSource.TEMPLATE,
        formatter=item.formatter,
        emphasis=item.emphasis,
        amend=item.amend,
    )


def _members(document: object, call: CardInput, *, provenance: Provenance) -> Iterator[Fact]:
    if isinstance(document, dict):
        for key, item in document.items():
            yield fact_for(_value(f"/{token(key)}", item, call, root=document), provenance=provenance)
    elif document is not None:
        # Intake takes objects only; a card still shows whatever it is given.
        yield fact_for(_value("", document, call, root=document), provenance=provenance, label="Value")


def _other_facts(call: CardInput, facts: tuple[Fact, ...]) -> Iterator[Fact]:
    covered = frozenset[str]().union(*(fact.covers for fact in facts)) if facts else frozenset[str]()
    if not isinstance(call.params, dict):
        yield from _members(call.params, call, provenance=Provenance.AGENT)
        return
    for key, item in call.params.items():
        pointer = f"/{token(key)}"
        if not all(leaf in covered for leaf in leaves(item, pointer)):
            yield fact_for(_value(pointer, item, call, root=call.params), provenance=Provenance.AGENT)


def _uncovered(document: object, facts: tuple[Fact, ...]) -> list[str]:
    covered = frozenset[str]().union(*(fact.covers for fact in facts)) if facts else frozenset[str]()
    if document is None:
        return []
    return [leaf for leaf in leaves(document) if leaf not in covered]


def _counts(document: object, missing: tuple[str, ...], name: str) -> tuple[int, int]:
    """Top-level members in all, and those of which every leaf is shown."""
    if not isinstance(document, dict):
        return (0, 0) if document is None else (1, 0 if missing else 1)
    short = {leaf.removeprefix(f"{name}/").partition("/")[0] for leaf in missing if leaf.startswith(f"{name}/")}
    return len(document), len(document) - len(short)


def _sentence(call: CardInput, facts: tuple[Fact, ...], params_total: int) -> tuple[Part, ...]:
    parts = [Part(flat(call.agent_name), Role.AGENT), Part(" wants to ")]
    phrase = _phrase(call.template, facts) if call.template else None
    if phrase is None:
        noun = "parameter" if params_total == 1 else "parameters"
        parts += [Part("run "), Part(flat(call.action_id), Role.ACTION), Part(f" with {params_total} {noun}")]
    else:
        parts += phrase
    if call.on_behalf_of:
        parts += [Part(", on behalf of ", Role.PRINCIPAL), Part(middle(flat(call.on_behalf_of)), Role.PRINCIPAL)]
    return tuple(parts)


def _phrase(template: Template, facts: tuple[Fact, ...]) -> list[Part] | None:
    """The template's verb phrase with its slots filled; None where a slot has no fact: a half sentence misleads."""
    by_slot: dict[str, Fact] = {}
    by_pointer = {fact.pointer: fact for fact in facts}
    for item in template.facts:
        if fact := by_pointer.get(item.pointer):
            by_slot.setdefault(item.slot or item.pointer.rpartition("/")[2], fact)
    parts: list[Part] = []
    at = 0
    for match in _SLOT.finditer(template.sentence):
        slot_fact = by_slot.get(match.group(1))
        if slot_fact is None or not slot_fact.inspected:
            return None
        parts.append(Part(template.sentence[at : match.start()]))
        words = middle(flat(slot_fact.short))
        parts.append(Part(f'"{words}"' if slot_fact.formatter == "text" else words, Role.SLOT))
        at = match.end()
    parts.append(Part(template.sentence[at:].rstrip(".")))
    return [part for part in parts if part.text]


def _decisive(template: Template | None, facts: tuple[Fact, ...]) -> tuple[Fact, ...]:
    if template is None:
        return ()
    named = tuple(fact for fact in facts if fact.pointer == template.decisive)
    return named + tuple(fact for fact in facts if fact.emphasis == "key" and fact not in named)


def _stands_out(facts: tuple[Fact, ...]) -> tuple[Notice, ...]:
    """Every caution of every fact, children included, strongest first; equal lines once."""
    found: dict[str, Notice] = {}

    def walk(fact: Fact, path: str) -> None:
        label = f"{path} {fact.label}" if path else fact.label
        for caution in fact.cautions:
            notice = Notice(caution, label)
            found.setdefault(notice.sentence, notice)
        for child in fact.children:
            walk(child, label)

    for fact in facts:
        walk(fact, "")
    return tuple(sorted(found.values(), key=lambda notice: _SEVERITY_ORDER[notice.caution.severity]))
