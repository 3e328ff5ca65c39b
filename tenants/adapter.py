"""Sign-in without sign-up: people are added by an owner."""

from __future__ import annotations

from typing import Any

from allauth.account.adapter import DefaultAccountAdapter
from django.http import HttpRequest


class ClosedAccountAdapter(DefaultAccountAdapter):  # type: ignore[misc]  # allauth ships no types
    """allauth's adapter with the door to sign-up closed."""

    def is_open_for_signup(self, request: HttpRequest) -> bool:
        """Never: an owner adds members."""
        return False

    def populate_username(self, request: HttpRequest, user: Any) -> None:
        """Nothing: people sign in by e-mail address."""
