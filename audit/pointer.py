"""JSON pointers (RFC 6901): writing, resolving, and naming every leaf of a document."""

from __future__ import annotations

from collections.abc import Iterator


class MissingError(LookupError):
    """The pointer leads nowhere in this document."""


def token(key: str | int) -> str:
    """One escaped step of a pointer."""
    return str(key).replace("~", "~0").replace("/", "~1")


def resolve(document: object, pointer: str) -> object:
    """The value at `pointer`; the empty pointer is the whole document. Raises MissingError."""
    if pointer and not pointer.startswith("/"):
        raise MissingError(pointer)
    value = document
    for step in pointer.split("/")[1:]:
        key = step.replace("~1", "/").replace("~0", "~")
        if isinstance(value, dict) and key in value:
            value = value[key]
        elif (
            isinstance(value, list)
            and key.isascii()
            and key.isdigit()
            and int(key) < len(value)
            and str(int(key)) == key
        ):
            value = value[int(key)]
        else:
            raise MissingError(pointer)
    return value


def leaves(document: object, pointer: str = "") -> Iterator[str]:
    """The pointer of every scalar, empty list and empty object, in document order. An empty root object has none."""
    if isinstance(document, dict) and document:
        for key, value in document.items():
            yield from leaves(value, f"{pointer}/{token(key)}")
    elif isinstance(document, list) and document:
        for index, value in enumerate(document):
            yield from leaves(value, f"{pointer}/{index}")
    elif pointer or not isinstance(document, dict):
        yield pointer
