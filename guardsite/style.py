"""The style page: every component in every state, in both themes. Exists only with GUARDSITE_STYLE_PAGE=1.

It draws the real templates with real objects (`style_stage`, `style_facts`), so it cannot drift from the desk.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

from django import forms
from django.contrib.auth.models import AnonymousUser
from django.http import Http404, HttpRequest, HttpResponse
from django.shortcuts import render
from django.utils import timezone
from django.views.decorators.http import require_safe

from guardsite.style_facts import by_provenance, facts
from guardsite.style_stage import SPECIMENS, Stage, stage
from reviews.errors import Expired, OwnRequest, ReviewClosed, Stale
from reviews.forms import VerdictForm
from reviews.states import VerdictKind
from reviews.views import showing
from reviews.views.page import ReviewPage
from reviews.views.queue_page import QueueRow
from tenants.models import Member

PANELS = ("approve", "deny", "amend", "ask")
OUTCOMES = ("approved", "amended", "denied", "expired", "withdrawn", "superseded", "observed")
THEMES = (("auto", "As the system"), ("light", "Light"), ("dark", "Dark"))
COLOURS = (
    ("paper", "the page"),
    ("surface", "what lies on it"),
    ("sunken", "raw text, what is picked"),
    ("ink", "words and commits"),
    ("quiet", "words beside them"),
    ("line", "between rows"),
    ("edge", "around fields"),
    ("accent", "links, what guardsite checked"),
    ("focus", "where the keyboard is"),
    ("application", "what your application said"),
    ("agent", "what the agent said"),
    ("caution", "look twice"),
    ("danger", "failed, denied, overdue"),
    ("verified", "holds, approved"),
)
TYPE = (
    ("sentence", "refund-bot wants to refund USD 4,700.00 to Lena Ortiz."),
    ("title", "The name of a page"),
    ("key", "The name of a part"),
    ("figure", "94.1"),
    ("text", "What guardsite says beside a title, to be read in full."),
    ("ui", "Everything else: facts, tables, forms."),
    ("label", "What a value is called, and other asides."),
    ("mono", "billing.refund sha256:9c1f02ab"),
)
TAGS = ("agent", "application", "caution", "danger", "verified", "accent", "quiet")
ERROR_PAGES = ("400", "401", "403", "403_csrf", "404", "429", "500", "503", "no_membership")
REFUSALS = {"409": ReviewClosed, "409-stale": Stale, "410": Expired, "403-own": OwnRequest}


class SampleForm(forms.Form):
    """A field of each kind; the page shows it empty, filled and with errors."""

    name = forms.CharField(help_text="As the reviewers will read it.")
    amount = forms.DecimalField(
        min_value=0,
        widget=forms.NumberInput(attrs={"inputmode": "decimal"}),
        error_messages={"min_value": "An amount is not below 0."},
    )
    reason = forms.CharField(
        widget=forms.Textarea(attrs={"rows": 3}),
        min_length=10,
        error_messages={"min_length": "Say why in %(limit_value)d characters or more; these are %(show_value)d."},
    )
    code = forms.ChoiceField(
        label="Reason code",
        choices=[("", "Choose"), ("wrong_amount", "Wrong amount"), ("suspicious", "Suspicious")],
        error_messages={"required": "Choose one."},
    )
    pause = forms.BooleanField(label="Also pause this agent", required=False)


@require_safe
def page(request: HttpRequest) -> HttpResponse:
    """Every component; `?theme=` shows it in that theme."""
    theme = _in_theme(request)
    with stage() as staged, _looked_at_by(request, staged.people["rita"]):
        return _inert(render(request, "style/page.html", _context(staged) | {"theme": theme}))
    raise AssertionError("a stage ends without an answer")  # for the type checker: the block above returned


@require_safe
def specimen(request: HttpRequest, name: str) -> HttpResponse:
    """A card in one state, as a whole page; `?panel=deny` opens a panel, `?refused=1` shows a refusal."""
    _in_theme(request)
    if name not in SPECIMENS:
        raise Http404
    with stage() as staged:
        review, who = SPECIMENS[name](staged)
        with _looked_at_by(request, staged.people[who]):
            panel = request.GET.get("panel", "")
            is_refused = "refused" in request.GET
            typed = {"code": ["wrong_target"], "message": ["Ask for the address first."]}
            return _inert(
                showing.show_card(
                    request,
                    showing.page_of(request, review.wire_id),
                    refusal=Stale() if is_refused else None,
                    verdict=VerdictForm.empty(VerdictKind.DENY, (0, "", ""), typed=typed) if is_refused else None,
                    open_panel=panel if panel in PANELS else "",
                )
            )
    raise AssertionError("a stage ends without an answer")


@require_safe
def error(request: HttpRequest, name: str) -> HttpResponse:
    """An error page, for looking: answered with 200."""
    _in_theme(request)
    if name in REFUSALS:
        return render(request, "domain_error.html", {"error": REFUSALS[name]()})
    if name not in ERROR_PAGES:
        raise Http404
    if name == "401":
        with _looked_at_by(request, None):
            return render(request, "signed_out.html", {"next": "/reviews/", "typed": {"note": "A long note."}})
    return render(request, f"{name}.html", {"next": "/reviews/"})


def _inert(response: HttpResponse) -> HttpResponse:
    """The page without htmx's attributes: its reviews are gone once it is drawn, so nothing on it may ask for them."""
    response.content = re.sub(rb'\shx-(?:get|post|trigger)="[^"]*"', b"", response.content)
    return response


