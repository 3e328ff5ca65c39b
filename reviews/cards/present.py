"""`build_card`: a held call in, everything a reviewer is shown out. Pure and total: it raises for no params."""

from __future__ import annotations

from dataclasses import replace
from typing import Final

from audit.pointer import leaves
from reviews.cards.conditions import told
from reviews.cards.declared import template_from as template_from
from reviews.cards.headline import sentence_of
from reviews.cards.reading import context_facts, covered_by, declared_facts, known_of, other_facts
from reviews.cards.text import flat
from reviews.cards.types import Card, CardInput, Caution, Fact, Hit, Known, Notice, Severity, Template

_SEVERITY_ORDER: Final = {Severity.DANGER: 0, Severity.CAUTION: 1, Severity.INFO: 2}


def build_card(call: CardInput) -> Card:
    """The card of a call: sentence, facts, cautions, and whether every leaf is covered.

    Facts of the template come first, in its order; every other top-level member follows under *Other
    parameters*. A leaf that no fact covers makes the card `incomplete`, and such a card cannot be approved.
    """
    known = known_of(call)
    facts = tuple(declared_facts(call, known))
    other = tuple(other_facts(call, known, facts))
    context = tuple(context_facts(call, known))
    missing = (
        *(f"params{leaf}" for leaf in _uncovered(call.params, (*facts, *other))),
        *(f"user_context{leaf}" for leaf in _uncovered(call.user_context, context)),
    )
    total, shown = _counts(call.params, missing, "params")
    context_total, context_shown = _counts(call.user_context, missing, "user_context")
    template = call.template
    decisive_fact = _decisive_fact(template, facts)
    return Card(
        action_id=call.action_id,
        sentence=sentence_of(call, facts, total),
        has_template=template is not None,
        facts=facts,
        other_facts=other,
        context_facts=context,
        decisive=_decisive(decisive_fact, facts),
        stands_out=_stands_out(call, (*facts, *other, *context)),
        hits=_hits(call, known, facts),
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
        undo=template.undo if template else "",
        undo_how=template.undo_how if template else "",
        provider=call.tool,
        template_digest=template.digest if template else "",
        decisive_fact=decisive_fact,
    )


def _hits(call: CardInput, known: Known, facts: tuple[Fact, ...]) -> tuple[Hit, ...]:
    by_pointer = {fact.pointer: fact for fact in facts}
    return tuple(
        replace(hit, sentences=tuple(told(one, call=call, known=known, facts=by_pointer) for one in hit.conditions))
        for hit in call.hits
    )


def _uncovered(document: object, facts: tuple[Fact, ...]) -> list[str]:
    if document is None:
        return []
    covered = covered_by(facts)
    return [leaf for leaf in leaves(document) if leaf not in covered]


def _counts(document: object, missing: tuple[str, ...], name: str) -> tuple[int, int]:
    """Top-level members in all, and those of which every leaf is shown."""
    if not isinstance(document, dict):
        return (0, 0) if document is None else (1, 0 if missing else 1)
    short = {leaf.removeprefix(f"{name}/").partition("/")[0] for leaf in missing if leaf.startswith(f"{name}/")}
    return len(document), len(document) - len(short)


def _decisive_fact(template: Template | None, facts: tuple[Fact, ...]) -> Fact | None:
    if template is None or not template.decisive:
        return None
    return next((fact for fact in facts if fact.pointer == template.decisive and not fact.is_default), None)


def _decisive(named: Fact | None, facts: tuple[Fact, ...]) -> tuple[Fact, ...]:
    return (*((named,) if named else ()), *(fact for fact in facts if fact.emphasis == "key" and fact is not named))


def _stands_out(call: CardInput, facts: tuple[Fact, ...]) -> tuple[Notice, ...]:
    """Findings, cautions of the template and of every fact, children included: strongest first, equal lines once."""
    found: dict[str, Notice] = {}

    def add(caution: Caution, label: str) -> None:
        notice = Notice(caution, label)
        found.setdefault(notice.sentence, notice)

    def walk(fact: Fact, path: str) -> None:
        label = f"{path} {fact.label}" if path else fact.label
        for caution in fact.cautions:
            add(caution, label)
        for child in fact.children:
            walk(child, label)

    for finding in call.findings:
        add(_plain(finding.caution), finding.label)
    for caution in call.template_cautions:
        add(_plain(caution), "")
    for fact in facts:
        walk(fact, "")
    return tuple(sorted(found.values(), key=lambda notice: _SEVERITY_ORDER[notice.caution.severity]))


def _plain(caution: Caution) -> Caution:
    """A caution whose own text may repeat an agent's: what hides in it is revealed."""
    if caution.code != "said":
        return caution
    return replace(caution, args={"text": flat(str(caution.args.get("text", "")))})
