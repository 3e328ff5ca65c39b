"""Is this a JSON Schema: what is wrong with the text or with the schema, and where. Pure.

The words are ours: the library's repeat the whole schema. A `$ref` is looked at, never followed.
"""

from __future__ import annotations

import json
from collections.abc import Mapping
from typing import Any, Final

from jsonschema import Draft202012Validator, SchemaError
from jsonschema.validators import validator_for

_SYNTAX: Final = {
    "Expecting ',' delimiter": "a comma or a closing bracket is missing",
    "Expecting ':' delimiter": "a colon is missing after the name",
    "Expecting property name enclosed in double quotes": "a name in double quotes is missing, or there is a comma too many",
    "Illegal trailing comma before end of object": "there is a comma too many",
    "Illegal trailing comma before end of array": "there is a comma too many",
    "Expecting value": "a value is missing",
    "Unterminated string starting at": "this text has no closing quote",
    "Invalid control character at": "a line break or tab inside a text; write \\n or \\t",
    "Invalid \\escape": "a backslash in a text; write two",
    "Extra data": "there is more after the end",
}
_TYPES: Final = ("object", "array", "string", "number", "integer", "boolean", "null")


class BadSchema(ValueError):
    """Not a JSON Schema; the message is for the author."""


def schema_in(text: str) -> dict[str, Any]:
    """The schema that the text holds. Raises BadSchema with line and column, or with the place in the schema."""
    try:
        found = json.loads(text, parse_constant=_refuse, object_pairs_hook=_each_name_once)
    except json.JSONDecodeError as error:
        words = _SYNTAX.get(error.msg, error.msg)
        raise BadSchema(f"Line {error.lineno}, column {error.colno}: {words}.") from None
    except RecursionError:
        raise BadSchema("It is nested too deeply.") from None
    check_schema(found)
    assert isinstance(found, dict)
    return found


def check_schema(schema: object) -> None:
    """Raise BadSchema unless it is a schema of an object, as params are."""
    if not isinstance(schema, Mapping):
        raise BadSchema('Write a JSON object, such as {"type": "object", "properties": {}}.')
    if not isinstance(schema.get("$schema", ""), str):
        raise BadSchema('At "$schema": write the address of a JSON Schema version, or leave it out.')
    try:
        validator_for(schema, default=Draft202012Validator).check_schema(schema)
    except SchemaError as error:
        raise BadSchema(f"{_place(error)}: {_sentence(error)}") from None
    except RecursionError:
        raise BadSchema("It is nested too deeply.") from None
    kinds = schema.get("type", "object")
    if "object" not in ([kinds] if isinstance(kinds, str) else kinds):
        raise BadSchema('At "type": params are an object, so write "object".')


def _refuse(constant: str) -> object:
    raise BadSchema(f"{constant} is no number of JSON.")


def _each_name_once(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    found: dict[str, Any] = {}
    for name, value in pairs:
        if name in found:
            raise BadSchema(f'"{name}" stands twice in one object.')
        found[name] = value
    return found


def _place(error: SchemaError) -> str:
    """Where in the schema, as a person walks there: At "properties", "amount", "type"."""
    return "At " + ", ".join(json.dumps(str(step), ensure_ascii=False) for step in error.absolute_path)


def _sentence(error: SchemaError) -> str:
    shown = json.dumps(error.instance, ensure_ascii=False)
    shown = shown if len(shown) <= 60 else f"{shown[:59]}…"
    if error.absolute_path and error.absolute_path[-1] == "type":
        return f"{shown} is no type; write {', '.join(_TYPES)}, or a list of these."
    if error.validator == "format":
        return f"{shown} is not in form ({error.validator_value})."
    if error.validator == "uniqueItems":
        return f"{shown} names something twice."
    if error.validator == "type":
        kinds = error.validator_value if isinstance(error.validator_value, list) else [error.validator_value]
        return f"{shown} is not {' or '.join(_a(kind) for kind in kinds)}."
    return f"{shown} does not fit here ({error.validator})."


def _a(kind: str) -> str:
    return f"{'an' if kind[0] in 'aeio' else 'a'} {kind}"
