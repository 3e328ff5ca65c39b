"""Recorded calls with the values they came with: what backtests replay and previews show.

Everything is read as `gs_auditor`, page by page, each page in a transaction of its own: no transaction stays open
while the caller works on what was yielded.
"""

from __future__ import annotations

import json
import re
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Any, Final
from uuid import UUID

from django.db import connections
from django.db.models import Q, QuerySet

from audit.models import Entry, StoredDisclosure
from audit.scope import as_tenant

READER: Final = "audit_reader"
KIND: Final = "call.evaluated"
PAGE: Final = 500


@dataclass(frozen=True, slots=True)
class RecordedCall:
    """One evaluated call. `params` and `user` are None when a value of the entry was erased: part is no call.

    `agent` is the agent's id in the log; the fields after `user` are what else the body says, for replay and counts.
    """

    uid: str
    entry_id: int
    decided_at: datetime  # aware UTC
    action_id: str
    agent: str
    effect: str
    decision: str
    mode: str
    rule: str | None
    params: dict[str, Any] | None  # JSON, as the call came
    user: dict[str, Any] | None
    run_id: str = ""
    environment: str = "live"
    revision_sha256: str | None = None
    errors: tuple[str, ...] = ()
    review: str | None = None
    is_frozen: bool = False  # denied by a freeze, before any rule was asked


def recorded_calls(
    tenant_id: UUID,
    *,
    actions: Sequence[str] = ("*",),
    since: datetime | None = None,
    limit: int,
    newest_first: bool = True,
) -> Iterator[RecordedCall]:
    """Up to `limit` calls whose action fits one of the globs, received at or after `since`, in the log's order."""
    edge: int | None = None
    while limit > 0:
        page = calls_page(
            tenant_id, actions=actions, since=since, beyond=edge, limit=min(limit, PAGE), newest_first=newest_first
        )
        yield from page
        if len(page) < min(limit, PAGE):
            return
        edge, limit = page[-1].entry_id, limit - len(page)


def calls_page(
    tenant_id: UUID,
    *,
    actions: Sequence[str] = ("*",),
    since: datetime | None = None,
    until: datetime | None = None,
    beyond: int | None = None,
    limit: int = PAGE,
    newest_first: bool = False,
) -> list[RecordedCall]:
    """One page of calls, received in `since` ≤ t < `until`, after (newest first: before) the entry id `beyond`."""
    with as_tenant(tenant_id, using=READER):
        found = _calls(tenant_id, actions=actions, since=since, until=until)
        if beyond is not None:
            found = found.filter(id__lt=beyond) if newest_first else found.filter(id__gt=beyond)
        return _opened(list(found.order_by("-id" if newest_first else "id")[:limit]))


def calls_by_uid(tenant_id: UUID, uids: Sequence[UUID]) -> list[RecordedCall]:
    """The calls with these uids, newest first; what is no call of this tenant is left out."""
    with as_tenant(tenant_id, using=READER):
        return _opened(list(_calls(tenant_id).filter(uid__in=uids).order_by("-id")))


def allowed_calls(
    tenant_id: UUID, *, action_id: str, before: datetime, limit: int, window: int = 2000
) -> tuple[list[RecordedCall], bool]:
    """The newest calls of one action that were allowed without a review, and whether they are all there are.

    Looks at the `window` newest entries of the action alone, so that a flood of refused calls costs no more than that.
    Three queries.
    """
    with as_tenant(tenant_id, using=READER):
        newest = (
            Entry.objects.using(READER)
            .filter(tenant_id=tenant_id, action_id=action_id, received_us__lt=_microseconds(before))
            .order_by("-id")
        )
        found = newest.filter(pk__in=newest.values("pk")[:window], kind=KIND, decision="allow", review=None)
        calls = _opened(list(found[:limit]))
        is_whole = len(calls) < limit and not newest.values("pk")[window : window + 1].exists()
    return calls, is_whole


def call_facts(
    tenant_id: UUID,
    *,
    actions: Sequence[str] = ("*",),
    since: datetime | None = None,
    until: datetime | None = None,
    limit: int,
) -> list[RecordedCall]:
    """The newest calls without their values, which costs a tenth; `params` and `user` are None in all of them."""
    with as_tenant(tenant_id, using=READER):
        found = _calls(tenant_id, actions=actions, since=since, until=until)
        return [_call(entry, None) for entry in found.order_by("-id")[:limit]]


def count_calls(
    tenant_id: UUID, *, actions: Sequence[str] = ("*",), since: datetime | None = None, until: datetime | None = None
) -> int:
    """How many calls there are; one query."""
    with as_tenant(tenant_id, using=READER):
        return _calls(tenant_id, actions=actions, since=since, until=until).count()


def last_heard_of(tenant_id: UUID, agents: Sequence[str]) -> dict[str, datetime]:
    """When each of the agents last did anything that is in the log (aware UTC); none where nothing is. One query.

    One step down the index for each, however long the log is: a maximum over all of an agent's entries would read them.
    """
    with as_tenant(tenant_id, using=READER), connections[READER].cursor() as cursor:
        cursor.execute(
            "SELECT a.agent, e.decided_us FROM unnest(%s::text[]) a (agent) CROSS JOIN LATERAL"
            " (SELECT decided_us FROM audit_entry WHERE tenant_id = %s AND actor = a.agent"
            " AND body::jsonb #>> '{actor,type}' = 'agent' ORDER BY id DESC LIMIT 1) e",
            [list(agents), tenant_id],
        )
        return {agent: datetime.fromtimestamp(decided_us / 1_000_000, UTC) for agent, decided_us in cursor.fetchall()}


