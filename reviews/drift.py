"""What differs between the tool definition that an admin accepted and the one that is offered now. Pure."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Protocol

from reviews.cards.text import flat, middle

_LONGEST = 200


class Described(Protocol):
    """A tool definition in words, as `policy.tools` reads it."""

    @property
    def title(self) -> str: ...
    @property
    def description(self) -> str: ...
    @property
    def property_titles(self) -> Mapping[str, str]: ...
    @property
    def annotations(self) -> Mapping[str, bool]: ...
    @property
    def input_schema(self) -> Mapping[str, object] | None: ...


@dataclass(frozen=True, slots=True)
class Difference:
    """One thing that changed. `what` is ours; `before` and `after` are the provider's words, empty where absent."""

    what: str
    before: str
    after: str


def differences(accepted: Described, offered: Described) -> tuple[Difference, ...]:
    """What differs, in the order of a definition; hidden characters revealed, long texts cut in the middle."""
    found = [
        Difference(what, _shown(before), _shown(after))
        for what, before, after in (
            ("Title", accepted.title, offered.title),
            ("Description", accepted.description, offered.description),
        )
        if before != after
    ]
    found += _changed("Parameter", _properties(accepted), _properties(offered))
    found += _changed("Words for", accepted.property_titles, offered.property_titles)
    found += _changed(
        "Claim",
        {name: "yes" if value else "no" for name, value in accepted.annotations.items()},
        {name: "yes" if value else "no" for name, value in offered.annotations.items()},
    )
    return tuple(found)


def _changed(what: str, before: Mapping[str, str], after: Mapping[str, str]) -> list[Difference]:
    return [
        Difference(what, f"{_shown(key)}: {_shown(before[key])}" if key in before else "",
                   f"{_shown(key)}: {_shown(after[key])}" if key in after else "")
        for key in dict.fromkeys((*before, *after))
        if before.get(key) != after.get(key)
    ]  # fmt: skip


def _properties(described: Described) -> dict[str, str]:
    """Top-level parameters with their type and what else their schema says, without its prose."""
    properties = (described.input_schema or {}).get("properties")
    if not isinstance(properties, dict):
        return {}
    return {
        str(key): ", ".join(f"{name} {value}" for name, value in sorted(schema.items()) if name not in _PROSE)
        for key, schema in properties.items()
        if isinstance(schema, dict)
    }


_PROSE = ("title", "description", "examples")


def _shown(text: str) -> str:
    return middle(flat(text), limit=_LONGEST)
