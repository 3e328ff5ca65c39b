"""Questions count in the version on the wire; a grant remembers an attempt to spend it on other params."""

from django.db import migrations, models


class Migration(migrations.Migration):
    dependencies = [("reviews", "0007_clocks_and_floods")]

    operations = [
        migrations.AddField(
            model_name="review",
            name="question_steps",
            field=models.PositiveSmallIntegerField(default=0),
        ),
        migrations.AddField(
            model_name="grant",
            name="mismatched_at",
            field=models.DateTimeField(null=True),
        ),
    ]
