"""Which row of the admin a filtered log is the history of: the other way round from `TenantAdmin.history_view`."""

from __future__ import annotations

from collections.abc import Mapping

from django.contrib import admin
from django.core.exceptions import ValidationError
from django.http import HttpRequest
from django.urls import reverse
from django.utils.http import urlencode

from audit.subjects import Subject


def find_row(request: HttpRequest, filters: Mapping[str, str]) -> Subject | None:
    """The tenant's row whose `history` asks for these entries, if the reader may open it."""
    for model_admin in admin.site._registry.values():  # noqa: SLF001  # no public list of them
        kind, name, attribute = getattr(model_admin, "history", None) or ("", "", "")
        wanted = filters.get(name)
        if not wanted or filters.get("kind") != kind or not model_admin.has_view_permission(request):
            continue
        try:
            rows = list(model_admin.get_queryset(request).filter(**{attribute: wanted})[:2])
        except (ValueError, ValidationError):  # no id of such a row
            return None
        if rows:
            return _subject(model_admin, rows, wanted, model_admin.history_also())  # type: ignore[attr-defined]  # TenantAdmin's, as `history`
    return None


def _subject(model_admin: admin.ModelAdmin, rows: list[object], wanted: str, also: str) -> Subject:  # type: ignore[type-arg]  # any
    opts = model_admin.opts
    address = f"admin:{opts.app_label}_{opts.model_name}"
    noun = str(opts.verbose_name)
    if len(rows) > 1:  # versions of one thing: their history is one
        url = f"{reverse(f'{address}_changelist')}?{urlencode({'q': wanted})}"
        return Subject(f"{noun} {wanted}", str(opts.verbose_name_plural), url, also)
    [row] = rows
    name = str(row)
    words = name if name.lower().startswith(noun.lower()) else f"{noun} {name}"
    return Subject(words, noun, reverse(f"{address}_change", args=[row.pk]), also)  # type: ignore[attr-defined]  # a model's row
