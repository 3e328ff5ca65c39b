"""Routes of the audit pages."""

from __future__ import annotations

from django.urls import path

from audit import views

app_name = "audit"

urlpatterns = [
    path("", views.entry_list, name="list"),
    path("entries/<uuid:uid>/", views.entry, name="entry"),
    path("checkpoints/", views.checkpoint_list, name="checkpoints"),
    path("checkpoints/<int:size>/", views.checkpoint_note, name="checkpoint"),
    path("verify/", views.verify, name="verify"),
    path("verify/guardsite_verify.py", views.verifier, name="verifier"),
    path("verify/vkey.txt", views.pinned_key, name="vkey"),
    path("exports/", views.export_list, name="exports"),
    path("exports/<uuid:uid>/bundle.zip", views.export_bundle, name="bundle"),
]
