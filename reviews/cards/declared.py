"""A card template as the builder uses it, from its stored JSON."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

from reviews.cards.registry import humanised
from reviews.cards.types import FactTemplate, Severity, Template, TemplateCaution, TemplateLink


def template_from(
    *,
    sentence: str,
    facts: object,
    decisive: str = "",
    version: int = 0,
    cautions: object = (),
    links: object = (),
    compare_on: object = (),
    undo: str = "",
    undo_how: str = "",
    digest: str = "",
) -> Template:
    """A template from stored JSON.

    `facts` is a list of {pointer, label, formatter, options, slot, emphasis, amend, direction}, `cautions` of {when, text,
    severity}, `links` of {pointer, url, host}, `compare_on` of pointers. Unreadable items are left out, so that their
    values fall to *Other parameters*.
    """
    return Template(
        sentence=sentence,
        facts=tuple(_fact_template(item, decisive) for item in _objects(facts) if isinstance(item.get("pointer"), str)),
        decisive=decisive,
        version=version,
        cautions=tuple(
            TemplateCaution(
                when=str(item["when"]),
                text=str(item["text"]),
                severity=Severity(item["severity"]) if item.get("severity") in list(Severity) else Severity.CAUTION,
            )
            for item in _objects(cautions)
            if item.get("when") and item.get("text")
        ),
        links=tuple(
            TemplateLink(pointer=str(item["pointer"]), url=str(item["url"]), host=str(item["host"]).casefold())
            for item in _objects(links)
            if isinstance(item.get("pointer"), str) and item.get("url") and item.get("host")
        ),
        compare_on=tuple(
            item for item in (compare_on if isinstance(compare_on, list | tuple) else ()) if isinstance(item, str)
        ),
        undo=undo if undo in ("yes", "partly", "no") else "",
        undo_how=undo_how,
        digest=digest,
    )


def _objects(items: object) -> Iterator[dict[str, Any]]:
    yield from (item for item in (items if isinstance(items, list | tuple) else ()) if isinstance(item, dict))


def _fact_template(item: dict[str, Any], decisive: str) -> FactTemplate:
    options = item.get("options")
    pointer: str = item["pointer"]
    direction = item.get("direction")
    return FactTemplate(
        pointer=pointer,
        label=str(item.get("label") or humanised(pointer.rpartition("/")[2])),
        formatter=str(item.get("formatter") or ""),
        options=options if isinstance(options, dict) else {},
        slot=str(item.get("slot") or ""),
        emphasis=str(item.get("emphasis") or ("key" if pointer == decisive else "normal")),
        amend=str(item.get("amend") or "no"),
        direction=direction if direction in ("down", "up") else "",
    )
