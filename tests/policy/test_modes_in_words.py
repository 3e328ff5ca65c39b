"""The mode that an action or a rule results in, said on their lists."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import pytest
from django.db import connection
from django.test.utils import CaptureQueriesContext

from audit.scope import as_tenant
from policy.models import Action, Mode, PolicyState, Rule
from policy.modes_in_words import ModesInWords
from tests.people import People


def an_action(people: People, action_id: str, mode: str = "", percent: int = 100) -> Action:
    """A mapped action; modes are set as rows, since whose they are is not the matter here."""
    return Action.objects.create(
        tenant=people.tenant, action_id=action_id, title=action_id, mode_override=mode, percent=percent
    )


@pytest.fixture
def words(people: People) -> Iterator[ModesInWords]:
    """A tenant that observes, with an action of each sort."""
    with as_tenant(people.tenant.pk):
        an_action(people, "mail.send")
        an_action(people, "mail.draft")
        an_action(people, "billing.refund", Mode.ENFORCE)
        an_action(people, "billing.credit", Mode.ENFORCE, percent=20)
        yield ModesInWords(people.tenant.pk)


@pytest.mark.parametrize(
    ("scope", "fields", "said"),
    [
        (["mail.send"], {}, "Observe (as its action)"),
        (["mail.*"], {"rollout": 20}, "Observe (as its actions)"),
        (["billing.refund"], {}, "Enforce (as its action)"),
        (["billing.refund"], {"rollout": 30}, "Enforce (as its action), for 30 % of users"),
        (["billing.credit"], {}, "Enforce for 20 % of users (as its action)"),
        (["billing.*"], {}, "Enforce for 2 of 2 actions"),
        (["*"], {}, "Enforce for 2 of 4 actions"),
        (["crm.*"], {}, "Observe (as the tenant)"),
        (["billing.refund"], {"mode": "observe"}, "Observe (its own)"),
        (["billing.refund"], {"mode": "off"}, "Off"),
    ],
)
def test_a_rule_says_the_mode_that_results(
    words: ModesInWords, scope: list[str], fields: dict[str, Any], said: str
) -> None:
    assert words.of_rule(Rule(scope_actions=scope, **fields)) == said


def test_an_action_says_its_mode_and_whose_it_is(people: People, words: ModesInWords) -> None:
    said = {action.action_id: words.of_action(action) for action in Action.objects.all()}
    assert said == {
        "mail.send": "Observe (as the tenant)",
        "mail.draft": "Observe (as the tenant)",
        "billing.refund": "Enforce (its own)",
        "billing.credit": "Enforce for 20 % of users (its own)",
    }
    PolicyState.objects.update(default_mode=Mode.ENFORCE)
    after = ModesInWords(people.tenant.pk)
    assert after.of_action(Action.objects.get(action_id="mail.send")) == "Enforce (as the tenant)"


def test_a_list_of_any_length_reads_the_modes_in_two_queries(words: ModesInWords) -> None:
    with CaptureQueriesContext(connection) as queries:
        for _ in range(20):
            words.of_rule(Rule(scope_actions=["*"]))
    assert len(queries) == 2
