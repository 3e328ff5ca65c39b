"""Reads the log for pages: entries by filter, one entry with all that was hashed, checkpoints, exports.

Everything here reads through `audit_reader`, inside `as_tenant(using=READER)`.
"""

from __future__ import annotations

import json
from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Any, Final
from uuid import UUID

from django.db.models import JSONField, OuterRef, QuerySet, Subquery
from django.db.models.functions import Cast

from audit import disclosures as sd
from audit.envelope import body_hash, envelope, genesis_hash, row_hash
from audit.export import Export, find_export
from audit.ids import parse_wire_id, short_review_id, tail_of_short_review_id
from audit.kinds import EntryView, actor_names, actors_called, label_of, named_in, sentence_of
from audit.models import Checkpoint, Entry, Head, Log, Seal, StoredDisclosure
from audit.reveal import reveal

READER: Final = "audit_reader"
PAGE: Final = 50
_MOST_OF_ONE_SHORT_ID: Final = 50  # reviews; two are rare

_EPOCH_US: Final = 1_000_000


@dataclass(frozen=True, slots=True)
class Row:
    """One line of the list. `seq` is None until the entry has its position."""

    uid: str
    seq: int | None
    kind: str
    label: str
    sentence: str
    at: datetime
    actor_type: str
    actor_name: str
    action_id: str | None
    effect: str | None
    decision: str | None
    mode: str | None
    review: str | None
    row_hash: str | None
    review_short: str = ""
    asked_by: str = ""  # the agent whose call the review is about, where somebody else acts


@dataclass(frozen=True, slots=True)
class Page:
    """Rows, newest first, and the `before` of the next page, or None at the end."""

    rows: list[Row]
    next_before: str | None


@dataclass(frozen=True, slots=True)
class Link:
    """A position in the chain with all that its hash covers. `holds` says whether the recomputed hash is the stored one."""

    seq: int
    origin: str
    envelope: str
    row_hash: str
    recomputed: str
    recorded_at: datetime
    holds: bool


@dataclass(frozen=True, slots=True)
class Value:
    """A digest that the body commits to. `state`: stored, erased or gone; name and text only where they were opened."""

    digest: str
    state: str
    erased_by: str | None = None
    erased_at: datetime | None = None
    name: str | None = None
    text: str | None = None


@dataclass(frozen=True, slots=True)
class Neighbour:
    """The entry before or after."""

    uid: str
    seq: int


@dataclass(frozen=True, slots=True)
class EntryDetail:
    """All that the log knows of one entry."""

    row: Row
    body: str
    body_hash: str
    body_holds: bool
    fields: list[tuple[str, str]]
    received_at: datetime
    link: Link | None
    previous: Neighbour | None
    following: Neighbour | None
    refs: list[tuple[str, str]]  # uid, and in words what it is: empty where the reader may not open it
    values: list[Value]


