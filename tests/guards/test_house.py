"""Rules of the house that no type checker knows."""

from __future__ import annotations

import ast
import re
from collections.abc import Iterator
from fnmatch import fnmatch
from pathlib import Path

import pytest
from django.apps import apps
from django.conf import settings
from django.urls import URLPattern, URLResolver, get_resolver

from guardsite.celery import app as celery_app

ROOT = Path(settings.BASE_DIR)
LAYERS = ["audit", "tenants", "policy", "reviews", "guardsite"]
OURS = LAYERS

# Views that answer people who are not signed in, each with its reason. A stale line fails.
OPEN_TO_ALL = {
    "account_login": "signing in",
    "account_signup": "says that sign-up is closed",
    "account_reset_password": "a person who forgot the password",
    "account_reset_password_done": "a person who forgot the password",
    "account_reset_password_from_key": "a person who forgot the password",
    "account_reset_password_from_key_done": "a person who forgot the password",
    "account_inactive": "says that the account is inactive",
    "account_confirm_email": "a link in a mail",
    "account_email_verification_sent": "says that a mail was sent",
    "mfa_authenticate": "the second step of signing in",
    "account_logout": "shows that nobody is signed in",
    "account_confirm_login_code": "signing in by code; switched off, answers with the sign-in page",
    "mfa_login_webauthn": "signing in by passkey",
    "openid_connect_login": "off to the identity provider",
    "openid_connect_callback": "back from the identity provider; the token says who",
    "socialaccount_login_cancelled": "says that the sign-in at the identity provider was cancelled",
}


def views() -> Iterator[tuple[str, URLPattern]]:
    """Every route of the site by its full name."""

    def walk(resolver: URLResolver, namespaces: tuple[str, ...]) -> Iterator[tuple[str, URLPattern]]:
        for item in resolver.url_patterns:
            if isinstance(item, URLResolver):
                yield from walk(item, (*namespaces, item.namespace) if item.namespace else namespaces)
            else:
                yield ":".join((*namespaces, item.name or str(item.pattern))), item

    yield from walk(get_resolver(), ())


def test_every_view_wants_a_sign_in_but_those_with_a_reason() -> None:
    is_open = {name for name, item in views() if not getattr(item.callback, "login_required", True)}
    machines = {name for name in is_open if name.startswith("api-1:")}
    assert machines, "the exemption of /v1 is gone"
    assert is_open - machines == set(OPEN_TO_ALL)


def test_foreign_keys_point_down() -> None:
    for model in apps.get_models():
        if model._meta.app_label not in OURS:
            continue
        for field in model._meta.get_fields():
            if not (field.many_to_one or field.one_to_one) or field.auto_created or not field.concrete:
                continue
            target = field.related_model._meta.app_label  # type: ignore[union-attr]
            if target in OURS:
                assert LAYERS.index(target) <= LAYERS.index(model._meta.app_label), f"{model}.{field.name}"


WRITES = re.compile(r"^(save|create|bulk_create|update|delete|get_or_create|update_or_create|bulk_update)$")
EDGES = ("views.py", "api.py", "tasks.py", "admin.py")


def edge_files() -> list[Path]:
    """Views, API, tasks and admin of every app."""
    found = [ROOT / name / edge for name in OURS for edge in EDGES if (ROOT / name / edge).exists()]
    return found + sorted((ROOT / "reviews" / "views").glob("*.py"))


@pytest.mark.parametrize("path", edge_files(), ids=lambda path: str(path.relative_to(ROOT)))
def test_edges_write_nothing_to_the_database_themselves(path: Path) -> None:
    tree = ast.parse(path.read_text(encoding="utf-8"))
    for node in ast.walk(tree):
        if isinstance(node, ast.Call) and isinstance(node.func, ast.Attribute) and WRITES.match(node.func.attr):
            owner = ast.unparse(node.func.value)
            assert not re.search(r"\.objects|rows_of", owner), f"{path.name}:{node.lineno} writes"


def test_every_task_has_a_queue() -> None:
    celery_app.loader.import_default_modules()
    ours = {name for name in celery_app.tasks if name.split(".")[0] in OURS}
    assert ours
    patterns = set(celery_app.conf.task_routes)
    assert not {name for name in ours if not any(fnmatch(name, pattern) for pattern in patterns)}
    # A route that no task takes is stale.
    assert all(any(fnmatch(name, pattern) for name in ours) for pattern in patterns)


TEMPLATES = sorted((ROOT / "templates").rglob("*.html"))
INLINE = re.compile(
    r"""<style|\sstyle\s*=|\son[a-z]+\s*=\s*["']|hx-on|javascript:|\bjs:|\|\s*safe\b|autoescape\s+off|<script(?![^>]*\bsrc=)""",
    re.I,
)


@pytest.mark.parametrize("path", TEMPLATES, ids=lambda path: str(path.relative_to(ROOT)))
def test_templates_hold_no_inline_code_and_switch_no_escaping_off(path: Path) -> None:
    text = re.sub(r"{%\s*comment.*?endcomment\s*%}|{#.*?#}", "", path.read_text(encoding="utf-8"), flags=re.S)
    assert not INLINE.search(text)
    for form in re.findall(r"<form[^>]*method=[\"']post[\"'].*?</form>", text, flags=re.S | re.I):
        assert "csrf_token" in form, "a form without a CSRF token"


WAITING = re.compile(r"StreamingHttpResponse\(|\basync def\b|time\.sleep\(")
# What serves no request may wait; of what does, the wait app alone.
MAY_WAIT = {
    "guardsite/waits.py": "long polls, as coroutines",
    "guardsite/programs.py": "waits for PostgreSQL to come up",
    "guardsite/embedded.py": "waits for PostgreSQL to come up",
    "guardsite/supervisor.py": "watches its children",
}


def test_only_the_wait_app_waits() -> None:
    waiting = {
        str(path.relative_to(ROOT))
        for name in OURS
        for path in (ROOT / name).rglob("*.py")
        if "management" not in path.parts and WAITING.search(path.read_text(encoding="utf-8"))
    }
    assert waiting == set(MAY_WAIT)
