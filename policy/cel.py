"""The rule language: one CEL environment with guardsite's roots and host functions, and results that never raise.

Source: the policy design, sections 1 to 4. The library's traps that shape this module, each with a test:
exclusions act in the checker only, so expressions are always compiled from source; failures are values of type
ERROR, but the iteration budget and an unpaired surrogate raise; a host parameter declared dynamic never matches,
hence one overload for each type; a cyclic value crashes the process, hence `measure` before every activation.
"""

from __future__ import annotations

import functools
import threading
from collections.abc import Callable, Collection, Mapping
from dataclasses import dataclass
from datetime import datetime
from typing import Any, Final

import orjson
from cel_expr_python import cel

from policy import functions
from policy.calendars import Hours
from policy.functions import NamedList

PROFILE: Final = "guardsite-cel/1"
MAX_CONDITION_CHARACTERS: Final = 4000
MAX_LIST_CHARACTERS: Final = 90_000  # the library takes 100,000
MAX_CONTEXT_BYTES: Final = 256 * 1024
MAX_STRING_BYTES: Final = 64 * 1024
MAX_LIST_ITEMS: Final = 200
MAX_DEPTH: Final = 32

_CONFIG: Final = "stdlib: {exclude_macros: [map], exclude_functions: [{name: matches}]}"
_MAP: Final = cel.Type.Map(cel.Type.STRING, cel.Type.DYN)

ROOTS: Final[Mapping[str, cel.Type]] = {
    "action_id": cel.Type.STRING,
    "params": _MAP,
    "user": _MAP,
    "agent": _MAP,
    "run": _MAP,
    "tool": _MAP,
    "stats": _MAP,
    "request": _MAP,
    "now": cel.Type.TIMESTAMP,
}
# For each root the fields that are read of it, or None for all.
Reads = Mapping[str, frozenset[str] | None]

FIXED_FIELDS: Final[Mapping[str, tuple[str, ...]]] = {
    "agent": ("id", "name", "version", "owner", "tags"),
    "run": ("id", "call_no", "labels"),
    "tool": (
        *("name", "server", "framework", "labels", "drifted"),
        *("read_only", "destructive", "idempotent", "open_world"),
    ),
    "request": ("environment", "batch_index", "batch_size"),
}


class Moment(threading.local):
    """`now` of the call that this thread evaluates: entries of lists expire against it."""

    now: datetime | None = None


def _in_list(lists: Mapping[str, NamedList], moment: Moment) -> Callable[[str | int, str], bool]:
    def in_list(value: str | int, name: str) -> bool:
        found = lists.get(name)
        if found is None:
            raise ValueError("the list does not exist in this revision")
        return found.holds(value, now=moment.now)

    return in_list


def _within(calendars: Mapping[str, Hours]) -> Callable[[datetime, str], bool]:
    def within(moment: datetime, name: str) -> bool:
        found = calendars.get(name)
        if found is None:
            raise ValueError("the calendar does not exist in this revision")
        return found.holds(moment)

    return within


def host_functions(
    lists: Mapping[str, NamedList], calendars: Mapping[str, Hours] | None = None, moment: Moment | None = None
) -> list[cel.FunctionDecl]:
    """The declarations of every host function; `in_list` looks into `lists`, `within` into `calendars`."""
    t = cel.Type
    numbers = {"int": t.INT, "double": t.DOUBLE, "string": t.STRING}

    def overload(name: str, result: cel.Type, parameters: list[cel.Type], impl: Any, member: bool = False) -> Any:
        return cel.Overload(name, return_type=result, parameters=parameters, is_member=member, impl=impl)

    member_texts = (("icontains", functions.icontains), ("glob", functions.glob), ("regex", functions.regex))
    in_list = _in_list(lists, moment or Moment())
    return [
        cel.FunctionDecl(
            "num", [overload(f"num_{name}", t.DYN, [kind], functions.num) for name, kind in numbers.items()]
        ),
        cel.FunctionDecl(
            "minor",
            [overload(f"minor_{name}", t.INT, [kind, t.STRING], functions.minor) for name, kind in numbers.items()],
        ),
        *(
            cel.FunctionDecl(name, [overload(f"string_{name}", t.BOOL, [t.STRING, t.STRING], impl, True)])
            for name, impl in member_texts
        ),
        cel.FunctionDecl("domain_of", [overload("domain_of_string", t.STRING, [t.STRING], functions.domain_of)]),
        cel.FunctionDecl("host_of", [overload("host_of_string", t.STRING, [t.STRING], functions.host_of)]),
        cel.FunctionDecl(
            "in_list",
            [
                overload("in_list_string", t.BOOL, [t.STRING, t.STRING], in_list),
                overload("in_list_int", t.BOOL, [t.INT, t.STRING], in_list),
            ],
        ),
        cel.FunctionDecl(
            "within", [overload("within_timestamp", t.BOOL, [t.TIMESTAMP, t.STRING], _within(calendars or {}))]
        ),
    ]


