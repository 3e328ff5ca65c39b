"""Who is told of what, the outbox of what they are told, its row-level security, and where its sweeps must look."""

import django.contrib.postgres.fields
import django.db.models.deletion
import django.utils.timezone
from django.db import migrations, models

import audit.ids

TENANT = "tenant_id = nullif(current_setting('guardsite.tenant', true), '')::uuid"
TABLES = ("reviews_noticetarget", "reviews_notice")

NOTICE_TENANTS = """
CREATE FUNCTION reviews_notice_tenants() RETURNS SETOF uuid
LANGUAGE sql STABLE SECURITY DEFINER SET search_path = pg_catalog, pg_temp AS $$
    SELECT DISTINCT tenant_id FROM public.reviews_notice
     WHERE state = 'waiting' AND due_at <= clock_timestamp()
       AND (leased_until IS NULL OR leased_until <= clock_timestamp())
$$
"""
# Only tenants in which somebody wants to hear of it.
DUE_SOON_TENANTS = """
CREATE FUNCTION reviews_due_soon_tenants() RETURNS SETOF uuid
LANGUAGE sql STABLE SECURITY DEFINER SET search_path = pg_catalog, pg_temp AS $$
    SELECT DISTINCT t.tenant_id FROM public.reviews_noticetarget t
     WHERE t.is_active AND 'due_soon' = ANY(t.events)
       AND EXISTS (SELECT 1 FROM public.reviews_review r
                    WHERE r.tenant_id = t.tenant_id AND r.state = 'open' AND r.due_at > clock_timestamp()
                      AND r.due_at - (r.due_at - r.created_at) / 3 <= clock_timestamp())
$$
"""


def statements() -> list[str]:
    found = []
    for table in TABLES:
        found += [
            f"ALTER TABLE {table} ENABLE ROW LEVEL SECURITY",
            f"ALTER TABLE {table} FORCE ROW LEVEL SECURITY",
            f"CREATE POLICY tenant_rows ON {table} USING ({TENANT}) WITH CHECK ({TENANT})",
            f"CREATE POLICY sweep_reads ON {table} FOR SELECT TO gs_owner USING (true)",
        ]
    found += [NOTICE_TENANTS, DUE_SOON_TENANTS]
    for name in ("reviews_notice_tenants", "reviews_due_soon_tenants"):
        found += [f"REVOKE ALL ON FUNCTION {name}() FROM PUBLIC", f"GRANT EXECUTE ON FUNCTION {name}() TO gs_app"]
    return found


