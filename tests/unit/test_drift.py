"""What a tool's provider changed after an admin accepted it."""

from __future__ import annotations

from policy.tools import DescribedTool
from reviews.drift import differences


def tool(**changes: object) -> DescribedTool:
    members: dict[str, object] = {
        "title": "Refund",
        "description": "Refunds an invoice.",
        "property_titles": {"amount": "Amount in cents"},
        "annotations": {"readOnlyHint": False},
        "sha256": "a" * 64,
        "is_current": True,
        "input_schema": {"properties": {"amount": {"type": "integer", "description": "Cents."}}},
    }
    return DescribedTool(**(members | changes))  # type: ignore[arg-type]  # each test names real fields


def test_equal_definitions_differ_in_nothing() -> None:
    assert differences(tool(), tool(sha256="b" * 64)) == ()


def test_title_words_types_and_claims_are_each_told_before_and_after() -> None:
    offered = tool(
        title="Refund v2",
        annotations={"readOnlyHint": True},
        property_titles={"amount": "Amount"},
        input_schema={"properties": {"amount": {"type": "string"}, "bcc": {"type": "string"}}},
    )
    assert [(item.what, item.before, item.after) for item in differences(tool(), offered)] == [
        ("Title", "Refund", "Refund v2"),
        ("Parameter", "amount: type integer", "amount: type string"),
        ("Parameter", "", "bcc: type string"),
        ("Words for", "amount: Amount in cents", "amount: Amount"),
        ("Claim", "readOnlyHint: no", "readOnlyHint: yes"),
    ]


def test_hidden_characters_of_a_definition_are_revealed() -> None:
    (found,) = differences(tool(), tool(description="Refunds\u202e an invoice."))
    assert "\u202e" not in found.after
    assert "U+202E" in found.after
