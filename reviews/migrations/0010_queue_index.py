"""The index of the queue carries what its counts ask for."""

from django.db import migrations, models


class Migration(migrations.Migration):
    dependencies = [("reviews", "0009_notices")]

    operations = [
        migrations.RemoveIndex(model_name="review", name="review_queue"),
        migrations.AddIndex(
            model_name="review",
            index=models.Index(
                fields=["tenant", "due_at", "id"],
                include=("tier", "team", "expires_at", "copy_of"),
                condition=models.Q(("state", "open")),
                name="review_queue",
            ),
        ),
    ]
