"""Row-level security, and the one question that is asked across tenants: where a sweep must look."""

from django.db import migrations

TENANT = "tenant_id = nullif(current_setting('guardsite.tenant', true), '')::uuid"

TABLES = (
    "reviews_cardtemplate",
    "reviews_review",
    "reviews_verdict",
    "reviews_grant",
    "reviews_execution",
    "reviews_resumedelivery",
    "reviews_attempt",
    "reviews_idempotencykey",
)
# FORCE binds the owner too, so the definer function below needs to be let in: to read ids, nothing else.
SWEPT = ("reviews_review", "reviews_resumedelivery", "reviews_execution")

DUE_TENANTS = """
CREATE FUNCTION reviews_due_tenants() RETURNS SETOF uuid
LANGUAGE sql STABLE SECURITY DEFINER SET search_path = pg_catalog, pg_temp AS $$
    SELECT tenant_id FROM public.reviews_resumedelivery
     WHERE state = 'waiting' AND due_at <= clock_timestamp()
       AND (leased_until IS NULL OR leased_until <= clock_timestamp())
    UNION
    SELECT tenant_id FROM public.reviews_review WHERE state = 'open' AND expires_at <= clock_timestamp()
    UNION
    SELECT tenant_id FROM public.reviews_execution WHERE state = 'started' AND report_by <= clock_timestamp()
$$
"""


def statements() -> list[str]:
    found = []
    for table in TABLES:
        found += [
            f"ALTER TABLE {table} ENABLE ROW LEVEL SECURITY",
            f"ALTER TABLE {table} FORCE ROW LEVEL SECURITY",
            f"CREATE POLICY tenant_rows ON {table} USING ({TENANT}) WITH CHECK ({TENANT})",
        ]
    found += [f"CREATE POLICY sweep_reads ON {table} FOR SELECT TO gs_owner USING (true)" for table in SWEPT]
    found += [
        DUE_TENANTS,
        "REVOKE ALL ON FUNCTION reviews_due_tenants() FROM PUBLIC",
        "GRANT EXECUTE ON FUNCTION reviews_due_tenants() TO gs_app",
    ]
    return found


class Migration(migrations.Migration):
    dependencies = [("reviews", "0001_initial")]

    operations = [migrations.RunSQL(statements(), migrations.RunSQL.noop)]
