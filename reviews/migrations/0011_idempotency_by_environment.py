"""An answer given to a test key is never repeated to a live one."""

from django.db import migrations, models


class Migration(migrations.Migration):
    dependencies = [("reviews", "0010_queue_index")]

    operations = [
        migrations.AddField(
            model_name="idempotencykey",
            name="environment",
            field=models.CharField(default="live", max_length=4),
        ),
        migrations.RemoveConstraint(model_name="idempotencykey", name="idempotency_key_is_unique_per_agent"),
        migrations.AddConstraint(
            model_name="idempotencykey",
            constraint=models.UniqueConstraint(
                fields=("tenant", "agent", "environment", "key"), name="idempotency_key_is_unique_per_agent"
            ),
        ),
    ]
