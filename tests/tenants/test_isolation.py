"""One tenant never sees another: in Python, and in the database as the bare web role."""

from __future__ import annotations

from datetime import UTC, datetime

import pytest
from django.db import connection, transaction
from django.db.utils import DatabaseError, ProgrammingError

from audit.scope import as_tenant, current_tenant_id
from reviews.models import Review
from tenants.isolation import as_key, as_user, rows_of
from tenants.models import Agent, ApiKey, Member
from tests.factories import decide, enforce_refunds, held_review
from tests.people import People


def tenant_tables() -> set[str]:
    """Every table of ours that has a tenant column."""
    with connection.cursor() as cursor:
        cursor.execute(
            "SELECT table_name FROM information_schema.columns WHERE column_name = 'tenant_id' AND table_schema = 'public'"
        )
        return {row[0] for row in cursor.fetchall()}


@pytest.mark.django_db
def test_every_table_with_a_tenant_has_forced_row_level_security() -> None:
    with connection.cursor() as cursor:
        cursor.execute(
            "SELECT relname FROM pg_class WHERE relnamespace = 'public'::regnamespace AND relrowsecurity AND relforcerowsecurity"
        )
        secured = {row[0] for row in cursor.fetchall()}
    tables = tenant_tables()
    assert len(tables) > 15
    assert not tables - secured


def test_without_a_tenant_the_web_role_sees_nothing(people: People) -> None:
    enforce_refunds(people)
    decide(people, held_review(people))
    for model in (Member, Agent, ApiKey, Review):
        assert not model._default_manager.exists()


def test_with_one_tenant_set_the_other_is_not_there(people: People) -> None:
    enforce_refunds(people)
    held_review(people)
    with as_tenant(people.other_tenant.pk):
        assert not Review.objects.exists()
        assert {member.pk for member in Member.objects.all()} == {people.nia.pk}
        assert not rows_of(Agent, people.tenant.pk).exists()


def test_nobody_writes_into_another_tenant(people: People) -> None:
    with pytest.raises(ProgrammingError, match="row-level security"), as_tenant(people.other_tenant.pk):
        Agent.objects.create(tenant=people.tenant, slug="smuggled", name="smuggled")
    with as_tenant(people.other_tenant.pk):
        assert rows_of(Agent, people.tenant.pk).update(name="renamed") == 0


def test_the_doors_before_a_tenant_is_known_show_one_row_and_let_nobody_write(people: People) -> None:
    with as_user(people.rita.user_id):
        assert [member.pk for member in Member.objects.all()] == [people.rita.pk]
        assert Member.objects.update(roles=["owner"]) == 0
    public_id = people.token.split("_")[2]
    with as_key(public_id):
        assert [key.public_id for key in ApiKey.objects.all()] == [public_id]
        assert ApiKey.objects.update(revoked_at=datetime.now(UTC)) == 0


def test_a_nested_scope_returns_to_the_outer_tenant(people: People) -> None:
    with as_tenant(people.tenant.pk):
        with as_tenant(people.other_tenant.pk):
            assert current_tenant_id() == people.other_tenant.pk
        assert current_tenant_id() == people.tenant.pk
        with pytest.raises(ZeroDivisionError), as_tenant(people.other_tenant.pk):
            raise ZeroDivisionError
        assert current_tenant_id() == people.tenant.pk
    with transaction.atomic():
        assert current_tenant_id() is None


def test_a_tenant_whose_log_exists_cannot_be_deleted(people: People) -> None:
    with pytest.raises(DatabaseError), transaction.atomic(), connection.cursor() as cursor:
        cursor.execute("DELETE FROM tenants_tenant WHERE id = %s", [people.other_tenant.pk])
