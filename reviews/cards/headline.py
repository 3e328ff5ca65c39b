"""The sentence of a card: who wants to do what, for whom. Source: reviewer-experience.md section 3."""

from __future__ import annotations

import re
from typing import Final

from reviews.cards.text import flat, middle
from reviews.cards.types import CardInput, Fact, Part, Role, Template

_SLOT: Final = re.compile(r"\{([A-Za-z_]\w*)\}")


def sentence_of(call: CardInput, facts: tuple[Fact, ...], params_total: int) -> tuple[Part, ...]:
    """*[Agent] wants to [verb phrase], on behalf of [person].* Agent first, then ` wants to `, the person last."""
    parts = [Part(flat(call.agent_name), Role.AGENT), Part(" wants to ")]
    phrase = _phrase(call.template, facts) if call.template else None
    if phrase is None:
        count = "1 parameter" if params_total == 1 else f"{params_total or 'no'} parameters"
        parts += [Part("run "), Part(flat(call.action_id), Role.ACTION)]
        # An accepted definition may say what the action is called; any other stays in the fold *Provider*.
        if call.tool and call.tool.is_accepted and call.tool.name:
            parts.append(Part(f" ({middle(flat(call.tool.name), limit=80)})"))
        parts.append(Part(f" with {count}"))
    else:
        parts += phrase
    if call.on_behalf_of:
        parts += [Part(", on behalf of ", Role.PRINCIPAL), Part(middle(flat(call.on_behalf_of)), Role.PRINCIPAL)]
    return tuple(parts)


def _phrase(template: Template, facts: tuple[Fact, ...]) -> list[Part] | None:
    """The template's verb phrase with its slots filled; None where a slot has no fact: a half sentence misleads."""
    by_slot: dict[str, Fact] = {}
    by_pointer = {fact.pointer: fact for fact in facts if not fact.is_default}
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
