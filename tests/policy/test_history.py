"""The history of what policy is made of: its entries in the log, and no others."""

from __future__ import annotations

import pytest

from policy.revisions import publish
from tests.people import People, proof
from tests.policy.drafts import a_draft_rule, an_action
from tests.policy.test_admin import ACTIONS, REVISIONS, RULES, WHY, signed_in


@pytest.mark.parametrize(
    ("pages", "query"), [(RULES, "kind=rule.changed&rule="), (ACTIONS, "kind=action.changed&action_id=")]
)
def test_history_leads_to_the_entries_of_the_row(committed_people: People, pages: str, query: str) -> None:
    people, adam = committed_people, signed_in(committed_people.adam)
    rows = (a_draft_rule(people), a_draft_rule(people, slug="another")) if pages == RULES else (an_action(people),)
    answer = adam.get(f"{pages}{rows[0].pk}/history/")
    assert answer["Location"].startswith(f"/audit/?{query}")
    assert adam.get(answer["Location"]).content.decode().count("data-row") == 1


def test_the_history_of_a_revision_is_its_publication(committed_people: People) -> None:
    people, adam = committed_people, signed_in(committed_people.adam)
    a_draft_rule(people)
    first = publish(people.tenant.pk, acting=people.adam, reason=WHY, evidence=proof())
    a_draft_rule(people, slug="another")
    publish(people.tenant.pk, acting=people.adam, reason=WHY, evidence=proof())
    log = adam.get(f"{REVISIONS}{first.pk}/history/", follow=True)
    assert log.content.decode().count("data-row") == 1
