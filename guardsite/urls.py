"""Routes of the site."""

from __future__ import annotations

from django.conf import settings
from django.contrib import admin
from django.urls import include, path

from guardsite.api import urls as api_urls

urlpatterns = [
    path("v1/", api_urls),
    path("accounts/", include("tenants.account_urls")),
    path("account/", include("tenants.urls")),
    path("audit/", include("audit.urls")),
    path("policy/", include("policy.urls")),
    path("admin/", admin.site.urls),
    path("", include("reviews.urls")),
]

if settings.GUARDSITE_STYLE_PAGE:
    urlpatterns.append(path("style/", include("guardsite.style_urls")))

handler400 = "guardsite.errors.bad_request"
handler403 = "guardsite.errors.permission_denied"
handler404 = "guardsite.errors.page_not_found"
handler500 = "guardsite.errors.server_error"