def _context(staged: Stage) -> dict[str, Any]:
    shown = {
        name: ReviewPage.of(SPECIMENS[name](staged)[0], staged.people["rita"])
        for name in ("tier-1", "tier-2", "tier-3", "tier-4", "due-soon", "overdue", "withdrawn")
    }
    filled = {"name": "Refund cap", "amount": "620.00", "reason": "Agreed with finance.", "code": "suspicious"}
    return {
        "sections": SECTIONS,
        "colours": COLOURS,
        "type": TYPE,
        "themes": THEMES,
        "tags": TAGS,
        "outcomes": OUTCOMES,
        "tiers": range(1, 5),
        "digest": next(iter(shown.values())).card.call_digest,
        "pages": shown,
        "rows": [QueueRow(page=page) for name, page in shown.items() if name != "withdrawn"],
        "formatters": facts(now=staged.now),
        "provenances": by_provenance(now=staged.now),
        "now": timezone.now(),
        "empty_form": SampleForm(auto_id="empty_%s"),
        "filled_form": SampleForm(filled, auto_id="filled_%s"),
        "wrong_form": SampleForm({"name": "", "amount": "-1", "reason": "short", "code": ""}, auto_id="wrong_%s"),
        "specimens": [(name, _in_words(name)) for name in SPECIMENS],
        "panels": [(name, _in_words(name)) for name in PANELS],
        "errors": [(name, _in_words(name)) for name in (*ERROR_PAGES, *REFUSALS)],
    }


SECTIONS = (
    ("colours", "Colours"),
    ("words", "Words"),
    ("buttons", "Buttons"),
    ("fields", "Fields"),
    ("choices", "Choices, switches, steps"),
    ("messages", "Messages"),
    ("marks", "Marks"),
    ("clocks", "Clocks and callers"),
    ("facts", "Facts"),
    ("changes", "Before and after"),
    ("lists", "Tables and lists"),
    ("around", "Around a page"),
    ("cards", "Cards, receipts, error pages"),
)


def _in_words(name: str) -> str:
    return name.replace("-", " ").replace("_", ", ").capitalize()


def _in_theme(request: HttpRequest) -> str:
    """The theme that the page is drawn in: the one asked for, else the person's own."""
    names = [name for name, _ in THEMES]
    wanted = request.GET.get("theme", "")
    if wanted in names:
        request.COOKIES = {**request.COOKIES, "theme": wanted}
    theme = request.COOKIES.get("theme", "")
    return theme if theme in names else names[0]


@contextmanager
def _looked_at_by(request: HttpRequest, member: Member | None) -> Iterator[None]:
    """The request as one of the stage's people makes it, or nobody; the real person again afterwards."""
    before = (request.user, request.member, request.tenant)  # type: ignore[attr-defined]  # set by the middleware
    if member is None:
        request.user, request.member, request.tenant = AnonymousUser(), None, None  # type: ignore[attr-defined]
    else:
        member.user.current_member = member
        request.user, request.member, request.tenant = member.user, member, member.tenant  # type: ignore[attr-defined]
    try:
        yield
    finally:
        request.user, request.member, request.tenant = before  # type: ignore[attr-defined]
