"""What stands before the first start: the demo's seeding."""

from __future__ import annotations

import json
import secrets
from pathlib import Path
from typing import Any

import pytest

from guardsite.management.commands import prepare
from reviews.management.commands import seed_demo


def test_a_password_that_begins_with_a_dash_is_no_option_of_the_seeding(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    seeded: list[str] = []

    def seed(self: seed_demo.Command, **options: Any) -> None:
        seeded.append(options["password"])

    monkeypatch.setattr(secrets, "token_urlsafe", lambda size: "-begins-with-a-dash")
    monkeypatch.setattr(prepare.Command, "_has_tenants", staticmethod(lambda: False))
    monkeypatch.setattr(seed_demo.Command, "handle", seed)
    prepare.Command()._seed_once(tmp_path)  # the first start alone calls it
    assert seeded == ["-begins-with-a-dash"]
    assert json.loads((tmp_path / "demo.json").read_text(encoding="utf-8")) == {"password": "-begins-with-a-dash"}
