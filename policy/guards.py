"""Which reads of `params` a JSON Schema or a `has()` makes safe.

`&&` and `||` absorb an error when the other side decides, so a guard counts on either side of them. Each level of a
path needs its own guard. Source: the policy design, section 4.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from typing import TypeAlias

from policy import tree

Path: TypeAlias = tuple[str, ...]
Guards: TypeAlias = frozenset[Path]


def _properties(schema: object) -> Mapping[str, object]:
    found = schema.get("properties") if isinstance(schema, Mapping) else None
    return found if isinstance(found, Mapping) else {}


def requires(schema: Mapping[str, object], path: Path) -> bool:
    """Whether the schema requires the path and all its parents."""
    at: object = schema
    for step in path:
        required = at.get("required") if isinstance(at, Mapping) else None
        if not isinstance(required, Sequence) or step not in required:
            return False
        at = _properties(at).get(step)
    return True


def may_have(schema: Mapping[str, object], path: Path) -> bool:
    """Whether the schema leaves room for the path."""
    at: object = schema
    for step in path:
        if not isinstance(at, Mapping) or not _properties(at):
            return True
        if step not in _properties(at):
            return at.get("additionalProperties", True) is not False
        at = _properties(at)[step]
    return True


def type_at(schema: Mapping[str, object], path: Path) -> str | None:
    """The one type the schema names for the path, or None."""
    at: object = schema
    for step in path:
        at = _properties(at).get(step)
    kind = at.get("type") if isinstance(at, Mapping) else None
    return kind if isinstance(kind, str) else None


def paths_in(schema: Mapping[str, object], *, depth: int = 4) -> Iterator[Path]:
    """The paths the schema names, to a depth."""
    for name, below in _properties(schema).items():
        yield (name,)
        if depth > 1 and isinstance(below, Mapping):
            yield from ((name, *path) for path in paths_in(below, depth=depth - 1))


def unguarded_reads(root: tree.Node, schemas: Sequence[Mapping[str, object]]) -> Iterator[tuple[tree.Node, Path]]:
    """Each read of a `params` path that may be missing, once, with the shortest missing path."""
    seen: set[Path] = set()
    for node, missing in _reads(root, frozenset()):
        for path in missing:
            if not all(requires(schema, path[1:]) for schema in schemas):
                if path not in seen:
                    seen.add(path)
                    yield node, path
                break


def _reads(node: tree.Node, known: Guards) -> Iterator[tuple[tree.Node, tuple[Path, ...]]]:
    """Each `params` path that is read below a node, as those of its prefixes that nothing guards."""
    if isinstance(node, tree.Select) and node.test:
        yield from _reads(node.operand, known)
        return
    path = tree.path_of(node)
    if path and len(path) > 1:
        if path[0] == "params":
            prefixes = (path[:length] for length in range(2, len(path) + 1))
            yield node, tuple(prefix for prefix in prefixes if prefix not in known)
        return
    if isinstance(node, tree.Invoke) and node.function in ("_&&_", "_||_"):
        when = node.function == "_&&_"
        sides = [_guards(argument, when) for argument in node.arguments]
        for index, argument in enumerate(node.arguments):
            others = frozenset().union(*(side for at, side in enumerate(sides) if at != index))
            yield from _reads(argument, known | others)
    elif isinstance(node, tree.Invoke) and node.function == "_?_:_":
        condition, then, otherwise = node.arguments
        yield from _reads(condition, known)
        yield from _reads(then, known | _guards(condition, True))
        yield from _reads(otherwise, known | _guards(condition, False))
    else:
        for child in tree.children(node):
            yield from _reads(child, known)


def _guards(node: tree.Node, when: bool) -> Guards:
    """The paths known to be there when the node is `when`."""
    if isinstance(node, tree.Select) and node.test:
        base = tree.path_of(node.operand)
        return frozenset({(*base, node.field)}) if when and base else frozenset()
    if isinstance(node, tree.Invoke):
        if node.function == "!_":
            return _guards(node.arguments[0], not when)
        if node.function in ("_&&_", "_||_"):
            sides = [_guards(argument, when) for argument in node.arguments]
            # True `&&` and false `||` settle every side; otherwise only what all sides know.
            if (node.function == "_&&_") == when:
                return frozenset().union(*sides)
            return frozenset.intersection(*sides)
    return frozenset()
