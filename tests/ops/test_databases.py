"""Each alias is its own role on the same database, and no role can do more than it must."""

from __future__ import annotations

import psycopg
import pytest
from django.db import connection, connections

from guardsite import testing


def _one(alias: str, query: str) -> object:
    with connections[alias].cursor() as cursor:
        cursor.execute(query)
        row = cursor.fetchone()
    assert row is not None
    return row[0]


@pytest.mark.django_db
def test_ordinary_test_connects_as_the_web_role() -> None:
    assert _one("default", "SELECT current_user") == "gs_app"


@pytest.mark.parametrize(
    ("alias", "role"),
    [
        ("default", "gs_app"),
        ("owner", "gs_owner"),
        ("audit_reader", "gs_auditor"),
        ("audit_sealer", "gs_sealer"),
        ("audit_notary", "gs_notary"),
    ],
)
def test_every_alias_is_its_own_role_on_the_clone(cloned_db: dict[str, str], alias: str, role: str) -> None:
    assert _one(alias, "SELECT current_user") == role
    assert _one(alias, "SELECT current_database()") == connections["default"].settings_dict["NAME"]


def test_web_role_alters_no_table(cloned_db: dict[str, str]) -> None:
    with connection.cursor() as cursor, pytest.raises(Exception, match="must be owner"):
        cursor.execute("ALTER TABLE django_migrations ADD COLUMN mine int")
    with connection.cursor() as cursor, pytest.raises(Exception, match="permission denied"):
        cursor.execute("CREATE TABLE mine ()")


def test_broker_role_sees_no_table_of_ours(cloned_db: dict[str, str]) -> None:
    with psycopg.connect(cloned_db["BROKER_DATABASE_URL"], autocommit=True) as broker:
        with pytest.raises(psycopg.errors.UndefinedTable):
            broker.execute("SELECT * FROM django_migrations")
        with pytest.raises(psycopg.errors.InsufficientPrivilege):
            broker.execute("SELECT * FROM public.django_migrations")
        assert broker.execute("SELECT count(*) FROM pgmq.list_queues()").fetchone() is not None
        with pytest.raises(psycopg.errors.InsufficientPrivilege):
            broker.execute("CREATE SCHEMA mine")


def test_commit_in_a_clone_is_gone_with_it(cloned_db: dict[str, str]) -> None:
    with psycopg.connect(cloned_db["OWNER_DATABASE_URL"]) as owner:
        owner.execute("SET ROLE gs_owner")
        owner.execute("CREATE TABLE only_here ()")
    assert _one("default", "SELECT count(*) FROM only_here") == 0
    assert testing.server().has(str(connection.settings_dict["NAME"]))
