"""All of them in one."""

from django.db import migrations

from tests.integration.engine.migrations.attic.operations import CREATE, MOVE, RENAME, SHOUT


class Migration(migrations.Migration):
    """Nothing was optimized away."""

    replaces = [("attic", "0001_create"), ("attic", "0002_shout"), ("attic", "0003_rename"), ("attic", "0004_move")]
    operations = [*CREATE, *SHOUT, *RENAME, *MOVE]
