"""What a card template says, apart from its row: the parts that are checked, hashed, compared and shown. Pure."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, Final, Protocol

from audit.canonical import canonical

FACT_FIELDS: Final = ("pointer", "label", "formatter", "options", "slot", "emphasis", "amend", "direction")
CAUTION_FIELDS: Final = ("when", "text", "severity")
LINK_FIELDS: Final = ("pointer", "url")


class Stored(Protocol):
    """The columns of a stored template that hold what it says."""

    sentence: str
    decisive: str
    facts: Any  # JSON as stored, here and below
    cautions: Any
    links: Any
    compare_on: Any
    undo: str
    undo_how: str


@dataclass(frozen=True)
class Content:
    """The parts of a template. Rows of facts, cautions and links are plain JSON objects, as the card builder reads them."""

    sentence: str
    decisive: str = ""
    facts: Sequence[Mapping[str, Any]] = field(default_factory=tuple)
    cautions: Sequence[Mapping[str, Any]] = field(default_factory=tuple)
    links: Sequence[Mapping[str, Any]] = field(default_factory=tuple)
    compare_on: Sequence[str] = field(default_factory=tuple)
    undo: str = ""
    undo_how: str = ""

    @classmethod
    def of(cls, row: Stored) -> Content:
        """What a stored template says."""
        return cls(
            sentence=row.sentence,
            decisive=row.decisive,
            facts=tuple(row.facts),
            cautions=tuple(row.cautions),
            links=tuple(row.links),
            compare_on=tuple(row.compare_on),
            undo=row.undo,
            undo_how=row.undo_how,
        )

    def columns(self) -> dict[str, Any]:
        """The columns of a row; of each item the fields that say something, so that equal templates hash alike."""
        return {
            "sentence": self.sentence,
            "decisive": self.decisive,
            "facts": [_said(item, FACT_FIELDS) for item in self.facts],
            "cautions": [_said(item, CAUTION_FIELDS) for item in self.cautions],
            "links": [_said(item, LINK_FIELDS) for item in self.links],
            "compare_on": list(self.compare_on),
            "undo": self.undo,
            "undo_how": self.undo_how,
        }

    def digest(self, action_id: str) -> str:
        """SHA-256, in hex, over the canonical JSON (RFC 8785) of action and content."""
        return hashlib.sha256(canonical({"action_id": action_id, **self.columns()})).hexdigest()


# What an item has unless it says otherwise.
_DEFAULTS: Final[Mapping[str, object]] = {"emphasis": "normal", "amend": "no", "severity": "caution"}


def _said(item: Mapping[str, Any], names: Sequence[str]) -> dict[str, Any]:
    return {
        name: item[name] for name in names if item.get(name) not in (None, "", {}) and item[name] != _DEFAULTS.get(name)
    }


@dataclass(frozen=True, slots=True)
class Difference:
    """One part before and after; empty where there was or is nothing."""

    part: str
    before: str
    after: str

    @property
    def verb(self) -> str:
        """Added, removed or changed."""
        return "changed" if self.before and self.after else "added" if self.after else "removed"


def differences(before: Content | None, after: Content) -> list[Difference]:
    """What changes from one content to another, part by part, in the order of the editor; empty when nothing does."""
    old = dict(_parts(before)) if before is not None else {}
    new = dict(_parts(after))
    return [
        Difference(part, old.get(part, ""), new.get(part, ""))
        for part in dict.fromkeys([*old, *new])
        if old.get(part, "") != new.get(part, "")
    ]


def _parts(content: Content) -> Iterator[tuple[str, str]]:
    columns = content.columns()
    yield "Sentence", columns["sentence"]
    yield "Typed at tier 3", columns["decisive"]
    for item in columns["facts"]:
        yield f"Fact {item.get('pointer', '')}", _line(item, FACT_FIELDS[1:])
    yield "Order of facts", ", ".join(str(item.get("pointer", "")) for item in columns["facts"])
    for number, item in enumerate(columns["cautions"], start=1):
        yield f"Caution {number}", _line(item, CAUTION_FIELDS)
    for item in columns["links"]:
        yield f"Link of {item.get('pointer', '')}", str(item.get("url", ""))
    yield "Compared on", ", ".join(columns["compare_on"])
    yield "Can be undone", columns["undo"]
    yield "How to undo it", columns["undo_how"]


def _line(item: Mapping[str, Any], names: Sequence[str]) -> str:
    written = (
        f"{name}: {value if isinstance(value, str) else json.dumps(value, ensure_ascii=False, sort_keys=True)}"
        for name in names
        if (value := item.get(name)) is not None
    )
    return "; ".join(written)
