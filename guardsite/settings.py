"""Settings of the site. Every variable comes through `guardsite.env`; there is no default secret."""

from __future__ import annotations

from functools import partial
from pathlib import Path
from urllib.parse import urlsplit

from guardsite import broker, databases, env, logs, sign_in

BASE_DIR = Path(__file__).resolve().parent.parent
STATE_DIR = env.state_dir()

DEBUG = False
SECRET_KEY = env.secret("GUARDSITE_SECRET_KEY")
# Former keys, comma-separated, while the change of a key goes on: sessions and second factors made under them work.
SECRET_KEY_FALLBACKS = env.words("GUARDSITE_OLD_SECRET_KEYS")
GUARDSITE_URL = env.url("GUARDSITE_URL", default="http://localhost:8000")
_url = urlsplit(GUARDSITE_URL)
_is_https = _url.scheme == "https"

# The public host, and the loopback names that health checks and local agents use.
ALLOWED_HOSTS = [str(_url.hostname), "localhost", "127.0.0.1", "[::1]"]
CSRF_TRUSTED_ORIGINS = [GUARDSITE_URL]

INSTALLED_APPS = [
    "guardsite.apps.SiteConfig",
    "reviews.apps.ReviewsConfig",
    "policy.apps.PolicyConfig",
    "tenants.apps.TenantsConfig",
    "audit.apps.AuditConfig",
    "django_htmx",
    "template_partials.apps.SimpleAppConfig",
    "allauth",
    "allauth.account",
    "allauth.mfa",
    "allauth.socialaccount",
    "allauth.socialaccount.providers.openid_connect",
    "allauth.usersessions",
    "guardsite.apps.GuardsiteAdminConfig",
    "django.contrib.auth",
    "django.contrib.contenttypes",
    "django.contrib.sessions",
    "django.contrib.messages",
    "django.contrib.humanize",
    "django.contrib.postgres",
    "django.contrib.staticfiles",
]

MIDDLEWARE = [
    "guardsite.health.HealthMiddleware",
    "guardsite.middleware.RequestLogMiddleware",
    "django.middleware.security.SecurityMiddleware",
    "guardsite.middleware.ContentSecurityPolicyMiddleware",
    "whitenoise.middleware.WhiteNoiseMiddleware",
    "django.contrib.sessions.middleware.SessionMiddleware",
    "django.middleware.common.CommonMiddleware",
    "guardsite.middleware.SignedOutMiddleware",
    "django.middleware.csrf.CsrfViewMiddleware",
    "django.contrib.auth.middleware.AuthenticationMiddleware",
    "tenants.sessions.SessionLifeMiddleware",
    "django_htmx.middleware.HtmxMiddleware",
    "django.contrib.auth.middleware.LoginRequiredMiddleware",
    "django.contrib.messages.middleware.MessageMiddleware",
    "allauth.account.middleware.AccountMiddleware",
    "tenants.middleware.TenantMiddleware",
    "tenants.middleware.ReauthenticationMiddleware",
]

ROOT_URLCONF = "guardsite.urls"
# Every component in every state at /style/, for whoever works on the look; absent unless asked for.
GUARDSITE_STYLE_PAGE = env.flag("GUARDSITE_STYLE_PAGE")
ASGI_APPLICATION = "guardsite.asgi.application"

TEMPLATES = [
    {
        "BACKEND": "django.template.backends.django.DjangoTemplates",
        "DIRS": [BASE_DIR / "templates"],
        "OPTIONS": {
            "loaders": [
                (
                    "template_partials.loader.Loader",
                    [
                        (
                            "django.template.loaders.cached.Loader",
                            [
                                "django.template.loaders.filesystem.Loader",
                                "django.template.loaders.app_directories.Loader",
                            ],
                        )
                    ],
                )
            ],
            "builtins": ["template_partials.templatetags.partials", "django_htmx.templatetags.django_htmx"],
            "context_processors": [
                "django.template.context_processors.request",
                "django.contrib.auth.context_processors.auth",
                "django.contrib.messages.context_processors.messages",
            ],
        },
    }
]

# Databases: one alias per role; see guardsite/roles.py for what each role may do.
DATABASES = databases.databases()
DEFAULT_AUTO_FIELD = "django.db.models.BigAutoField"

AUTH_USER_MODEL = "tenants.User"
AUTHENTICATION_BACKENDS = [
    "allauth.account.auth_backends.AuthenticationBackend",
    "tenants.backends.RoleBackend",
]
AUTH_PASSWORD_VALIDATORS = [
    {"NAME": "django.contrib.auth.password_validation.UserAttributeSimilarityValidator"},
    {"NAME": "django.contrib.auth.password_validation.MinimumLengthValidator", "OPTIONS": {"min_length": 12}},
    {"NAME": "django.contrib.auth.password_validation.CommonPasswordValidator"},
]

