"""The few open reviews that more than one person must approve, found without a look at the others."""

from django.db import migrations, models


class Migration(migrations.Migration):
    dependencies = [("reviews", "0005_take_overs")]

    operations = [
        migrations.AddIndex(
            model_name="review",
            index=models.Index(
                fields=["tenant", "id"],
                condition=models.Q(("approvals_needed__gt", 1), ("state", "open")),
                name="review_needs_others",
            ),
        ),
    ]
