"""The raw call shows everything but secrets, wherever they stand."""

from __future__ import annotations

import json
from datetime import UTC, datetime

from reviews.cards.present import build_card
from reviews.cards.types import CardInput
from reviews.masking import masked

TOKEN = "ghp_" + "a1B2c3D4e5" * 4
HIDING = {
    "note": f"use {TOKEN} for the push",
    "headers": [{"Authorization": f"Bearer {TOKEN}"}],
    "options": {"deep": {"deeper": {"password": "hunter2hunter2"}}},
    TOKEN: "a secret as a name",
    "plain": "nothing to see",
}


def test_the_raw_call_masks_secrets_in_texts_trees_and_names() -> None:
    card = build_card(
        CardInput(
            action_id="x.y", params=HIDING, user_context={}, agent_name="bot", now=datetime(2026, 1, 1, tzinfo=UTC)
        )
    )
    shown = json.dumps(masked(HIDING, (*card.facts, *card.other_facts)))
    assert TOKEN not in shown
    assert "hunter2hunter2" not in shown
    assert "nothing to see" in shown
