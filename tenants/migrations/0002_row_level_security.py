"""Row-level security: a transaction sees one tenant's rows; two doors open before a tenant is known."""

from django.db import migrations

TENANT = "tenant_id = nullif(current_setting('guardsite.tenant', true), '')::uuid"
USER = "user_id = nullif(current_setting('guardsite.user', true), '')::bigint"
KEY = "public_id = nullif(current_setting('guardsite.key', true), '')"

# A person sees their own memberships, a token its own key: to read, not to write.
TABLES = {"tenants_member": USER, "tenants_agent": None, "tenants_apikey": KEY}


def statements() -> list[str]:
    found = []
    for table, door in TABLES.items():
        found += [
            f"ALTER TABLE {table} ENABLE ROW LEVEL SECURITY",
            f"ALTER TABLE {table} FORCE ROW LEVEL SECURITY",
            f"CREATE POLICY tenant_rows ON {table} USING ({TENANT}) WITH CHECK ({TENANT})",
        ]
        if door is not None:
            found.append(f"CREATE POLICY own_door ON {table} FOR SELECT USING ({door})")
    return found


class Migration(migrations.Migration):
    dependencies = [("tenants", "0001_initial"), ("audit", "0002_schema")]

    operations = [
        migrations.RunSQL(statements(), migrations.RunSQL.noop),
        # Logs name tenants without a foreign key (it would lock the tenant's row): so a tenant stays.
        migrations.RunSQL(
            [
                (
                    "CREATE TRIGGER tenants_stay BEFORE DELETE ON tenants_tenant"
                    " FOR EACH ROW EXECUTE FUNCTION audit_refuse_change()"
                ),
                "ALTER TABLE tenants_tenant ENABLE ALWAYS TRIGGER tenants_stay",
            ],
            migrations.RunSQL.noop,
        ),
    ]
