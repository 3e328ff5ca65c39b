"""Pages that need a permission, and the refusal that says which one it was."""

from __future__ import annotations

from collections.abc import Callable
from functools import wraps
from typing import Any

from django.core.exceptions import PermissionDenied
from django.http import HttpRequest, HttpResponse


class Lacking(PermissionDenied):
    """Who asks has not all of `permissions`. The page that refuses says from them which roles have."""

    def __init__(self, *permissions: str) -> None:
        super().__init__(*permissions)
        self.permissions = permissions


def requires(*permissions: str) -> Callable[[Callable[..., HttpResponse]], Callable[..., HttpResponse]]:
    """A view for who has all of these permissions; for anybody else it raises Lacking."""

    def guard(view: Callable[..., HttpResponse]) -> Callable[..., HttpResponse]:
        @wraps(view)
        def guarded(request: HttpRequest, *args: Any, **kwargs: Any) -> HttpResponse:  # Any: what the route captured
            if not request.user.has_perms(permissions):
                raise Lacking(*permissions)
            return view(request, *args, **kwargs)

        return guarded

    return guard
