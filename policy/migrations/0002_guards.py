"""Row-level security, revisions that cannot change, and the sequence that numbers policy states."""

from django.db import migrations

TENANT = "tenant_id = nullif(current_setting('guardsite.tenant', true), '')::uuid"
TABLES = ("policy_action", "policy_seenaction", "policy_rule", "policy_revision", "policy_policystate")

REFUSE = """
CREATE FUNCTION policy_refuse_change() RETURNS trigger LANGUAGE plpgsql SET search_path = pg_catalog AS $$
BEGIN
    RAISE EXCEPTION 'a published revision cannot be changed or deleted' USING ERRCODE = 'integrity_constraint_violation';
END $$
"""

# The live revision is one of the tenant's own: foreign keys look past row-level security.
OWN = """
CREATE FUNCTION policy_live_is_own() RETURNS trigger LANGUAGE plpgsql SET search_path = pg_catalog, public AS $$
BEGIN
    IF NEW.live_id IS NOT NULL
       AND NOT EXISTS (SELECT FROM policy_revision WHERE id = NEW.live_id AND tenant_id = NEW.tenant_id) THEN
        RAISE EXCEPTION 'the live revision belongs to another tenant' USING ERRCODE = 'integrity_constraint_violation';
    END IF;
    RETURN NEW;
END $$
"""


def statements() -> list[str]:
    found = []
    for table in TABLES:
        found += [
            f"ALTER TABLE {table} ENABLE ROW LEVEL SECURITY",
            f"ALTER TABLE {table} FORCE ROW LEVEL SECURITY",
            f"CREATE POLICY tenant_rows ON {table} USING ({TENANT}) WITH CHECK ({TENANT})",
        ]
    return [
        *found,
        "CREATE SEQUENCE policy_version_seq",
        "GRANT USAGE ON SEQUENCE policy_version_seq TO gs_app",
        REFUSE,
        (
            "CREATE TRIGGER revision_is_immutable BEFORE UPDATE OR DELETE ON policy_revision"
            " FOR EACH ROW EXECUTE FUNCTION policy_refuse_change()"
        ),
        (
            "CREATE TRIGGER revisions_are_never_truncated BEFORE TRUNCATE ON policy_revision"
            " FOR EACH STATEMENT EXECUTE FUNCTION policy_refuse_change()"
        ),
        "ALTER TABLE policy_revision ENABLE ALWAYS TRIGGER revision_is_immutable",
        "ALTER TABLE policy_revision ENABLE ALWAYS TRIGGER revisions_are_never_truncated",
        "REVOKE UPDATE, DELETE, TRUNCATE ON policy_revision FROM gs_app",
        OWN,
        (
            "CREATE TRIGGER live_revision_is_own BEFORE INSERT OR UPDATE ON policy_policystate"
            " FOR EACH ROW EXECUTE FUNCTION policy_live_is_own()"
        ),
    ]


class Migration(migrations.Migration):
    dependencies = [("policy", "0001_initial")]

    operations = [migrations.RunSQL(statements(), migrations.RunSQL.noop)]
