"""The checked syntax tree of a condition, read from the engine's own serialized form.

`Expression.serialize()` is a protobuf `cel.expr.CheckedExpr` inside an `Any`. This reader knows the few fields that
the checks need and refuses what it does not know, so that no construct passes unseen. Nothing is ever deserialized
into the engine. Source: cel-spec, proto/cel/expr/{checked,syntax}.proto.
"""

from __future__ import annotations

import struct
from collections.abc import Iterator
from dataclasses import dataclass
from typing import TypeAlias


@dataclass(frozen=True)
class Const:
    """A literal: None, bool, int (also of unsigned), float, str or bytes."""

    id: int
    value: bool | int | float | str | bytes | None


@dataclass(frozen=True)
class Ident:
    """A name: a root or a loop's variable."""

    id: int
    name: str


@dataclass(frozen=True)
class Select:
    """`operand.field`, or `has(operand.field)` when `test`."""

    id: int
    operand: Node
    field: str
    test: bool


@dataclass(frozen=True)
class Invoke:
    """A function or operator (`_&&_`, `_>_`, `@in`, `_[_]`); `target` for member calls."""

    id: int
    function: str
    target: Node | None
    arguments: tuple[Node, ...]


@dataclass(frozen=True)
class Items:
    """A list literal."""

    id: int
    elements: tuple[Node, ...]


@dataclass(frozen=True)
class Pairs:
    """A map literal."""

    id: int
    keys: tuple[Node, ...]
    values: tuple[Node, ...]


@dataclass(frozen=True)
class Loop:
    """An expanded `all`, `exists`, `exists_one` or `filter`; `starts_true` marks `all`."""

    id: int
    variable: str
    source: Node
    body: tuple[Node, ...]
    starts_true: bool


Node: TypeAlias = Const | Ident | Select | Invoke | Items | Pairs | Loop


@dataclass(frozen=True)
class Tree:
    """The root node, and for each node id its offset in the source (code points)."""

    root: Node
    positions: dict[int, int]


class UnknownSyntaxError(ValueError):
    """The serialized tree holds something this reader does not know."""


_Fields: TypeAlias = dict[int, list[int | bytes]]


def _varint(data: bytes, at: int) -> tuple[int, int]:
    value = shift = 0
    while True:
        byte = data[at]
        value |= (byte & 0x7F) << shift
        at += 1
        if byte < 0x80:
            return value, at
        shift += 7


def _signed(value: int) -> int:
    return value - (1 << 64) if value >= 1 << 63 else value


def _fields(data: bytes) -> _Fields:
    found: _Fields = {}
    at = 0
    while at < len(data):
        tag, at = _varint(data, at)
        number, kind = tag >> 3, tag & 7
        value: int | bytes
        if kind == 0:
            value, at = _varint(data, at)
        elif kind == 1:
            value, at = data[at : at + 8], at + 8
        elif kind == 2:
            length, at = _varint(data, at)
            value, at = data[at : at + length], at + length
        else:
            raise UnknownSyntaxError(f"wire type {kind}")
        found.setdefault(number, []).append(value)
    return found


def _one_bytes(fields: _Fields, number: int) -> bytes:
    value = fields.get(number, [b""])[-1]
    if not isinstance(value, bytes):
        raise UnknownSyntaxError(f"field {number}")
    return value


def _one_int(fields: _Fields, number: int) -> int:
    value = fields.get(number, [0])[-1]
    if not isinstance(value, int):
        raise UnknownSyntaxError(f"field {number}")
    return value


def _all_bytes(fields: _Fields, number: int) -> list[bytes]:
    return [value for value in fields.get(number, []) if isinstance(value, bytes)]


def _const(fields: _Fields) -> bool | int | float | str | bytes | None:
    if 1 in fields:
        return None
    if 2 in fields:
        return bool(_one_int(fields, 2))
    if 3 in fields:
        return _signed(_one_int(fields, 3))
    if 4 in fields:
        return _one_int(fields, 4)
    if 5 in fields:
        number: float = struct.unpack("<d", _one_bytes(fields, 5))[0]
        return number
    if 6 in fields:
        return _one_bytes(fields, 6).decode()
    if 7 in fields:
        return _one_bytes(fields, 7)
    raise UnknownSyntaxError("constant")


