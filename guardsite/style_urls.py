"""Routes of the style page; included only where it is asked for."""

from __future__ import annotations

from django.urls import path

from guardsite import style

app_name = "style"

urlpatterns = [
    path("", style.page, name="page"),
    path("cards/<slug:name>/", style.specimen, name="card"),
    path("errors/<slug:name>/", style.error, name="error"),
]
