"""The demo is made through the real write functions."""

from __future__ import annotations

import json
from datetime import UTC, datetime
from pathlib import Path

from audit.scope import as_tenant
from reviews.demo.seed import seed
from reviews.models import Review, Verdict
from reviews.states import State
from tenants.keys import authenticate


def test_the_demo_has_a_queue_verdicts_and_a_key_that_works(cloned_db: dict[str, str], tmp_path: Path) -> None:
    tenant = seed(
        password="correct horse battery",
        state_dir=tmp_path,
        base_url="http://localhost:8000",
        now=datetime.now(UTC),
    )
    with as_tenant(tenant.pk):
        assert Review.objects.filter(state=State.OPEN).count() >= 5
        assert Verdict.objects.filter(kind="approve").exists()
        assert Verdict.objects.filter(kind="deny").exists()
    written = tmp_path / "demo_agent.json"
    assert written.stat().st_mode & 0o777 == 0o600
    assert authenticate(json.loads(written.read_text())["api_key"]).tenant_id == tenant.pk
