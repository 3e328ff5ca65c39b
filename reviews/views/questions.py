"""Asking the agent before deciding."""

from __future__ import annotations

from datetime import datetime

from django.http import HttpRequest, HttpResponse

from reviews import questions
from reviews.errors import InvalidVerdict
from reviews.forms import QuestionForm
from reviews.views.showing import act_and_show, by_post, may_decide
from tenants.models import Member


@by_post
@may_decide
def ask(request: HttpRequest, wire_id: str) -> HttpResponse:
    """Send a question to the agent. A refusal shows the card again, with the question."""
    form = QuestionForm(request.POST, auto_id="id_ask_%s")

    def act(member: Member, now: datetime) -> None:
        if not form.is_valid():
            raise InvalidVerdict("The question was not sent.", errors={})
        questions.ask(wire_id, acting_member=member, text=form.cleaned_data["text"], now=now)

    return act_and_show(request, wire_id, act, question=form)
