"""Typed readers of environment variables that stop the start, by name, when one is missing or wrong.

Every reader takes `NAME` or `NAME_FILE`, the path of a file that holds the value (its last line break is dropped);
giving both is an error. An empty variable counts as unset: compose files write those.
"""

from __future__ import annotations

import base64
import ipaddress
import os
import secrets
from collections.abc import Callable, Sequence
from contextlib import suppress
from pathlib import Path
from urllib.parse import unquote, urlsplit

from django.core.exceptions import ImproperlyConfigured

BASE_DIR = Path(__file__).resolve().parent.parent


class BadEnvironment(ImproperlyConfigured):
    """A variable is missing or wrong; the text names it and never repeats its value."""


def optional(name: str) -> str | None:
    """The value of `name` or the content of the file in `NAME_FILE`; None when neither is set."""
    value = os.environ.get(name, "")
    file_name = os.environ.get(f"{name}_FILE", "")
    if value and file_name:
        raise BadEnvironment(f"{name} and {name}_FILE are both set. Keep one.")
    if not file_name:
        return value or None
    try:
        content = Path(file_name).read_text(encoding="utf-8").removesuffix("\n").removesuffix("\r")
    except (OSError, UnicodeDecodeError) as error:
        raise BadEnvironment(f"{name}_FILE names a file that cannot be read: {type(error).__name__}.") from error
    if not content:
        raise BadEnvironment(f"{name}_FILE names an empty file.")
    return content


def text(name: str, default: str | None = None) -> str:
    """The value of `name`, else `default`; required when there is no default."""
    value = optional(name)
    if value is not None:
        return value
    if default is None:
        raise BadEnvironment(f"{name} is not set and has no default. Set it, or {name}_FILE.")
    return default


def integer(name: str, default: int, *, least: int = 0, most: int = 2**31) -> int:
    """A whole number between `least` and `most`."""
    value = optional(name)
    if value is None:
        return default
    if not value.isascii() or not value.isdecimal() or not least <= int(value) <= most:
        raise BadEnvironment(f"{name} must be a whole number from {least} to {most}.")
    return int(value)


def flag(name: str, *, default: bool = False) -> bool:
    """True for 1, true, yes, on; False for 0, false, no, off; anything else is an error."""
    value = optional(name)
    if value is None:
        return default
    known = {"1": True, "true": True, "yes": True, "on": True, "0": False, "false": False, "no": False, "off": False}
    try:
        return known[value.lower()]
    except KeyError:
        raise BadEnvironment(f"{name} must be one of 1, 0, true, false, yes, no, on, off.") from None


def choice(name: str, options: Sequence[str], default: str) -> str:
    """One of `options`."""
    value = text(name, default)
    if value not in options:
        raise BadEnvironment(f"{name} must be one of {', '.join(options)}.")
    return value


def words(name: str) -> list[str]:
    """The comma-separated parts of `name`, without blanks; empty when unset."""
    return [part.strip() for part in text(name, "").split(",") if part.strip()]


def networks(name: str) -> list[str]:
    """The IP networks of `name`, such as 10.1.0.0/16, separated by commas; empty when unset."""
    found = words(name)
    for text in found:
        try:
            ipaddress.ip_network(text)
        except ValueError:
            raise BadEnvironment(f"{name} must be networks such as 10.1.0.0/16, separated by commas.") from None
    return found


def url(name: str, default: str, *, schemes: Sequence[str] = ("http", "https")) -> str:
    """An absolute URL with one of `schemes` and a host, without a trailing slash, path, query or fragment."""
    value = text(name, default).rstrip("/")
    try:
        parts = urlsplit(value)
        parts.port  # noqa: B018  (an invalid port raises only when it is read)
    except ValueError:
        raise BadEnvironment(f"{name} is not a URL.") from None
    if parts.scheme not in schemes or not parts.hostname:
        raise BadEnvironment(f"{name} must be a URL that starts with {' or '.join(f'{s}://' for s in schemes)}.")
    if parts.path or parts.query or parts.fragment:
        raise BadEnvironment(f"{name} must be scheme, host and port alone, such as https://guard.example.com.")
    return value


def state_dir() -> Path:
    """Where this deployment keeps clusters, sockets, keys and locks; absolute, may not exist yet."""
    return Path(text("GUARDSITE_STATE", str(BASE_DIR / ".guardsite"))).expanduser().absolute()


