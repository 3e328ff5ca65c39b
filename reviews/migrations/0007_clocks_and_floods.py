"""Where the sweeps of overdue reviews and of calm floods must look; room for the longest team id that a rule takes."""

from django.db import migrations, models

STATEMENTS = [
    "CREATE POLICY sweep_reads ON reviews_flood FOR SELECT TO gs_owner USING (true)",
    """
CREATE FUNCTION reviews_overdue_tenants() RETURNS SETOF uuid
LANGUAGE sql STABLE SECURITY DEFINER SET search_path = pg_catalog, pg_temp AS $$
    SELECT DISTINCT tenant_id FROM public.reviews_review
     WHERE state = 'open' AND due_at <= clock_timestamp() AND expires_at > clock_timestamp()
       AND (NOT breached
            OR (escalate_to <> '' AND escalated_at IS NULL AND copy_of_id IS NULL
                AND (claimed_until IS NULL OR claimed_until <= clock_timestamp())))
$$
""",
    """
CREATE FUNCTION reviews_flooded_tenants() RETURNS SETOF uuid
LANGUAGE sql STABLE SECURITY DEFINER SET search_path = pg_catalog, pg_temp AS $$
    SELECT DISTINCT tenant_id FROM public.reviews_flood WHERE ended_at IS NULL
$$
""",
    "REVOKE ALL ON FUNCTION reviews_overdue_tenants() FROM PUBLIC",
    "REVOKE ALL ON FUNCTION reviews_flooded_tenants() FROM PUBLIC",
    "GRANT EXECUTE ON FUNCTION reviews_overdue_tenants() TO gs_app",
    "GRANT EXECUTE ON FUNCTION reviews_flooded_tenants() TO gs_app",
]


class Migration(migrations.Migration):
    dependencies = [("reviews", "0006_second_person_index")]

    operations = [
        migrations.AlterField("review", "team", models.CharField(blank=True, max_length=60)),
        migrations.RunSQL(STATEMENTS, migrations.RunSQL.noop),
    ]
