"""A long backtest in the real worker: sent after the commit, worked off, stored."""

from __future__ import annotations

import pytest

from audit.scope import as_tenant
from guardsite.programs import wait_for
from policy import backtests
from policy.models import Backtest
from tests.factories import LARGE, SMALL, ask, enforce_refunds
from tests.people import People
from tests.policy.test_ramp import change_limit, run_backtest
from tests.processes import Desk


def test_a_worker_finishes_what_a_request_leaves(stored: People, desk: Desk, monkeypatch: pytest.MonkeyPatch) -> None:
    enforce_refunds(stored, mode="observe")
    for params in (SMALL, LARGE, SMALL):
        ask(stored, params=params, repeat="new")
    change_limit(stored, 1_000)
    desk.use_broker()
    desk.start_worker()
    monkeypatch.setattr(backtests, "IN_REQUEST", 2)
    row = run_backtest(stored)
    assert row.state == "waiting"

    def is_over() -> bool:
        with as_tenant(stored.tenant.pk):
            return Backtest.objects.get(pk=row.pk).state == "done"

    assert wait_for(is_over, seconds=30), "the worker did not finish"
    with as_tenant(stored.tenant.pk):
        row.refresh_from_db()
    assert (row.done, row.result["caught"]["count"]) == (3, 2)