def build_env(
    *,
    variables: Mapping[str, cel.Type] = ROOTS,
    lists: Mapping[str, NamedList] | None = None,
    calendars: Mapping[str, Hours] | None = None,
    moment: Moment | None = None,
) -> cel.Env:
    """The restricted environment over the given variables: no `map`, no `matches`, no extension."""
    return cel.NewEnv(
        config=cel.NewEnvConfigFromYaml(_CONFIG),
        variables=dict(variables),
        functions=host_functions(lists or {}, calendars, moment),
    )


class CompileError(ValueError):
    """The library refused the text; the message is the library's own, for `check` to translate."""


class ContextLimitError(ValueError):
    """The call is beyond the limits within which rules are evaluated; nothing of it is cut."""


@dataclass(frozen=True)
class Compiled:
    """A condition that compiled: its text and the library's expression."""

    text: str
    expression: cel.Expression


@dataclass(frozen=True)
class Outcome:
    """What one expression gave: a plain value, or an error in the library's or a host function's words."""

    value: object = None
    error: str | None = None


TRUE: Final = Outcome(value=True)
FALSE: Final = Outcome(value=False)


class Engine:
    """Compiles and evaluates conditions over named lists, calendars and counters. Safe to share between threads.

    `counters` are the names that `stats` may be asked for; a check refuses others.
    """

    def __init__(
        self,
        lists: Mapping[str, NamedList] | None = None,
        calendars: Mapping[str, Hours] | None = None,
        counters: Collection[str] = (),
    ) -> None:
        self.lists: Mapping[str, NamedList] = dict(lists or {})
        self.calendars: Mapping[str, Hours] = dict(calendars or {})
        self.counters = frozenset(counters)
        self._moment = Moment()
        self._env = build_env(lists=self.lists, calendars=self.calendars, moment=self._moment)
        self.compile = functools.lru_cache(maxsize=5000)(self._compile)
        self.compile_list = functools.lru_cache(maxsize=2000)(self._compile_list)

    def _compile(self, text: str) -> Compiled:
        """The compiled condition, from the cache when it was compiled before. Raises CompileError."""
        if len(text) > MAX_CONDITION_CHARACTERS:
            raise CompileError(f"the condition is longer than {MAX_CONDITION_CHARACTERS} characters")
        try:
            return Compiled(text, self._env.compile(text))
        except Exception as error:  # the library raises bare RuntimeError, and UnicodeError for surrogates
            raise CompileError(str(error)) from None

    def _compile_list(self, conditions: tuple[str, ...]) -> Compiled | None:
        """Conditions that compiled, as one expression that lists their values; None where that is too much.

        An error in one makes the list an error.
        """
        # Each compiled alone, so none can close the bracket; the line break ends a comment of its own.
        text = "[" + ",".join(f"({condition}\n)" for condition in conditions) + "]"
        try:
            return Compiled(text, self._env.compile(text)) if len(text) <= MAX_LIST_CHARACTERS else None
        except Exception:  # such as one at the deepest nesting that is allowed
            return None

    def activation(self, context: Mapping[str, object], *, reads: Reads | None = None) -> cel.Activation:
        """The context as the engine holds it. Raises ContextLimitError; call once for each tool call.

        `reads` says what will be read of it: the rest is measured, and not carried over.

        What is run in this thread until the next activation sees this context's `now`.
        """
        measure(context)
        now = context.get("now")
        self._moment.now = now if isinstance(now, datetime) else None
        return self._env.Activation(dict(context) if reads is None else _narrowed(context, reads))

    def run(self, compiled: Compiled, activation: cel.Activation) -> Outcome:
        """The value of an expression, or its error; never raises."""
        try:
            result = compiled.expression.eval(activation)
            value = result.plain_value()
            if value is True or value is False:
                return TRUE if value else FALSE  # no error is a bool: the type need not be asked for
            if result.type() == cel.Type.ERROR:
                return Outcome(error=str(value))
            return Outcome(value=value)
        except Exception as error:  # budget, surrogates, whatever else: an error never allows
            return Outcome(error=str(error) or type(error).__name__)


