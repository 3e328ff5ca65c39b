"""Row-level security for what 0006 added."""

from django.db import migrations

TENANT = "tenant_id = nullif(current_setting('guardsite.tenant', true), '')::uuid"
TABLES = ("policy_tooldefinition",)


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
    dependencies = [("policy", "0006_tools_and_rules")]

    operations = [migrations.RunSQL(statements(), migrations.RunSQL.noop)]