def bodies_of(tenant_id: UUID, kinds: Sequence[str], *, since: datetime, limit: int) -> list[dict[str, Any]]:
    """The bodies of entries of these kinds, received at or after `since`: the newest `limit`, oldest first."""
    with as_tenant(tenant_id, using=READER):
        found = Entry.objects.using(READER).filter(
            tenant_id=tenant_id, kind__in=kinds, received_us__gte=_microseconds(since)
        )
        bodies = [json.loads(body) for body in found.order_by("-id").values_list("body", flat=True)[:limit]]
    return bodies[::-1]


# The entry that follows a call, and the word for it; a body may say more precisely.
_FOLLOWING: Final = ("review.decided", "review.expired", "review.cancelled", "call.outcome")
_VERDICTS: Final[Mapping[str, str]] = {"approve": "approved", "approve_with_amendments": "amended", "deny": "denied"}
_OUTCOMES: Final[Mapping[str, str]] = {"succeeded": "ran", "failed": "failed"}


def what_followed(tenant_id: UUID, *, since: datetime, limit: int = 50_000) -> dict[str, tuple[str, ...]]:
    """Call uid → what happened later, in order: approved, amended, denied, expired, cancelled, ran, failed."""
    found: dict[str, list[str]] = {}
    for body in bodies_of(tenant_id, _FOLLOWING, since=since, limit=limit):
        word = _word_for(body)
        for uid in body.get("refs") or []:
            if word:
                found.setdefault(str(uid), []).append(word)
    return {uid: tuple(words) for uid, words in found.items()}


def _word_for(body: Mapping[str, Any]) -> str:
    if body["kind"] == "review.decided":
        # A first approval of several decides nothing yet, and whoever may give the next must not learn of it.
        return "" if body.get("final") is False else _VERDICTS.get(str(body.get("verdict")), "")
    if body["kind"] == "call.outcome":
        return _OUTCOMES.get(str(body.get("outcome")), "")
    return str(body["kind"]).removeprefix("review.")


def _calls(
    tenant_id: UUID,
    *,
    actions: Sequence[str] = ("*",),
    since: datetime | None = None,
    until: datetime | None = None,
) -> QuerySet[Entry]:
    found = Entry.objects.using(READER).filter(tenant_id=tenant_id, kind=KIND)
    if "*" not in actions:
        fits = Q(pk__in=())
        for glob in actions:
            fits |= Q(action_id__regex=_pattern(glob)) if re.search(r"[*?]", glob) else Q(action_id=glob)
        found = found.filter(fits)
    if since is not None:
        found = found.filter(received_us__gte=_microseconds(since))
    if until is not None:
        found = found.filter(received_us__lt=_microseconds(until))
    return found


def _pattern(glob: str) -> str:
    return "^" + re.escape(glob).replace(r"\*", ".*").replace(r"\?", ".") + "$"


def _microseconds(moment: datetime) -> int:
    return int(moment.timestamp() * 1_000_000)


def _opened(entries: Sequence[Entry]) -> list[RecordedCall]:
    stored: dict[int, list[Any]] = {}
    rows = StoredDisclosure.objects.using(READER).filter(entry_id__in=[entry.pk for entry in entries])
    for entry_id, text in rows.values_list("entry_id", "ciphertext"):
        # [salt, name, value], as disclosures.seal_value wrote it.
        stored.setdefault(entry_id, []).append(json.loads(bytes(text)))
    return [_call(entry, stored.get(entry.pk, [])) for entry in entries]


def _call(entry: Entry, values: Sequence[Any] | None) -> RecordedCall:
    body = json.loads(entry.body)
    opened: dict[str, dict[str, Any]] | None = None
    # Which of the values is gone cannot be known: with one missing, nothing stands for the call.
    if values is not None and len(values) >= len(body.get("_sd") or []):
        opened = {"params": {}, "user_context": {}}
        for _salt, name, value in values:
            root, dot, key = name.partition(".")
            if dot and root in opened:
                opened[root][key] = value
    return RecordedCall(
        uid=str(entry.uid),
        entry_id=entry.pk,
        decided_at=datetime.fromtimestamp(entry.decided_us / 1_000_000, UTC),
        action_id=entry.action_id or "",
        agent=entry.actor or "",
        effect=entry.effect or "",
        decision=entry.decision or "",
        mode=entry.mode or "",
        rule=entry.rule,
        params=opened["params"] if opened is not None else None,
        user=opened["user_context"] if opened is not None else None,
        run_id=(body.get("corr") or {}).get("run_id", ""),
        environment=body.get("environment", "live"),
        revision_sha256=(body.get("revision") or {}).get("sha256"),
        errors=tuple(body.get("errors") or ()),
        review=entry.review,
        is_frozen="freeze" in body,
    )
