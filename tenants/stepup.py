"""How and when the person last proved who they are, and the way to ask them again without losing what they typed.

Nothing is replayed: allauth's page asks, the browser comes back to the form with what was typed, and the person
presses the button again. Source: house-style.md, section 7.
"""

from __future__ import annotations

from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from typing import Any, Final

from allauth.account.internal.flows.login import get_authentication_records
from django.http import HttpRequest, HttpResponseRedirect, QueryDict
from django.urls import reverse
from django.utils.http import urlencode

from tenants.errors import StepUpNeeded

# For a change that lowers or raises the guard.
FRESH: Final = timedelta(minutes=5)

_SPENT_KEY: Final = "stepup_spent"
_DRAFT_KEY: Final = "stepup_draft"
_DRAFT_LASTS: Final = timedelta(minutes=30)


@dataclass(frozen=True, slots=True)
class Evidence:
    """One proof of identity: the method (password, totp, recovery_codes, webauthn, operator) and when; aware UTC."""

    method: str
    at: datetime

    def as_fields(self, now: datetime) -> dict[str, object]:
        """What an audit entry says of it; whole seconds."""
        return {
            "method": self.method,
            "at_us": int(self.at.timestamp() * 1_000_000),
            "age_seconds": max(0, int((now - self.at).total_seconds())),
        }


def evidence_of(request: HttpRequest) -> Evidence | None:
    """The newest proof in this session, by allauth's records; None when there is none or a change has used it up."""
    user: Any = request.user  # allauth's function takes its own idea of a user
    records = get_authentication_records(request, user)
    if not records:
        return None
    newest = max(records, key=lambda record: float(record["at"]))
    if float(newest["at"]) <= float(request.session.get(_SPENT_KEY, 0)):
        return None
    method = newest.get("type") if newest["method"] == "mfa" else newest["method"]
    return Evidence(str(method), datetime.fromtimestamp(float(newest["at"]), UTC))


def by_operator(now: datetime) -> Evidence:
    """The proof of somebody at the server's own command line, who needs no page to ask them."""
    return Evidence("operator", now)


def require_fresh(evidence: Evidence | None, *, now: datetime, within: timedelta = FRESH) -> Evidence:
    """The evidence, if it is at most `within` old. Raises StepUpNeeded."""
    if evidence is None or now - evidence.at > within or evidence.at > now + timedelta(minutes=1):
        raise StepUpNeeded
    return evidence


def spend(request: HttpRequest, evidence: Evidence) -> None:
    """Use the proof up: it stands for one change alone. Call once the change is made."""
    # Rounded up: a microsecond lost in the conversion must not give the proof a second use.
    request.session[_SPENT_KEY] = evidence.at.timestamp() + 0.001


def ask_again(request: HttpRequest, *, now: datetime) -> HttpResponseRedirect:
    """Keep what was posted, and go to the page that asks who they are; it leads back to this form."""
    path = request.get_full_path()
    typed = {key: values for key, values in request.POST.lists() if key != "csrfmiddlewaretoken"}
    request.session[_DRAFT_KEY] = {"path": path, "typed": typed, "at": now.timestamp()}
    return HttpResponseRedirect(f"{reverse('account_reauthenticate')}?{urlencode({'next': path})}")


def kept_draft(request: HttpRequest, *, now: datetime) -> QueryDict | None:
    """What was typed on this very page before the person was asked, once; None when there is nothing or it is old."""
    draft = request.session.get(_DRAFT_KEY)
    if not isinstance(draft, dict) or draft.get("path") != request.get_full_path():
        return None
    del request.session[_DRAFT_KEY]
    if now.timestamp() - float(draft["at"]) > _DRAFT_LASTS.total_seconds():
        return None
    typed = QueryDict(mutable=True)
    for key, values in draft["typed"].items():
        typed.setlist(key, values)
    return typed
