"""How every action on a card is answered: act, read the review again, show it; a refusal is the card with its reason."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from datetime import datetime
from functools import wraps
from typing import Any

from django.contrib import messages
from django.core.exceptions import PermissionDenied
from django.http import HttpRequest, HttpResponse
from django.shortcuts import redirect, render
from django.utils import timezone
from django.utils.cache import add_never_cache_headers, patch_vary_headers

from audit.access import requires
from audit.errors import DomainError
from reviews import drafts
from reviews.access import access_review_to_view
from reviews.cards.text import reveal
from reviews.errors import NotFound
from reviews.forms import QuestionForm, VerdictForm
from reviews.models import Question, Review
from reviews.views.amending import AmendPanel
from reviews.views.bar import Bar
from reviews.views.page import ReviewPage, is_partial, member_of, zone_of
from reviews.views.receipt import Receipt
from tenants import stepup
from tenants.errors import StepUpNeeded
from tenants.models import Member

may_view = requires("reviews.view_review")
may_decide = requires("reviews.decide_review")

Act = Callable[[Member, datetime], object]


def by_post(view: Callable[..., HttpResponse]) -> Callable[..., HttpResponse]:
    """An action: a GET of its address changes nothing and shows the card, as after signing in again on the way."""

    @wraps(view)
    def post_or_card(request: HttpRequest, wire_id: str, **parts: str) -> HttpResponse:
        if request.method == "POST":
            return view(request, wire_id, **parts)
        return redirect("reviews:review", wire_id=wire_id)

    return post_or_card


def page_of(request: HttpRequest, wire_id: str) -> ReviewPage:
    """The review as the signed-in member sees it now. Raises PermissionDenied, NotFound."""
    member = member_of(request)
    return ReviewPage.of(access_review_to_view(member, wire_id), member, zone=zone_of(request))


def act_and_show(
    request: HttpRequest,
    wire_id: str,
    act: Act,
    *,
    verdict: VerdictForm | None = None,
    question: QuestionForm | None = None,
    said: str = "",
) -> HttpResponse:
    """Act, read the review again and show it: a part for htmx, else a redirect. A refusal is the card with its reason.

    The write functions run in a savepoint of their own, so a refusal leaves nothing behind and the page can be read.
    What was typed into a verdict is kept on the server before anything else is said.
    """
    now = timezone.now()
    try:
        act(member_of(request), now)
    except NotFound:
        raise
    except DomainError as error:
        if verdict is not None:
            _keep(request, wire_id, verdict, now=now)
        if isinstance(error, StepUpNeeded) and verdict is not None:
            page = f"{request.path.rsplit('/', 2)[0]}/?resume={verdict.panel}"
            return stepup.ask_again(request, now=now, came_back_to=page, strong=True)
        for form in (verdict, question):
            for name, sentence in _errors(error).items() if form is not None else ():
                form.add_error(name if name in form.fields else None, sentence)  # type: ignore[union-attr]
        page_now = page_of(request, wire_id)
        return show_card(request, page_now, refusal=error, verdict=verdict, question=question, status=error.status)
    if not is_partial(request):
        if said:
            messages.success(request, said)
        return redirect("reviews:review", wire_id=wire_id)
    return show_card(request, page_of(request, wire_id), acted=True, said=said)


def show_card(
    request: HttpRequest,
    page: ReviewPage,
    *,
    refusal: DomainError | None = None,
    verdict: VerdictForm | None = None,
    question: QuestionForm | None = None,
    open_panel: str = "",
    acted: bool = False,
    said: str = "",
    status: int = 200,
) -> HttpResponse:
    """The card with its bar, what was typed in the panel it belongs to; `said` is what the step did, in a sentence."""
    amend = AmendPanel.of(page, posted=verdict, resume=open_panel == "amend") if page.is_open else None
    bar = Bar.of(page, posted=verdict, open_panel="ask" if question is not None else open_panel)
    asking = question or QuestionForm(
        initial={"text": bar.drafts["ask"].fields.get("text", [""])[-1]} if "ask" in bar.drafts else None
    )
    context: dict[str, Any] = {
        "page": page,
        "review": page.review,
        "card": page.card,
        "bar": bar,
        "amend": amend,
        "receipt": None if page.is_open else Receipt(page),
        "question_form": asking,
        "questions": questions_of(page.review),
        "refusal": refusal,
        "refused_in": bar.open_panel if refusal and bar.shows(bar.open_panel, amend_is_open=amend is not None) else "",
        "draft": verdict,
        "acted": acted,
        "said": said,
    }
    template = "reviews/_card.html" if is_partial(request) else "reviews/review.html"
    response = render(request, template, context, status=status)
    patch_vary_headers(response, ["HX-Request"])
    add_never_cache_headers(response)
    return response


@dataclass(frozen=True)
class Asked:
    """A question on the card; the answer is the agent's text, its hidden characters revealed."""

    question: Question
    answer: str


def questions_of(review: Review) -> tuple[Asked, ...]:
    """The questions of a review, oldest first; no query where none was asked."""
    if not review.question_steps:
        return ()
    rows = review.questions.select_related("member__user").all()
    return tuple(Asked(question, reveal(question.answer).plain if question.answer else "") for question in rows)


def _keep(request: HttpRequest, wire_id: str, form: VerdictForm, *, now: datetime) -> None:
    try:
        drafts.save(wire_id, acting_member=member_of(request), panel=form.panel, fields=form.typed_fields, now=now)
    except (DomainError, PermissionDenied):
        pass  # who may not decide has no draft here; what they typed is on the page that refuses


def _errors(error: DomainError) -> dict[str, str]:
    found = error.details.get("errors")
    return found if isinstance(found, dict) else {}
