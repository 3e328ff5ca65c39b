"""Whose history a filtered log is: asked of the apps that keep the things, as this one knows none of them."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass

from django.http import HttpRequest


@dataclass(frozen=True, slots=True)
class Subject:
    """What the entries are about: in words, such as "rule Refunds above the limit", and the page to go back to.

    `also` is a further sentence, safe to show as it is, where these entries are not all that happened to the thing.
    """

    words: str
    back_to: str  # "rule", or "card templates" where several things share the history
    url: str
    also: str = ""


# Given the request and the filters that are set (name → value): the thing, if the reader may see it.
Finder = Callable[[HttpRequest, Mapping[str, str]], Subject | None]

_finders: list[Finder] = []


def find_subjects_by(finder: Finder) -> None:
    """Adds who knows some things by the filters that find their entries."""
    if finder not in _finders:
        _finders.append(finder)


def subject_of(request: HttpRequest, filters: Mapping[str, str]) -> Subject | None:
    """What the log is filtered to; None where it is not the history of one thing that the reader may see."""
    return next((found for finder in _finders if (found := finder(request, filters))), None)
