"""Routes under /accounts/: allauth's, with ours in front where they change something or differ."""

from __future__ import annotations

from allauth.account import views as account
from allauth.mfa.recovery_codes import views as codes
from allauth.mfa.totp import views as totp
from allauth.mfa.webauthn import views as webauthn
from django.urls import include, path
from django.views.generic import RedirectView

from tenants import views_account as views
from tenants.views_account import changes_sign_in

factor_patterns = [
    path("", views.OverviewView.as_view(), name="mfa_index"),
    path("totp/activate/", changes_sign_in(totp.activate_totp), name="mfa_activate_totp"),
    path("totp/deactivate/", changes_sign_in(totp.deactivate_totp), name="mfa_deactivate_totp"),
    path(
        "recovery-codes/generate/", changes_sign_in(codes.generate_recovery_codes), name="mfa_generate_recovery_codes"
    ),
    path("webauthn/", RedirectView.as_view(pattern_name="mfa_index"), name="mfa_list_webauthn"),
    path("webauthn/add/", changes_sign_in(webauthn.add_webauthn), name="mfa_add_webauthn"),
    path("webauthn/reauthenticate/", views.ProveByPasskeyView.as_view(), name="mfa_reauthenticate_webauthn"),
    path(
        "webauthn/keys/<int:pk>/remove/",
        changes_sign_in(views.RemovePasskeyView.as_view()),
        name="mfa_remove_webauthn",
    ),
    path("", include("allauth.mfa.urls")),
]

urlpatterns = [
    path("email/", views.email_is_fixed, name="account_email"),
    path("sessions/", views.manage_sessions, name="usersessions_list"),
    path("password/set/", changes_sign_in(account.password_set), name="account_set_password"),
    path("oidc/again/", views.ProveByProviderView.as_view(), name="oidc_again"),
    path("oidc/cancelled/", views.provider_cancelled, name="socialaccount_login_cancelled"),
    path("oidc/<str:provider_id>/login/", views.provider_login, name="openid_connect_login"),
    path("oidc/<str:provider_id>/login/callback/", views.provider_callback, name="openid_connect_callback"),
    path("2fa/", include(factor_patterns)),
    path("", include("allauth.account.urls")),
]
