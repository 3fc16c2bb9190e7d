"""Renames a field."""

from django.db import migrations


class Migration(migrations.Migration):
    """Renames."""

    dependencies = [("fresh", "0001_initial")]
    operations = [migrations.RenameField("Renamed", "name", "title")]