LOGIN_URL = "account_login"
LOGIN_REDIRECT_URL = "/"
ACCOUNT_ADAPTER = "tenants.adapter.ClosedAccountAdapter"
ACCOUNT_LOGIN_METHODS = {"email"}
ACCOUNT_SIGNUP_FIELDS = ["email*", "password1*"]
ACCOUNT_USER_MODEL_USERNAME_FIELD = None
ACCOUNT_EMAIL_VERIFICATION = "none"  # members are invited by an owner; there is no sign-up to verify
ACCOUNT_PREVENT_ENUMERATION = True
ACCOUNT_SESSION_REMEMBER = False
ACCOUNT_EMAIL_NOTIFICATIONS = True
ACCOUNT_DEFAULT_HTTP_PROTOCOL = _url.scheme
# Five wrong passwords for one address in five minutes, ten from one place in a minute: allauth's own numbers, which
# hold over all processes because the cache is shared. Used TOTP codes are remembered there too.
CACHES = {"default": {"BACKEND": "tenants.shared_cache.SharedCache", "LOCATION": ""}}
ACCOUNT_FORMS = {
    "login": "tenants.forms.SignInForm",
    "reauthenticate": "tenants.forms.ProveByPasswordForm",
    "change_password": "tenants.forms.NewPasswordForm",
    "reset_password_from_key": "tenants.forms.ForgottenPasswordForm",
}
# No mail to addresses that nobody here has: the page says the same either way.
ACCOUNT_EMAIL_UNKNOWN_ACCOUNTS = False

MFA_SUPPORTED_TYPES = ["webauthn", "totp", "recovery_codes"]
MFA_ADAPTER = "tenants.adapter.FactorAdapter"
MFA_FORMS = {
    "authenticate": "tenants.forms.CodeForm",
    "reauthenticate": "tenants.forms.ProveByCodeForm",
    "reauthenticate_webauthn": "tenants.forms.ProveByPasskeyForm",
}
MFA_PASSKEY_LOGIN_ENABLED = True
# A passkey signs in by itself, so the device must ask for a finger, a face or a PIN.
MFA_WEBAUTHN_USER_VERIFICATION = "required"

SOCIALACCOUNT_ADAPTER = "tenants.adapter.ProviderAdapter"
SOCIALACCOUNT_PROVIDERS = sign_in.oidc_settings()
SOCIALACCOUNT_REQUESTS_TIMEOUT = 10
# smtp://user:password@host:587 (STARTTLS) or smtps://…:465; without it, mails are written to the log.
globals().update(env.email_settings("GUARDSITE_SMTP_URL"))
DEFAULT_FROM_EMAIL = f"guardsite@{_url.hostname}"

SESSION_COOKIE_SECURE = CSRF_COOKIE_SECURE = _is_https
SESSION_COOKIE_HTTPONLY = True
SESSION_COOKIE_SAMESITE = "Lax"
# How long a session lives without a request; tenants/sessions.py ends it after 12 hours whatever happens.
SESSION_COOKIE_AGE = 2 * 3600
CSRF_FAILURE_VIEW = "guardsite.errors.csrf_failure"
SECURE_CONTENT_TYPE_NOSNIFF = True
SECURE_REFERRER_POLICY = "same-origin"
SECURE_HSTS_SECONDS = 31_536_000 if _is_https else 0
X_FRAME_OPTIONS = "DENY"

# One request is at most 1 MiB: integrations.md section 1.1.
DATA_UPLOAD_MAX_MEMORY_SIZE = 1_048_576

LANGUAGE_CODE = "en"
USE_I18N = True
USE_TZ = True
TIME_ZONE = "UTC"
FORMAT_MODULE_PATH = ["guardsite.formats"]  # dates in Django admin read as on the desk's pages

STATIC_URL = "static/"
STATICFILES_DIRS = [BASE_DIR / "static"]
STORAGES = {
    "default": {"BACKEND": "django.core.files.storage.FileSystemStorage"},
    "staticfiles": {"BACKEND": "django.contrib.staticfiles.storage.StaticFilesStorage"},
}
# Serves straight from the app folders: no collectstatic step between a clone and the first page.
WHITENOISE_USE_FINDERS = True
WHITENOISE_AUTOREFRESH = False

LOGGING = logs.logging_config()
LOGGING_CONFIG = "logging.config.dictConfig"

# Celery: the address and its options; everything else stands in guardsite/celery.py.
CELERY_BROKER_URL = broker.broker_url()
CELERY_BROKER_TRANSPORT_OPTIONS = broker.transport_options(CELERY_BROKER_URL)

# Host part of the origin of each tenant's log (audit.md section 2).
AUDIT_ORIGIN_HOST = str(_url.hostname)
# Read where they are used: only the notary's process has them in production, the web's must not.
AUDIT_NOTARY_KEY = partial(env.secret, "AUDIT_NOTARY_KEY")
AUDIT_NOTARY_STATE = env.notary_state_dir
# Base64 of the notary's public key, for processes that verify and do not sign.
AUDIT_NOTARY_PUBLIC_KEY = env.optional("AUDIT_NOTARY_PUBLIC_KEY")

# Webhooks go to public addresses alone, unless they are in one of these networks: 10.1.0.0/16,fd00::/8.
WEBHOOK_NETWORKS = env.networks("GUARDSITE_WEBHOOK_NETWORKS")
