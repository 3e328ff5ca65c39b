"""Logging to standard error, one line per event: JSON for machines, text for a person at `manage.py up`.

A line holds time, level, event and ids. It never holds params, reasons, keys or query strings: whoever logs passes names
and ids in `extra`, and a traceback is reduced to the exception's type and the places it went through. Source:
operations.md, section 11.
"""

from __future__ import annotations

import json
import logging
import traceback
from datetime import UTC, datetime
from types import TracebackType
from typing import Any

from guardsite import env

# Their messages weave in paths, queries or a task's arguments; only the constant part is kept.
CHATTY = ("django.request", "django.security", "celery.worker.request", "celery.worker.strategy", "asyncio")
TASKS = "celery.app.trace"
# Only these leave by `extra`: libraries attach requests, arguments and other whole objects there.
FIELDS = (
    *("request_id", "tenant", "tenant_id", "method", "route", "status", "ms", "code"),
    *("task", "task_id", "queue", "seconds", "attempt", "count", "size", "version"),
    *("review_id", "delivery_id", "entry_id", "user_id", "process", "pid"),
)


class OneLine(logging.Formatter):
    """A record as one line, JSON or text."""

    def __init__(self, *, as_json: bool) -> None:
        super().__init__()
        self.as_json = as_json

    def format(self, record: logging.LogRecord) -> str:
        """The line, without its line break."""
        created = datetime.fromtimestamp(record.created, UTC)
        level, event = record.levelname.lower(), _event(record)
        fields = _fields(record)
        if record.exc_info and record.exc_info[0] is not None:
            fields |= {"error": record.exc_info[0].__name__, "at": _places(record.exc_info[2])}
        if self.as_json:
            time = created.isoformat(timespec="milliseconds").replace("+00:00", "Z")
            return json.dumps({"time": time, "level": level, "logger": record.name, "event": event} | fields)
        rest = "".join(f" {name}={value}" for name, value in fields.items())
        line = f"{created:%H:%M:%S} {level:7} {record.name}: {event}{rest}"
        return line.replace("\n", " ").replace("\r", " ")


class WithoutSweeps(logging.Filter):
    """Drops the success of a sweep, which a person at a terminal would see every five seconds."""

    def filter(self, record: logging.LogRecord) -> bool:
        """False for those lines."""
        is_success = record.name == TASKS and record.levelno <= logging.INFO
        return not (is_success and ".sweep_" in str(_task_of(record).get("name")))


def _task_of(record: logging.LogRecord) -> dict[str, Any]:
    """What Celery says of a task it ran: name, id, runtime; Any: it also holds arguments, which are not read."""
    return record.args if isinstance(record.args, dict) else {}


def _event(record: logging.LogRecord) -> str:
    if record.name == TASKS:
        return "task succeeded" if record.levelno <= logging.INFO else "task did not succeed"
    if record.name.startswith(CHATTY):
        return str(record.msg).partition("%")[0].strip(" :[(\"'") or record.name
    return record.getMessage()


def _fields(record: logging.LogRecord) -> dict[str, str | int | float | bool | None]:
    values = {name: vars(record)[name] for name in FIELDS if name in vars(record)}
    if record.name == TASKS:
        task = _task_of(record)
        values |= {"task": task.get("name"), "task_id": task.get("id")}
        if isinstance(task.get("runtime"), float):
            values["seconds"] = round(task["runtime"], 3)
    # LogRecord has a `process` of its own, the number, which is wanted only where somebody passed a name.
    if isinstance(values.get("process"), int):
        del values["process"]
    return {
        name: value if isinstance(value, int | float | bool | None) else str(value) for name, value in values.items()
    }


def _places(trace: TracebackType | None) -> str:
    frames = traceback.extract_tb(trace)[-6:]
    return " < ".join(f"{frame.name}:{frame.filename.rsplit('/', 1)[-1]}:{frame.lineno}" for frame in reversed(frames))


def logging_config() -> dict[str, Any]:
    """Django's LOGGING: one handler, everything at INFO but chatty libraries. GUARDSITE_LOG is `json` or `text`."""
    style = env.choice("GUARDSITE_LOG", ("json", "text"), "json")
    quiet = {"level": "WARNING", "handlers": [], "propagate": True}
    return {
        "version": 1,
        "disable_existing_loggers": False,
        "formatters": {"line": {"()": "guardsite.logs.OneLine", "as_json": style == "json"}},
        "filters": {"without_sweeps": {"()": "guardsite.logs.WithoutSweeps"}},
        "handlers": {
            "stderr": {
                "class": "logging.StreamHandler",
                "formatter": "line",
                "filters": ["without_sweeps"] if style == "text" else [],
            }
        },
        "root": {"handlers": ["stderr"], "level": "INFO"},
        "loggers": {
            # Handlers that Django and uvicorn have put here would print tracebacks and URLs beside our line.
            "django": {"level": "INFO", "handlers": [], "propagate": True},
            "django.server": quiet,
            # Its lines for 4xx and 5xx say no more than the request's own line, and exceptions come with that level.
            "django.request": {"level": "ERROR", "handlers": [], "propagate": True},
            "uvicorn": quiet,
            "uvicorn.error": quiet,
            # It would carry query strings; the request middleware writes a line of its own.
            "uvicorn.access": {"level": "CRITICAL", "handlers": [], "propagate": False},
            "celery.beat": quiet,
            "celery.worker.strategy": quiet,
            "celery.worker.consumer.connection": quiet,
            **{name: {"level": "WARNING"} for name in ("httpx", "kombu", "pgmq", "psycopg.pool", "asyncio")},
        },
    }