def notary_state_dir() -> Path:
    """Where the notary remembers what it signed, outside the database; embedded, in the state directory."""
    value = optional("AUDIT_NOTARY_STATE")
    if value is None and not is_embedded():
        raise BadEnvironment("AUDIT_NOTARY_STATE is not set. With DATABASE_URL it is required where the notary runs.")
    return Path(value) if value is not None else state_dir() / "notary"


def is_embedded() -> bool:
    """True when no DATABASE_URL is given, so that PostgreSQL runs from the state directory."""
    return optional("DATABASE_URL") is None


def secret(name: str) -> str:
    """The secret `name`: from the environment, else, embedded only, made once and kept in the state directory.

    The kept file has mode 0600. Two processes that start at once agree: the first to link its file wins.
    """
    value = optional(name)
    if value is not None:
        return value
    if not is_embedded():
        raise BadEnvironment(f"{name} is not set. With DATABASE_URL there is no default: set it, or {name}_FILE.")
    path = kept_secret_path(name)
    try:
        return path.read_text(encoding="utf-8").removesuffix("\n")
    except FileNotFoundError:
        pass
    except OSError as error:
        raise BadEnvironment(f"{name}: {path} cannot be read: {error.strerror}.") from error
    try:
        _keep(path, MAKERS[name]())
    except OSError as error:
        raise BadEnvironment(f"{name} is not set, and {path} cannot be written: {error.strerror}.") from error
    return path.read_text(encoding="utf-8").removesuffix("\n")


def _make_notary_key() -> str:
    # Imported here: only the first start needs it, and it is slow to load.
    from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey
    from cryptography.hazmat.primitives.serialization import Encoding, NoEncryption, PrivateFormat

    key = Ed25519PrivateKey.generate()
    return key.private_bytes(Encoding.PEM, PrivateFormat.PKCS8, NoEncryption()).decode("ascii").rstrip("\n")


MAKERS: dict[str, Callable[[], str]] = {
    "GUARDSITE_SECRET_KEY": lambda: secrets.token_urlsafe(50),
    "AUDIT_MASTER_KEY": lambda: base64.b64encode(secrets.token_bytes(32)).decode("ascii"),
    "AUDIT_NOTARY_KEY": _make_notary_key,  # Ed25519, PKCS#8 in PEM
}


def kept_secret_path(name: str) -> Path:
    """The file in the state directory that keeps the secret `name`."""
    return state_dir() / "keys" / name


def _keep(path: Path, value: str) -> None:
    make_state_dir(path.parent.parent)
    path.parent.mkdir(mode=0o700, exist_ok=True)
    draft = path.with_name(f".{path.name}.{os.getpid()}")
    descriptor = os.open(draft, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600)
    try:
        with os.fdopen(descriptor, "w", encoding="utf-8") as file:
            file.write(value + "\n")
            file.flush()
            os.fsync(file.fileno())
        # A link is all or nothing and never replaces: a key that signed something must not be lost to a race.
        with suppress(FileExistsError):
            os.link(draft, path)
    finally:
        draft.unlink()


def make_state_dir(path: Path) -> None:
    """Makes the state directory, if missing: for us alone; root's may be walked through, for PostgreSQL as `nobody`."""
    if not path.exists():
        path.mkdir(mode=0o711 if os.geteuid() == 0 else 0o700, parents=True, exist_ok=True)


def email_settings(name: str) -> dict[str, str | int | bool]:
    """Django's EMAIL_ settings from `smtp://user:password@host:port` (STARTTLS) or `smtps://…`; the console when unset."""
    value = optional(name)
    if value is None:
        return {"EMAIL_BACKEND": "django.core.mail.backends.console.EmailBackend"}
    try:
        parts = urlsplit(value)
        port = parts.port
    except ValueError:
        raise BadEnvironment(f"{name} is not a URL.") from None
    if parts.scheme not in ("smtp", "smtps") or not parts.hostname:
        raise BadEnvironment(f"{name} must start with smtp:// or smtps:// and name a host.")
    is_implicit = parts.scheme == "smtps"
    return {
        "EMAIL_BACKEND": "django.core.mail.backends.smtp.EmailBackend",
        "EMAIL_HOST": parts.hostname,
        "EMAIL_PORT": port or (465 if is_implicit else 587),
        "EMAIL_HOST_USER": unquote(parts.username or ""),
        "EMAIL_HOST_PASSWORD": unquote(parts.password or ""),
        "EMAIL_USE_SSL": is_implicit,
        "EMAIL_USE_TLS": not is_implicit and parts.hostname not in ("localhost", "127.0.0.1", "::1"),
        "EMAIL_TIMEOUT": 10,
    }
