"""How a tenant's desk works: change it, on the record and after a fresh sign-in."""

from __future__ import annotations

import json
import re
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from datetime import datetime
from typing import Final
from uuid import UUID

from audit.record import Actor, Disclosure, EntryDraft, record
from audit.scope import as_tenant
from reviews.errors import InvalidSettings, SettingsForbidden
from reviews.models import DeskSettings
from tenants.isolation import rows_of
from tenants.models import Member
from tenants.roles import permissions_of
from tenants.stepup import Evidence, require_fresh

CHANGE: Final = "reviews.change_desk"
MOST_HOSTS: Final = 100

_LABEL: Final = r"[a-z0-9](?:[a-z0-9-]{0,61}[a-z0-9])?"
_HOST: Final = re.compile(rf"(?:{_LABEL}\.)+{_LABEL}")


@dataclass(frozen=True, slots=True)
class Wanted:
    """The settings as somebody wants them; hosts in any case, with or without duplicates."""

    reviews_per_hour: int
    reserved_percent: int
    stepup_minutes: int
    own_domains: tuple[str, ...] = ()
    link_hosts: tuple[str, ...] = ()


def hosts_of(names: Iterable[str]) -> list[str]:
    """Host names in lower case, each once, as written on the wire (`xn--` for others). Raises ValueError."""
    found: dict[str, None] = {}
    for name in filter(None, (name.strip().casefold().rstrip(".") for name in names)):
        if _HOST.fullmatch(name) is None or len(name) > 253:
            raise ValueError(f"{name[:60]} is no host name. Write it as mail.example.com, without https:// and path.")
        found[name] = None
    if len(found) > MOST_HOSTS:
        raise ValueError(f"At most {MOST_HOSTS} names.")
    return list(found)


def change(
    tenant_id: UUID, *, wanted: Wanted, acting_member: Member, evidence: Evidence | None, now: datetime
) -> DeskSettings:
    """The settings, changed and recorded with what they were; saving what is already so records nothing.

    They decide who counts as external, how old a sign-in may be at tier 3, and when a flood begins: hence the fresh
    sign-in. Raises SettingsForbidden, StepUpNeeded, InvalidSettings.
    """
    if (
        acting_member.tenant_id != tenant_id
        or not acting_member.is_active
        or CHANGE not in permissions_of(acting_member.roles)
    ):
        raise SettingsForbidden
    proof = require_fresh(evidence, now=now)
    columns = _checked(wanted)
    with as_tenant(tenant_id):
        rows_of(DeskSettings, tenant_id).bulk_create([DeskSettings(tenant_id=tenant_id)], ignore_conflicts=True)
        row = rows_of(DeskSettings, tenant_id).select_for_update(no_key=True, of=("self",)).get()
        before = {name: getattr(row, name) for name in columns}
        changed = [name for name in columns if columns[name] != before[name]]
        if not changed:
            return row
        for name in changed:
            setattr(row, name, columns[name])
        row.save(update_fields=changed)
        record(tenant_id, _entry(before, columns, changed, acting_member, proof.as_fields(now)))
    return row


def _checked(wanted: Wanted) -> dict[str, object]:
    errors: dict[str, str] = {}
    limits = (
        ("reviews_per_hour", 1, 100_000),
        ("reserved_percent", 0, 90),
        ("stepup_minutes", 1, 720),
    )
    columns: dict[str, object] = {}
    for name, least, most in limits:
        columns[name] = value = getattr(wanted, name)
        if not least <= value <= most:
            errors[name] = f"From {least:,} to {most:,}."
    for name in ("own_domains", "link_hosts"):
        try:
            columns[name] = hosts_of(getattr(wanted, name))
        except ValueError as error:
            errors[name] = str(error)
    if errors:
        raise InvalidSettings(errors=errors)
    return columns


def _entry(
    before: Mapping[str, object],
    after: Mapping[str, object],
    changed: list[str],
    member: Member,
    evidence: Mapping[str, object],
) -> EntryDraft:
    """Numbers in the body; names of hosts beside it, erasable."""
    fields: dict[str, object] = {"changed": changed, "evidence": dict(evidence)}
    disclosures = []
    for name in changed:
        if isinstance(after[name], int):
            fields[name] = {"before": before[name], "after": after[name]}
        else:
            disclosures += [
                Disclosure(f"{name}.{side}", json.dumps(values[name]))
                for side, values in (("before", before), ("after", after))
            ]
    return EntryDraft("desk.changed", fields, Actor("member", str(member.pk)), disclosures=tuple(disclosures))
