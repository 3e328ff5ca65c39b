"""Kinds of entries, each with its label and its sentence. A kind is never reused; an unregistered one cannot be recorded.

The apps register their kinds in `AppConfig.ready`, and `tenants` says how actors are called: this app knows neither.
"""

from __future__ import annotations

import logging
import re
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass, field
from datetime import datetime
from typing import Any
from uuid import UUID

log = logging.getLogger("guardsite.audit")

_KIND = re.compile(r"[a-z_]+\.[a-z_]+")


@dataclass(frozen=True, slots=True)
class EntryView:
    """What a sentence may use: the parsed body, the name of who acted and of what it names. Times are aware UTC."""

    entry_id: int
    uid: str
    kind: str
    body: Mapping[str, Any]  # JSON: identifiers and whole numbers only
    decided_at: datetime
    actor_name: str
    disclosed: Mapping[str, Any] = field(default_factory=dict)  # opened values, only where the reader may see them
    names: Mapping[tuple[str, str], str] = field(
        default_factory=dict
    )  # (type, id) → name, of what the kind says it names

    def get(self, path: str) -> Any:
        """The value at a dotted path such as `rule.id`, or None."""
        return _at(self.body, path)

    def text(self, path: str, default: str = "") -> str:
        """The value at a dotted path as text, else `default`."""
        value = self.get(path)
        return default if value is None else str(value)

    def name(self, type_: str, id_: str) -> str:
        """What the thing of this type is called now; its id where nobody knows better."""
        return self.names.get((type_, id_), id_)


@dataclass(frozen=True, slots=True)
class Kind:
    """One registered kind. `version` is the `v` of its bodies: raised when a field is added.

    `about` is the dotted path of the id of what its entries are about, such as `team`; empty where no filter asks for it.
    `names` are the dotted paths of ids, or of lists of ids, that its sentence names, each with the type of what it is.
    """

    name: str
    label: str
    sentence: Callable[[EntryView], str]
    version: int
    about: str = ""
    names: Mapping[str, str] = field(default_factory=dict)


def _at(body: Mapping[str, Any], path: str) -> Any:
    value: Any = body
    for step in path.split("."):
        if not isinstance(value, Mapping) or step not in value:
            return None
        value = value[step]
    return value


class UnknownKind(LookupError):
    """A bug in the caller: silence would be worst where the log is concerned."""


Namer = Callable[[UUID, Iterable[tuple[str, str]]], Mapping[tuple[str, str], str]]

# Given a tenant and what somebody typed: the ids of the actors that are called so.
ActorFinder = Callable[[UUID, str], Iterable[str]]

# Given a tenant and what the reader may do: the uids of the entries that they must not read yet.
Withholder = Callable[[UUID, Callable[[str], bool]], Iterable[UUID]]

_registered: dict[str, Kind] = {}
_namers: list[Namer] = []
_actor_finders: list[ActorFinder] = []
_withholders: list[Withholder] = []


def register(
    kind: str,
    *,
    sentence: Callable[[EntryView], str],
    label: str,
    version: int = 1,
    about: str = "",
    names: Mapping[str, str] | None = None,
) -> None:
    """Makes `kind` recordable. Raises ValueError for a malformed or a taken name."""
    if not _KIND.fullmatch(kind):
        raise ValueError(f"not a kind: {kind}")
    if kind in _registered:
        raise ValueError(f"the kind {kind} is registered twice")
    _registered[kind] = Kind(kind, label, sentence, version, about, names or {})


def registered(kind: str) -> Kind:
    """The registered kind. Raises UnknownKind."""
    try:
        return _registered[kind]
    except KeyError:
        raise UnknownKind(f"the kind {kind} is not registered") from None


def all_kinds() -> list[Kind]:
    """Every registered kind, by label."""
    return sorted(_registered.values(), key=lambda kind: kind.label)


def label_of(kind: str) -> str:
    """The label of a kind, or its name where the app that knew it is gone."""
    found = _registered.get(kind)
    return found.label if found else kind


def sentence_of(view: EntryView) -> str:
    """The entry as one sentence. A formatter that fails on an old body costs the sentence, never the page."""
    found = _registered.get(view.kind)
    if found is None:
        return f"{view.actor_name}: {view.kind}."
    try:
        return found.sentence(view)
    except Exception:
        log.exception("a sentence failed", extra={"kind": view.kind, "entry": view.uid})
        return f"{view.actor_name}: {found.label}."


def name_actors_by(namer: Namer) -> None:
    """Adds a source of names: given a tenant and (type, id) pairs, it answers those that it knows."""
    if namer not in _namers:
        _namers.append(namer)


def named_in(kind: str, body: Mapping[str, Any]) -> set[tuple[str, str]]:
    """(type, id) of all that the sentence of an entry of this kind names, besides who acted."""
    found = _registered.get(kind)
    named: set[tuple[str, str]] = set()
    for path, type_ in (found.names if found else {}).items():
        value = _at(body, path)
        named.update((type_, item) for item in (value if isinstance(value, list) else [value]) if isinstance(item, str))
    return named


def actor_names(tenant_id: UUID, actors: Iterable[tuple[str, str]]) -> dict[tuple[str, str], str]:
    """A name to show for each (type, id); the id itself where nobody knows better."""
    wanted = set(actors)
    found = {actor: actor[1] or actor[0] for actor in wanted}
    for namer in _namers:
        found.update({actor: name for actor, name in namer(tenant_id, wanted).items() if actor in wanted})
    return found


def find_actors_by(finder: ActorFinder) -> None:
    """Adds who knows some actors by what people call them: the other way round from `name_actors_by`."""
    if finder not in _actor_finders:
        _actor_finders.append(finder)


def actors_called(tenant_id: UUID, words: str) -> set[str]:
    """The ids of all who are called so; several may share a name."""
    return {actor for finder in _actor_finders for actor in finder(tenant_id, words)}


def withhold_by(withholder: Withholder) -> None:
    """Adds a reason to keep entries from a reader for a while, such as a verdict that must not sway the next."""
    if withholder not in _withholders:
        _withholders.append(withholder)


def withheld(tenant_id: UUID, has_perm: Callable[[str], bool]) -> frozenset[UUID]:
    """The entries that somebody with these permissions may not read now. They stay in the chain and in its proofs."""
    return frozenset(uid for withholder in _withholders for uid in withholder(tenant_id, has_perm))


def register_own() -> None:
    """The kinds that this app records itself."""
    register("log.opened", label="Log opened", sentence=lambda entry: f"The log {entry.text('origin')} was opened.")
    register(
        "disclosure.read",
        label="Value read",
        sentence=lambda entry: f"{entry.actor_name} opened the stored values of entry {entry.text('entry')}.",
    )
    register(
        "export.created",
        label="Export created",
        sentence=lambda entry: (
            f"{entry.actor_name} exported the log"
            f"{', with stored values' if entry.get('disclosures') else ', without stored values'}."
        ),
    )
    register(
        "erasure.executed",
        label="Values erased",
        sentence=lambda entry: (
            f"{entry.actor_name} erased {len(entry.get('digests') or [])} stored values ({entry.text('basis', 'no basis')})."
        ),
    )
