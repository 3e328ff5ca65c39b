"""Celery's broker, by the scheme of its URL alone: PostgreSQL (`pgmq`), Redis or RabbitMQ.

The options are those under which a killed worker lost nothing that a sweep does not find. Source: operations.md,
section 5.
"""

from __future__ import annotations

from collections.abc import Mapping
from urllib.parse import urlsplit

from psycopg.conninfo import conninfo_to_dict, make_conninfo

from guardsite import env
from guardsite.databases import broker_conninfo

DEFAULT_URL = "pgmq://localhost"
REFUSED = {
    "memory": "it lives in one process, and the worker is another",
    "filesystem": "a task that was fetched is gone if its worker dies",
    "sqlalchemy": "a task that was fetched is gone if its worker dies",
    "sqla": "a task that was fetched is gone if its worker dies",
}
REDIS = ("redis", "rediss", "redis+socket")
RABBITMQ = ("amqp", "amqps")
# In the order in which the library joins them; its own default password is as good as none.
PGMQ_PARTS = {"host": "localhost", "port": "5432", "dbname": "guardsite", "user": "gs_broker", "password": "-"}
# Longer than any task may run (240 s), so that no task runs twice because it was slow.
VISIBILITY_SECONDS = 300


def broker_url() -> str:
    """CELERY_BROKER_URL, by default the PostgreSQL queue; a broker that loses tasks is refused."""
    value = env.text("CELERY_BROKER_URL", DEFAULT_URL)
    scheme = urlsplit(value).scheme
    known = ("pgmq", *REDIS, *RABBITMQ)
    if scheme in REFUSED:
        raise env.BadEnvironment(f"CELERY_BROKER_URL cannot be {scheme}: {REFUSED[scheme]}. Use {', '.join(known)}.")
    if scheme not in known:
        raise env.BadEnvironment(
            f"CELERY_BROKER_URL must start with one of {', '.join(f'{name}://' for name in known)}."
        )
    # kombu warns about a URL without a host, though the connection string below names it.
    return DEFAULT_URL if value == "pgmq://" else value


def transport_options(url: str) -> dict[str, object]:
    """`broker_transport_options` for this broker."""
    scheme = urlsplit(url).scheme
    if scheme == "pgmq":
        return {
            "conn_string": conn_string_for_pgmq(broker_conninfo()),
            "init_extension": False,
            "visibility_timeout": VISIBILITY_SECONDS,
            "pool_size": 2,
            "pool_timeout": 2,
            "use_notify": True,
            "wait_time_seconds": 0,
            "polling_interval": 0.25,
            "notify_throttle_interval_ms": 20,
        }
    if scheme in REDIS:
        return {
            "visibility_timeout": VISIBILITY_SECONDS,
            "unacked_restore_interval": 10,
            "unacked_restore_throttle": 1,
        }
    return {"confirm_publish": True}


def conn_string_for_pgmq(conninfo: str) -> str:
    """`conninfo` in a form that survives the library.

    It takes the string apart, keeps five parts, and joins those without quoting: a password with a space would break it
    (and stand in the log), `sslmode` would be lost. So each part is quoted once more than libpq needs, and what would be
    dropped rides on the last one.
    """
    parts = {name: str(value) for name, value in conninfo_to_dict(conninfo).items() if value is not None}
    kept = {name: parts.pop(name, default) for name, default in PGMQ_PARTS.items()}
    quoted = {name: _quote(value) for name, value in kept.items()}
    last = next(reversed(quoted))
    quoted[last] += "".join(f" {name}={_quote(value)}" for name, value in parts.items())
    result = make_conninfo("", **quoted)
    if "://" in result:
        # The library would take it for a URL.
        raise env.BadEnvironment("BROKER_DATABASE_URL must not hold the characters :// in a password or another part.")
    return result


def _quote(value: str) -> str:
    return "'" + value.replace("\\", "\\\\").replace("'", "\\'") + "'"


def worker_flags(url: str) -> tuple[str, ...]:
    """Flags of `celery worker`: pgmq has no topics, which gossip, mingle and remote control need."""
    if urlsplit(url).scheme == "pgmq":
        return ("--without-gossip", "--without-mingle", "--without-heartbeat")
    return ()


def has_remote_control(url: str) -> bool:
    """False where the transport publishes no topics."""
    return urlsplit(url).scheme != "pgmq"


def connection_count(options: Mapping[str, object]) -> int:
    """PostgreSQL connections that one process's broker client takes, its LISTEN included."""
    size = options.get("pool_size", 0)
    return (size if isinstance(size, int) else 0) + (1 if options.get("use_notify") else 0)
