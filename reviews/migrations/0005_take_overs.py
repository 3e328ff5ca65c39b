"""Claims that were taken from their holders, and their row-level security."""

import django.db.models.deletion
import django.utils.timezone
from django.db import migrations, models

import audit.ids

TENANT = "tenant_id = nullif(current_setting('guardsite.tenant', true), '')::uuid"


class Migration(migrations.Migration):
    dependencies = [("reviews", "0004_desk_row_level_security"), ("tenants", "0004_teams_row_level_security")]

    operations = [
        migrations.CreateModel(
            name="TakeOver",
            fields=[
                ("id", models.UUIDField(default=audit.ids.uuid7, editable=False, primary_key=True, serialize=False)),
                ("reason", models.CharField(max_length=200)),
                ("at", models.DateTimeField(default=django.utils.timezone.now)),
                (
                    "by",
                    models.ForeignKey(
                        on_delete=django.db.models.deletion.PROTECT, related_name="+", to="tenants.member"
                    ),
                ),
                (
                    "from_member",
                    models.ForeignKey(
                        on_delete=django.db.models.deletion.PROTECT, related_name="+", to="tenants.member"
                    ),
                ),
                (
                    "review",
                    models.ForeignKey(
                        on_delete=django.db.models.deletion.PROTECT, related_name="take_overs", to="reviews.review"
                    ),
                ),
                (
                    "tenant",
                    models.ForeignKey(
                        editable=False,
                        on_delete=django.db.models.deletion.PROTECT,
                        related_name="+",
                        to="tenants.tenant",
                    ),
                ),
            ],
            options={"ordering": ["id"]},
        ),
        migrations.RunSQL(
            [
                "ALTER TABLE reviews_takeover ENABLE ROW LEVEL SECURITY",
                "ALTER TABLE reviews_takeover FORCE ROW LEVEL SECURITY",
                f"CREATE POLICY tenant_rows ON reviews_takeover USING ({TENANT}) WITH CHECK ({TENANT})",
            ],
            migrations.RunSQL.noop,
        ),
    ]
