"""Row-level security for what 0003 added."""

from django.db import migrations

TENANT = "tenant_id = nullif(current_setting('guardsite.tenant', true), '')::uuid"
TABLES = (
    "policy_namedlist",
    "policy_listentry",
    "policy_calendar",
    "policy_counter",
    "policy_countervalue",
    "policy_freeze",
    "policy_backtest",
    "policy_shadow",
    "policy_shadowdifference",
    "policy_calllabel",
    "policy_packadoption",
    "policy_judgesetting",
)
# The sweep of backtests asks, before any tenant is set, where there is work: ids of tenants, nothing else.
WAITING_TENANTS = """
CREATE FUNCTION policy_tenants_with_backtests() RETURNS SETOF uuid
LANGUAGE sql STABLE SECURITY DEFINER SET search_path = pg_catalog, pg_temp AS $$
    SELECT DISTINCT tenant_id FROM public.policy_backtest
     WHERE state IN ('waiting', 'running') AND (leased_until IS NULL OR leased_until <= clock_timestamp())
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
    return [
        *found,
        "CREATE POLICY sweep_reads ON policy_backtest FOR SELECT TO gs_owner USING (true)",
        WAITING_TENANTS,
        "REVOKE ALL ON FUNCTION policy_tenants_with_backtests() FROM PUBLIC",
        "GRANT EXECUTE ON FUNCTION policy_tenants_with_backtests() TO gs_app",
    ]


class Migration(migrations.Migration):
    dependencies = [("policy", "0003_what_policy_leans_on")]

    operations = [migrations.RunSQL(statements(), migrations.RunSQL.noop)]
