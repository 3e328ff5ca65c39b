"""Row-level security for what 0003 added."""

from django.db import migrations

TENANT = "tenant_id = nullif(current_setting('guardsite.tenant', true), '')::uuid"
TABLES = ("tenants_team", "tenants_teammembership")


def statements() -> list[str]:
    found = []
    for table in TABLES:
        found += [
            f"ALTER TABLE {table} ENABLE ROW LEVEL SECURITY",
            f"ALTER TABLE {table} FORCE ROW LEVEL SECURITY",
            f"CREATE POLICY tenant_rows ON {table} USING ({TENANT}) WITH CHECK ({TENANT})",
        ]
    return found


class Migration(migrations.Migration):
    dependencies = [("tenants", "0003_teams")]

    operations = [migrations.RunSQL(statements(), migrations.RunSQL.noop)]
