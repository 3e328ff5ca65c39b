"""What makes two calls the same. Source: integrations.md section 1.1 ("same content")."""

from __future__ import annotations

import hashlib
import hmac
import secrets
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any
from uuid import UUID

from django.conf import settings

from audit.canonical import canonical


@dataclass(frozen=True)
class CallContent:
    """A call's canonical texts, computed once and used for digest, comparison, card and entry."""

    action_id: str
    params_text: str
    user_context_text: str
    whole: bytes

    @classmethod
    def of(cls, action_id: str, params: Mapping[str, Any], user_context: Mapping[str, Any]) -> CallContent:
        """The canonical form (RFC 8785) of a call."""
        return cls(
            action_id=action_id,
            params_text=canonical(params).decode(),
            user_context_text=canonical(user_context).decode(),
            whole=canonical({"action_id": action_id, "params": params, "user_context": user_context}),
        )


def new_salt() -> str:
    """32 random hex digits: without them a digest could be guessed, and never be erased."""
    return secrets.token_hex(16)


def content_key(content: CallContent, *, tenant_id: UUID, agent_id: UUID) -> str:
    """Equal for the same call by the same agent; keyed, so that it cannot be guessed from outside."""
    return _keyed(b"content", tenant_id, agent_id.bytes + content.whole)


def params_key(params_text: str, *, tenant_id: UUID) -> str:
    """Equal for the same params; what a grant is compared by when it is spent."""
    return _keyed(b"params", tenant_id, params_text.encode())


def _keyed(purpose: bytes, tenant_id: UUID, message: bytes) -> str:
    key = hashlib.sha256(b"guardsite.content." + purpose + settings.SECRET_KEY.encode()).digest()
    return hmac.new(key, tenant_id.bytes + message, hashlib.sha256).hexdigest()
