"""Risk packs: classified actions with rationale, sources, rules and tests, to be adopted into a draft on record.

A pack is a directory with `pack.yaml`, `actions.yaml` and `policy.yaml`. Nothing in it acts before somebody adopts it,
reads the draft and publishes. Source: the policy design, section 14.
"""

from __future__ import annotations

import functools
import hashlib
import re
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final, cast

import rfc8785

from policy import strict_yaml
from policy.strict_yaml import BadYaml
from policy.terms import Effect, Rule

NOTICE: Final = (
    "Not legal advice. Not reviewed by counsel. You answer for the classifications you adopt."  # exactly this sentence
)
SHIPPED: Final = Path(__file__).parent
FILES: Final = ("pack.yaml", "actions.yaml", "policy.yaml")
FORMATS: Final = {
    "pack.yaml": "guardsite-pack/1",
    "actions.yaml": "guardsite-pack-actions/1",
    "policy.yaml": "guardsite-policy/1",
}
CLASSES: Final = (
    *("money_out", "money_setup", "message_out", "data_access", "data_change", "production_change"),
    *("clinical_order", "record_disclosure"),
)

_PACK_KEYS: Final = frozenset({"format", "id", "version", "title", "vertical", "licence", "legal_review", "notice"})
_ACTION_KEYS: Final = frozenset(
    {"id", "title", "class", "reversible", "external", "labels", "tier_floor", "undo", "schema", "rationale", "sources"}
    | {"author", "date"}
)
_RULE_KEYS: Final = frozenset(
    {"id", "name", "scope", "when", "effect", "suppresses", "on_error", "reason", "note", "tier", "sla", "priority"}
    | {"tests"}
)
_RULE_NEEDS: Final = frozenset({"id", "name", "scope", "when", "effect", "reason", "tier", "tests"})
_DURATION: Final = re.compile(r"([1-9][0-9]{0,4})([smhd])")
_SECONDS: Final = {"s": 1, "m": 60, "h": 3600, "d": 86400}


class BadPack(ValueError):
    """A pack that cannot be read: the message names file and place."""


@dataclass(frozen=True)
class Source:
    """Where a classification comes from."""

    title: str
    url: str


@dataclass(frozen=True)
class PackAction:
    """An action as the pack classifies it; `kind` is the file's `class`, `date` the day it was written."""

    id: str
    title: str
    kind: str
    reversible: bool
    external: bool
    labels: tuple[str, ...]
    tier_floor: int
    undo: str
    schema: Mapping[str, object] | None
    rationale: str
    sources: tuple[Source, ...]
    author: str
    date: str


@dataclass(frozen=True)
class Pack:
    """A pack that was read whole. `digest` is SHA-256 over the JCS of its files' SHA-256; `texts` are the files."""

    id: str
    version: str
    title: str
    vertical: str
    licence: str
    legal_review: str
    notice: str
    actions: tuple[PackAction, ...]
    rules: tuple[Rule, ...]
    digest: str
    texts: Mapping[str, str]


def read_pack(directory: Path) -> Pack:
    """The pack in a directory. Raises BadPack with file, place and reason."""
    texts, documents = {}, {}
    for name in FILES:
        try:
            texts[name] = (directory / name).read_text(encoding="utf-8")
            documents[name] = strict_yaml.load(texts[name]).value
        except (OSError, UnicodeError) as error:
            raise BadPack(f"{name}: {error.__class__.__name__}") from None
        except BadYaml as error:
            raise BadPack(f"{name}: {error}") from None
        document = documents[name]
        if not isinstance(document, dict) or document.get("format") != FORMATS[name]:
            raise BadPack(f"{name}: format is {FORMATS[name]}.")
    about = _mapping("pack.yaml", documents["pack.yaml"], keys=_PACK_KEYS, needs=_PACK_KEYS)
    actions = _list("actions.yaml", documents["actions.yaml"], "actions")
    rules = _list("policy.yaml", documents["policy.yaml"], "rules")
    digests: Any = {name: hashlib.sha256(text.encode()).hexdigest() for name, text in texts.items()}
    return Pack(
        **{key: _text("pack.yaml", about, key) for key in sorted(_PACK_KEYS - {"format"})},
        actions=tuple(_action(index, found) for index, found in enumerate(actions, 1)),
        rules=tuple(_rule(index, found) for index, found in enumerate(rules, 1)),
        digest=hashlib.sha256(rfc8785.dumps(digests)).hexdigest(),
        texts=texts,
    )


@functools.cache
def shipped() -> Mapping[str, Pack]:
    """The packs that come with guardsite, by id. Read once: they change with the release alone."""
    found = [read_pack(path.parent) for path in sorted(SHIPPED.glob("*/pack.yaml"))]
    return {pack.id: pack for pack in found}


def seconds_of(text: str) -> int | None:
    """A duration such as 15m, 2h or 1d in seconds; None when it is none."""
    match = _DURATION.fullmatch(text)
    return int(match[1]) * _SECONDS[match[2]] if match else None