def _node(data: bytes) -> Node:
    fields = _fields(data)
    node_id = _one_int(fields, 2)
    if 3 in fields:
        return Const(node_id, _const(_fields(_one_bytes(fields, 3))))
    if 4 in fields:
        return Ident(node_id, _one_bytes(_fields(_one_bytes(fields, 4)), 1).decode())
    if 5 in fields:
        select = _fields(_one_bytes(fields, 5))
        return Select(node_id, _node(_one_bytes(select, 1)), _one_bytes(select, 2).decode(), bool(_one_int(select, 3)))
    if 6 in fields:
        call = _fields(_one_bytes(fields, 6))
        target = _node(_one_bytes(call, 1)) if 1 in call else None
        arguments = tuple(_node(argument) for argument in _all_bytes(call, 3))
        return Invoke(node_id, _one_bytes(call, 2).decode(), target, arguments)
    if 7 in fields:
        items = _fields(_one_bytes(fields, 7))
        return Items(node_id, tuple(_node(element) for element in _all_bytes(items, 1)))
    if 8 in fields:
        pairs = _fields(_one_bytes(fields, 8))
        if 1 in pairs:
            raise UnknownSyntaxError("message literal")
        entries = [_fields(entry) for entry in _all_bytes(pairs, 2)]
        keys = tuple(_node(_one_bytes(entry, 3)) for entry in entries)
        return Pairs(node_id, keys, tuple(_node(_one_bytes(entry, 4)) for entry in entries))
    if 9 in fields:
        loop = _fields(_one_bytes(fields, 9))
        start = _node(_one_bytes(loop, 4))
        return Loop(
            node_id,
            _one_bytes(loop, 1).decode(),
            _node(_one_bytes(loop, 2)),
            tuple(_node(_one_bytes(loop, number)) for number in (5, 6, 7)),
            isinstance(start, Const) and start.value is True,
        )
    raise UnknownSyntaxError(f"expression with fields {sorted(fields)}")


def read_tree(serialized: bytes) -> Tree:
    """The tree of a compiled condition. Raises UnknownSyntaxError for what this reader does not know."""
    checked = _fields(_one_bytes(_fields(serialized), 2))
    positions = {}
    for entry in _all_bytes(_fields(_one_bytes(checked, 5)), 4):
        pair = _fields(entry)
        positions[_one_int(pair, 1)] = _one_int(pair, 2)
    return Tree(_node(_one_bytes(checked, 4)), positions)


def children(node: Node) -> tuple[Node, ...]:
    """The nodes directly below."""
    if isinstance(node, Select):
        return (node.operand,)
    if isinstance(node, Invoke):
        return ((node.target,) if node.target else ()) + node.arguments
    if isinstance(node, Items):
        return node.elements
    if isinstance(node, Pairs):
        return node.keys + node.values
    if isinstance(node, Loop):
        return (node.source, *node.body)
    return ()


def walk(node: Node, loops: tuple[Loop, ...] = ()) -> Iterator[tuple[Node, tuple[Loop, ...]]]:
    """Every node with the loops whose bodies it stands in, outermost first."""
    yield node, loops
    if isinstance(node, Loop):
        yield from walk(node.source, loops)
        for part in node.body:
            yield from walk(part, (*loops, node))
    else:
        for child in children(node):
            yield from walk(child, loops)


def path_of(node: Node) -> tuple[str, ...] | None:
    """The path that a chain of fields and literal text indexes reads, its first name included, or None."""
    if isinstance(node, Ident):
        return (node.name,)
    if isinstance(node, Select):
        base = path_of(node.operand)
        return (*base, node.field) if base else None
    if isinstance(node, Invoke) and node.function == "_[_]":
        base = path_of(node.arguments[0])
        index = node.arguments[1]
        if base and isinstance(index, Const) and isinstance(index.value, str):
            return (*base, index.value)
    return None
