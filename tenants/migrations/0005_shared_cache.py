"""The table behind `tenants.shared_cache`: rate limits and used codes, which concern people and addresses, not tenants."""

from django.db import migrations


class Migration(migrations.Migration):
    dependencies = [("tenants", "0004_teams_row_level_security")]

    operations = [
        migrations.RunSQL(
            # Unlogged: what it holds may be lost in a crash, and is written on every sign-in.
            [
                (
                    "CREATE UNLOGGED TABLE guardsite_cache"
                    " (key text PRIMARY KEY, value text NOT NULL, expires_at timestamptz NOT NULL)"
                ),
                "CREATE INDEX guardsite_cache_expires_at ON guardsite_cache (expires_at)",
            ],
            ["DROP TABLE guardsite_cache"],
        )
    ]
