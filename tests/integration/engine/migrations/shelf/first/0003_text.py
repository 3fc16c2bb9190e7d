"""One operation without a transaction."""

from django.db import migrations, models


class Migration(migrations.Migration):
    """Makes a text of the number."""

    atomic = False
    dependencies = [("shelf", "0002_unique")]
    operations = [migrations.AlterField("Book", "code", models.CharField(max_length=10, unique=True))]
