"""Routes of the desk."""

from __future__ import annotations

from django.urls import path
from django.views.generic import RedirectView

from reviews.views import queue, review

app_name = "reviews"

urlpatterns = [
    path("", RedirectView.as_view(pattern_name="reviews:queue"), name="home"),
    path("reviews/", queue.queue, name="queue"),
    path("reviews/next/", queue.take_next, name="take_next"),
    path("reviews/<str:wire_id>/", review.review, name="review"),
    path("reviews/<str:wire_id>/live/", review.live, name="live"),
    path("reviews/<str:wire_id>/claim/", review.claim, name="claim"),
    path("reviews/<str:wire_id>/renew/", review.renew, name="renew"),
    path("reviews/<str:wire_id>/take-over/", review.take_over, name="take_over"),
    path("reviews/<str:wire_id>/release/", review.release, name="release"),
    path("reviews/<str:wire_id>/decide/", review.decide, name="decide"),
    path("reviews/<str:wire_id>/undo/", review.undo, name="undo"),
]
