"""Django's DATABASES: one alias per database role, on the embedded PostgreSQL or on servers named by variables.

| alias | role | variable |
| --- | --- | --- |
| default | gs_app | DATABASE_URL |
| owner | gs_migrator, acts as gs_owner; for `migrate` alone | OWNER_DATABASE_URL |
| audit_reader | gs_auditor | AUDIT_READER_DATABASE_URL |
| audit_sealer | gs_sealer | AUDIT_SEALER_DATABASE_URL |
| audit_notary | gs_notary | AUDIT_NOTARY_DATABASE_URL |

With DATABASE_URL, an alias whose variable is unset is there but refuses to connect, naming the variable: the web
process needs no credentials of the notary. Source: operations.md, section 2.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import psycopg
from psycopg.conninfo import conninfo_to_dict, make_conninfo

from guardsite import env, roles
from guardsite.embedded import DATABASE, remembered_socket_dir


@dataclass(frozen=True)
class Alias:
    """How one Django alias connects."""

    name: str
    role: str
    variable: str
    assume_role: str | None = None
    pool_size: int = 0


def aliases() -> tuple[Alias, ...]:
    """All aliases; GUARDSITE_DB_POOL connections are pooled by a process that sets it (web: 8, a worker's child: 1)."""
    pool = env.integer("GUARDSITE_DB_POOL", 0, most=100)
    return (
        Alias("default", roles.APP, "DATABASE_URL", pool_size=pool),
        Alias("owner", roles.MIGRATOR, "OWNER_DATABASE_URL", assume_role=roles.OWNER),
        Alias("audit_reader", roles.AUDITOR, "AUDIT_READER_DATABASE_URL", pool_size=min(pool, 2)),
        Alias("audit_sealer", roles.SEALER, "AUDIT_SEALER_DATABASE_URL"),
        Alias("audit_notary", roles.NOTARY, "AUDIT_NOTARY_DATABASE_URL"),
    )


def databases() -> dict[str, dict[str, Any]]:
    """Django's DATABASES; Any because Django's own setting is that."""
    return {alias.name: _settings_of(alias) for alias in aliases()}


def conninfo_for(role: str, *, variable: str) -> str:
    """libpq's connection string for `role`: from `variable`, else of the embedded server.

    Raises BadEnvironment when neither says where.
    """
    value = env.optional(variable)
    if value is not None:
        return make_conninfo(**_parse(variable, value))
    if not env.is_embedded():
        raise env.BadEnvironment(f"{variable} is not set. With DATABASE_URL it is required here.")
    return make_conninfo(host=str(remembered_socket_dir(env.state_dir())), user=role, dbname=DATABASE)


def listen_conninfo() -> str:
    """Where to LISTEN: LISTEN_DATABASE_URL past a pooler, else DATABASE_URL."""
    variable = "LISTEN_DATABASE_URL" if env.optional("LISTEN_DATABASE_URL") else "DATABASE_URL"
    return conninfo_for(roles.APP, variable=variable)


def broker_conninfo() -> str:
    """Where the message queue lives in PostgreSQL: BROKER_DATABASE_URL, else the embedded server, as `gs_broker`."""
    return conninfo_for(roles.BROKER, variable="BROKER_DATABASE_URL")


def _parse(variable: str, value: str) -> Mapping[str, Any]:
    if not value.startswith(("postgres://", "postgresql://")):
        raise env.BadEnvironment(f"{variable} must start with postgresql://. PostgreSQL is the only database here.")
    try:
        parts = conninfo_to_dict(value)
    except psycopg.ProgrammingError:
        raise env.BadEnvironment(f"{variable} is not a PostgreSQL URL.") from None
    if not all(port.isdecimal() for port in str(parts.get("port", "5432")).split(",")):
        raise env.BadEnvironment(f"{variable} has a port that is no number.")
    if not parts.get("dbname"):
        raise env.BadEnvironment(f"{variable} names no database.")
    return parts


def _settings_of(alias: Alias) -> dict[str, Any]:
    value = env.optional(alias.variable)
    if value is not None:
        parts = dict(_parse(alias.variable, value))
    elif env.is_embedded():
        parts = {"host": str(remembered_socket_dir(env.state_dir())), "user": alias.role, "dbname": DATABASE}
    else:
        # A host that cannot exist, so that the refusal names what to set.
        parts = {"host": f"/{alias.variable}-is-not-set", "user": alias.role, "dbname": DATABASE}
    options: dict[str, Any] = {}
    settings = {
        "ENGINE": "django.db.backends.postgresql",
        "NAME": parts.pop("dbname"),
        "USER": parts.pop("user", ""),
        "PASSWORD": parts.pop("password", ""),
        "HOST": parts.pop("host", ""),
        "PORT": str(parts.pop("port", "")),
        "CONN_MAX_AGE": 0,
        "OPTIONS": options,
    }
    options.update(parts)
    options.setdefault("connect_timeout", 5)
    options.setdefault("application_name", f"guardsite {alias.name}")
    if alias.assume_role:
        options["assume_role"] = alias.assume_role
    if alias.pool_size:
        # The pool waits twice as long after each failed attempt, up to this: minutes, by default, after the server is back.
        options["pool"] = {
            "min_size": 0,
            "max_size": alias.pool_size,
            "timeout": 10,
            "max_idle": 60,
            "reconnect_timeout": 5,
        }
        # A server that restarted leaves dead connections in the pool; check one before it is handed out.
        settings["CONN_HEALTH_CHECKS"] = True
    if alias.name != "default":
        # Every alias is the same database seen as another role: tests must not build it twice.
        settings["TEST"] = {"MIRROR": "default"}
    return settings
