"""Another tenant's policy is invisible: in the scoped querysets, and to the bare web role in the database."""

from __future__ import annotations

import pytest
from django.apps import apps
from django.db import DatabaseError, connection, transaction

from audit.scope import as_tenant
from policy import catalog
from policy.drafts import save_rule, schemas_in_scope
from policy.errors import PolicyForbidden
from policy.live import live_policy
from policy.models import Action, PolicyState, Revision, Rule, SeenAction
from policy.revisions import draft_snapshot, publish
from tenants.isolation import rows_of
from tests.people import People, proof
from tests.policy.calls import a_call
from tests.policy.drafts import a_draft_rule, an_action

MODELS = (Action, Rule, Revision, PolicyState, SeenAction)


@pytest.fixture
def filled(people: People) -> People:
    """The demo tenant has a row in every table."""
    an_action(people, schema={"type": "object"})
    a_draft_rule(people)
    publish(people.tenant.pk, acting=people.adam, reason="First rules for refunds.", evidence=proof())
    with as_tenant(people.tenant.pk):
        catalog.note_action(people.tenant.pk, "crm.export")
    return people


def test_the_web_role_sees_one_tenants_rows_and_none_without_a_tenant(filled: People) -> None:
    for model in MODELS:
        with as_tenant(filled.tenant.pk):
            assert model._default_manager.count() == 1, model
        with as_tenant(filled.other_tenant.pk):
            assert model._default_manager.filter(tenant_id=filled.tenant.pk).count() == 0, model
        assert model._default_manager.count() == 0, model


def test_row_level_security_is_enabled_and_forced_on_every_table(db: None) -> None:
    with connection.cursor() as cursor:
        cursor.execute(
            "SELECT relname, relrowsecurity, relforcerowsecurity FROM pg_class WHERE relname LIKE 'policy\\_%' AND relkind = 'r'"
        )
        found = {name: (enabled, forced) for name, enabled, forced in cursor.fetchall()}
    tables = {model._meta.db_table for model in apps.get_app_config("policy").get_models()}
    assert found == dict.fromkeys(tables, (True, True))


def test_rows_cannot_be_written_into_another_tenant(filled: People) -> None:
    for change in (
        lambda: Rule.objects.create(tenant=filled.tenant, slug="x", name="x", scope_actions=["*"], condition="true"),
        lambda: SeenAction.objects.create(tenant=filled.tenant, action_id="x"),
        lambda: Action.objects.create(tenant=filled.tenant, action_id="x", title="x"),
    ):
        with pytest.raises(DatabaseError), transaction.atomic(), as_tenant(filled.other_tenant.pk):
            change()


def test_scoped_reads_stay_in_the_tenant_even_where_the_database_would_not(filled: People) -> None:
    """The scope in Python holds by itself: the queries name the tenant."""
    with as_tenant(filled.tenant.pk):
        for model in MODELS:
            assert rows_of(model, filled.other_tenant.pk).count() == 0
        assert schemas_in_scope(filled.other_tenant.pk, ["*"]) == []


def test_nia_neither_reads_nor_changes_it(filled: People) -> None:
    assert '"rules":[]' in draft_snapshot(filled.other_tenant.pk)[0]
    ruling = live_policy(filled.other_tenant.pk).decide(a_call({"amount_cents": 60_000}))
    assert (ruling.revision_id, ruling.matched) == (None, ())
    with as_tenant(filled.tenant.pk):
        rule = Rule.objects.get()
    rule.condition = "false"
    with pytest.raises(PolicyForbidden):
        save_rule(filled.tenant.pk, acting=filled.nia, rule=rule)
    with pytest.raises(DatabaseError), transaction.atomic():
        save_rule(filled.other_tenant.pk, acting=filled.nia, rule=rule)
    with as_tenant(filled.tenant.pk):
        assert Rule.objects.get().condition == "params.amount_cents > 50000"


def test_unmapped_actions_are_reported_once_until_they_are_mapped(people: People) -> None:
    tenant = people.tenant.pk
    with as_tenant(tenant):
        for _ in range(3):
            catalog.note_action(tenant, "crm.export")
        catalog.note_action(tenant, "billing.refund")
        assert [seen.action_id for seen in catalog.unmapped_actions(tenant)] == ["billing.refund", "crm.export"]
    an_action(people)
    with as_tenant(tenant):
        assert [seen.action_id for seen in catalog.unmapped_actions(tenant)] == ["crm.export"]


def test_invented_actions_do_not_fill_the_table(people: People, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(catalog, "MOST_REPORTED", 3)
    with as_tenant(people.tenant.pk):
        for number in range(6):
            catalog.note_action(people.tenant.pk, f"invented.{number}")
        assert SeenAction.objects.count() == 3