def _action(index: int, found: object) -> PackAction:
    where = f"actions.yaml, action {index}"
    fields = _mapping(where, found, keys=_ACTION_KEYS, needs=_ACTION_KEYS - {"undo", "schema"})
    where = f"actions.yaml, {_text(where, fields, 'id')}"
    for key in ("reversible", "external"):
        if not isinstance(fields[key], bool):
            raise BadPack(f"{where}: {key} is true or false.")
    floor, schema = fields["tier_floor"], fields.get("schema")
    if not isinstance(floor, int) or not 0 <= floor <= 4:
        raise BadPack(f"{where}: tier_floor is 0 to 4.")
    if schema is not None and not isinstance(schema, dict):
        raise BadPack(f"{where}: schema is an object.")
    sources = []
    for source in _list(where, fields, "sources"):
        given = _mapping(
            f"{where}: source", source, keys=frozenset({"title", "url"}), needs=frozenset({"title", "url"})
        )
        sources.append(Source(_text(where, given, "title"), _text(where, given, "url")))
    return PackAction(
        id=_text(where, fields, "id"),
        title=_text(where, fields, "title"),
        kind=_text(where, fields, "class"),
        reversible=cast(bool, fields["reversible"]),
        external=cast(bool, fields["external"]),
        labels=_texts(where, fields, "labels"),
        tier_floor=floor,
        undo=_text(where, fields, "undo") if fields.get("undo") else "",
        schema=schema,
        rationale=_text(where, fields, "rationale"),
        sources=tuple(sources),
        author=_text(where, fields, "author"),
        date=_text(where, fields, "date"),
    )


def _rule(index: int, found: object) -> Rule:
    where = f"policy.yaml, rule {index}"
    fields = _mapping(where, found, keys=_RULE_KEYS, needs=_RULE_NEEDS)
    where = f"policy.yaml, {_text(where, fields, 'id')}"
    scope = _mapping(f"{where}: scope", fields["scope"], keys=frozenset({"actions"}), needs=frozenset({"actions"}))
    sla = _mapping(f"{where}: sla", fields.get("sla", {}), keys=frozenset({"due_in", "expires_in"}), needs=frozenset())
    times = {key: seconds_of(str(value)) for key, value in sla.items()}
    if None in times.values():
        raise BadPack(f"{where}: a time is such as 15m or 2h.")
    for key, allowed in (("effect", ("allow", "review", "deny")), ("on_error", ("review", "deny"))):
        if key in fields and fields[key] not in allowed:
            raise BadPack(f"{where}: {key} is {' or '.join(allowed)}.")
    tier, priority = fields["tier"], fields.get("priority", 100)
    if not isinstance(tier, int) or not 1 <= tier <= 4 or not isinstance(priority, int):
        raise BadPack(f"{where}: tier is 1 to 4, priority a number.")
    tests = _list(where, fields, "tests")
    if not all(isinstance(test, dict) for test in tests):
        raise BadPack(f"{where}: each test is an object.")
    return Rule(
        id=_text(where, fields, "id"),
        name=_text(where, fields, "name"),
        actions=_texts(f"{where}: scope", scope, "actions"),
        when=_text(where, fields, "when").strip(),
        effect=cast(Effect, fields["effect"]),
        suppresses=_texts(where, fields, "suppresses") if "suppresses" in fields else (),
        on_error="deny" if fields.get("on_error") == "deny" else "review",
        reason=_text(where, fields, "reason"),
        note=_text(where, fields, "note") if "note" in fields else "",
        tier=tier,
        due_in_seconds=times.get("due_in"),
        expires_in_seconds=times.get("expires_in"),
        priority=priority,
        tests=tuple(cast("list[Mapping[str, object]]", tests)),
    )


def _mapping(where: str, found: object, *, keys: frozenset[str], needs: frozenset[str]) -> Mapping[str, object]:
    if not isinstance(found, dict):
        raise BadPack(f"{where}: not an object.")
    if unknown := sorted(found.keys() - keys):
        raise BadPack(f"{where}: {unknown[0]} is not known here.")
    if missing := sorted(needs - found.keys()):
        raise BadPack(f"{where}: {missing[0]} is missing.")
    return found


def _list(where: str, found: object, key: str) -> list[object]:
    value = found.get(key) if isinstance(found, Mapping) else None
    if not isinstance(value, list) or not value:
        raise BadPack(f"{where}: {key} is a list with something in it.")
    return value


def _text(where: str, found: Mapping[str, object], key: str) -> str:
    value = found.get(key)
    if not isinstance(value, str) or not value.strip():
        raise BadPack(f"{where}: {key} is a text.")
    return value


def _texts(where: str, found: Mapping[str, object], key: str) -> tuple[str, ...]:
    value = found.get(key)
    if not isinstance(value, list) or not all(isinstance(item, str) and item for item in value):
        raise BadPack(f"{where}: {key} is a list of texts.")
    return tuple(value)
