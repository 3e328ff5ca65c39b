"""SQL: the whole text, what its statements do, and to which tables, read from the parsed tree.

A word in the text proves nothing (a CTE can delete, a SELECT can create a table), so the tree is walked. What the parser
hands back unread, or two dialects read differently, is *Not inspected*; chips that were found stay, and prove no absence.
Source: reviewer-experience.md section 3, "SQL".
"""

from __future__ import annotations

import logging
from collections.abc import Iterable
from dataclasses import dataclass
from functools import lru_cache
from typing import TYPE_CHECKING, Final

from reviews.cards.formatters.base import distinct, mono_lines, option_texts, want
from reviews.cards.formatters.sql_functions import PLAIN_FUNCTIONS, PROGRAM_FUNCTIONS
from reviews.cards.text import flat, reveal, text_cautions
from reviews.cards.types import Caution, Part, Rendered, Role, Severity, Value

if TYPE_CHECKING:
    from sqlglot.expressions import Expr

SQL_OPTIONS: Final = {
    "dialect": "The database that runs it: postgres, mysql, sqlite, tsql, oracle, bigquery, snowflake, …",
    "functions": "Functions of yours that only read",
}

READS: Final = "Reads"
DELETES: Final = "Deletes rows"
ROWS: Final = "Changes rows"
STRUCTURE: Final = "Changes structure"
PERMISSIONS: Final = "Changes permissions"
PROGRAM: Final = "Runs a program"
NOT_INSPECTED: Final = "Not inspected"
_ORDER: Final = (NOT_INSPECTED, PROGRAM, PERMISSIONS, STRUCTURE, DELETES, ROWS, READS)

# Without a declared dialect all of these must read the text alike.
_COMMON: Final = ("postgres", "mysql", "sqlite")
# Beyond this parsing costs more than a card may; the text is shown whole all the same.
_LONGEST: Final = 20_000


@dataclass(frozen=True, slots=True)
class Reading:
    """What one dialect makes of a text. `natures` in order of weight; `tables` as written, in order."""

    natures: tuple[str, ...]
    tables: tuple[str, ...] = ()
    cautions: tuple[Caution, ...] = ()


_UNREAD: Final = Reading((NOT_INSPECTED,))


def sql(value: Value) -> Rendered:
    """The text, every line of it, below what it does and to which tables."""
    written = want(value.value, str)
    dialect = value.options.get("dialect")
    functions = frozenset(name.casefold() for name in option_texts(value.options, "functions"))
    reading = read_sql(written, dialect=dialect if isinstance(dialect, str) else "", functions=functions)
    inspected = NOT_INSPECTED not in reading.natures
    head: list[Part] = []
    for nature in reading.natures:
        head.extend((Part(nature, Role.CHIP), Part(" ")))
    if reading.tables:
        head.append(Part(f"tables: {', '.join(flat(table) for table in reading.tables)}", Role.QUIET))
    body, hidden = mono_lines(written, first=1 if "\n" in written else None)
    cautions = [] if inspected else [Caution("not_inspected")]
    cautions += [*reading.cautions, *hidden]
    # A comment can talk to the reader as any other text can.
    cautions += [
        item for item in text_cautions(written, reveal(written)) if item.code in ("claims_approval", "our_words")
    ]
    short = " and ".join(nature.lower() if at else nature for at, nature in enumerate(reading.natures))
    return Rendered(
        (*head, Part("\n"), *body),
        frozenset([value.pointer]),
        cautions=distinct(cautions),
        inspected=inspected,
        short=f"{short}: {', '.join(flat(table) for table in reading.tables)}" if reading.tables else short,
        exact=written,
        can_copy=True,
    )


def read_sql(text: str, *, dialect: str = "", functions: frozenset[str] = frozenset()) -> Reading:
    """What a SQL text does, by its tree. Total: what cannot be read is *Not inspected*.

    Any `/*!` is not inspected: MySQL runs what others take for a comment.
    """
    if not text.strip() or len(text) > _LONGEST or "/*!" in text or "/*M!" in text:
        return _UNREAD
    return _read_all(text, dialect.strip().casefold(), functions)


@lru_cache(maxsize=256)
def _read_all(text: str, dialect: str, functions: frozenset[str]) -> Reading:
    if dialect:
        return _read(text, dialect, functions)
    readings = [_read(text, name, functions) for name in _COMMON]
    if any(reading != readings[0] for reading in readings) or NOT_INSPECTED in readings[0].natures:
        found = sorted({nature for item in readings for nature in item.natures} - {READS}, key=_ORDER.index)
        natures = tuple(found) if NOT_INSPECTED in found else (NOT_INSPECTED, *found)
        strongest = max(readings, key=lambda item: len(item.cautions))
        differ = any(reading != readings[0] for reading in readings)
        said = (Caution("sql_no_dialect"),) if differ else ()
        return Reading(natures, strongest.tables, (*said, *strongest.cautions))
    return readings[0]