def moment(microseconds: int) -> datetime:
    """Aware UTC of microseconds since 1970."""
    return datetime.fromtimestamp(microseconds // _EPOCH_US, UTC).replace(microsecond=microseconds % _EPOCH_US)


def entries(tenant_id: UUID) -> QuerySet[Entry]:
    """The tenant's entries."""
    return Entry.objects.using(READER).filter(tenant_id=tenant_id)


def page(
    tenant_id: UUID,
    *,
    equal: Mapping[str, str | list[str]],
    about: tuple[str, str] | None = None,
    since: datetime | None = None,
    until: datetime | None = None,
    before: UUID | None = None,
    without: Collection[UUID] = (),
) -> Page:
    """Up to 50 entries, newest first, that have these values in these columns; keyset by `before`, no OFFSET.

    `equal` may ask with `kind__in` and its like for one of several. `about` is a dotted path in the body and the id
    that stands there: no column and no index holds it, so ask for it with the kind. `without` are entries that the
    reader may not see.
    """
    found = entries(tenant_id).filter(**equal)
    if about is not None:
        path, wanted = about
        found = found.alias(said=Cast("body", JSONField())).filter(**{f"said__{path.replace('.', '__')}": wanted})
    if without:
        found = found.exclude(uid__in=without)
    if since is not None:
        found = found.filter(received_us__gte=int(since.timestamp()) * _EPOCH_US)
    if until is not None:
        found = found.filter(received_us__lt=int(until.timestamp()) * _EPOCH_US)
    if before is not None:
        # An unknown uid is nobody's place: the first page again.
        edge = entries(tenant_id).filter(uid=before).values_list("id", flat=True).first()
        found = found.filter(id__lt=edge) if edge is not None else found
    listed = list(found.order_by("-id")[: PAGE + 1])
    rows = _rows(tenant_id, listed[:PAGE])
    return Page(rows, rows[-1].uid if len(listed) > PAGE else None)


def reviews_called(tenant_id: UUID, words: str) -> list[str] | None:
    """The wire ids of the reviews that are called so, by their id or by its short form; None for what can be neither.

    No index holds the tails of ids, so a short one costs a walk over the index of the entries that name a review.
    """
    if parse_wire_id("rv", words.lower()):
        return [words.lower()]
    tail = tail_of_short_review_id(words)
    if tail is None:
        return None
    found = entries(tenant_id).filter(review__isnull=False, review__endswith=tail)
    ids = found.order_by("review").values_list("review", flat=True).distinct()
    return [str(review) for review in ids[:_MOST_OF_ONE_SHORT_ID]]


def actors_meant(tenant_id: UUID, words: str) -> list[str]:
    """The ids of the actors that are called so. An id that is on the record counts also when nobody bears it any more."""
    found = actors_called(tenant_id, words)
    if entries(tenant_id).filter(actor=words).exists():
        found.add(words)
    return sorted(found)


def _rows(tenant_id: UUID, listed: Sequence[Entry]) -> list[Row]:
    seals = {
        seal.entry_id: seal
        for seal in Seal.objects.using(READER).filter(tenant_id=tenant_id, entry_id__in=[entry.pk for entry in listed])
    }
    bodies = {entry.pk: json.loads(entry.body) for entry in listed}
    agents = _agents(tenant_id, {entry.review for entry in listed if entry.review})
    said = set().union(*(named_in(entry.kind, bodies[entry.pk]) for entry in listed))
    names = actor_names(tenant_id, {_actor(body) for body in bodies.values()} | set(agents.values()) | said)
    return [_row(entry, bodies[entry.pk], seals.get(entry.pk), names, agents) for entry in listed]


def _agents(tenant_id: UUID, reviews: Collection[str]) -> dict[str, tuple[str, str]]:
    """Review → who made the call that it is about, by the entry of that call."""
    if not reviews:
        return {}
    calls = entries(tenant_id).filter(review__in=reviews, kind="call.evaluated").order_by("-id")
    return {str(review): ("agent", agent) for review, agent in calls.values_list("review", "actor") if agent}


def _actor(body: Mapping[str, Any]) -> tuple[str, str]:
    actor = body.get("actor")
    if not isinstance(actor, dict):
        return ("system", "")
    return (str(actor.get("type", "")), str(actor.get("id", "")))


def _row(
    entry: Entry,
    body: Mapping[str, Any],
    seal: Seal | None,
    names: Mapping[tuple[str, str], str],
    agents: Mapping[str, tuple[str, str]],
) -> Row:
    actor = _actor(body)
    agent = agents.get(entry.review or "")
    at = moment(entry.decided_us)
    view = EntryView(
        entry_id=entry.pk,
        uid=str(entry.uid),
        kind=entry.kind,
        body=body,
        decided_at=at,
        actor_name=names[actor],
        names=names,
    )
    return Row(
        uid=str(entry.uid),
        seq=seal.seq if seal else None,
        kind=entry.kind,
        label=label_of(entry.kind),
        sentence=sentence_of(view),
        at=at,
        actor_type=actor[0],
        actor_name=names[actor],
        action_id=entry.action_id,
        effect=entry.effect,
        decision=entry.decision,
        mode=entry.mode,
        review=entry.review,
        row_hash=bytes(seal.row_hash).hex() if seal else None,
        review_short=short_review_id(entry.review) if entry.review else "",
        asked_by=names[agent] if agent and agent != actor else "",
    )


def detail(tenant_id: UUID, uid: UUID, *, opened: bool = False, without: Collection[UUID] = ()) -> EntryDetail | None:
    """One entry with everything that was hashed, recomputed here; values in clear only when `opened`. None when absent.

    Of the entries in `without`, which the reader may not see, nothing is said where this one refers to them.
    """
    entry = entries(tenant_id).filter(uid=uid).first()
    if entry is None:
        return None
    seal = Seal.objects.using(READER).filter(entry_id=entry.pk).first()
    body = json.loads(entry.body)
    computed = body_hash(entry.body.encode())
    (row,) = _rows(tenant_id, [entry])
    return EntryDetail(
        row=row,
        body=json.dumps(body, indent=2, ensure_ascii=True, sort_keys=True),
        body_hash=computed.hex(),
        body_holds=computed == bytes(entry.body_hash) and (seal is None or computed == bytes(seal.body_hash)),
        fields=_fields(body),
        received_at=moment(entry.received_us),
        link=_link(seal) if seal else None,
        previous=_neighbour(seal, -1),
        following=_neighbour(seal, 1),
        refs=_refs(tenant_id, [item for item in body.get("refs") or [] if isinstance(item, str)], without),
        values=_values(tenant_id, entry, body, opened=opened),
    )


def _refs(tenant_id: UUID, uids: Sequence[str], without: Collection[UUID]) -> list[tuple[str, str]]:
    """What an entry refers to, each with its kind and its place in the chain where it is one that may be named."""
    wanted = {uid for uid in map(_uuid, uids) if uid is not None}.difference(without)
    seq = Seal.objects.filter(entry_id=OuterRef("pk")).values("seq")
    named = {
        str(uid): label_of(kind) if place is None else f"{label_of(kind)}, #{place}"
        for uid, kind, place in entries(tenant_id).filter(uid__in=wanted).values_list("uid", "kind", Subquery(seq))
    }
    return [(uid, named.get(uid, "")) for uid in uids]


def _uuid(text: str) -> UUID | None:
    try:
        return UUID(text)
    except ValueError:
        return None


_SHOWN_APART: Final = frozenset({"v", "id", "kind", "nonce", "actor", "decided_at_us", "refs", "_sd", "_sd_alg"})


def _fields(body: Mapping[str, Any]) -> list[tuple[str, str]]:
    """The kind's own fields as (dotted path, text)."""
    found: list[tuple[str, str]] = []

    def walk(path: str, value: Any) -> None:
        if isinstance(value, dict):
            for key in sorted(value):
                walk(f"{path}.{key}", value[key])
        elif isinstance(value, list):
            found.append(
                (path, ", ".join(item if isinstance(item, str) else json.dumps(item) for item in value) or "none")
            )
        elif value is not None:
            found.append((path, value if isinstance(value, str) else json.dumps(value)))

    for key in sorted(body.keys() - _SHOWN_APART):
        walk(key, body[key])
    return found


def _link(seal: Seal) -> Link:
    origin = Log.objects.using(READER).get(pk=seal.log_id).origin
    if seal.seq == 0:
        previous = genesis_hash(origin)
    else:
        before = Seal.objects.using(READER).filter(log_id=seal.log_id, seq=seal.seq - 1).first()
        previous = bytes(before.row_hash) if before else bytes(32)
    covered = envelope(
        origin=origin, seq=seal.seq, previous=previous, body=bytes(seal.body_hash), recorded_us=seal.recorded_us
    )
    recomputed = row_hash(covered)
    return Link(
        seq=seal.seq,
        origin=origin,
        envelope=covered.decode("ascii"),
        row_hash=bytes(seal.row_hash).hex(),
        recomputed=recomputed.hex(),
        recorded_at=moment(seal.recorded_us),
        holds=recomputed == bytes(seal.row_hash),
    )


def _neighbour(seal: Seal | None, step: int) -> Neighbour | None:
    if seal is None:
        return None
    other = Seal.objects.using(READER).filter(log_id=seal.log_id, seq=seal.seq + step).first()
    entry = Entry.objects.using(READER).filter(pk=other.entry_id).first() if other else None
    return Neighbour(str(entry.uid), other.seq) if entry and other else None


def _values(tenant_id: UUID, entry: Entry, body: Mapping[str, Any], *, opened: bool) -> list[Value]:
    digests = [item for item in body.get("_sd") or [] if isinstance(item, str)]
    stored = {
        item.digest: bytes(item.ciphertext) for item in StoredDisclosure.objects.using(READER).filter(entry_id=entry.pk)
    }
    erased = _erasures(tenant_id, [digest for digest in digests if digest not in stored])
    found = []
    for digest in digests:
        if digest not in stored:
            by = erased.get(digest)
            found.append(Value(digest, "erased", str(by.uid), moment(by.decided_us)) if by else Value(digest, "gone"))
        elif not opened:
            found.append(Value(digest, "stored"))
        else:
            found.append(_opened(digest, stored[digest]))
    return sorted(found, key=lambda value: (value.name or "", value.digest))


def _opened(digest: str, text: bytes) -> Value:
    try:
        opened = sd.open_value(text)
    except sd.DisclosureError:
        return Value(digest, "stored", name="", text=reveal(text.decode("utf-8", "replace")))
    return Value(digest, "stored", name=reveal(opened.name), text=reveal(opened.value_json))


def _erasures(tenant_id: UUID, digests: Sequence[str]) -> dict[str, Entry]:
    if not digests:
        return {}
    wanted = set(digests)
    return {
        digest: entry
        for entry in entries(tenant_id).filter(kind="erasure.executed").order_by("-id")
        for digest in json.loads(entry.body).get("digests", [])
        if digest in wanted
    }


def position_of(tenant_id: UUID, uid: UUID) -> int | None:
    """The chain position of an entry, or None while it waits for one. Call inside `as_tenant(using=READER)`."""
    entry_id = entries(tenant_id).filter(uid=uid).values_list("id", flat=True).first()
    if entry_id is None:
        return None
    return Seal.objects.using(READER).filter(entry_id=entry_id).values_list("seq", flat=True).first()


def checkpoints(tenant_id: UUID, *, below: int | None = None) -> list[Checkpoint]:
    """Up to 50 signed heads, largest first."""
    found = Checkpoint.objects.using(READER).filter(tenant_id=tenant_id)
    if below is not None:
        found = found.filter(size__lt=below)
    return list(found.order_by("-log_id", "-size")[:PAGE])


def checkpoint(tenant_id: UUID, size: int) -> Checkpoint | None:
    """The newest epoch's signed head of that size."""
    return Checkpoint.objects.using(READER).filter(tenant_id=tenant_id, size=size).order_by("-log_id").first()


def log_of(tenant_id: UUID) -> Log | None:
    """The tenant's open log."""
    return Log.objects.using(READER).filter(tenant_id=tenant_id).order_by("-epoch").first()


def exports(tenant_id: UUID) -> list[tuple[Row, Export]]:
    """The newest exports with what was asked for."""
    listed = list(entries(tenant_id).filter(kind="export.created").order_by("-id")[:PAGE])
    rows = _rows(tenant_id, listed)
    return [(row, find_export(tenant_id, UUID(row.uid), using=READER)) for row in rows]


def any_sealed_below(tenant_id: UUID, size: int, *, uids: Collection[UUID]) -> bool:
    """Whether one of these entries is among the first `size` rows of the log."""
    found = entries(tenant_id).filter(uid__in=uids).values("pk")
    return Seal.objects.using(READER).filter(tenant_id=tenant_id, seq__lt=size, entry_id__in=found).exists()


def log_size(tenant_id: UUID) -> int:
    """How many rows are sealed."""
    return Head.objects.using(READER).filter(tenant_id=tenant_id).values_list("size", flat=True).first() or 0
