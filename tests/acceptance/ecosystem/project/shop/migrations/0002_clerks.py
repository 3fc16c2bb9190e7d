"""Put the group of the clerks there, as data that a migration brings."""

from django.db import migrations


def add_clerks(apps, schema_editor):
    """Make the group."""
    apps.get_model("auth", "Group").objects.create(name="clerks")


class Migration(migrations.Migration):
    """Data only."""

    dependencies = [("shop", "0001_initial"), ("auth", "0012_alter_user_first_name_max_length")]
    operations = [migrations.RunPython(add_clerks, migrations.RunPython.noop)]