def _read(text: str, dialect: str, functions: frozenset[str]) -> Reading:
    # Imported here: a desk that shows no SQL pays nothing for the parser.
    import sqlglot

    # It would log the text that it cannot read, and logs never carry parameters.
    logging.getLogger("sqlglot").setLevel(logging.CRITICAL)
    try:
        statements = [item for item in sqlglot.parse(text, read=dialect) if item is not None]
        return _Walk(functions).over(statements)
    except Exception:  # a parser's own mistake, too deep a nesting, an unknown dialect: all the same to the reader
        return _UNREAD


class _Walk:
    """Gathers what a list of parsed statements does."""

    def __init__(self, functions: frozenset[str]) -> None:
        self.functions = functions
        self.natures: set[str] = set()
        self.cautions: list[Caution] = []
        self.unknown: list[str] = []

    def over(self, statements: list[Expr]) -> Reading:
        """The reading of all statements together."""
        from sqlglot import exp

        real = [item for item in statements if not isinstance(item, exp.Semicolon)]
        if not real:
            return _UNREAD
        for statement in real:
            self._root(statement)
            for node in statement.walk():
                self._node(node)
        if len(real) > 1:
            self.cautions.append(Caution("sql_several", Severity.CAUTION, {"count": f"{len(real):,}"}))
        if self.unknown:
            names = ", ".join(dict.fromkeys(flat(name) for name in self.unknown))
            self.cautions.append(Caution("sql_unknown_function", Severity.CAUTION, {"names": names[:200]}))
            self.natures.add(NOT_INSPECTED)
        for nature, code in ((STRUCTURE, "sql_structure"), (PERMISSIONS, "sql_permissions"), (PROGRAM, "sql_program")):
            if nature in self.natures:
                self.cautions.append(Caution(code, Severity.DANGER if nature != STRUCTURE else Severity.CAUTION))
        if self.natures - {READS, NOT_INSPECTED}:
            self.natures.discard(READS)
        natures = tuple(sorted(self.natures or {NOT_INSPECTED}, key=_ORDER.index))
        return Reading(natures, _tables(real), distinct(self.cautions))

    def _root(self, statement: Expr) -> None:
        """What a statement is as a whole. Only what is named here counts as read."""
        from sqlglot import exp

        if isinstance(statement, exp.Query | exp.Values):
            self.natures.add(READS)
        elif isinstance(statement, exp.Describe):
            # MySQL's EXPLAIN comes as this too, and EXPLAIN ANALYZE runs what it explains.
            self.natures.add(READS if isinstance(statement.this, exp.Table) else NOT_INSPECTED)
        elif not isinstance(statement, (*_rows(), *_structure(), *_permissions(), exp.Copy)):
            self.natures.add(NOT_INSPECTED)

    def _node(self, node: Expr) -> None:
        from sqlglot import exp

        if isinstance(node, _rows()):
            self.natures.add(DELETES if isinstance(node, exp.Delete | exp.TruncateTable) else ROWS)
            self._where(node)
        elif isinstance(node, _permissions()):
            self.natures.add(PERMISSIONS)
        elif isinstance(node, _structure()):
            self.natures.add(STRUCTURE)
            if isinstance(node, exp.Create) and str(node.args.get("kind")).upper() not in _PLAIN_KINDS:
                self.natures.add(NOT_INSPECTED)  # a body that runs later
        elif isinstance(node, exp.Into):
            self.natures.add(STRUCTURE)
            target = node.this.sql() if node.this else "a table"
            self.cautions.append(Caution("sql_into", Severity.CAUTION, {"table": flat(target)}))
        elif isinstance(node, exp.Copy):
            self._copy(node)
        elif isinstance(node, exp.Command):
            self._command(node)
        elif isinstance(node, exp.Lock):
            self.cautions.append(Caution("sql_locks", Severity.INFO))
        elif isinstance(node, exp.ReadCSV | exp.ReadParquet):
            self.natures.add(PROGRAM)
        elif isinstance(node, exp.Func) and isinstance(node.parent, exp.Dot):
            # A function of somebody's own schema may bear any name.
            self.unknown.append(node.parent.sql().partition("(")[0])
        elif isinstance(node, exp.Anonymous | exp.AnonymousAggFunc):
            self._function(str(node.this))
        elif isinstance(node, exp.Func) and node.sql_name().casefold() in PROGRAM_FUNCTIONS:
            self.natures.add(PROGRAM)

    def _function(self, name: str) -> None:
        plain = name.casefold()
        if plain in PROGRAM_FUNCTIONS:
            self.natures.add(PROGRAM)
        elif plain not in PLAIN_FUNCTIONS and plain not in self.functions:
            self.unknown.append(name)

    def _command(self, node: Expr) -> None:
        """A statement the parser keeps as text: nothing is known of it but its first words."""
        words = f"{node.this} {node.args.get('expression') or ''}".upper().split()
        if words[0] in ("GRANT", "REVOKE", "REASSIGN") or (
            words[0] in ("ALTER", "CREATE", "DROP", "SET") and set(words[1:3]) & _PERMISSION_WORDS
        ):
            self.natures.add(PERMISSIONS)
        elif words[0] in ("ALTER", "CREATE", "DROP", "RENAME"):
            self.natures.add(STRUCTURE)
        elif words[0] in ("REPLACE", "INSERT", "UPDATE", "DELETE", "MERGE"):
            self.natures.add(DELETES if words[0] == "DELETE" else ROWS)
        self.natures.add(NOT_INSPECTED)

    def _copy(self, node: Expr) -> None:
        """COPY moves rows by the connection; with a file or a program, the server reads, writes or runs something."""
        files = [str(item.sql()).strip("'\"").upper() for item in node.args.get("files") or []]
        if not files or any(name not in ("STDIN", "STDOUT") for name in files):
            self.natures.add(PROGRAM)
        # `kind` is true for COPY … FROM.
        self.natures.add(ROWS if node.args.get("kind") else READS)

    def _where(self, node: Expr) -> None:
        from sqlglot import exp

        if not isinstance(node, exp.Update | exp.Delete):
            if isinstance(node, exp.TruncateTable):
                tables = ", ".join(flat(table.sql()) for table in node.expressions)
                self._every_row("sql_no_where", "TRUNCATE", tables)
            return
        verb = "UPDATE" if isinstance(node, exp.Update) else "DELETE"
        target = node.this
        table = flat(_name(target)) if isinstance(target, exp.Table) else "the table"
        where = node.args.get("where")
        if where is None:
            self._every_row("sql_no_where", verb, table)
        elif _is_always_true(where.this):
            self._every_row("sql_always_true", verb, table)

    def _every_row(self, code: str, verb: str, table: str) -> None:
        self.cautions.append(Caution(code, Severity.DANGER, {"verb": verb, "table": table or "the table"}))


