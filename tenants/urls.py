"""Routes of account settings that belong to guardsite."""

from __future__ import annotations

from django.urls import path

from tenants import views

app_name = "tenants"

urlpatterns = [
    path("tenant/", views.switch_tenant, name="switch"),
    path("theme/", views.set_theme, name="theme"),
]