class Migration(migrations.Migration):
    dependencies = [
        ("reviews", "0008_questions_and_mismatches"),
        ("tenants", "0005_shared_cache"),
    ]

    operations = [
        migrations.CreateModel(
            name="NoticeTarget",
            fields=[
                ("id", models.UUIDField(default=audit.ids.uuid7, editable=False, primary_key=True, serialize=False)),
                ("name", models.CharField(max_length=80)),
                (
                    "channel",
                    models.CharField(choices=[("email", "E-mail"), ("webhook", "Signed webhook")], max_length=7),
                ),
                (
                    "audience",
                    models.CharField(
                        blank=True,
                        choices=[
                            ("routed", "The team it is routed to"),
                            ("team", "One team"),
                            ("leads", "Leads and owners"),
                            ("member", "One person"),
                            ("address", "An address"),
                        ],
                        max_length=7,
                        verbose_name="to",
                    ),
                ),
                ("team", models.SlugField(blank=True, max_length=60)),
                ("address", models.EmailField(blank=True, max_length=254)),
                (
                    "url",
                    models.CharField(
                        blank=True,
                        help_text="https://… on port 443 or 8443; a public address.",
                        max_length=500,
                        verbose_name="URL",
                    ),
                ),
                ("secret_sealed", models.TextField(blank=True, editable=False)),
                ("former_secret_sealed", models.TextField(blank=True, editable=False)),
                ("former_until", models.DateTimeField(editable=False, null=True)),
                (
                    "events",
                    django.contrib.postgres.fields.ArrayField(
                        base_field=models.CharField(
                            choices=[
                                ("opened", "A call is held"),
                                ("due_soon", "Its time is nearly over"),
                                ("overdue", "It is overdue"),
                                ("escalated", "It went to another team"),
                                ("decided", "It was decided"),
                                ("expired", "Nobody decided: denied"),
                                ("flood", "An agent floods the desk"),
                                ("untold", "An agent could not be told"),
                            ],
                            max_length=10,
                        ),
                        size=None,
                        verbose_name="when",
                    ),
                ),
                (
                    "cadence",
                    models.CharField(
                        choices=[("each", "Each by itself"), ("digest", "Together, every full hour")],
                        default="each",
                        max_length=6,
                        verbose_name="how often",
                    ),
                ),
                ("is_active", models.BooleanField(default=True, verbose_name="active")),
                ("stopped_because", models.CharField(blank=True, editable=False, max_length=200)),
                ("created_at", models.DateTimeField(default=django.utils.timezone.now, editable=False)),
                (
                    "created_by",
                    models.ForeignKey(
                        editable=False,
                        null=True,
                        on_delete=django.db.models.deletion.PROTECT,
                        related_name="+",
                        to="tenants.member",
                    ),
                ),
                (
                    "member",
                    models.ForeignKey(
                        blank=True,
                        null=True,
                        on_delete=django.db.models.deletion.PROTECT,
                        related_name="+",
                        to="tenants.member",
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
            options={
                "verbose_name": "notice",
                "ordering": ["name"],
            },
        ),
        migrations.CreateModel(
            name="Notice",
            fields=[
                ("id", models.UUIDField(default=audit.ids.uuid7, editable=False, primary_key=True, serialize=False)),
                (
                    "event",
                    models.CharField(
                        choices=[
                            ("opened", "A call is held"),
                            ("due_soon", "Its time is nearly over"),
                            ("overdue", "It is overdue"),
                            ("escalated", "It went to another team"),
                            ("decided", "It was decided"),
                            ("expired", "Nobody decided: denied"),
                            ("flood", "An agent floods the desk"),
                            ("untold", "An agent could not be told"),
                        ],
                        max_length=10,
                    ),
                ),
                ("subject", models.CharField(max_length=64)),
                ("address", models.EmailField(blank=True, max_length=254)),
                (
                    "state",
                    models.CharField(
                        choices=[
                            ("waiting", "Waiting"),
                            ("sent", "Sent"),
                            ("dead", "Given up"),
                            ("cancelled", "Cancelled"),
                        ],
                        default="waiting",
                        max_length=9,
                    ),
                ),
                ("due_at", models.DateTimeField()),
                ("leased_until", models.DateTimeField(null=True)),
                ("attempt_count", models.PositiveIntegerField(default=0)),
                ("last_error", models.CharField(blank=True, max_length=200)),
                ("sent_at", models.DateTimeField(null=True)),
                ("trying_since", models.DateTimeField(default=django.utils.timezone.now)),
                ("created_at", models.DateTimeField(default=django.utils.timezone.now)),
                (
                    "agent",
                    models.ForeignKey(
                        null=True, on_delete=django.db.models.deletion.PROTECT, related_name="+", to="tenants.agent"
                    ),
                ),
                (
                    "member",
                    models.ForeignKey(
                        null=True, on_delete=django.db.models.deletion.PROTECT, related_name="+", to="tenants.member"
                    ),
                ),
                (
                    "review",
                    models.ForeignKey(
                        null=True,
                        on_delete=django.db.models.deletion.PROTECT,
                        related_name="notices",
                        to="reviews.review",
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
                (
                    "target",
                    models.ForeignKey(
                        on_delete=django.db.models.deletion.PROTECT, related_name="notices", to="reviews.noticetarget"
                    ),
                ),
            ],
            options={
                "ordering": ["id"],
            },
        ),
        migrations.AddConstraint(
            model_name="noticetarget",
            constraint=models.UniqueConstraint(
                fields=("tenant", "name"), name="notice_target_name_is_unique_in_its_tenant"
            ),
        ),
        migrations.AddIndex(
            model_name="notice",
            index=models.Index(condition=models.Q(("state", "waiting")), fields=["due_at"], name="notice_due"),
        ),
        migrations.AddIndex(
            model_name="notice",
            index=models.Index(
                condition=models.Q(("state", "dead")), fields=["tenant", "-created_at"], name="notice_dead"
            ),
        ),
        migrations.AddConstraint(
            model_name="notice",
            constraint=models.UniqueConstraint(
                fields=("target", "event", "subject", "address"), name="recipient_is_told_a_thing_once"
            ),
        ),
        migrations.RunSQL(statements(), migrations.RunSQL.noop),
    ]