_PLAIN_KINDS: Final = frozenset({"TABLE", "VIEW", "INDEX", "SCHEMA", "SEQUENCE", "DATABASE", "TYPE"})
_PERMISSION_WORDS: Final = frozenset({"USER", "ROLE", "LOGIN", "GROUP", "PRIVILEGES", "OWNER", "PASSWORD", "SESSION"})


@lru_cache(maxsize=1)
def _rows() -> tuple[type[Expr], ...]:
    from sqlglot import exp

    return (exp.Insert, exp.Update, exp.Delete, exp.Merge, exp.TruncateTable)


@lru_cache(maxsize=1)
def _structure() -> tuple[type[Expr], ...]:
    from sqlglot import exp

    return (exp.Create, exp.Drop, exp.Alter, exp.Comment)


@lru_cache(maxsize=1)
def _permissions() -> tuple[type[Expr], ...]:
    from sqlglot import exp

    return (exp.Grant, exp.Revoke)


def _name(table: Expr) -> str:
    return ".".join(part for part in (table.args.get("catalog"), table.args.get("db"), table.this) if part for part in [
        part.name if hasattr(part, "name") else str(part)])  # fmt: skip


def _tables(statements: Iterable[Expr]) -> tuple[str, ...]:
    """Every table named, common table expressions left out."""
    from sqlglot import exp

    found: dict[str, None] = {}
    for statement in statements:
        inner = {cte.alias_or_name for cte in statement.find_all(exp.CTE)}
        for table in statement.find_all(exp.Table):
            name = _name(table)
            if name and name not in inner and not isinstance(table.this, exp.Func):
                found.setdefault(name)
    return tuple(found)


def _is_always_true(condition: Expr) -> bool:
    """Whether a condition lets every row through, as far as constants and a value compared with itself tell."""
    from sqlglot import exp
    from sqlglot.optimizer.simplify import simplify

    if _holds(condition):
        return True
    simple = simplify(condition.copy())
    return (isinstance(simple, exp.Boolean) and bool(simple.this)) or _holds(simple)


def _holds(condition: Expr) -> bool:
    from sqlglot import exp

    if isinstance(condition, exp.Paren):
        return _holds(condition.this)
    if isinstance(condition, exp.Or):
        return _holds(condition.this) or _holds(condition.expression)
    if isinstance(condition, exp.And):
        return _holds(condition.this) and _holds(condition.expression)
    if isinstance(condition, exp.Boolean):
        return bool(condition.this)
    if isinstance(condition, exp.Literal):
        return not condition.is_string and condition.name.strip("0.") != ""
    if isinstance(condition, exp.Not):
        inner = condition.this.unnest() if isinstance(condition.this, exp.Paren) else condition.this
        if isinstance(inner, exp.Is) and isinstance(inner.expression, exp.Null):
            return isinstance(inner.this, exp.Literal)
        return isinstance(inner, exp.Boolean) and not inner.this
    if isinstance(condition, exp.EQ | exp.GTE | exp.LTE | exp.NullSafeEQ):
        return bool(condition.this == condition.expression)
    if isinstance(condition, exp.Like | exp.ILike):
        return condition.expression.is_string and set(condition.expression.name) == {"%"}
    if isinstance(condition, exp.In):
        return condition.this in condition.expressions
    if isinstance(condition, exp.Is):
        return isinstance(condition.this, exp.Null) and isinstance(condition.expression, exp.Null)
    if isinstance(condition, exp.Exists):
        query = condition.this
        return isinstance(query, exp.Select) and query.args.get("from_") is None and query.args.get("where") is None
    return False
