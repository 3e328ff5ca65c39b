"""How and when the person last proved who they are, and the way to ask them again without losing what they typed.

Nothing is replayed: a page asks, the browser comes back to the form with what was typed, and the person presses the
button again. Source: house-style.md, settings and defaults.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from typing import Any, Final

from allauth.account.internal.flows.login import get_authentication_records
from allauth.mfa.models import Authenticator
from django.http import HttpRequest, HttpResponse, HttpResponseRedirect, QueryDict
from django.shortcuts import render
from django.urls import reverse
from django.utils.http import urlencode
from django.utils.translation import gettext_lazy as _

from tenants.errors import StepUpNeeded

# For a change that lowers or raises the guard.
FRESH: Final = timedelta(minutes=5)
# For a verdict at tier 3 or 4: reviewer-experience.md, friction by tier.
FRESH_FOR_VERDICT: Final = timedelta(minutes=15)

# A recovery code stands in for the authenticator app: whoever lost the phone must still be able to decide.
SECOND_FACTORS: Final = frozenset({"webauthn", "totp", "recovery_codes"})

_SPENT_KEY: Final = "stepup_spent"
_DRAFT_KEY: Final = "stepup_draft"
_STRONG_KEY: Final = "stepup_strong"
_DRAFT_LASTS: Final = timedelta(minutes=30)


@dataclass(frozen=True, slots=True)
class Evidence:
    """One proof of identity: the method and when; aware UTC.

    Methods: password, totp, recovery_codes, webauthn, oidc, operator.
    """

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
    return _newest(_proofs(request))


def strong_evidence_of(request: HttpRequest) -> Evidence | None:
    """The newest proof by a second factor; for a person who has none, the newest proof of any kind."""
    proofs = _proofs(request)
    if has_second_factor(request.user):
        proofs = [proof for proof in proofs if proof.method in SECOND_FACTORS]
    return _newest(proofs)


def has_second_factor(user: Any) -> bool:
    """Whether the person set up a passkey or an authenticator app. Any: Django's user or nobody."""
    types = (Authenticator.Type.WEBAUTHN, Authenticator.Type.TOTP)
    return bool(user.is_authenticated) and Authenticator.objects.filter(user_id=user.pk, type__in=types).exists()


def _proofs(request: HttpRequest) -> list[Evidence]:
    user: Any = request.user  # allauth's function takes its own idea of a user
    spent = float(request.session.get(_SPENT_KEY, 0))
    return [
        Evidence(_method_of(record), datetime.fromtimestamp(float(record["at"]), UTC))
        for record in get_authentication_records(request, user)
        if float(record["at"]) > spent
    ]


def _method_of(record: dict[str, Any]) -> str:
    if record["method"] == "mfa":
        return str(record.get("type"))
    return "oidc" if record["method"] == "socialaccount" else str(record["method"])


def _newest(proofs: Iterable[Evidence]) -> Evidence | None:
    return max(proofs, key=lambda proof: proof.at, default=None)


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


def ways_to_prove(user: Any, *, strong: bool = False) -> list[dict[str, Any]]:
    """The pages that may ask this person who they are, best first, in allauth's shape: id, description, url.

    Passkey, then code, then password, then the identity provider. With `strong`, a person who has a second factor is
    offered nothing less, since `strong_evidence_of` would not count it. Any: Django's user or nobody; allauth's dict.
    """
    from tenants import oidc

    if not user.is_authenticated:
        return []
    types = set(Authenticator.objects.filter(user_id=user.pk).values_list("type", flat=True))
    ways: list[dict[str, Any]] = []
    if Authenticator.Type.WEBAUTHN in types:
        ways.append(_way("mfa_reauthenticate:webauthn", _("Use a passkey"), "mfa_reauthenticate_webauthn"))
    if Authenticator.Type.TOTP in types or Authenticator.Type.RECOVERY_CODES in types:
        ways.append(_way("mfa_reauthenticate", _("Use a code"), "mfa_reauthenticate"))
    if strong and ways:
        return ways
    if user.has_usable_password():
        ways.append(_way("reauthenticate", _("Use your password"), "account_reauthenticate"))
    if oidc.is_linked(user):
        ways.append(_way("oidc_again", _("Use %(name)s") % {"name": oidc.name()}, "oidc_again"))
    return ways


def _way(way_id: str, description: Any, route: str) -> dict[str, Any]:
    return {"id": way_id, "description": description, "url": reverse(route)}


def wants_strong(request: HttpRequest | None) -> bool:
    """Whether what the person is being asked for counts a second factor alone."""
    return request is not None and bool(getattr(request, "session", {}).get(_STRONG_KEY, False))


def ask_again(
    request: HttpRequest, *, now: datetime, came_back_to: str | None = None, strong: bool = False
) -> HttpResponse:
    """Keep what was posted, and go to the page that asks who they are; it leads back to this form.

    `came_back_to` is the page that shows the form, where that is not the page it was posted to. htmx gets 428 and a
    notice with the link instead of a redirect, so that the page and what is typed on it stay as they are.
    """
    path = came_back_to or request.get_full_path()
    typed = {key: values for key, values in request.POST.lists() if key != "csrfmiddlewaretoken"}
    request.session[_DRAFT_KEY] = {"path": path, "typed": typed, "at": now.timestamp()}
    url = page_that_asks(request, back_to=path, strong=strong)
    if request.headers.get("HX-Request") != "true":
        return HttpResponseRedirect(url)
    last = strong_evidence_of(request) if strong else evidence_of(request)
    response = render(request, "428.html", {"url": url, "last_at": last.at if last else None}, status=428)
    response["HX-Retarget"] = "#site-alert"
    response["HX-Reswap"] = "innerHTML show:top"
    return response


def page_that_asks(request: HttpRequest, *, back_to: str, strong: bool = False) -> str:
    """The address of the best page that asks this person who they are, and then goes `back_to`."""
    request.session[_STRONG_KEY] = strong
    ways = ways_to_prove(request.user, strong=strong)
    page = ways[0]["url"] if ways else reverse("account_reauthenticate")
    return f"{page}?{urlencode({'next': back_to})}"


def keeps_draft(request: HttpRequest, *, came_back_to: str) -> bool:
    """Whether something that was typed waits for that page; it stays there."""
    draft = request.session.get(_DRAFT_KEY)
    return isinstance(draft, dict) and draft.get("path") == came_back_to


def kept_draft(request: HttpRequest, *, now: datetime, came_back_to: str | None = None) -> QueryDict | None:
    """What was typed before the person was asked, once; None when there is nothing, it is old or of another page.

    `came_back_to` as given to `ask_again`; without it, the address of this very page.
    """
    draft = request.session.get(_DRAFT_KEY)
    if not isinstance(draft, dict) or draft.get("path") != (came_back_to or request.get_full_path()):
        return None
    del request.session[_DRAFT_KEY]
    request.session.pop(_STRONG_KEY, None)
    if now.timestamp() - float(draft["at"]) > _DRAFT_LASTS.total_seconds():
        return None
    typed = QueryDict(mutable=True)
    for key, values in draft["typed"].items():
        typed.setlist(key, values)
    return typed
