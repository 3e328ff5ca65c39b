"""Pages about one's own sign-in: the overview, sessions, and the way to the identity provider and back."""

from __future__ import annotations

import secrets
from collections.abc import Callable
from functools import wraps
from typing import Any

from allauth.account.adapter import get_adapter
from allauth.account.views import BaseReauthenticateView
from allauth.mfa.base.views import IndexView
from allauth.mfa.webauthn.views import ReauthenticateWebAuthnView, RemoveWebAuthnView
from allauth.socialaccount.models import SocialAccount, SocialApp
from allauth.socialaccount.providers.base.constants import AuthProcess
from allauth.socialaccount.providers.oauth2.client import OAuth2Error
from allauth.socialaccount.providers.oauth2.views import OAuth2CallbackView
from django import forms
from django.contrib import messages
from django.contrib.auth.decorators import login_not_required
from django.db import transaction
from django.http import Http404, HttpRequest, HttpResponse, HttpResponseRedirect
from django.shortcuts import redirect, render
from django.urls import reverse, reverse_lazy
from django.utils import timezone
from django.utils.translation import gettext as _
from django.utils.translation import ngettext
from django.views.decorators.cache import never_cache
from django.views.decorators.http import require_GET, require_http_methods, require_POST
from requests import RequestException

from tenants import oidc, sessions, stepup
from tenants.errors import StepUpNeeded
from tenants.models import User

View = Callable[..., HttpResponse]


def changes_sign_in(view: View) -> View:
    """The view in one transaction with its audit entry, for a person who proved lately who they are.

    allauth asks whoever has a password or a factor; whoever has only the identity provider it would let through.
    """

    @wraps(view)
    def guarded(request: HttpRequest, *args: Any, **kwargs: Any) -> HttpResponse:
        ways = stepup.ways_to_prove(request.user)
        if ways and all(way["id"] == "oidc_again" for way in ways):
            try:
                stepup.require_fresh(stepup.evidence_of(request), now=timezone.now())
            except StepUpNeeded:
                return HttpResponseRedirect(stepup.page_that_asks(request, back_to=request.get_full_path()))
        with transaction.atomic():
            return view(request, *args, **kwargs)

    return guarded


class OverviewView(IndexView):  # type: ignore[misc]  # allauth ships no types
    """What one signs in with: passkeys, app, codes, password, identity provider; and how many sessions there are."""

    def get_context_data(self, **kwargs: Any) -> dict[str, Any]:
        """allauth's context and what belongs beside it."""
        context: dict[str, Any] = super().get_context_data(**kwargs)
        user = self.request.user
        link = (
            SocialAccount.objects.filter(user_id=user.pk, provider=oidc.provider_id()).first() if oidc.is_on() else None
        )
        codes = context["authenticators"].get("recovery_codes")
        return context | {
            "provider_name": oidc.name(),
            "provider_link": link,
            "codes_left": len(codes.get_unused_codes()) if codes else 0,
            "session_count": len(sessions.sessions_of(user, request=self.request)),
        }


class RemovePasskeyView(RemoveWebAuthnView):  # type: ignore[misc]  # allauth ships no types
    """Asks, then removes one passkey."""

    success_url = reverse_lazy("mfa_index")


class ProveByPasskeyView(ReauthenticateWebAuthnView):  # type: ignore[misc]  # allauth ships no types
    """Asks again by passkey; a wrong one is told on this page, with the way back kept."""

    def form_invalid(self, form: Any) -> HttpResponse:
        """The same page once more."""
        messages.error(self.request, _("This passkey was not accepted. Nothing was changed; try again."))
        return HttpResponseRedirect(self.passthrough_next_url(self.request.path))


@require_GET
def email_is_fixed(request: HttpRequest) -> HttpResponse:
    """Nobody changes their own address: an owner named the person by it, and the identity provider is matched by it."""
    return redirect("mfa_index")


