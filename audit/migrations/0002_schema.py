"""Tables, functions, then guards: triggers, row-level security, privileges. The models are unmanaged, the SQL is the schema."""

from pathlib import Path

from django.db import migrations

SQL = Path(__file__).resolve().parent.parent / "sql"


class Migration(migrations.Migration):
    dependencies = [("audit", "0001_initial")]

    operations = [
        migrations.RunSQL((SQL / name).read_text(encoding="utf-8"), elidable=False)
        for name in ("tables.sql", "functions.sql", "guards.sql")
    ]
