"""How loudly a card warns, and where the sweep that looks must look."""

from django.db import migrations, models
from django.db.models import Q

STATEMENTS = [
    """
CREATE FUNCTION reviews_unlooked_tenants() RETURNS SETOF uuid
LANGUAGE sql STABLE SECURITY DEFINER SET search_path = pg_catalog, pg_temp AS $$
    SELECT DISTINCT tenant_id FROM public.reviews_review WHERE state = 'open' AND warned IS NULL
$$
""",
    "REVOKE ALL ON FUNCTION reviews_unlooked_tenants() FROM PUBLIC",
    "GRANT EXECUTE ON FUNCTION reviews_unlooked_tenants() TO gs_app",
]


class Migration(migrations.Migration):
    dependencies = [("reviews", "0013_notice_cadence_words")]

    operations = [
        migrations.AddField(
            "review",
            "warned",
            models.PositiveSmallIntegerField(
                choices=[(0, "of nothing"), (1, "with a caution"), (2, "with a danger")], null=True
            ),
        ),
        migrations.AddIndex(
            "review",
            models.Index(
                condition=Q(("state", "open"), ("warned", None)), fields=["tenant", "id"], name="review_unlooked"
            ),
        ),
        migrations.RunSQL(STATEMENTS, migrations.RunSQL.noop),
    ]
