"""What card templates leave on the record, with real commits: who activated what, who opened calls for a preview."""

from __future__ import annotations

from threading import Thread

import pytest
from django.db import connections

from audit.scope import as_tenant
from policy import live
from reviews import card_templates
from reviews.models import CardTemplate
from reviews.template_calls import sample_calls
from tests.factories import LARGE, REFUND, ask, enforce_refunds, held_review
from tests.people import People, make_people
from tests.policy.drafts import entries
from tests.reviews.test_card_templates import PAGE, activate, changed, client_of, draft, form_of, text_of


@pytest.fixture
def stored(cloned_db: dict[str, str]) -> People:
    """Everybody, committed: entries are read back."""
    live._cache.clear()
    return make_people()


def test_activation_and_retirement_say_on_the_record_who_and_what(stored: People) -> None:
    people = stored
    first, second = draft(people), draft(people, changed(sentence="pay {amount} back for {invoice}"))
    activate(people, first)
    activate(people, second)
    card_templates.retire(people.tenant.pk, template_id=second.pk, acting_member=people.adam)
    one, two = entries(people, "card_template.activated")
    assert (one["version"], one["digest"], one.get("before_version")) == (1, first.digest, None)
    assert (two["version"], two["digest"], two["before_version"]) == (2, second.digest, 1)
    assert two["actor"] == {"type": "member", "id": str(people.adam.pk)}
    (end,) = entries(people, "card_template.retired")
    assert (end["version"], end["digest"]) == (2, second.digest)


def test_two_drafts_saved_at_once_are_two_versions_and_one_of_two_activations_stays(stored: People) -> None:
    people, failures = stored, list[str]()

    def work() -> None:
        try:
            activate(people, draft(people))
        except Exception as error:  # a thread's own exception is lost otherwise
            failures.append(repr(error))
        connections.close_all()

    threads = [Thread(target=work) for _ in range(5)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert not failures
    with as_tenant(people.tenant.pk):
        rows = list(CardTemplate.objects.order_by("version").values_list("version", "status"))
    assert [version for version, _ in rows] == [1, 2, 3, 4, 5]
    assert [status for _, status in rows].count("active") == 1


def test_calls_that_were_not_held_are_opened_by_who_may_and_that_is_recorded(stored: People) -> None:
    people = stored
    enforce_refunds(people)
    ask(people)
    held_review(people)
    with as_tenant(people.tenant.pk):
        closed = sample_calls(people.tenant.pk, REFUND, may_open_log=False)
        opened = sample_calls(people.tenant.pk, REFUND, may_open_log=True)
    assert ([call.params for call in closed], len(opened)) == ([LARGE], 2)
    answer = client_of(people.adam).post(f"{PAGE}add/", form_of(_preview="1"))
    assert answer.status_code == 200
    assert "2 of 2 read well" in text_of(answer)
    (entry,) = entries(people, "card_template.previewed")
    assert (entry["action_id"], entry["calls"], entry["actor"]["id"]) == (REFUND, 1, str(people.adam.pk))