@never_cache
@require_http_methods(["GET", "POST"])
def manage_sessions(request: HttpRequest) -> HttpResponse:
    """One's sessions; a POST ends one of the others, or all of them."""
    assert isinstance(request.user, User)
    if request.method == "POST":
        wanted = request.POST.get("session", "")
        chosen = None if wanted == "others" else [int(wanted)] if wanted.isascii() and wanted.isdecimal() else []
        count = sessions.end_sessions(request.user, session_ids=chosen, request=request)
        if count:
            messages.success(request, ngettext("%d session ended.", "%d sessions ended.", count) % count)
        else:
            messages.info(request, _("That session had ended already."))
        return redirect("usersessions_list")
    found = sessions.sessions_of(request.user, request=request)
    return render(request, "usersessions/usersession_list.html", {"sessions": found, "lasts": sessions.LASTS})


class ProviderCallbackView(OAuth2CallbackView):  # type: ignore[misc]  # allauth ships no types
    """The way back from the identity provider; the adapter learns which nonce this browser was given."""

    def _get_state(self, request: HttpRequest, provider: Any) -> Any:
        state, response = super()._get_state(request, provider)
        self.adapter.expected_nonce = (state or {}).get("nonce")
        return state, response


@login_not_required
@require_POST
def provider_login(request: HttpRequest, provider_id: str) -> HttpResponse:
    """Off to the identity provider. A POST: a GET would let any page sign somebody in."""
    return _to_provider(request, provider_id, process=AuthProcess.LOGIN)


@login_not_required
@never_cache
@require_GET
def provider_callback(request: HttpRequest, provider_id: str) -> HttpResponse:
    """Back from the identity provider; 404 where there is none."""
    try:
        answer: HttpResponse = ProviderCallbackView.adapter_view(oidc.CompanyAdapter(request, provider_id))(request)
    except SocialApp.DoesNotExist:
        raise Http404 from None
    return answer


class ProveByProviderView(BaseReauthenticateView):  # type: ignore[misc]  # allauth ships no types
    """Asks again by the identity provider, which must ask the person in turn."""

    form_class = forms.Form
    template_name = "account/reauthenticate_by_provider.html"

    def form_valid(self, form: Any) -> HttpResponse:
        """Off to the provider, with the order to ask."""
        return _to_provider(self.request, oidc.provider_id(), process=AuthProcess.REDIRECT, must_ask=True)

    def get_context_data(self, **kwargs: Any) -> dict[str, Any]:
        """allauth's context with the provider's name."""
        context: dict[str, Any] = super().get_context_data(**kwargs)
        return context | {"provider_name": oidc.name()}


def _to_provider(request: HttpRequest, provider_id: str, *, process: str, must_ask: bool = False) -> HttpResponse:
    if provider_id != oidc.provider_id() or not oidc.is_on():
        raise Http404
    target = request.POST.get("next", "")
    back_to = target if get_adapter().is_safe_url(target) else reverse("mfa_index") if must_ask else "/"
    adapter = oidc.CompanyAdapter(request, provider_id)
    nonce = secrets.token_urlsafe(24)
    params = {"nonce": nonce} | ({"max_age": "0", "prompt": "login"} if must_ask else {})
    provider = adapter.get_provider()
    provider.oauth2_adapter_class = oidc.CompanyAdapter
    try:
        answer: HttpResponse = provider.redirect(
            request, process=process, next_url=back_to, auth_params=params, nonce=nonce
        )
    except (OAuth2Error, RequestException, ValueError):
        return render(request, "socialaccount/authentication_error.html", {"provider_name": oidc.name()}, status=502)
    if not isinstance(answer, HttpResponseRedirect):
        return answer
    # Not a redirect: `form-action 'self'` holds for every hop behind a form, and the provider may add hops.
    page = render(request, "socialaccount/continue.html", {"url": answer.url, "provider_name": oidc.name()})
    page["Refresh"] = f"0; url={answer.url}"
    return page


@login_not_required
@require_GET
def provider_cancelled(request: HttpRequest) -> HttpResponse:
    """The person said no at the identity provider."""
    return render(request, "socialaccount/login_cancelled.html", {"provider_name": oidc.name()})
