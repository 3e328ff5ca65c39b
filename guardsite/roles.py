"""The database roles and what each may do, as idempotent SQL that a database administrator can read and run.

`gs_owner` owns everything and cannot log in; `gs_migrator` may become it. The others log in and own nothing, but for
`gs_broker`, which owns the schema `pgmq` and sees nothing else. Sources: audit.md, section 4; operations.md, section 1.
"""

from __future__ import annotations

from collections.abc import Callable
from importlib.resources import files

import psycopg
from psycopg import sql

SUPERUSER = "guardsite"
OWNER = "gs_owner"
MIGRATOR = "gs_migrator"
APP = "gs_app"
SEALER = "gs_sealer"
NOTARY = "gs_notary"
AUDITOR = "gs_auditor"
ERASER = "gs_eraser"
BROKER = "gs_broker"
READERS = (APP, SEALER, NOTARY, AUDITOR, ERASER)
LOGIN_ROLES = (MIGRATOR, *READERS, BROKER)


def roles_sql() -> str:
    """Makes the roles of the whole server; a role that exists keeps its password."""
    statements = [_create_role(OWNER, "NOLOGIN")]
    # NOINHERIT: the migrator has the owner's rights only while it says SET ROLE.
    statements += [_create_role(name, "LOGIN NOINHERIT" if name == MIGRATOR else "LOGIN") for name in LOGIN_ROLES]
    statements.append(f"GRANT {OWNER} TO {MIGRATOR};")
    return "\n".join(statements) + "\n"


def _create_role(name: str, attributes: str) -> str:
    return (
        f"DO $$ BEGIN IF NOT EXISTS (SELECT FROM pg_roles WHERE rolname = '{name}') THEN\n"
        f"  CREATE ROLE {name} {attributes} NOSUPERUSER NOCREATEDB NOCREATEROLE NOBYPASSRLS;\nEND IF; END $$;"
    )


def database_sql(dbname: str) -> str:
    """Who may connect to the database; run as its owner or a superuser. A clone of a template needs it again."""
    name = sql.Identifier(dbname).as_string()
    return (
        f"ALTER DATABASE {name} OWNER TO {OWNER};\n"
        f"REVOKE ALL ON DATABASE {name} FROM PUBLIC;\n"
        f"GRANT CONNECT ON DATABASE {name} TO {', '.join(LOGIN_ROLES)};\n"
    )


def schema_sql() -> str:
    """Default rights on what migrations make; run inside the database, before the first migration."""
    readers = ", ".join((MIGRATOR, *READERS))
    default = f"ALTER DEFAULT PRIVILEGES FOR ROLE {OWNER}"
    return (
        "REVOKE ALL ON SCHEMA public FROM PUBLIC;\n"  # noqa: S608  (constants alone)
        f"GRANT USAGE, CREATE ON SCHEMA public TO {OWNER};\n"
        f"GRANT USAGE ON SCHEMA public TO {readers};\n"
        f"{default} IN SCHEMA public GRANT SELECT, INSERT, UPDATE, DELETE ON TABLES TO {APP};\n"
        f"{default} IN SCHEMA public GRANT USAGE, SELECT ON SEQUENCES TO {APP};\n"
        # Without IN SCHEMA: only the global default takes PUBLIC's right to execute away.
        f"{default} REVOKE EXECUTE ON FUNCTIONS FROM PUBLIC;\n"
    )


def broker_sql(dbname: str) -> str:
    """Installs the message queue as `gs_broker`; not repeatable, so run only where the schema `pgmq` is missing."""
    name = sql.Identifier(dbname).as_string()
    script = files("pgmq").joinpath("sql", "pgmq.sql").read_text(encoding="utf-8")
    return (
        f"GRANT CREATE ON DATABASE {name} TO {BROKER};\nSET ROLE {BROKER};\n{script}\nRESET ROLE;\n"
        f"REVOKE CREATE ON DATABASE {name} FROM {BROKER};\n"
    )


def script_for_psql(dbname: str) -> str:
    """All of it for `psql`: roles, database, rights, queue. Passwords are the administrator's to set."""
    name = sql.Identifier(dbname).as_string()
    literal = sql.Literal(dbname).as_string()
    return "\n".join(
        (
            "-- Run with psql as a superuser, or as a role with CREATEROLE and CREATEDB. Safe to run again.",
            "\\set ON_ERROR_STOP on",
            f"SELECT NOT EXISTS (SELECT FROM pg_database WHERE datname = {literal}) AS missing \\gset",  # noqa: S608
            "\\if :missing",
            f"CREATE DATABASE {name};",
            "\\endif",
            f"\\connect {name}",
            roles_sql(),
            database_sql(dbname),
            schema_sql(),
            "SELECT NOT EXISTS (SELECT FROM pg_namespace WHERE nspname = 'pgmq') AS queue_missing \\gset",
            "\\if :queue_missing",
            broker_sql(dbname),
            "\\endif",
            f"-- Then give each role that logs in a password, for instance: \\password {APP}",
            "",
        )
    )


def apply_roles(conninfo_for: Callable[[str], str], *, dbname: str) -> None:
    """Makes roles, database, rights and queue; repeatable.

    `conninfo_for` gives a superuser's connection string for a database name. Raises psycopg.Error.
    """
    with psycopg.connect(conninfo_for("postgres"), autocommit=True) as connection:
        _run(connection, roles_sql())
        found = connection.execute("SELECT FROM pg_database WHERE datname = %s", [dbname]).fetchone()
        if found is None:
            connection.execute(sql.SQL("CREATE DATABASE {}").format(sql.Identifier(dbname)))
    with psycopg.connect(conninfo_for(dbname)) as connection:
        _run(connection, database_sql(dbname))
        _run(connection, schema_sql())
        if connection.execute("SELECT FROM pg_namespace WHERE nspname = 'pgmq'").fetchone() is None:
            _run(connection, broker_sql(dbname))


def _run(connection: psycopg.Connection, script: str) -> None:
    # The text is built above from constants and quoted identifiers; psycopg wants that said.
    connection.execute(sql.SQL(script))  # type: ignore[arg-type, unused-ignore]
