"""Flags on verdicts, seen by their own tenant alone."""

import django.db.models.deletion
import django.utils.timezone
from django.db import migrations, models

import audit.ids

TENANT = "tenant_id = nullif(current_setting('guardsite.tenant', true), '')::uuid"


def key(to, related_name="+", **options):
    return models.ForeignKey(on_delete=django.db.models.deletion.PROTECT, related_name=related_name, to=to, **options)


class Migration(migrations.Migration):
    dependencies = [("reviews", "0011_idempotency_by_environment"), ("tenants", "0005_shared_cache")]

    operations = [
        migrations.CreateModel(
            name="VerdictFlag",
            fields=[
                ("id", models.UUIDField(default=audit.ids.uuid7, editable=False, primary_key=True, serialize=False)),
                ("note", models.CharField(max_length=500)),
                ("flagged_at", models.DateTimeField(default=django.utils.timezone.now)),
                ("withdrawn_at", models.DateTimeField(null=True)),
                ("member", key("tenants.member")),
                ("tenant", key("tenants.tenant", editable=False)),
                ("verdict", key("reviews.verdict", "flags")),
            ],
            options={
                "ordering": ["id"],
                "constraints": [
                    models.UniqueConstraint(
                        condition=models.Q(("withdrawn_at", None)),
                        fields=("verdict", "member"),
                        name="member_flags_a_verdict_once",
                    )
                ],
            },
        ),
        migrations.RunSQL(
            [
                "ALTER TABLE reviews_verdictflag ENABLE ROW LEVEL SECURITY",
                "ALTER TABLE reviews_verdictflag FORCE ROW LEVEL SECURITY",
                f"CREATE POLICY tenant_rows ON reviews_verdictflag USING ({TENANT}) WITH CHECK ({TENANT})",
            ],
            migrations.RunSQL.noop,
        ),
    ]
