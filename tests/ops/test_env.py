"""Environment readers: typed, and loud by name without repeating a value."""

from __future__ import annotations

import stat
from pathlib import Path

import pytest
from cryptography.hazmat.primitives.serialization import load_pem_private_key

from guardsite import databases, env


def test_value_may_stand_in_a_file(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    (tmp_path / "secret").write_text("s3cret\n")
    monkeypatch.setenv("SOME_THING_FILE", str(tmp_path / "secret"))
    assert env.text("SOME_THING") == "s3cret"
    monkeypatch.setenv("SOME_THING", "other")
    with pytest.raises(env.BadEnvironment, match="SOME_THING and SOME_THING_FILE are both set"):
        env.text("SOME_THING")


@pytest.mark.parametrize("content", [None, ""])
def test_file_that_is_missing_or_empty_is_named(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path, content: str | None
) -> None:
    path = tmp_path / "secret"
    if content is not None:
        path.write_text(content)
    monkeypatch.setenv("SOME_THING_FILE", str(path))
    with pytest.raises(env.BadEnvironment, match="SOME_THING_FILE"):
        env.text("SOME_THING", "default")


def test_required_value_is_named(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("SOME_THING", "")
    with pytest.raises(env.BadEnvironment, match="SOME_THING is not set"):
        env.text("SOME_THING")
    assert env.text("SOME_THING", "default") == "default"


@pytest.mark.parametrize("value", ["-1", "8.0", "eight", "101", "\u0663"])  # the last is an Arabic-Indic three
def test_wrong_number_is_named_and_not_repeated(monkeypatch: pytest.MonkeyPatch, value: str) -> None:
    monkeypatch.setenv("GUARDSITE_DB_POOL", value)
    with pytest.raises(env.BadEnvironment) as refusal:
        databases.aliases()
    assert str(refusal.value) == "GUARDSITE_DB_POOL must be a whole number from 0 to 100."


def test_flag_takes_words_and_nothing_else(monkeypatch: pytest.MonkeyPatch) -> None:
    for value, meant in {"1": True, "on": True, "YES": True, "0": False, "false": False}.items():
        monkeypatch.setenv("SOME_FLAG", value)
        assert env.flag("SOME_FLAG") is meant
    monkeypatch.setenv("SOME_FLAG", "maybe")
    with pytest.raises(env.BadEnvironment, match="SOME_FLAG"):
        env.flag("SOME_FLAG")


@pytest.mark.parametrize(
    "value", ["localhost:8000", "ftp://host", "https://", "http://host/path", "http://host:99999", "http://host?q=1"]
)
def test_site_url_is_scheme_and_host_alone(monkeypatch: pytest.MonkeyPatch, value: str) -> None:
    monkeypatch.setenv("GUARDSITE_URL", value)
    with pytest.raises(env.BadEnvironment, match="GUARDSITE_URL"):
        env.url("GUARDSITE_URL", "http://localhost")
    monkeypatch.setenv("GUARDSITE_URL", "https://guard.example/")
    assert env.url("GUARDSITE_URL", "http://localhost") == "https://guard.example"


def test_embedded_secret_is_made_once_and_for_us_alone(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    for name in ("DATABASE_URL", "AUDIT_NOTARY_KEY", "AUDIT_MASTER_KEY"):
        monkeypatch.delenv(name, raising=False)
    monkeypatch.setenv("GUARDSITE_STATE", str(tmp_path / "state"))
    key = env.secret("AUDIT_NOTARY_KEY")
    assert env.secret("AUDIT_NOTARY_KEY") == key
    assert load_pem_private_key(key.encode(), password=None)
    assert stat.S_IMODE(env.kept_secret_path("AUDIT_NOTARY_KEY").stat().st_mode) == 0o600
    assert stat.S_IMODE(env.kept_secret_path("AUDIT_NOTARY_KEY").parent.stat().st_mode) == 0o700
    assert [path.name for path in (tmp_path / "state" / "keys").iterdir()] == ["AUDIT_NOTARY_KEY"]


def test_secret_on_a_server_has_no_default(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.setenv("DATABASE_URL", "postgresql://db.example/desk")
    monkeypatch.setenv("GUARDSITE_STATE", str(tmp_path / "state"))
    monkeypatch.delenv("AUDIT_MASTER_KEY", raising=False)
    with pytest.raises(env.BadEnvironment, match="AUDIT_MASTER_KEY is not set"):
        env.secret("AUDIT_MASTER_KEY")
    assert not (tmp_path / "state").exists()


@pytest.mark.parametrize("value", ["mysql://u@h/d", "postgresql://h", "postgresql://h:port/d", "nonsense"])
def test_database_url_that_is_none_of_postgresql_is_named(monkeypatch: pytest.MonkeyPatch, value: str) -> None:
    monkeypatch.setenv("DATABASE_URL", value)
    with pytest.raises(env.BadEnvironment, match="DATABASE_URL"):
        databases.databases()


def test_web_needs_no_credentials_of_the_notary(monkeypatch: pytest.MonkeyPatch) -> None:
    for alias in databases.aliases():
        monkeypatch.delenv(alias.variable, raising=False)
    monkeypatch.setenv("DATABASE_URL", "postgresql://gs_app:p%40ss@db.example:6432/desk?sslmode=require")
    monkeypatch.setenv("GUARDSITE_DB_POOL", "8")
    made = databases.databases()
    default = made["default"]
    assert (default["HOST"], default["PORT"], default["NAME"]) == ("db.example", "6432", "desk")
    assert (default["USER"], default["PASSWORD"]) == ("gs_app", "p@ss")
    assert default["OPTIONS"]["sslmode"] == "require"
    assert default["OPTIONS"]["pool"]["max_size"] == 8
    assert "AUDIT_NOTARY_DATABASE_URL" in made["audit_notary"]["HOST"]


def test_mail_goes_to_the_log_unless_a_server_is_named(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("GUARDSITE_SMTP_URL", raising=False)
    assert env.email_settings("GUARDSITE_SMTP_URL") == {
        "EMAIL_BACKEND": "django.core.mail.backends.console.EmailBackend"
    }
    monkeypatch.setenv("GUARDSITE_SMTP_URL", "smtp://desk:p%40ss@mail.example")
    found = env.email_settings("GUARDSITE_SMTP_URL")
    assert (found["EMAIL_HOST"], found["EMAIL_PORT"], found["EMAIL_USE_TLS"]) == ("mail.example", 587, True)
    assert (found["EMAIL_HOST_USER"], found["EMAIL_HOST_PASSWORD"]) == ("desk", "p@ss")
    for wrong in ("mail.example", "http://mail.example", "smtp://mail.example:port"):
        monkeypatch.setenv("GUARDSITE_SMTP_URL", wrong)
        with pytest.raises(env.BadEnvironment, match="GUARDSITE_SMTP_URL"):
            env.email_settings("GUARDSITE_SMTP_URL")


def test_networks_are_read_or_the_start_stops(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("GUARDSITE_WEBHOOK_NETWORKS", raising=False)
    assert env.networks("GUARDSITE_WEBHOOK_NETWORKS") == []
    monkeypatch.setenv("GUARDSITE_WEBHOOK_NETWORKS", "10.1.0.0/16, fd00::/8")
    assert env.networks("GUARDSITE_WEBHOOK_NETWORKS") == ["10.1.0.0/16", "fd00::/8"]
    for wrong in ("10.1.0.0", "10.1.0.1/16", "inside"):
        monkeypatch.setenv("GUARDSITE_WEBHOOK_NETWORKS", f"10.1.0.0/16,{wrong}/x" if wrong == "10.1.0.0" else wrong)
        with pytest.raises(env.BadEnvironment, match="GUARDSITE_WEBHOOK_NETWORKS"):
            env.networks("GUARDSITE_WEBHOOK_NETWORKS")
