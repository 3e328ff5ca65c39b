"""What the gate takes at once."""

from __future__ import annotations

from uuid import uuid4

import pytest

from reviews import limits
from reviews.errors import Unavailable
from tests.factories import ask
from tests.people import People


def test_a_burst_is_admitted_and_then_fifty_a_second() -> None:
    key = uuid4()
    assert limits.admit(key, calls=100, now=0.0) == 0
    assert limits.admit(key, calls=1, now=0.0) == pytest.approx(0.02)
    assert limits.admit(key, calls=50, now=1.0) == 0
    assert limits.admit(uuid4(), calls=100, now=0.0) == 0


def test_nothing_is_allowed_while_too_many_entries_wait_for_the_sealer(
    people: People, monkeypatch: pytest.MonkeyPatch
) -> None:
    assert ask(people)["decision"] == "allow"
    limits.reset()
    monkeypatch.setattr(limits, "BACKLOG_LIMIT", 0)
    with pytest.raises(Unavailable):
        ask(people)
