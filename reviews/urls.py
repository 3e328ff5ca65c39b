"""Routes of the desk."""

from __future__ import annotations

from django.urls import path
from django.views.generic import RedirectView

from reviews.views import (
    agents,
    amend,
    around,
    bulk,
    drafts,
    flags,
    handling,
    notices,
    questions,
    queue,
    review,
    saved_views,
)

app_name = "reviews"

urlpatterns = [
    path("", RedirectView.as_view(pattern_name="reviews:queue"), name="home"),
    path("reviews/", queue.queue, name="queue"),
    path("reviews/next/", queue.take_next, name="take_next"),
    path("reviews/bulk/approve/", bulk.bulk_approve, name="bulk_approve"),
    path("reviews/bulk/deny/", bulk.bulk_deny, name="bulk_deny"),
    path("reviews/bulk/undo/", bulk.bulk_undo, name="bulk_undo"),
    path("reviews/views/save/", saved_views.save_view, name="save_view"),
    path("reviews/views/<uuid:view_id>/delete/", saved_views.delete_view, name="delete_view"),
    path("reviews/<str:wire_id>/more/", handling.more, name="more"),
    path("reviews/<str:wire_id>/snooze/", handling.snooze, name="snooze"),
    path("reviews/<str:wire_id>/wake/", handling.wake, name="wake"),
    path("reviews/<str:wire_id>/skip/", handling.skip, name="skip"),
    path("reviews/<str:wire_id>/hand-on/", handling.hand_on, name="hand_on"),
    path("reviews/<str:wire_id>/", review.review, name="review"),
    path("reviews/<str:wire_id>/live/", review.live, name="live"),
    path("reviews/<str:wire_id>/claim/", review.claim, name="claim"),
    path("reviews/<str:wire_id>/renew/", review.renew, name="renew"),
    path("reviews/<str:wire_id>/take-over/", review.take_over, name="take_over"),
    path("reviews/<str:wire_id>/release/", review.release, name="release"),
    path("reviews/<str:wire_id>/decide/", review.decide, name="decide"),
    path("reviews/<str:wire_id>/undo/", review.undo, name="undo"),
    path("reviews/<str:wire_id>/receipt/", review.receipt, name="receipt"),
    path("reviews/<str:wire_id>/flag/", flags.flag, name="flag"),
    path("reviews/<str:wire_id>/flag/withdraw/", flags.withdraw, name="withdraw_flag"),
    path("reviews/<str:wire_id>/position/", review.position, name="position"),
    path("reviews/<str:wire_id>/amend/", amend.amend, name="amend"),
    path("reviews/<str:wire_id>/ask/", questions.ask, name="ask"),
    path("reviews/<str:wire_id>/draft/", drafts.save, name="save_draft"),
    path("reviews/<str:wire_id>/draft/discard/", drafts.discard, name="discard_draft"),
    path("reviews/<str:wire_id>/earlier/", around.earlier, name="precedents"),
    path("reviews/<str:wire_id>/history/", around.history, name="history"),
    path("reviews/<str:wire_id>/reveal/", around.reveal_secret, name="reveal"),
    path("agents/", agents.agent_list, name="agents"),
    path("agents/<slug:slug>/pause/", agents.pause, name="pause_agent"),
    path("notices/", notices.notice_list, name="notices"),
    path("notices/<uuid:pk>/replay/", notices.replay, name="replay_notice"),
    path("r/<str:token>", notices.follow, name="follow"),
]
