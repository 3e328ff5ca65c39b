"""What a held call has reserved of counters, so that a denial can give it back."""

import django.db.models.deletion
import django.utils.timezone
from django.db import migrations, models

import audit.ids

TABLE = "policy_counterreservation"
TENANT = "tenant_id = nullif(current_setting('guardsite.tenant', true), '')::uuid"


class Migration(migrations.Migration):
    dependencies = [
        ("tenants", "0001_initial"),
        ("policy", "0004_row_level_security"),
    ]

    operations = [
        migrations.CreateModel(
            name="CounterReservation",
            fields=[
                ("id", models.UUIDField(default=audit.ids.uuid7, editable=False, primary_key=True, serialize=False)),
                ("call_id", models.UUIDField()),
                ("counter", models.CharField(max_length=60)),
                ("key", models.CharField(max_length=64)),
                ("head", models.BigIntegerField()),
                ("amount", models.BigIntegerField()),
                ("created_at", models.DateTimeField(default=django.utils.timezone.now)),
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
            options={
                "constraints": [
                    models.UniqueConstraint(fields=("call_id", "counter"), name="call_reserves_a_counter_once"),
                ],
            },
        ),
        migrations.RunSQL(
            [
                f"ALTER TABLE {TABLE} ENABLE ROW LEVEL SECURITY",
                f"ALTER TABLE {TABLE} FORCE ROW LEVEL SECURITY",
                f"CREATE POLICY tenant_rows ON {TABLE} USING ({TENANT}) WITH CHECK ({TENANT})",
            ],
            migrations.RunSQL.noop,
        ),
    ]
