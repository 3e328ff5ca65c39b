"""YAML of plain values only: each mistake refused with its line and column. Pure.

Refused: tags, anchors, aliases, merge keys, duplicate keys, unquoted yes, no, on, off and their kin (two versions of YAML
read them differently), more than one document, more than 1 MB, more than 32 levels. Dates stay text. What `dump` writes,
`load` reads back the same. Source: the policy design, section 7.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, Final, TypeAlias

import yaml

MAX_BYTES: Final = 1_000_000
MAX_DEPTH: Final = 32

# A key or an index for each level.
Path: TypeAlias = tuple[str | int, ...]

_LOADER: Final[Any] = getattr(yaml, "CSafeLoader", yaml.SafeLoader)  # libyaml's, many times as fast, where it is there
_DOUBTFUL: Final = re.compile(r"(?i:yes|no|on|off|y|n)|True|TRUE|False|FALSE|Null|NULL")
# Less than YAML 1.1 takes for numbers: no 0x10, 010, 1_000 or 1:30, which people mean as text as often.
_INTEGER: Final = re.compile(r"-?(0|[1-9][0-9]{0,17})")
_DECIMAL: Final = re.compile(r"-?(0|[1-9][0-9]{0,17})\.[0-9]{1,18}(e[-+][0-9]{1,3})?")
_WORDS: Final[Mapping[str, bool | None]] = {"true": True, "false": False, "null": None, "~": None, "": None}


class BadYaml(ValueError):
    """A text that is not in this form; `line` and `column` count from 1."""

    def __init__(self, line: int, column: int, sentence: str) -> None:
        super().__init__(f"Line {line}, column {column}: {sentence}")
        self.line, self.column, self.sentence = line, column, sentence


@dataclass(frozen=True)
class Document:
    """A value, and where each part of it stands in the text (from 1)."""

    value: object
    marks: Mapping[Path, tuple[int, int]]

    def mark(self, path: Path) -> tuple[int, int]:
        """Where the part stands, or the nearest part around it that does."""
        while path and path not in self.marks:
            path = path[:-1]
        return self.marks.get(path, (1, 1))


def load(text: str) -> Document:
    """The one document of a text. Raises BadYaml."""
    if len(text.encode("utf-8", "surrogatepass")) > MAX_BYTES:
        raise BadYaml(1, 1, "The text is longer than 1 MB.")
    try:
        _look(text)
        node = yaml.compose(text, Loader=_LOADER)
    except yaml.MarkedYAMLError as error:
        mark = error.problem_mark or error.context_mark
        line, column = (mark.line + 1, mark.column + 1) if mark else (1, 1)
        raise BadYaml(line, column, f"This is no YAML: {error.problem or 'not readable'}.") from None
    except (yaml.YAMLError, UnicodeError) as error:  # a character that YAML does not have
        reason = str(getattr(error, "reason", "")) or "not readable"
        raise BadYaml(1, 1, f"This is no YAML: {reason}.") from None
    marks: dict[Path, tuple[int, int]] = {}
    value = None if node is None else _value(node, (), marks)
    return Document(value, marks)


def _look(text: str) -> None:
    """What must be refused before anything is built of it."""
    depth = documents = 0
    for event in yaml.parse(text, Loader=_LOADER):
        if isinstance(event, yaml.AliasEvent) or getattr(event, "anchor", None):
            raise _bad(event, "Anchors and aliases are not allowed.")
        if getattr(event, "tag", None):
            raise _bad(event, "Tags are not allowed.")
        if isinstance(event, yaml.CollectionStartEvent):
            depth += 1
            if depth > MAX_DEPTH:
                raise _bad(event, f"Nested deeper than {MAX_DEPTH} levels.")
        elif isinstance(event, yaml.CollectionEndEvent):
            depth -= 1
        elif isinstance(event, yaml.DocumentStartEvent):
            documents += 1
            if documents > 1:
                raise _bad(event, "One file holds one document.")


def _value(node: yaml.Node, path: Path, marks: dict[Path, tuple[int, int]]) -> object:
    marks[path] = (node.start_mark.line + 1, node.start_mark.column + 1)
    if isinstance(node, yaml.ScalarNode):
        return _scalar(node)
    if isinstance(node, yaml.SequenceNode):
        return [_value(item, (*path, index), marks) for index, item in enumerate(node.value)]
    found: dict[str, object] = {}
    for key, value in node.value:
        name = _scalar(key) if isinstance(key, yaml.ScalarNode) else None
        if not isinstance(name, str):
            raise _bad(key, "A key is text; put it in quotes.")
        if name == "<<" and not key.style:
            raise _bad(key, "Merge keys are not allowed.")
        if name in found:
            raise _bad(key, f"The key {name} is here twice.")
        found[name] = _value(value, (*path, name), marks)
    return found


def _scalar(node: yaml.ScalarNode) -> str | int | float | bool | None:
    text: str = node.value
    if node.style:  # quoted, or a block: text; libyaml says "" for plain
        return text
    if _DOUBTFUL.fullmatch(text):
        raise _bad(node, f"Write true, false or null, or put {text} in quotes.")
    if text in _WORDS:
        return _WORDS[text]
    if _INTEGER.fullmatch(text):
        return int(text)
    return float(text) if _DECIMAL.fullmatch(text) else text


def _bad(where: yaml.Node | yaml.Event, sentence: str) -> BadYaml:
    mark = where.start_mark
    return BadYaml(mark.line + 1, mark.column + 1, sentence) if mark else BadYaml(1, 1, sentence)


class Flow(dict[str, object]):
    """An object that is written on one line."""


class FlowList(list[object]):
    """A list that is written on one line."""


class _Dumper(yaml.SafeDumper):
    """Writes what `load` reads back the same; never an anchor."""

    def ignore_aliases(self, data: object) -> bool:
        """Equal values are written out."""
        return True

    def increase_indent(self, flow: bool = False, indentless: bool = False) -> None:
        """Lists stand in from their key."""
        super().increase_indent(flow, False)


def _text_node(dumper: yaml.SafeDumper, text: str) -> yaml.Node:
    style = "'" if _DOUBTFUL.fullmatch(text) else "|" if "\n" in text else None
    return dumper.represent_scalar("tag:yaml.org,2002:str", text, style=style)


_Dumper.add_representer(str, _text_node)
_Dumper.add_representer(Flow, lambda dumper, data: dumper.represent_mapping("tag:yaml.org,2002:map", data, True))
_Dumper.add_representer(FlowList, lambda dumper, data: dumper.represent_sequence("tag:yaml.org,2002:seq", data, True))


def dump(value: object) -> str:
    """The value as text, always the same for the same value; keys stay in their order."""
    text: str = yaml.dump(
        value, Dumper=_Dumper, sort_keys=False, allow_unicode=True, default_flow_style=False, width=2**30
    )
    return text
