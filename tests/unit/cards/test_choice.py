"""Which formatter reads a value that no template names."""

from __future__ import annotations

from datetime import UTC, datetime
from typing import Any

import pytest

from reviews.cards.choice import chosen_formatter
from reviews.cards.types import Value

NOW = datetime(2026, 11, 21, 12, 0, tzinfo=UTC)


def chosen(key: str, value: object, schema: dict[str, Any] | None = None) -> str:
    return chosen_formatter(Value(f"/{key}", key, value, {key: value}, NOW, schema=schema))


@pytest.mark.parametrize(
    ("key", "value", "name"),
    [
        ("command", "ls -la", "shell"), ("argv", ["ls", "-la"], "shell"), ("argv", ["ls", 1], "nested"), ("argv", [], "nested"),
        ("query", "SELECT 1", "sql"), ("sql", "/* a */ -- b\n delete from x", "sql"), ("query", "red shoes", "text"),
        ("patch", "--- a\n+++ b\n@@ -1 +1 @@\n-a\n+b", "diff"), ("patch", "diff --git a/x b/x", "diff"),
        ("body_html", "hello", "html"), ("body", "<p>hello</p>", "html"), ("body", "a < b", "text"),
        ("readme", "# Hi", "markdown"), ("markdown", "hi", "markdown"), ("source_code", "a\nb", "code"), ("code", "E17", "text"),
        ("file_content", "QUJD" * 40, "binary"), ("note", "QUJD" * 40, "text"), ("image", "data:image/png;base64,aGk=", "binary"),
        ("domain", "demo.example", "domain"), ("host", "a b.c", "text"), ("hostname", "demo", "text"),
        ("url", "https://a.example/x y", "url"), ("note", "https://a.example/x", "url"), ("note", "https://a.example and more", "text"),
        ("note", "javascript:x", "url"), ("note", "java\tscript:x", "url"), ("apiKey", "abc", "secret"), ("x-api-key", "abc", "secret"),
        ("token_count", 7, "number"), ("tokens", "abc", "text"), ("session_id", "abc", "secret"),
    ],
)  # fmt: skip
def test_key_and_look_choose(key: str, value: object, name: str) -> None:
    assert chosen(key, value) == name


@pytest.mark.parametrize(
    ("value", "schema", "name"),
    [
        ("a@b.example", {"format": "email"}, "email"), ("x", {"format": "uri"}, "url"), ("x", {"format": "date-time"}, "date_time"),
        ("x", {"format": "hostname"}, "domain"), ("PT1M", {"format": "duration"}, "duration"),
        ("x", {"contentEncoding": "base64"}, "binary"), ("x", {"contentMediaType": "text/html"}, "html"),
        ("x", {"contentMediaType": "text/markdown"}, "markdown"), ("x", {"enum": ["x"]}, "enum"), (3, {"enum": [3]}, "enum"),
        ("x", {"oneOf": [{"const": "x"}]}, "enum"), ("x", {"oneOf": [{"type": "string"}]}, "text"), ("x", {"format": "made-up"}, "text"),
        ("x", {"writeOnly": True}, "secret"), ("x", {"format": "password"}, "secret"), ("x", {"x-secret": True}, "secret"),
    ],
)  # fmt: skip
def test_the_schema_chooses_before_the_key(value: object, schema: dict[str, Any], name: str) -> None:
    assert chosen("field", value, schema) == name
