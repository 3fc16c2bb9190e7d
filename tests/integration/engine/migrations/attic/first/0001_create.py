"""One of four."""

from django.db import migrations

from tests.integration.engine.migrations.attic import operations as attic


class Migration(migrations.Migration):
    """Its operations are those of the name."""

    operations = attic.CREATE
