"""How long a session lasts, which sessions a person has, and ending them.

A session ends 12 hours after sign-in whatever happens, after 2 hours without a request, with the browser, or when its
owner ends it: its row is deleted, so the next request is nobody's.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any, Final

from allauth.mfa.models import Authenticator
from allauth.usersessions.adapter import get_adapter
from allauth.usersessions.models import UserSession
from django.contrib.auth import logout
from django.contrib.auth.signals import user_logged_in
from django.db import transaction
from django.http import HttpRequest, HttpResponse
from django.utils import timezone

from tenants import account_log
from tenants.devices import device_of
from tenants.models import User

LASTS: Final = timedelta(hours=12)
# SESSION_COOKIE_AGE, counted from when the session was last saved; saving it every few minutes keeps it alive.
IDLE: Final = timedelta(hours=2)
_SAVED_EVERY: Final = timedelta(minutes=5)

_STARTED_KEY: Final = "session_started_at"
_SEEN_KEY: Final = "session_seen_at"


@dataclass(frozen=True, slots=True)
class SessionView:
    """One session as its owner sees it; times are aware UTC."""

    id: int
    device: str
    ip: str
    started_at: datetime
    seen_at: datetime
    is_current: bool


class SessionLifeMiddleware:
    """Ends a session that is over, and notes every few minutes that one is in use. Stands behind authentication."""

    def __init__(self, get_response: Callable[[HttpRequest], HttpResponse]) -> None:
        self.get_response = get_response

    def __call__(self, request: HttpRequest) -> HttpResponse:
        """Answer; to a session that is over as to nobody."""
        # A machine's door has no session, and asking who is there would cost it a query.
        if not request.path.startswith("/v1/") and request.user.is_authenticated:
            now = timezone.now()
            if _is_over(request, now=now):
                logout(request)
            else:
                _note_use(request, now=now)
        return self.get_response(request)


def _is_over(request: HttpRequest, *, now: datetime) -> bool:
    started = request.session.get(_STARTED_KEY)
    return started is not None and now.timestamp() - float(started) > LASTS.total_seconds()


def _note_use(request: HttpRequest, *, now: datetime) -> None:
    if now.timestamp() - float(request.session.get(_SEEN_KEY, 0)) < _SAVED_EVERY.total_seconds():
        return
    request.session[_SEEN_KEY] = now.timestamp()
    request.session.setdefault(_STARTED_KEY, now.timestamp())
    # allauth's own: one row per session key, with the address and browser of this request.
    UserSession.objects.create_from_request(request)


def _note_start(sender: Any, request: HttpRequest, **_kwargs: Any) -> None:
    now = timezone.now().timestamp()
    request.session[_STARTED_KEY] = request.session[_SEEN_KEY] = now


def sessions_of(user: User, *, request: HttpRequest) -> list[SessionView]:
    """The person's live sessions, the current one first, then the latest used; rows of dead ones are deleted."""
    views = [
        SessionView(
            id=session.pk,
            device=device_of(session.user_agent),
            ip=session.ip,
            started_at=session.created_at,
            seen_at=session.last_seen_at,
            is_current=session.session_key == request.session.session_key,
        )
        for session in UserSession.objects.purge_and_list(user)
    ]
    return sorted(views, key=lambda view: (not view.is_current, -view.seen_at.timestamp()))


def end_sessions(user: User, *, session_ids: Iterable[int] | None, request: HttpRequest) -> int:
    """End some of the person's other sessions, or with None all of them; how many. The current one stays: sign out."""
    sessions = UserSession.objects.filter(user_id=user.pk).exclude(session_key=request.session.session_key)
    if session_ids is not None:
        sessions = sessions.filter(pk__in=list(session_ids))
    with transaction.atomic():
        ended = list(sessions.select_for_update(of=("self",)).order_by("pk"))
        if ended:
            get_adapter().end_sessions(ended)
            account_log.record_for_person(user, kind="member.session_ended", fields={"count": len(ended)})
    return len(ended)


def forget_factors(user: User) -> int:
    """Remove the person's second factors and end all their sessions, at the command line; how many factors there were.

    For somebody who lost every device and every recovery code; the password stays.
    """
    with transaction.atomic(), account_log.by_operator():
        factors = Authenticator.objects.filter(user_id=user.pk)
        count: int = factors.exclude(type=Authenticator.Type.RECOVERY_CODES).count()
        factors.delete()
        ended = list(UserSession.objects.filter(user_id=user.pk).order_by("pk"))
        get_adapter().end_sessions(ended)
        if ended:
            account_log.record_for_person(user, kind="member.session_ended", fields={"count": len(ended)})
    return count


def listen() -> None:
    """Note when a session starts; called once, from AppConfig.ready."""
    user_logged_in.connect(_note_start, dispatch_uid="session_start")
