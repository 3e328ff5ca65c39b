"""Recorded calls: what came in is what is read back, in order, by glob, of one tenant; erased is not half a call."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta

import pytest
from django.db import connections

from audit.calls import calls_by_uid, calls_page, count_calls, recorded_calls, what_followed
from audit.scope import as_tenant
from tests.factories import LARGE, REFUND, SMALL, ask, decide, enforce_refunds, held_review
from tests.people import People


@pytest.fixture
def asked(committed_people: People) -> People:
    """Three refunds, one large and held, and a call of an unmapped action."""
    people = committed_people
    enforce_refunds(people, mode="observe")
    for params in (SMALL, LARGE, SMALL):
        ask(people, params=params, repeat="new")
    ask(people, action_id="email.send", params={"to": ["a@b.example"], "n": 1.5, "deep": {"x": [1, None]}})
    return people


def test_a_recorded_call_is_the_call_that_came(asked: People) -> None:
    mail, last, large, first = recorded_calls(asked.tenant.pk, limit=10)
    assert mail.params == {"to": ["a@b.example"], "n": 1.5, "deep": {"x": [1, None]}}
    assert (last.params, large.params, first.params) == (SMALL, LARGE, SMALL)
    assert first.user == {"user_id": "u_9", "plan": "pro"}
    assert (large.action_id, large.agent, large.effect, large.decision, large.mode, large.rule) == (
        *(REFUND, "refund-bot", "review", "allow", "observe", "refund-over-limit"),
    )
    assert large.run_id == "run_7"
    assert large.decided_at.tzinfo is UTC


def test_order_limit_globs_and_time_hold(asked: People) -> None:
    tenant = asked.tenant.pk
    newest = [call.entry_id for call in recorded_calls(tenant, limit=10)]
    oldest = [call.entry_id for call in recorded_calls(tenant, limit=10, newest_first=False)]
    assert newest == oldest[::-1] == sorted(newest, reverse=True)
    assert [call.entry_id for call in recorded_calls(tenant, limit=2)] == newest[:2]
    for globs, count in ((["billing.*"], 3), ([REFUND], 3), (["billing.refun?"], 3), (["e*", "x"], 1), (["b.*"], 0)):
        assert len(list(recorded_calls(tenant, actions=globs, limit=10))) == count == count_calls(tenant, actions=globs)
    assert list(recorded_calls(tenant, since=datetime.now(UTC) + timedelta(minutes=1), limit=10)) == []
    assert count_calls(tenant, until=datetime.now(UTC) - timedelta(minutes=1)) == 0


def test_pages_follow_one_another_without_gap_or_repeat(asked: People, monkeypatch: pytest.MonkeyPatch) -> None:
    from audit import calls

    monkeypatch.setattr(calls, "PAGE", 2)
    assert len({call.uid for call in recorded_calls(asked.tenant.pk, limit=10)}) == 4
    first = calls_page(asked.tenant.pk, limit=3)
    rest = calls_page(asked.tenant.pk, beyond=first[-1].entry_id)
    assert len({call.uid for call in (*first, *rest)}) == 4


def test_another_tenant_sees_none_of_them(asked: People) -> None:
    from uuid import UUID

    uids = [UUID(call.uid) for call in recorded_calls(asked.tenant.pk, limit=10)]
    assert list(recorded_calls(asked.other_tenant.pk, limit=10)) == []
    assert calls_by_uid(asked.other_tenant.pk, uids) == []
    assert len(calls_by_uid(asked.tenant.pk, uids)) == 4


def test_an_erased_value_leaves_no_half_call(asked: People) -> None:
    call = next(recorded_calls(asked.tenant.pk, limit=1))
    with as_tenant(asked.tenant.pk, using="owner"), connections["owner"].cursor() as cursor:
        cursor.execute("SELECT digest FROM audit_disclosure WHERE entry_id = %s", [call.entry_id])
        digest = cursor.fetchone()[0]
        cursor.execute("ALTER TABLE audit_disclosure DISABLE TRIGGER ALL")
        cursor.execute("DELETE FROM audit_disclosure WHERE entry_id = %s AND digest = %s", [call.entry_id, digest])
    again = next(recorded_calls(asked.tenant.pk, limit=1))
    assert (again.uid, again.params, again.user) == (call.uid, None, None)


def test_what_followed_names_the_verdict(committed_people: People) -> None:
    enforce_refunds(committed_people)
    review = held_review(committed_people)
    decide(committed_people, review, "deny")
    followed = what_followed(committed_people.tenant.pk, since=datetime.now(UTC) - timedelta(hours=1))
    assert followed[str(review.entry_uid)] == ("denied",)
