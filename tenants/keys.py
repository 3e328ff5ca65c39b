"""API keys: issue, rotate with overlap, revoke, authenticate."""

from __future__ import annotations

import hashlib
import hmac
import json
import re
import secrets
from dataclasses import dataclass
from datetime import datetime, timedelta
from uuid import UUID

from django.db.models import Q
from django.utils import timezone

from audit.record import Actor, Disclosure, EntryDraft, record
from audit.scope import as_tenant
from tenants.errors import InvalidKey, KeyInvalid, ScopeMissing
from tenants.isolation import as_key, rows_of
from tenants.models import Agent, ApiKey, Member

SCOPES = ("evaluate", "reviews")
ROTATION_OVERLAP = timedelta(hours=24)
# "Last used" is a hint for people: one write a minute is enough and keeps the hot path free of updates.
LAST_USED_RESOLUTION = timedelta(minutes=1)

_TOKEN = re.compile(r"gsk_(live|test)_([0-9a-f]{16})_([A-Za-z0-9_-]{43})")


@dataclass(frozen=True)
class Caller:
    """Who is asking: the answer of `authenticate`."""

    tenant_id: UUID
    key_id: UUID
    key_public_id: str
    environment: str
    scopes: frozenset[str]
    agent: Agent | None

    def require(self, scope: str) -> None:
        """Raise ScopeMissing unless the key has the scope."""
        if scope not in self.scopes:
            raise ScopeMissing


@dataclass(frozen=True)
class IssuedKey:
    """A new key and its token; the token exists here only."""

    key: ApiKey
    token: str


def _hash(secret: str) -> str:
    # The secret has 256 random bits: a plain hash is enough, and a slow one would tax every call.
    return hashlib.sha256(secret.encode()).hexdigest()


def issue(
    tenant_id: UUID,
    *,
    name: str,
    agent: Agent | None,
    scopes: tuple[str, ...] = ("evaluate", "reviews"),
    environment: str = "live",
    expires_at: datetime | None = None,
    acting_member: Member | None,
    replaces: ApiKey | None = None,
) -> IssuedKey:
    """A new key, recorded; its token is shown this once.

    Raises InvalidKey for an empty name, no or unknown scopes, an expiry in the past, or an agent of another tenant.
    """
    if not name.strip():
        raise InvalidKey("Give the key a name, so that people know what uses it.")
    if not scopes or any(scope not in SCOPES for scope in scopes):
        raise InvalidKey(f"Scopes are one or more of {', '.join(SCOPES)}.")
    if expires_at is not None and expires_at <= timezone.now():
        raise InvalidKey("The expiry is in the past: the key would never work.")
    if agent is not None and agent.tenant_id != tenant_id:
        raise InvalidKey("This agent is not yours.")
    secret = secrets.token_urlsafe(32)
    with as_tenant(tenant_id):
        key = ApiKey.objects.create(
            tenant_id=tenant_id,
            agent=agent,
            name=name.strip(),
            environment=environment,
            public_id=secrets.token_hex(8),
            secret_sha256=_hash(secret),
            scopes=list(scopes),
            replaces=replaces,
            created_by=acting_member,
            expires_at=expires_at,
        )
        _record(key, "issued" if replaces is None else "issued by rotation", acting_member)
    return IssuedKey(key=key, token=f"gsk_{key.environment}_{key.public_id}_{secret}")


def rotate(
    key: ApiKey, *, acting_member: Member | None, now: datetime, overlap: timedelta = ROTATION_OVERLAP
) -> IssuedKey:
    """A successor with the same agent and scopes that lives as long as the key was given; the key works until `now + overlap`.

    A scope that is none any more is not passed on. Raises InvalidKey when the key is revoked or expired.
    """
    if not key.is_usable(now=now):
        raise InvalidKey("A revoked or expired key cannot be rotated. Make a new one.")
    with as_tenant(key.tenant_id):
        successor = issue(
            key.tenant_id,
            name=key.name,
            agent=key.agent,
            scopes=tuple(scope for scope in key.scopes if scope in SCOPES),
            environment=key.environment,
            expires_at=now + (key.expires_at - key.created_at) if key.expires_at else None,
            acting_member=acting_member,
            replaces=key,
        )
        key.expires_at = min(key.expires_at, now + overlap) if key.expires_at else now + overlap
        key.save(update_fields=["expires_at"])
        _record(key, "rotated", acting_member)
    return successor


def revoke(key: ApiKey, *, acting_member: Member | None, now: datetime) -> bool:
    """End the key now, for good; whether this call did it: a second one changes nothing."""
    with as_tenant(key.tenant_id):
        active = rows_of(ApiKey, key.tenant_id).filter(pk=key.pk, revoked_at=None)
        if not active.update(revoked_at=now, revoked_by=acting_member):
            return False
        key.revoked_at, key.revoked_by = now, acting_member
        _record(key, "revoked", acting_member)
    return True


def authenticate(token: str, *, now: datetime | None = None) -> Caller:
    """Who holds this token. Raises KeyInvalid, the same for every reason. One query, rarely a second."""
    now = now or timezone.now()
    match = _TOKEN.fullmatch(token)
    if match is None:
        raise KeyInvalid
    environment, public_id, secret = match.groups()
    with as_key(public_id):
        key = ApiKey.objects.filter(public_id=public_id).first()
    if key is None or key.environment != environment:
        raise KeyInvalid
    if not hmac.compare_digest(key.secret_sha256, _hash(secret)) or not key.is_usable(now=now):
        raise KeyInvalid
    agent = None
    if key.agent_id is not None or _is_stale(key, now):
        with as_tenant(key.tenant_id):
            if key.agent_id is not None:
                agent = rows_of(Agent, key.tenant_id).get(pk=key.agent_id)
            if _is_stale(key, now):
                stale = Q(last_used_at=None) | Q(last_used_at__lt=now - LAST_USED_RESOLUTION)
                rows_of(ApiKey, key.tenant_id).filter(stale, pk=key.pk).update(last_used_at=now)
    return Caller(
        tenant_id=key.tenant_id,
        key_id=key.pk,
        key_public_id=key.public_id,
        environment=key.environment,
        scopes=frozenset(key.scopes),
        agent=agent,
    )


def _is_stale(key: ApiKey, now: datetime) -> bool:
    return key.last_used_at is None or key.last_used_at < now - LAST_USED_RESOLUTION


def _record(key: ApiKey, change: str, acting_member: Member | None) -> None:
    actor = Actor(type="member", id=str(acting_member.pk)) if acting_member else Actor(type="system", id="setup")
    fields: dict[str, object] = {
        "key": key.public_id,
        "change": change,
        "scopes": sorted(key.scopes),
        "agent": key.agent.slug if key.agent else "",  # empty: a gateway's
        "environment": key.environment,
    }
    if key.expires_at is not None:
        # Seconds, as in microseconds a far day is no whole number that every reader of JSON holds.
        fields["expires_at_s"] = int(key.expires_at.timestamp())
    if key.replaces is not None:
        fields["replaces"] = key.replaces.public_id
    record(
        key.tenant_id,
        EntryDraft(
            kind="apikey.changed",
            fields=fields,
            actor=actor,
            disclosures=(Disclosure("key.name", json.dumps(key.name, ensure_ascii=False)),),
        ),
    )
