"""Whether params fit the JSON schema that an admin accepted. Nothing is ever fetched for a `$ref`."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, Final

from jsonschema import Draft202012Validator
from jsonschema.validators import validator_for
from referencing import Registry

from audit.pointer import token

MOST_ERRORS: Final = 10
UNREADABLE: Final = "The schema of this action cannot be read, so nothing can be checked against it."
_SENTENCES: Final = {
    "maximum": "The most is {0}.",
    "exclusiveMaximum": "It must be less than {0}.",
    "minimum": "The least is {0}.",
    "exclusiveMinimum": "It must be more than {0}.",
    "maxLength": "At most {0} characters.",
    "minLength": "At least {0} characters.",
    "maxItems": "At most {0} entries.",
    "minItems": "At least {0} entries.",
    "multipleOf": "It must be a multiple of {0}.",
}


def schema_errors(schema: Mapping[str, object] | None, params: Mapping[str, Any]) -> dict[str, str]:
    """What of the params does not fit, by pointer; empty without a schema. A schema that cannot be used fits nothing."""
    if schema is None:
        return {}
    try:
        kind = validator_for(schema, default=Draft202012Validator)
        # An empty registry: a reference to another document fails instead of being fetched.
        found = sorted(kind(schema, registry=Registry()).iter_errors(dict(params)), key=lambda one: len(one.path))
    except Exception:  # a schema is written by hand: whatever is wrong with it, nothing passes unchecked
        return {"": UNREADABLE}
    return {
        "".join(f"/{token(step)}" for step in error.absolute_path): _sentence(error) for error in found[:MOST_ERRORS]
    }


def _sentence(error: Any) -> str:
    # The library's own text repeats the value; the name of what failed is enough beside the field.
    known = _SENTENCES.get(error.validator)
    if known is not None:
        return known.format(error.validator_value)
    return f"It does not fit the schema ({error.validator})."