def _narrowed(context: Mapping[str, object], reads: Reads) -> dict[str, object]:
    """What is read of the context: the library converts all that it is given, which costs more than most rules."""
    found: dict[str, object] = {}
    for root, fields in reads.items():
        value = context[root]
        if fields is None or not isinstance(value, dict):
            found[root] = value
        else:
            found[root] = {field: value[field] for field in fields if field in value}
    return found


# Strict: an integer beyond 2^53 is refused.
_PLAIN: Final = orjson.OPT_STRICT_INTEGER | orjson.OPT_PASSTHROUGH_DATACLASS | orjson.OPT_PASSTHROUGH_SUBCLASS


def is_plainly_small(context: Mapping[str, object]) -> bool:
    """Whether the compact JSON alone proves the context to be within every limit; False proves nothing.

    No text is longer than the whole, no list has more items than there are commas, and nothing is nested deeper than
    there are brackets. Ten times as fast as walking.
    """
    try:
        data = orjson.dumps(context, option=_PLAIN)
    except (TypeError, RecursionError):  # no JSON, a large integer, an unpaired surrogate, a cycle
        return False
    return (
        len(data) <= MAX_STRING_BYTES
        and data.count(b",") < MAX_LIST_ITEMS
        and data.count(b"[") + data.count(b"{") <= MAX_DEPTH
    )


def measure(context: Mapping[str, object]) -> None:
    """Returns when the context is within the limits of evaluation, else raises ContextLimitError.

    Bytes are those of compact JSON, without escapes. The depth limit also ends a cyclic value, which would crash
    the library.
    """
    if is_plainly_small(context):
        return
    total = 0

    def visit(value: object, depth: int) -> None:
        nonlocal total
        if depth > MAX_DEPTH:
            raise ContextLimitError("nested too deep")
        if isinstance(value, str):
            try:
                size = len(value) if value.isascii() else len(value.encode())
            except UnicodeEncodeError:
                raise ContextLimitError("text with an unpaired surrogate") from None
            if size > MAX_STRING_BYTES:
                raise ContextLimitError("a text is longer than 64 KiB")
            total += size + 2
        elif isinstance(value, bool) or value is None:
            total += 5
        elif isinstance(value, int):
            if abs(value) > functions.MAX_SAFE_INTEGER:
                raise ContextLimitError("an integer is beyond 2^53")
            total += 16
        elif isinstance(value, (float, datetime)):
            total += 16
        elif isinstance(value, (list, tuple)):
            if len(value) > MAX_LIST_ITEMS:
                raise ContextLimitError(f"a list has more than {MAX_LIST_ITEMS} items")
            total += 2 + len(value)
            for item in value:
                visit(item, depth + 1)
        elif isinstance(value, Mapping):
            total += 2 + 2 * len(value)
            for key, item in value.items():
                if not isinstance(key, str):
                    raise ContextLimitError("a field name is not text")
                visit(key, depth + 1)
                visit(item, depth + 1)
        else:
            raise ContextLimitError("a value is not JSON")
        if total > MAX_CONTEXT_BYTES:
            raise ContextLimitError("the call is larger than 256 KiB")

    for name, value in context.items():
        # The call itself has depth 32; its roots stand at 1.
        visit(name, 0)
        visit(value, 1)
