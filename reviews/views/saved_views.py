"""Saving the queue's filters under a name, and deleting a name."""

from __future__ import annotations

from uuid import UUID

from django.http import HttpRequest, HttpResponse, QueryDict
from django.shortcuts import redirect, render
from django.urls import reverse
from django.utils import timezone

from reviews import saved_views
from reviews.errors import InvalidStep
from reviews.forms_queue import SaveViewForm
from reviews.views.page import member_of
from reviews.views.queue import queue_context
from reviews.views.showing import may_view


@may_view
def save_view(request: HttpRequest) -> HttpResponse:
    """Save the filters that were set, and show them by their name; a refusal shows the queue with what was typed."""
    if request.method != "POST":
        return redirect("reviews:queue")
    form = SaveViewForm(request.POST)
    query = saved_views.filters_in(request.POST.get("query", ""))
    errors: dict[str, str] = {}
    if form.is_valid():
        data = form.cleaned_data
        try:
            saved_views.save_view(
                acting_member=member_of(request),
                name=data["name"],
                query=query,
                is_shared=data["is_shared"],
                now=timezone.now(),
            )
            return redirect(f"{reverse('reviews:queue')}?{query}")
        except InvalidStep as refusal:
            errors = refusal.details["errors"]  # type: ignore[assignment]  # field to sentence
    for field, sentence in errors.items():
        form.add_error(field, sentence)
    context = queue_context(request, data=QueryDict(query), save_form=form)
    return render(request, "reviews/queue.html", context, status=422)


@may_view
def delete_view(request: HttpRequest, view_id: UUID) -> HttpResponse:
    """Delete one's own view, or a shared one as a lead."""
    if request.method == "POST":
        saved_views.delete_view(view_id, acting_member=member_of(request))
    return redirect("reviews:queue")
