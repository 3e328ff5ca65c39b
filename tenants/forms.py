"""allauth's forms where ours differ: labels, the cursor in the first field, and a failed proof that is recorded."""

from __future__ import annotations

from typing import Any

from allauth.account.forms import ChangePasswordForm, LoginForm, ReauthenticateForm, ResetPasswordKeyForm
from allauth.mfa.base.forms import AuthenticateForm
from allauth.mfa.base.forms import ReauthenticateForm as ReauthenticateByCodeForm
from allauth.mfa.webauthn.forms import ReauthenticateWebAuthnForm
from django.utils.translation import gettext_lazy as _

from tenants import account_log


class SignInForm(LoginForm):  # type: ignore[misc]  # allauth ships no types
    """E-mail and password; the cursor stands in the e-mail field."""

    def __init__(self, *args: Any, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        self.fields["login"].widget.attrs |= {"autofocus": True, "autocomplete": "username"}


class NewPasswordForm(ChangePasswordForm):  # type: ignore[misc]  # allauth ships no types
    """Another password; labels as everywhere."""

    def __init__(self, *args: Any, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        self.fields["oldpassword"].label = _("Current password")
        _name_new_password(self)


class ForgottenPasswordForm(ResetPasswordKeyForm):  # type: ignore[misc]  # allauth ships no types
    """A new password by the link of a mail; labels as everywhere."""

    def __init__(self, *args: Any, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        _name_new_password(self)


def _name_new_password(form: Any) -> None:
    form.fields["password1"].label = _("New password")
    form.fields["password2"].label = _("New password, again")


def _ask_for_code(form: Any) -> None:
    form.fields["code"].label = _("Code from your app, or a recovery code")
    form.fields["code"].widget.attrs |= {"autofocus": True, "inputmode": "numeric"}


class CodeForm(AuthenticateForm):  # type: ignore[misc]  # allauth ships no types
    """The second step of signing in."""

    def __init__(self, *args: Any, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        _ask_for_code(self)


class _RecordsFailure:
    """Says in the log that a proof was tried and failed; an empty form is no try."""

    method: str
    tried_field: str

    def full_clean(self) -> None:
        super().full_clean()  # type: ignore[misc]  # mixed into a form
        form: Any = self
        if form.is_bound and form.errors and form.data.get(self.tried_field):
            account_log.record_failed_step_up(form.user, method=self.method)


class ProveByPasswordForm(_RecordsFailure, ReauthenticateForm):  # type: ignore[misc]  # allauth ships no types
    """Asked again: the password."""

    method = "password"
    tried_field = "password"

    def __init__(self, *args: Any, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        self.fields["password"].widget.attrs["autofocus"] = True


class ProveByCodeForm(_RecordsFailure, ReauthenticateByCodeForm):  # type: ignore[misc]  # allauth ships no types
    """Asked again: a code."""

    method = "totp"
    tried_field = "code"

    def __init__(self, *args: Any, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        _ask_for_code(self)


class ProveByPasskeyForm(_RecordsFailure, ReauthenticateWebAuthnForm):  # type: ignore[misc]  # allauth ships no types
    """Asked again: a passkey."""

    method = "webauthn"
    tried_field = "credential"
